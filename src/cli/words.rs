//! What several commands say alike: ends, lengths of time, amounts.

use std::time::Duration;

use crate::net::Tuple;
pub(super) use crate::objects::ends;

/// `10.0.0.7:51000 > 198.51.100.9:21`.
pub(super) fn way(tuple: &Tuple) -> String {
    let [source, destination] = ends(tuple);
    format!("{source} > {destination}")
}

/// A length of time in its two largest units, to the nearest second.
pub(super) fn length(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_millis() >= 500);
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, name) in units {
        if rest >= unit {
            parts.push(format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    parts.truncate(2);
    match parts.is_empty() {
        true if time > Duration::ZERO => "<1s".to_owned(),
        true => "0s".to_owned(),
        false => parts.join(" "),
    }
}

/// So many of something.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// A number of packets.
pub(super) fn packets(number: u64) -> String {
    count(number, "packet", "packets")
}

/// A number of octets.
pub(super) fn octets(number: u64) -> String {
    indicatif::BinaryBytes(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_two_units_at_most() {
        for (millis, text) in [
            (0, "0s"),
            (300, "<1s"),
            (1_500, "2s"),
            (29_800, "30s"),
            (119_988, "2m"),
            (89_000, "1m 29s"),
            (7_440_000, "2h 4m"),
            (7_201_000, "2h 1s"),
            (432_000_000, "5d"),
            (90_061_000, "1d 1h"),
        ] {
            assert_eq!(length(Duration::from_millis(millis)), text);
        }
    }
}
