//! Another rule file takes over while sessions live.

use spigate::config;
use spigate::engine::{Backlog, Ending, Event, Output, Overtaken, Reason, Successor, Unfit};
use spigate::net::{NatRow, RowId};
use std::path::Path;
use std::sync::Arc;

use super::dialogue::{Dialogue, forwarded};
use super::ftp_active::{CLIENT, DATA, SERVER, data_syn, masqueraded};
use super::lab::{DMZ, LAN, Lab, WAN, moment};
use super::nat_carrier;
use super::packets::{endpoint, resummed, tcp, udp};
use super::policies::OFFICE;
use super::wants::{drop_for, forward_to};

const WEB: &str = "198.51.100.9:80";
const DNS: &str = "198.51.100.1:53";

/// The office's rules with some words changed.
fn office(changes: &[(&str, &str)]) -> String {
    let mut rules = OFFICE.to_owned();
    for (from, to) in changes {
        assert!(rules.contains(from), "{from}");
        rules = rules.replace(from, to);
    }
    rules
}

const LAN_OUT: &str = r#"{ id = "lan-out",     from = "lan", to = "wan", action = "allow" },"#;
const RECHECK: (&str, &str) = (
    r#"default = "drop""#,
    "default = \"drop\"\non-reload = \"recheck\"",
);

/// The endings that events tell of.
fn endings(events: &[Event]) -> Vec<Ending> {
    let ending = |event: &Event| match event {
        Event::Ended { ending, .. } => Some(*ending),
        _ => None,
    };
    events.iter().filter_map(ending).collect()
}

/// How often a rule of this name has decided.
fn hits(lab: &Lab, name: &str) -> u64 {
    let mut rules = lab.engine.policy().rules.iter();
    let (id, _) = rules.find(|(_, rule)| rule.name == name).unwrap();
    lab.engine.counters().hits(id)
}

#[test]
fn sessions_go_on_wherever_their_rows_stand_now() {
    let mut lab = Lab::new(OFFICE);
    let mut out = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    let mut into = Dialogue::open(&mut lab, 0.0, (WAN, WEB), "203.0.113.2:2222");
    let (table, hit) = (lab.table(), hits(&lab, "lan-out"));
    let other = office(&[
        (
            LAN_OUT,
            &format!(
                "{{ id = \"new\", from = \"dmz\", to = \"lan\", service = \"late\", action = \"allow\" }},\n{LAN_OUT}"
            ),
        ),
        ("[services]", "[services]\nlate = { tcp = 9 }"),
        (
            "source = [",
            "source = [{ id = \"none\", from = \"dmz\", to = \"wan\", dst = \"192.0.2.9\", as = \"none\" }, ",
        ),
        (
            "forward = [",
            "forward = [\n  { id = \"more\", on = \"wan\", tcp = 9999, to = \"10.0.9.9\", admit = true },",
        ),
    ]);
    for (at, rules) in [(1.0, &other[..]), (2.0, OFFICE), (3.0, &other)] {
        lab.reload(at, rules);
        assert_eq!(out.client_says(&mut lab, at, "more"), "more");
        assert_eq!(out.server_says(&mut lab, at, "much more"), "much more");
        assert_eq!(into.server_says(&mut lab, at, "SSH-2.0"), "SSH-2.0");
        assert_eq!(lab.table(), table);
        assert_eq!(hits(&lab, "lan-out"), hit);
    }
    let sent = lab.at(4.0).from(LAN).send(out.client.segment());
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:51000").rule("lan-out"));
    let sent = lab.at(4.0).from(WAN).send(into.client.segment());
    let _ = sent.expect(forward_to(DMZ).destination("10.0.9.22:22").rule("fwd-ssh"));
    // What is new in the file is so for new connections.
    let sent = lab
        .at(4.0)
        .from(WAN)
        .send(tcp(WEB, "203.0.113.2:9999").syn());
    let _ = sent.expect(forward_to(DMZ).destination("10.0.9.9:9999").rule("more"));
}

