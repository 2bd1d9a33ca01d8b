//! Capture files: what other programs wrote, what we write, and what is broken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should say where"
)]

use std::io::Cursor;

use proptest::prelude::*;
use spigate::capture::{
    BlockDamage, CaptureError, CaptureReader, CapturedPacket, Fault, LinkType, Merge, Part,
    PcapWriter, Resolution, strip_link,
};
use spigate::engine::Extent;
use spigate::net::Timestamp;

// All of these hold the same two packets, made by text2pcap and editcap.
const NANO_PCAP: &[u8] = include_bytes!("fixtures/two-packets-nanosecond.pcap");
const MICRO_PCAP: &[u8] = include_bytes!("fixtures/two-packets.pcap");
const MODIFIED_PCAP: &[u8] = include_bytes!("fixtures/two-packets-modified.pcap");
const NANO_PCAPNG: &[u8] = include_bytes!("fixtures/two-packets-nanosecond.pcapng");
const MICRO_PCAPNG: &[u8] = include_bytes!("fixtures/two-packets.pcapng");
const GZIP: &[u8] = include_bytes!("fixtures/two-packets-nanosecond.pcap.gz");
const ZSTD: &[u8] = include_bytes!("fixtures/two-packets-nanosecond.pcapng.zst");
const ALL: [&[u8]; 7] = [
    NANO_PCAP,
    MICRO_PCAP,
    MODIFIED_PCAP,
    NANO_PCAPNG,
    MICRO_PCAPNG,
    GZIP,
    ZSTD,
];

fn open(bytes: &[u8]) -> Result<CaptureReader, CaptureError> {
    CaptureReader::from_stream("x", Cursor::new(bytes.to_vec()))
}

/// All packets, and the error that ended them.
fn read(bytes: &[u8]) -> (Vec<CapturedPacket>, Option<CaptureError>) {
    let reader = match open(bytes) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut packets = Vec::new();
    for item in reader {
        match item {
            Ok(packet) => packets.push(packet),
            Err(error) => return (packets, Some(error)),
        }
    }
    (packets, None)
}

fn read_whole(bytes: &[u8]) -> Vec<CapturedPacket> {
    let (packets, error) = read(bytes);
    assert!(error.is_none(), "{}", error.unwrap());
    packets
}

fn times(packets: &[CapturedPacket]) -> Vec<u64> {
    packets.iter().map(|p| p.time.as_nanos()).collect()
}

const FIRST: u64 = 1_772_355_600_123_456_789;
const SECOND: u64 = 1_772_355_601_000_000_001;

mod what_other_programs_wrote {
    use super::*;

    #[test]
    fn nanosecond_files_keep_their_nanoseconds() {
        for bytes in [NANO_PCAP, NANO_PCAPNG, GZIP, ZSTD] {
            assert_eq!(times(&read_whole(bytes)), [FIRST, SECOND]);
        }
    }

    #[test]
    fn microsecond_files_are_not_wrong_by_a_factor_of_thousand() {
        for bytes in [MICRO_PCAP, MODIFIED_PCAP, MICRO_PCAPNG] {
            let micros = [FIRST / 1000 * 1000, SECOND / 1000 * 1000];
            assert_eq!(times(&read_whole(bytes)), micros);
        }
    }

    #[test]
    fn every_format_gives_the_same_packets() {
        for bytes in ALL {
            let packets = read_whole(bytes);
            assert_eq!(packets.len(), 2);
            assert_eq!(packets[0].link, LinkType::Raw);
            assert_eq!(packets[0].original_length, 32);
            assert_eq!(
                hex::encode(&packets[0].data),
                "4500002000010000401100000a000007c6336409c7380035000c000001020304"
            );
            assert_eq!(packets[1].data.len(), 28);
        }
        assert_eq!(read_whole(NANO_PCAP)[1].offset, 0x48);
        assert_eq!(read_whole(NANO_PCAPNG)[1].offset, 0xcc);
    }
}

#[test]
fn every_capture_of_the_project_holds_ip_packets_only() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/captures");
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|e| e.to_str());
        if !matches!(extension, Some("pcap" | "pcapng")) {
            continue;
        }
        files += 1;
        let packets: Result<Vec<_>, _> = CaptureReader::open(&path).unwrap().collect();
        let packets = packets.unwrap();
        assert!(!packets.is_empty(), "{}", path.display());
        for packet in packets {
            let ip = strip_link(packet.link, &packet.data, packet.original_length);
            let ip = ip.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            assert!(etherparse::LaxIpSlice::from_slice(ip.bytes).is_ok());
            let parsed = etherparse::IpSlice::from_slice(ip.bytes);
            assert_eq!(parsed.is_ok(), ip.extent == Extent::Whole);
        }
    }
    assert!(files > 10, "only {files} captures");
}

