//! What can keep the gateway from running: one clear line for each, with the
//! thing, the cause and, where one is known, what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use rustix::io::Errno;

use super::control::ControlTrouble;
use super::devices::Origin;
use super::metrics::MetricsAddress;
use crate::net::Workers;

/// Why the gateway could not start, or had to stop.
#[derive(Debug)]
pub enum GatewayError {
    /// A TUN device could not be made or taken over.
    Device {
        /// The device.
        name: String,
        /// Whether one of this name was there before.
        origin: Origin,
        /// How many queues it was to have.
        workers: Workers,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The host's network could not be set up around a device.
    Routing {
        /// What was tried, as the end of "cannot …".
        what: String,
        /// What the kernel said.
        cause: io::Error,
    },
    /// A device went away under the running gateway.
    DeviceGone {
        /// The device.
        name: String,
    },
    /// Something of the process itself failed: a thread, a signal handler, poll.
    Process {
        /// What was tried, as the end of "cannot …".
        what: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The control socket cannot be had.
    Control {
        /// Where.
        path: PathBuf,
        /// Why.
        trouble: ControlTrouble,
    },
    /// Metrics cannot be served.
    Metrics {
        /// Where.
        address: MetricsAddress,
        /// What the kernel said.
        cause: io::Error,
    },
    /// There can be no state file at that place.
    State {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The packet loop died of a bug of ours.
    LoopPanicked,
}

impl GatewayError {
    /// Makes the error of a step that set up the host's network.
    pub(super) fn routing(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |cause| Self::Routing { what, cause }
    }

    /// Makes the error of a step of the process itself.
    pub(super) fn process(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Process { what, cause }
    }
}

impl fmt::Display for GatewayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device {
                name,
                origin,
                workers,
                cause,
            } => {
                let what = match origin {
                    Origin::Made => "make the TUN device",
                    Origin::TakenOver => "take over the device",
                };
                write!(f, "cannot {what} `{name}`: {}", plain(cause))?;
                hint(f, device_hint(*origin, *workers, cause))
            }
            Self::Routing { what, cause } => {
                write!(f, "cannot {what}: {}", plain(cause))?;
                hint(f, routing_hint(cause))
            }
            Self::DeviceGone { name } => {
                write!(f, "the TUN device `{name}` is gone: somebody deleted it")
            }
            Self::Process { what, cause } => write!(f, "cannot {what}: {}", plain(cause)),
            Self::Control { path, trouble } => {
                write!(f, "cannot have the control socket {}: ", path.display())?;
                match trouble {
                    ControlTrouble::InUse => f.write_str(
                        "another gateway has it (name another by --control, or take --no-control)",
                    ),
                    ControlTrouble::NotASocket => {
                        f.write_str("there is something of this name, and it is no socket")
                    }
                    ControlTrouble::NoGroup(name) => write!(f, "there is no group `{name}`"),
                    ControlTrouble::Step(what, cause) => {
                        write!(f, "cannot {what}: {}", plain(cause))
                    }
                }
            }
            Self::Metrics { address, cause } => {
                write!(f, "cannot serve metrics at {address}: {}", plain(cause))
            }
            Self::State { path, cause } => {
                write!(
                    f,
                    "cannot have the state in {}: {}",
                    path.display(),
                    plain(cause)
                )
            }
            Self::LoopPanicked => f.write_str("the packet loop died of a bug; please report it"),
        }
    }
}

impl std::error::Error for GatewayError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Device { cause, .. }
            | Self::Routing { cause, .. }
            | Self::Process { cause, .. }
            | Self::Metrics { cause, .. }
            | Self::State { cause, .. }
            | Self::Control {
                trouble: ControlTrouble::Step(_, cause),
                ..
            } => Some(cause),
            Self::Control { .. } | Self::DeviceGone { .. } | Self::LoopPanicked => None,
        }
    }
}

/// The kernel's words without Rust's `(os error 1)`.
fn plain(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

fn hint(f: &mut fmt::Formatter<'_>, hint: Option<&str>) -> fmt::Result {
    hint.map_or(Ok(()), |hint| write!(f, " ({hint})"))
}

const NEEDS_PRIVILEGE: &str = "needs CAP_NET_ADMIN: run as root, or see docs/run.md for other ways";

fn device_hint(origin: Origin, workers: Workers, cause: &io::Error) -> Option<&'static str> {
    match (Errno::from_io_error(cause)?, origin) {
        (Errno::PERM | Errno::ACCESS, _) => Some(NEEDS_PRIVILEGE),
        (Errno::BUSY, _) => Some("another program has it open"),
        (Errno::INVAL, Origin::TakenOver) if workers == Workers::ONE => {
            Some("it is not a TUN device with one queue")
        }
        (Errno::INVAL, Origin::TakenOver) => Some(
            "it is not a TUN device with several queues: make it by \
             `ip tuntap add dev NAME mode tun multi_queue`, or take --workers 1",
        ),
        (Errno::TOOBIG, _) => Some("the kernel gives a device no more queues"),
        (Errno::INVAL, Origin::Made) => Some("the kernel refuses the name"),
        (Errno::NOENT | Errno::NXIO | Errno::NODEV, _) => {
            Some("there is no /dev/net/tun: try `modprobe tun`")
        }
        _ => None,
    }
}

fn routing_hint(cause: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(cause)? {
        Errno::PERM => Some(NEEDS_PRIVILEGE),
        Errno::ACCESS => Some("is IPv6 switched off on this host?"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_with_thing_cause_and_help() {
        let error = GatewayError::Device {
            name: "lan0".into(),
            origin: Origin::Made,
            workers: Workers::ONE,
            cause: Errno::PERM.into(),
        };
        assert_eq!(
            error.to_string(),
            "cannot make the TUN device `lan0`: Operation not permitted \
             (needs CAP_NET_ADMIN: run as root, or see docs/run.md for other ways)"
        );
        let error = GatewayError::Device {
            name: "lan0".into(),
            origin: Origin::TakenOver,
            workers: Workers::ONE,
            cause: Errno::BUSY.into(),
        };
        assert_eq!(
            error.to_string(),
            "cannot take over the device `lan0`: Device or resource busy \
             (another program has it open)"
        );
        let error = GatewayError::Device {
            name: "lan0".into(),
            origin: Origin::TakenOver,
            workers: Workers::new(2).unwrap(),
            cause: Errno::INVAL.into(),
        };
        assert_eq!(
            error.to_string(),
            "cannot take over the device `lan0`: Invalid argument \
             (it is not a TUN device with several queues: make it by \
             `ip tuntap add dev NAME mode tun multi_queue`, or take --workers 1)"
        );
        let error = GatewayError::routing("route 10.0.0.0/24 into `lan0`")(Errno::EXIST.into());
        assert_eq!(
            error.to_string(),
            "cannot route 10.0.0.0/24 into `lan0`: File exists"
        );
    }
}