#[test]
fn a_session_outlives_its_rule_and_names_it() {
    let mut lab = Lab::new(OFFICE);
    let mut web = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    lab.reload(1.0, &office(&[(LAN_OUT, "")]));
    assert_eq!(lab.wait_until(1.0), []);
    assert_eq!(web.client_says(&mut lab, 1.0, "more"), "more");
    let sent = lab.at(1.0).from(LAN).send(web.client.segment());
    let _ = sent.expect(forward_to(WAN).source("203.0.113.2:51000").rule("lan-out"));
    let syn = tcp("10.0.0.7:51001", WEB).syn();
    let _ = lab
        .at(2.0)
        .from(LAN)
        .send(syn.clone())
        .expect(drop_for(Reason::DefaultPolicy));
    // A rule that comes back is the same rule.
    lab.reload(3.0, OFFICE);
    let _ = lab
        .at(3.0)
        .from(LAN)
        .send(syn)
        .expect(forward_to(WAN).source("203.0.113.2:51001").rule("lan-out"));
    assert_eq!(lab.engine.sessions().census().of_rule(1), 2);
    assert_eq!(lab.engine.policy().rules.rows().by_number().len(), 10);
}

#[test]
fn where_the_file_wants_it_those_end_that_could_not_begin() {
    let mut lab = Lab::new(OFFICE);
    let mut dmz = Dialogue::open(&mut lab, 0.0, (DMZ, "10.0.9.80:4000"), WEB);
    let web = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    let ssh = Dialogue::open(&mut lab, 0.0, (WAN, WEB), "203.0.113.2:2222");
    lab.reload(1.0, &office(&[(LAN_OUT, ""), RECHECK]));
    assert_eq!(endings(&lab.wait_until(1.0)), [Ending::Forbidden]);
    let sent = lab.at(1.0).from(LAN).send(web.client.segment());
    assert!(sent.forwarded.is_none(), "{:?}", sent.judgement);
    assert_eq!(dmz.server_says(&mut lab, 1.0, "more"), "more");
    // A forward that leads elsewhere now.
    let moved = [("10.0.9.22:22", "10.0.9.23:22"), RECHECK];
    lab.reload(2.0, &office(&moved));
    assert_eq!(endings(&lab.wait_until(2.0)), [Ending::Forbidden]);
    let sent = lab.at(2.0).from(WAN).send(ssh.client.segment());
    assert!(sent.forwarded.is_none(), "{:?}", sent.judgement);
    // The same again ends nobody.
    lab.reload(3.0, &office(&moved));
    assert_eq!(lab.wait_until(3.0), []);
    assert_eq!(lab.engine.sessions().len(), 1);
}

#[test]
fn many_that_end_do_so_a_part_at_a_time() {
    let mut lab = Lab::new(OFFICE);
    for n in 0..2_000 {
        let client = format!("10.0.0.{}:{}", 10 + n % 200, 2000 + n);
        let (mut frame, mut out) = (udp(&client, DNS).bytes(), Output::default());
        let zone = lab.engine.policy().zones.by_name(LAN).unwrap();
        let arrival = spigate::engine::Arrival::whole(zone);
        let why = &mut spigate::engine::Silent;
        let _ = lab
            .engine
            .packet(moment(0.0), arrival, &mut frame, &mut out, why);
    }
    assert_eq!(lab.engine.sessions().len(), 2_000);
    lab.reload(1.0, &office(&[(LAN_OUT, ""), RECHECK]));
    let mut calls = 0;
    loop {
        let mut out = Output::default();
        assert!(lab.engine.next_deadline().unwrap() <= moment(1.0));
        let left = lab.engine.expire(moment(1.0), &mut out);
        let ended = endings(&out.events);
        assert!(ended.iter().all(|ending| *ending == Ending::Forbidden));
        assert!(ended.len() <= 256, "{}", ended.len());
        calls += 1;
        if left == Backlog::Nothing {
            break;
        }
    }
    assert!((8..60).contains(&calls), "{calls}");
    assert!(lab.engine.sessions().is_empty());
    assert_eq!(lab.engine.sessions().mappings().in_use(), 0);
}

#[test]
fn counters_go_on_but_those_of_rows_that_say_something_else() {
    let mut lab = Lab::new(OFFICE);
    let _ = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    let _ = Dialogue::open(&mut lab, 0.0, (DMZ, "10.0.9.80:4000"), WEB);
    let _ = lab.at(0.0).from(WAN).send(tcp(WEB, "203.0.113.2:23").syn());
    let reasons: Vec<_> = lab.engine.counters().verdicts().collect();
    let masq = |lab: &Lab| lab.engine.counters().translated(NatRow::Source(0));
    assert_eq!((hits(&lab, "lan-out"), masq(&lab)), (1, 2));
    lab.reload(
        1.0,
        &office(&[(
            r#"service = ["web", "ping"], action"#,
            r#"service = "web", action"#,
        )]),
    );
    let counters = lab.engine.counters();
    assert_eq!(counters.verdicts().collect::<Vec<_>>(), reasons);
    assert_eq!(counters.default_hits(), 1);
    let hit = ["lan-out", "dmz-out"].map(|name| hits(&lab, name));
    assert_eq!((hit, masq(&lab)), ([1, 0], 2));
}

