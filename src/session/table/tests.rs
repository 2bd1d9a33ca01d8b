//! The table alone, without an engine.

use super::*;
use crate::net::{NatRows, Protocol, Timestamp, ZoneId};
use crate::session::state::FlowState;
use crate::session::tcp::Heard;
use crate::session::tracker::Tracked;

const TRACKED: Tracked = Tracked::Flow(FlowState::Unreplied);

fn origin(port: u16) -> Origin {
    let tuple = Tuple::new(
        Protocol::UDP,
        format!("10.0.0.7:{port}").parse().unwrap(),
        "198.51.100.9:53".parse().unwrap(),
    );
    let mut reply = tuple.reversed();
    reply.destination = format!("203.0.113.2:{port}").parse().unwrap();
    Origin {
        tuples: PerDirection {
            original: tuple,
            reply,
        },
        egress: PerDirection {
            original: ZoneId(1),
            reply: ZoneId(0),
        },
        rule: None,
        nat: NatRows::default(),
        service: None,
        lifetime: LifetimeId::default(),
        alg: None,
        parent: None,
        claims: PerDirection::default(),
        mss: None,
    }
}

/// One packet of a hundred octets.
fn packet(direction: Direction, deadline: Timestamp) -> Update {
    Update {
        direction,
        tracked: TRACKED,
        heard: Heard::OneEnd,
        deadline,
        bytes: 100,
    }
}

fn begin(table: &mut Sessions, port: u16, deadline: u64) -> Handle {
    table.insert(
        &origin(port),
        at(0),
        &packet(Direction::Original, at(deadline)),
    )
}

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

#[test]
fn a_session_is_found_by_both_of_its_tuples_until_it_is_removed() {
    let mut table = Sessions::new(1);
    let handles: Vec<_> = (0..1000).map(|port| begin(&mut table, port, 30)).collect();
    for (port, handle) in (0u16..).zip(&handles) {
        for direction in Direction::BOTH {
            let (found, session, way) = table.lookup(&origin(port).tuples[direction]).unwrap();
            assert_eq!((found, way), (*handle, direction));
            assert_eq!(session.id, handle.id());
        }
    }
    assert!(table.remove(handles[3], at(0)).is_some());
    assert!(table.remove(handles[3], at(0)).is_none());
    assert!(!table.is_taken(&origin(3).tuples.original));
    assert!(!table.is_taken(&origin(3).tuples.reply));
    assert_eq!(table.len(), 999);
    // Another session in the same slot is not reached by the old handle.
    let newer = begin(&mut table, 3, 30);
    assert!(table.get(handles[3]).is_none());
    assert_eq!(table.get(newer).unwrap().id, SessionId(1001));
}

#[test]
fn whoever_goes_from_page_to_page_meets_each_session_once() {
    let mut table = Sessions::new(1);
    let walk = |table: &mut Sessions, meanwhile: &dyn Fn(&mut Sessions)| {
        let (mut met, mut next) = (Vec::new(), Some(PageStart::default()));
        while let Some(from) = next {
            let (page, rest) = table.page(from, 7);
            assert!(page.len() <= 7);
            met.extend(page.iter().map(|session| session.id.0));
            next = rest;
            meanwhile(table);
        }
        met.sort_unstable();
        met
    };
    assert_eq!(walk(&mut table, &|_| ()), [0; 0]);
    let handles: Vec<_> = (0..100).map(|port| begin(&mut table, port, 30)).collect();
    for handle in handles.iter().step_by(2) {
        let _ = table.remove(*handle, at(0));
    }
    let odd: Vec<_> = (1..=100).filter(|id| id % 2 == 0).collect();
    assert_eq!(walk(&mut table, &|_| ()), odd);
    // Others that end and begin meanwhile may be met, and change nothing about these.
    let met = walk(&mut table, &|table| {
        let port = u16::try_from(table.next_id().0).unwrap();
        let _ = begin(table, 1000 + port, 30);
    });
    assert!(odd.iter().all(|id| met.contains(id)));
    assert!(met.is_sorted_by(|one, next| one < next));
}

#[test]
fn sessions_end_in_the_order_in_which_they_are_due() {
    let mut table = Sessions::new(1);
    let a = begin(&mut table, 1, 30);
    let b = begin(&mut table, 2, 20);
    let c = begin(&mut table, 3, 10);
    let later = |deadline| packet(Direction::Reply, deadline);
    table.update(c, &later(at(25))); // moved away: the queue learns it late
    table.update(a, &later(at(15))); // moved nearer: the queue learns it at once
    assert_eq!(table.pop_expired(at(9)), None);
    let ended: Vec<_> =
        std::iter::from_fn(|| table.pop_expired(at(100)).map(|(handle, _)| handle)).collect();
    assert_eq!(ended, [a, b, c]);
    assert!(table.is_empty());
    assert_eq!(table.next_deadline(), None);
}

#[test]
fn a_session_that_goes_on_does_not_end() {
    let mut table = Sessions::new(1);
    let handle = begin(&mut table, 1, 30);
    for second in 1..100 {
        table.update(handle, &packet(Direction::Original, at(second + 30)));
        assert_eq!(table.pop_expired(at(second)), None);
    }
    assert_eq!(table.get(handle).unwrap().counters.original.packets, 100);
    assert_eq!(
        table.pop_expired(at(129)).map(|(handle, _)| handle),
        Some(handle)
    );
}
