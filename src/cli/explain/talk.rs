//! A TCP connection through the gateway whose two ends answer each other: what
//! a script needs between its lines.

use crate::expression::{Addresses, PacketSpec, Payload, Transport};
use crate::net::{Direction, PerDirection, SeqNumber, TcpFlags, Tuple, ZoneId};
use crate::packet::Headers;

/// Where the server begins to count.
const SERVER_BEGINS: SeqNumber = SeqNumber(5_000);

/// A connection, as its ends know it.
#[derive(Debug, Clone)]
pub(super) struct Talk {
    ends: PerDirection<End>,
}

/// The end that sends in one direction.
#[derive(Debug, Clone, Copy)]
struct End {
    zone: ZoneId,
    /// What it sends.
    tuple: Tuple,
    /// The number of its next octet.
    next: SeqNumber,
    /// What it acknowledges.
    heard: SeqNumber,
}

impl Talk {
    /// A connection whose SYN was sent as the first frame and has left as the second.
    pub(super) fn opened(sent: &[u8], left: &[u8], zones: PerDirection<ZoneId>) -> Option<Self> {
        let (sent, left) = (read(sent)?, read(left)?);
        let client = End {
            zone: zones.original,
            tuple: sent.tuple()?,
            next: sent.tcp()?.seq.advance(1),
            heard: SERVER_BEGINS,
        };
        let server = End {
            zone: zones.reply,
            tuple: left.tuple()?.reversed(),
            next: SERVER_BEGINS,
            heard: left.tcp()?.seq.advance(1),
        };
        Some(Self {
            ends: PerDirection {
                original: client,
                reply: server,
            },
        })
    }

    /// The direction in which the end in this zone sends; where both are in it,
    /// a line that begins with a reply code is the server's.
    pub(super) fn end_in(&self, zone: ZoneId, line: &[u8]) -> Option<Direction> {
        let is_reply = line.iter().take(3).filter(|o| o.is_ascii_digit()).count() == 3;
        let likely = match is_reply {
            true => [Direction::Reply, Direction::Original],
            false => [Direction::Original, Direction::Reply],
        };
        let mut likely = likely.into_iter();
        likely.find(|direction| self.ends[*direction].zone == zone)
    }

    /// The zone that packets of this direction arrive by.
    pub(super) fn zone(&self, direction: Direction) -> ZoneId {
        self.ends[direction].zone
    }

    /// A segment of one end.
    pub(super) fn segment(
        &mut self,
        by: Direction,
        flags: TcpFlags,
        octets: Vec<u8>,
    ) -> Option<PacketSpec> {
        let End {
            tuple, next, heard, ..
        } = self.ends[by];
        let takes = u32::try_from(octets.len()).ok()? + u32::from(flags.has(TcpFlags::SYN));
        self.ends[by].next = next.advance(takes);
        let transport = Transport::Tcp {
            source: tuple.source.port,
            destination: tuple.destination.port,
            flags,
            seq: next,
            ack_number: heard,
        };
        let addresses = Addresses::new(tuple.source.address, tuple.destination.address)?;
        let mut packet = PacketSpec::new(addresses, transport);
        packet.payload = Payload::bytes(octets)?;
        Some(packet)
    }

    /// The other end hears a segment of this direction, as it left.
    pub(super) fn hears(&mut self, by: Direction, left: &[u8]) {
        let Some(headers) = read(left) else { return };
        let Some(tcp) = headers.tcp() else { return };
        let takes = u32::try_from(tcp.payload).unwrap_or(0);
        let takes = takes + u32::from(tcp.flags.has(TcpFlags::SYN));
        self.ends[!by].heard = tcp.seq.advance(takes);
    }
}

fn read(frame: &[u8]) -> Option<Headers> {
    Headers::read(frame, false).ok()
}
