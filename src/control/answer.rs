//! What frames an answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::VERSION;

/// The first line of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The version of the protocol.
    #[serde(rename = "spigate-control")]
    pub protocol: u32,
    /// The version of the program.
    pub version: String,
}

impl Greeting {
    /// That of this program.
    #[must_use]
    pub fn own() -> Self {
        Self {
            protocol: VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The last line of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "kebab-case")]
pub enum End {
    /// What was asked for is done, or told.
    Ok,
    /// It is not.
    Error(Refused),
}

/// Why a request was not answered, and in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Why.
    pub error: Refusal,
    /// The same for people.
    pub message: String,
}

/// Why a request was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// It is no request, or asks for what there is not.
    BadRequest,
    /// Its line is too long.
    TooLong,
    /// The client may not ask for this.
    NotAllowed,
    /// This gateway cannot do it.
    NotAvailable,
    /// There are as many clients, or captures, as there may be.
    Busy,
    /// It was tried, and failed.
    Failed,
    /// The gateway is stopping.
    Stopping,
}

impl Refused {
    /// A refusal with its words.
    #[must_use]
    pub fn new(error: Refusal, message: impl Into<String>) -> Self {
        Self {
            error,
            message: message.into(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_answer_says_which_end_it_is() {
        let ok = serde_json::to_string(&End::Ok).unwrap();
        assert_eq!(ok, r#"{"end":"ok"}"#);
        let refused = End::Error(Refused::new(Refusal::NotAllowed, "no"));
        let text = serde_json::to_string(&refused).unwrap();
        assert_eq!(
            text,
            r#"{"end":"error","error":"not-allowed","message":"no"}"#
        );
        assert_eq!(serde_json::from_str::<End>(&text).unwrap(), refused);
    }
}
