//! The same packets in every kind of capture file give the same output.

use std::io::{Read, Write};
use std::process::Stdio;

use flate2::write::GzEncoder;

use crate::common::{RECORDINGS, Run, Scratch, command, project_file, recording, replay};
use crate::packets::{Packet, ethernet, packets, pcap, raw_pcap};

const IPV4: &str = "captures/ftp-active-lftp.pcap";
const IPV6: &str = "captures/ftp-epsv-curl-v6.pcapng";
const CUT: &str = "captures/ftp-passive-bulk.pcap";

/// Lines with bytes, and the summary.
fn told(capture: &str) -> [Run; 2] {
    let lines = replay(&[capture, "--json", "--bytes"]);
    let summary = replay(&[capture]);
    assert_eq!(lines.code, Some(0), "{lines:#?}");
    [lines, summary]
}

#[test]
fn compressed_captures_give_the_same_output() {
    let scratch = Scratch::new("compressed");
    for capture in [IPV4, IPV6, CUT] {
        let bytes = project_file(capture);
        let mut gzip = GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&bytes).unwrap();
        // The name says nothing: the first bytes do.
        let gzip = scratch.write("gzip", gzip.finish().unwrap());
        let zstd = scratch.write("zstd", zstd::encode_all(bytes.as_slice(), 3).unwrap());
        assert_eq!(told(&gzip), told(capture));
        assert_eq!(told(&zstd), told(capture));
    }
}

/// A pcapng file of one interface with time stamps in nanoseconds.
fn pcapng(link: u16, packets: &[Packet], frame: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &length].concat()
    };
    let section = [
        &0x1a2b_3c4d_u32.to_le_bytes()[..],
        &1_u16.to_le_bytes(),
        &0_u16.to_le_bytes(),
        &u64::MAX.to_le_bytes(),
    ];
    let interface = [
        &link.to_le_bytes()[..],
        &[0, 0],
        &262_144_u32.to_le_bytes(),
        &[9, 0, 1, 0, 9, 0, 0, 0], // if_tsresol: 10^-9
        &[0; 4],
    ];
    let mut file = block(0x0a0d_0d0a, &section.concat());
    file.extend(block(1, &interface.concat()));
    for packet in packets {
        let framed = frame(&packet.bytes);
        let nanos = packet.time.as_nanos();
        let header = framed.len() - packet.bytes.len();
        let words = [
            0,
            nanos >> 32,
            nanos & 0xffff_ffff,
            framed.len() as u64,
            u64::from(packet.length) + header as u64,
        ];
        let words = words.map(|word| u32::try_from(word).unwrap().to_le_bytes());
        file.extend(block(6, &[words.concat(), framed].concat()));
    }
    file
}

#[test]
fn a_pcapng_file_gives_the_output_of_the_pcap_file() {
    let scratch = Scratch::new("pcapng");
    for capture in [IPV4, IPV6, CUT] {
        let packets = packets(capture);
        let other = if capture == IPV6 {
            pcap(1, &packets, ethernet)
        } else {
            pcapng(1, &packets, ethernet)
        };
        let other = scratch.write("other", other);
        assert_eq!(told(&other), told(capture));
    }
}

fn cooked(ip: &[u8]) -> Vec<u8> {
    let header = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 7, 0, 0];
    let ether_type = &ethernet(ip)[12..14];
    [&header[..], ether_type, ip].concat()
}

fn cooked_2(ip: &[u8]) -> Vec<u8> {
    let header = [0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 7, 0, 0];
    let ether_type = &ethernet(ip)[12..14];
    [ether_type, &header, ip].concat()
}

fn tagged(tags: &[u8], ip: &[u8]) -> Vec<u8> {
    let frame = ethernet(ip);
    [&frame[..12], tags, &frame[12..]].concat()
}

