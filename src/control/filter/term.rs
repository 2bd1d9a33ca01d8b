//! A term of a filter: a key, and values of which one is meant.

use super::FilterError;

/// Whether one of the values is wanted, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sense {
    Is,
    IsNot,
}

/// A term, split up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term<'a> {
    /// All of it, for complaints.
    pub(super) word: &'a str,
    pub(super) key: &'a str,
    pub(super) sense: Sense,
    values: &'a str,
}

impl<'a> Term<'a> {
    pub(super) fn split(word: &'a str) -> Result<Self, FilterError> {
        let Some((key, values)) = word.split_once('=') else {
            return Err(FilterError::new(word, "expected KEY=VALUE"));
        };
        let (key, sense) = match key.strip_suffix('!') {
            Some(key) => (key, Sense::IsNot),
            None => (key, Sense::Is),
        };
        Ok(Self {
            word,
            key,
            sense,
            values,
        })
    }

    /// A complaint about this term.
    pub(super) fn wrong(&self, message: impl Into<String>) -> FilterError {
        FilterError::new(self.word, message)
    }

    /// There is no such key.
    pub(super) fn unknown(&self, keys: &[&str]) -> FilterError {
        self.wrong(format!("expected one of {}", keys.join(", ")))
    }

    /// All values, each as `read` has it.
    pub(super) fn values<T>(
        &self,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, FilterError> {
        let values = self.values.split(',');
        values
            .map(|value| read(value).ok_or_else(|| self.wrong(format!("`{value}` is no {what}"))))
            .collect()
    }

    /// All values, each one of `words`.
    pub(super) fn words(
        &self,
        what: &str,
        words: impl Iterator<Item = &'static str> + Clone,
    ) -> Result<Vec<&'static str>, FilterError> {
        self.values(what, |value| words.clone().find(|word| *word == value))
    }

    /// All values, which name something of the rule file.
    pub(super) fn names(&self) -> Result<Vec<String>, FilterError> {
        self.values("name", |value| {
            (!value.is_empty()).then(|| value.to_owned())
        })
    }
}
