//! Why an interface cannot be listened to: one clear line for each.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// Why an interface cannot be listened to, or not any more.
#[derive(Debug)]
pub enum ListenError {
    /// There is no such interface.
    Unknown {
        /// The name that was given.
        name: String,
        /// Those that there are.
        present: Vec<String>,
    },
    /// It is the loopback interface.
    Loopback {
        /// The interface.
        name: String,
    },
    /// Nothing is known about IP on links of this kind.
    Link {
        /// The interface.
        name: String,
        /// The kind, as the kernel numbers them (`ARPHRD_…`).
        hardware: u16,
    },
    /// It could not be opened.
    Open {
        /// The interface.
        name: String,
        /// What the kernel said.
        cause: io::Error,
    },
    /// It is not there any more.
    Gone {
        /// The interface.
        name: String,
    },
    /// It could not be read on.
    Read {
        /// The interface.
        name: String,
        /// What the kernel said.
        cause: io::Error,
    },
    /// A thread could not be started.
    Thread(io::Error),
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open { cause, .. } | Self::Read { cause, .. } | Self::Thread(cause) => {
                Some(cause)
            }
            Self::Unknown { .. }
            | Self::Loopback { .. }
            | Self::Link { .. }
            | Self::Gone { .. } => None,
        }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, present } => {
                write!(f, "there is no interface `{name}`")?;
                match nearest(name, present) {
                    Some(near) => write!(f, "; did you mean `{near}`?"),
                    None if present.is_empty() => f.write_str(", nor any other"),
                    None => write!(f, "; there are {}", present.join(", ")),
                }
            }
            Self::Loopback { name } => write!(
                f,
                "cannot watch `{name}`: what crosses the loopback interface crosses no gateway"
            ),
            Self::Link { name, hardware } => write!(
                f,
                "cannot watch `{name}`: nothing is known about IP on links of hardware type \
                 {hardware}"
            ),
            Self::Open { name, cause } => {
                write!(f, "cannot listen on `{name}`: {}", plain(cause))?;
                match Errno::from_io_error(cause) {
                    Some(Errno::PERM | Errno::ACCESS) => f.write_str(
                        " (needs CAP_NET_RAW: run as root, or see docs/watch.md for other ways)",
                    ),
                    _ => Ok(()),
                }
            }
            Self::Gone { name } => write!(f, "the interface `{name}` is gone"),
            Self::Read { name, cause } => {
                write!(f, "cannot listen on `{name}` any more: {}", plain(cause))
            }
            Self::Thread(cause) => write!(f, "cannot start a thread: {}", plain(cause)),
        }
    }
}

/// The interface that was most likely meant.
fn nearest<'a>(name: &str, present: &'a [String]) -> Option<&'a String> {
    let near = present
        .iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .filter(|(distance, other)| *distance <= 2 && *distance < other.chars().count());
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// The kernel's words without Rust's `(os error 1)`.
fn plain(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(name: &str, present: &[&str]) -> String {
        let present = present.iter().map(|&name| name.to_owned()).collect();
        let name = name.to_owned();
        ListenError::Unknown { name, present }.to_string()
    }

    #[test]
    fn an_interface_that_is_not_there_is_guessed_or_others_are_named() {
        assert_eq!(
            unknown("etho", &["lo", "eth0"]),
            "there is no interface `etho`; did you mean `eth0`?"
        );
        assert_eq!(
            unknown("wlan0", &["lo", "eth0"]),
            "there is no interface `wlan0`; there are lo, eth0"
        );
        assert_eq!(
            unknown("x", &[]),
            "there is no interface `x`, nor any other"
        );
    }

    #[test]
    fn who_may_not_listen_is_told_what_to_do() {
        let error = ListenError::Open {
            name: "eth0".into(),
            cause: Errno::PERM.into(),
        };
        assert_eq!(
            error.to_string(),
            "cannot listen on `eth0`: Operation not permitted \
             (needs CAP_NET_RAW: run as root, or see docs/watch.md for other ways)"
        );
    }
}
