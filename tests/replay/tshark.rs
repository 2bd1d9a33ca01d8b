//! What leaves, as Wireshark reads it.

use std::io::ErrorKind;
use std::process::Command;
use std::time::Duration;

use crate::common::{RECORDINGS, Recording, Scratch, recording};
use crate::packets::{NINE, Packet, merged, packets, raw_pcap};
use crate::written::out_of;

/// What tshark prints of a capture; nothing, said aloud, where there is no
/// tshark. A build server has to have it (`tests/setup.sh`).
fn tshark(capture: &str, args: &[&str]) -> Option<String> {
    let checksums = [
        "ip.check_checksum:TRUE",
        "tcp.check_checksum:TRUE",
        "udp.check_checksum:TRUE",
    ];
    let output = Command::new("tshark")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["-n", "-r", capture])
        .args(checksums.iter().flat_map(|option| ["-o", option]))
        .args(args)
        .output();
    match output {
        Ok(output) if output.status.success() => Some(String::from_utf8(output.stdout).unwrap()),
        Ok(output) => panic!("tshark: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            eprintln!("skipped: needs tshark, which is not here (tests/setup.sh installs it)");
            None
        }
        Err(error) => panic!("tshark: {error}"),
    }
}

/// How far apart recordings are moved to stand in one capture: starting
/// tshark costs more than all that it reads here.
const APART: u64 = 1000;

/// One capture of what `read` gives of each recording, and what tshark says of
/// it: a row for each packet that the filter takes, with the recording's name
/// and one column for each field.
fn fields(
    scratch: &Scratch,
    recordings: &[&'static Recording],
    read: impl Fn(&Recording) -> Vec<Packet>,
    filter: &str,
    fields: &[&str],
) -> Option<Vec<(&'static str, Vec<String>)>> {
    let mut all = Vec::new();
    for (place, recording) in (0..).zip(recordings) {
        let later = Duration::from_secs(place * APART);
        let packets = read(recording).into_iter().map(|packet| Packet {
            time: packet.time.after(later),
            ..packet
        });
        all.extend(packets);
    }
    let capture = scratch.write("all.pcap", raw_pcap(&all));
    let columns = fields.iter().flat_map(|field| ["-e", field]);
    let args: Vec<_> = ["-T", "fields", "-Y", filter, "-e", "frame.time_epoch"]
        .into_iter()
        .chain(columns)
        .collect();
    let row = |line: &str| {
        let (epoch, columns) = line.split_once('\t').unwrap();
        let seconds: u64 = epoch.split('.').next().unwrap().parse().unwrap();
        let place = usize::try_from((seconds - NINE) / APART).unwrap();
        let columns = columns.split('\t').map(str::to_owned).collect();
        (recordings[place].name, columns)
    };
    Some(tshark(&capture, &args)?.lines().map(row).collect())
}

fn ftp() -> Vec<&'static Recording> {
    RECORDINGS.iter().filter(|r| r.is_ftp()).collect()
}

/// The file that holds what the client, or the server, sent.
fn input(recording: &Recording, zone: &str) -> &'static str {
    if recording.is_one_sided() {
        recording.args[0]
    } else {
        recording.file_of(zone)
    }
}

/// Zones of client and server.
fn ends(recording: &Recording) -> (&'static str, &'static str) {
    match recording.name {
        "ftp-forward-passive" => ("wan", "dmz"),
        _ => ("lan", "wan"),
    }
}

#[test]
fn wireshark_finds_no_bad_checksum() {
    let scratch = Scratch::new("wireshark_checksums");
    let all: Vec<_> = RECORDINGS.iter().collect();
    let left = |recording: &Recording| packets(&out_of(recording, &scratch, "wan"));
    let columns = [
        "ip.checksum.status",
        "tcp.checksum.status",
        "udp.checksum.status",
        "icmp.checksum.status",
        "icmpv6.checksum.status",
        "_ws.malformed",
    ];
    let whole = "frame.len == frame.cap_len";
    let Some(rows) = fields(&scratch, &all, left, whole, &columns) else {
        return;
    };
    assert!(rows.len() > 300);
    for (name, columns) in &rows {
        let statuses: Vec<_> = columns.iter().filter(|c| !c.is_empty()).collect();
        // 1: good. There is one for the transport at least.
        assert!(!statuses.is_empty(), "{name}: {columns:?}");
        assert!(statuses.iter().all(|s| *s == "1"), "{name}: {columns:?}");
    }
}

#[test]
fn wireshark_sees_the_dialogue_that_was_recorded() {
    let scratch = Scratch::new("wireshark_dialogue");
    // A client's commands leave where the server is, its answers at the client.
    let commands_left = |r: &Recording| packets(&out_of(r, &scratch, ends(r).1));
    let answers_left = |r: &Recording| packets(&out_of(r, &scratch, ends(r).0));
    let commands = |r: &Recording| packets(input(r, ends(r).0));
    let answers = |r: &Recording| packets(input(r, ends(r).1));
    type Read<'a> = &'a dyn Fn(&Recording) -> Vec<Packet>;
    let both: [(&str, Read<'_>, Read<'_>); 2] = [
        ("ftp.request.command", &commands, &commands_left),
        ("ftp.response.code", &answers, &answers_left),
    ];
    for (field, recorded, left) in both {
        let Some(then) = fields(&scratch, &ftp(), recorded, field, &[field]) else {
            return;
        };
        let now = fields(&scratch, &ftp(), left, field, &[field]).unwrap();
        for recording in ftp() {
            let lines = then.iter().filter(|(name, _)| *name == recording.name);
            assert!(lines.count() > 8, "{} {field}", recording.name);
        }
        assert_eq!(then, now, "{field}");
    }
}

#[test]
fn wireshark_reads_the_public_address_in_every_announcement() {
    let scratch = Scratch::new("wireshark_announcements");
    let announced = [
        ("ftp-active-lftp", "ftp.active.cip"),
        ("ftp-active-nat", "ftp.active.cip"),
        ("ftp-eprt-curl", "ftp.eprt.ip"),
        ("ftp-forward-passive", "ftp.passive.ip"),
    ];
    let recordings = announced.map(|(name, _)| recording(name));
    let left = |recording: &Recording| packets(&out_of(recording, &scratch, "wan"));
    let columns = ["ftp.active.cip", "ftp.eprt.ip", "ftp.passive.ip"];
    let filter = columns.join(" || ");
    let Some(rows) = fields(&scratch, &recordings, left, &filter, &columns) else {
        return;
    };
    let expected: Vec<_> = announced
        .iter()
        .flat_map(|(name, field)| {
            let address = |column: &&str| if column == field { "203.0.113.2" } else { "" };
            let row: Vec<_> = columns.iter().map(address).map(str::to_owned).collect();
            [(*name, row.clone()), (*name, row)] // a listing and a file
        })
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn wireshark_misses_no_segment_outside() {
    let scratch = Scratch::new("wireshark_segments");
    let wire = |recording: &Recording| {
        let written = out_of(recording, &scratch, "wan");
        if recording.is_one_sided() {
            packets(&written)
        } else {
            merged(&[&written, recording.file_of("wan")])
        }
    };
    let columns = ["frame.number", "_ws.col.Info"];
    let Some(rows) = fields(&scratch, &ftp(), wire, "tcp.analysis.flags", &columns) else {
        return;
    };
    assert!(rows.is_empty(), "{rows:#?}");
}
