//! spigate: a stateful firewall and NAT gateway that you can replay.
//!
//! A packet's way through the rooms is drawn in `docs/architecture.md`; read
//! [`engine::Engine::packet`] first.

pub mod alg;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
pub mod engine;
pub mod export;
pub mod expression;
pub mod gateway;
pub mod journal;
pub mod nat;
pub mod net;
pub mod objects;
pub mod packet;
pub mod rules;
pub mod session;
pub mod state;
