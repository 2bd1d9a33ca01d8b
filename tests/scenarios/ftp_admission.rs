//! Whom an announced data session admits, how often and for how long; and
//! which lines announce nothing.

use spigate::engine::Reason;

use super::dialogue::Dialogue;
use super::ftp_active::{CLIENT, DATA, SERVER, data_syn, masqueraded};
use super::lab::{DMZ, LAN, Lab, WAN, moment};
use super::packets::{tcp, udp};
use super::policies::{OFFICE, PLAIN};
use super::wants::{drop_for, forward_to};

#[test]
fn t_2577_peer__a_third_host_finds_the_announced_port_closed() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let before = lab.snapshot();
    for (from, to) in [
        ("198.51.100.22:20", "203.0.113.2:51210"),
        (DATA, "203.0.113.2:51211"),
        (DATA, "203.0.113.2:51209"),
    ] {
        let sent = data_syn(&mut lab, 2.0, from, to);
        let _ = sent.expect(drop_for(Reason::DefaultPolicy).ct("new"));
    }
    // Nor is it open to another protocol.
    let sent = lab.at(2.0).from(WAN).send(udp(DATA, "203.0.113.2:51210"));
    let _ = sent.expect(drop_for(Reason::DefaultPolicy));
    assert_eq!(lab.snapshot(), before);
    let sent = data_syn(&mut lab, 3.0, DATA, "203.0.113.2:51210");
    let _ = sent.expect(forward_to(LAN).destination("10.0.0.7:51210"));
}

#[test]
fn the_servers_address_seen_in_another_zone_opens_nothing() {
    let dmz = "dmz = { tun = \"dmz0\",";
    let lenient = OFFICE.replace(dmz, &format!("{dmz} source-check = \"off\","));
    for (rules, want) in [
        (OFFICE, drop_for(Reason::SpoofedSource).ct("untracked")),
        (&lenient, drop_for(Reason::DefaultPolicy).ct("new")),
    ] {
        let mut lab = Lab::new(rules);
        let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
        ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
        assert_eq!(lab.expected().len(), 1);
        let before = lab.snapshot();
        let syn = tcp(DATA, "203.0.113.2:51210").syn();
        let _ = lab.at(2.0).from(DMZ).send(syn).expect(want);
        assert_eq!(lab.snapshot(), before);
    }
}

#[test]
fn t_2577_once__the_first_connection_uses_the_announcement_up() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let to = "203.0.113.2:51210";
    let inside = || forward_to(LAN).destination("10.0.0.7:51210");
    let _ = data_syn(&mut lab, 2.0, DATA, to).expect(inside().because(Reason::Expected));
    // Its repetition belongs to it.
    let _ =
        data_syn(&mut lab, 3.0, DATA, to).expect(inside().because(Reason::Session).ct("related"));
    let second = data_syn(&mut lab, 4.0, "198.51.100.21:2020", to);
    let _ = second.expect(drop_for(Reason::DefaultPolicy).ct("new"));
}

/// A data session from this server's port to the client's, from SYN to TIME-WAIT; the
/// client's numbers begin at 9, those of the server at `seq`.
fn transfer(lab: &mut Lab, at: f64, from: &str, public: &str, seq: u32) {
    let inside = || forward_to(LAN).destination("10.0.0.7:51210");
    let server = |seq| tcp(from, public).seq(seq);
    let _ = lab
        .at(at)
        .from(WAN)
        .send(server(seq).syn())
        .expect(inside());
    let source = |seen: &Lab| seen.engine.sessions().sorted().last().unwrap().clone();
    let seen_from = source(lab).origin.tuples.reply.destination.to_string();
    let client = |seq| tcp("10.0.0.7:51210", &seen_from).seq(seq);
    for (zone, packet) in [
        (LAN, client(9).syn().ack(seq + 1)),
        (WAN, server(seq + 1).ack(10)),
        (LAN, client(10).fin().ack(seq + 1)),
        (WAN, server(seq + 1).fin().ack(11)),
        (LAN, client(11).ack(seq + 2)),
    ] {
        let sent = lab.at(at).from(zone).send(packet);
        assert!(sent.forwarded.is_some(), "{:?}", sent.judgement);
    }
    let state = source(lab).state();
    assert_eq!(state.name(), "time-wait");
}

