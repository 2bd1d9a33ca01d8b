//! What the sender of a connection is told that finds no place.

use super::diagnostic::Problems;
use super::names;
use super::table::{self, Row};
use crate::nat::NoMapping;

const WORDS: [(&str, NoMapping); 3] = [
    ("silent", NoMapping::Silent),
    ("host-unreachable", NoMapping::HostUnreachable),
    ("prohibited", NoMapping::Prohibited),
];

/// Reads what is said; `None` where the row says nothing of it.
pub(super) fn to_sender(row: &Row<'_>, key: &str, problems: &mut Problems) -> Option<NoMapping> {
    let value = row.get(key)?;
    let expected = "\"silent\", \"host-unreachable\" or \"prohibited\"";
    let word = table::text(value, expected, problems)?;
    names::choose(&word, &WORDS, "answer", problems)
}
