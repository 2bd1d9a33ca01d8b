//! Tables of text.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

/// Rows that are listed, the first ones: a flood has millions, and nobody
/// reads them.
pub(super) const LISTED: usize = 1_000;

pub(super) fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

/// Prints a table two columns in; `right` are the columns of numbers.
pub(super) fn print_table(
    to: &mut impl Write,
    mut table: Table,
    right: &[usize],
) -> io::Result<()> {
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in table.lines() {
        writeln!(to, " {}", line.trim_end())?;
    }
    Ok(())
}
