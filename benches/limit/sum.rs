//! One's complement sums in the order of this machine's octets (RFC 1071
//! section 2 (B): the order does not matter).

/// Adds two sums, with the carry added back.
#[inline(always)]
pub(super) fn add(sum: u64, more: u64) -> u64 {
    let (sum, carry) = sum.overflowing_add(more);
    sum + u64::from(carry)
}

/// Adds octets to a sum: by thirty-twos, then what is left by halves.
#[inline(always)]
pub(super) fn sum_of(mut sum: u64, octets: &[u8]) -> u64 {
    let word = |eight: &[u8; 8]| u64::from_ne_bytes(*eight);
    let (blocks, mut rest) = octets.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for eight in words {
            sum = add(sum, word(eight));
        }
    }
    if let Some((block, behind)) = rest.split_first_chunk::<16>() {
        let (words, _) = block.as_chunks::<8>();
        for eight in words {
            sum = add(sum, word(eight));
        }
        rest = behind;
    }
    if let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        sum = add(sum, word(eight));
        rest = behind;
    }
    if rest.is_empty() {
        return sum;
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    add(sum, word(&last))
}

/// A sum in 16 bits: both halves added, with the carry, twice. Of what was
/// summed it is zero only if all of it was.
#[inline(always)]
pub(super) fn fold(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// Adds two folded sums.
#[inline(always)]
pub(super) fn add_folded(sum: u16, more: u16) -> u16 {
    let (sum, carry) = sum.overflowing_add(more);
    sum + u16::from(carry)
}
