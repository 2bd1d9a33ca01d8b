//! State files: what is written is read, and what is not what was written is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "a test fails by panicking; the bodies of the fuzz targets are public in their own crate"
)]

#[path = "../fuzz/src/state.rs"]
#[allow(dead_code, reason = "the fuzz target uses more of it")]
mod bodies;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use spigate::engine::{Engine, Meanwhile};
use spigate::state::{self, STANDING_AT, Standing, Unreadable, VERSION};

/// A morning, with something of everything that is remembered.
const SCRIPT: &str = r#"lan udp 10.0.0.7:5000 > 198.51.100.1:5300
wait 31
lan tcp 10.0.0.7:51000 > 198.51.100.21:21 syn
wan tcp 198.51.100.21:21 > 203.0.113.2:51000 syn ack ack-number 1
lan tcp 10.0.0.7:51000 > 198.51.100.21:21 ack seq 1 ack-number 1
wan tcp 198.51.100.21:21 > 203.0.113.2:51000 ack psh seq 1 ack-number 1 payload "220 ready\r\n"
lan tcp 10.0.0.7:51000 > 198.51.100.21:21 ack psh seq 1 ack-number 12 payload "USER u\r\n"
wan tcp 198.51.100.21:21 > 203.0.113.2:51000 ack psh seq 12 ack-number 9 payload "230 in\r\n"
lan tcp 10.0.0.7:51000 > 198.51.100.21:21 ack psh seq 9 ack-number 20 payload "PORT 10,0,0,7,200,10\r\n"
wan tcp 198.51.100.21:21 > 203.0.113.2:51000 ack psh seq 20 ack-number 34 payload "200 ok\r\n"
wan tcp 198.51.100.21:20 > 203.0.113.2:51210 syn
lan tcp 10.0.0.7:51000 > 198.51.100.21:21 ack psh seq 31 ack-number 28 payload "PORT 10,0,0,7,200,11\r\n"
lan tcp 10.0.0.7:51000 > 198.51.100.21:21 ack psh seq 53 ack-number 28 payload "PORT 10,0,"
wan tcp 198.51.100.9:4000 > 203.0.113.2:21 syn
dmz tcp 10.0.9.21:21 > 198.51.100.9:4000 syn ack ack-number 1
lan udp 10.0.0.7:5000 > 198.51.100.1:5301
lan udp 10.0.0.200:6000 > 198.51.100.1:5301
lan tcp 10.0.0.200:6001 > 198.51.100.1:80 syn
lan udp 10.0.0.7:2000 > 198.51.100.21:69 payload "\0\x01file\0octet\0"
lan icmp 10.0.0.7 > 198.51.100.1 echo-request
lan udp [2001:db8:10::7]:7000 > [2001:db8:ff::9]:53
dmz sctp 10.0.9.30:8000 > 198.51.100.2:8001 init
"#;

fn sample() -> Engine {
    bodies::lived(SCRIPT)
}

