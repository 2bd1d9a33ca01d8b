//! Damage of every kind at every place of a capture: replayed in this process,
//! as a process for each byte would take too long.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use spigate::capture::{self, CaptureReader, Entry, Feed, LinkLength, Merge, PacketReport};
use spigate::capture::{Repair, Sink, Stopped, Vantage};
use spigate::config::Compiled;
use spigate::engine::{Checksums, Engine, Event, Made, Options};
use spigate::net::Timestamp;

use crate::common::{OFFICE, Scratch, project_file, replay};

const DNS: &str = "captures/dns-udp.pcap";

/// Counts what it is told of.
#[derive(Default)]
struct Count(usize);

impl Sink for Count {
    type Error = std::convert::Infallible;

    fn event(&mut self, _: &Engine, _: &Event, _: &[Made]) -> Result<(), Self::Error> {
        Ok(())
    }

    fn packet(&mut self, _: &Engine, report: &PacketReport<'_>) -> Result<(), Self::Error> {
        self.0 += 1;
        assert_eq!(report.number, self.0 as u64);
        assert_ne!(report.judgement.reason.name(), "internal");
        Ok(())
    }
}

fn office() -> Compiled {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(OFFICE);
    spigate::config::load(&path).unwrap()
}

/// How many packets were replayed, and whether to the end of the file.
fn replay_bytes(compiled: &Compiled, bytes: Vec<u8>, checksums: Checksums) -> (usize, bool) {
    let Ok(reader) = CaptureReader::from_stream("damaged", Cursor::new(bytes)) else {
        return (0, false);
    };
    let options = Options { seed: 0, checksums };
    let policy = Arc::new(compiled.policy.clone());
    let mut engine = Engine::new(policy, options, Timestamp::EPOCH);
    let feed = Feed {
        entry: Entry::BySource,
        vantage: Vantage::Auto,
        length: LinkLength::AsTheyAre,
    };
    let mut count = Count::default();
    let merge = Merge::new(vec![reader]);
    match capture::replay(&mut engine, merge, &[feed], Repair::No, &mut count) {
        Ok(()) => (count.0, true),
        Err(Stopped::Source(_)) => (count.0, false),
        Err(Stopped::Sink(never)) => match never {},
    }
}

#[test]
fn a_capture_cut_off_at_any_byte_gives_the_packets_before_the_cut() {
    let office = office();
    for capture in [DNS, "captures/refused-port.pcap"] {
        let whole = project_file(capture);
        // Where the records end: 24 bytes of header, then 16 before each packet.
        let mut ends = vec![24];
        while let Some(&end) = ends.last().filter(|end| **end < whole.len()) {
            let length: [u8; 4] = whole[end + 8..end + 12].try_into().unwrap();
            ends.push(end + 16 + u32::from_le_bytes(length) as usize);
        }
        for length in 0..=whole.len() {
            let told = replay_bytes(&office, whole[..length].to_vec(), Checksums::Verify);
            let records = ends.iter().filter(|end| **end <= length).count();
            let expected = (records.saturating_sub(1), ends.contains(&length));
            assert_eq!(told, expected, "{capture}, {length} bytes");
        }
    }
}

#[test]
fn a_pcapng_file_cut_off_at_any_byte_gives_ever_more_packets() {
    let office = office();
    let whole = project_file("captures/ftp-epsv-curl-v6.pcapng");
    let mut before = 0;
    for length in 0..=whole.len() {
        let (packets, _) = replay_bytes(&office, whole[..length].to_vec(), Checksums::Verify);
        assert!((before..=before + 1).contains(&packets), "{length} bytes");
        before = packets;
    }
    assert_eq!(before, 51);
}

#[test]
fn compressed_captures_cut_off_at_any_byte_end_in_an_error() {
    let office = office();
    let whole = zstd::encode_all(project_file(DNS).as_slice(), 3).unwrap();
    for length in 0..whole.len() {
        let (_, to_the_end) = replay_bytes(&office, whole[..length].to_vec(), Checksums::Verify);
        assert!(!to_the_end, "{length} bytes");
    }
    assert_eq!(replay_bytes(&office, whole, Checksums::Verify), (6, true));
}

#[test]
fn any_byte_of_a_capture_may_be_wrong() {
    let office = office();
    for capture in [DNS, "captures/refused-port.pcap", "captures/ping-v6.pcap"] {
        let whole = project_file(capture);
        for place in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[place] ^= flip;
                let (packets, _) = replay_bytes(&office, damaged, Checksums::Verify);
                assert!(packets <= 6);
            }
        }
    }
}

#[test]
fn any_byte_of_an_ftp_session_may_be_wrong_though_no_checksum_tells() {
    let office = office();
    let whole = project_file("captures/ftp-active-lftp.pcap");
    // Every third byte meets every header field and every command.
    for place in (24..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0xff;
        let (packets, _) = replay_bytes(&office, damaged, Checksums::Ignore);
        assert!(packets <= 65);
    }
}

#[test]
fn the_program_itself_ends_with_two_wherever_the_file_is_cut() {
    let scratch = Scratch::new("wherever_the_file_is_cut");
    let whole = project_file(DNS);
    for length in [1, 3, 4, 23, 25, 39, 41, whole.len() - 1] {
        let cut = scratch.write("cut.pcap", &whole[..length]);
        let (stdout, stderr) = replay(&[&cut, "--json"]).unusable();
        assert!(stderr.contains(&cut), "{stderr}");
        let packets = if length == whole.len() - 1 { 5 } else { 0 };
        assert_eq!(stdout.lines().count(), packets, "{length} bytes");
    }
}
