//! The rows of the translation lists by their names.

use super::policy::NatPolicy;
use crate::net::NatRow;

impl NatPolicy {
    /// The name of a row; empty for a place that none has.
    #[must_use]
    pub fn name(&self, row: NatRow) -> &str {
        let name = match row {
            NatRow::Source(n) => self.source.get(usize::from(n)).map(|row| &row.name),
            NatRow::Forward(n) => self.forwards.get(usize::from(n)).map(|row| &row.name),
            NatRow::Static(n) => self.statics.get(usize::from(n)).map(|row| &row.name),
        };
        name.map_or("", String::as_str)
    }

    /// All rows, in the order in which the lists are asked.
    pub fn rows(&self) -> impl Iterator<Item = NatRow> {
        // A file has at most as many rows of each kind as have a place.
        let places = |count: usize| (0..=u16::MAX).take(count);
        let forwards = places(self.forwards.len()).map(NatRow::Forward);
        let statics = places(self.statics.len()).map(NatRow::Static);
        let sources = places(self.source.len()).map(NatRow::Source);
        forwards.chain(statics).chain(sources)
    }
}
