//! What cannot be read, and readers who do not want it all.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::common::{
    OFFICE, Run, Scratch, command, office_with, project_file, recording, replay, replay_by, spigate,
};
use crate::packets::{Packet, packets, pcap, raw_pcap};

const DNS: &str = "captures/dns-udp.pcap";

/// The one line on standard error, and standard output.
#[track_caller]
fn one_line(run: Run) -> (String, String) {
    let (stdout, stderr) = run.unusable();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("spigate: "), "{stderr}");
    (stdout, stderr)
}

mod files {
    use super::*;

    #[test]
    fn a_capture_that_ends_in_a_record_is_replayed_up_to_there() {
        let scratch = Scratch::new("ends_in_a_record");
        let whole = project_file(DNS);
        let cut = scratch.write("cut.pcap", &whole[..400]);
        let (stdout, stderr) = one_line(replay(&[&cut, "--json"]));
        let place = "the record that begins at byte 340 is cut short: \
                     it says 112 bytes, the file ends after 44";
        assert!(stderr.contains(&cut) && stderr.contains(place), "{stderr}");
        let whole = replay(&[DNS, "--json"]).fine();
        let before: Vec<_> = whole.lines().take(3).collect();
        assert_eq!(stdout.lines().collect::<Vec<_>>(), before);
        let (summary, again) = one_line(replay(&[&cut]));
        assert!(summary.starts_with("3 packets, "), "{summary}");
        assert!(summary.contains("Verdicts"), "{summary}");
        assert_eq!(again, stderr);
    }

    #[test]
    fn what_came_before_the_damage_is_written_too() {
        let scratch = Scratch::new("written_before_the_damage");
        let cut = scratch.write("cut.pcap", &project_file(DNS)[..400]);
        let out = scratch.path("out");
        replay(&[&cut, "--out", &out]).unusable();
        assert_eq!(packets(&format!("{out}/wan.pcap")).len(), 2);
        assert_eq!(packets(&format!("{out}/lan.pcap")).len(), 1);
    }

    #[test]
    fn compressed_damage_is_named_by_the_place_in_the_decompressed_file() {
        let scratch = Scratch::new("compressed_damage");
        let whole = zstd::encode_all(project_file(DNS).as_slice(), 3).unwrap();
        let cut = scratch.write("cut.pcap.zst", &whole[..whole.len() - 20]);
        let (_, stderr) = one_line(replay(&[&cut]));
        assert!(stderr.contains("zstd"), "{stderr}");
    }

    #[test]
    fn what_is_no_capture_is_said_to_be_none() {
        let scratch = Scratch::new("no_capture");
        let text = scratch.write("notes.txt", "this is text");
        let (stdout, stderr) = one_line(replay(&[&text]));
        assert_eq!(stdout, "");
        let words = "neither pcap nor pcapng: it begins with 74 68 69 73";
        assert!(stderr.contains(words), "{stderr}");
    }

    #[test]
    fn a_link_type_without_ip_is_named() {
        let scratch = Scratch::new("link_type");
        let wireless = pcap(105, &[Packet::at(0, vec![0; 60])], <[u8]>::to_vec);
        let wireless = scratch.write("wireless.pcap", wireless);
        let (stdout, stderr) = one_line(replay(&[&wireless]));
        assert_eq!(stdout, "");
        let words = "cannot find IP packets in link type 105 (IEEE802_11)";
        assert!(stderr.contains(words), "{stderr}");
    }

    #[test]
    fn an_empty_file_is_said_to_be_empty() {
        let scratch = Scratch::new("empty_file");
        let empty = scratch.write("empty.pcap", "");
        let (stdout, stderr) = one_line(replay(&[&empty]));
        assert_eq!(stdout, "");
        assert_eq!(stderr, format!("spigate: {empty}: the file is empty\n"));
    }

    #[test]
    fn a_capture_without_packets_is_no_fault() {
        let scratch = Scratch::new("without_packets");
        let none = scratch.write("none.pcap", raw_pcap(&[]));
        assert_eq!(replay(&[&none, "--json"]).fine(), "");
        let summary = replay(&[&none]).fine();
        assert!(summary.starts_with("0 packets, 0 B\n"), "{summary}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let (stdout, stderr) = one_line(replay(&["captures/none-such.pcap"]));
        assert_eq!(stdout, "");
        assert!(stderr.contains("captures/none-such.pcap: "), "{stderr}");
        assert!(stderr.contains("No such file"), "{stderr}");
    }

    #[test]
    fn a_directory_is_no_capture() {
        let (stdout, stderr) = one_line(replay(&["captures"]));
        assert_eq!(stdout, "");
        assert!(stderr.contains("Is a directory"), "{stderr}");
    }

    #[test]
    fn one_bad_file_among_good_ones_ends_the_replay_before_it_begins() {
        let (stdout, stderr) = one_line(replay(&[DNS, "captures/none-such.pcap"]));
        assert_eq!(stdout, "");
        assert!(stderr.contains("none-such"), "{stderr}");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let scratch = Scratch::new("cannot_be_made");
        let file = scratch.write("file", "in the way");
        let (stdout, stderr) = one_line(replay(&[DNS, "--out", &file]));
        assert_eq!(stdout, "");
        assert!(stderr.contains(&file), "{stderr}");
    }
}

mod usage {
    use super::*;

