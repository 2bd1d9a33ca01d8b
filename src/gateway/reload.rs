//! Reload: the rule file is read again, and takes over while traffic goes on.
//!
//! Owns the way from the file to the engine: reading and compiling it beside the packet
//! loops, what may not change while the gateway runs, and the errand that swaps it in
//! between two bursts of packets. All or nothing: a file that is wrong, or that wants
//! another host around the gateway, changes nothing. Where there are several workers, each
//! takes over the same successor, and so the same numbers of rows; some packets later than
//! another.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::life::Life;
use super::workforce::Workforce;
use crate::config::{self, Colour, Device, Report};
use crate::engine::{Policy, Successor, Unfit};

/// Has the rule file take over again, for whoever asks.
pub(super) struct Reloader {
    file: PathBuf,
    workforce: Workforce,
    life: Arc<Life>,
    /// One reload after the other.
    in_force: Mutex<InForce>,
}

/// What the gateway runs by.
struct InForce {
    policy: Arc<Policy>,
    devices: Arc<[Device]>,
    /// The file as it was when it was read last, whatever came of it.
    seen: Option<Stamp>,
}

/// A rule file as it was read.
#[derive(Debug)]
pub struct RuleFile {
    path: PathBuf,
    seen: Option<Stamp>,
    pub(super) policy: Arc<Policy>,
    pub(super) devices: Vec<Device>,
}

impl RuleFile {
    /// Reads and compiles the rule file at this path.
    ///
    /// # Errors
    /// Why it cannot be read, or all that is wrong with it.
    pub fn read(path: &Path) -> Result<Self, Report> {
        // Before it is read: what changes meanwhile is to be seen as a change.
        let seen = Stamp::of(path);
        let compiled = config::load(path)?;
        Ok(Self {
            path: path.to_owned(),
            seen,
            policy: Arc::new(compiled.policy),
            devices: compiled.devices,
        })
    }
}

/// By what a file is known to be the same as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// That of the file at this path; `None` where there is none.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let known = fs::metadata(file).ok()?;
        Some(Self {
            device: known.dev(),
            inode: known.ino(),
            length: known.size(),
            changed: (known.mtime(), known.mtime_nsec()),
        })
    }
}

/// A rule file that has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reloaded {
    /// How many rules it has.
    pub(super) rules: usize,
    /// How many rows of translation.
    pub(super) translations: usize,
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rules,
            translations,
        } = self;
        write!(
            f,
            "rules reloaded: {rules} rules, {translations} translations"
        )
    }
}

/// Why a rule file has not taken over. The one before is in force as it was.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It cannot be read, or something is wrong with it.
    File(Box<Report>),
    /// It wants something that does not change while the gateway runs.
    NeedsRestart(Restart),
    /// The gateway ends.
    Stopping,
}

/// What does not change while the gateway runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Restart {
    /// What the engine cannot change.
    Engine(Unfit),
    /// A device comes or goes.
    Devices,
    /// Something about a device.
    Device(String, DevicePart),
}

/// What the host knows of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DevicePart {
    Zones,
    Mtu,
    HostAddresses,
    Routes,
    Interfaces,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(report) => f.write_str(report.render(Colour::Plain).trim_end()),
            Self::NeedsRestart(what) => write!(f, "needs a restart: {what}"),
            Self::Stopping => f.write_str("the gateway is stopping"),
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, part) = match self {
            Self::Engine(unfit) => return unfit.fmt(f),
            Self::Devices => return f.write_str("there are other devices"),
            Self::Device(name, part) => (name, part),
        };
        let part = match part {
            DevicePart::Zones => "has other zones",
            DevicePart::Mtu => "has another `mtu`",
            DevicePart::HostAddresses => "has another `host-address`",
            DevicePart::Routes => "has other routes (`address`, `routes`)",
            DevicePart::Interfaces => "has other `interfaces`",
        };
        write!(f, "the device `{name}` {part}")
    }
}

impl Reloader {
    /// One for the gateway that runs by this file by this workforce; what comes of it
    /// is a part of its `life`.
    pub(super) fn new(file: RuleFile, workforce: Workforce, life: Arc<Life>) -> Self {
        let in_force = InForce {
            policy: file.policy,
            devices: file.devices.into(),
            seen: file.seen,
        };
        Self {
            file: file.path,
            workforce,
            life,
            in_force: Mutex::new(in_force),
        }
    }

    /// The rule file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// The file as it was when it was read last.
    pub(super) async fn seen(&self) -> Option<Stamp> {
        self.in_force.lock().await.seen
    }

