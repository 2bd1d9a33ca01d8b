//! Rule files in other firewalls' words.
//!
//! Owns the translation of a compiled policy into an nftables ruleset that
//! treats connections alike, and the list of what has no equivalent there. It
//! refuses to leave something out in silence: a row that nftables cannot say
//! is named, and stands in the ruleset as a comment. It runs no program, and
//! knows nothing of the host that the ruleset is for.
//!
//! ```text
//! Compiled --conditions: alternatives of one nft rule each--> chains, sets, objects
//!                                                   '-------> what has no equivalent
//! ```

mod conditions;
mod lifetimes;
mod limits;
mod nftables;
mod segments;
mod translations;
mod zones;

pub use nftables::nftables;

/// A ruleset, and what it does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The ruleset.
    pub text: String,
    /// What has no equivalent, a line each; empty where all of it has.
    pub missing: Vec<String>,
}
