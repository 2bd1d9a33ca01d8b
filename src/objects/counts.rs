//! What the engine counted.

use serde::Serialize;

use crate::engine::Counters;

/// Packets by what came of them.
#[derive(Debug, Serialize)]
pub struct VerdictObject {
    table: &'static str,
    verdict: &'static str,
    reason: &'static str,
    packets: u64,
}

/// Something else that is counted.
#[derive(Debug, Serialize)]
pub struct CountObject {
    table: &'static str,
    what: &'static str,
    count: u64,
}

/// Packets by verdict and reason, those that there were.
pub fn verdict_objects(counters: &Counters) -> impl Iterator<Item = VerdictObject> {
    let verdicts = counters.verdicts();
    verdicts.map(|(verdict, reason, packets)| VerdictObject {
        table: "verdict",
        verdict,
        reason: reason.name(),
        packets,
    })
}

/// Sessions that made room, announcements that opened nothing, answers that were withheld.
pub fn count_objects(counters: &Counters) -> impl Iterator<Item = CountObject> {
    let object = |table, what, count| CountObject { table, what, count };
    let evicted = counters.evicted();
    let evicted = evicted.map(move |(standing, count)| object("evicted", standing.name(), count));
    let not_opened = counters.not_opened();
    let not_opened = not_opened.map(move |(check, count)| object("not-opened", check, count));
    let withheld = counters.withheld();
    let withheld = withheld.map(move |(kind, count)| object("withheld", kind.name(), count));
    evicted.chain(not_opened).chain(withheld)
}
