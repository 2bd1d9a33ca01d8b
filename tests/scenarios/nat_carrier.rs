//! A gateway that many share: blocks of ports, ranges by arithmetic, and what is
//! written down of them (RFC 6888, RFC 7422).

use std::collections::BTreeSet;

use serde_json::Value;
use spigate::engine::{Event, Reason};
use spigate::journal::Record;

use super::dialogue::Dialogue;
use super::lab::{LAN, Lab, WAN};
use super::packets::{Packet, echo, endpoint, tcp, udp};
use super::wants::{drop_for, forward_to};

const SERVER: &str = "198.51.100.1:53";

/// A gateway with one row, of which this is said.
pub(super) fn lab(row: &str) -> Lab {
    lab_with("", row, "")
}

/// The same, with more at the head of the file and in `[nat]`.
pub(super) fn lab_with(head: &str, row: &str, nat: &str) -> Lab {
    Lab::new(&rules(head, row, nat))
}

/// Its rule file.
pub(super) fn rules(head: &str, row: &str, nat: &str) -> String {
    format!(
        r#"
version = 1
{head}
[zones]
lan = {{ tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }}
wan = {{ tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }}
[services]
ftp = {{ tcp = 21, alg = "ftp" }}
[policy]
default = "drop"
rules = [{{ id = "out", from = "lan", to = "wan", action = "allow" }}]
[nat]
source = [{{ id = "cgn", from = "lan", to = "wan", {row} }}]
{nat}
"#
    )
}

/// As what a packet of a client leaves, and what is written down of it.
pub(super) fn send(lab: &mut Lab, at: f64, packet: Packet) -> (Option<String>, Vec<Value>) {
    let sent = lab.at(at).from(LAN).send(packet);
    let leaves = sent.forwarded.as_ref().map(|(_, seen)| seen.source.clone());
    (leaves, records(lab, &sent.events))
}

fn public(lab: &mut Lab, at: f64, packet: Packet) -> String {
    let (leaves, _) = send(lab, at, packet);
    leaves.expect("it leaves")
}

fn port(lab: &mut Lab, client: &str) -> u16 {
    endpoint(&public(lab, 0.0, udp(client, SERVER))).port()
}

pub(super) fn records(lab: &Lab, events: &[Event]) -> Vec<Value> {
    let of = |event| Record::of(event, lab.engine.policy());
    let all = events.iter().filter_map(of);
    all.map(|record| serde_json::to_value(record).unwrap())
        .collect()
}

fn words(records: &[Value]) -> Vec<&str> {
    let words = records.iter().map(|record| record["event"].as_str());
    words.map(Option::unwrap).collect()
}

const BLOCKS: &str = r#"as = "masquerade", blocks = { size = 64, per-client = 2 }"#;

#[test]
fn t_6888_req_14__a_block_is_written_down_when_it_is_given_and_when_it_returns() {
    let mut lab = lab(BLOCKS);
    let (leaves, first) = send(&mut lab, 0.0, udp("10.0.0.7:5000", SERVER));
    let given = &first[0];
    assert_eq!(words(&first), ["block-given"]);
    let (from, to) = (&given["first-port"], &given["last-port"]);
    let (from, to) = (from.as_u64().unwrap(), to.as_u64().unwrap());
    assert_eq!(to - from, 63);
    let port = endpoint(&leaves.unwrap()).port();
    assert!((from..=to).contains(&u64::from(port)));
    let expected = serde_json::json!({
        "event": "block-given", "time": "2026-03-01T09:00:00.000000Z", "row": "cgn",
        "client": "10.0.0.7", "address": "203.0.113.2", "first-port": from, "last-port": to,
    });
    assert_eq!(given, &expected);
    // None for what goes on within it.
    for n in 1..40 {
        let packet = udp(&format!("10.0.0.7:{}", 5000 + n), SERVER);
        let (leaves, more) = send(&mut lab, 10.0, packet);
        assert!(leaves.is_some() && more.is_empty(), "{more:?}");
    }
    let ended = lab.wait_until(39.0);
    assert!(records(&lab, &ended).is_empty());
    let ended = lab.wait_until(40.0);
    let last = records(&lab, &ended);
    assert_eq!(words(&last), ["block-returned"]);
    assert_eq!(last[0]["time"], "2026-03-01T09:00:40.000000Z");
    assert_eq!(last[0]["first-port"], from);
    assert_eq!(lab.engine.sessions().mappings().blocks().in_use(), 0);
}

