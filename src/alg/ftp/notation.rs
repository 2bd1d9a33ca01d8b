//! How FTP writes an endpoint in a line, and how the same place is written
//! with another endpoint.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::net::{Endpoint, Port};

/// The ways to write an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    /// `h1,h2,h3,h4,p1,p2` of PORT and 227 (RFC 959 section 5.3.2).
    SixNumbers,
    /// `address|port` of EPRT, with its delimiter (RFC 2428 section 2).
    Extended(u8),
    /// `port` of 229, whose address is the sender's (RFC 2428 section 3).
    PortAlone,
}

/// An endpoint as a line writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// The address, where the notation has one.
    pub(super) address: Option<IpAddr>,
    /// The port; never zero.
    pub(super) port: Port,
    pub(super) notation: Notation,
    /// Where in the text it stands.
    pub(super) range: Range<usize>,
}

impl Notation {
    /// `endpoint` in this notation, if it can be written so.
    pub(super) fn render(self, endpoint: Endpoint) -> Option<Vec<u8>> {
        let Endpoint { address, port } = endpoint;
        let text = match (self, address) {
            (Self::SixNumbers, IpAddr::V4(v4)) => {
                let [a, b, c, d] = v4.octets();
                let [high, low] = port.0.to_be_bytes();
                format!("{a},{b},{c},{d},{high},{low}")
            }
            (Self::SixNumbers, IpAddr::V6(_)) => return None,
            (Self::Extended(delimiter), _) => {
                format!("{address}{}{port}", char::from(delimiter))
            }
            (Self::PortAlone, _) => port.to_string(),
        };
        Some(text.into_bytes())
    }
}

/// Reads all of `text` as six numbers.
pub(super) fn six_numbers(text: &[u8], at: usize) -> Option<Written> {
    let mut fields = text.split(|octet| *octet == b',').map(octet);
    let mut next = || fields.next().flatten();
    let address = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    let port = Port(u16::from_be_bytes([next()?, next()?]));
    (fields.next().is_none() && port != Port(0)).then(|| Written {
        address: Some(IpAddr::V4(address)),
        port,
        notation: Notation::SixNumbers,
        range: at..at + text.len(),
    })
}

/// Reads all of `text` as EPRT's `|af|address|port|`.
pub(super) fn extended(text: &[u8], at: usize) -> Option<Written> {
    let delimiter = text.first().copied().filter(|d| is_delimiter(*d))?;
    let mut fields = text.split(|octet| *octet == delimiter);
    let mut next = || fields.next();
    let (before, family, address, port, behind) = (next()?, next()?, next()?, next()?, next()?);
    if !before.is_empty() || !behind.is_empty() || fields.next().is_some() {
        return None;
    }
    let spelling = str::from_utf8(address).ok()?;
    let start = at + 1 + family.len() + 1;
    let family_of = |family: &[u8]| match family {
        b"1" => spelling.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        b"2" => spelling.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => None,
    };
    Some(Written {
        address: Some(family_of(family)?),
        port: decimal_port(port)?,
        notation: Notation::Extended(delimiter),
        range: start..start + address.len() + 1 + port.len(),
    })
}

/// Reads the first octets of `text`, up to the closing parenthesis, as what
/// stands in those of 229: `|||port|`.
pub(super) fn port_alone(text: &[u8], at: usize) -> Option<Written> {
    let [delimiter, second, third, rest @ ..] = text else {
        return None;
    };
    if !is_delimiter(*delimiter) || second != delimiter || third != delimiter {
        return None;
    }
    let digits = rest.iter().position(|octet| octet == delimiter)?;
    let (port, behind) = rest.split_at_checked(digits)?;
    behind.get(1).filter(|octet| **octet == b')')?;
    Some(Written {
        address: None,
        port: decimal_port(port)?,
        notation: Notation::PortAlone,
        range: at + 3..at + 3 + digits,
    })
}

/// RFC 2428 section 2: any of ASCII 33 to 126. A digit would make the fields
/// ambiguous.
fn is_delimiter(octet: u8) -> bool {
    octet.is_ascii_graphic() && !octet.is_ascii_digit()
}

