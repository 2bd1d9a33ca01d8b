//! The captures' time is the clock: what happens between two packets.

use serde_json::{Value, json};

use crate::common::{Scratch, objects, office_with, recording, replay, replay_by};
use crate::packets::{NINE, Packet, packets, raw_pcap, syn, udp};
use spigate::net::Timestamp;

const HOUR: u64 = 3600;

fn replay_made(scratch: &Scratch, made: &[Packet]) -> Vec<Value> {
    let capture = scratch.write("made.pcap", raw_pcap(made));
    objects(&replay(&[&capture, "--json"]).fine())
}

fn query(port: u16) -> Vec<u8> {
    udp(&format!("10.0.0.7:{port}"), "198.51.100.21:53", b"question")
}

#[test]
fn a_session_that_ran_out_is_told_of_before_the_next_packet() {
    let scratch = Scratch::new("a_session_that_ran_out");
    let lines = replay_made(
        &scratch,
        &[
            Packet::at(0, query(5000)),
            Packet::at(3 * HOUR, query(5001)),
        ],
    );
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0]["packet"], 1);
    // Nobody answered: rules/office.toml says dns has idle = "10s", which is
    // less than the 30 s that Linux gives UDP then.
    let expired = json!({
        "timer": "session-expired",
        "time": "2026-03-01T09:00:10.000000Z",
        "session": 1,
        "state": "unreplied",
    });
    assert_eq!(lines[1], expired);
    assert_eq!(lines[2]["packet"], 2);
    assert_eq!(lines[2]["session"], 2);
}

#[test]
fn a_packet_that_comes_back_after_the_end_begins_a_new_session() {
    let scratch = Scratch::new("a_packet_that_comes_back");
    let lines = replay_made(
        &scratch,
        &[
            Packet::at(0, query(5000)),
            Packet::at(9, query(5000)),
            Packet::at(60, query(5000)),
        ],
    );
    let told: Vec<_> = lines.iter().map(|line| &line["session"]).collect();
    assert_eq!(told, [1, 1, 1, 2]);
    assert_eq!(lines[2]["timer"], "session-expired");
    assert_eq!(lines[2]["time"], "2026-03-01T09:00:19.000000Z");
    assert_eq!(lines[3]["reason"], "rule");
}

#[test]
fn a_session_that_was_answered_lives_as_long_as_its_service_says() {
    let scratch = Scratch::new("as_long_as_its_service_says");
    let mut made = packets("captures/dns-udp.pcap");
    let last = made[made.len() - 1].time;
    made.push(Packet::at(HOUR, query(6000)));
    let timers = replay_made(&scratch, &made).split_off(6);
    let timers = &timers[..timers.len() - 1];
    assert_eq!(timers.len(), 3);
    assert!(timers.iter().all(|line| line["state"] == "replied"));
    // rules/office.toml: dns has idle = "10s"
    let ten_later = last.after(std::time::Duration::from_secs(10));
    assert_eq!(timers[2]["time"], ten_later.to_string());
}

#[test]
fn sessions_end_in_the_order_of_their_times() {
    let scratch = Scratch::new("sessions_end_in_order");
    let mut made: Vec<_> = (0..5)
        .map(|n| Packet::at(n, query(5000 + u16::try_from(n).unwrap())))
        .collect();
    made.push(Packet::at(6, query(5000)));
    made.push(Packet::at(HOUR, query(6000)));
    let lines = replay_made(&scratch, &made);
    let timers: Vec<_> = lines.iter().filter(|l| l.get("timer").is_some()).collect();
    let sessions: Vec<_> = timers.iter().map(|line| &line["session"]).collect();
    assert_eq!(sessions, [2, 3, 4, 5, 1]);
    assert!(timers.is_sorted_by_key(|line| line["time"].as_str()));
}

