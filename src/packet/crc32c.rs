//! The checksum of SCTP: CRC32c over the whole packet, without addresses
//! (RFC 9260 section 6.8 and appendix A). Its octets stand in the packet least
//! significant first.

use crc32c::{crc32c, crc32c_append};

/// Where the checksum stands in the common header.
pub(super) const CHECKSUM_AT: usize = 8;

/// The octets of the checksum in the common header.
pub(super) const CHECKSUM_RANGE: std::ops::Range<usize> = CHECKSUM_AT..CHECKSUM_AT + 4;

/// The checksum of the SCTP packet in `segment`, whatever stands there now.
/// `None` where there is no room for one.
pub(super) fn checksum(segment: &[u8]) -> Option<[u8; 4]> {
    let (before, rest) = segment.split_at_checked(CHECKSUM_AT)?;
    let behind = rest.get(4..)?;
    let sum = crc32c_append(crc32c_append(crc32c(before), &[0; 4]), behind);
    Some(sum.to_le_bytes())
}

/// The checksum after a change of the packet's first octets (its ports) from
/// `before` to `after`; the packet is `length` octets long.
///
/// A CRC is linear: two packets' sums differ by the sum of their difference,
/// which is that of the octets that changed and of zeros up to the end. So a
/// sum that was wrong before stays just as wrong, and what a capture has cut
/// off need not be known.
pub(super) fn after_change(
    old: [u8; 4],
    before: [u8; 4],
    after: [u8; 4],
    length: usize,
) -> [u8; 4] {
    let change = crc32c(&before) ^ crc32c(&after);
    let change = behind_zeros(change, length.saturating_sub(before.len()));
    (u32::from_le_bytes(old) ^ change).to_le_bytes()
}

/// What the difference of two sums becomes when both packets go on with so
/// many zeros.
fn behind_zeros(difference: u32, mut count: usize) -> u32 {
    const ZEROS: [u8; 2048] = [0; 2048];
    // The library inverts its register on the way in and on the way out.
    let mut register = !difference;
    while count > 0 {
        let some = ZEROS.get(..count).unwrap_or(&ZEROS);
        register = crc32c_append(register, some);
        count -= some.len();
    }
    !register
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_check_value_of_crc32c_comes_out() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn updating_equals_computing_anew(
            mut packet in proptest::collection::vec(any::<u8>(), 12..5000),
            ports: [u8; 4],
        ) {
            let before = *packet.first_chunk::<4>().unwrap();
            let old = checksum(&packet).unwrap();
            packet[..4].copy_from_slice(&ports);
            let new = after_change(old, before, ports, packet.len());
            prop_assert_eq!(new, checksum(&packet).unwrap());
        }
    }
}
