//! Packets as the generator writes them: right by default, damaged on purpose.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};

/// One packet, from whom to whom and what it says.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    pub(crate) ttl: u8,
    pub(crate) ip_options: Vec<u8>,
    pub(crate) body: Body,
    pub(crate) damage: Option<Damage>,
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Tcp(Tcp),
    Udp(Vec<u8>),
    /// Type, code, the four octets behind the checksum, the rest.
    Icmp(u8, u8, [u8; 4], Vec<u8>),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Tcp {
    pub(crate) flags: u8,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
    pub(crate) options: Vec<u8>,
    pub(crate) length: usize,
    pub(crate) urgent: u16,
    /// The four bits before the flags.
    pub(crate) reserved: u8,
}

/// What is wrong with a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Damage {
    IpChecksum,
    TransportChecksum,
    /// The transport's own length field (TCP: its data offset) says this.
    TransportLength(u8),
    /// The IP header says so many octets more than there are.
    TotalLength(u8),
    /// Octets behind the end.
    Trailer,
}

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

impl Packet {
    pub(crate) fn new(from: SocketAddrV4, to: SocketAddrV4, body: Body) -> Self {
        Self {
            from,
            to,
            ttl: 64,
            ip_options: Vec::new(),
            body,
            damage: None,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (protocol, mut transport) = self.transport();
        match self.damage {
            Some(Damage::TransportLength(n)) if protocol == 6 => transport[12] = n << 4,
            Some(Damage::TransportLength(n)) if protocol == 17 => transport[5] = n,
            _ => {}
        }
        let at = match protocol {
            1 => 2,
            6 => 16,
            _ => 6,
        };
        let pseudo = match protocol {
            1 => Vec::new(),
            _ => {
                let length = u16::try_from(transport.len()).unwrap();
                let ends = [self.from.ip().octets(), self.to.ip().octets()].concat();
                [&ends[..], &[0, protocol], &length.to_be_bytes()].concat()
            }
        };
        let mut sum = checksum(&[&pseudo[..], &transport].concat());
        if protocol == 17 && sum == 0 {
            sum = 0xffff;
        }
        if matches!(self.damage, Some(Damage::TransportChecksum)) {
            sum ^= 0x0100;
        }
        transport[at..at + 2].copy_from_slice(&sum.to_be_bytes());

        let header = 20 + self.ip_options.len();
        let mut total = u16::try_from(header + transport.len()).unwrap();
        if let Some(Damage::TotalLength(more)) = self.damage {
            total += u16::from(more);
        }
        let mut ip = vec![0x40 | u8::try_from(header / 4).unwrap(), 0];
        ip.extend(total.to_be_bytes());
        ip.extend([0x12, 0x34, 0x40, 0, self.ttl, protocol, 0, 0]);
        ip.extend(self.from.ip().octets());
        ip.extend(self.to.ip().octets());
        ip.extend(&self.ip_options);
        let mut sum = checksum(&ip);
        if matches!(self.damage, Some(Damage::IpChecksum)) {
            sum ^= 1;
        }
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip.extend(transport);
        if matches!(self.damage, Some(Damage::Trailer)) {
            ip.extend([0xaa; 7]);
        }
        ip
    }

    /// Protocol and bytes, the checksum left zero.
    pub(crate) fn transport(&self) -> (u8, Vec<u8>) {
        let ports = [self.from.port().to_be_bytes(), self.to.port().to_be_bytes()].concat();
        match &self.body {
            Body::Tcp(tcp) => {
                let mut bytes = ports;
                bytes.extend(tcp.seq.to_be_bytes());
                bytes.extend(tcp.ack.to_be_bytes());
                let words = u8::try_from(5 + tcp.options.len() / 4).unwrap();
                bytes.extend([words << 4 | tcp.reserved, tcp.flags]);
                bytes.extend(tcp.window.to_be_bytes());
                bytes.extend([0; 2]);
                bytes.extend(tcp.urgent.to_be_bytes());
                bytes.extend(&tcp.options);
                bytes.extend((0..tcp.length).map(|n| u8::try_from(n % 251).unwrap()));
                (6, bytes)
            }
            Body::Udp(payload) => {
                let mut bytes = ports;
                let length = u16::try_from(8 + payload.len()).unwrap();
                bytes.extend(length.to_be_bytes());
                bytes.extend([0; 2]);
                bytes.extend(payload);
                (17, bytes)
            }
            Body::Icmp(kind, code, four, rest) => {
                (1, [&[*kind, *code, 0, 0], &four[..], rest].concat())
            }
        }
    }
}

/// The Internet checksum (RFC 1071).
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

/// As a packet expression, with what those cannot say behind it.
impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        match &self.body {
            Body::Tcp(tcp) => {
                write!(f, "tcp {from} > {to}")?;
                let names = [
                    (SYN, "syn"),
                    (ACK, "ack"),
                    (FIN, "fin"),
                    (RST, "rst"),
                    (PSH, "psh"),
                    (32, "urg"),
                    (64, "ece"),
                    (128, "cwr"),
                ];
                for (_, name) in names.iter().filter(|(bit, _)| tcp.flags & bit != 0) {
                    write!(f, " {name}")?;
                }
                let Tcp {
                    seq,
                    ack,
                    length,
                    window,
                    ..
                } = tcp;
                write!(
                    f,
                    " seq {seq} ack-number {ack} length {length}  # window {window}"
                )?;
                if !tcp.options.is_empty() {
                    write!(f, " options {}", hex(&tcp.options))?;
                }
            }
            Body::Udp(payload) => write!(f, "udp {from} > {to} length {}  #", payload.len())?,
            Body::Icmp(kind, code, four, rest) => write!(
                f,
                "icmp {} > {} type {kind} code {code} id {} length {}  # {}",
                from.ip(),
                to.ip(),
                u16::from_be_bytes([four[0], four[1]]),
                rest.len(),
                hex(&rest[..rest.len().min(28)])
            )?,
        }
        if self.ttl != 64 {
            write!(f, " ttl {}", self.ttl)?;
        }
        if !self.ip_options.is_empty() {
            write!(f, " ip-options {}", hex(&self.ip_options))?;
        }
        match self.damage {
            Some(damage) => write!(f, " {damage:?}"),
            None => Ok(()),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn at(address: [u8; 4], port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(address), port)
}
