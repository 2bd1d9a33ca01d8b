//! What the gateway knows outlives it: the state file.
//!
//! Owns the file, when it is written and by what it is read. At the start the engine goes
//! on by it. It is written when the gateway has ended, when somebody asks for it, and
//! again and again, if that is wanted. While packets pass it is collected by errands, a
//! part each, so that it stops no packet; what that means for what is in it, `engine/snapshot`
//! says.
//!
//! **All or nothing.** It is written beside its place, and takes it when all of it is on the
//! disk: whatever fails, the one before stays. One that cannot be read is set aside under
//! another name, and the gateway begins with nothing.
//!
//! **Which moment it is of.** Whoever goes on by a file first writes into it that packets pass
//! since, so that it is not taken for the present state by the one who begins after a
//! crash.

mod boot;
mod file;
mod keeper;
mod resume;
mod told;

pub(super) use keeper::{Keeper, NotSaved};
pub(super) use resume::resume;
pub(super) use told::{Saved, StateObject, States};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::boot::Boot;
use self::file::StateFile;

/// The file in which the state is kept, at the start and afterwards.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    file: Arc<StateFile>,
    boot: Boot,
}

/// Where the state is kept, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePlace {
    /// The file.
    pub file: PathBuf,
    /// How long after one save the next one begins; `None`: only at the end and when
    /// asked.
    pub every: Option<Duration>,
}
