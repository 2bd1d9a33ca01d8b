//! A capture file, plain or compressed.

use std::io::Cursor;

use spigate::capture::{CaptureReader, MAX_RECORD, strip_link};

/// More packets than this are another of the same: compressed, a few bytes can
/// claim any number.
const ENOUGH: usize = 1000;

/// Whatever it is, it ends: after its packets, or with one error.
pub fn run(data: &[u8]) {
    let Ok(mut reader) = CaptureReader::from_stream("fuzz", Cursor::new(data.to_vec())) else {
        return;
    };
    for packet in reader.by_ref().take(ENOUGH) {
        let Ok(packet) = packet else {
            assert!(reader.next().is_none(), "read on behind an error");
            return;
        };
        assert!(packet.data.len() <= MAX_RECORD as usize);
        if let Ok(ip) = strip_link(packet.link, &packet.data, packet.original_length) {
            assert!(ip.at + ip.bytes.len() <= packet.data.len());
        }
    }
}
