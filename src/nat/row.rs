//! The rows of the translation lists by their names.

use super::policy::NatPolicy;
use crate::net::NatRow;

impl NatPolicy {
    /// The name of a row; empty for a number that none has.
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
        let forwards = self.forwards.numbers().iter();
        let statics = self.statics.numbers().iter();
        let sources = self.source.numbers().iter();
        let forwards = forwards.map(|number| NatRow::Forward(*number));
        let statics = statics.map(|number| NatRow::Static(*number));
        let sources = sources.map(|number| NatRow::Source(*number));
        forwards.chain(statics).chain(sources)
    }
}
