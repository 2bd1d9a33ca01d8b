//! The ids of rows: one for each, over rules and translations alike, since
//! logs, counters and explanations name rows by them alone.

use std::collections::HashMap;
use std::ops::Range;

use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::names::check_name;
use super::table::{self, Row, shortened};

/// The ids given so far, with the place of each.
#[derive(Debug, Default)]
pub(super) struct Ids<'t> {
    given: HashMap<&'t str, Range<usize>>,
}

impl<'t> Ids<'t> {
    /// Reads the id of a row; empty where there is none to use.
    pub(super) fn read(
        &mut self,
        row: &Row<'t>,
        word: &'static str,
        problems: &mut Problems,
    ) -> String {
        let example = "`id = \"lan-out\"`, by which logs and `explain` name it";
        let Some(value) = row.require("id", example, problems) else {
            return String::new();
        };
        let Some(id) = table::text(value, "an id in quotation marks", problems) else {
            return String::new();
        };
        let written = *id.get_ref();
        check_name(written, id.span(), word, problems);
        match self.given.get(written) {
            Some(before) => problems.push(
                Diagnostic::new(
                    Code::DuplicateId,
                    id.span(),
                    format!("the id `{}` is given twice", shortened(written)),
                )
                .label("given again")
                .also(before.clone(), "given here")
                .help("rules, source translations and forwards share one space of ids"),
            ),
            None => {
                self.given.insert(written, id.span());
            }
        }
        written.to_owned()
    }
}