fn there(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn refusal(file: &[u8]) -> Unreadable {
    state::decode(file).expect_err("it is refused")
}

#[test]
fn the_sample_has_something_of_everything() {
    let engine = sample();
    let sessions = engine.sessions();
    let tuples = sessions
        .sorted()
        .into_iter()
        .map(|s| s.origin.tuples.original.to_string());
    assert_eq!(sessions.len(), 10, "{:#?}", tuples.collect::<Vec<_>>());
    assert_eq!(sessions.expectations().len(), 2);
    assert_eq!(sessions.mappings().at_rest(), 1);
    assert_eq!(sessions.mappings().sorted().len(), 1);
    assert!(sessions.mappings().blocks().in_use() > 0);
}

/// Whoever changes how anything is written down makes it another version of the format:
/// `UPDATE_STATE=1 cargo test --test state` writes the file of that.
#[test]
fn this_version_is_written_as_it_always_was() {
    let (golden, seed) = (
        there(&format!("tests/fixtures/state-{VERSION}")),
        there("fuzz/seeds/state/morning"),
    );
    let file = bodies::file(&sample());
    if std::env::var_os("UPDATE_STATE").is_some() {
        fs::write(&golden, &file).unwrap();
        fs::create_dir_all(seed.parent().unwrap()).unwrap();
        fs::write(&seed, state::body(&file)).unwrap();
    }
    let known = fs::read(golden).unwrap();
    assert!(known == file, "another layout: see `VERSION`");
    assert_eq!(state::body(&known), fs::read(seed).unwrap());
    let restored = bodies::restored(state::decode(&known).unwrap(), Meanwhile::Nothing);
    let (restored, sample) = (restored.unwrap(), sample());
    let ids = |engine: &Engine| -> Vec<_> {
        let all = engine.sessions().sorted().into_iter();
        all.map(|session| (session.id, session.origin, session.tracked))
            .collect()
    };
    assert_eq!(ids(&restored), ids(&sample));
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let file = bodies::file(&sample());
    assert_eq!(refusal(&[]), Unreadable::Empty);
    for length in 1..file.len() {
        let why = refusal(&file[..length]);
        assert!(
            matches!(why, Unreadable::Cut | Unreadable::NotOurs),
            "{length}: {why}"
        );
    }
    let longer = [&file[..], &[0]].concat();
    assert_eq!(refusal(&longer), Unreadable::TooLong);
}

#[test]
fn a_file_with_one_wrong_octet_is_refused() {
    let file = bodies::file(&sample());
    for place in 0..file.len() {
        for wrong in [0x01, 0x80, 0xff] {
            let mut file = file.clone();
            file[place] ^= wrong;
            refusal(&file);
        }
    }
}

#[test]
fn another_version_and_another_order_of_octets_are_refused() {
    let mut file = bodies::file(&sample());
    file[8..12].copy_from_slice(&(VERSION + 1).to_le_bytes());
    assert_eq!(refusal(&file), Unreadable::Version(VERSION + 1));
    file[8..12].copy_from_slice(&VERSION.to_be_bytes());
    assert_eq!(refusal(&file), Unreadable::Version(VERSION.swap_bytes()));
    assert_eq!(refusal(b"version = 1\n[zones]\n"), Unreadable::NotOurs);
    assert_eq!(
        refusal(&file).to_string(),
        "it is of version 16777216 of the format, not 1"
    );
}

#[test]
fn lengths_that_are_claimed_take_no_memory() {
    // A part of sessions, of which there are said to be 2^64 - 1.
    let most = [0xff; 9].into_iter().chain([1]);
    let body: Vec<u8> = std::iter::once(0).chain(most).collect();
    let file = state::seal(&body, Standing::AtRest);
    assert_eq!(refusal(&file), Unreadable::Malformed);
    // Of resting ports.
    let body = [&[1], &body[1..]].concat();
    assert_eq!(
        refusal(&state::seal(&body, Standing::AtRest)),
        Unreadable::Malformed
    );
    assert_eq!(
        refusal(&state::seal(&[], Standing::AtRest)),
        Unreadable::Malformed
    );
}

#[test]
fn the_word_says_what_has_passed_and_is_changed_in_place() {
    let mut file = bodies::file(&sample());
    assert_eq!(state::decode(&file).unwrap().standing, Standing::AtRest);
    let word = Standing::Passing.word();
    file[STANDING_AT..STANDING_AT + word.len()].copy_from_slice(&word);
    assert_eq!(state::decode(&file).unwrap().standing, Standing::Passing);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// As the fuzz target, from the sample on.
    #[test]
    fn what_somebody_has_changed_is_refused_or_in_order(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let file = bodies::file(&sample());
        let mut body = state::body(&file).to_vec();
        for (place, octet) in changes {
            let place = place.index(body.len());
            body[place] = octet;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        bodies::run(&body);
    }
}
