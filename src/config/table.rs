//! Reading a TOML tree row by row, so that one wrong value does not hide the
//! next: every reader here reports what it cannot use and answers `None`.
//!
//! (serde stops at the first error of a file, and an operator who must run
//! `check` five times to learn of five typing errors is not served.)

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::spelling::{nearest, one_of};

/// A value with its place.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// Text with its place, quotation marks included.
pub(super) type Text<'t> = Spanned<&'t str>;

/// A table all of whose keys are known.
#[derive(Debug, Clone)]
pub(super) struct Row<'t> {
    /// What it is, such as `a rule`.
    what: &'static str,
    table: &'t DeTable<'t>,
    span: Range<usize>,
    /// Keys that unknown ones were most likely meant to be.
    misspelt: Vec<String>,
}

impl<'t> Row<'t> {
    /// Takes `value` as a table with no other keys than `known`.
    pub(super) fn read(
        value: &'t Value<'t>,
        what: &'static str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Option<Self> {
        let table = table(value, what, problems)?;
        Some(Self::of(table, value.span(), what, known, problems))
    }

    /// The same of a table that is at hand already.
    pub(super) fn of(
        table: &'t DeTable<'t>,
        span: Range<usize>,
        what: &'static str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Self {
        let mut misspelt = Vec::new();
        for key in table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            if problems.is_full() {
                problems.push(Diagnostic::new(Code::UnknownKey, key.span(), ""));
                continue;
            }
            let help = match nearest(name, known.iter().copied()) {
                Some(near) => {
                    misspelt.push(near.to_owned());
                    format!("did you mean `{near}`?")
                }
                None => format!("{what} can have {}", one_of(known, "and")),
            };
            problems.push(
                Diagnostic::new(
                    Code::UnknownKey,
                    key.span(),
                    format!("unknown key `{}` in {what}", shortened(name)),
                )
                .label("no such key here")
                .help(help),
            );
        }
        Self {
            what,
            table,
            span,
            misspelt,
        }
    }

    /// The value of `key`, where it is there.
    pub(super) fn get(&self, key: &str) -> Option<&'t Value<'t>> {
        self.table.get(key)
    }

    /// The place of the word `key` itself.
    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        let (key, _) = self.table.get_key_value(key)?;
        Some(key.span())
    }

    /// The value of `key`, which must be there; `example` shows how. Nothing
    /// is said of one that is there, but misspelt: that was said already.
    pub(super) fn require(
        &self,
        key: &str,
        example: &str,
        problems: &mut Problems,
    ) -> Option<&'t Value<'t>> {
        let found = self.get(key);
        if found.is_none() && !self.misspelt.iter().any(|meant| meant == key) {
            problems.push(
                Diagnostic::new(
                    Code::MissingKey,
                    self.span.clone(),
                    format!("{} needs the key `{key}`", self.what),
                )
                .label(format!("no `{key}` here"))
                .help(format!("such as {example}")),
            );
        }
        found
    }

    /// The place of the table: its braces, or its header.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// The place of the table with all that is in it, wherever its header is.
    pub(super) fn extent(&self) -> Range<usize> {
        self.table.values().fold(self.span(), |all, value| {
            all.start.min(value.span().start)..all.end.max(value.span().end)
        })
    }
}

/// `value` as a table, whatever its keys.
pub(super) fn table<'t>(
    value: &'t Value<'t>,
    what: &str,
    problems: &mut Problems,
) -> Option<&'t DeTable<'t>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => wrong_type(value, &format!("{what} as a table"), problems),
    }
}

/// The entries of a table in the order of the file.
pub(super) fn in_order<'t>(
    table: &'t DeTable<'t>,
) -> Vec<(&'t Spanned<DeString<'t>>, &'t Value<'t>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// `value` as text; `expected` says which.
pub(super) fn text<'t>(
    value: &'t Value<'t>,
    expected: &str,
    problems: &mut Problems,
) -> Option<Text<'t>> {
    match value.get_ref() {
        DeValue::String(text) => Some(Spanned::new(value.span(), text)),
        _ => wrong_type(value, expected, problems),
    }
}

/// `value` as a whole number within `i64`; `expected` says which.
pub(super) fn integer(value: &Value<'_>, expected: &str, problems: &mut Problems) -> Option<i64> {
    match value.get_ref() {
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            // One that is too large for `i64` is too large for every use here.
            Some(parsed.unwrap_or(i64::MAX))
        }
        _ => wrong_type(value, expected, problems),
    }
}

/// `value` as `true` or `false`.
pub(super) fn boolean(value: &Value<'_>, problems: &mut Problems) -> Option<bool> {
    match value.get_ref() {
        DeValue::Boolean(yes) => Some(*yes),
        _ => wrong_type(value, "`true` or `false`", problems),
    }
}

/// The elements of an array, which may be empty.
pub(super) fn array<'t>(
    value: &'t Value<'t>,
    expected: &str,
    problems: &mut Problems,
) -> Option<Vec<&'t Value<'t>>> {
    match value.get_ref() {
        DeValue::Array(items) => Some(items.iter().collect()),
        _ => wrong_type(value, expected, problems),
    }
}

/// The elements of an array that must have some, or the value alone.
pub(super) fn one_or_many<'t>(value: &'t Value<'t>, problems: &mut Problems) -> Vec<&'t Value<'t>> {
    let DeValue::Array(items) = value.get_ref() else {
        return vec![value];
    };
    if items.is_empty() {
        problems.push(
            Diagnostic::new(Code::Empty, value.span(), "this list names nothing")
                .label("empty")
                .help("an empty list fits nothing; leave the key out if it has nothing to say"),
        );
    }
    items.iter().collect()
}

/// One text or an array of them.
pub(super) fn texts<'t>(
    value: &'t Value<'t>,
    expected: &str,
    problems: &mut Problems,
) -> Vec<Text<'t>> {
    let items = one_or_many(value, problems);
    items
        .into_iter()
        .filter_map(|item| text(item, expected, problems))
        .collect()
}

/// Reports that `value` is not what was `expected`.
pub(super) fn wrong_type<T>(
    value: &Value<'_>,
    expected: &str,
    problems: &mut Problems,
) -> Option<T> {
    let found = match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    problems.push(
        Diagnostic::new(
            Code::WrongType,
            value.span(),
            format!("expected {expected}, found {found}"),
        )
        .label(found),
    );
    None
}

/// Text from the file as it may stand in a message.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text
        .chars()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push_str("...");
    }
    short
}
