//! Network address translation: which addresses and ports a new session gets.
//!
//! Owns what the operator wrote about translation ([`NatPolicy`]) and the
//! choice of ports. It rewrites nothing: it answers with tuples, and `packet`
//! changes the bytes. It remembers nothing either: the session's reply tuple
//! in the table is what holds a port, and it is free again when the session ends.
//!
//! Destination translation (`inward`) comes before routing and rules, source
//! translation (`outward`) after them, as in Linux; so a rule sees the real
//! client and the real server.

mod concern;
mod deterministic;
mod inward;
mod outward;
mod policy;
mod pool;
mod ports;
mod reserved;
mod row;

pub use deterministic::Deterministic;
pub use inward::Inward;
pub use outward::{Outward, SourceChoice};
pub use policy::{
    Forward, Hairpin, NatPolicy, NoMapping, Pooling, PortChoice, PortOrder, Server, ServerPort,
    SourceNat, SourceTarget, Static,
};
pub use pool::{AddressRange, Pool, same_host};
pub use ports::{Search, Wish, ports_from};
