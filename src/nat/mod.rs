//! Network address translation: which addresses and ports a new session gets.
//!
//! Owns what the operator wrote about translation ([`NatPolicy`]) and the
//! choice of ports. It rewrites nothing: it answers with tuples, and `packet`
//! changes the bytes. It remembers nothing either: the session's reply tuple
//! in the table is what holds a port, and it is free again when the session ends.
//!
//! Destination translation comes before routing and rules, source translation
//! after them, as in Linux; so a rule sees the real client and the real server.

mod choose;
mod policy;

pub use choose::{Row, SourceChoice, ports_from, unique_source};
pub use policy::{Forward, NatPolicy, SourceNat, SourceTarget};
