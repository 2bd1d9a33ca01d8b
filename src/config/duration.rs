//! Durations as rule files write them: `30s`, `2h4m`, `500ms`, `5d`.
//!
//! Strict on purpose: no blanks, no fractions, each unit once and the largest
//! first, so that every duration has one obvious reading.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration: whatever a session is, it is over after a year.
const LONGEST_MS: u64 = 366 * 86_400_000;

/// Reads a duration.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with it.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    const SHAPE: &str = "is not a duration";
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (digits, after) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_while(after, |c| c.is_ascii_alphabetic());
        let number: u64 = match digits.parse() {
            Ok(number) => number,
            Err(_) if digits.is_empty() => return Err(SHAPE),
            Err(_) => return Err("is longer than a year"),
        };
        // `units` only goes forward: a unit again, or a larger one, is not found.
        let (_, factor) = units.find(|(name, _)| *name == unit).ok_or(SHAPE)?;
        total = number.saturating_mul(*factor).saturating_add(total);
        rest = after;
    }
    match total {
        0 if text.is_empty() => Err(SHAPE),
        0 => Err("is no time at all"),
        1..=LONGEST_MS => Ok(Duration::from_millis(total)),
        _ => Err("is longer than a year"),
    }
}

fn split_while(text: &str, wanted: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_largest_first() {
        let ms = |text| parse(text).map(|d| d.as_millis());
        assert_eq!(ms("30s"), Ok(30_000));
        assert_eq!(ms("2h4m"), Ok(7_440_000));
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("5d"), Ok(432_000_000));
        assert_eq!(ms("1m1ms"), Ok(60_001));
    }

    #[test]
    fn what_has_no_one_reading_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "0s",
            "0h0m",
            "1.5h",
            "4m2h",
            "1s1s",
            "2 h",
            "-1s",
            "1w",
            "30S",
            "367d",
            "99999999999999999999d",
            "18446744073709551615d",
            "1h ",
            "²s",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
