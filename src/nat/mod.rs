//! Network address translation: which addresses and ports a new session gets.
//!
//! Owns what the operator wrote about translation ([`NatPolicy`]) and the
//! choice of ports. It rewrites nothing: it answers with tuples, and `packet`
//! changes the bytes.

mod policy;

pub use policy::{Forward, NatPolicy, SourceNat, SourceTarget};
