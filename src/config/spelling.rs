//! The nearest right spelling of a wrong word, and words in a row.

/// Longest word, in bytes, that is worth a guess.
const LONGEST_WORD: usize = 63;

/// A name and the nearest spelling are looked for among this many at most: a
/// file with more names than anybody reads is not worth the time.
const MOST_CANDIDATES: usize = 2_000;

/// The candidate that `wanted` was most likely meant to be.
pub(super) fn nearest<'c>(
    wanted: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    if wanted.len() > LONGEST_WORD {
        return None;
    }
    let allowed = match wanted.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    candidates
        .take(MOST_CANDIDATES)
        .map(|candidate| (strsim::osa_distance(wanted, candidate), candidate))
        // A name with nothing in common is no misspelling, however short both are.
        .filter(|(distance, candidate)| {
            *distance <= allowed && *distance < candidate.chars().count()
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c`.
pub(super) fn one_of(words: &[&str], and: &str) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [firsts @ .., last] => {
            let firsts: Vec<_> = firsts.iter().map(|word| format!("`{word}`")).collect();
            format!("{} {and} `{last}`", firsts.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let names = || ["lan", "dmz", "wan", "admin-ssh"].into_iter();
        assert_eq!(nearest("lna", names()), Some("lan"));
        assert_eq!(nearest("admn-shs", names()), Some("admin-ssh"));
        assert_eq!(nearest("guests", names()), None);
        assert_eq!(nearest("", ["a"].into_iter()), None);
        assert_eq!(nearest(&"x".repeat(1000), names()), None);
    }
}
