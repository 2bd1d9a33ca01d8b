//! Control streams in any segments: cut, lost, doubled and reordered.

use proptest::prelude::*;

#[path = "../../fuzz/src/segments.rs"]
#[allow(unreachable_pub, reason = "public in the crate of the fuzz targets")]
mod segments;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn t_1123_byte__whatever_becomes_of_its_segments_both_ends_hear_the_same_dialogue(
        setting in any::<u8>(),
        lines in proptest::collection::vec(any::<u8>(), 7),
        happens in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let input: Vec<u8> = std::iter::once(setting).chain(lines).chain(happens).collect();
        segments::run(&input);
    }
}
