//! What an operator is told where no public endpoint is to be had (RFC 6888
//! REQ-11): at once, and then not more than once a minute for each row and reason.

use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;

use super::Reason;
use crate::net::{Protocol, RowId, Timestamp};
use crate::session::TupleHash;

/// How long nothing more is said of the same.
const PAUSE: Duration = Duration::from_secs(60);

/// A connection for which there was no public endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// Why.
    pub reason: Reason,
    /// The row of source translation that had none for it.
    pub row: Option<RowId>,
    /// Who wanted it.
    pub client: IpAddr,
    /// The transport protocol.
    pub protocol: Protocol,
}

#[derive(Debug, Clone, Copy, Default)]
struct Alarm {
    silent_until: Timestamp,
    packets: u64,
}

/// When what was said last.
#[derive(Debug)]
pub(super) struct Alarms {
    alarms: HashMap<(Option<RowId>, Reason), Alarm, TupleHash>,
}

impl Alarms {
    pub(super) fn new(hash: TupleHash) -> Self {
        Self {
            alarms: HashMap::with_hasher(hash),
        }
    }

    /// Counts one more; how many there were since it was told last, if it is to
    /// be told now.
    pub(super) fn sound(&mut self, shortage: &Shortage, now: Timestamp) -> Option<u64> {
        let key = (shortage.row, shortage.reason);
        let alarm = self.alarms.entry(key).or_default();
        alarm.packets += 1;
        if alarm.silent_until > now {
            return None;
        }
        alarm.silent_until = now.after(PAUSE);
        Some(std::mem::take(&mut alarm.packets))
    }
}
