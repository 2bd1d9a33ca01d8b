//! How the interfaces of a pcapng file count time.
//!
//! What pcap-parser gives as decoded clock settings is not used: it refuses
//! resolutions that are powers of two, and reads the offset of a big-endian
//! section as little-endian.

use pcap_parser::{OptionCode, PcapNGOption};

use crate::net::Timestamp;

/// In which order a section writes its numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    pub(super) fn u16_at(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u16::from_le_bytes(*bytes),
            Self::Big => u16::from_be_bytes(*bytes),
        })
    }

    pub(super) fn u32_at(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Little => u32::from_le_bytes(*bytes),
            Self::Big => u32::from_be_bytes(*bytes),
        })
    }
}

/// How an interface counts time (`if_tsresol`, `if_tsoffset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Clock {
    resolution: u8,
    offset_seconds: i64,
}

impl Clock {
    /// Microseconds since the epoch, where the options do not say otherwise.
    const DEFAULT: Self = Self {
        resolution: 6,
        offset_seconds: 0,
    };

    pub(super) fn new(options: &[PcapNGOption<'_>], order: ByteOrder) -> Self {
        let mut clock = Self::DEFAULT;
        for option in options {
            match (option.code, option.as_bytes().unwrap_or_default()) {
                (OptionCode::EndOfOpt, _) => break,
                (OptionCode::IfTsresol, &[resolution]) => clock.resolution = resolution,
                (OptionCode::IfTsoffset, bytes) => {
                    if let Ok(bytes) = bytes.try_into() {
                        clock.offset_seconds = match order {
                            ByteOrder::Little => i64::from_le_bytes(bytes),
                            ByteOrder::Big => i64::from_be_bytes(bytes),
                        };
                    }
                }
                _ => {}
            }
        }
        clock
    }

    /// The moment of a count of ticks; the nearest end of time where it does
    /// not fit. What is finer than a nanosecond is cut off.
    pub(super) fn time(self, high: u32, low: u32) -> Timestamp {
        const NANOS: i128 = 1_000_000_000;
        let ticks = (i128::from(high) << 32) | i128::from(low);
        let exponent = u32::from(self.resolution & 0x7f);
        let nanos = if self.resolution & 0x80 == 0 {
            match 10_i128.checked_pow(exponent) {
                Some(per_second) => ticks * NANOS / per_second,
                None => 0,
            }
        } else {
            (ticks * NANOS) >> exponent
        };
        let nanos = nanos.saturating_add(i128::from(self.offset_seconds) * NANOS);
        let fits = u64::try_from(nanos.max(0)).unwrap_or(u64::MAX);
        Timestamp::from_nanos(fits)
    }
}
