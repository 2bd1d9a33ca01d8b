//! Segments that the gateway sends into a connection in the name of one end.

use super::reply::ip;
use crate::net::{SeqNumber, Tuple};

/// What one end could say to the other when it has nothing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The number that the receiver awaits.
    pub seq: SeqNumber,
    /// What the sender has acknowledged.
    pub ack: SeqNumber,
    /// The window that the sender offers, as it is written.
    pub window: u16,
    /// The last time stamps of sender and receiver, where both send such (RFC
    /// 7323 section 3.2: then no segment but a reset may be without).
    pub stamps: Option<[u32; 2]>,
}

/// What is said in the name of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Speech {
    /// That the connection is over: a RST that is exact (RFC 5961 section 3.2).
    Reset,
    /// A question whether the other is there: a segment one number back, which
    /// has to be answered and says nothing (RFC 1122 section 4.2.3.6).
    KeepAlive,
    /// That the sender has got everything up to the acknowledgement.
    Acknowledgement,
}

/// The segment with these addresses and numbers. `None` where the addresses are
/// of two families.
#[must_use]
pub fn in_the_name_of(tuple: &Tuple, numbers: &Numbers, speech: Speech) -> Option<Vec<u8>> {
    let step = ip(tuple.source.address, tuple.destination.address, 0)?;
    let (source, destination) = (tuple.source.port.0, tuple.destination.port.0);
    let ack = numbers.ack.0;
    let segment = match (speech, numbers.stamps) {
        (Speech::Reset, _) => {
            let segment = step.tcp(source, destination, numbers.seq.0, 0);
            segment.rst().ack(ack)
        }
        (Speech::KeepAlive | Speech::Acknowledgement, stamps) => {
            let back = i32::from(speech == Speech::KeepAlive);
            let seq = numbers.seq.shift(-back).0;
            let segment = step.tcp(source, destination, seq, numbers.window).ack(ack);
            match stamps {
                None => segment,
                Some([own, other]) => {
                    // Two NOPs, kind 8, ten octets (RFC 7323 appendix A).
                    let mut option = [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0];
                    let (_, body) = option.split_at_mut(4);
                    let (value, echo) = body.split_at_mut(4);
                    value.copy_from_slice(&own.to_be_bytes());
                    echo.copy_from_slice(&other.to_be_bytes());
                    segment.options_raw(&option).ok()?
                }
            }
        }
    };
    let mut bytes = Vec::with_capacity(segment.size(0));
    segment.write(&mut bytes, &[]).ok()?;
    Some(bytes)
}
