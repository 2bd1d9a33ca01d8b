//! Scenarios: hosts and a firewall in memory, told as transcripts.
//!
//! Owns the outcome of whole packet exchanges: what leaves, byte for byte, by
//! which zone, with which words, and what must stay as it was. It refuses to
//! look inside the engine: a scenario sees what a host on the wire, an
//! operator reading explanations, and the session table show.
//!
//! [`lab`] is the bench, [`packets`] what hosts send (built by etherparse, not
//! by the code under test), [`seen`] what leaves (read by etherparse,
//! strictly), [`wants`] what a scenario expects of it, [`dialogue`] a TCP
//! connection whose two ends keep their own numbers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)] // a test may fail so
#![allow(non_snake_case)] // two underscores end a requirement's ID in a test's name

mod bad_packets;
mod dialogue;
mod lab;
mod other_packets;
mod packets;
mod pick_up;
mod policies;
mod seen;
mod wants;

mod answer_rates;
mod checksums;
mod expiry;
mod explain;
mod forwards;
mod fragments;
mod ftp_active;
mod ftp_admission;
mod ftp_passive;
mod ftp_pieces;
mod ftp_rules;
mod ftp_sides;
mod ftp_stream;
mod ftp_windows;
mod ftp_written;
mod icmp_errors;
mod icmp_queries;
mod icmp_quotes;
mod invalid;
mod ipv6;
mod lifetimes;
mod limits;
mod mss;
mod nat_behaviour;
mod nat_carrier;
mod nat_kinds;
mod nat_limits;
mod nat_quota;
mod nat_reserved;
mod nat_source;
mod operator;
mod other_protocols;
mod profile_rfc;
mod reasons;
mod refusals;
mod reload;
mod restart;
mod sctp;
mod selftests;
mod super_segments;
mod tcp_lenient;
mod tcp_life;
mod tcp_lifetimes;
mod tcp_options;
mod tcp_resets;
mod tcp_resync;
mod tcp_segments;
mod tcp_windows;
mod tftp;
mod udp;
mod unsolicited;
