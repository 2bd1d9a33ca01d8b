//! Committing: carrying out what was decided. Nothing here decides.

use super::control::{Control, ControlStep, Leaves};
use super::decide::{Admission, After, Answer, Decision, ErrorPass, Gathered, Opening, Pass, Plan};
use super::desk::HoleChange;
use super::fragments::Late;
use super::rates::AnswerKind;
use super::{Arrival, Ending, Engine, Event, Extent, Made, Output, Verdict};
use crate::alg::Note;
use crate::net::{Direction, NatRows, SeqNumber, TcpFlags, Timestamp, Tuple, ZoneId};
use crate::packet::{
    self, Checksum, Complaint, Cuts, Cutting, Headers, Numbers, Plain, SegmentSize, Speech,
};
use crate::session::{Handle, Session, SessionId, Tracked};

impl Engine {
    /// Carries out a decision about the packet in `frame`, of which `plain` was read at a
    /// glance, if it was.
    pub(super) fn commit(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        (frame, plain): (&mut Vec<u8>, Option<&Plain>),
        decision: &mut Decision,
        out: &mut Output,
    ) {
        let verdict = decision.judgement.verdict;
        if let Some(shortage) = decision.shortage
            && let Some(packets) = self.alarms.sound(&shortage, now)
        {
            out.events.push(Event::Short {
                at: now,
                shortage,
                packets,
            });
        }
        match &mut decision.plan {
            Plan::Gathered(gathered) => {
                self.gathered(now, arrival, frame, verdict, gathered, out);
            }
            plan => {
                let checksum = plan.checksum();
                self.carry_out(now, arrival, (frame, plain), plan, out);
                if let Verdict::Forward(zone) = verdict {
                    // What became several segments was completed before.
                    out.checksum = match out.more.is_empty() {
                        true => checksum,
                        false => Checksum::Complete,
                    };
                    if arrival.extent == Extent::Whole {
                        self.cut_to_fit(arrival, zone, frame, out);
                    }
                }
            }
        }
    }