#[test]
fn t_6888_req_15__the_ports_of_a_block_are_drawn_and_all_of_it_is_used() {
    for kind in ["", r#", mapping = "endpoint-independent""#] {
        let mut lab = lab(&format!("{BLOCKS}{kind}"));
        let drawn: Vec<_> = (0..64)
            .map(|n| port(&mut lab, &format!("10.0.0.7:{}", 5000 + n)))
            .collect();
        // REQ-13 asks what share of the ports is of use: of a block every one.
        let all: BTreeSet<_> = drawn.iter().copied().collect();
        assert_eq!(all.len(), 64);
        assert_eq!(all.last().unwrap() - all.first().unwrap(), 63);
        let steps = drawn
            .windows(2)
            .map(|pair| i32::from(pair[1]) - i32::from(pair[0]));
        let small = steps.filter(|step| step.abs() <= 2).count();
        assert!(small < 16, "{small} of 63 steps are small: {drawn:?}");
    }
}

#[test]
fn t_6888_req_14__a_client_has_so_many_blocks_and_others_as_many() {
    for kind in ["", r#", mapping = "endpoint-independent""#] {
        let row = format!(
            r#"as = "masquerade", ports = "2000-2031", blocks = {{ size = 8, per-client = 2 }}{kind}"#
        );
        let mut lab = lab(&row);
        let client = |n: u16| udp(&format!("10.0.0.7:{}", 5000 + n), SERVER);
        for n in 0..16 {
            let _ = public(&mut lab, 0.0, client(n));
        }
        let sent = lab.at(0.0).from(LAN).send(client(16));
        let _ = sent.expect(drop_for(Reason::NatClientLimit).rule("out"));
        for n in 0..16 {
            let _ = port(&mut lab, &format!("10.0.0.8:{}", 5000 + n));
        }
        // And there are no more.
        let sent = lab.at(0.0).from(LAN).send(udp("10.0.0.9:5000", SERVER));
        let _ = sent.expect(drop_for(Reason::NatPortsExhausted).rule("out"));
        assert_eq!(lab.engine.sessions().mappings().blocks().in_use(), 4);
    }
}

#[test]
fn a_client_may_use_its_ports_again_towards_other_servers() {
    let row = r#"as = "masquerade", ports = "2000-2031", blocks = { size = 8, per-client = 1 }"#;
    let mut lab = lab(row);
    let mut seen = BTreeSet::new();
    for server in ["198.51.100.1:53", "198.51.100.2:53"] {
        for n in 0..8 {
            let packet = udp(&format!("10.0.0.7:{}", 5000 + n), server);
            seen.insert(public(&mut lab, 0.0, packet));
        }
    }
    assert_eq!(seen.len(), 8, "all of its one block");
    // Nobody else gets one of them, though the server is another.
    for n in 0..8 {
        let packet = udp(&format!("10.0.0.8:{}", 5000 + n), "198.51.100.3:53");
        assert!(!seen.contains(&public(&mut lab, 0.0, packet)));
    }
}

#[test]
fn who_finds_no_block_at_its_own_address_gets_one_at_another_and_stays_there() {
    let row = r#"as = "203.0.113.16-203.0.113.19", ports = "2000-2007", blocks = { size = 8 }"#;
    let mut lab = lab(row);
    let mut addresses = BTreeSet::new();
    for host in 7..11 {
        let own: BTreeSet<_> = (0..3)
            .map(|n| {
                let client = format!("10.0.0.{host}:{}", 5000 + n);
                endpoint(&public(&mut lab, 0.0, udp(&client, SERVER))).ip()
            })
            .collect();
        assert_eq!(own.len(), 1, "{own:?}");
        addresses.extend(own);
    }
    assert_eq!(addresses.len(), 4, "each has one of its own");
}

#[test]
fn what_ftp_announces_lies_in_the_block_of_its_client() {
    let row = r#"as = "masquerade", blocks = { size = 64 }"#;
    let mut lab = lab(row);
    let mut ftp = Dialogue::open(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), "198.51.100.21:21");
    ftp.logs_in(&mut lab, 0.0);
    let said = ftp.client_says(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let numbers: Vec<u16> = said.trim_end()[5..]
        .split(',')
        .map(|n| n.parse().unwrap())
        .collect();
    let announced = numbers[4] * 256 + numbers[5];
    let control = lab.session().origin.tuples.reply.destination;
    let block = |port: u16| (port - 1024) / 64;
    assert_eq!(block(announced), block(control.port.0));
    // The data session keeps the block when the dialogue is over.
    let public = format!("203.0.113.2:{announced}");
    let syn = tcp("198.51.100.21:20", &public).syn();
    let sent = lab.at(2.0).from(WAN).send(syn);
    let _ = sent.expect(forward_to(LAN).destination("10.0.0.7:51210"));
    assert_eq!(lab.engine.sessions().mappings().in_use(), 2);
}

