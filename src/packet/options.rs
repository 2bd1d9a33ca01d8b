//! IPv4 options, as far as a router has to look at them (RFC 791 section 3.1):
//! whether their lengths can be. None is read for its sense, recorded in, or
//! changed.

use super::bytes::u8_at;
use super::parse::Headers;

/// The IPv4 header without options.
const FIXED: usize = 20;
const END: u8 = 0;
const PADDING: u8 = 1;

/// Where in the IPv4 header of `frame` an option stands whose length cannot
/// be: nothing behind it can be read. `headers` must have been read from
/// `frame`.
#[must_use]
pub fn broken_option(frame: &[u8], headers: &Headers) -> Option<u8> {
    if headers.source.is_ipv6() {
        return None;
    }
    let mut at = FIXED;
    while at < headers.transport_at {
        at += match u8_at(frame, at)? {
            END => break,
            PADDING => 1,
            _ => {
                let length = u8_at(frame, at + 1).map_or(0, usize::from);
                if length < 2 || at + length > headers.transport_at {
                    return u8::try_from(at).ok();
                }
                length
            }
        };
    }
    None
}
