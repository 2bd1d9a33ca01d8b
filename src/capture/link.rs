//! The layers below IP: where in a captured packet the IP packet is.
//!
//! Only lengths are judged here, and only to tell padding and the snap length's
//! cut from the packet: what the link layer calls IP goes on, however broken.

use std::fmt;

use etherparse::EtherType;

use crate::engine::Extent;

/// What captured packets begin with (tcpdump's LINKTYPE registry).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// BSD loopback: four bytes of address family, in the byte order of the
    /// machine that captured.
    Null,
    /// OpenBSD loopback: the same in network byte order.
    Loop,
    /// Ethernet, VLAN tags too.
    Ethernet,
    /// An IP packet, IPv4 or IPv6.
    Raw,
    /// An IPv4 packet.
    Ipv4,
    /// An IPv6 packet.
    Ipv6,
    /// Linux "cooked": what the device `any` gives.
    LinuxSll,
    /// Linux "cooked", version 2.
    LinuxSll2,
    /// One in which no IP packet is looked for.
    Other(u16),
}

/// The IP packet in a captured one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpPacket<'a> {
    /// It, without padding.
    pub bytes: &'a [u8],
    /// Where in the captured data it begins.
    pub at: usize,
    /// Whether the capture has all of it.
    pub extent: Extent,
}

/// Why there is no IP packet in a captured one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotIp {
    /// The EtherType of another protocol, such as ARP.
    EtherType(EtherType),
    /// An IEEE 802.3 frame with a length in place of an EtherType.
    Ieee8023,
    /// Another address family behind a loopback header.
    AddressFamily(u32),
    /// Nothing is known about IP in this link type.
    Link(LinkType),
    /// It ends within the link layer's header.
    TooShort(LinkType),
}

/// Finds the IP packet in captured `data`, that was `original_length` bytes
/// long before the snap length cut it.
///
/// Padding behind the IP packet is taken off. An IP packet that says it is
/// longer than what is there was cut by the capture if the capture cut
/// anything, and is short in itself otherwise.
///
/// # Errors
/// Says why there is none; that is no fault of the file.
pub fn strip_link(
    link: LinkType,
    data: &[u8],
    original_length: u32,
) -> Result<IpPacket<'_>, NotIp> {
    let bytes = match link {
        LinkType::Raw | LinkType::Ipv4 | LinkType::Ipv6 => Ok(data),
        LinkType::Null | LinkType::Loop => loopback(link, data),
        LinkType::Ethernet => after_ether_type(link, data, 12, 14),
        LinkType::LinuxSll => after_ether_type(link, data, 14, 16),
        LinkType::LinuxSll2 => after_ether_type(link, data, 0, 20),
        LinkType::Other(_) => Err(NotIp::Link(link)),
    }?;
    let at = data.len() - bytes.len();
    let was_cut = u32::try_from(data.len()).is_ok_and(|captured| captured < original_length);
    let extent = if was_cut { Extent::Cut } else { Extent::Whole };
    Ok(
        match stated_length(bytes).map(|length| bytes.get(..length)) {
            // All that the packet says it has is there; a cut took only padding.
            Some(Some(bytes)) => IpPacket {
                bytes,
                at,
                extent: Extent::Whole,
            },
            _ => IpPacket { bytes, at, extent },
        },
    )
}

/// Behind a header of `header` bytes with an EtherType at `at`, and behind
/// all VLAN tags that follow.
fn after_ether_type(link: LinkType, data: &[u8], at: usize, header: usize) -> Result<&[u8], NotIp> {
    let short = NotIp::TooShort(link);
    let mut ether_type = ether_type_at(data, at).ok_or(short)?;
    let mut rest = data.get(header..).ok_or(short)?;
    loop {
        match ether_type {
            EtherType::IPV4 | EtherType::IPV6 => return Ok(rest),
            EtherType::VLAN_TAGGED_FRAME
            | EtherType::PROVIDER_BRIDGING
            | EtherType::VLAN_DOUBLE_TAGGED_FRAME => {
                ether_type = ether_type_at(rest, 2).ok_or(short)?;
                rest = rest.get(4..).ok_or(short)?;
            }
            // IEEE 802.3, 3.2.6: up to 1500 it is a length.
            EtherType(length) if length <= 1500 => return Err(NotIp::Ieee8023),
            other => return Err(NotIp::EtherType(other)),
        }
    }
}

fn ether_type_at(data: &[u8], at: usize) -> Option<EtherType> {
    let bytes = data.get(at..)?.first_chunk()?;
    Some(EtherType(u16::from_be_bytes(*bytes)))
}