#[test]
fn a_server_may_come_again_from_the_port_of_its_last_transfer() {
    // No port of a server's that anybody would expect.
    let from = "198.51.100.21:2";
    for (policy, public) in [(OFFICE, "203.0.113.2:51210"), (PLAIN, "10.0.0.7:51210")] {
        let mut lab = Lab::new(policy);
        let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
        ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
        transfer(&mut lab, 2.0, from, public, 1);
        // Nobody announced another one.
        let before = lab.snapshot();
        let refused = data_syn(&mut lab, 3.0, from, public);
        assert!(refused.forwarded.is_none());
        assert_eq!(lab.snapshot(), before);
        ftp.announces(&mut lab, 4.0, "PORT 10,0,0,7,200,10\r\n");
        transfer(&mut lab, 5.0, from, public, 1000);
        assert!(lab.expected().is_empty());
        assert_eq!(lab.table().len(), 2, "the old one has made room");
    }
}

#[test]
fn a_client_that_waits_on_the_last_transfer_resets_the_next_and_takes_it_then() {
    let (mut lab, mut ftp) = masqueraded();
    let (from, public) = ("198.51.100.21:2", "203.0.113.2:51210");
    let inside = || forward_to(LAN).destination("10.0.0.7:51210");
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    transfer(&mut lab, 2.0, from, public, 1000);
    ftp.announces(&mut lab, 3.0, "PORT 10,0,0,7,200,10\r\n");
    // A number before those of the last transfer: in TIME-WAIT it means nothing.
    let syn = || tcp(from, public).syn().seq(500);
    let _ = lab
        .at(4.0)
        .from(WAN)
        .send(syn())
        .expect(inside().because(Reason::Expected));
    let still = tcp("10.0.0.7:51210", from).seq(11).ack(1002);
    let _ = lab
        .at(4.0)
        .from(LAN)
        .send(still)
        .expect(forward_to(WAN).source(public));
    let reset = tcp(from, public).rst().seq(1002);
    let _ = lab
        .at(4.0)
        .from(WAN)
        .send(reset)
        .expect(inside().state("close"));
    // From another port it would be another connection, and that was not announced.
    let other = data_syn(&mut lab, 4.5, "198.51.100.21:3", public);
    let _ = other.expect(drop_for(Reason::DefaultPolicy));
    let again = lab.at(5.0).from(WAN).send(syn());
    let _ = again.expect(
        inside()
            .because(Reason::Expected)
            .ct("related")
            .state("syn-sent"),
    );
    let answer = tcp("10.0.0.7:51210", from).syn().seq(9).ack(501);
    let _ = lab
        .at(5.0)
        .from(LAN)
        .send(answer)
        .expect(forward_to(WAN).source(public));
    // Whom the client has answered once does not come a second time.
    let reset = tcp(from, public).rst().seq(501);
    let _ = lab
        .at(6.0)
        .from(WAN)
        .send(reset)
        .expect(inside().state("close"));
    let third = lab.at(7.0).from(WAN).send(syn());
    let _ = third.expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn t_lnx_ftp_exp__one_announcement_at_a_time_from_any_port_for_300_seconds() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    ftp.announces(&mut lab, 2.0, "PORT 10,0,0,7,200,11\r\n");
    assert_eq!(
        lab.expected(),
        ["198.51.100.21 > 203.0.113.2:51211 = 10.0.0.7:51211"]
    );
    let all = lab.engine.sessions().expectations().sorted();
    assert_eq!(all[0].deadline, moment(302.0));
    let sent = data_syn(&mut lab, 3.0, "198.51.100.21:33333", "203.0.113.2:51211");
    let _ = sent.expect(forward_to(LAN).destination("10.0.0.7:51211"));
}

#[test]
fn t_959_last__the_last_announcement_counts() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    ftp.announces(&mut lab, 2.0, "EPRT |1|10.0.0.7|51300|\r\n");
    let old = data_syn(&mut lab, 3.0, DATA, "203.0.113.2:51210");
    let _ = old.expect(drop_for(Reason::DefaultPolicy));
    // PORT and then PASV: the reply to PASV counts.
    ftp.client_says(&mut lab, 4.0, "PASV\r\n");
    ftp.server_says(
        &mut lab,
        4.0,
        "227 Entering Passive Mode (198,51,100,21,156,64)\r\n",
    );
    assert_eq!(
        lab.expected(),
        ["10.0.0.7 > 198.51.100.21:40000 = 198.51.100.21:40000"]
    );
    let old = data_syn(&mut lab, 5.0, DATA, "203.0.113.2:51300");
    let _ = old.expect(drop_for(Reason::DefaultPolicy));
    // Two in one segment: the last one, too.
    ftp.announces(
        &mut lab,
        6.0,
        "PORT 10,0,0,7,200,10\r\nPORT 10,0,0,7,200,12\r\n",
    );
    assert_eq!(
        lab.expected(),
        ["198.51.100.21 > 203.0.113.2:51212 = 10.0.0.7:51212"]
    );
}

