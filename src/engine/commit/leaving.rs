//! How a packet leaves that is not as it came: in pieces, translated without a session, or
//! as an error about one.

use super::super::decide::{ErrorPass, Gathered, Plan};
use super::super::{Arrival, Engine, Output, Verdict};
use crate::net::{Timestamp, Tuple, ZoneId};
use crate::packet::{self, Checksum, Cuts, Cutting, Headers};

impl Engine {
    /// A datagram that is whole goes, and leaves in pieces as it came.
    pub(super) fn gathered(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        frame: &mut Vec<u8>,
        verdict: Verdict,
        gathered: &mut Gathered,
        out: &mut Output,
    ) {
        let Gathered {
            key,
            whole,
            cuts,
            plan,
        } = gathered;
        if let Some(key) = key {
            self.fragments.forget(key);
        }
        if matches!(plan, Plan::Elsewhere) {
            std::mem::swap(frame, whole);
            out.cuts = Some(Box::new(cuts.clone()));
            return;
        }
        self.carry_out(now, arrival, (whole, None), plan, out);
        if let Verdict::Forward(zone) = verdict {
            let limit = self.mtu(zone).map_or(usize::MAX, usize::from);
            leave_in_pieces(cuts.cut(whole, limit), frame, out);
        }
    }

    /// Cuts what came whole, where it is too long for its link: a super-segment into
    /// its segments first, as no receiver could take it as one datagram.
    pub(super) fn cut_to_fit(
        &self,
        arrival: Arrival,
        zone: ZoneId,
        frame: &mut Vec<u8>,
        out: &mut Output,
    ) {
        let limit = self.mtu(zone).map_or(usize::MAX, usize::from);
        if frame.len() <= limit || packet::cutting(frame) != Cutting::Allowed {
            return;
        }
        let Ok(headers) = Headers::read(frame, false) else {
            return;
        };
        if arrival.longest(headers.payload_range().start, frame.len()) <= limit {
            return;
        }
        // The hardware could finish no checksum over several packets.
        if out.checksum == Checksum::Partial {
            packet::complete_checksum(frame, &headers.with_partial_checksum());
            out.checksum = Checksum::Complete;
        }
        let segments = match arrival.segments {
            Some(size) => packet::segment(frame, size),
            None => Vec::new(),
        };
        let cut = |segment: &[u8]| match Headers::read(segment, false) {
            Ok(headers) => Cuts::new(&headers, limit).cut(segment, limit),
            Err(_) => Vec::new(),
        };
        let pieces = std::iter::once(frame.as_slice()).chain(segments.iter().map(Vec::as_slice));
        let pieces: Vec<_> = pieces.flat_map(cut).collect();
        leave_in_pieces(pieces, frame, out);
    }

    /// The longest packet that may leave by this zone, where that is known.
    pub(in crate::engine) fn mtu(&self, zone: ZoneId) -> Option<u16> {
        self.policy.zones.get(zone)?.mtu
    }
}

/// The first piece takes the packet's place, the others follow, before what
/// follows the packet.
fn leave_in_pieces(pieces: Vec<Vec<u8>>, frame: &mut Vec<u8>, out: &mut Output) {
    let mut pieces = pieces.into_iter();
    if let Some(first) = pieces.next() {
        *frame = first;
        out.more.splice(..0, pieces);
    }
}

pub(super) fn let_by(frame: &mut Vec<u8>, headers: &Headers, leaves: Option<&Tuple>) {
    frame.truncate(headers.length);
    if let Some(leaves) = leaves {
        packet::translate(frame, headers, leaves);
    }
    packet::decrement_ttl(frame, headers);
}

pub(super) fn forward_error(frame: &mut Vec<u8>, headers: &Headers, pass: &ErrorPass) {
    frame.truncate(headers.length);
    let ErrorPass {
        source,
        destination,
        quoted,
        inner,
    } = pass;
    packet::translate_error(frame, headers, *source, *destination, quoted, inner);
    packet::decrement_ttl(frame, headers);
}
