//! What a session takes of memory, all told: both directions, translation, and
//! deadline; established TCP sessions, masqueraded.
//!
//! Two figures, because each alone deceives. *Asked for* counts the octets that
//! the engine has of the allocator: it includes room that nobody has used yet,
//! which costs no memory before it is used. *Resident* is what Linux gave this
//! process while the sessions began: it includes what the allocator keeps for
//! itself. *Peak* is the most that was resident meanwhile, when a table had
//! grown and the old one was not yet given back.
//!
//! ```text
//! cargo bench --bench memory
//! cargo bench --bench memory -- --sizes 64k,1m,10m
//! ```

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench fails loudly"
)]

#[path = "../tests/flood/allocations.rs"]
mod allocations;
mod yard;

use std::process::Command;

use allocations::live_octets;
use yard::gate::Gate;
use yard::options::{Options, shown};
use yard::resident::{forget_peak, peak, resident};
use yard::traffic::{Kind, Traffic};

fn main() {
    let options = Options::read(&["sizes", "sessions", "share"]);
    if options.text("sessions").is_some() {
        return measure(options.number("sessions", 0), options.number("share", 1));
    }
    println!("octets for each established session, masqueraded TCP");
    println!(
        "{:>10} {:>10}  {:>10} {:>10} {:>10}",
        "sessions", "clients", "asked for", "resident", "peak"
    );
    for sessions in options.numbers("sizes", "64k,1m") {
        for share in [1, 16] {
            alone(sessions, share);
        }
    }
    let session = size_of::<spigate::session::Session>();
    println!("`Session` itself has {session} octets");
}

/// Measures in a process of its own, to which nobody has given back memory.
fn alone(sessions: u32, share: u32) {
    let this = std::env::current_exe().expect("this program has a file");
    let words = [
        "--sessions",
        &sessions.to_string(),
        "--share",
        &share.to_string(),
    ]
    .map(str::to_owned);
    let status = Command::new(this).args(words).status();
    assert!(status.expect("this program runs").success());
}

/// Each client has so many sessions.
fn measure(sessions: u32, share: u32) {
    let mut gate = Gate::new("sessions = 16_777_216");
    // What a conversation takes of the bench itself is there before.
    let mut traffic = Traffic::new(Kind::Tcp, 64).with_sessions_a_client(share);
    traffic.make_room(sessions);
    forget_peak();
    let (asked, had) = (live_octets(), resident());
    traffic.establish(&mut gate, sessions, |_, _| {});
    let each = |octets: usize| octets as f64 / f64::from(sessions);
    let (asked, most, had) = (live_octets() - asked, peak() - had, resident() - had);
    assert_eq!(gate.engine.sessions().len(), sessions as usize);
    println!(
        "{:>10} {:>10}  {:>10.1} {:>10.1} {:>10.1}",
        shown(sessions),
        shown(sessions / share),
        each(asked),
        each(had),
        each(most)
    );
}
