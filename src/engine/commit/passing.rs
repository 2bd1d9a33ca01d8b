//! A packet of a session passes.

use super::super::control::{Control, Leaves};
use super::super::decide::{After, Pass};
use super::super::{Arrival, Ending, Engine, Event, Made, Output};
use crate::net::{Direction, SeqNumber, TcpFlags, Timestamp};
use crate::packet::{self, Checksum, Headers, Numbers, Plain, SegmentSize, Speech};
use crate::session::{Handle, Tracked};

impl Engine {
    pub(super) fn pass(
        &mut self,
        (now, arrival): (Timestamp, Arrival),
        (frame, plain): (&mut Vec<u8>, Option<&Plain>),
        headers: &Headers,
        pass: &mut Pass,
        out: &mut Output,
    ) {
        let Pass {
            handle,
            ref update,
            after,
            ref leaves,
            mss,
            alg,
            ref mut control,
        } = *pass;
        let mut control = control.take();
        let direction = update.direction;
        self.sessions.update(handle, update);
        self.sessions.vouch(handle, direction, arrival.zone);
        let leaves_what = control.as_ref().map(|step| step.leaves);
        if let Some(step) = &mut control {
            self.carry_on(now, handle, step, out);
        }
        let mut merged = None;
        if alg.is_some()
            && let Some(parent) = self.controls.get_mut(&handle.id())
        {
            merged = parent.go_on(direction, headers, frame, control.map(|step| *step));
        }
        // An end that did not hear of it goes on.
        let is_lost = leaves_what == Some(Leaves::Lost);
        if alg.is_some() && !is_lost && update.tracked.state().is_closing() {
            self.close_holes(handle.id());
        }
        match leaves_what {
            Some(Leaves::Nothing | Leaves::Lost) => return,
            Some(Leaves::Acknowledged(number)) => {
                let told = self.acknowledge(handle, direction, number);
                out.made.extend(told);
                return;
            }
            None | Some(Leaves::Segment | Leaves::Header) => {}
        }
        frame.truncate(headers.length);
        packet::send_on(frame, headers, plain, leaves);
        if let Some(most) = mss {
            packet::lower_mss(frame, headers, most.get());
        }
        if alg.is_some()
            && let Some(control) = self.controls.get(&handle.id())
            && (merged.is_some() || !control.is_plain())
        {
            let egress = self
                .sessions
                .get(handle)
                .map(|s| s.origin.egress[direction]);
            let mtu = egress.and_then(|zone| self.mtu(zone)).map(usize::from);
            let rewriting = Rewriting {
                control,
                direction,
                merged,
                mtu,
                segments: arrival.segments,
            };
            rewriting.apply(frame, headers, &mut self.payload, &mut out.more);
        }
        if after == After::Ends
            && let Some(session) = self.end(handle, now)
        {
            let ending = Ending::Refused;
            out.events.push(Event::Ended {
                at: now,
                session,
                ending,
                packets: 0,
            });
            self.write_notes(now, out);
        }
    }

    /// Tells the sender, in its receiver's name, that everything up to this number
    /// has arrived.
    fn acknowledge(&self, handle: Handle, direction: Direction, ack: SeqNumber) -> Option<Made> {
        let session = self.sessions.get(handle)?;
        let control = self.controls.get(&handle.id())?;
        let Tracked::Tcp(connection) = &session.tracked else {
            return None;
        };
        let window = control.window_of_receiver(direction)?;
        let says = connection.nothing_new(!direction)?;
        let says = Numbers {
            seq: control.as_received(!direction, says.seq),
            ack,
            window,
            ..says
        };
        let tuple = session.origin.outgoing(!direction);
        Some(Made {
            zone: session.origin.egress[!direction],
            bytes: packet::in_the_name_of(&tuple, &says, Speech::Acknowledgement)?,
        })
    }
}

/// How a segment of a changed stream is rewritten.
struct Rewriting<'a> {
    control: &'a Control,
    direction: Direction,
    /// Where the octets begin that leave with it, having been withheld before.
    merged: Option<SeqNumber>,
    /// The longest packet that may leave.
    mtu: Option<usize>,
    /// Into how long segments it was to be cut.
    segments: Option<SegmentSize>,
}

impl Rewriting<'_> {
    /// Brings the segment into the numbers of its receiver, with the payload that
    /// the receiver is to get; if that has become too long for one segment, in
    /// several, all but the first in `more`.
    fn apply(
        &self,
        frame: &mut Vec<u8>,
        headers: &Headers,
        payload: &mut Vec<u8>,
        more: &mut Vec<Vec<u8>>,
    ) {
        let Self {
            control, direction, ..
        } = *self;
        payload.clear();
        let Some(seq) = control.image(direction, headers, frame, self.merged, payload) else {
            return;
        };
        let urgent = packet::urgent(frame, headers);
        packet::renumber(frame, headers, &control.numbers(direction, seq));
        if let Some(end) = urgent {
            let end = control.as_received(direction, end);
            packet::put_urgent(frame, headers, seq, Some(end));
        }
        let Some(old) = frame.get(headers.payload_range()) else {
            return; // cut: the numbers are right, the text cannot be
        };
        if payload.as_slice() == old {
            return;
        }
        let came = self
            .segments
            .map_or(old.len(), |size| size.longest(0, old.len()));
        if payload.is_empty() {
            packet::clear_flags(frame, headers, TcpFlags::PSH);
        }
        // Too long for an IP packet cannot be: what is withheld is a line at most,
        // and what the segment is in came through a link's MTU.
        let replaced = packet::replace_payload(frame, headers, payload);
        debug_assert!(replaced, "a control segment outgrew IP");
        let header = headers.payload_range().start;
        let fits = self
            .mtu
            .map_or(usize::MAX, |mtu| mtu.saturating_sub(header));
        let limit = control
            .longest_payload(direction, headers)
            .min(fits)
            .max(came);
        if payload.len() > limit {
            // The hardware could finish no checksum over several segments.
            if headers.checksum == Checksum::Partial
                && let Ok(headers) = Headers::read(frame, false)
            {
                packet::complete_checksum(frame, &headers.with_partial_checksum());
            }
            more.extend(packet::split(frame, limit));
        }
    }
}
