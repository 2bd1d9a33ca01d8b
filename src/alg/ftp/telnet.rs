//! Telnet sequences in a control stream (RFC 854, RFC 959 section 5.3).
//!
//! A control stream is a Telnet stream. Clients put the sequences IP and SYNCH
//! before an ABOR, which reach the server as four octets that are no part of
//! the command.

const IAC: u8 = 0xff;
/// WILL, WON'T, DO, DON'T: an option follows.
const WITH_OPTION: std::ops::RangeInclusive<u8> = 0xfb..=0xfe;
/// From SE to GA, without SB (0xfa), whose parameters could be of any length.
const ALONE: std::ops::RangeInclusive<u8> = 0xf0..=0xf9;

/// How many octets of whole Telnet sequences `text` begins with. `IAC IAC` is an
/// octet of text, and no sequence.
pub(super) fn leading(text: &[u8]) -> usize {
    let mut length = 0;
    loop {
        length += match text.get(length..).unwrap_or_default() {
            [IAC, verb, _option, ..] if WITH_OPTION.contains(verb) => 3,
            [IAC, verb, ..] if ALONE.contains(verb) => 2,
            _ => return length,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t_854_iac__whole_sequences_before_a_command_are_skipped() {
        for (text, length) in [
            (&b"ABOR"[..], 0),
            (b"\xff\xf4\xff\xf2ABOR", 4),
            (b"\xff\xfb\x01\xff\xfe\xffPORT", 6),
            (b"\xff\xff\xf4", 0),
            (b"\xff\xf4", 2),
            (b"\xff\xf4\xff", 2),
            (b"\xff\xfb", 0),
            (b"\xff\xfa\x01\xff\xf0", 0),
            (b"A\xff\xf4", 0),
            (b"", 0),
        ] {
            assert_eq!(leading(text), length, "{text:x?}");
        }
    }
}
