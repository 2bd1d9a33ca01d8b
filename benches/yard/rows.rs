//! What the rounds of one program showed, as a row of a table.

use super::median;
use super::play::Round;

/// Figures of all rounds under one name.
pub(crate) struct Row {
    name: String,
    nanos: Vec<f64>,
    ratios: Vec<f64>,
    left_out: Vec<f64>,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            nanos: Vec::new(),
            ratios: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// A round, and what it is compared with: one of the same time.
    pub(crate) fn add(&mut self, round: &Round, other: &Round) {
        self.nanos.push(round.nanos);
        self.ratios.push(round.nanos / other.nanos);
        self.left_out.push(round.left_out);
    }

    /// The medians.
    pub(crate) fn print(&mut self) {
        let [nanos, ratio, left_out] =
            [&mut self.nanos, &mut self.ratios, &mut self.left_out].map(|values| median(values));
        let name = &self.name;
        println!(
            "  {name:<34} {nanos:>9.1} ns  {ratio:>7.2}   ({left_out:.1} % of bursts left out)"
        );
    }
}
