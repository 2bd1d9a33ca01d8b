//! The bytes of a described packet, with right lengths and checksums.

use etherparse::{
    IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder, PacketBuilderStep, TcpHeader,
    checksum::Sum16BitWords, err::packet::BuildVecWriteError,
};

use crate::net::{ChunkType, Protocol, TcpFlags};

use super::spec::{Addresses, PacketSpec, SctpPacket, Transport};

/// A window that no test has to think of.
const WINDOW: u16 = 64_240;

impl PacketSpec {
    /// The packet from its IP header on.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let mut packet = Vec::new();
        let written = self.write(&mut packet);
        // All that can fail is a length, and `Payload` has a bound that fits.
        debug_assert!(written.is_ok(), "{written:?}");
        packet
    }

    fn write(&self, packet: &mut Vec<u8>) -> Result<(), BuildVecWriteError> {
        let payload = self.payload.to_vec();
        match self.transport {
            Transport::Tcp {
                source,
                destination,
                flags,
                seq,
                ack_number,
            } => {
                let mut header = TcpHeader::new(source.0, destination.0, seq.0, WINDOW);
                header.acknowledgment_number = ack_number.0;
                set(&mut header, flags);
                self.ip().tcp_header(header).write_to_vec(packet, &payload)
            }
            Transport::Udp {
                source,
                destination,
            } => self
                .ip()
                .udp(source.0, destination.0)
                .write_to_vec(packet, &payload),
            Transport::Icmp(message) => {
                let ([a, b], [c, d]) = (message.id.to_be_bytes(), message.seq.to_be_bytes());
                let (kind, code, rest) = (message.message_type, message.code, [a, b, c, d]);
                match self.addresses {
                    Addresses::V4 { .. } => self
                        .ip()
                        .icmpv4_raw(kind, code, rest)
                        .write_to_vec(packet, &payload),
                    Addresses::V6 { .. } => self
                        .ip()
                        .icmpv6_raw(kind, code, rest)
                        .write_to_vec(packet, &payload),
                }
            }
            Transport::UdpLite {
                source,
                destination,
            } => {
                let header = [source.0, destination.0, 0, 0].map(u16::to_be_bytes);
                let mut datagram = [header.as_flattened(), &payload].concat();
                let sum = self.sum_with_pseudo_header(Protocol::UDPLITE, &datagram);
                if let Some(field) = datagram.get_mut(6..8) {
                    field.copy_from_slice(&sum);
                }
                self.write_behind_ip(Protocol::UDPLITE, &datagram, packet)
            }
            Transport::Sctp(sctp) => {
                let mut bytes = with_chunk(&sctp, &payload);
                let sum = crc32c::crc32c(&bytes).to_le_bytes();
                if let Some(field) = bytes.get_mut(8..12) {
                    field.copy_from_slice(&sum);
                }
                self.write_behind_ip(Protocol::SCTP, &bytes, packet)
            }
            Transport::Other(protocol) => self.write_behind_ip(protocol, &payload, packet),
        }
    }

    /// An IP header and what it carries. By hand: the builder refuses protocols
    /// that it takes for extension headers, and knows neither SCTP nor UDP-Lite.
    fn write_behind_ip(
        &self,
        protocol: Protocol,
        content: &[u8],
        packet: &mut Vec<u8>,
    ) -> Result<(), BuildVecWriteError> {
        let number = IpNumber(protocol.0);
        let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
        match self.addresses {
            Addresses::V4 {
                source,
                destination,
            } => {
                let (from, to) = (source.octets(), destination.octets());
                let mut ip =
                    Ipv4Header::new(length, self.ttl, number, from, to).map_err(|error| {
                        BuildVecWriteError::PayloadLen(etherparse::err::ValueTooBigError {
                            actual: usize::from(error.actual),
                            max_allowed: usize::from(error.max_allowed),
                            value_type: error.value_type,
                        })
                    })?;
                ip.header_checksum = ip.calc_header_checksum();
                packet.extend_from_slice(&ip.to_bytes());
            }
            Addresses::V6 {
                source,
                destination,
            } => {
                let ip = Ipv6Header {
                    traffic_class: 0,
                    flow_label: Ipv6FlowLabel::ZERO,
                    payload_length: length,
                    next_header: number,
                    hop_limit: self.ttl,
                    source: source.octets(),
                    destination: destination.octets(),
                };
                packet.extend_from_slice(&ip.to_bytes());
            }
        }
        packet.extend_from_slice(content);
        Ok(())
    }

    /// The checksum of a datagram, addresses included; zero is written as its
    /// complement (RFC 768, RFC 3828).
    fn sum_with_pseudo_header(&self, protocol: Protocol, datagram: &[u8]) -> [u8; 2] {
        let length = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
        let sum = match self.addresses {
            Addresses::V4 {
                source,
                destination,
            } => Sum16BitWords::new()
                .add_4bytes(source.octets())
                .add_4bytes(destination.octets()),
            Addresses::V6 {
                source,
                destination,
            } => Sum16BitWords::new()
                .add_16bytes(source.octets())
                .add_16bytes(destination.octets()),
        };
        let sum = sum
            .add_2bytes([0, protocol.0])
            .add_2bytes(length.to_be_bytes())
            .add_slice(datagram);
        sum.to_ones_complement_with_no_zero().to_ne_bytes()
    }

    fn ip(&self) -> PacketBuilderStep<etherparse::IpHeaders> {
        match self.addresses {
            Addresses::V4 {
                source,
                destination,
            } => PacketBuilder::ipv4(source.octets(), destination.octets(), self.ttl),
            Addresses::V6 {
                source,
                destination,
            } => PacketBuilder::ipv6(source.octets(), destination.octets(), self.ttl),
        }
    }
}

/// The packet with one chunk, which the payload ends; its checksum is blank.
fn with_chunk(sctp: &SctpPacket, payload: &[u8]) -> Vec<u8> {
    // What stands in such a chunk before anything of variable length. An INIT
    // chooses the tag 1, a window and a stream each way.
    const INIT: [u8; 16] = [0, 0, 0, 1, 0, 0, 0xff, 0xff, 0, 1, 0, 1, 0, 0, 0, 1];
    let fixed: &[u8] = match sctp.chunk {
        ChunkType::INIT | ChunkType::INIT_ACK => &INIT,
        ChunkType::DATA | ChunkType::SACK => &[0; 12],
        ChunkType::SHUTDOWN => &[0; 4],
        _ => &[],
    };
    let length = 4 + fixed.len() + payload.len();
    // Whole, in one fragment (RFC 9260 section 3.3.1).
    let flags = if sctp.chunk == ChunkType::DATA { 3 } else { 0 };
    let mut bytes = [
        &sctp.source.0.to_be_bytes()[..],
        &sctp.destination.0.to_be_bytes(),
        &sctp.verification_tag().0.to_be_bytes(),
        &[0; 4],
        &[sctp.chunk.0, flags],
        &u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes(),
        fixed,
        payload,
    ]
    .concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn set(header: &mut TcpHeader, flags: TcpFlags) {
    let [fin, syn, rst, psh, ack, urg, ece, cwr] =
        [0, 1, 2, 3, 4, 5, 6, 7].map(|bit| flags.has(TcpFlags(1 << bit)));
    (header.fin, header.syn, header.rst, header.psh) = (fin, syn, rst, psh);
    (header.ack, header.urg, header.ece, header.cwr) = (ack, urg, ece, cwr);
}
