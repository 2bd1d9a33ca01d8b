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

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 header that says `total` bytes, then filling up to `length`.
    fn ipv4(total: u16, length: usize) -> Vec<u8> {
        let mut packet = vec![0x45, 0];
        packet.extend(total.to_be_bytes());
        packet.resize(length, 0);
        packet
    }

    fn ipv6(payload: u16, next_header: u8, length: usize) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(payload.to_be_bytes());
        packet.push(next_header);
        packet.resize(length, 0);
        packet
    }

    fn ethernet(tags: &[u8], ether_type: u16, payload: &[u8]) -> Vec<u8> {
        [&[2; 12], tags, &ether_type.to_be_bytes(), payload].concat()
    }

    fn whole(link: LinkType, data: &[u8]) -> Result<(usize, usize, Extent), NotIp> {
        let original = u32::try_from(data.len()).unwrap();
        strip_link(link, data, original).map(|ip| (ip.at, ip.bytes.len(), ip.extent))
    }

    #[test]
    fn raw_link_types_begin_with_the_packet() {
        for number in [12, 14, 101, 228, 229] {
            let link = LinkType::from_number(number);
            let found = whole(link, &ipv4(28, 28));
            assert_eq!(found, Ok((0, 28, Extent::Whole)), "{link}");
        }
    }

    #[test]
    fn ethernet_is_stripped_with_all_its_vlan_tags() {
        let packet = ipv4(28, 28);
        let single = [0x81, 0, 0, 7];
        let double = [0x88, 0xa8, 0, 7, 0x81, 0, 0, 9];
        for (tags, at) in [(&[][..], 14), (&single, 18), (&double, 22)] {
            let frame = ethernet(tags, 0x0800, &packet);
            let found = whole(LinkType::Ethernet, &frame);
            assert_eq!(found, Ok((at, 28, Extent::Whole)));
        }
        let frame = ethernet(&[], 0x86dd, &ipv6(8, 17, 48));
        let found = whole(LinkType::Ethernet, &frame);
        assert_eq!(found, Ok((14, 48, Extent::Whole)));
    }

    #[test]
    fn linux_cooked_headers_are_stripped() {
        let packet = ipv4(28, 28);
        let mut sll = vec![0; 14];
        sll.extend([0x08, 0x00]);
        sll.extend(&packet);
        let mut sll2 = vec![0x08, 0x00];
        sll2.resize(20, 0);
        sll2.extend(&packet);
        let found = whole(LinkType::LinuxSll, &sll);
        assert_eq!(found, Ok((16, 28, Extent::Whole)));
        let found = whole(LinkType::LinuxSll2, &sll2);
        assert_eq!(found, Ok((20, 28, Extent::Whole)));
    }

    #[test]
    fn loopback_headers_are_read_in_the_byte_order_of_the_capturing_machine() {
        let packet = ipv6(8, 17, 48);
        for family in [10_u32, 24, 28, 30] {
            let little = [&family.to_le_bytes()[..], &packet].concat();
            let big = [&family.to_be_bytes()[..], &packet].concat();
            for data in [&little, &big] {
                let found = whole(LinkType::Null, data);
                assert_eq!(found, Ok((4, 48, Extent::Whole)));
            }
            assert!(whole(LinkType::Loop, &big).is_ok());
            assert!(whole(LinkType::Loop, &little).is_err());
        }
        let ipv4 = [&2_u32.to_le_bytes()[..], &ipv4(28, 28)].concat();
        assert!(whole(LinkType::Null, &ipv4).is_ok());
        let other = 7_u32.to_le_bytes();
        let found = whole(LinkType::Null, &other);
        assert_eq!(found, Err(NotIp::AddressFamily(7)));
    }

    #[test]
    fn other_protocols_are_named_and_are_no_error() {
        let words = |ether_type| {
            let frame = ethernet(&[], ether_type, &[0; 46]);
            whole(LinkType::Ethernet, &frame).unwrap_err().to_string()
        };
        assert_eq!(words(0x0806), "ARP");
        assert_eq!(words(0x88cc), "EtherType 0x88cc (LLDP)");
        assert_eq!(words(0x1234), "EtherType 0x1234");
        assert_eq!(words(38), "an IEEE 802.3 frame");
        let usb = whole(LinkType::Other(220), &[0; 64]).unwrap_err();
        assert_eq!(usb.to_string(), "link type 220 (USB_LINUX_MMAPPED)");
    }

    #[test]
    fn every_prefix_of_a_link_header_is_too_short() {
        let tags = [0x88, 0xa8, 0, 7, 0x81, 0, 0, 9];
        let ethernet = ethernet(&tags, 0x0800, &[]);
        let mut sll2 = vec![0x08, 0x00];
        sll2.resize(20, 0);
        for (link, header) in [
            (LinkType::Ethernet, &ethernet),
            (LinkType::LinuxSll2, &sll2),
            (LinkType::Null, &vec![2, 0, 0, 0]),
        ] {
            for end in 0..header.len() {
                let found = whole(link, &header[..end]);
                assert_eq!(found, Err(NotIp::TooShort(link)));
            }
            // An IP packet of no bytes is the engine's to judge.
            let found = whole(link, header);
            assert_eq!(found, Ok((header.len(), 0, Extent::Whole)));
        }
    }

    #[test]
    fn padding_is_taken_off() {
        let frame = ethernet(&[], 0x0800, &ipv4(28, 46));
        let found = whole(LinkType::Ethernet, &frame);
        assert_eq!(found, Ok((14, 28, Extent::Whole)));
        let frame = ethernet(&[], 0x86dd, &ipv6(0, 59, 46));
        let found = whole(LinkType::Ethernet, &frame);
        assert_eq!(found, Ok((14, 40, Extent::Whole)));
    }

    #[test]
    fn a_packet_that_the_snap_length_cut_is_cut_and_a_short_one_is_whole() {
        let extent = |packet: &[u8], original| {
            let ip = strip_link(LinkType::Raw, packet, original).unwrap();
            assert_eq!(ip.bytes.len(), packet.len());
            ip.extent
        };
        assert_eq!(extent(&ipv4(1500, 96), 1500), Extent::Cut);
        assert_eq!(extent(&ipv4(1500, 96), 96), Extent::Whole);
        assert_eq!(extent(&ipv6(1460, 6, 96), 1500), Extent::Cut);
        assert_eq!(extent(&ipv6(1460, 6, 96), 96), Extent::Whole);
        // Only padding was cut.
        assert_eq!(extent(&ipv4(28, 28), 46), Extent::Whole);
        // Not even the length is there.
        assert_eq!(extent(&[0x45, 0], 1500), Extent::Cut);
        assert_eq!(extent(&[], 1500), Extent::Cut);
    }

    #[test]
    fn lengths_that_cannot_be_leave_the_packet_as_it_is() {
        // Segmentation offload, a length below the header, and a jumbogram.
        for packet in [ipv4(0, 3000), ipv4(19, 40), ipv6(0, 0, 70_000)] {
            let found = whole(LinkType::Raw, &packet);
            assert_eq!(found, Ok((0, packet.len(), Extent::Whole)));
        }
    }
}
