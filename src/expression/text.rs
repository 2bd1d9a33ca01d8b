//! Reading a payload's text in quotes, with its escapes.

use winnow::Parser;
use winnow::ascii::multispace0;
use winnow::combinator::{alt, preceded};
use winnow::stream::Location;
use winnow::token::{literal, none_of, one_of, take};

use super::spec::{MAX_PAYLOAD, Payload};
use super::words::{Input, Mistake, Parsed, next_word_span};

/// A text in quotes.
pub(super) fn text(input: &mut Input<'_>) -> Parsed<Payload> {
    let span = next_word_span(input);
    let quote = preceded(multispace0, one_of(['"', '\'']))
        .parse_next(input)
        .map_err(|_: Mistake| Mistake::at(span.clone(), "a text in quotes"))?;
    let start = input.current_token_start().saturating_sub(1);
    let mut bytes = Vec::new();
    loop {
        let at = input.current_token_start();
        let plain = none_of(['"', '\'', '\\']).map(Piece::Character);
        let other_quote = one_of(['"', '\'']).map(Piece::Quote);
        let escape = literal("\\").value(Piece::Escape);
        match alt((plain, other_quote, escape)).parse_next(input) {
            Ok(Piece::Quote(c)) if c == quote => break,
            Ok(Piece::Quote(c) | Piece::Character(c)) => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Ok(Piece::Escape) => {
                let next = input.chars().next().map_or(0, char::len_utf8);
                let span = at..at + 1 + next;
                bytes.push(escaped(input).map_err(|_| {
                    Mistake::at(span, r#"an escape: \r \n \t \0 \\ \" \' or \xNN"#)
                })?);
            }
            Err(Mistake { .. }) => {
                return Err(Mistake::at(start..at, "a closing quote"));
            }
        }
    }
    let end = input.current_token_start();
    Payload::bytes(bytes)
        .ok_or_else(|| Mistake::at(start..end, &format!("at most {MAX_PAYLOAD} bytes")))
}

#[derive(Debug, Clone, Copy)]
enum Piece {
    Character(char),
    Quote(char),
    Escape,
}

/// What follows a backslash.
fn escaped(input: &mut Input<'_>) -> Parsed<u8> {
    let hex = preceded('x', take(2_usize)).verify_map(|digits: &str| {
        let digits = Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u8::from_str_radix(digits, 16).ok()
    });
    alt((
        'r'.value(b'\r'),
        'n'.value(b'\n'),
        't'.value(b'\t'),
        '0'.value(0),
        '\\'.value(b'\\'),
        '"'.value(b'"'),
        '\''.value(b'\''),
        hex,
    ))
    .parse_next(input)
}
