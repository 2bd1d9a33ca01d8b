//! What is kept of a session.

use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use super::census::Standing;
use super::mappings::Claim;
use super::probing::Probing;
use super::state::{SessionId, State};
use super::tcp::Heard;
use super::tracker::Tracked;
use crate::net::{
    AlgKind, Direction, LifetimeId, NatRows, PerDirection, ServiceId, Timestamp, Tuple, ZoneId,
};

/// Packets and octets of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct Counter {
    /// Packets that passed.
    pub packets: u64,
    /// Their octets, from the IP header on, as they arrived.
    pub bytes: u64,
}

/// What is fixed when a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The tuples of arriving packets: the first packet's, and that of the
    /// answers. What a packet becomes on its way out is the reverse of the
    /// other direction's tuple.
    pub tuples: PerDirection<Tuple>,
    /// The zone that packets of each direction leave by.
    pub egress: PerDirection<ZoneId>,
    /// The place of the rule that let it in; `None`: the default policy.
    pub rule: Option<u16>,
    /// The rows that translate it; those of its control session, where one
    /// announced it.
    pub nat: NatRows,
    /// Its service.
    pub service: Option<ServiceId>,
    /// How long it lives.
    pub lifetime: LifetimeId,
    /// The ALG that reads it.
    pub alg: Option<AlgKind>,
    /// The control session that announced it.
    pub parent: Option<SessionId>,
    /// What it holds of a public endpoint: of the client's, of the server's.
    pub claims: PerDirection<Option<Claim>>,
    /// The most that its SYNs may announce as maximum segment size.
    pub mss: Option<NonZeroU16>,
}

impl Origin {
    /// What a packet travelling in `direction` becomes on its way out.
    #[must_use]
    pub fn outgoing(&self, direction: Direction) -> Tuple {
        self.tuples[!direction].reversed()
    }
}

/// One tracked conversation, as it stood when it was asked for: the table keeps it
/// in fewer octets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// What was fixed when it began.
    pub origin: Origin,
    /// What tracking knows of it.
    pub tracked: Tracked,
    /// Whether both ends have been heard.
    pub heard: Heard,
    /// When it began.
    pub began: Timestamp,
    /// When it ends unless another packet comes.
    pub deadline: Timestamp,
    /// Whether its ends are being asked if they are still there.
    pub probing: Option<Probing>,
    /// What passed in each direction.
    pub counters: PerDirection<Counter>,
    /// As what the census counts it; its state says so.
    #[serde(skip)]
    pub(super) standing: Standing,
}

impl Session {
    /// Its state.
    #[must_use]
    pub fn state(&self) -> State {
        self.tracked.state()
    }

    /// More of it may have passed than is known.
    pub(crate) fn left_behind(&mut self) {
        if let Tracked::Tcp(connection) = &mut self.tracked {
            *connection = connection.left_behind();
        }
        self.probing = None;
    }

    /// What it is worth when there is no room.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing
    }
}

/// What one packet does to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    /// The way it travels.
    pub direction: Direction,
    /// What tracking knows from now on.
    pub tracked: Tracked,
    /// Whether both ends have been heard by now.
    pub heard: Heard,
    /// When the session ends unless another packet comes.
    pub deadline: Timestamp,
    /// The packet's length in octets.
    pub bytes: usize,
}
