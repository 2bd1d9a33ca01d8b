//! What decided: verdicts, rules and rows of translation, with how often.

use std::io::{self, Write};

use crate::cli::listing::{plain_table, print_table};
use crate::config::{Compiled, Location};
use crate::engine::{Engine, Verdict};

/// Packets by what came of them.
pub(super) fn print_verdicts(to: &mut impl Write, engine: &Engine) -> io::Result<()> {
    writeln!(to, "\nVerdicts")?;
    let mut table = plain_table();
    table.set_header(["", "reason", "packets"]);
    let mut all: Vec<_> = engine.counters().verdicts().collect();
    all.sort_by_key(|(verdict, _, count)| {
        let place = Verdict::NAMES.iter().position(|name| name == verdict);
        (place, std::cmp::Reverse(*count))
    });
    for (verdict, reason, count) in all {
        table.add_row([verdict.to_owned(), reason.to_string(), count.to_string()]);
    }
    print_table(to, table, &[2])?;
    for (standing, count) in engine.counters().evicted() {
        writeln!(to, "  evicted to make room: {count} {standing}")?;
    }
    for (check, count) in engine.counters().not_opened() {
        writeln!(to, "  announced, and not opened: {count} {check}")?;
    }
    for (kind, count) in engine.counters().withheld() {
        writeln!(to, "  withheld, too many at a time: {count} {kind}")?;
    }
    Ok(())
}

/// The rules, and how often each decided.
pub(super) fn print_rules(
    to: &mut impl Write,
    engine: &Engine,
    compiled: &Compiled,
) -> io::Result<()> {
    writeln!(to, "\nRules (connections decided)")?;
    let mut table = plain_table();
    table.set_header(["", "hits", ""]);
    for (id, rule) in engine.policy().rules.iter() {
        let hits = engine.counters().hits(id).to_string();
        table.add_row([
            rule.name.clone(),
            hits,
            place(compiled.locations.of_rule(id)),
        ]);
    }
    let hits = engine.counters().default_hits().to_string();
    let default = place(compiled.locations.of_default());
    table.add_row(["default policy".to_owned(), hits, default]);
    print_table(to, table, &[1])
}

/// The rows of translation, and how many sessions each was asked about.
pub(super) fn print_translations(
    to: &mut impl Write,
    engine: &Engine,
    compiled: &Compiled,
) -> io::Result<()> {
    let nat = &engine.policy().nat;
    let mut table = plain_table();
    table.set_header(["", "hits", ""]);
    for row in nat.rows() {
        let name = nat.name(row);
        let hits = engine.counters().translated(row).to_string();
        let stands = place(compiled.locations.of_translation(name));
        table.add_row([name.to_owned(), hits, stands]);
    }
    if table.row_count() == 0 {
        return Ok(());
    }
    writeln!(to, "\nTranslations (connections translated)")?;
    print_table(to, table, &[1])
}

/// Where a row stands in its file.
fn place(location: Option<Location<'_>>) -> String {
    let location = location.map(|location| location.to_string());
    location.unwrap_or_default()
}
