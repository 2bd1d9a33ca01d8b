//! The Internet checksum: computed whole (RFC 1071) and updated after a change
//! (RFC 1624).

use std::net::IpAddr;

use crate::net::Protocol;

/// A one's complement sum in the making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds octets that begin at an even place of what is summed.
    #[must_use]
    pub fn over(self, bytes: &[u8]) -> Self {
        // In the network's order again.
        self.add_u16(folded(over(bytes)).swap_bytes())
    }

    /// Adds a 16 bit number.
    #[must_use]
    pub fn add_u16(mut self, number: u16) -> Self {
        self.0 += u64::from(number);
        self
    }

    /// Both sums.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0 += other.0;
        self
    }

    /// Takes away octets that were added, or that an old checksum covers.
    #[must_use]
    pub fn remove(self, bytes: &[u8]) -> Self {
        let was = Self::default().over(bytes).fold();
        self.add_u16(!was)
    }

    /// Adds what changing `old` to `new` does to a sum that covers them at an
    /// even place.
    #[must_use]
    pub fn change(self, old: &[u8], new: &[u8]) -> Self {
        self.remove(old).over(new)
    }

    /// Adds the pseudo-header of TCP, UDP and ICMPv6 (RFC 9293, RFC 8200 section 8.1).
    #[must_use]
    pub fn pseudo_header(
        self,
        source: IpAddr,
        destination: IpAddr,
        protocol: Protocol,
        length: usize,
    ) -> Self {
        let mut sum = self;
        for address in [source, destination] {
            sum = match address {
                IpAddr::V4(a) => sum.over(&a.octets()),
                IpAddr::V6(a) => sum.over(&a.octets()),
            };
        }
        sum.0 += length as u64;
        sum.add_u16(u16::from(protocol.0))
    }

    /// The sum in 16 bits, carries added back.
    #[must_use]
    pub fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        // The loop leaves at most 16 bits.
        u16::try_from(sum).unwrap_or(u16::MAX)
    }

    /// The checksum field of what was summed with the field as zero.
    #[must_use]
    pub fn checksum(self) -> u16 {
        !self.fold()
    }

    /// Whether what was summed, its checksum field included, is intact.
    #[must_use]
    pub fn is_intact(self) -> bool {
        self.fold() == 0xffff
    }

    /// The checksum after a change: this sum is the change alone (of
    /// [`change`](Self::change)s), `old` the field before it.
    ///
    /// RFC 1624 equation 3: HC' = ~(~HC + ~m + m'), which never turns a
    /// right checksum into the other zero.
    #[must_use]
    pub fn update(self, old: u16) -> u16 {
        self.add_u16(!old).checksum()
    }
}

/// One's complement addition.
#[inline]
pub(super) fn added(one: u64, other: u64) -> u64 {
    let (sum, carry) = one.overflowing_add(other);
    sum + u64::from(carry)
}

/// The same of all of these.
// One carry is added to the next: that is half of what adding each back costs.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
pub(super) fn total<const N: usize>(words: [u64; N]) -> u64 {
    let (mut sum, mut carry) = (0_u64, false);
    for word in words {
        let (with_word, one) = sum.overflowing_add(word);
        let (with_carry, other) = with_word.overflowing_add(u64::from(carry));
        (sum, carry) = (with_carry, one | other);
    }
    added(sum, u64::from(carry))
}

/// Whether this is the sum of octets among which their checksum is, and something that is
/// not nought: then it is nought in one's complement.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
pub(super) fn is_right(sum: u64) -> bool {
    // Folding keeps what is left over by 2^16 - 1; this asks for that at once.
    sum.is_multiple_of(0xffff)
}

