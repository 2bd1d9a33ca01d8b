//! Least privilege: what the gateway gives up once its devices are open.
//!
//! Whoever takes over a gateway by a packet should have got a program that can do
//! nothing but forward: no files but a few, no programs, no new devices, no capability.
//! What each layer gives up:
//!
//! | | the packet loop | the thread that waits |
//! | --- | --- | --- |
//! | capabilities (`privileges`) | none | `CAP_NET_ADMIN`: at the end it undoes what it did to the host |
//! | user (`privileges`) | the one that is named | the same |
//! | files (`files`, Landlock) | as the other | the [`Confinement`]'s, and the settings of networks |
//! | system calls (`calls`, seccomp) | reading, writing, waiting, memory | all but those that reach for power |
//!
//! In this order: each layer needs what the next takes away. A kernel without Landlock
//! or seccomp is told of, and the gateway runs without.

mod calls;
mod files;
mod privileges;

use std::fmt;
use std::path::PathBuf;

use super::GatewayError;

/// What a confined gateway may still reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Whom it becomes.
    pub user: Option<User>,
    /// Files and directories that it may read, with all below them.
    pub reads: Vec<PathBuf>,
    /// Directories in which it may make, change and remove files.
    pub writes: Vec<PathBuf>,
}

/// A user by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct User {
    /// The user's number.
    pub uid: u32,
    /// The number of the user's group.
    pub gid: u32,
}

/// A layer that this kernel does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Landlock, or a part of it.
    Landlock,
    /// seccomp on this processor.
    Seccomp,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Landlock => "Landlock keeps it from few or no files",
            Self::Seccomp => "seccomp keeps it from no system calls",
        })
    }
}

/// Confines the calling thread, and those that it starts afterwards. To be called while
/// there is no other.
///
/// # Errors
/// Privileges could not be given up; what the kernel does not have is no error, and
/// told.
pub fn confine(confinement: &Confinement) -> Result<Vec<Missing>, GatewayError> {
    privileges::keep_network_only(confinement.user)
        .map_err(GatewayError::process("give up privileges"))?;
    let mut missing = Vec::new();
    if !files::restrict(confinement).map_err(GatewayError::process("restrict files"))? {
        missing.push(Missing::Landlock);
    }
    if !calls::refuse_power().map_err(GatewayError::process("restrict system calls"))? {
        missing.push(Missing::Seccomp);
    }
    Ok(missing)
}

/// Leaves the calling thread without capabilities: it opens and writes files, those that the
/// process may.
///
/// # Errors
/// As [`confine`].
pub fn confine_writer() -> Result<(), GatewayError> {
    privileges::keep_none().map_err(GatewayError::process("give up capabilities"))
}

/// Leaves the calling thread reading, writing and waiting, which is all that moving
/// packets needs. Its devices and files have to be open.
///
/// # Errors
/// As [`confine`].
pub fn confine_worker() -> Result<(), GatewayError> {
    privileges::keep_none().map_err(GatewayError::process("give up capabilities"))?;
    calls::allow_forwarding().map_err(GatewayError::process("restrict system calls"))?;
    Ok(())
}