    /// Reads the rule file, and has it take over: all sessions live on, and what begins
    /// afterwards begins by it.
    ///
    /// # Errors
    /// It cannot take over, and nothing has changed.
    pub(super) async fn reload(&self) -> Result<Reloaded, Refusal> {
        let came = self.try_reload().await;
        self.life.reloaded(&came);
        came
    }

    async fn try_reload(&self) -> Result<Reloaded, Refusal> {
        let mut in_force = self.in_force.lock().await;
        // Before it is read: what changes meanwhile is to be seen as a change.
        in_force.seen = Stamp::of(&self.file);
        let (file, policy) = (self.file.clone(), Arc::clone(&in_force.policy));
        let devices = Arc::clone(&in_force.devices);
        let prepared = spawn_blocking(move || prepare(&file, &policy, &devices)).await;
        // It is cancelled only where the runtime ends.
        let successor = prepared.map_err(|_| Refusal::Stopping)??;
        let policy = Arc::clone(successor.policy());
        let swap = move |inside: &mut super::errands::Inside<'_>| {
            inside.engine.reload(successor, inside.now)
        };
        let swapped = self.workforce.ask_all(swap).await;
        // Nobody else reloads: that one of them is overtaken cannot be.
        let (first, others) = swapped.map_err(|_| Refusal::Stopping)?;
        for before in std::iter::once(first).chain(others) {
            drop(before.map_err(|_| Refusal::Stopping)?);
        }
        let reloaded = Reloaded {
            rules: policy.rules.iter().count(),
            translations: policy.nat.rows().count(),
        };
        in_force.policy = policy;
        Ok(reloaded)
    }
}

/// Reads and compiles a rule file that is to take the place of `policy`.
fn prepare(file: &Path, policy: &Arc<Policy>, devices: &[Device]) -> Result<Successor, Refusal> {
    let compiled = config::load(file).map_err(|report| Refusal::File(Box::new(report)))?;
    let successor = Successor::new(compiled.policy, policy)
        .map_err(|unfit| Refusal::NeedsRestart(Restart::Engine(unfit)))?;
    match difference(devices, &compiled.devices) {
        Some(what) => Err(Refusal::NeedsRestart(what)),
        None => Ok(successor),
    }
}

/// What of the devices is to be otherwise.
fn difference(old: &[Device], new: &[Device]) -> Option<Restart> {
    let names = |devices: &[Device]| -> Vec<String> {
        let mut names: Vec<_> = devices.iter().map(|device| device.name.clone()).collect();
        names.sort();
        names
    };
    if names(old) != names(new) {
        return Some(Restart::Devices);
    }
    old.iter().find_map(|old| {
        let new = new.iter().find(|new| new.name == old.name)?;
        let parts = [
            (DevicePart::Zones, old.zones != new.zones),
            (DevicePart::Mtu, old.mtu != new.mtu),
            (
                DevicePart::HostAddresses,
                old.host_addresses != new.host_addresses,
            ),
            (DevicePart::Routes, old.routes != new.routes),
            (DevicePart::Interfaces, old.interfaces != new.interfaces),
        ];
        let (part, _) = parts.into_iter().find(|(_, differs)| *differs)?;
        Some(Restart::Device(old.name.clone(), part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24", interfaces = ["eth1"] }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
"#;

    /// Why the changed rules are refused; empty where they are not.
    fn refusal(from: &str, to: &str) -> String {
        let compile = |rules: &str| config::compile(Path::new("rules.toml"), rules).unwrap();
        assert!(RULES.contains(from));
        let (old, new) = (compile(RULES), compile(&RULES.replace(from, to)));
        let unfit = Successor::new(new.policy, &Arc::new(old.policy)).err();
        let what = unfit.map(Restart::Engine);
        let what = what.or_else(|| difference(&old.devices, &new.devices));
        what.map_or(String::new(), |what| {
            Refusal::NeedsRestart(what).to_string()
        })
    }

    #[test]
    fn what_the_host_knows_of_devices_needs_a_restart() {
        assert_eq!(refusal("10.0.0.0/24", "10.0.0.0/16"), "");
        for (from, to, why) in [
            (
                "lan =",
                "office =",
                "the zones are others, or stand in another order",
            ),
            ("\"wan0\"", "\"wan1\"", "there are other devices"),
            ("\"wan0\"", "\"lan0\"", "there are other devices"),
            (
                "\"wan0\",",
                "\"wan0\", mtu = 1400,",
                "the device `wan0` has another `mtu`",
            ),
            ("eth1", "eth2", "the device `lan0` has other `interfaces`"),
            (
                "203.0.113.2",
                "203.0.113.3",
                "the device `wan0` has other routes (`address`, `routes`)",
            ),
        ] {
            assert_eq!(refusal(from, to), format!("needs a restart: {why}"));
        }
    }
}
