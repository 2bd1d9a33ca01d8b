//! FTP and the rule file: rules about data sessions, third parties by name, limits
//! and settings; and what a running transfer does for its control session.

use spigate::alg::Note;
use spigate::engine::{Event, Reason};

use super::dialogue::Dialogue;
use super::ftp_active::{CLIENT, DATA, SERVER, data_syn};
use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::tcp;
use super::policies::{OFFICE, by_lines};
use super::wants::{drop_for, forward_to, reject_for};

const LINE: &str = "PORT 10,0,0,7,200,10\r\n";
const PUBLIC_DATA: &str = "203.0.113.2:51210";

fn office(settings: &str) -> Lab {
    Lab::new(&format!("{OFFICE}\n[alg.ftp]\n{settings}\n"))
}

/// Its rules begin with these.
fn ruled(rules: &str) -> Lab {
    Lab::new(&OFFICE.replace("rules = [", &format!("rules = [\n{rules}")))
}

fn masqueraded(mut lab: Lab) -> (Lab, Dialogue) {
    let ends = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    (lab, ends)
}

#[test]
fn t_ftp_policy__a_rule_about_data_sessions_that_refuses_wins() {
    for (rule, want) in [
        (
            r#"{ id = "none", ct = "related", to = "lan", action = "drop" },"#,
            drop_for(Reason::Rule).ct("related").rule("none"),
        ),
        (
            r#"{ id = "none", ct = "related", src = "198.51.100.21", dst = "10.0.0.7", action = "drop" },"#,
            drop_for(Reason::Rule).ct("related").rule("none"),
        ),
        (
            r#"{ id = "other", ct = "related", to = "dmz", action = "drop" },"#,
            forward_to(LAN)
                .destination("10.0.0.7:51210")
                .ct("related")
                .rule("lan-out"),
        ),
        (
            r#"{ id = "this", ct = "related", to = "lan", action = "allow" },
               { id = "none", ct = "related", action = "drop" },"#,
            forward_to(LAN)
                .destination("10.0.0.7:51210")
                .ct("related")
                .rule("lan-out"),
        ),
        (
            r#"{ id = "no-lan", from = "wan", to = "lan", action = "drop" },"#,
            forward_to(LAN)
                .destination("10.0.0.7:51210")
                .ct("related")
                .rule("lan-out"),
        ),
    ] {
        let (mut lab, mut ftp) = masqueraded(ruled(rule));
        ftp.announces(&mut lab, 1.0, LINE);
        let _ = data_syn(&mut lab, 2.0, DATA, PUBLIC_DATA).expect(want);
    }
    let rule = r#"{ id = "none", ct = "related", action = "reject" },"#;
    let (mut lab, mut ftp) = masqueraded(ruled(rule));
    ftp.announces(&mut lab, 1.0, LINE);
    let sent = data_syn(&mut lab, 2.0, DATA, PUBLIC_DATA);
    assert_eq!(sent.judgement.reason, Reason::Rule);
    assert!(sent.made[0].1.tcp().rst);
    // The announcement is not used up by what was refused.
    assert_eq!(lab.expected().len(), 1);
    let _ = reject_for(Reason::Rule);
}

#[test]
fn a_third_party_that_the_rule_names_may_be_announced_and_no_other() {
    let rules = OFFICE.replace(
        r#"dst = "10.0.9.21", service = "ftp","#,
        r#"dst = "10.0.9.21", service = "ftp", third-party = "192.0.2.0/24","#,
    );
    let mut lab = Lab::new(&rules);
    let client = (WAN, "198.51.100.9:40000");
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, client, "203.0.113.2:21");
    let line = "PORT 192,0,2,77,200,10\r\n";
    assert_eq!(ftp.announces(&mut lab, 1.0, line), line);
    assert_eq!(
        lab.expected(),
        ["10.0.9.21 > 192.0.2.77:51210 = 192.0.2.77:51210"]
    );
    let syn = tcp("10.0.9.21:20", "192.0.2.77:51210").syn();
    let want = forward_to(WAN).source("203.0.113.2:20").ct("related");
    let _ = lab.at(2.0).from(DMZ).send(syn).expect(want);
    for other in ["198,51,100,66", "10,0,0,7", "203,0,113,2"] {
        ftp.announces(&mut lab, 3.0, &format!("PORT {other},200,10\r\n"));
        assert!(lab.expected().is_empty(), "{other}");
    }
    // A session that another rule let in names nobody.
    let (mut lab, mut ftp) = masqueraded(Lab::new(&rules));
    ftp.announces(&mut lab, 1.0, line);
    assert!(lab.expected().is_empty());
}