#[test]
fn the_same_announcement_again_keeps_its_port() {
    let (mut lab, mut ftp) = masqueraded();
    for second in 1..5 {
        let heard = ftp.announces(&mut lab, f64::from(second), "PORT 10,0,0,7,200,10\r\n");
        assert_eq!(heard, "PORT 203,0,113,2,200,10\r\n");
        assert_eq!(lab.expected().len(), 1);
        ftp.server_says(&mut lab, f64::from(second), "200 ok\r\n");
    }
    let all = lab.engine.sessions().expectations().sorted();
    assert_eq!(all[0].deadline, moment(304.0));
    // The first one's time comes and ends nothing.
    assert!(lab.wait_until(301.0).is_empty());
    let sent = data_syn(&mut lab, 303.0, DATA, "203.0.113.2:51210");
    let _ = sent.expect(forward_to(LAN).destination("10.0.0.7:51210"));
}

#[test]
fn t_ftp_expire__an_announcement_that_nobody_follows_ends_after_300_seconds() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    // What is not acknowledged would end the control session first.
    ftp.server_says(&mut lab, 1.0, "200 ok\r\n");
    let _ = lab.at(1.0).from(LAN).send(ftp.client.segment());
    let mut in_time = Lab::new(OFFICE);
    let mut other = Dialogue::ftp(&mut in_time, 0.0, (LAN, CLIENT), SERVER);
    other.announces(&mut in_time, 1.0, "PORT 10,0,0,7,200,10\r\n");
    other.server_says(&mut in_time, 1.0, "200 ok\r\n");
    let sent = data_syn(&mut in_time, 301.0 - 1e-6, DATA, "203.0.113.2:51210");
    let _ = sent.expect(forward_to(LAN).destination("10.0.0.7:51210").ct("related"));

    let late = data_syn(&mut lab, 301.0, DATA, "203.0.113.2:51210");
    let outcome = late.expect(drop_for(Reason::DefaultPolicy).ct("new"));
    assert!(matches!(
        outcome.events(),
        [spigate::engine::Event::Unmet(_)]
    ));
    assert!(lab.expected().is_empty());
}

#[test]
fn t_959_rein__an_announcement_ends_with_its_control_session() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let reset = ftp.client.segment().rst();
    let sent = lab.at(2.0).from(LAN).send(reset);
    assert_eq!(sent.judgement.state.unwrap().name(), "close");
    assert_eq!(lab.wait_until(12.0).len(), 1);
    assert!(lab.expected().is_empty() && lab.table().is_empty());
    let late = data_syn(&mut lab, 13.0, DATA, "203.0.113.2:51210");
    let _ = late.expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn a_running_transfer_outlives_its_control_session() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let public = "203.0.113.2:51210";
    let inside = || forward_to(LAN).destination("10.0.0.7:51210");
    let _ = data_syn(&mut lab, 2.0, DATA, public).expect(inside());
    let _ = lab
        .at(2.0)
        .from(LAN)
        .send(tcp("10.0.0.7:51210", DATA).syn().seq(9).ack(2))
        .expect(forward_to(WAN).source(public));
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(tcp(DATA, public).seq(2).ack(10))
        .expect(inside());
    let sent = lab.at(3.0).from(LAN).send(ftp.client.segment().rst());
    assert!(sent.forwarded.is_some());
    assert_eq!(lab.wait_until(13.0).len(), 1);
    let _ = lab
        .at(14.0)
        .from(WAN)
        .send(tcp(DATA, public).seq(2).ack(10).data("more"))
        .expect(inside().ct("established"));
}