    #[test]
    fn a_rule_file_that_is_not_there_is_named() {
        let (stdout, stderr) = replay_by("rules/none-such.toml", &[DNS]).unusable();
        assert_eq!(stdout, "");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("rules/none-such.toml"), "{stderr}");
        assert!(stderr.contains("No such file"), "{stderr}");
    }

    #[test]
    fn a_rule_file_with_errors_gets_all_of_them_named() {
        let scratch = Scratch::new("rules_with_errors");
        let rules = office_with(r#"from = "lan", to = "wan""#, r#"from = "lna", to = "wna""#);
        let rules = scratch.write("bad.toml", rules);
        let (stdout, stderr) = replay_by(&rules, &[DNS]).unusable();
        assert_eq!(stdout, "");
        for words in [
            "unknown zone `lna`",
            "did you mean `lan`?",
            "unknown zone `wna`",
            "did you mean `wan`?",
        ] {
            assert!(stderr.contains(words), "{stderr}");
        }
        assert!(!stderr.contains('\u{1b}'), "no colours in a pipe");
    }

    #[test]
    fn a_zone_that_the_rules_do_not_have_is_named() {
        let (stdout, stderr) = one_line(replay(&["--zone", "office=captures/ping.pcap"]));
        assert_eq!(stdout, "");
        let words = "no zone `office` in rules/office.toml; it has lan, dmz, wan";
        assert!(stderr.contains(words), "{stderr}");
    }

    #[test]
    fn what_clap_refuses_exits_with_two_and_says_nothing_on_standard_output() {
        for (args, words) in [
            (&["replay", DNS, "--rules", OFFICE, "--bytes"][..], "--json"),
            (&["replay", "--rules", OFFICE], "<CAPTURE"),
            (&["replay", DNS], "--rules"),
            (&["replay", "--rules", OFFICE, "--zone", "lan"], "NAME=FILE"),
            (
                &["replay", DNS, "--rules", OFFICE, "--vantage", "above"],
                "above",
            ),
            (
                &["replay", DNS, "--rules", OFFICE, "--checksum", "no"],
                "[possible values: verify, ignore, repair]",
            ),
            (
                &["replay", DNS, "--rules", OFFICE, "--seed", "dice"],
                "dice",
            ),
        ] {
            let (stdout, stderr) = spigate(args).unusable();
            assert_eq!(stdout, "");
            assert!(stderr.contains(words), "{stderr}");
        }
    }
}

mod readers_who_leave {
    use super::*;

    fn start(args: &[&str]) -> std::process::Child {
        command(&[&["replay", "--rules", OFFICE], args].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[track_caller]
    fn ends_quietly(mut child: std::process::Child) {
        let mut stderr = String::new();
        let mut pipe = child.stderr.take().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{stderr}");
        assert_eq!(stderr, "");
    }

    #[test]
    fn a_reader_of_one_line_ends_it_quietly() {
        // More than a pipe holds.
        let all = [recording("ftp-passive-bulk").args[0]; 3];
        let mut child = start(&[&all[..], &["--json", "--bytes"]].concat());
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.starts_with("{\"packet\":1,"));
        drop(stdout);
        ends_quietly(child);
    }

    #[test]
    fn no_reader_at_all_ends_it_quietly() {
        for args in [&[DNS][..], &[DNS, "--json"]] {
            let mut child = start(args);
            drop(child.stdout.take());
            ends_quietly(child);
        }
    }

    #[test]
    fn a_full_disk_is_no_reader_who_has_seen_enough() {
        let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else {
            eprintln!("skipped: needs /dev/full, which this system does not have");
            return;
        };
        let run: Run = command(&["replay", "--rules", OFFICE, DNS])
            .stdout(full)
            .output()
            .unwrap()
            .into();
        let (_, stderr) = one_line(run);
        assert!(stderr.contains("cannot write the output: "), "{stderr}");
    }
}