#[test]
fn t_slip_reply__a_masqueraded_hole_is_closed_until_the_server_says_200() {
    let (mut lab, mut ftp) = masqueraded(office(r#"active-opens = "accepted""#));
    assert_eq!(
        ftp.client_says(&mut lab, 1.0, LINE),
        "PORT 203,0,113,2,200,10\r\n"
    );
    let early = data_syn(&mut lab, 1.0, DATA, PUBLIC_DATA);
    let _ = early.expect(drop_for(Reason::DefaultPolicy).ct("new"));
    ftp.server_says(&mut lab, 1.0, "200 fine\r\n");
    let _ = data_syn(&mut lab, 2.0, DATA, PUBLIC_DATA)
        .expect(forward_to(LAN).destination("10.0.0.7:51210").ct("related"));
}

#[test]
fn by_default_a_server_may_connect_before_it_says_200() {
    let (mut lab, mut ftp) = masqueraded(Lab::new(OFFICE));
    ftp.client_says(&mut lab, 1.0, LINE);
    let _ = data_syn(&mut lab, 1.0, DATA, PUBLIC_DATA)
        .expect(forward_to(LAN).destination("10.0.0.7:51210").ct("related"));
    ftp.server_says(&mut lab, 1.0, "200 fine\r\n");
    assert!(lab.expected().is_empty());
}

#[test]
fn t_959_refuse__the_port_of_a_refused_announcement_is_free_again() {
    let (mut lab, mut ftp) = masqueraded(Lab::new(OFFICE));
    ftp.client_says(&mut lab, 1.0, LINE);
    assert_eq!(lab.expected().len(), 1);
    ftp.server_says(&mut lab, 1.0, "500 no\r\n");
    assert!(lab.expected().is_empty());
    let _ = data_syn(&mut lab, 2.0, DATA, PUBLIC_DATA).expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn not_strict_it_opens_as_the_kernels_helper_does() {
    let mut lab = Lab::new(&by_lines(OFFICE));
    let mut ftp = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    ftp.client_says(&mut lab, 1.0, LINE);
    let _ = data_syn(&mut lab, 1.0, DATA, PUBLIC_DATA)
        .expect(forward_to(LAN).destination("10.0.0.7:51210").ct("related"));
}

#[test]
fn t_959_port_20__by_option_only_the_port_below_the_servers_own_gets_in() {
    let (mut lab, mut ftp) = masqueraded(office(r#"active-from = "one-below""#));
    ftp.announces(&mut lab, 1.0, LINE);
    for other in ["198.51.100.21:21", "198.51.100.21:2020"] {
        let sent = data_syn(&mut lab, 2.0, other, PUBLIC_DATA);
        let _ = sent.expect(drop_for(Reason::DefaultPolicy));
    }
    let _ = data_syn(&mut lab, 2.0, DATA, PUBLIC_DATA)
        .expect(forward_to(LAN).destination("10.0.0.7:51210"));
}

#[test]
fn t_959_defport__by_option_the_server_reaches_the_port_of_the_control_session() {
    let to = "203.0.113.2:51000";
    for (settings, gets_in) in [("", false), ("default-port = true", true)] {
        let (mut lab, mut ftp) = masqueraded(office(settings));
        assert_eq!(ftp.client_says(&mut lab, 1.0, "RETR a\r\n"), "RETR a\r\n");
        ftp.server_says(&mut lab, 1.0, "150 it comes\r\n");
        let want = match gets_in {
            true => forward_to(LAN).destination(CLIENT).ct("related"),
            false => drop_for(Reason::DefaultPolicy),
        };
        let sent = data_syn(&mut lab, 2.0, "198.51.100.21:2020", to);
        let _ = sent.expect(drop_for(Reason::DefaultPolicy));
        let _ = data_syn(&mut lab, 2.0, DATA, to).expect(want);
    }
}

#[test]
fn t_2577_low__single_low_ports_can_be_admitted() {
    let (mut lab, mut ftp) = masqueraded(office(r#"data-ports = [989, "1024-65535"]"#));
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,3,221\r\n");
    assert_eq!(
        lab.expected(),
        ["198.51.100.21 > 203.0.113.2:989 = 10.0.0.7:989"]
    );
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,3,222\r\n");
    assert_eq!(lab.expected().len(), 1);
}

#[test]
fn t_ftp_expire__as_many_at_a_time_as_the_file_allows() {
    let (mut lab, mut ftp) = masqueraded(office("max-expected = 3"));
    for port in 10..20 {
        ftp.announces(&mut lab, 1.0, &format!("PORT 10,0,0,7,200,{port}\r\n"));
    }
    let found: Vec<_> = lab.expected();
    assert_eq!(found.len(), 3);
    assert!(
        found[0].contains(":51217") && found[2].contains(":51219"),
        "{found:?}"
    );
}

#[test]
fn t_ftp_coll__an_announcement_leaves_the_port_of_another_of_its_session_alone() {
    let rules = OFFICE.replace(
        r#"as = "masquerade" }"#,
        r#"as = "masquerade", ports = "20000-20002" }"#,
    );
    let rules = format!("{rules}\n[alg.ftp]\nmax-expected = 3\n");
    let (mut lab, mut ftp) = masqueraded(Lab::new(&rules));
    let mut heard = Vec::new();
    for port in [10, 11, 12] {
        heard.push(ftp.announces(&mut lab, 1.0, &format!("PORT 10,0,0,7,200,{port}\r\n")));
        assert_eq!(lab.expected().len(), heard.len());
    }
    // Said again each is where it was; one more takes the place of the oldest.
    for (port, before) in [(10, 0), (11, 1), (12, 2), (13, 0), (14, 1)] {
        let line = format!("PORT 10,0,0,7,200,{port}\r\n");
        assert_eq!(ftp.announces(&mut lab, 2.0, &line), heard[before]);
    }
    // In one segment, too.
    let (mut lab, mut ftp) = masqueraded(Lab::new(&rules));
    let line = "PORT 10,0,0,7,200,10\r\nPORT 10,0,0,7,200,11\r\nPORT 10,0,0,7,200,12\r\n";
    ftp.client_says(&mut lab, 1.0, line);
    assert_eq!(lab.expected().len(), 3);
}

#[test]
fn t_2577_rand__the_port_that_is_drawn_follows_no_order() {
    let mut lab = Lab::new(&OFFICE.replace("10.0.0.0/24", "10.0.0.0/22"));
    let mut drawn: Vec<u16> = Vec::new();
    for host in 2..66 {
        let client = format!("10.0.1.{host}:51000");
        let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, &client), SERVER);
        ftp.announces(&mut lab, 0.0, &format!("PORT 10,0,1,{host},200,10\r\n"));
        let of_host = |line: &String| line.ends_with(&format!(" = 10.0.1.{host}:51210"));
        let line = lab.expected().into_iter().find(of_host).unwrap();
        let public = line.split(" = ").next().unwrap();
        drawn.push(public.rsplit(':').next().unwrap().parse().unwrap());
    }
    assert_eq!(drawn[0], 51210, "the announced one is free at first");
    let steps: Vec<i32> = drawn
        .windows(2)
        .map(|w| i32::from(w[1]) - i32::from(w[0]))
        .collect();
    let mut different = steps.clone();
    different.sort_unstable();
    different.dedup();
    assert!(different.len() > 60, "{steps:?}");
    assert!(drawn.iter().any(|port| *port < 20_000) && drawn.iter().any(|port| *port > 50_000));
}

#[test]
fn ports_are_drawn_from_those_that_the_translation_has() {
    let rules = OFFICE.replace(
        r#"as = "masquerade" }"#,
        r#"as = "masquerade", ports = "20000-20099" }"#,
    );
    let mut lab = Lab::new(&rules);
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    for line in [LINE, "PORT 10,0,0,7,200,11\r\n"] {
        ftp.announces(&mut lab, 1.0, line);
        let public = lab.expected()[0].clone();
        assert!(public.contains("203.0.113.2:200"), "{public}");
    }
}

#[test]
fn t_slip_filter__a_mapping_that_lets_everybody_in_lets_nobody_into_a_hole() {
    let rules = OFFICE.replace(
        r#"as = "masquerade" }"#,
        r#"as = "masquerade", mapping = "endpoint-independent", filtering = "endpoint-independent" }"#,
    );
    let (mut lab, mut ftp) = masqueraded(Lab::new(&rules));
    let heard = ftp.announces(&mut lab, 1.0, LINE);
    assert_eq!(heard, "PORT 203,0,113,2,200,10\r\n");
    let before = lab.expected();
    for stranger in ["192.0.2.9:20", "198.51.100.22:20"] {
        let syn = tcp(stranger, PUBLIC_DATA).syn();
        let _ = lab
            .at(2.0)
            .from(WAN)
            .send(syn)
            .expect(drop_for(Reason::DefaultPolicy));
    }
    assert_eq!(lab.expected(), before);
    let _ = data_syn(&mut lab, 3.0, DATA, PUBLIC_DATA)
        .expect(forward_to(LAN).destination("10.0.0.7:51210"));
}

#[test]
fn t_slip_hijack__a_socket_keeps_the_public_endpoint_that_is_its_own() {
    let rules = OFFICE.replace(
        r#"as = "masquerade" }"#,
        r#"as = "masquerade", mapping = "endpoint-independent", filtering = "endpoint-independent" }"#,
    );
    let (mut lab, mut ftp) = masqueraded(Lab::new(&rules));
    let other = lab
        .at(0.0)
        .from(LAN)
        .send(tcp("10.0.0.8:51210", "192.0.2.9:80").syn());
    assert_eq!(other.forwarded.unwrap().1.source, PUBLIC_DATA);
    let heard = ftp.announces(&mut lab, 1.0, LINE);
    assert_ne!(heard, "PORT 203,0,113,2,200,10\r\n");
}

#[test]
fn t_959_227_other__by_option_a_server_may_name_the_gateways_address() {
    let mut lab = office(r#"passive-host = "server""#);
    let client = (WAN, "198.51.100.9:40000");
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, client, "203.0.113.2:21");
    ftp.client_says(&mut lab, 1.0, "PASV\r\n");
    let reply = "227 Entering Passive Mode (203,0,113,2,195,80).\r\n";
    assert_eq!(ftp.server_says(&mut lab, 1.0, reply), reply);
    assert_eq!(
        lab.expected(),
        ["198.51.100.9 > 203.0.113.2:50000 = 10.0.9.21:50000"]
    );
}

#[test]
fn t_slip_log__a_refused_opening_is_told_with_session_line_and_check() {
    let (mut lab, ftp) = masqueraded(Lab::new(OFFICE));
    let id = lab.session().id;
    let line = ftp.client.segment().data("PORT 10,0,0,8,200,10\r\n");
    let sent = lab.at(1.0).from(LAN).send(line);
    let told = sent.events.iter().find_map(|event| match event {
        Event::Alg {
            session,
            note: Note::NotOpened { why, line, .. },
            ..
        } => Some((*session, why.check(), line.to_string())),
        _ => None,
    });
    let line = "PORT 10,0,0,8,200,10".to_owned();
    assert_eq!(told, Some((Some(id), "third-party", line)));
    let counted: Vec<_> = lab.engine.counters().not_opened().collect();
    assert_eq!(counted, [("third-party", 1)]);
}

const HOUR: f64 = 3600.0;

#[test]
fn t_ftp_idle__a_running_transfer_keeps_its_control_session() {
    let rules = OFFICE.replace(r#"alg = "ftp" }"#, r#"alg = "ftp", idle = "10m" }"#);
    let (mut lab, mut ftp) = masqueraded(Lab::new(&rules));
    ftp.announces(&mut lab, 0.0, LINE);
    let inside = "10.0.0.7:51210";
    let _ = data_syn(&mut lab, 0.0, DATA, PUBLIC_DATA).expect(forward_to(LAN).destination(inside));
    let answer = tcp(inside, DATA).syn().seq(9).ack(2);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(answer)
        .expect(forward_to(WAN).source(PUBLIC_DATA));
    let mut octets = 2;
    for minute in 0..60 {
        let now = f64::from(minute) * 60.0;
        let data = tcp(DATA, PUBLIC_DATA).seq(octets).ack(10).data("more");
        let _ = lab
            .at(now)
            .from(WAN)
            .send(data)
            .expect(forward_to(LAN).destination(inside));
        octets += 4;
        let ack = tcp(inside, DATA).seq(10).ack(octets);
        let _ = lab
            .at(now)
            .from(LAN)
            .send(ack)
            .expect(forward_to(WAN).source(PUBLIC_DATA));
    }
    // An hour later it is still there, and says that the transfer is done.
    assert_eq!(lab.table().len(), 2);
    ftp.server_says(&mut lab, HOUR, "226 done\r\n");
    ftp.client_says(&mut lab, HOUR, "");
    // Without a transfer it goes when its time is up.
    let (mut lab, mut ftp) = masqueraded(Lab::new(&rules));
    ftp.announces(&mut lab, 0.0, LINE);
    lab.wait_until(HOUR);
    assert!(lab.table().is_empty());
}