#[test]
fn an_announced_data_session_comes_after_the_reload() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    lab.reload(2.0, &office(&[("ftp  =", "late = { tcp = 9 }\nftp =")]));
    let syn = data_syn(&mut lab, 2.0, DATA, "203.0.113.2:51210");
    let want = forward_to(LAN).destination("10.0.0.7:51210").ct("related");
    let _ = syn.expect(want.because(Reason::Expected).rule("lan-out"));
    // And the dialogue is followed.
    let heard = ftp.announces(&mut lab, 3.0, "PORT 10,0,0,7,200,11\r\n");
    assert_eq!(heard, "PORT 203,0,113,2,200,11\r\n");
    assert_eq!(lab.expected().len(), 1);
    // It ends with all that hangs on it.
    lab.reload(4.0, &office(&[(LAN_OUT, ""), RECHECK]));
    assert_eq!(endings(&lab.wait_until(4.0)), [Ending::Forbidden; 2]);
    assert_eq!(lab.expected(), [""; 0]);
    assert!(lab.engine.sessions().is_empty());
}

#[test]
fn rules_about_data_sessions_are_asked_too() {
    let related = |rest: &str| {
        format!("{LAN_OUT}\n{{ id = \"no-data\", ct = \"related\", {rest} action = \"drop\" }},")
    };
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let _ = forwarded(data_syn(&mut lab, 2.0, DATA, "203.0.113.2:51210"));
    lab.reload(
        3.0,
        &office(&[(LAN_OUT, &related(r#"src = "192.0.2.1","#)), RECHECK]),
    );
    assert_eq!(lab.wait_until(3.0), []);
    lab.reload(4.0, &office(&[(LAN_OUT, &related("")), RECHECK]));
    assert_eq!(endings(&lab.wait_until(4.0)), [Ending::Forbidden]);
    assert_eq!(lab.session().origin.tuples.reply.source.to_string(), SERVER);
}

/// A gateway whose mappings let in whomever its client has spoken to.
fn mapped(row: &str) -> String {
    format!(
        r#"
version = 1
[zones]
lan = {{ tun = "lan0", net = "10.0.0.0/24" }}
wan = {{ tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }}
[policy]
default = "drop"
rules = [{{ id = "out", from = "lan", to = "wan", action = "allow" }}]
[nat]
source = [{{ id = "masq", from = "lan", to = "wan", as = "masquerade", mapping = "endpoint-independent", filtering = "endpoint-independent"{row} }}]
"#
    )
}

#[test]
fn a_mapping_goes_on_and_lets_in_as_before() {
    let mut lab = Lab::new(&mapped(""));
    let public = forwarded(lab.at(0.0).from(LAN).send(udp("10.0.0.7:5000", DNS))).1;
    let before = "{ id = \"first\", src = \"192.0.2.1\", action = \"drop\" }, { id = \"out\"";
    lab.reload(1.0, &mapped("").replace("{ id = \"out\"", before));
    let stranger = |n: u8| udp(&format!("192.0.2.{n}:7000"), &public.source);
    let sent = lab.at(1.0).from(WAN).send(stranger(2));
    let _ = sent.expect(forward_to(LAN).destination("10.0.0.7:5000").rule("out"));
    let sent = lab.at(1.0).from(LAN).send(udp("10.0.0.7:5000", WEB));
    let _ = sent.expect(forward_to(WAN).source(public.source.clone()));
    // Neither without its row nor without its rule does it let in anybody else.
    let renamed = mapped("").replace("\"masq\"", "\"other\"");
    let without = mapped("").replace("\"out\"", "\"leave\"");
    for (at, rules) in [(2.0, renamed), (3.0, without)] {
        lab.reload(at, &rules);
        let _ = lab
            .at(at)
            .from(WAN)
            .send(stranger(3))
            .expect(drop_for(Reason::DefaultPolicy));
        // Those whom it has let in stay.
        let sent = lab.at(at).from(WAN).send(stranger(2));
        let _ = sent.expect(forward_to(LAN).destination("10.0.0.7:5000").rule("out"));
    }
    assert_eq!(lab.engine.sessions().mappings().in_use(), 1);
    let _ = lab.wait_until(1_000.0);
    assert_eq!(lab.engine.sessions().mappings().in_use(), 0);
}

#[test]
fn what_a_client_holds_counts_by_the_new_limit() {
    let mut lab = Lab::new(&mapped(", max-ports = 3"));
    let client = |n: u16| udp(&format!("10.0.0.7:{}", 5000 + n), DNS);
    for n in 0..2 {
        let _ = forwarded(lab.at(0.0).from(LAN).send(client(n)));
    }
    let moved = "source = [{ id = \"none\", src = \"10.0.0.9\", to = \"wan\", as = \"none\" }, ";
    lab.reload(1.0, &mapped(", max-ports = 2").replace("source = [", moved));
    let held = |lab: &Lab| {
        let row = RowId::of_place(0).unwrap();
        let client = "10.0.0.7".parse().unwrap();
        lab.engine.sessions().mappings().held(row, client).all()
    };
    assert_eq!(held(&lab), 2);
    let _ = lab
        .at(1.0)
        .from(LAN)
        .send(client(2))
        .expect(drop_for(Reason::NatClientLimit));
    lab.reload(2.0, &mapped(", max-ports = 3"));
    let _ = forwarded(lab.at(2.0).from(LAN).send(client(2)));
    assert_eq!(held(&lab), 3);
    let _ = lab.wait_until(1_000.0);
    assert_eq!(held(&lab), 0);
}

#[test]
fn blocks_stay_their_clients_also_when_their_row_is_gone() {
    let row = r#"as = "masquerade", ports = "1024-1151", log = "blocks", blocks = { size = 64 }"#;
    let block_of = |text: &Option<String>| (endpoint(text.as_ref().unwrap()).port() - 1024) / 64;
    let mut lab = nat_carrier::lab(row);
    let (first, _) = nat_carrier::send(&mut lab, 0.0, udp("10.0.0.7:5000", DNS));
    let old = |row: &str| {
        let all = nat_carrier::rules("", row, "");
        all.replace("\"cgn\"", "\"other\"")
    };
    lab.reload(1.0, &old(row));
    // The other block is all that is left by the new row.
    let (second, _) = nat_carrier::send(&mut lab, 1.0, udp("10.0.0.8:5000", DNS));
    assert_eq!(block_of(&second), 1 - block_of(&first));
    let third = |lab: &mut Lab, at: f64| {
        let sent = lab.at(at).from(LAN).send(udp("10.0.0.9:5000", DNS));
        sent.forwarded.map(|(_, seen)| seen.source)
    };
    assert_eq!(third(&mut lab, 1.0), None);
    // It comes back with its client's last session.
    let _ = lab.wait_until(31.0);
    assert_eq!(lab.engine.sessions().mappings().blocks().in_use(), 0);
    assert!(third(&mut lab, 31.0).is_some());
}

#[test]
fn sessions_live_by_the_new_timeouts_from_their_next_packet_on() {
    let by = |unreplied: &str| {
        let rules = mapped("");
        format!("{rules}\n[timeouts]\nudp = \"{unreplied}\"\n")
    };
    let lives = |lab: &Lab, at: f64| lab.session().deadline.since(moment(at)).as_secs();
    let mut lab = Lab::new(&by("30s"));
    let ask = || udp("10.0.0.7:5000", DNS);
    let _ = lab.at(0.0).from(LAN).send(ask());
    lab.reload(1.0, &by("100s"));
    assert_eq!(lives(&lab, 0.0), 30);
    let _ = lab.at(2.0).from(LAN).send(ask());
    assert_eq!(lives(&lab, 2.0), 100);
    lab.reload(3.0, &by("10s"));
    let _ = lab.at(4.0).from(LAN).send(ask());
    assert_eq!(lives(&lab, 4.0), 10);
    assert_eq!(endings(&lab.wait_until(14.0)), [Ending::Expired]);
}

#[test]
fn a_session_in_full_swing_is_cut_to_the_new_mtu() {
    let by = |mtu: u16| {
        let zone = "wan = { tun = \"wan0\",";
        let rules = mapped("");
        assert!(rules.contains(zone));
        rules.replace(zone, &format!("{zone} mtu = {mtu},"))
    };
    let mut lab = Lab::new(&by(1500));
    // Routers may cut it.
    let ask = || {
        let mut bytes = udp("10.0.0.7:5000", DNS).data([7; 1200]).bytes();
        bytes[6] &= !0x40;
        resummed(bytes)
    };
    let sent = lab.at(0.0).from(LAN).send(ask());
    let (_, seen) = forwarded(sent);
    let _ = lab.at(0.0).from(WAN).send(udp(DNS, &seen.source));
    let _ = lab.at(1.0).from(LAN).send(ask());
    let swung = lab.engine.counters().in_full_swing();
    assert_eq!(lab.at(1.0).from(LAN).send(ask()).pieces.len(), 0);
    assert_eq!(lab.engine.counters().in_full_swing(), swung + 1);
    lab.reload(2.0, &by(600));
    assert_eq!(lab.at(2.0).from(LAN).send(ask()).pieces.len(), 3);
    lab.reload(3.0, &by(1500));
    assert_eq!(lab.at(3.0).from(LAN).send(ask()).pieces.len(), 0);
}

#[test]
fn a_session_in_full_swing_may_not_pass_where_its_source_stands_no_more() {
    let by = |net: &str| mapped("").replace("net = \"10.0.0.0/24\"", &format!("net = \"{net}\""));
    let mut lab = Lab::new(&mapped(""));
    let mut web = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), WEB);
    for _ in 0..3 {
        web.client_says(&mut lab, 0.0, "more");
        web.server_says(&mut lab, 0.0, "much more");
    }
    let segment = web.client.segment();
    // Before all sessions have been gone through, and afterwards.
    lab.reload(1.0, &by("10.0.1.0/24"));
    let mut frame = segment.bytes();
    let zone = lab.engine.policy().zones.by_name(LAN).unwrap();
    let (arrival, mut out) = (spigate::engine::Arrival::whole(zone), Output::default());
    let why = &mut spigate::engine::Silent;
    let judgement = lab
        .engine
        .packet(moment(1.0), arrival, &mut frame, &mut out, why);
    assert_eq!(judgement.reason, Reason::SpoofedSource);
    let _ = lab
        .at(2.0)
        .from(LAN)
        .send(segment.clone())
        .expect(drop_for(Reason::SpoofedSource));
    lab.reload(3.0, &by("10.0.0.0/16"));
    let swung = lab.engine.counters().in_full_swing();
    for (said, further) in [("a", 0), ("b", 1), ("c", 2)] {
        web.client_says(&mut lab, 4.0, said);
        assert_eq!(lab.engine.counters().in_full_swing(), swung + further);
    }
}

#[test]
fn other_zones_need_a_restart_and_one_reload_follows_the_other() {
    let compile = |rules: &str| {
        let compiled = config::compile(Path::new("lab.toml"), rules);
        compiled.unwrap().policy
    };
    let mut lab = Lab::new(OFFICE);
    let renamed = mapped("")
        .replace("lan = {", "office = {")
        .replace("\"lan\"", "\"office\"");
    let policy = lab.engine.policy();
    assert_eq!(
        Successor::new(compile(&renamed), policy).err(),
        Some(Unfit::Zones)
    );
    let [first, second] = [(); 2].map(|()| Successor::new(compile(OFFICE), policy).unwrap());
    let before = Arc::clone(policy);
    let given = lab.engine.reload(first, moment(1.0)).unwrap();
    assert!(Arc::ptr_eq(&given, &before));
    let refused = lab.engine.reload(second, moment(1.0));
    assert_eq!(refused.err(), Some(Overtaken));
}

#[test]
fn a_pool_that_grows_leaves_its_clients_what_they_have() {
    let row = |pool: &str, ports: &str| {
        format!(r#"as = ["{pool}"], ports = "{ports}", blocks = {{ size = 64 }}"#)
    };
    let mut lab = nat_carrier::lab(&row("203.0.113.16", "1024-1151"));
    let ask = |n: u16| udp(&format!("10.0.0.7:{}", 5000 + n), DNS);
    let (first, _) = nat_carrier::send(&mut lab, 0.0, ask(0));
    let larger = row("203.0.113.16-203.0.113.23", "1024-1151");
    lab.reload(1.0, &nat_carrier::rules("", &larger, ""));
    let (second, _) = nat_carrier::send(&mut lab, 1.0, ask(1));
    let place = |public: &Option<String>| {
        let public = endpoint(public.as_ref().unwrap());
        (public.ip(), (public.port() - 1024) / 64)
    };
    assert_eq!(place(&first), place(&second));
    // Another layout is another row, and its blocks are none of those.
    let other = row("203.0.113.16", "1024-1215");
    lab.reload(2.0, &nat_carrier::rules("", &other, ""));
    let (third, _) = nat_carrier::send(&mut lab, 2.0, ask(2));
    assert_ne!(place(&first), place(&third));
    assert_eq!(lab.engine.sessions().mappings().blocks().in_use(), 2);
    let _ = lab.wait_until(100.0);
    assert_eq!(lab.engine.sessions().mappings().blocks().in_use(), 0);
}