const MAPPINGS: &str = r#"as = "masquerade", log = "mappings""#;

#[test]
fn t_6888_s4_log__a_record_has_protocol_client_public_endpoint_and_time() {
    let row = format!(r#"{MAPPINGS}, mapping = "endpoint-independent""#);
    let mut lab = lab(&row);
    let (_, made) = send(&mut lab, 1.0, udp("10.0.0.7:5000", SERVER));
    let record = |event: &str, time: &str| {
        serde_json::json!({
            "event": event, "time": time, "row": "cgn", "protocol": "udp", "client": "10.0.0.7",
            "client-port": 5000, "address": "203.0.113.2", "port": 5000,
        })
    };
    assert_eq!(
        made,
        [record("mapping-began", "2026-03-01T09:00:01.000000Z")]
    );
    let (_, more) = send(&mut lab, 20.0, udp("10.0.0.7:5000", "198.51.100.9:53"));
    assert!(more.is_empty(), "the mapping is the same: {more:?}");
    let ended = lab.wait_until(60.0);
    let ended = records(&lab, &ended);
    assert_eq!(
        ended,
        [record("mapping-ended", "2026-03-01T09:00:50.000000Z")]
    );
}

#[test]
fn t_6888_req_12__no_destination_is_written_down_unless_it_is_asked_for() {
    for log in ["mappings", "blocks"] {
        let row = format!(r#"as = "masquerade", blocks = {{ size = 64 }}, log = "{log}""#);
        let mut lab = lab(&row);
        let (_, made) = send(&mut lab, 0.0, udp("10.0.0.7:5000", SERVER));
        let ended = lab.wait_until(60.0);
        let all = [made, records(&lab, &ended)].concat();
        assert_eq!(all.len(), if log == "blocks" { 2 } else { 4 });
        let text = serde_json::to_string(&all).unwrap();
        assert!(
            !text.contains("198.51.100.1") && !text.contains("server"),
            "{text}"
        );
    }
    let mut lab = lab(r#"as = "masquerade", log = "sessions""#);
    for (server, n) in [("198.51.100.1:53", 1), ("198.51.100.2:53", 2)] {
        let (_, made) = send(&mut lab, f64::from(n), udp("10.0.0.7:5000", server));
        assert_eq!(words(&made), ["session-began"]);
        assert_eq!(made[0]["server"], endpoint(server).ip().to_string());
        assert_eq!(made[0]["server-port"], 53);
    }
    let ended = lab.wait_until(60.0);
    assert_eq!(words(&records(&lab, &ended)), ["session-ended"; 2]);
}

/// Six clients with ten ports each, and twenty for whom these do not suffice.
const DETERMINISTIC: &str = r#"src = "10.0.0.0/29", as = "203.0.113.16", ports = "1024-1103", deterministic = { dynamic = 2, block = 8, max-ports = 18 }"#;

#[test]
fn t_7422_s2_own__a_clients_own_range_comes_first_is_drawn_from_and_needs_no_record() {
    for kind in ["", r#", mapping = "endpoint-independent""#] {
        let mut lab = lab(&format!("{DETERMINISTIC}{kind}"));
        let (_, begun) = send(&mut lab, 0.0, udp("10.0.0.2:4999", SERVER));
        assert_eq!(words(&begun), ["nat-parameters"]);
        let mut drawn = vec![];
        for n in 0..9 {
            let (leaves, noted) = send(
                &mut lab,
                0.0,
                udp(&format!("10.0.0.2:{}", 5000 + n), SERVER),
            );
            assert!(noted.is_empty(), "{noted:?}");
            let leaves = endpoint(&leaves.unwrap());
            assert_eq!(leaves.ip().to_string(), "203.0.113.16");
            drawn.push(leaves.port());
        }
        // The second client's own.
        assert!(
            drawn.iter().all(|port| (1034..=1043).contains(port)),
            "{drawn:?}"
        );
        assert!(!drawn.is_sorted(), "{drawn:?}");
    }
}

#[test]
fn t_7422_s2_dyn__then_a_block_of_the_pool_is_given_and_written_down_up_to_the_most() {
    let mut lab = lab(DETERMINISTIC);
    let client = |n: u16| udp(&format!("10.0.0.2:{}", 5000 + n), SERVER);
    for n in 0..10 {
        let _ = public(&mut lab, 0.0, client(n));
    }
    let (leaves, noted) = send(&mut lab, 1.0, client(10));
    assert_eq!(words(&noted), ["block-given"]);
    let (first, last) = (&noted[0]["first-port"], &noted[0]["last-port"]);
    let block = u16::try_from(first.as_u64().unwrap()).unwrap()
        ..=u16::try_from(last.as_u64().unwrap()).unwrap();
    assert!(block.contains(&endpoint(&leaves.unwrap()).port()));
    assert!([1084..=1091, 1092..=1099].contains(&block), "{block:?}");
    assert_eq!(noted[0]["client"], "10.0.0.2");
    assert_eq!(noted[0]["address"], "203.0.113.16");
    for n in 11..18 {
        let (leaves, noted) = send(&mut lab, 1.0, client(n));
        assert!(leaves.is_some() && noted.is_empty());
    }
    let sent = lab.at(1.0).from(LAN).send(client(18));
    assert_eq!(words(&records(&lab, &sent.events)), ["nat-short"]);
    let _ = sent.expect(drop_for(Reason::NatClientLimit).rule("out"));
    let ended = lab.wait_until(100.0);
    assert_eq!(words(&records(&lab, &ended)), ["block-returned"]);
}

#[test]
fn t_7422_s2_icmp__identifiers_come_from_the_range() {
    let mut lab = lab(DETERMINISTIC);
    for n in 0..10 {
        let sent = lab.at(0.0).from(LAN);
        let sent = sent.send(echo("10.0.0.2", "198.51.100.1", 7000 + n));
        assert!(sent.forwarded.is_some());
    }
    let ids = lab.engine.sessions().sorted();
    let ids: BTreeSet<_> = ids
        .iter()
        .map(|s| s.origin.tuples.reply.source.port.0)
        .collect();
    assert_eq!(ids, (1034..=1043).collect());
}

#[test]
fn t_7422_s2_ex__the_first_and_last_client_of_the_example_leave_by_their_ranges() {
    let rules = r#"
version = 1
[zones]
lan = { net = "198.51.100.0/28" }
wan = { net = "0.0.0.0/0" }
[policy]
default = "allow"
[nat]
source = [{ id = "cgn", from = "lan", to = "wan", src = "198.51.100.0/28", as = "192.0.2.1", deterministic = { dynamic = 2 } }]
"#;
    let mut lab = Lab::new(rules);
    for (host, range) in [(1, 1024..=5055), (2, 5056..=9087), (14, 53440..=57471)] {
        for n in 0..50 {
            let client = format!("198.51.100.{host}:{}", 1000 + n);
            let leaves = endpoint(&public(&mut lab, 0.0, udp(&client, "203.0.113.9:53")));
            assert_eq!(leaves.ip().to_string(), "192.0.2.1");
            assert!(range.contains(&leaves.port()), "{leaves} of {host}");
        }
    }
    // Who is none of the clients has nothing to leave by.
    let sent = lab
        .at(0.0)
        .from(LAN)
        .send(udp("198.51.100.15:1000", "203.0.113.9:53"));
    let _ = sent.expect(drop_for(Reason::NatNoAddress));
}

#[test]
fn t_7422_s3__the_parameters_are_written_down_at_the_start_and_once_a_day() {
    let mut lab = lab_with("", DETERMINISTIC, "reserved = { udp = 1050 }");
    let (_, noted) = send(&mut lab, 0.0, udp("10.0.0.2:5000", SERVER));
    let expected = serde_json::json!({
        "event": "nat-parameters", "time": "2026-03-01T09:00:00.000000Z", "row": "cgn",
        "clients": ["10.0.0.0/29"], "addresses": [["203.0.113.16", "203.0.113.16"]],
        "dynamic": 2, "max-ports": 18, "algorithm": "sequential",
        "reserved": ["0-1023", "1104-65535", "udp 1050-1050"],
        "first-port": 1024, "last-port": 1103, "ports-per-client": 10,
    });
    assert_eq!(noted, [expected]);
    let day = 24.0 * 3600.0;
    let told = lab.wait_until(day - 1.0);
    assert!(records(&lab, &told).is_empty());
    let deadline = lab.engine.next_deadline();
    assert_eq!(deadline, Some(super::lab::moment(day)));
    let told = lab.wait_until(day + 5.0);
    let told = records(&lab, &told);
    assert_eq!(words(&told), ["nat-parameters"]);
    assert_eq!(told[0]["time"], "2026-03-02T09:00:00.000000Z");
    // Nobody was there for a week: it is said once.
    let told = lab.wait_until(9.0 * day);
    assert_eq!(words(&records(&lab, &told)), ["nat-parameters"]);
}