mod what_is_broken {
    use super::*;

    #[test]
    fn every_prefix_gives_a_prefix_of_the_packets_and_then_an_error() {
        let ends_of_records: [&[usize]; 7] = [
            &[24, 72],
            &[24, 72],
            &[24, 80],
            &[108, 140, 204],
            &[108, 128, 192],
            &[],
            &[],
        ];
        for (whole, ends) in ALL.into_iter().zip(ends_of_records) {
            let packets = read_whole(whole);
            let (mut seen, mut clean) = (0, Vec::new());
            for end in 0..whole.len() {
                let (some, error) = read(&whole[..end]);
                assert!(some.len() >= seen, "a longer prefix gave fewer packets");
                assert_eq!(some, packets[..some.len()], "the first {end} bytes");
                seen = some.len();
                match error {
                    Some(error) => {
                        // The fault lies where the last packet ended, and in the file.
                        let at = error.offset().unwrap_or(0);
                        assert!(some.last().is_none_or(|p| p.offset < at), "{error}");
                    }
                    // Cut exactly between two records: nothing can tell.
                    None => clean.push(end),
                }
            }
            assert_eq!(clean, ends);
            let compressed = whole == GZIP || whole == ZSTD;
            assert_eq!(seen, if compressed { 2 } else { 1 });
        }
    }

    #[test]
    fn no_flipped_bit_makes_a_panic_or_an_endless_file() {
        for whole in ALL {
            for place in 0..whole.len() * 8 {
                let mut bytes = whole.to_vec();
                bytes[place / 8] ^= 1 << (place % 8);
                let (packets, _) = read(&bytes);
                // Sixteen zero bytes are an empty record, and a damaged gzip
                // stream can repeat zeros: at most a thousand times what it holds.
                assert!(packets.len() <= 1000, "{place}");
            }
        }
    }

    fn message(bytes: &[u8]) -> String {
        read(bytes).1.expect("it is broken").to_string()
    }

    #[test]
    fn the_message_names_the_file_and_the_byte_in_one_line() {
        assert_eq!(message(b""), "x: the file is empty");
        assert_eq!(
            message(b"{\"packet\":1}"),
            "x: neither pcap nor pcapng: it begins with 7b 22 70 61"
        );
        assert_eq!(
            message(b"\xfd7zXZ\0"),
            "x: compressed with xz; only gzip and zstd are read"
        );
        assert_eq!(
            message(&MICRO_PCAP[..10]),
            "x: the file header is cut short: it needs 24 bytes, the file ends after 10"
        );
        assert_eq!(
            message(&MICRO_PCAP[..30]),
            "x: the header of the record that begins at byte 24 is cut short: \
             it needs 16 bytes, the file ends after 6"
        );
        assert_eq!(
            message(&MICRO_PCAP[..115]),
            "x: the record that begins at byte 72 is cut short: \
             it says 28 bytes, the file ends after 27"
        );
        assert_eq!(
            message(&NANO_PCAPNG[..260]),
            "x: the block that begins at byte 204 is cut short: \
             it says 60 bytes, the file ends after 56"
        );
    }

    #[test]
    fn a_cut_compressed_file_says_where_in_the_decompressed_stream() {
        let error = read(&GZIP[..GZIP.len() - 20]).1.unwrap();
        assert!(matches!(error.fault, Fault::Compression { .. }), "{error}");
        let text = error.to_string();
        assert!(text.ends_with("(byte counts are of the gzip stream, decompressed)"));
        let error = read(&ZSTD[..ZSTD.len() - 20]).1.unwrap();
        assert!(matches!(error.fault, Fault::Compression { .. }), "{error}");
    }

