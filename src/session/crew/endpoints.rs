//! Public endpoints among the workers of a crew: who has which, for whom, and to whom
//! their clients have spoken.

use dashmap::mapref::entry::Entry;

use super::together::Together;
use super::{Entered, Post};
use crate::net::{Endpoint, Far, WorkerId};
use crate::session::accounts::Public;
use crate::session::mapping::{Mapping, Socket};

/// Who has a public endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holders {
    workers: Together,
    usage: Usage,
}

/// What they have it for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Usage {
    /// Sessions share it, each towards its far end.
    Shared,
    /// It belongs to one socket.
    Own(Mapping),
    /// Nobody has it any more, and nobody may have it yet.
    Resting,
}

impl Post {
    /// The mapping that has this one, and a worker that has sessions by it.
    pub(crate) fn mapping_of(&self, public: Public) -> Option<(Mapping, WorkerId)> {
        let holders = self.crew.endpoints.get(&public)?;
        let worker = match holders.workers.has(self.worker) {
            true => self.worker,
            false => holders.workers.first(),
        };
        match holders.usage {
            Usage::Own(mapping) => Some((mapping, worker)),
            Usage::Shared | Usage::Resting => None,
        }
    }

    /// Whether sessions of this worker may share it.
    pub(in crate::session) fn may_share(&self, public: Public) -> bool {
        let holders = self.crew.endpoints.get(&public);
        holders.is_none_or(|holders| {
            matches!(holders.usage, Usage::Shared) || holders.is_only(self.worker)
        })
    }

    /// Whether no other worker has it.
    pub(in crate::session) fn may_own(&self, public: Public) -> bool {
        let holders = self.crew.endpoints.get(&public);
        holders.is_none_or(|holders| holders.is_only(self.worker))
    }

    /// Sessions of this worker share it.
    pub(in crate::session) fn share(&self, public: Public) -> Entered {
        self.hold(public, Usage::Shared)
    }

    /// It is one socket's. Another worker may have sessions by the same mapping.
    pub(in crate::session) fn own(&self, mapping: Mapping) -> Entered {
        self.hold((mapping.protocol, mapping.outside), Usage::Own(mapping))
    }

    fn hold(&self, public: Public, usage: Usage) -> Entered {
        match self.crew.endpoints.entry(public) {
            Entry::Vacant(free) => {
                self.is_a_sockets(&usage);
                let workers = Together::only(self.worker);
                free.insert(Holders { workers, usage });
                Entered::Had
            }
            Entry::Occupied(mut holders) => {
                let holders = holders.get_mut();
                let is_the_same = match (&holders.usage, &usage) {
                    (Usage::Shared, Usage::Shared) => true,
                    (Usage::Own(known), Usage::Own(own)) => {
                        (known.inside, known.row) == (own.inside, own.row)
                    }
                    _ => false,
                };
                if !is_the_same && holders.is_only(self.worker) {
                    // Its own table has let it.
                    self.is_no_sockets(&holders.usage);
                    self.is_a_sockets(&usage);
                    holders.usage = usage;
                    return Entered::Had;
                }
                if !is_the_same {
                    return Entered::Refused;
                }
                holders.workers = holders.workers.with(self.worker);
                Entered::Had
            }
        }
    }

    fn is_a_sockets(&self, usage: &Usage) {
        if let Usage::Own(mapping) = usage {
            let (socket, outside) = (mapping.socket(), mapping.outside);
            self.crew.sockets.insert(socket, outside);
        }
    }

    fn is_no_sockets(&self, usage: &Usage) {
        if let Usage::Own(mapping) = usage {
            let outside = mapping.outside;
            let is_this = |_: &Socket, public: &Endpoint| *public == outside;
            self.crew.sockets.remove_if(&mapping.socket(), is_this);
        }
    }

    /// The mapping that a socket has, by sessions of any worker.
    pub(in crate::session) fn of_socket(&self, socket: &Socket) -> Option<Mapping> {
        let outside = *self.crew.sockets.get(socket)?;
        Some(self.mapping_of((socket.0, outside))?.0)
    }

    /// Whether the client of this endpoint has spoken to somebody, by sessions of any worker.
    pub(in crate::session) fn has_contact(&self, public: Public, far: Far) -> bool {
        self.crew.contacts.contains_key(&(public, far))
    }

    pub(in crate::session) fn add_contact(&self, public: Public, far: Far) {
        *self.crew.contacts.entry((public, far)).or_default() += 1;
    }

    pub(in crate::session) fn take_contact(&self, public: Public, far: Far) {
        if let Entry::Occupied(mut count) = self.crew.contacts.entry((public, far)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// It rests again as it did before this worker was there, unless somebody has it.
    pub(in crate::session) fn lay_down(&self, public: Public) -> Entered {
        self.hold(public, Usage::Resting)
    }

    /// Nobody has it any more, and nobody may have it yet.
    pub(in crate::session) fn rest(&self, public: Public) {
        if let Entry::Occupied(mut entry) = self.crew.endpoints.entry(public)
            && entry.get().is_only(self.worker)
        {
            self.is_no_sockets(&entry.get().usage);
            entry.get_mut().usage = Usage::Resting;
        }
    }

    /// This worker has no sessions by it any more.
    pub(in crate::session) fn let_go(&self, public: Public) {
        let Entry::Occupied(mut entry) = self.crew.endpoints.entry(public) else {
            return;
        };
        let holders = entry.get_mut();
        holders.workers = holders.workers.without(self.worker);
        if holders.workers.is_nobody() {
            let usage = holders.usage;
            entry.remove();
            self.is_no_sockets(&usage);
        }
    }
}

impl Holders {
    fn is_only(&self, worker: WorkerId) -> bool {
        self.workers == Together::only(worker)
    }
}
