//! The flags of a TCP segment.

use std::fmt;
use std::ops::BitOr;

/// The flag octet of a TCP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x20);

    /// Congestion was met on the way (RFC 3168).
    pub const ECE: Self = Self(0x40);
    /// The sender has slowed down for it (RFC 3168).
    pub const CWR: Self = Self(0x80);

    /// All flags with their words, in the order in which they are printed.
    pub const WORDS: [(Self, &'static str); 8] = [
        (Self::SYN, "syn"),
        (Self::FIN, "fin"),
        (Self::RST, "rst"),
        (Self::PSH, "psh"),
        (Self::ACK, "ack"),
        (Self::URG, "urg"),
        (Self::ECE, "ece"),
        (Self::CWR, "cwr"),
    ];

    /// Whether all of `flags` are set.
    #[must_use]
    pub fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// Whether an honest stack sends this combination: the table
    /// `tcp_valid_flags` of Linux conntrack. PSH and the ECN bits are free.
    #[must_use]
    pub fn are_valid(self) -> bool {
        const SYN: u8 = TcpFlags::SYN.0;
        const FIN: u8 = TcpFlags::FIN.0;
        const RST: u8 = TcpFlags::RST.0;
        const ACK: u8 = TcpFlags::ACK.0;
        const URG: u8 = TcpFlags::URG.0;
        let counted = self.counted();
        matches!(counted, SYN | RST | ACK)
            || [
                SYN | URG,
                SYN | ACK,
                RST | ACK,
                FIN | ACK,
                FIN | ACK | URG,
                ACK | URG,
            ]
            .contains(&counted)
    }

    /// Whether it is a SYN, and nothing besides that counts.
    #[must_use]
    pub fn are_syn_alone(self) -> bool {
        self.counted() == Self::SYN.0
    }

    /// Those that are not free.
    fn counted(self) -> u8 {
        self.0 & !(Self::PSH.0 | Self::ECE.0 | Self::CWR.0)
    }
}

impl BitOr for TcpFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Display for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (_, name) in Self::WORDS.iter().filter(|(flag, _)| self.has(*flag)) {
            write!(f, "{gap}{name}")?;
            gap = " ";
        }
        if gap.is_empty() {
            f.write_str("no-flags")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_scanners_send_are_not_valid() {
        let valid = |flags: &[TcpFlags]| {
            flags
                .iter()
                .fold(TcpFlags(0), |all, f| all | *f)
                .are_valid()
        };
        use TcpFlags as F;
        for honest in [
            &[F::SYN][..],
            &[F::SYN, F::ACK],
            &[F::ACK],
            &[F::ACK, F::PSH, F::URG],
            &[F::FIN, F::ACK],
            &[F::RST],
            &[F::RST, F::ACK, F::PSH],
        ] {
            assert!(valid(honest), "{honest:?}");
        }
        for scan in [
            &[][..],
            &[F::FIN],
            &[F::SYN, F::FIN],
            &[F::SYN, F::RST],
            &[F::FIN, F::PSH, F::URG],
            &[F::SYN, F::FIN, F::RST, F::PSH, F::ACK, F::URG],
        ] {
            assert!(!valid(scan), "{scan:?}");
        }
    }
}