fn loopback(family_of_ipv6: u32, ip: &[u8]) -> u32 {
    if ip[0] >> 4 == 6 { family_of_ipv6 } else { 2 }
}

#[test]
fn every_link_type_gives_the_output_of_ethernet() {
    type Frame = fn(&[u8]) -> Vec<u8>;
    let all: [(&str, u32, Frame); 11] = [
        ("raw", 101, <[u8]>::to_vec),
        ("raw-of-bsd", 12, <[u8]>::to_vec),
        ("ethernet", 1, ethernet),
        ("vlan", 1, |ip| tagged(&[0x81, 0, 0, 7], ip)),
        ("qinq", 1, |ip| {
            tagged(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 9], ip)
        }),
        ("sll", 113, cooked),
        ("sll2", 276, cooked_2),
        ("null-linux", 0, |ip| {
            [&loopback(10, ip).to_le_bytes(), ip].concat()
        }),
        ("null-macos", 0, |ip| {
            [&loopback(30, ip).to_le_bytes(), ip].concat()
        }),
        ("null-big-endian", 0, |ip| {
            [&loopback(28, ip).to_be_bytes(), ip].concat()
        }),
        ("loop", 108, |ip| {
            [&loopback(24, ip).to_be_bytes(), ip].concat()
        }),
    ];
    let scratch = Scratch::new("every_link_type");
    for capture in [IPV4, IPV6, CUT] {
        let packets = packets(capture);
        let expected = told(capture);
        let ip_only = if capture == IPV6 { 229 } else { 228 };
        let ip_only: (&str, u32, Frame) = ("ip", ip_only, <[u8]>::to_vec);
        for (name, link, frame) in all.iter().chain([&ip_only]) {
            let file = scratch.write(name, pcap(*link, &packets, frame));
            assert_eq!(told(&file), expected, "{name}");
        }
    }
}

#[test]
fn padding_of_short_frames_is_no_part_of_the_packet() {
    let scratch = Scratch::new("padding");
    let mut packets = packets(IPV4);
    let padded = pcap(1, &packets, |ip| {
        let mut frame = ethernet(ip);
        frame.resize(frame.len().max(60), 0);
        frame
    });
    let padded = scratch.write("padded.pcap", padded);
    assert_eq!(told(&padded), told(IPV4));
    packets.truncate(1);
    assert!(
        packets[0].bytes.len() < 60 + 14,
        "there was something to pad"
    );
}

#[test]
fn a_capture_can_come_by_standard_input() {
    let mut child = command(&["replay", "-", "--rules", crate::common::OFFICE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&project_file(IPV4)).unwrap();
    drop(stdin);
    let mut stdout = String::new();
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_to_string(&mut stdout).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(stdout, replay(&[IPV4]).fine());
}

#[test]
fn the_order_of_bound_files_changes_nothing() {
    for recording in RECORDINGS.iter().filter(|r| !r.is_one_sided()) {
        let [_, first, _, second] = recording.args else {
            panic!("a pair");
        };
        let turned = replay(&["--zone", second, "--zone", first]);
        assert_eq!(turned.fine(), recording.replay(&[]).fine());
    }
}

#[test]
fn several_bare_captures_are_merged_by_time() {
    let scratch = Scratch::new("merged_by_time");
    let all = packets(recording("web-fetch").args[0]);
    let (even, odd): (Vec<_>, Vec<_>) = (0..).zip(all).partition(|(n, _)| n % 2 == 0);
    let file = |name, part: Vec<(i32, Packet)>| {
        let packets: Vec<_> = part.into_iter().map(|(_, packet)| packet).collect();
        scratch.write(name, raw_pcap(&packets))
    };
    let (even, odd) = (file("even.pcap", even), file("odd.pcap", odd));
    let parts = replay(&[&odd, &even, "--json", "--bytes"]).fine();
    let whole = recording("web-fetch").replay(&["--json", "--bytes"]).fine();
    assert_eq!(parts, whole);
}
