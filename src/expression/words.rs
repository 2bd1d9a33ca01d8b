//! The words that an expression is made of, and mistakes in them.

use std::ops::Range;

use winnow::Parser;
use winnow::ascii::multispace0;
use winnow::combinator::{peek, preceded};
use winnow::error::ParserError;
use winnow::stream::{LocatingSlice, Location};
use winnow::token::take_while;

pub(super) type Input<'a> = LocatingSlice<&'a str>;
pub(super) type Parsed<T> = winnow::Result<T, Mistake>;

/// Where reading failed and what was expected there.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) span: Range<usize>,
    pub(super) message: String,
}

/// A piece of the text without spaces.
#[derive(Debug, Clone)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) span: Range<usize>,
}

/// A decimal number up to `max`.
pub(super) fn number<T>(input: &mut Input<'_>, max: T) -> Parsed<T>
where
    T: TryFrom<u64> + PartialOrd + std::fmt::Display + Copy,
{
    let wanted = format!("a number from 0 to {max}");
    let word = word(input).map_err(|m| m.expected(&wanted))?;
    let digits = word.text.bytes().all(|b| b.is_ascii_digit());
    let value = word.text.parse().ok().filter(|_| digits);
    value
        .and_then(|value: u64| T::try_from(value).ok())
        .filter(|value| *value <= max)
        .ok_or_else(|| word.not(&wanted))
}

/// Everything up to a space, a `>` or a quote.
pub(super) fn word<'a>(input: &mut Input<'a>) -> Parsed<Word<'a>> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '>' | '"' | '\'');
    preceded(multispace0, take_while(1.., move |c| !ends(c)).with_span())
        .map(|(text, span)| Word { text, span })
        .parse_next(input)
}

/// Where the next word is, or would be.
pub(super) fn next_word_span(input: &mut Input<'_>) -> Range<usize> {
    match peek(word).parse_next(input) {
        Ok(word) => word.span,
        Err(mistake) => mistake.span,
    }
}

/// `; did you mean ...?` if a word is near enough.
pub(super) fn nearest(word: &str, words: impl Iterator<Item = &'static str>) -> String {
    words
        .map(|near| (strsim::damerau_levenshtein(word, near), near))
        .filter(|(distance, near)| *distance <= 2 && *distance < near.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, near)| format!("; did you mean `{near}`?"))
        .unwrap_or_default()
}

impl Word<'_> {
    pub(super) fn not(&self, wanted: &str) -> Mistake {
        Mistake::at(self.span.clone(), wanted)
    }
}

impl Mistake {
    pub(super) fn at(span: Range<usize>, wanted: &str) -> Self {
        Self {
            span,
            message: format!("expected {wanted}"),
        }
    }

    pub(super) fn expected(self, wanted: &str) -> Self {
        Self::at(self.span, wanted)
    }
}

impl ParserError<Input<'_>> for Mistake {
    type Inner = Self;

    fn from_input(input: &Input<'_>) -> Self {
        let start = input.current_token_start();
        let next = input.chars().next().map_or(0, char::len_utf8);
        Self {
            span: start..start + next,
            message: String::new(),
        }
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}
