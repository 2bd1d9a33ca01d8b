//! Least privilege: what the gateway gives up once its devices are open.
//!
//! Whoever takes over a gateway by a packet should have got a program that can do
//! nothing but forward: no files but a few, no programs, no new devices, no capability.
//! What each layer gives up:
//!
//! | | the packet loop | the thread that waits | the device helper, a process of its own |
//! | --- | --- | --- | --- |
//! | capabilities (`privileges`) | none | `CAP_NET_ADMIN`: it undoes what it did to the host | `CAP_NET_ADMIN` |
//! | user (`privileges`) | the one that is named | the same | the same, if that one may open `/dev/net/tun` |
//! | files (`files`, Landlock) | as the next | the [`Confinement`]'s, and the settings of networks | `/dev/net/tun` |
//! | system calls (`calls`, seccomp) | reading, writing, waiting, memory | all but those that reach for power | what opening a device takes |
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

/// Confines the device helper, the calling thread: it can open TUN devices, and send them to
/// whoever is at the other end of a socket that it has. It becomes `user`, where one is named
/// that may do so; else it stays who it is, without what that one may do besides.
///
/// # Errors
/// As [`confine`].
pub fn confine_helper(user: Option<User>) -> Result<Vec<Missing>, GatewayError> {
    let user = user.filter(|user| files::may_make_devices(*user));
    privileges::keep_network_only(user).map_err(GatewayError::process("give up privileges"))?;
    let mut missing = Vec::new();
    if !files::restrict_to_devices().map_err(GatewayError::process("restrict files"))? {
        missing.push(Missing::Landlock);
    }
    if !calls::allow_opening().map_err(GatewayError::process("restrict system calls"))? {
        missing.push(Missing::Seccomp);
    }
    Ok(missing)
}

/// Leaves the calling thread, and those that it starts afterwards, no capability: for a
/// program that has nothing to undo at its end.
///
/// # Errors
/// They could not be given up.
pub fn keep_no_capability() -> Result<(), GatewayError> {
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
