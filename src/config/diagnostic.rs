//! What is wrong with a rule file, and where.
//!
//! A [`Diagnostic`] is data: code, sentence, the place, other places that
//! matter, and help. [`Problems`] gathers them while the file is read, so that
//! one run shows all. How they look is `report`'s business.

use std::ops::Range;

use super::code::{Code, Severity};

/// A place in the file with a few words about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The bytes that it is about.
    pub span: Range<usize>,
    /// What to say of them; may be empty.
    pub text: String,
}

/// One thing that is wrong with a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// One short sentence.
    pub message: String,
    /// Where it is.
    pub primary: Label,
    /// Other places that have to do with it.
    pub secondary: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    pub(super) fn new(code: Code, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            primary: Label {
                span,
                text: String::new(),
            },
            secondary: Vec::new(),
            help: None,
        }
    }

    /// With these words at the place.
    pub(super) fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    /// With a second place.
    pub(super) fn also(mut self, span: Range<usize>, text: impl Into<String>) -> Self {
        let text = text.into();
        self.secondary.push(Label { span, text });
        self
    }

    /// With a word of help.
    pub(super) fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    /// With a word of help, where there is one.
    pub(super) fn help_if(mut self, text: Option<String>) -> Self {
        self.help = text.or(self.help);
        self
    }
}

/// All that was found wrong so far.
///
/// Keeps so many and counts the rest: a megabyte of junk must not become a
/// gigabyte of diagnostics.
#[derive(Debug, Default)]
pub(super) struct Problems {
    kept: Vec<Diagnostic>,
    left_out: usize,
    /// Of lints no more than rows, so that they need no limit.
    lints: Vec<Diagnostic>,
}

impl Problems {
    /// How many are kept.
    pub(super) const LIMIT: usize = 1_000;

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        if diagnostic.code.severity() == Severity::Warning {
            self.lints.push(diagnostic);
        } else if self.is_full() {
            self.left_out += 1;
        } else {
            self.kept.push(diagnostic);
        }
    }

    /// Whether the next one would only be counted: then nobody need look for
    /// the nearest spelling.
    pub(super) fn is_full(&self) -> bool {
        self.kept.len() >= Self::LIMIT
    }

    /// Whether there is no error.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The lints by place, taken out.
    pub(super) fn take_lints(&mut self) -> Vec<Diagnostic> {
        let mut lints = std::mem::take(&mut self.lints);
        lints.sort_by_key(|d| (d.primary.span.start, d.primary.span.end, d.code));
        lints
    }

    /// All kept errors by place, and how many more there were.
    pub(super) fn into_sorted(mut self) -> (Vec<Diagnostic>, usize) {
        self.kept
            .sort_by_key(|d| (d.primary.span.start, d.primary.span.end, d.code));
        (self.kept, self.left_out)
    }
}
