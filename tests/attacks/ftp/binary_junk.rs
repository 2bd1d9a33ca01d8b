//! Octets that mean nothing, in both directions.

use super::Talk;

#[test]
fn junk_opens_nothing_and_breaks_nothing() {
    let mut talk = Talk::outward();
    let junk = |seed: u32| -> String {
        let mut state = seed;
        let octet = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from((state >> 24) as u8 & 0x7f)
        };
        (0..400).map(octet).collect()
    };
    talk.comes_to_nothing("", |talk| {
        for seed in 0..50 {
            let (one, other) = (junk(seed), junk(seed + 1000));
            assert_eq!(talk.client(&one), one);
            assert_eq!(talk.server(&other), other);
        }
    });
}