/// Behind four bytes of address family.
fn loopback(link: LinkType, data: &[u8]) -> Result<&[u8], NotIp> {
    let (family, rest) = data.split_first_chunk().ok_or(NotIp::TooShort(link))?;
    let mut family = u32::from_be_bytes(*family);
    // Every family is a small number: a large one was written in the other byte order.
    if link == LinkType::Null && family > 0xffff {
        family = family.swap_bytes();
    }
    match family {
        // AF_INET; then AF_INET6 of Linux, of NetBSD and OpenBSD, of FreeBSD, of macOS.
        2 | 10 | 24 | 28 | 30 => Ok(rest),
        other => Err(NotIp::AddressFamily(other)),
    }
}

/// How long an IP packet says it is; `None` where it does not say, or says
/// what cannot be.
fn stated_length(packet: &[u8]) -> Option<usize> {
    let field = |at| -> Option<usize> {
        let bytes = packet.get(at..)?.first_chunk()?;
        Some(usize::from(u16::from_be_bytes(*bytes)))
    };
    match packet.first()? >> 4 {
        // Captured before segmentation offload, a packet may say zero.
        4 => field(2).filter(|&length| length >= 20),
        6 => match (field(4)?, packet.get(6)?) {
            // RFC 2675: zero before a hop-by-hop header may mean a jumbogram.
            (0, 0) => None,
            (payload, _) => Some(40 + payload),
        },
        _ => None,
    }
}

impl LinkType {
    /// The link type of this number.
    #[must_use]
    pub fn from_number(number: u16) -> Self {
        match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            // 12 and 14 are what some systems write for 101.
            12 | 14 | 101 => Self::Raw,
            108 => Self::Loop,
            113 => Self::LinuxSll,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            276 => Self::LinuxSll2,
            other => Self::Other(other),
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
            Self::Raw => 101,
            Self::Loop => 108,
            Self::LinuxSll => 113,
            Self::Ipv4 => 228,
            Self::Ipv6 => 229,
            Self::LinuxSll2 => 276,
            Self::Other(other) => other,
        }
    }

    /// Whether IP packets can be found behind it.
    #[must_use]
    pub fn may_hold_ip(self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Its name in tcpdump's registry, for those that one meets.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.number() {
            0 => "NULL",
            1 => "ETHERNET",
            6 => "IEEE802_5",
            9 => "PPP",
            10 => "FDDI",
            50 => "PPP_HDLC",
            51 => "PPP_ETHER",
            101 => "RAW",
            104 => "C_HDLC",
            105 => "IEEE802_11",
            107 => "FRELAY",
            108 => "LOOP",
            113 => "LINUX_SLL",
            117 => "PFLOG",
            127 => "IEEE802_11_RADIOTAP",
            187 => "BLUETOOTH_HCI_H4",
            189 => "USB_LINUX",
            192 => "PPI",
            195 => "IEEE802_15_4_WITHFCS",
            220 => "USB_LINUX_MMAPPED",
            227 => "CAN_SOCKETCAN",
            228 => "IPV4",
            229 => "IPV6",
            239 => "NFLOG",
            249 => "USBPCAP",
            252 => "WIRESHARK_UPPER_PDU",
            253 => "NETLINK",
            276 => "LINUX_SLL2",
            _ => return None,
        })
    }
}

impl fmt::Display for LinkType {
    /// `105 (IEEE802_11)`, or the number alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} ({name})", self.number()),
            None => self.number().fmt(f),
        }
    }
}

impl fmt::Display for NotIp {
    /// What the packet was, as a noun: `ARP`, `EtherType 0x88cc (LLDP)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EtherType(EtherType::ARP) => f.write_str("ARP"),
            Self::EtherType(EtherType(number)) => {
                let name = match number {
                    0x6558 => " (transparent Ethernet bridging)",
                    0x8035 => " (RARP)",
                    0x8847 | 0x8848 => " (MPLS)",
                    0x8863 => " (PPPoE discovery)",
                    0x8864 => " (PPPoE session)",
                    0x888e => " (EAPOL)",
                    0x88cc => " (LLDP)",
                    0x88e5 => " (MACsec)",
                    0x88f7 => " (PTP)",
                    0x9000 => " (loopback test)",
                    _ => "",
                };
                write!(f, "EtherType {number:#06x}{name}")
            }
            Self::Ieee8023 => f.write_str("an IEEE 802.3 frame"),
            Self::AddressFamily(family) => write!(f, "address family {family}"),
            Self::Link(link) => write!(f, "link type {link}"),
            Self::TooShort(link) => write!(f, "shorter than a header of link type {link}"),
        }
    }
}