#[test]
fn a_new_control_session_in_the_place_of_an_old_one_inherits_nothing() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let _ = lab
        .at(2.0)
        .from(LAN)
        .send(ftp.client.segment().rst())
        .forwarded
        .unwrap();
    // Within the ten seconds of its close, the same client calls again.
    let mut again = Dialogue::ftp(&mut lab, 3.0, (LAN, CLIENT), SERVER);
    assert!(lab.expected().is_empty());
    let late = data_syn(&mut lab, 4.0, DATA, "203.0.113.2:51210");
    let _ = late.expect(drop_for(Reason::DefaultPolicy));
    // No number of the old stream's changes is left either.
    assert_eq!(again.client_says(&mut lab, 5.0, "NOOP\r\n"), "NOOP\r\n");
    assert_eq!(again.server_says(&mut lab, 5.0, "200\r\n"), "200\r\n");
}

#[test]
fn t_2577_addr__a_port_command_for_another_host_opens_nothing() {
    let (mut lab, mut ftp) = masqueraded();
    let before = lab.expected();
    for line in [
        "PORT 10,0,0,8,200,10\r\n",
        "PORT 198,51,100,21,200,10\r\n",
        "PORT 192,0,2,9,200,10\r\n",
        "PORT 203,0,113,2,200,10\r\n",
        "EPRT |1|10.0.0.8|51210|\r\n",
    ] {
        assert_eq!(ftp.announces(&mut lab, 1.0, line), line);
        assert_eq!(lab.expected(), before);
    }
    for to in ["203.0.113.2:51210", "10.0.0.8:51210"] {
        let sent = data_syn(&mut lab, 2.0, DATA, to);
        assert!(sent.forwarded.is_none());
    }
}

#[test]
fn t_2577_low__a_privileged_port_opens_nothing() {
    let (mut lab, mut ftp) = masqueraded();
    for line in [
        "PORT 10,0,0,7,0,22\r\n",
        "PORT 10,0,0,7,3,255\r\n",
        "EPRT |1|10.0.0.7|1023|\r\n",
    ] {
        assert_eq!(ftp.announces(&mut lab, 1.0, line), line);
    }
    assert!(lab.expected().is_empty());
}

#[test]
fn t_ftp_coll__a_taken_port_gives_way_to_another_which_is_written_into_the_line() {
    let (mut lab, mut first) = masqueraded();
    let mut second = Dialogue::ftp(&mut lab, 0.0, (LAN, "10.0.0.8:51000"), SERVER);
    let heard = first.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    assert_eq!(heard, "PORT 203,0,113,2,200,10\r\n");
    let heard = second.announces(&mut lab, 1.0, "PORT 10,0,0,8,200,10\r\n");
    let port = port_in(&heard);
    assert!(port != 51210 && port >= 1024, "{heard}");
    // Each data session reaches the client that announced it.
    let sent = data_syn(&mut lab, 2.0, DATA, &format!("203.0.113.2:{port}"));
    let _ = sent.expect(forward_to(LAN).destination("10.0.0.8:51210"));
    let sent = data_syn(&mut lab, 2.0, DATA, "203.0.113.2:51210");
    let _ = sent.expect(forward_to(LAN).destination("10.0.0.7:51210"));
    // The answers leave with the port that the server was told.
    let answer = tcp("10.0.0.8:51210", DATA).syn().ack(2);
    let want = forward_to(WAN).source(format!("203.0.113.2:{port}"));
    let _ = lab.at(2.0).from(LAN).send(answer).expect(want);
}

/// The port that a PORT line with the public address names.
fn port_in(line: &str) -> u16 {
    let numbers: Vec<u16> = line
        .trim_start_matches("PORT 203,0,113,2,")
        .trim_end()
        .split(',')
        .map(|number| number.parse().unwrap())
        .collect();
    numbers[0] * 256 + numbers[1]
}

#[test]
fn t_slip_hijack__an_announcement_never_takes_a_running_sessions_place() {
    let (mut lab, mut ftp) = masqueraded();
    // A session whose answers arrive just as the data session would.
    let running = udp("10.0.0.8:51210", DATA);
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(running)
        .expect(forward_to(WAN).source("203.0.113.2:51210"));
    let running = tcp("10.0.0.8:51210", DATA).syn();
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(running)
        .expect(forward_to(WAN).source("203.0.113.2:51210"));
    let heard = ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    assert_ne!(port_in(&heard), 51210);
    let answer = tcp(DATA, "203.0.113.2:51210").syn().ack(1001);
    let want = forward_to(LAN)
        .destination("10.0.0.8:51210")
        .because(Reason::Session);
    let _ = lab.at(2.0).from(WAN).send(answer).expect(want);
}

