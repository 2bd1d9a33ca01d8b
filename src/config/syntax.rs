//! TOML: text to tree, with everything that its parser has against the text.

use std::collections::HashMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::lines::Lines;
use super::table::shortened;

/// What the parser says of a key that its table has already.
const DUPLICATE: &str = "duplicate key";

/// Parses the text. Where it is not TOML, what the parser could save of it is
/// not judged: half a file has errors that the whole one has not. A key given
/// twice is no such matter: the first one stands, and the rest can be read.
pub(super) fn parse<'t>(text: &'t str, problems: &mut Problems) -> Option<Spanned<DeTable<'t>>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(tree);
    }
    let lines = Lines::of(text);
    let mut is_toml = true;
    let mut keys = HashMap::new();
    if errors.iter().any(|error| error.message() == DUPLICATE) {
        gather(tree.get_ref(), None, &lines, &mut keys);
    }
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        if error.message() == DUPLICATE {
            problems.push(duplicate(span, &lines, &keys));
        } else {
            is_toml = false;
            let message = error.message().replace('\n', " ");
            problems.push(Diagnostic::new(Code::Syntax, span, message).label("not TOML"));
        }
    }
    is_toml.then_some(tree)
}

/// Where a key of the tree stands.
#[derive(Debug)]
struct Key {
    span: Range<usize>,
    /// The innermost inline table that it is in.
    within: Option<Range<usize>>,
}

/// All keys of a table and of what is in it, by name.
fn gather<'t>(
    table: &'t DeTable<'t>,
    within: Option<&Range<usize>>,
    lines: &Lines<'_>,
    keys: &mut HashMap<&'t str, Vec<Key>>,
) {
    for (key, value) in table {
        let (span, within) = (key.span(), within.cloned());
        keys.entry(key.get_ref()).or_default().push(Key {
            span,
            within: within.clone(),
        });
        gather_value(value, within.as_ref(), lines, keys);
    }
}

fn gather_value<'t>(
    value: &'t Spanned<DeValue<'t>>,
    within: Option<&Range<usize>>,
    lines: &Lines<'_>,
    keys: &mut HashMap<&'t str, Vec<Key>>,
) {
    match value.get_ref() {
        DeValue::Table(table) => {
            let span = value.span();
            let is_inline = lines.text(&span).starts_with('{');
            let within = if is_inline { Some(&span) } else { within };
            gather(table, within, lines, keys);
        }
        DeValue::Array(items) => {
            for item in items.iter() {
                gather_value(item, within, lines, keys);
            }
        }
        _ => {}
    }
}

fn duplicate(span: Range<usize>, lines: &Lines<'_>, keys: &HashMap<&str, Vec<Key>>) -> Diagnostic {
    let written = lines.text(&span);
    let name = written.trim_matches(['"', '\'']);
    let diagnostic = Diagnostic::new(
        Code::DuplicateKey,
        span.clone(),
        format!("`{}` is given twice", shortened(name)),
    )
    .label("given again");
    let same: &[Key] = keys.get(name).map_or(&[], Vec::as_slice);
    // The parser keeps the later of two headers, and forgets the first.
    if same.iter().any(|key| key.span == span) {
        return diagnostic;
    }
    // The nearest before it, but not in an inline table that has ended.
    let before = same
        .iter()
        .filter(|key| key.span.end <= span.start)
        .filter(|key| {
            key.within
                .as_ref()
                .is_none_or(|within| within.contains(&span.start))
        })
        .max_by_key(|key| key.span.start);
    match before {
        Some(key) => diagnostic.also(key.span.clone(), "given here"),
        None => diagnostic,
    }
}
