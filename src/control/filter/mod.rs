//! Filters: which sessions, or which packets.
//!
//! ```text
//! filter = { term } ;                             words; all of them hold
//! term   = key , ( "=" | "!=" ) , value , { "," , value } ;   any of the values
//! value  = word | address [ "/" prefix ] | range ;
//! range  = number | number ".." number | number ".." | ".." number ;   of ports also with "-"
//! ```
//!
//! Lengths of time are written as in rule files (`5m`, `2h4m`). A filter without terms is
//! about everything.

mod packet;
mod session;
mod span;
mod term;
mod tuple;

pub use packet::PacketFilter;
pub use session::SessionFilter;

use std::fmt;

use self::term::Sense;

/// What is wrong with a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// The word with the mistake.
    term: String,
    message: String,
}

impl FilterError {
    fn new(term: &str, message: impl Into<String>) -> Self {
        Self {
            term: term.to_owned(),
            message: message.into(),
        }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.term, self.message)
    }
}

impl std::error::Error for FilterError {}

/// A filter as it was written, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Terms<T> {
    text: String,
    all: Vec<(Sense, T)>,
}

impl<T> Default for Terms<T> {
    fn default() -> Self {
        Self {
            text: String::new(),
            all: Vec::new(),
        }
    }
}

impl<T> Terms<T> {
    /// Reads a filter whose terms `read` knows.
    fn read(
        text: &str,
        read: impl Fn(&term::Term<'_>) -> Result<T, FilterError>,
    ) -> Result<Self, FilterError> {
        let mut all = Vec::new();
        let mut words = Vec::new();
        for word in text.split_whitespace() {
            let term = term::Term::split(word)?;
            all.push((term.sense, read(&term)?));
            words.push(word);
        }
        Ok(Self {
            text: words.join(" "),
            all,
        })
    }

    /// Whether all terms hold, each as `holds` says.
    fn hold(&self, holds: impl Fn(&T) -> bool) -> bool {
        self.all
            .iter()
            .all(|(sense, term)| holds(term) == (*sense == Sense::Is))
    }

    fn iter(&self) -> impl Iterator<Item = &T> {
        self.all.iter().map(|(_, term)| term)
    }
}
