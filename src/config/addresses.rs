//! Addresses, prefixes, and the sets that rules name with `@`.

use std::net::IpAddr;

use ipnet::IpNet;
use toml::de::DeTable;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::names::{Kind, Names};
use super::table::{self, Text, Value, shortened};
use crate::net::AddressSet;

/// The named sets of a file.
#[derive(Debug)]
pub(super) struct Sets<'t> {
    names: Names<'t>,
    members: Vec<Vec<IpNet>>,
}

/// Whether bits beyond a prefix's length say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostPart {
    /// They would be ignored, so they must be zero.
    Zero,
    /// They are the address of a host in its network.
    Kept,
}

impl<'t> Sets<'t> {
    /// Reads the section `[sets]`.
    pub(super) fn read(section: Option<&'t DeTable<'t>>, problems: &mut Problems) -> Self {
        let entries = section.map(table::in_order).unwrap_or_default();
        let names = Names::declare(Kind::Set, entries.iter().map(|(name, _)| *name), problems);
        let members = entries
            .iter()
            .map(|(_, value)| {
                let items = table::array(value, "an array of addresses and prefixes", problems);
                items
                    .unwrap_or_default()
                    .into_iter()
                    .filter_map(|item| prefix(item, HostPart::Zero, problems))
                    .collect()
            })
            .collect();
        Self { names, members }
    }

    /// Reads what a rule says of an end: addresses, prefixes and `@sets`, one
    /// or many.
    pub(super) fn addresses(
        &self,
        value: Option<&'t Value<'t>>,
        problems: &mut Problems,
    ) -> Option<AddressSet> {
        let mut all = Vec::new();
        for item in table::one_or_many(value?, problems) {
            let expected = "an address, a prefix or the `@name` of a set";
            let Some(text) = table::text(item, expected, problems) else {
                continue;
            };
            if text.get_ref().starts_with('@') {
                let set = self.names.resolve(&text, &[], problems);
                let members = set.and_then(|set| self.members.get(usize::from(set)));
                all.extend(members.into_iter().flatten().copied());
            } else {
                all.extend(parse_prefix(&text, HostPart::Zero, problems));
            }
        }
        Some(all.into_iter().collect())
    }
}

/// Reads an address or a prefix; an address counts as the prefix that holds
/// nothing else.
pub(super) fn prefix(
    value: &Value<'_>,
    host_part: HostPart,
    problems: &mut Problems,
) -> Option<IpNet> {
    let text = table::text(value, "an address or a prefix", problems)?;
    parse_prefix(&text, host_part, problems)
}

/// Reads one prefix or many.
pub(super) fn prefixes(
    value: &Value<'_>,
    host_part: HostPart,
    problems: &mut Problems,
) -> Vec<IpNet> {
    table::one_or_many(value, problems)
        .into_iter()
        .filter_map(|item| prefix(item, host_part, problems))
        .collect()
}

/// Reads an address of one host: one that a packet may come from.
pub(super) fn address(value: &Value<'_>, problems: &mut Problems) -> Option<IpAddr> {
    let text = table::text(value, "an address", problems)?;
    parse_address(&text, problems)
}

/// Reads an address of one host.
pub(super) fn parse_address(text: &Text<'_>, problems: &mut Problems) -> Option<IpAddr> {
    let written = *text.get_ref();
    let Ok(address) = written.parse::<IpAddr>() else {
        let bad = Diagnostic::new(
            Code::BadAddress,
            text.span(),
            format!("`{}` is no address", shortened(written)),
        )
        .label("not an address");
        let alone = written.split_once('/').map(|(address, _)| address);
        problems.push(match alone {
            Some(address) if address.parse::<IpAddr>().is_ok() => {
                bad.help(format!("one address, without a length: `{address}`"))
            }
            _ => bad.help_if(why_no_address(written)),
        });
        return None;
    };
    let no_host = match address {
        _ if address.is_unspecified() => "the unspecified address",
        _ if address.is_multicast() => "a multicast address",
        IpAddr::V4(v4) if v4.is_broadcast() => "the broadcast address",
        _ => return Some(address),
    };
    problems.push(
        Diagnostic::new(
            Code::BadAddress,
            text.span(),
            format!("`{address}` is {no_host}, which no host has"),
        )
        .label("not a host's address"),
    );
    None
}