/// What its receiver sends to acknowledge this segment, at the same time.
fn acknowledging(segment: &Packet) -> Packet {
    let packet = etherparse::LaxSlicedPacket::from_ip(&segment.bytes).unwrap();
    let Some(etherparse::TransportSlice::Tcp(tcp)) = packet.transport else {
        panic!("a TCP segment");
    };
    let octets = u32::try_from(tcp.payload().len()).unwrap();
    let [source, destination] = segment.addresses().map(|address| match address {
        std::net::IpAddr::V4(address) => address.octets(),
        std::net::IpAddr::V6(_) => panic!("an IPv4 session"),
    });
    let answer = etherparse::PacketBuilder::ipv4(destination, source, 64)
        .tcp(
            tcp.destination_port(),
            tcp.source_port(),
            tcp.acknowledgment_number(),
            512,
        )
        .ack(tcp.sequence_number().wrapping_add(octets));
    let mut bytes = Vec::new();
    answer.write(&mut bytes, &[]).unwrap();
    let length = u32::try_from(bytes.len()).unwrap();
    Packet {
        time: segment.time,
        bytes,
        length,
    }
}

/// The active FTP session up to PORT and its answer, which the client
/// acknowledges, and a stray packet later.
fn announced_and_left(scratch: &Scratch, later: u64) -> Vec<Value> {
    let mut kept = packets("captures/ftp-active-lftp.pcap");
    let answer = kept
        .iter()
        .position(|p| p.bytes.windows(9).any(|w| w == b"200 PORT "))
        .unwrap();
    kept.truncate(answer + 1);
    kept.push(acknowledging(&kept[answer]));
    let mut last = kept[answer].clone();
    last.time = Timestamp::from_secs(NINE + later);
    kept.push(last);
    let timers = replay_made(scratch, &kept).into_iter().skip(answer + 2);
    timers.collect()
}

#[test]
fn a_data_session_that_never_came_is_told_of() {
    let scratch = Scratch::new("a_data_session_that_never_came");
    let lines = announced_and_left(&scratch, HOUR);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert_eq!(lines[0]["timer"], "expectation-expired");
    // five minutes after PORT
    assert_eq!(
        lines[0]["time"].as_str().unwrap()[..19],
        *"2026-03-01T09:05:00"
    );
    assert_eq!(lines[0]["session"], 1);
    assert_eq!(lines[1]["verdict"], "forward");
}

#[test]
fn an_announcement_ends_before_its_control_session_though_both_are_overdue() {
    let scratch = Scratch::new("both_are_overdue");
    let lines = announced_and_left(&scratch, 5 * HOUR);
    let told: Vec<_> = lines.iter().map(|line| line["timer"].as_str()).collect();
    let expected = [Some("expectation-expired"), Some("session-expired"), None];
    assert_eq!(told, expected);
    // rules/office.toml: ftp has idle = "2h"
    assert_eq!(
        lines[1]["time"].as_str().unwrap()[..19],
        *"2026-03-01T11:00:00"
    );
    assert_eq!(lines[2]["reason"], "no-session");
}

/// An established connection in which both ends have said something, and a packet
/// of somebody else two hours later.
fn idle_connection() -> Vec<Packet> {
    const CLIENT: [u8; 4] = [10, 0, 0, 7];
    const SERVER: [u8; 4] = [10, 0, 9, 80];
    let segment = |source: [u8; 4], ports: [u16; 2], numbers: [u32; 2]| {
        let destination = if source == CLIENT { SERVER } else { CLIENT };
        etherparse::PacketBuilder::ipv4(source, destination, 64)
            .tcp(ports[0], ports[1], numbers[0], 64_000)
            .ack(numbers[1])
    };
    let (to, back) = ([51_000, 80], [80, 51_000]);
    let mut made: Vec<_> = [
        etherparse::PacketBuilder::ipv4(CLIENT, SERVER, 64)
            .tcp(51_000, 80, 100, 64_000)
            .syn(),
        segment(SERVER, back, [500, 101]).syn(),
        segment(CLIENT, to, [101, 501]),
        segment(SERVER, back, [501, 101]),
    ]
    .into_iter()
    .map(|segment| {
        let mut bytes = Vec::new();
        segment.write(&mut bytes, &[]).unwrap();
        Packet::at(0, bytes)
    })
    .collect();
    made.push(Packet::at(2 * HOUR, query(5000)));
    made
}

