//! What holds for all packets and all sequences of them.
//!
//! Owns the laws of rewriting (there and back is identity; a checksum carried
//! along equals one computed anew), the agreement with other people's code
//! about what a packet says, and the invariants of the engine under anything
//! that can arrive. Packets come from etherparse; pnet checks their sums a
//! second time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // a test may fail so
#![allow(non_snake_case)] // two underscores end a requirement's ID in a test's name

#[path = "scenarios/other_packets.rs"]
#[allow(dead_code)] // the scenarios use more of it
mod other_packets;
#[path = "scenarios/packets.rs"]
#[allow(dead_code)] // the scenarios use more of it
mod packets;
#[path = "scenarios/seen.rs"]
#[allow(dead_code)]
mod seen;

#[path = "properties/any_backlog.rs"]
mod any_backlog;
#[path = "properties/any_beginning.rs"]
mod any_beginning;
#[path = "properties/any_crew.rs"]
mod any_crew;
#[path = "properties/any_cutting.rs"]
mod any_cutting;
#[path = "properties/any_packet.rs"]
mod any_packet;
#[path = "properties/any_reload.rs"]
mod any_reload;
#[path = "properties/any_restart.rs"]
mod any_restart;
#[path = "properties/any_segments.rs"]
mod any_segments;
#[path = "properties/any_sequence.rs"]
mod any_sequence;
#[path = "properties/any_translation.rs"]
mod any_translation;
#[path = "properties/crew_at_work.rs"]
mod crew_at_work;
#[path = "properties/honest_tcp.rs"]
mod honest_tcp;
#[path = "properties/model.rs"]
mod model;
#[path = "properties/reading.rs"]
mod reading;
#[path = "properties/rewriting.rs"]
mod rewriting;
#[path = "properties/short_way.rs"]
mod short_way;