/// Reads an address or a prefix.
pub(super) fn parse_prefix(
    text: &Text<'_>,
    host_part: HostPart,
    problems: &mut Problems,
) -> Option<IpNet> {
    let written = *text.get_ref();
    if let Ok(address) = written.parse::<IpAddr>() {
        return Some(IpNet::from(address));
    }
    let Some(prefix) = strict_prefix(written) else {
        problems.push(bad_prefix(written, text.span()));
        return None;
    };
    if host_part == HostPart::Zero && prefix.trunc() != prefix {
        let (network, host) = (prefix.trunc(), prefix.addr());
        problems.push(
            Diagnostic::new(
                Code::HostBits,
                text.span(),
                format!("`{prefix}` has bits set beyond its length"),
            )
            .label("not the address of a network")
            .help(format!(
                "`{network}` is the network, `{host}` the single host"
            )),
        );
        return None;
    }
    Some(prefix)
}

/// Address and length, each in its one obvious spelling. (`IpNet`'s own reader
/// takes `010.0.0.0/8` for 10.0.0.0/8, where others see octal.)
fn strict_prefix(written: &str) -> Option<IpNet> {
    let (address, length) = written.split_once('/')?;
    let plain = length == "0" || !length.starts_with('0');
    if !plain || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    IpNet::new(address.parse().ok()?, length.parse().ok()?).ok()
}

fn bad_prefix(written: &str, span: std::ops::Range<usize>) -> Diagnostic {
    let shown = shortened(written);
    let Some((address, length)) = written.split_once('/') else {
        return Diagnostic::new(
            Code::BadAddress,
            span,
            format!("`{shown}` is neither an address nor a prefix"),
        )
        .label("not an address")
        .help_if(why_no_address(written));
    };
    let bad = Diagnostic::new(Code::BadPrefix, span, format!("`{shown}` is no prefix"));
    match address.parse::<IpAddr>() {
        Err(_) => bad
            .label("not an address before the `/`")
            .help_if(why_no_address(address)),
        Ok(address) => {
            let (family, most) = match address {
                IpAddr::V4(_) => ("IPv4", 32),
                IpAddr::V6(_) => ("IPv6", 128),
            };
            bad.label(format!("`{}` is no length", shortened(length)))
                .help(format!("the length of an {family} prefix is 0 to {most}"))
        }
    }
}

/// Help for what is no address.
fn why_no_address(written: &str) -> Option<String> {
    if written.starts_with('@') {
        return Some("only `src` and `dst` can name a set".to_owned());
    }
    let name_like = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_name = written.chars().any(|c| c.is_ascii_alphabetic())
        && written.chars().all(name_like)
        && !written.contains(':');
    if is_name {
        return Some(
            "names of hosts are never looked up: write the address, or `@name` for a set"
                .to_owned(),
        );
    }
    let leading_zero = |part: &str| part.len() > 1 && part.starts_with('0');
    if written.split('.').any(leading_zero) && !written.contains(':') {
        return Some("no part of an IPv4 address begins with 0: some read it as octal".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::Spanned;

    fn read(text: &str, host_part: HostPart) -> Result<IpNet, Code> {
        let mut problems = Problems::default();
        let found = parse_prefix(&Spanned::new(0..0, text), host_part, &mut problems);
        let (problems, _) = problems.into_sorted();
        found.ok_or_else(|| problems[0].code)
    }

    #[test]
    fn an_address_is_the_prefix_that_holds_nothing_else() {
        let plain = |text| read(text, HostPart::Zero).map(|net| net.to_string());
        assert_eq!(plain("10.0.0.5"), Ok("10.0.0.5/32".into()));
        assert_eq!(plain("2001:db8::1"), Ok("2001:db8::1/128".into()));
        assert_eq!(plain("10.0.0.0/24"), Ok("10.0.0.0/24".into()));
        assert_eq!(plain("::/0"), Ok("::/0".into()));
    }

    #[test]
    fn host_bits_are_refused_where_they_would_be_ignored() {
        assert_eq!(read("10.0.0.1/24", HostPart::Zero), Err(Code::HostBits));
        assert!(read("10.0.0.1/24", HostPart::Kept).is_ok());
    }

    #[test]
    fn what_is_no_address_is_told_apart_from_a_bad_length() {
        for text in [
            "010.0.0.0/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/x",
            "10.0.0/8",
        ] {
            assert_eq!(read(text, HostPart::Zero), Err(Code::BadPrefix), "{text}");
        }
        for text in ["", "example.net", "10.0.0", "010.0.0.1", "1.2.3.4.5", "é"] {
            assert_eq!(read(text, HostPart::Zero), Err(Code::BadAddress), "{text}");
        }
    }

    #[test]
    fn an_address_that_no_host_has_is_refused() {
        for text in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"] {
            let mut problems = Problems::default();
            let found = parse_address(&Spanned::new(0..0, text), &mut problems);
            assert!(found.is_none() && !problems.is_empty(), "{text}");
        }
    }
}
