//! The client's end of the control socket.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::control::{End, Greeting, Refused, Request, VERSION};

/// A gateway that is asked.
pub(super) struct Client {
    from: BufReader<UnixStream>,
    to: UnixStream,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody is there.
    Connect(io::Error),
    /// It has gone away.
    Lost(io::Error),
    /// It speaks another language.
    Foreign,
    /// It speaks another version of the protocol.
    Version(u32),
    /// It refuses.
    Refused(Refused),
    /// What it says cannot be shown.
    Output(io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "{} (does `spigate run` run?)", plain(error)),
            Self::Lost(error) => write!(f, "the gateway is gone: {}", plain(error)),
            Self::Foreign => f.write_str("this is no gateway's control socket"),
            Self::Version(version) => write!(
                f,
                "the gateway speaks version {version} of the protocol, this program version {VERSION}"
            ),
            Self::Refused(refused) => refused.fmt(f),
            Self::Output(error) => error.fmt(f),
        }
    }
}

impl Client {
    pub(super) fn connect(path: &Path) -> Result<Self, Trouble> {
        let to = UnixStream::connect(path).map_err(Trouble::Connect)?;
        let from = to.try_clone().map_err(Trouble::Connect)?;
        let mut client = Self {
            from: BufReader::new(from),
            to,
        };
        let line = client.line()?;
        let greeting: Greeting = serde_json::from_str(&line).map_err(|_| Trouble::Foreign)?;
        match greeting.protocol {
            VERSION => Ok(client),
            other => Err(Trouble::Version(other)),
        }
    }

    /// Asks, and gives every object of the answer to `show`, with its line.
    pub(super) fn ask(
        &mut self,
        request: &Request,
        mut show: impl FnMut(&str, Value) -> io::Result<()>,
    ) -> Result<(), Trouble> {
        let mut line = request
            .to_line()
            .map_err(|error| Trouble::Lost(error.into()))?;
        line.push(b'\n');
        // One that turns its clients away says why, and does not read.
        let _ = self.to.write_all(&line);
        loop {
            let line = self.line()?;
            let object: Value = serde_json::from_str(&line).map_err(|_| Trouble::Foreign)?;
            if object.get("end").is_none() {
                show(line.trim_end(), object).map_err(Trouble::Output)?;
                continue;
            }
            return match serde_json::from_value(object).map_err(|_| Trouble::Foreign)? {
                End::Ok => Ok(()),
                End::Error(refused) => Err(Trouble::Refused(refused)),
            };
        }
    }

    fn line(&mut self) -> Result<String, Trouble> {
        let mut line = String::new();
        match self.from.read_line(&mut line) {
            Ok(0) => Err(Trouble::Lost(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(line),
            Err(error) => Err(Trouble::Lost(error)),
        }
    }
}

/// The kernel's words without Rust's `(os error 1)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