    /// A datagram that is whole goes, and leaves in pieces as it came.
    fn gathered(
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
    fn cut_to_fit(&self, arrival: Arrival, zone: ZoneId, frame: &mut Vec<u8>, out: &mut Output) {
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
    pub(super) fn mtu(&self, zone: ZoneId) -> Option<u16> {
        self.policy.zones.get(zone)?.mtu
    }

    fn carry_out(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        (frame, plain): (&mut Vec<u8>, Option<&Plain>),
        plan: &mut Plan,
        out: &mut Output,
    ) {
        match plan {
            Plan::Nothing | Plan::Elsewhere | Plan::Gathered(_) | Plan::Late(_) => {}
            Plan::Keep(key, piece) => {
                let counters = &mut self.counters;
                let limits = &self.policy.fragments;
                self.fragments
                    .keep(limits, now, *key, piece, frame, |unfinished| {
                        counters.count_unfinished(&unfinished);
                        out.events.push(Event::Unfinished(unfinished));
                    });
            }
            Plan::Spoil(key, reason) => {
                let counters = &mut self.counters;
                let limits = &self.policy.fragments;
                self.fragments
                    .spoil(limits, now, *key, *reason, |unfinished| {
                        counters.count_unfinished(&unfinished);
                        out.events.push(Event::Unfinished(unfinished));
                    });
            }
            Plan::Answer(headers, answer) => {
                packet::complete_checksum(frame, headers);
                self.answer(now, arrival, frame, headers, *answer, out);
            }
            Plan::Told(session, notes) => self.tell(now, *session, std::mem::take(notes), out),
            Plan::HoldSyn(headers) => {
                packet::complete_checksum(frame, headers);
                self.held_syns.hold(now, arrival.zone, headers, frame);
            }
            Plan::Withheld(kind) => self.counters.count_withheld(*kind),
            Plan::Pass(headers, pass) => {
                self.pass((now, arrival), (frame, plain), headers, pass, out);
            }
            Plan::Open(headers, opening) => {
                self.open_session(now, (frame, plain), headers, opening, out);
            }
            Plan::Error(headers, pass) => forward_error(frame, headers, pass),
            Plan::Answered(answered) => {
                self.sessions
                    .prolong(answered.handle, answered.deadline, answered.probing);
            }
            Plan::LetBy(headers, leaves) => let_by(frame, headers, leaves.as_ref()),
        }
    }

    /// Sends something of the gateway's own back to where the packet came from.
    fn answer(
        &mut self,
        now: Timestamp,
        arrival: Arrival,
        frame: &[u8],
        headers: &Headers,
        answer: Answer,
        out: &mut Output,
    ) {
        let gateway = self.speaking_address(arrival.zone, headers);
        let complain = |complaint| packet::icmp_error(frame, headers, gateway?, complaint);
        let bytes = match answer {
            Answer::Echo => packet::echo_reply(frame, headers),
            Answer::Error(complaint) => complain(complaint),
            Answer::Refusal(_) | Answer::RefusalAsAddressed(_) if headers.tcp().is_some() => {
                packet::reset(headers)
            }
            Answer::Refusal(complaint) => complain(complaint),
            Answer::RefusalAsAddressed(complaint) => {
                packet::icmp_error(frame, headers, headers.destination, complaint)
            }
        };
        let Some(bytes) = bytes else { return };
        if let Some(kind) = answer.kind(headers) {
            let rates = &self.policy.answers;
            self.limiter.spend(rates, now, kind, headers.source);
        }
        out.made.push(Made {
            zone: arrival.zone,
            bytes,
        });
    }

    /// Tells the sender of a datagram for the gateway itself that it did not
    /// become whole in time, if its first piece is here (RFC 1122 section
    /// 3.3.2, RFC 8200 section 4.5). Of what only comes through, its receiver
    /// may tell.
    pub(super) fn tell_of(&mut self, late: &Late) -> Option<Made> {
        let (rates, target) = (&self.policy.answers, late.unfinished.source);
        let kind = AnswerKind::Error;
        if !self.policy.zones.is_own(late.unfinished.destination) {
            return None;
        }
        let answer = || {
            let frame = late.first_piece()?;
            let headers = Headers::read(&frame, false).ok()?;
            let gateway = self.speaking_address(late.zone, &headers)?;
            packet::icmp_error(&frame, &headers, gateway, Complaint::ReassemblyTime)
        };
        let bytes = answer()?;
        if !self.limiter.allows(rates, self.now, kind, target) {
            self.counters.count_withheld(kind);
            return None;
        }
        self.limiter.spend(rates, self.now, kind, target);
        Some(Made {
            zone: late.zone,
            bytes,
        })
    }

    fn pass(
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

    fn open_session(
        &mut self,
        now: Timestamp,
        (frame, plain): (&mut Vec<u8>, Option<&Plain>),
        headers: &Headers,
        opening: &mut Opening,
        out: &mut Output,
    ) {
        let Opening {
            ref origin,
            ref first,
            ref mut control,
            replaces,
            evicts,
            by,
        } = *opening;
        // Ends of what is over, and had no turn yet.
        if self.is_behind() {
            for tuple in [&origin.tuples.original, &origin.tuples.reply] {
                if let Some(over) = self.sessions.find_due(tuple) {
                    self.end_due(over, out);
                }
            }
        }
        // A mapping that lives by the session which makes room lives on.
        let makes_room = replaces.is_some() || evicts.is_some();
        if makes_room {
            self.sessions.reserve(origin, now);
        }
        if let Some(old) = replaces.and_then(|handle| self.end(handle, now)) {
            out.events.push(Event::Ended {
                at: now,
                session: old,
                ending: Ending::Replaced,
                packets: 0,
            });
        }
        if let Some(victim) = evicts.and_then(|handle| self.end(handle, now)) {
            self.counters.count_evicted(victim.standing());
            out.events.push(Event::Ended {
                at: now,
                session: victim,
                ending: Ending::Evicted,
                packets: 0,
            });
        }
        if let Admission::Expected(tuple, parent) = by {
            self.sessions.unexpect(&tuple);
            if let Some(parent) = self.controls.get_mut(&parent.id()) {
                parent.holes.retain(|own| *own != tuple);
            }
        }
        match by {
            Admission::Permit(_) => self.counters.count_translated(origin.nat),
            // Where it leads was said when the mapping was made.
            Admission::Mapped => self.counters.count_translated(NatRows {
                destination: None,
                ..origin.nat
            }),
            Admission::Expected(..) => {}
        }
        let handle = self.sessions.insert(origin, now, first);
        if let Admission::Expected(_, parent) = by
            && let Some(parent) = self.controls.get_mut(&parent.id())
        {
            let sessions = &self.sessions;
            parent
                .children
                .retain(|child| sessions.get(*child).is_some());
            parent.children.push(handle);
        }
        if makes_room {
            self.sessions.release(origin, now);
        }
        if let Some(rate) = self.policy.limits.per_source_rate
            && !matches!(by, Admission::Expected(..))
        {
            let source = origin.tuples.original.source.address;
            self.sessions.spend_of_source(source, rate, now);
        }
        let direction = first.direction;
        if let Some(kind) = origin.alg {
            let mut control = Control::new(kind, headers);
            control.synchronize(direction, headers, frame);
            control.handle = Some(handle);
            self.controls.insert(handle.id(), control);
        }
        for tuple in [&origin.tuples.original, &origin.tuples.reply] {
            self.held_syns.forget(tuple);
        }
        out.events.push(Event::Began(handle));
        self.write_notes(now, out);
        if let Some(mut step) = control.take() {
            self.carry_on(now, handle, &mut step, out);
            if let Some(control) = self.controls.get_mut(&handle.id()) {
                control.go_on(direction, headers, frame, Some(*step));
            }
        }
        frame.truncate(headers.length);
        packet::send_on(frame, headers, plain, &origin.outgoing(direction));
        if let Some(most) = origin.mss {
            packet::lower_mss(frame, headers, most.get());
        }
    }

    /// Takes a session away, and with it what hangs on it.
    pub(super) fn end(&mut self, handle: Handle, at: Timestamp) -> Option<Session> {
        let session = self.sessions.remove(handle, at)?;
        self.forget_control(&session);
        Some(session)
    }

    pub(super) fn forget_control(&mut self, session: &Session) {
        if session.origin.alg.is_some()
            && let Some(control) = self.controls.remove(&session.id)
        {
            for hole in &control.holes {
                self.sessions.unexpect(hole);
            }
        }
    }

    /// What an ALG has asked for comes to be, and what it has to tell is told.
    fn carry_on(
        &mut self,
        now: Timestamp,
        handle: Handle,
        step: &mut ControlStep,
        out: &mut Output,
    ) {
        for change in step.changes.drain(..) {
            match change {
                HoleChange::Expect(expected) => {
                    let expectation = expected.of(handle);
                    self.end_overdue_hole(&expectation.tuple, out);
                    self.sessions.expect(expectation);
                }
                HoleChange::Admit(tuple) => self.sessions.admit(&tuple),
                HoleChange::Withdraw(tuple) => {
                    self.sessions.unexpect(&tuple);
                }
            }
        }
        let notes = std::mem::take(&mut step.notes);
        self.tell(now, Some(handle.id()), notes, out);
    }

    /// Counts and passes on what an ALG has to tell.
    fn tell(
        &mut self,
        at: Timestamp,
        session: Option<SessionId>,
        notes: Vec<Note>,
        out: &mut Output,
    ) {
        for note in notes {
            if let Note::NotOpened { why, .. } = note {
                self.counters.count_not_opened(why);
            }
            out.events.push(Event::Alg { at, session, note });
        }
    }

    /// A control session that is ending announces nothing any more.
    fn close_holes(&mut self, control: SessionId) {
        if let Some(control) = self.controls.get_mut(&control) {
            for hole in control.holes.drain(..) {
                self.sessions.unexpect(&hole);
            }
        }
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

/// The first piece takes the packet's place, the others follow, before what
/// follows the packet.
fn leave_in_pieces(pieces: Vec<Vec<u8>>, frame: &mut Vec<u8>, out: &mut Output) {
    let mut pieces = pieces.into_iter();
    if let Some(first) = pieces.next() {
        *frame = first;
        out.more.splice(..0, pieces);
    }
}

fn let_by(frame: &mut Vec<u8>, headers: &Headers, leaves: Option<&Tuple>) {
    frame.truncate(headers.length);
    if let Some(leaves) = leaves {
        packet::translate(frame, headers, leaves);
    }
    packet::decrement_ttl(frame, headers);
}

fn forward_error(frame: &mut Vec<u8>, headers: &Headers, pass: &ErrorPass) {
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