#[test]
fn a_held_syn_is_told_of_by_its_timer_and_what_that_sends_is_in_the_files() {
    let scratch = Scratch::new("a_held_syn");
    let unsolicited = syn("198.51.100.9:40000", "203.0.113.2:4000");
    let later = query(5000);
    let made = [Packet::at(0, unsolicited.clone()), Packet::at(HOUR, later)];
    let capture = scratch.write("made.pcap", raw_pcap(&made));
    let rules = office_with("[policy]", "[policy]\nunsolicited-syn = \"hold\"");
    let rules = scratch.write("office.toml", rules);
    let out = scratch.path("out");
    let said = replay_by(&rules, &[&capture, "--json", "--bytes", "--out", &out]).fine();
    let lines = objects(&said);
    assert_eq!(lines[0]["verdict"], "drop");
    assert_eq!(lines[0]["reason"], "unsolicited-syn");
    assert_eq!(lines[1]["timer"], "syn-unanswered");
    assert_eq!(lines[1]["time"], "2026-03-01T09:00:06.000000Z");
    assert_eq!(lines[1]["source"], "198.51.100.9:40000");
    assert_eq!(lines[1]["destination"], "203.0.113.2:4000");
    assert_eq!(lines[1]["out"][0]["zone"], "wan");
    let told = packets(&format!("{out}/wan.pcap"));
    assert!(told[0].bytes.ends_with(&unsolicited), "{:?}", told[0]);
}

#[test]
fn what_the_ends_of_an_expired_session_are_told_stands_with_its_timer_and_in_the_files() {
    let scratch = Scratch::new("what_the_ends_are_told");
    let capture = scratch.write("made.pcap", raw_pcap(&idle_connection()));
    for (on_expiry, packets) in [("silent", 0), ("reset", 1), ("probe", 4)] {
        let rules = office_with(
            "tcp-established = \"2h4m\"",
            &format!("tcp-established = \"1h\"\non-expiry = \"{on_expiry}\""),
        );
        let rules = scratch.write("office.toml", rules);
        let out = scratch.path(on_expiry);
        let said = replay_by(&rules, &[&capture, "--json", "--bytes", "--out", &out]).fine();
        let lines = objects(&said);
        let timers: Vec<_> = lines.iter().filter(|l| l.get("timer").is_some()).collect();
        let (ended, asked) = timers.split_last().unwrap();
        assert_eq!(ended["timer"], "session-expired");
        assert_eq!(ended["state"], "established");
        for line in asked {
            assert_eq!(line["timer"], "session-probed");
        }
        // To each end, by its zone.
        let zones = |line: &Value| {
            let out = line.get("out").and_then(Value::as_array);
            let out = out.map(Vec::as_slice).unwrap_or_default();
            out.iter().map(|o| o["zone"].clone()).collect::<Vec<_>>()
        };
        for line in &timers {
            let expected = if packets == 0 {
                vec![]
            } else {
                vec![json!("dmz"), json!("lan")]
            };
            assert_eq!(zones(line), expected, "{line}");
        }
        let written = |zone: &str| self::packets(&format!("{out}/{zone}.pcap"));
        // Two of the four segments left by each zone.
        assert_eq!(written("dmz").len(), 2 + packets, "{on_expiry}");
        assert_eq!(written("lan").len(), 2 + packets, "{on_expiry}");
        assert!(written("dmz").is_sorted_by_key(|packet| packet.time));
        // The packet in whose time they fell did not cause them.
        let last = lines.last().unwrap();
        assert_eq!(zones(last), [json!("wan")]);
    }
}

#[test]
fn no_recording_lasts_long_enough_for_a_timer() {
    let stdout = recording("ftp-passive-lftp").replay(&["--json"]).fine();
    assert!(!stdout.contains("\"timer\""));
}