    #[test]
    fn a_wrong_length_is_refused_before_memory_is_taken() {
        let mut bytes = MICRO_PCAP.to_vec();
        bytes[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = read(&bytes).1.unwrap();
        let part = Part::Record;
        assert!(
            matches!(error.fault, Fault::TooLong { part: p, at: 24, says: 0xffff_ffff } if p == part)
        );
        let mut bytes = NANO_PCAPNG.to_vec();
        bytes[0x90..0x94].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
        let error = read(&bytes).1.unwrap();
        assert!(
            matches!(
                error.fault,
                Fault::TooLong {
                    part: Part::Block,
                    at: 0x8c,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_file_of_an_unknown_link_type_does_not_open() {
        let mut pcap = MICRO_PCAP.to_vec();
        pcap[20] = 105;
        let mut pcapng = MICRO_PCAPNG.to_vec();
        pcapng[0x74] = 105;
        for bytes in [pcap, pcapng] {
            assert_eq!(
                open(&bytes).unwrap_err().to_string(),
                "x: cannot find IP packets in link type 105 (IEEE802_11)"
            );
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = CaptureReader::open("no/such/file.pcap").unwrap_err();
        assert!(matches!(error.fault, Fault::Open(_)));
        assert!(
            error
                .to_string()
                .starts_with("no/such/file.pcap: cannot be opened: ")
        );
    }
}

/// A pcapng file put together block by block.
struct Pcapng {
    big_endian: bool,
    bytes: Vec<u8>,
}

impl Pcapng {
    fn new(big_endian: bool) -> Self {
        let bytes = Vec::new();
        Self { big_endian, bytes }.section(big_endian)
    }

    fn u16(&self, value: u16) -> [u8; 2] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn u32(&self, value: u32) -> [u8; 4] {
        if self.big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    }

    fn block(mut self, block_type: u32, body: &[&[u8]]) -> Self {
        let mut body = body.concat();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.u32(u32::try_from(body.len()).unwrap() + 12);
        let block_type = self.u32(block_type);
        for part in [&block_type[..], &length, &body, &length] {
            self.bytes.extend_from_slice(part);
        }
        self
    }

    fn section(mut self, big_endian: bool) -> Self {
        self.big_endian = big_endian;
        let (magic, one, zero) = (self.u32(0x1a2b_3c4d), self.u16(1), self.u16(0));
        self.block(0x0a0d_0d0a, &[&magic, &one, &zero, &[0xff; 8]])
    }

    fn interface(self, link: u16, options: &[(u16, &[u8])]) -> Self {
        let mut body = [&self.u16(link)[..], &[0; 6]].concat();
        for (code, value) in options {
            body.extend_from_slice(&self.u16(*code));
            body.extend_from_slice(&self.u16(u16::try_from(value.len()).unwrap()));
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &[&body])
    }

    fn packet(self, interface: u32, ticks: u64, data: &[u8], original: u32) -> Self {
        let words = [
            interface,
            u32::try_from(ticks >> 32).unwrap(),
            u32::try_from(ticks & 0xffff_ffff).unwrap(),
            u32::try_from(data.len()).unwrap(),
            original,
        ];
        let header = words.map(|word| self.u32(word)).concat();
        self.block(6, &[&header, data])
    }
}

mod clocks_sections_and_old_blocks {
    use super::*;

    #[test]
    fn every_interface_has_its_own_clock() {
        for big_endian in [false, true] {
            let hour = 3600_i64;
            let offset = if big_endian {
                hour.to_be_bytes()
            } else {
                hour.to_le_bytes()
            };
            let file = Pcapng::new(big_endian)
                .interface(101, &[])
                .interface(101, &[(9, &[3])])
                .interface(101, &[(9, &[0x8a])])
                .interface(101, &[(9, &[12])])
                .interface(101, &[(9, &[0]), (14, &offset)])
                .packet(0, 5_000_001, b"abc", 3)
                .packet(1, 5_001, b"abc", 3)
                .packet(2, 5 * 1024 + 512, b"abc", 3)
                .packet(3, 5_000_000_001_999, b"abc", 3)
                .packet(4, 5, b"abc", 3);
            let expected = [
                5_000_001_000,
                5_001_000_000,
                5_500_000_000,
                5_000_000_001,
                3_605_000_000_000,
            ];
            assert_eq!(times(&read_whole(&file.bytes)), expected);
        }
    }

    #[test]
    fn absurd_clocks_end_at_the_ends_of_time() {
        let long_ago = (-1_i64 << 62).to_le_bytes();
        let far = (1_i64 << 62).to_le_bytes();
        let file = Pcapng::new(false)
            .interface(101, &[(14, &long_ago)])
            .interface(101, &[(14, &far)])
            .interface(101, &[(9, &[0x7f])])
            .interface(101, &[(9, &[0xff])])
            .interface(101, &[(9, &[0])])
            .packet(0, 5, b"a", 1)
            .packet(1, 5, b"a", 1)
            .packet(2, u64::MAX, b"a", 1)
            .packet(3, u64::MAX, b"a", 1)
            .packet(4, u64::MAX, b"a", 1);
        let expected = [0, u64::MAX, 0, 0, u64::MAX];
        assert_eq!(times(&read_whole(&file.bytes)), expected);
    }

    #[test]
    fn a_section_has_its_own_byte_order_and_interfaces() {
        let file = Pcapng::new(false)
            .interface(101, &[])
            .packet(0, 1, b"one", 3)
            .section(true)
            .interface(1, &[(9, &[9])])
            .packet(0, 2, b"two", 3)
            .section(false)
            .packet(0, 3, b"none", 4);
        let (packets, error) = read(&file.bytes);
        assert_eq!(times(&packets), [1_000, 2]);
        assert_eq!(packets[1].link, LinkType::Ethernet);
        let error = error.unwrap();
        assert!(
            matches!(
                error.fault,
                Fault::Block {
                    damage: BlockDamage::Interface(0),
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_simple_packet_has_the_time_of_the_one_before_and_its_padding_goes() {
        let five = 5_u32.to_le_bytes();
        let file = Pcapng::new(false)
            .interface(101, &[])
            .packet(0, 7, b"timed", 5)
            .block(3, &[&five, b"hello"])
            .packet(0, 9, b"timed", 5);
        let packets = read_whole(&file.bytes);
        assert_eq!(times(&packets), [7_000, 7_000, 9_000]);
        assert_eq!(packets[1].data, b"hello");
        assert_eq!(packets[1].original_length, 5);
    }

    #[test]
    fn an_obsolete_packet_block_is_a_packet_too() {
        let header = [1_u32 << 16, 0, 7, 3, 60].map(u32::to_le_bytes).concat();
        let file = Pcapng::new(false)
            .interface(101, &[])
            .block(2, &[&header, b"old"]);
        let packets = read_whole(&file.bytes);
        assert_eq!(times(&packets), [7_000]);
        assert_eq!(packets[0].data, b"old");
        assert_eq!(packets[0].original_length, 60);
    }

    #[test]
    fn blocks_without_a_packet_are_passed_over() {
        let file = Pcapng::new(true)
            .block(0x0bad, &[&[1; 100]])
            .interface(101, &[])
            .block(5, &[&[1; 12]])
            .packet(0, 7, b"timed", 5)
            .block(0x7fff_ffff, &[&[1; 100_000]])
            .packet(0, 8, b"timed", 5);
        assert_eq!(times(&read_whole(&file.bytes)), [7_000, 8_000]);
    }

    #[test]
    fn packets_of_one_interface_of_unknown_link_type_come_marked_as_such() {
        let file = Pcapng::new(false)
            .interface(220, &[])
            .interface(1, &[])
            .packet(0, 7, b"usb", 3)
            .packet(1, 8, b"ethernet", 8);
        let packets = read_whole(&file.bytes);
        assert_eq!(packets[0].link, LinkType::Other(220));
        assert_eq!(packets[1].link, LinkType::Ethernet);
    }

    #[test]
    fn two_lengths_that_differ_are_named() {
        let mut file = Pcapng::new(false).interface(101, &[]).packet(0, 7, b"a", 1);
        let end = file.bytes.len() - 4;
        file.bytes[end] = 99;
        let error = read(&file.bytes).1.unwrap();
        assert_eq!(
            error.to_string(),
            "x: the block that begins at byte 48 is damaged: \
             it says 36 bytes at its start and 99 at its end"
        );
    }

    #[test]
    fn big_endian_pcap_is_read_too() {
        let header = |magic: u32| {
            let mut bytes = magic.to_be_bytes().to_vec();
            bytes.extend([0, 2, 0, 4]);
            // The upper half says that frames end with a check sequence of four bytes.
            bytes.extend(
                [0_u32, 0, 65_535, 0x4400_0001]
                    .map(u32::to_be_bytes)
                    .concat(),
            );
            bytes.extend([5_u32, 7, 3, 60].map(u32::to_be_bytes).concat());
            bytes.extend(b"abc");
            bytes
        };
        let packets = read_whole(&header(0xa1b2_c3d4));
        assert_eq!(times(&packets), [5_000_007_000]);
        assert_eq!(packets[0].link, LinkType::Ethernet);
        assert_eq!(packets[0].original_length, 60);
        assert_eq!(times(&read_whole(&header(0xa1b2_3c4d))), [5_000_000_007]);
    }
}

fn written(resolution: Resolution, packets: &[(u64, Vec<u8>, u32)]) -> Vec<u8> {
    let mut writer = PcapWriter::new("y", Vec::new(), resolution).unwrap();
    for (nanos, bytes, original) in packets {
        let time = Timestamp::from_nanos(*nanos);
        writer.write(time, bytes, *original).unwrap();
    }
    writer.finish().unwrap()
}

mod merging {
    use super::*;

    fn reader(times: &[u64]) -> CaptureReader {
        let packets: Vec<_> = times.iter().map(|t| (*t, vec![0x45], 1)).collect();
        open(&written(Resolution::Nanos, &packets)).unwrap()
    }

    fn merged(readers: Vec<CaptureReader>) -> Vec<(usize, u64)> {
        Merge::new(readers)
            .map(|item| item.unwrap())
            .map(|merged| (merged.file, merged.packet.time.as_nanos()))
            .collect()
    }

    #[test]
    fn packets_come_by_time_and_ties_by_the_order_of_the_files() {
        let merged = merged(vec![reader(&[1, 4, 4]), reader(&[]), reader(&[1, 3, 4])]);
        assert_eq!(merged, [(0, 1), (2, 1), (2, 3), (0, 4), (0, 4), (2, 4)]);
    }

    #[test]
    fn a_file_whose_time_jumps_back_keeps_its_order() {
        let merged = merged(vec![reader(&[5, 1, 6]), reader(&[4, 5])]);
        assert_eq!(merged, [(1, 4), (0, 5), (0, 1), (1, 5), (0, 6)]);
    }

    #[test]
    fn damage_in_one_file_ends_all_after_its_last_packet() {
        let packets = [(2, vec![0x45], 1), (5, vec![0x45], 1)];
        let cut = written(Resolution::Nanos, &packets);
        let cut = open(&cut[..cut.len() - 1]).unwrap();
        let items: Vec<_> = Merge::new(vec![reader(&[1, 3]), cut])
            .map(|item| item.map(|m| m.file).map_err(|e| e.offset()))
            .collect();
        assert_eq!(items, [Ok(0), Ok(1), Err(Some(41))]);
    }
}

mod writing {
    use super::*;

    #[test]
    fn a_time_that_pcap_cannot_say_is_refused() {
        let mut writer = PcapWriter::new("y", Vec::new(), Resolution::Micros).unwrap();
        let late = Timestamp::from_secs(1 << 32);
        let error = writer.write(late, &[0x45], 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "y: a pcap file cannot hold the time 2106-02-07T06:28:16.000000Z"
        );
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = PcapWriter::create("no/such/lan.pcap", Resolution::Micros).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("no/such/lan.pcap: cannot be opened: ")
        );
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(
            packets in prop::collection::vec(
                (0_u64..(1 << 32) * 1_000_000_000, prop::collection::vec(any::<u8>(), 0..200), 0_u32..2000),
                0..20,
            )
        ) {
            let bytes = written(Resolution::Nanos, &packets);
            let back = read_whole(&bytes);
            prop_assert_eq!(back.len(), packets.len());
            for (back, (nanos, bytes, original)) in back.iter().zip(&packets) {
                prop_assert_eq!(back.time.as_nanos(), *nanos);
                prop_assert_eq!(&back.data, bytes);
                let original = (*original).max(u32::try_from(bytes.len()).unwrap());
                prop_assert_eq!(back.original_length, original);
                prop_assert_eq!(back.link, LinkType::Raw);
            }
            let micros = read_whole(&written(Resolution::Micros, &packets));
            for (back, (nanos, ..)) in micros.iter().zip(&packets) {
                prop_assert_eq!(back.time.as_nanos(), nanos / 1000 * 1000);
            }
        }

        #[test]
        fn arbitrary_bytes_behind_a_magic_never_panic(
            magic in 0_usize..ALL.len(),
            bytes in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut file = ALL[magic][..4].to_vec();
            file.extend(bytes);
            let _ = read(&file);
        }
    }
}
