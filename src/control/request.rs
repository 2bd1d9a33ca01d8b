//! Requests.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{PacketFilter, Refusal, Refused, SessionFilter};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Sessions, each by both tuples.
    Sessions {
        /// Which.
        #[serde(default, skip_serializing_if = "SessionFilter::is_empty")]
        filter: SessionFilter,
        /// In which order; `None`: as they come, which is how all of a large table are had.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sort: Option<Sort>,
        /// How many at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<Limit>,
    },
    /// Sessions that begin and end, as it happens, until the client says anything else.
    Watch {
        /// Which.
        #[serde(default, skip_serializing_if = "SessionFilter::is_empty")]
        filter: SessionFilter,
    },
    /// That sessions end.
    Kill {
        /// Which; an empty filter is refused.
        filter: SessionFilter,
        /// What their ends hear of it.
        #[serde(default)]
        tell: Tell,
    },
    /// Which public endpoint stands for which inside socket.
    Mappings {},
    /// What clients have of public addresses.
    Leases {},
    /// Data sessions that are awaited.
    Expectations {},
    /// Rules with their hits.
    Rules {},
    /// Rows of translation with their hits.
    Nat {},
    /// What came of packets, and what happened at the devices.
    Counters {},
    /// How long sessions live.
    Timeouts {},
    /// Who moves packets, and how much there is.
    Workers {},
    /// All that is counted, in Prometheus's text format.
    Metrics {},
    /// That no new session begins.
    Drain {},
    /// That sessions begin again.
    Undrain {},
    /// That the gateway logs by this filter, as `RUST_LOG` has it.
    Log {
        /// The filter.
        level: String,
    },
    /// That packets are written to a file.
    CaptureStart {
        /// The file, which must not be there yet, by its whole path on the gateway's host.
        file: PathBuf,
        /// Which packets.
        #[serde(default, skip_serializing_if = "PacketFilter::is_empty")]
        filter: PacketFilter,
        /// How large the file may become.
        #[serde(default)]
        size: CaptureSize,
    },
    /// How far the capture is.
    CaptureStatus {},
    /// That it ends.
    CaptureStop {},
    /// That the state is saved.
    Save {},
    /// That the rule file is read anew.
    Reload {},
    /// Versions, and since when the gateway runs.
    Version {},
}

/// The order of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// As they began.
    Id,
    /// Those with the most octets first.
    Bytes,
    /// Those with the most packets first.
    Packets,
    /// The oldest first.
    Age,
    /// Those that end next first.
    Left,
}

/// How many objects at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limit(pub NonZeroU32);

impl Limit {
    /// The most that are put in order.
    pub const MOST_SORTED: usize = 100_000;
    /// As many as are put in order where nothing is said.
    pub const USUAL: usize = 1_000;

    /// The number.
    #[must_use]
    pub fn get(self) -> usize {
        usize::try_from(self.0.get()).unwrap_or(usize::MAX)
    }
}

/// What the ends of a killed session hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tell {
    /// Nothing.
    #[default]
    Nobody,
    /// Those of a TCP session a RST.
    Reset,
}

/// How large a capture may become, in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CaptureSize(pub u64);

impl Default for CaptureSize {
    fn default() -> Self {
        Self(64 << 20)
    }
}

/// Who may ask for something, from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Who may see what is there.
    Look,
    /// Who may change what the gateway does.
    Change,
    /// Who may have the gateway write files.
    Own,
}

impl Request {
    /// Reads a line.
    ///
    /// # Errors
    /// Why it is no request, in words.
    pub fn read(line: &[u8]) -> Result<Self, Refused> {
        let bad = |message: String| Refused::new(Refusal::BadRequest, message);
        let request = serde_json::from_slice(line).map_err(|error| bad(error.to_string()))?;
        match &request {
            Self::Kill { filter, .. } if filter.is_empty() => {
                Err(bad("kill: which sessions? All are `id=1..`".to_owned()))
            }
            Self::CaptureStart { file, .. } if !file.is_absolute() => Err(bad(
                "capture-start: `file` has to be a whole path".to_owned(),
            )),
            _ => Ok(request),
        }
    }

    /// The line that asks for it, without its end.
    ///
    /// # Errors
    /// It names a file that no JSON can name.
    pub fn to_line(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// Who may ask for it.
    #[must_use]
    pub fn access(&self) -> Access {
        match self {
            Self::Sessions { .. }
            | Self::Watch { .. }
            | Self::Mappings {}
            | Self::Leases {}
            | Self::Expectations {}
            | Self::Rules {}
            | Self::Nat {}
            | Self::Counters {}
            | Self::Timeouts {}
            | Self::Workers {}
            | Self::Metrics {}
            | Self::CaptureStatus {}
            | Self::Version {} => Access::Look,
            Self::Kill { .. }
            | Self::Drain {}
            | Self::Undrain {}
            | Self::Log { .. }
            | Self::Save {}
            | Self::Reload {} => Access::Change,
            Self::CaptureStart { .. } | Self::CaptureStop {} => Access::Own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(line: &str) -> String {
        Request::read(line.as_bytes()).unwrap_err().message
    }

    #[test]
    fn a_request_reads_as_it_is_written() {
        for line in [
            r#"{"request":"sessions"}"#,
            r#"{"request":"sessions","filter":"proto=tcp src=10.0.0.0/24","sort":"bytes","limit":20}"#,
            r#"{"request":"watch","filter":"dport=443"}"#,
            r#"{"request":"kill","filter":"id=7","tell":"reset"}"#,
            r#"{"request":"mappings"}"#,
            r#"{"request":"log","level":"spigate=debug"}"#,
            r#"{"request":"capture-start","file":"/tmp/x.pcapng","filter":"verdict=drop","size":1000}"#,
            r#"{"request":"reload"}"#,
        ] {
            let request = Request::read(line.as_bytes()).unwrap();
            assert_eq!(serde_json::to_string(&request).unwrap(), line);
        }
    }

    #[test]
    fn what_is_no_request_is_refused_in_words() {
        insta::assert_snapshot!(
            [
                "",
                "garbage",
                "[]",
                r#"{"request":"session"}"#,
                r#"{"request":"rules","filter":"x"}"#,
                r#"{"request":"sessions","filter":"proto=tpc"}"#,
                r#"{"request":"sessions","limit":0}"#,
                r#"{"request":"sessions","sort":"size"}"#,
                r#"{"request":"kill"}"#,
                r#"{"request":"kill","filter":""}"#,
                r#"{"request":"capture-start","file":"x.pcapng"}"#,
            ]
            .map(refusal)
            .join("\n")
        );
    }
}