/// The sum of octets that begin at an even place, the first of each word taken for its
/// lowest: its fold is that of the network's order with its two octets swapped (RFC 1071
/// section 2 B).
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
pub(super) fn over(bytes: &[u8]) -> u64 {
    let (lines, mut rest) = bytes.as_chunks::<32>();
    let mut sum = 0;
    for line in lines {
        let (words, _) = line.as_chunks::<8>();
        if let [a, b, c, d] = *words {
            sum = total([sum, word(a), word(b), word(c), word(d)]);
        }
    }
    // Not in a loop: there is at most one of each.
    if let Some((words, more)) = rest.split_first_chunk::<16>() {
        let (words, _) = words.as_chunks::<8>();
        if let [a, b] = *words {
            (sum, rest) = (total([sum, word(a), word(b)]), more);
        }
    }
    if let Some((word, more)) = rest.split_first_chunk::<8>() {
        (sum, rest) = (added(sum, u64::from_le_bytes(*word)), more);
    }
    if let Some((half, more)) = rest.split_first_chunk::<4>() {
        (sum, rest) = (added(sum, u64::from(u32::from_le_bytes(*half))), more);
    }
    match rest.is_empty() {
        true => sum,
        false => added(sum, of_few(rest)),
    }
}

/// The sum of less than four octets.
#[inline(never)]
fn of_few(octets: &[u8]) -> u64 {
    match *octets {
        [a, b, c] => u64::from(u32::from_le_bytes([a, b, c, 0])),
        [a, b] => u64::from(u16::from_le_bytes([a, b])),
        [a] => u64::from(a),
        _ => 0,
    }
}

/// Eight octets, the first the lowest.
#[inline(always)]
#[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
fn word(octets: [u8; 8]) -> u64 {
    u64::from_le_bytes(octets)
}

/// A sum in 16 bits, carries added back: the upper half of a number and the same
/// with its halves exchanged is both halves and their carry.
#[inline]
pub(super) fn folded(sum: u64) -> u16 {
    let sum = (sum.wrapping_add(sum.rotate_left(32)) >> 32) as u32;
    (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16
}

/// One's complement addition of what is folded.
#[inline]
pub(super) fn added_folded(one: u16, other: u16) -> u16 {
    let (sum, carry) = one.overflowing_add(other);
    sum + u16::from(carry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071_sums_to_ddf2() {
        let sum = Sum::default().over(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.fold(), 0xddf2);
    }

    #[test]
    fn the_example_of_rfc_1624_updates_to_zero() {
        // Section 4: HC = 0xDD2F, m = 0x5555 becomes m' = 0x3285: HC' = 0x0000.
        let change = Sum::default().change(&[0x55, 0x55], &[0x32, 0x85]);
        assert_eq!(change.update(0xdd2f), 0x0000);
    }

    /// Any word, and often one that carries.
    fn word_of_a_sum() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            Just(u64::MAX),
            Just(0),
            Just(u64::MAX - 1),
            Just(1)
        ]
    }

    proptest! {
        #[test]
        fn a_total_is_the_sum_of_all(words: [u64; 5], edges in prop::array::uniform5(word_of_a_sum())) {
            for words in [words, edges] {
                let one_by_one = words.into_iter().fold(0, added);
                prop_assert_eq!(folded(total(words)), folded(one_by_one));
                if one_by_one != 0 {
                    prop_assert_eq!(is_right(one_by_one), folded(one_by_one) == u16::MAX);
                }
            }
        }

        #[test]
        fn what_is_folded_is_added_as_what_is_not(one: u16, other: u16) {
            let both = u64::from(one) + u64::from(other);
            prop_assert_eq!(added_folded(one, other), folded(both));
        }

        #[test]
        fn updating_equals_computing_anew(
            mut data in proptest::collection::vec(any::<u8>(), 8..200),
            at in 0usize..100,
            new in any::<[u8; 4]>(),
        ) {
            // A real header is never all zero: keep the sum from being the other zero.
            data[0] = 0x45;
            let at = (at * 2).min(data.len() - 4) & !1;
            prop_assume!(at >= 2);
            let before = Sum::default().over(&data).checksum();
            let change = Sum::default().change(&data[at..at + 4], &new);
            data[at..at + 4].copy_from_slice(&new);
            prop_assert_eq!(change.update(before), Sum::default().over(&data).checksum());
        }

        #[test]
        fn agrees_with_an_independent_encoder(data in proptest::collection::vec(any::<u8>(), 20..60)) {
            let mut data = data;
            data[0] = 0x45;
            let words = u16::try_from(data.len() / 2).unwrap();
            prop_assume!(words > 6);
            // pnet skips the word that holds the checksum; ours is computed with it as zero.
            data[10] = 0;
            data[11] = 0;
            prop_assert_eq!(Sum::default().over(&data).checksum(), pnet_packet::util::checksum(&data, 5));
        }
    }
}