/// One to three digits up to 255.
fn octet(digits: &[u8]) -> Option<u8> {
    u8::try_from(decimal(digits, 3)?).ok()
}

/// One to five digits from 1 to 65535.
fn decimal_port(digits: &[u8]) -> Option<Port> {
    let port = u16::try_from(decimal(digits, 5)?).ok()?;
    (port != 0).then_some(Port(port))
}

/// The value of one to `most` digits and nothing else; `most` is small enough
/// for it to fit.
fn decimal(digits: &[u8], most: usize) -> Option<u32> {
    if digits.is_empty() || digits.len() > most {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(written: &Written) -> String {
        let address = written.address.map_or("-".to_owned(), |a| a.to_string());
        format!("{address} {}", written.port)
    }

    #[test]
    fn t_959_port_syn__exactly_six_numbers_up_to_255() {
        let read = |text: &str| six_numbers(text.as_bytes(), 0).map(|w| endpoint(&w));
        assert_eq!(read("10,0,0,7,200,10").unwrap(), "10.0.0.7 51210");
        assert_eq!(
            read("255,255,255,255,255,255").unwrap(),
            "255.255.255.255 65535"
        );
        for bad in [
            "",
            "10,0,0,7,200",
            "10,0,0,7,200,10,1",
            "10,0,0,7,200,",
            ",10,0,0,7,200",
            "10,0,0,,200,10",
            "10,0,0,7,256,10",
            "256,0,0,7,200,10",
            "10,0,0,7,0,0",
            "10,0,0,7,+1,10",
            "10,0,0,7,-1,10",
            "10,0,0,7,0200,10",
            "10,0,0,7,200,4294967306",
            "10,0,0,7,200, 10",
            "10,0,0,7,200,10 ",
            "10.0.0.7.200.10",
            "10,0,0,a,200,10",
            "10,0,0,7,200,10\r",
            "10,0,0,7,200,10\n",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn t_2428_eprt_syn__any_graphic_delimiter_but_a_digit() {
        let read = |text: &str| extended(text.as_bytes(), 0).map(|w| endpoint(&w));
        for good in 33..=126_u8 {
            let d = char::from(good);
            let v4 = read(&format!("{d}1{d}10.0.0.7{d}51210{d}"));
            if good.is_ascii_digit() || d == '.' {
                assert_eq!(v4, None, "{d}");
            } else {
                assert_eq!(v4.unwrap(), "10.0.0.7 51210", "{d}");
            }
        }
        assert_eq!(
            read("|2|2001:DB8:0::7|51210|").unwrap(),
            "2001:db8::7 51210"
        );
        for bad in [
            "",
            "|",
            "||||",
            "|1|10.0.0.7|51210",
            "1|10.0.0.7|51210|",
            "|1|10.0.0.7|51210!",
            "|1|10.0.0.7!51210|",
            "|1|10.0.0.7|0|",
            "|1|10.0.0.7|65536|",
            "|1|10.0.0.7|051210|",
            "|1|10.0.0.7|-1|",
            "|1|10.0.0.256|51210|",
            "|1|10.0.7|51210|",
            "|1|2001:db8::7|51210|",
            "|2|10.0.0.7|51210|",
            "|2|fe80::1%1|51210|",
            "|3|10.0.0.7|51210|",
            "|01|10.0.0.7|51210|",
            "|1|10.0.0.7|51210||",
            "|1|10.0.0.7|51210| ",
            " 1 10.0.0.7 51210 ",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn what_is_rendered_reads_as_the_same_endpoint() {
        let v4 = "192.0.2.1:1025".parse().unwrap();
        let v6 = "[2001:db8::1]:65535".parse().unwrap();
        let six = Notation::SixNumbers.render(v4).unwrap();
        assert_eq!(endpoint(&six_numbers(&six, 0).unwrap()), "192.0.2.1 1025");
        assert_eq!(Notation::SixNumbers.render(v6), None);
        let text = Notation::Extended(b'!').render(v6).unwrap();
        assert_eq!(text, b"2001:db8::1!65535");
        assert_eq!(Notation::PortAlone.render(v4).unwrap(), b"1025");
    }
}
