//! Where metrics are served.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// An address and port of the host itself: nobody else is told metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricsAddress(SocketAddr);

impl MetricsAddress {
    /// Address and port.
    pub(super) fn socket(self) -> SocketAddr {
        self.0
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MetricsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Ok(address) = text.parse::<SocketAddr>() else {
            return Err("expected an address and a port, such as 127.0.0.1:9469".to_owned());
        };
        match address.ip().is_loopback() {
            true => Ok(Self(address)),
            false => Err(format!(
                "{} is no loopback address: metrics are for this host alone",
                address.ip()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_served() {
        for good in ["127.0.0.1:9469", "127.3.2.1:80", "[::1]:9469"] {
            assert_eq!(good.parse::<MetricsAddress>().unwrap().to_string(), good);
        }
        for bad in [
            "0.0.0.0:9469",
            "10.0.0.1:9469",
            "[::]:9469",
            "[::ffff:127.0.0.1]:9469",
            "127.0.0.1",
            "localhost:9469",
            "9469",
            "",
        ] {
            assert!(bad.parse::<MetricsAddress>().is_err(), "{bad}");
        }
        assert_eq!(
            "10.0.0.1:9469".parse::<MetricsAddress>().unwrap_err(),
            "10.0.0.1 is no loopback address: metrics are for this host alone"
        );
    }
}
