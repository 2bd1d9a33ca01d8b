//! The kinds of translation, and the addresses that their rows are about.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kinds of translation, by the rows of `gateway.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Masquerade,
    Exempt,
    Narrow,
    Paired,
    Arbitrary,
    Net,
    Drawn,
    OwnAddressOut,
    OwnAddressIn,
    OwnAddressHairpin,
    Forward,
    Range,
    Shifted,
    Nets,
    Twice,
    Hairpin,
    Redirect,
    Rejected,
}

impl Kind {
    pub(super) const ALL: [Self; 18] = [
        Self::Masquerade,
        Self::Exempt,
        Self::Narrow,
        Self::Paired,
        Self::Arbitrary,
        Self::Net,
        Self::Drawn,
        Self::OwnAddressOut,
        Self::OwnAddressIn,
        Self::OwnAddressHairpin,
        Self::Forward,
        Self::Range,
        Self::Shifted,
        Self::Nets,
        Self::Twice,
        Self::Hairpin,
        Self::Redirect,
        Self::Rejected,
    ];

    /// Whether the address that a client gets is the gateway's choice, and by
    /// what it is bound.
    pub(super) fn pooling(self) -> Option<Pooling> {
        match self {
            Self::Paired => Some(Pooling::ByClient),
            Self::Arbitrary => Some(Pooling::ByPair),
            _ => None,
        }
    }

    /// Whether a free port is kept.
    pub(super) fn keeps_ports(self) -> bool {
        self != Self::Drawn
    }
}

/// For whom the address of a pool is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pooling {
    ByClient,
    ByPair,
}

pub(super) fn host(is_v4: bool, last: u16) -> IpAddr {
    match is_v4 {
        true => Ipv4Addr::new(10, 0, 0, u8::try_from(last).unwrap()).into(),
        false => Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, last).into(),
    }
}

pub(super) fn public(is_v4: bool, last: u16) -> IpAddr {
    match is_v4 {
        true => Ipv4Addr::new(203, 0, 113, u8::try_from(last).unwrap()).into(),
        false => Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, last).into(),
    }
}

pub(super) fn outside(is_v4: bool, last: u16) -> IpAddr {
    match is_v4 {
        true => Ipv4Addr::new(198, 51, 100, u8::try_from(last).unwrap()).into(),
        false => Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, last).into(),
    }
}

pub(super) fn branch(is_v4: bool) -> IpAddr {
    match is_v4 {
        true => Ipv4Addr::new(192, 0, 2, 9).into(),
        false => Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 9).into(),
    }
}
