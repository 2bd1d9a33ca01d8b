//! A session begins.

use super::super::control::Control;
use super::super::decide::{Admission, Opening};
use super::super::{Ending, Engine, Event, Output};
use crate::net::{NatRows, Timestamp};
use crate::packet::{self, Headers, Plain};
use crate::session::{Handle, Origin};

impl Engine {
    pub(super) fn open_session(
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
        if !matches!(by, Admission::Expected(..)) {
            self.spend_of_source(origin, now);
        }
        let direction = first.direction;
        if let Some(kind) = origin.alg {
            let mut control = Control::new(kind, headers);
            control.synchronize(direction, headers, frame);
            control.handle = Some(handle);
            self.controls.insert(handle.id(), control);
        }
        self.has_begun(now, origin, handle, out);
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

    /// One session more comes from its source.
    #[inline]
    pub(in crate::engine) fn spend_of_source(&mut self, origin: &Origin, now: Timestamp) {
        if let Some(rate) = self.policy.limits.per_source_rate {
            let source = origin.tuples.original.source.address;
            self.sessions.spend_of_source(source, rate, now);
        }
    }

    /// What else there is to do, and to tell, of a session that begins.
    #[inline]
    pub(in crate::engine) fn has_begun(
        &mut self,
        now: Timestamp,
        origin: &Origin,
        handle: Handle,
        out: &mut Output,
    ) {
        for tuple in [&origin.tuples.original, &origin.tuples.reply] {
            self.held_syns.forget(tuple);
        }
        out.events.push(Event::Began(handle));
        self.write_notes(now, out);
    }
}
