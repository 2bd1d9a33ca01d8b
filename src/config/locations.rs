//! Where the rows of a rule file stand, for whoever explains a verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::lines::Lines;
use crate::rules::RuleId;

/// Where the rows of a rule file stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Locations {
    file: PathBuf,
    rules: Vec<Row>,
    translations: BTreeMap<String, Row>,
    default: Option<Row>,
}

/// One row of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    line: usize,
    column: usize,
    text: String,
}

/// A place in a rule file; prints as `rules/office.toml:58`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location<'a> {
    /// The file, as it was named.
    pub file: &'a Path,
    /// The line, counted from 1.
    pub line: usize,
    /// The column, counted from 1 in characters.
    pub column: usize,
    /// The row as it is written.
    pub text: &'a str,
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

impl Locations {
    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Where this rule stands; for one that a forward brought, the forward.
    #[must_use]
    pub fn of_rule(&self, rule: RuleId) -> Option<Location<'_>> {
        self.rules
            .get(usize::from(rule.0))
            .map(|row| self.location(row))
    }

    /// Where the source translation or forward of this name stands.
    #[must_use]
    pub fn of_translation(&self, name: &str) -> Option<Location<'_>> {
        self.translations.get(name).map(|row| self.location(row))
    }

    /// Where the default policy is said; `None` where the file leaves it out.
    #[must_use]
    pub fn of_default(&self) -> Option<Location<'_>> {
        self.default.as_ref().map(|row| self.location(row))
    }

    fn location<'a>(&'a self, row: &'a Row) -> Location<'a> {
        Location {
            file: &self.file,
            line: row.line,
            column: row.column,
            text: &row.text,
        }
    }
}

/// The spans of the rows, before the text is gone.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// By the number of the rule.
    pub(super) rules: Vec<Range<usize>>,
    /// By the name of the translation.
    pub(super) translations: Vec<(String, Range<usize>)>,
    pub(super) default: Option<Range<usize>>,
    /// Where packets with options about their route are let by.
    pub(super) route_options: Vec<Range<usize>>,
}

impl Spans {
    pub(super) fn locate(self, file: &Path, text: &str) -> Locations {
        let lines = Lines::of(text);
        let row = |span: &Range<usize>| {
            let (line, column) = lines.position(span.start);
            let text = lines.text(span).to_owned();
            Row { line, column, text }
        };
        Locations {
            file: file.to_path_buf(),
            rules: self.rules.iter().map(row).collect(),
            translations: self
                .translations
                .iter()
                .map(|(name, span)| (name.clone(), row(span)))
                .collect(),
            default: self.default.as_ref().map(row),
        }
    }
}
