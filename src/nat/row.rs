//! The rows of the translation lists by their places.

use super::policy::NatPolicy;

/// A row of a translation list, by its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NatRow {
    /// Of `nat.source`.
    Source(usize),
    /// Of `nat.forward`.
    Forward(usize),
    /// Of `nat.static`.
    Static(usize),
}

impl NatPolicy {
    /// The name of a row; empty for a place that none has.
    #[must_use]
    pub fn name(&self, row: NatRow) -> &str {
        let name = match row {
            NatRow::Source(n) => self.source.get(n).map(|row| &row.name),
            NatRow::Forward(n) => self.forwards.get(n).map(|row| &row.name),
            NatRow::Static(n) => self.statics.get(n).map(|row| &row.name),
        };
        name.map_or("", String::as_str)
    }
}
