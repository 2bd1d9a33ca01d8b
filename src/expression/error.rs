//! What is wrong with an expression, with the place underlined.

use std::fmt;
use std::ops::Range;

/// A mistake in a packet expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    text: String,
    span: Range<usize>,
    message: String,
}

impl ExpressionError {
    pub(super) fn new(text: &str, span: Range<usize>, message: String) -> Self {
        Self {
            text: text.to_owned(),
            span,
            message,
        }
    }

    /// Which bytes of the text are wrong; empty behind its end.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What was expected there.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where that is in characters, counted from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.before() + 1
    }

    fn before(&self) -> usize {
        let before = self.text.get(..self.span.start);
        before.unwrap_or(&self.text).chars().count()
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One line, whatever was put in: the caret has to stand under its place.
        let line: String = self
            .text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let wrong = self.text.get(self.span.clone()).unwrap_or_default();
        let carets = wrong.chars().count().max(1);
        writeln!(f, "column {}: {}", self.column(), self.message)?;
        writeln!(f, "  {line}")?;
        write!(f, "  {:2$}{:^<3$}", "", "", self.before(), carets)
    }
}

impl std::error::Error for ExpressionError {}
