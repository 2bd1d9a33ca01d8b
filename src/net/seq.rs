//! TCP sequence numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A TCP sequence number: arithmetic modulo 2^32 (RFC 9293 section 3.4), so
/// that nothing here can overflow or panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// The number `n` octets further on.
    #[must_use]
    pub fn advance(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }

    /// The number moved by a signed distance.
    #[must_use]
    pub fn shift(self, by: i32) -> Self {
        Self(self.0.wrapping_add_signed(by))
    }

    /// Signed distance from `earlier` to `self`: negative when `self` comes
    /// first. Meaningful while the two lie less than 2^31 apart.
    #[must_use]
    pub fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// Whether `self` comes before `other` in the sequence space.
    #[must_use]
    pub fn is_before(self, other: Self) -> bool {
        self.since(other) < 0
    }

    /// Whether `self` comes after `other` in the sequence space. Two numbers
    /// exactly 2^31 apart come each before and after the other, as with Linux
    /// (`before`, `after` in `net/tcp.h`): what asks for either is careful.
    #[must_use]
    pub fn is_after(self, other: Self) -> bool {
        other.is_before(self)
    }
}

impl fmt::Display for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_numbers_away_is_before_and_after_as_in_linux() {
        let (one, other) = (SeqNumber(7), SeqNumber(7 + (1 << 31)));
        assert!(one.is_before(other) && one.is_after(other));
        assert!(other.is_before(one) && other.is_after(one));
        assert!(!one.is_before(one) && !one.is_after(one));
    }

    #[test]
    fn order_holds_across_the_wrap() {
        let before = SeqNumber(u32::MAX - 1);
        let after = before.advance(3);
        assert_eq!(after, SeqNumber(1));
        assert!(before.is_before(after) && after.is_after(before));
        assert_eq!(after.since(before), 3);
        assert_eq!(after.shift(-3), before);
    }
}
