//! The bytes of a described packet, with right lengths and checksums.

use etherparse::{
    IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, PacketBuilder, PacketBuilderStep, TcpHeader,
    err::packet::BuildVecWriteError,
};

use crate::net::TcpFlags;

use super::spec::{Addresses, PacketSpec, Transport};

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
            // By hand: the builder refuses protocols that it takes for extension headers.
            Transport::Other(protocol) => {
                let number = IpNumber(protocol.0);
                let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
                match self.addresses {
                    Addresses::V4 {
                        source,
                        destination,
                    } => {
                        let (from, to) = (source.octets(), destination.octets());
                        let mut ip = Ipv4Header::new(length, self.ttl, number, from, to).map_err(
                            |error| {
                                BuildVecWriteError::PayloadLen(etherparse::err::ValueTooBigError {
                                    actual: usize::from(error.actual),
                                    max_allowed: usize::from(error.max_allowed),
                                    value_type: error.value_type,
                                })
                            },
                        )?;
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
                packet.extend_from_slice(&payload);
                Ok(())
            }
        }
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

fn set(header: &mut TcpHeader, flags: TcpFlags) {
    let [fin, syn, rst, psh, ack, urg, ece, cwr] =
        [0, 1, 2, 3, 4, 5, 6, 7].map(|bit| flags.has(TcpFlags(1 << bit)));
    (header.fin, header.syn, header.rst, header.psh) = (fin, syn, rst, psh);
    (header.ack, header.urg, header.ece, header.cwr) = (ack, urg, ece, cwr);
}
