//! Files, by Landlock: what is not allowed is refused, whoever's it is.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, RulesetStatus, path_beneath_rules,
};

use super::{Confinement, User};

/// What this program knows of Landlock; a kernel that knows less does what it can.
const KNOWN: ABI = ABI::V6;

/// Where the settings of networks are, some of which are set back at the end.
const SETTINGS: &str = "/proc/sys/net";
/// Where TUN devices come from.
const TUN: &str = "/dev/net/tun";

/// Leaves what the confinement says. Gives whether the kernel does all of it.
pub(super) fn restrict(confinement: &Confinement) -> io::Result<bool> {
    let restricted = try_restrict(confinement).map_err(io::Error::other)?;
    Ok(restricted == RulesetStatus::FullyEnforced)
}

/// Whether this user may make TUN devices, as far as the mode of what makes them says:
/// where no udev has set it, root alone may.
pub(super) fn may_make_devices(user: User) -> bool {
    fs::metadata(TUN).is_ok_and(|tun| {
        let bits = match () {
            () if tun.uid() == user.uid => 0o600,
            () if tun.gid() == user.gid => 0o060,
            () => 0o006,
        };
        tun.mode() & bits == bits
    })
}

/// Leaves what makes TUN devices, and nothing else. Gives whether the kernel does all of it.
pub(super) fn restrict_to_devices() -> io::Result<bool> {
    let restricted = try_restrict_to_devices().map_err(io::Error::other)?;
    Ok(restricted == RulesetStatus::FullyEnforced)
}

fn try_restrict_to_devices() -> Result<RulesetStatus, RulesetError> {
    let opening = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules([TUN], opening))?
        .restrict_self()?;
    Ok(restricted.ruleset)
}

fn try_restrict(confinement: &Confinement) -> Result<RulesetStatus, RulesetError> {
    let all = AccessFs::from_all(KNOWN);
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    let setting = AccessFs::ReadFile | AccessFs::WriteFile;
    // Not to start programs, nor to make devices.
    let keeping =
        all & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    // Paths that are not there allow nothing.
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .create()?
        .add_rules(path_beneath_rules(&confinement.reads, reading))?
        .add_rules(path_beneath_rules(&confinement.writes, keeping))?
        .add_rules(path_beneath_rules([SETTINGS], setting))?
        .restrict_self()?;
    Ok(restricted.ruleset)
}