#[test]
fn an_ordinary_session_never_takes_the_port_of_an_announcement() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let other = lab
        .at(2.0)
        .from(LAN)
        .send(tcp("10.0.0.8:51210", DATA).syn());
    let left = other.forwarded.unwrap().1;
    assert_ne!(left.source, "203.0.113.2:51210");
    // Towards another server it is free.
    let other = lab
        .at(2.0)
        .from(LAN)
        .send(tcp("10.0.0.8:51210", "198.51.100.22:20").syn());
    let _ = other.expect(forward_to(WAN).source("203.0.113.2:51210"));
}

#[test]
fn t_slip_filter__an_announced_port_is_open_to_the_control_sessions_peer_alone() {
    let (mut lab, mut ftp) = masqueraded();
    ftp.announces(&mut lab, 1.0, "PORT 10,0,0,7,200,10\r\n");
    let syn = tcp("192.0.2.9:20", "203.0.113.2:51210").syn();
    let _ = lab
        .at(2.0)
        .from(WAN)
        .send(syn)
        .expect(drop_for(Reason::DefaultPolicy));
}

#[test]
fn t_slip_rule__the_same_line_to_another_port_opens_nothing() {
    for port in [80, 8080, 5060, 1720, 2121, 990] {
        let mut lab = Lab::new(OFFICE);
        let server = format!("198.51.100.21:{port}");
        let mut talk = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), &server);
        let line = "PORT 10,0,0,7,200,10\r\n";
        assert_eq!(talk.announces(&mut lab, 1.0, line), line);
        assert!(lab.expected().is_empty());
    }
}

#[test]
fn t_4217_990__implicit_tls_never_gets_the_alg() {
    let mut lab = Lab::new(OFFICE);
    let mut talk = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), "198.51.100.21:990");
    assert_eq!(lab.session().origin.alg, None);
    let line = "PORT 10,0,0,7,200,10\r\n";
    assert_eq!(talk.announces(&mut lab, 1.0, line), line);
}

#[test]
fn t_slip_default__no_alg_reads_where_no_service_says_so() {
    let without = OFFICE.replace(r#", alg = "ftp""#, "");
    let mut lab = Lab::new(&without);
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let line = "PORT 10,0,0,7,200,10\r\n";
    assert_eq!(ftp.announces(&mut lab, 1.0, line), line);
    assert!(lab.expected().is_empty());
}

#[test]
fn t_4787_req_10a__each_alg_is_a_matter_of_its_service() {
    // The same port, once with the ALG and once without, by service.
    for (alg, opens) in [(r#", alg = "ftp""#, 1), ("", 0)] {
        let mut lab = Lab::new(&OFFICE.replace(r#", alg = "ftp""#, alg));
        let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
        ftp.announces(&mut lab, 1.0, "EPRT |1|10.0.0.7|51210|\r\n");
        assert_eq!(lab.expected().len(), opens);
    }
}

#[test]
fn t_4787_req_10__udp_to_the_ftp_port_is_read_by_nobody() {
    let mut lab = Lab::new(OFFICE);
    let line = udp("10.0.0.7:5000", SERVER).data("PORT 10,0,0,7,200,10\r\n");
    let _ = lab
        .at(0.0)
        .from(LAN)
        .send(line)
        .expect(forward_to(WAN).source("203.0.113.2:5000"));
    assert!(lab.expected().is_empty());
}

#[test]
fn t_959_dir__a_command_of_the_server_and_a_reply_of_the_client_are_text() {
    let (mut lab, mut ftp) = masqueraded();
    let port = "PORT 198,51,100,21,200,10\r\n";
    assert_eq!(ftp.server_says(&mut lab, 1.0, port), port);
    ftp.client_says(&mut lab, 1.0, "PASV\r\n");
    let reply = "227 Entering Passive Mode (10,0,0,7,200,10)\r\n";
    assert_eq!(ftp.client_says(&mut lab, 1.0, reply), reply);
    assert!(lab.expected().is_empty());
}

#[test]
fn a_thousand_clients_may_announce_one_port_to_one_server() {
    let mut lab = Lab::new(&OFFICE.replace("10.0.0.0/24", "10.0.0.0/21"));
    for host in 0..1000 {
        let address = format!("10.0.{}.{}", host / 250, host % 250 + 2);
        let client = format!("{address}:51000");
        let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, &client), SERVER);
        let line = format!("PORT {},200,10\r\n", address.replace('.', ","));
        ftp.announces(&mut lab, 0.0, &line);
    }
    assert_eq!(lab.expected().len(), 1000);
}
