//! A TCP segment as tracking sees it.

use super::table::SegmentKind;
use crate::net::{SeqNumber, TcpFlags};
use crate::packet::{Headers, TcpHeader, TcpOptions};

/// What tracking needs of a segment, numbers as its sender counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) struct Segment {
    pub(super) kind: SegmentKind,
    pub(super) flags: TcpFlags,
    pub(super) seq: SeqNumber,
    /// Behind the last number that it takes: payload, SYN and FIN.
    pub(super) end: SeqNumber,
    /// As written, not corrected for changes to the other stream.
    pub(super) raw_ack: SeqNumber,
    /// What it acknowledges, as the other end counts.
    pub(super) ack: SeqNumber,
    /// The furthest right edge that it acknowledges selectively, or `ack`.
    pub(super) sack: SeqNumber,
    /// As written, not scaled.
    pub(super) window: u16,
    pub(super) options: TcpOptions,
}

impl Segment {
    /// The segment in `frame`. `as_sent` turns an acknowledgement of the other
    /// stream, as this end got it, into the numbers of its sender.
    pub(in crate::session) fn read(
        headers: &Headers,
        frame: &[u8],
        as_sent: impl Fn(SeqNumber) -> SeqNumber,
    ) -> Option<Self> {
        Self::of(headers.tcp()?, headers.tcp_options(frame), as_sent)
    }

    /// The segment with this header.
    #[inline]
    pub(in crate::session) fn of(
        tcp: &TcpHeader,
        options: TcpOptions,
        as_sent: impl Fn(SeqNumber) -> SeqNumber,
    ) -> Option<Self> {
        let ack = as_sent(tcp.ack);
        let further = |sack: SeqNumber, edge: SeqNumber| {
            let edge = as_sent(edge);
            if edge.is_after(sack) { edge } else { sack }
        };
        Some(Self {
            kind: SegmentKind::of(tcp.flags)?,
            flags: tcp.flags,
            seq: tcp.seq,
            end: tcp.seq.advance(tcp.sequence_length()),
            raw_ack: tcp.ack,
            ack,
            sack: options.sack_edges().fold(ack, further),
            window: tcp.window,
            options,
        })
    }
}
