//! The summary: what people read.

use crate::common::{OFFICE, RECORDINGS, project_file, recording};

/// The place of a rule moves with every line that is put in before it, so the
/// stored summaries have none; that it is right is tested by itself.
fn without_line_numbers(summary: &str) -> String {
    let file = format!("{OFFICE}:");
    let mut parts = summary.split(&file);
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text += &file;
        text += "LINE";
        text += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    text
}

/// The lines below the heading that begins so, up to the next empty one.
fn section<'a>(summary: &'a str, heading: &str) -> Vec<&'a str> {
    summary
        .lines()
        .skip_while(|line| !line.starts_with(heading))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .collect()
}

#[test]
fn every_recording_gives_the_summary_that_is_stored() {
    for recording in &RECORDINGS {
        let summary = recording.replay(&[]).fine();
        insta::assert_snapshot!(recording.name, without_line_numbers(&summary));
    }
}

#[test]
fn nothing_of_any_recording_is_dropped() {
    for recording in &RECORDINGS {
        let summary = recording.replay(&[]).fine();
        let verdicts = section(&summary, "Verdicts");
        assert!(verdicts.len() >= 2, "{summary}");
        for verdict in &verdicts[1..] {
            assert!(verdict.starts_with("  forward  "), "{summary}");
        }
    }
}

#[test]
fn every_data_session_stands_below_the_control_session_that_announced_it() {
    for (name, data_sessions) in [
        ("ftp-passive-lftp", 2),
        ("ftp-active-lftp", 2),
        ("ftp-epsv-curl", 2),
        ("ftp-eprt-curl", 2),
        ("ftp-epsv-curl-v6", 2),
        ("ftp-passive-upload", 1),
        ("ftp-passive-bulk", 1),
        ("ftp-active-nat", 2),
        ("ftp-passive-nat", 2),
        ("ftp-forward-passive", 2),
    ] {
        let summary = recording(name).replay(&[]).fine();
        let sessions = section(&summary, "Sessions");
        let [_, control, data @ ..] = sessions.as_slice() else {
            panic!("{summary}");
        };
        assert!(control.starts_with("  1  "), "{summary}");
        assert!(control.contains("  tcp ftp  "), "{summary}");
        assert_eq!(data.len(), data_sessions, "{summary}");
        for (number, row) in (2..).zip(data) {
            let last = number == data_sessions + 1;
            let branch = if last { '└' } else { '├' };
            assert!(row.starts_with(&format!("  {branch} {number}  ")), "{row}");
            assert!(row.contains("  tcp data  "), "{row}");
        }
    }
}

#[test]
fn the_place_named_after_a_rule_is_where_it_stands_in_the_file() {
    let summary = recording("ping").replay(&[]).fine();
    let text = String::from_utf8(project_file(OFFICE)).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let rows = &section(&summary, "Rules")[1..];
    assert!(rows.len() > 5);
    for row in rows {
        let (told, place) = row.split_once(&format!("{OFFICE}:")).unwrap();
        let line = lines[place.trim().parse::<usize>().unwrap() - 1];
        let name = told.split_whitespace().next().unwrap();
        let written = match name {
            "default" => "default = ".to_owned(),
            name => format!("id = \"{name}\""),
        };
        assert!(line.contains(&written), "{row}: {line}");
    }
}
