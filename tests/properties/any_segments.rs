//! Control streams in any segments: cut, lost, doubled and reordered.

use proptest::prelude::*;

#[path = "../../fuzz/src/segments.rs"]
#[allow(unreachable_pub, reason = "public in the crate of the fuzz targets")]
pub(super) mod segments;

/// What [`segments::run`] takes.
pub(super) fn input() -> impl Strategy<Value = Vec<u8>> {
    let all = (
        any::<u8>(),
        proptest::collection::vec(any::<u8>(), 7),
        proptest::collection::vec(any::<u8>(), 0..1500),
    );
    all.prop_map(|(setting, lines, happens)| {
        std::iter::once(setting)
            .chain(lines)
            .chain(happens)
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn t_1123_byte__whatever_becomes_of_its_segments_both_ends_hear_the_same_dialogue(
        input in input(),
    ) {
        segments::run(&input);
    }
}
