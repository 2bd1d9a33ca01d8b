//! The records of TLS (RFC 8446 section 5.1), followed by their headers alone:
//! where they end, clear text begins (RFC 4217 section 12.3, CCC).
//!
//! No octet of clear FTP can be taken for the start of a record: a record
//! begins with a number from 20 to 24, a command with a letter, a reply with a
//! digit.

use serde::{Deserialize, Serialize};

/// The longest record: 2^14 octets and what encryption adds (RFC 5246 section
/// 6.2.3).
const LONGEST: u16 = (1 << 14) + 2048;
const HEADER: usize = 5;

/// The types of records: change cipher spec, alert, handshake, application
/// data, heartbeat.
const TYPES: std::ops::RangeInclusive<u8> = 20..=24;
const ALERT: u8 = 21;
const APPLICATION_DATA: u8 = 23;

/// What a TLS 1.3 alert takes as application data: its two octets, its type,
/// and the tag of the cipher.
const ENCRYPTED_ALERT: std::ops::RangeInclusive<u16> = 11..=19;

/// One direction of a stream that TLS protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Records {
    place: Place,
    /// The last record that is complete, or under way.
    last: Option<(u8, u16)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// So many octets of a header are here.
    Header([u8; HEADER], usize),
    /// So many octets of a record are still to come.
    Body(u16),
    /// Behind the last record.
    Clear,
    /// What came was neither: nothing more can be known.
    Lost,
}

impl Default for Place {
    fn default() -> Self {
        Self::Header([0; HEADER], 0)
    }
}

impl Records {
    /// Follows the next octets of the stream: where among them clear text begins.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
            match &mut self.place {
                Place::Clear => return Some(at),
                Place::Lost => return None,
                Place::Body(left) => {
                    let taken = rest.len().min(usize::from(*left));
                    at += taken;
                    *left -= u16::try_from(taken).unwrap_or(*left);
                    if *left == 0 {
                        self.place = Place::default();
                    }
                }
                Place::Header(header, have) => {
                    let octet = *rest.first()?;
                    if *have == 0 && !TYPES.contains(&octet) {
                        self.place = match octet.is_ascii_graphic() {
                            true => Place::Clear,
                            false => Place::Lost,
                        };
                        continue;
                    }
                    at += 1;
                    if let Some(cell) = header.get_mut(*have) {
                        *cell = octet;
                    }
                    *have += 1;
                    if *have == HEADER {
                        let [kind, major, _, high, low] = *header;
                        let length = u16::from_be_bytes([high, low]);
                        self.last = Some((kind, length));
                        self.place = match (major, length) {
                            (3, 1..=LONGEST) => Place::Body(length),
                            _ => Place::Lost,
                        };
                    }
                }
            }
        }
    }

    /// Whether this direction is through with TLS: it has gone on in clear text,
    /// or its last record can be the close_notify.
    pub(super) fn is_closed(&self) -> bool {
        match self.place {
            Place::Clear => true,
            Place::Header(_, 0) => match self.last {
                Some((ALERT, _)) => true,
                Some((APPLICATION_DATA, length)) => ENCRYPTED_ALERT.contains(&length),
                _ => false,
            },
            Place::Header(..) | Place::Body(_) | Place::Lost => false,
        }
    }

    /// Whether it can have come to this.
    pub(super) fn is_sound(&self) -> bool {
        !matches!(self.place, Place::Header(_, HEADER..))
    }

    /// Octets are missing: where a record ends can no longer be known.
    pub(super) fn lose_place(&mut self) {
        self.place = Place::Lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, length: u16) -> Vec<u8> {
        let mut record = vec![kind, 3, 3];
        record.extend_from_slice(&length.to_be_bytes());
        record.resize(HEADER + usize::from(length), b'\r');
        record
    }

    #[test]
    fn clear_text_begins_behind_the_last_record_however_the_stream_is_cut() {
        let tls = [record(22, 300), record(23, 80), record(ALERT, 26)].concat();
        let stream = [tls.as_slice(), b"PASV\r\n"].concat();
        for cut in 1..stream.len() {
            let mut records = Records::default();
            let mut found = None;
            for (n, piece) in stream.chunks(cut).enumerate() {
                found = found.or(records.follow(piece).map(|at| n * cut + at));
            }
            assert_eq!(found, Some(tls.len()), "{cut}");
        }
    }

    #[test]
    fn only_an_alert_can_be_the_last_record() {
        for (last, is_closed) in [
            (record(ALERT, 2), true),
            (record(ALERT, 26), true),
            (record(APPLICATION_DATA, 19), true),
            (record(APPLICATION_DATA, 20), false),
            (record(22, 19), false),
        ] {
            let mut records = Records::default();
            assert!(!records.is_closed());
            assert_eq!(records.follow(&last[..last.len() - 1]), None);
            assert!(!records.is_closed());
            assert_eq!(records.follow(&last[last.len() - 1..]), None);
            assert_eq!(records.is_closed(), is_closed);
        }
    }

    #[test]
    fn what_is_no_record_is_never_read_again() {
        for junk in [
            [23_u8, 9, 9, 0, 1],
            [23, 3, 3, 0xff, 0xff],
            [0; 5],
            [0x80; 5],
        ] {
            let mut records = Records::default();
            assert_eq!(records.follow(&junk), None);
            assert_eq!(records.follow(b"PORT 10,0,0,7,200,10\r\n"), None);
            assert!(!records.is_closed());
        }
    }
}
