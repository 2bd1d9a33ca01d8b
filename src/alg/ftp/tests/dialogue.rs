//! Which reply belongs to which command, and what the settings change.

use super::*;

const PORT: &str = "PORT 10,0,0,7,200,10\r\n";
const MODE: &str = "227 (10,0,9,21,200,10)\r\n";

#[test]
fn t_slip_greet__nothing_opens_before_the_greeting_and_the_login() {
    let mut ftp = Dialogue::connected(CLIENT_V4, SERVER_V4);
    let why = NotOpened::BeforeLogin;
    assert_opens_nothing(&mut ftp, CLIENT, PORT, why);
    ftp.server("220-ready\r\n220 now\r\n500 who?\r\n");
    assert_opens_nothing(&mut ftp, CLIENT, "PASV\r\n", why);
    ftp.server("530 who?\r\n");
    // A 230 that answers no USER, PASS or ACCT lets nobody in.
    ftp.client("NOOP\r\n");
    ftp.server("230 welcome\r\n");
    assert_opens_nothing(&mut ftp, CLIENT, PORT, why);
    ftp.server("200 fine\r\n503 no\r\n");
    ftp.client("USER me\r\nPASS wrong\r\n");
    ftp.server("331 and?\r\n530 no\r\n");
    assert_opens_nothing(&mut ftp, CLIENT, PORT, why);
    ftp.server("530 no\r\n");
    ftp.client("USER anonymous\r\n");
    ftp.server("232 by your certificate\r\n");
    ftp.client(PORT);
    assert_eq!(ftp.opened(), ["10.0.0.7:51210"]);
}

#[test]
fn t_slip_reply__a_hole_admits_only_after_the_200_to_that_very_command() {
    let mut ftp = Dialogue::v4().translated_to("203.0.113.2:40000");
    ftp.desk.settings.ftp.active_opens = ActiveOpens::Accepted;
    ftp.client(&format!("NOOP\r\nTYPE I\r\n{PORT}"));
    assert_eq!(ftp.desk.holes[0].admits, Admits::OnceAccepted);
    for reply in [
        "200 NOOP\r\n",
        "150 wait\r\n",
        "200 TYPE\r\n",
        "120 wait\r\n",
    ] {
        ftp.server(reply);
        assert_eq!(ftp.desk.admitted, []);
    }
    // That an earlier transfer is over says nothing of it.
    ftp.server("226 done\r\n");
    ftp.server("200-fine\r\n200 not yet\r\n");
    assert_eq!(ftp.desk.admitted, ["203.0.113.2:40000".parse().unwrap()]);
    // Nor does another one count for anything.
    ftp.server("200 again\r\n");
    assert_eq!((ftp.desk.admitted.len(), ftp.desk.withdrawn.len()), (1, 0));
}

#[test]
fn t_959_refuse__a_refused_port_closes_its_hole() {
    for refusal in [
        "500 no",
        "425 no",
        "530 no",
        "501 no",
        "331 what?",
        "202 no",
    ] {
        let mut ftp = Dialogue::v4();
        ftp.client(PORT);
        ftp.server(&format!("{refusal}\r\n"));
        assert_eq!(ftp.desk.withdrawn, ["10.0.0.7:51210".parse().unwrap()]);
        assert_eq!(ftp.desk.admitted, []);
    }
}

#[test]
fn t_959_rein__what_ends_a_login_closes_every_hole() {
    for (command, reply, closes) in [
        ("REIN\r\n", "220 ready\r\n", 1),
        ("rein\r\n", "120 wait\r\n", 0),
        ("REIN\r\n", "502 no\r\n", 0),
        ("QUIT\r\n", "221 bye\r\n", 1),
        ("", "421 timeout\r\n", 1),
        ("NOOP\r\n", "421 timeout\r\n", 1),
    ] {
        let mut ftp = Dialogue::v4();
        ftp.client(PORT);
        ftp.server("200 fine\r\n");
        ftp.client(command);
        ftp.server(reply);
        assert_eq!(ftp.desk.closed_all, closes, "{command} {reply}");
    }
    let mut ftp = Dialogue::v4();
    ftp.client("EPSV ALL\r\nREIN\r\n");
    ftp.server("200 fine\r\n220 ready\r\n");
    assert_opens_nothing(&mut ftp, CLIENT, PORT, NotOpened::BeforeLogin);
    ftp.server("530 log in\r\n");
    ftp.client("USER me\r\n");
    ftp.server("230 welcome\r\n");
    ftp.client(PORT);
    assert_eq!(ftp.opened().len(), 1);
}

#[test]
fn t_959_abor__abor_and_stat_during_a_transfer_keep_the_order_of_replies() {
    for urgent in ["ABOR", "STAT"] {
        let mut ftp = Dialogue::v4();
        ftp.client("RETR a\r\n");
        ftp.server("150 here it comes\r\n");
        let line = [&b"\xff\xf4\xff\xf2"[..], urgent.as_bytes(), b"\r\n"].concat();
        let inspection = ftp.inspect(CLIENT, &line);
        assert_eq!((inspection.edits, inspection.notes), (vec![], vec![]));
        ftp.server("426 broken off\r\n226 as you wish\r\n");
        ftp.client(PORT);
        ftp.server("200 fine\r\n");
        assert_eq!(ftp.desk.admitted.len(), 1, "{urgent}");
    }
}

#[test]
fn t_slip_first__a_session_whose_first_line_is_no_ftp_is_let_go_for_good() {
    for first in [
        "POST / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\r\n",
        "EHLO x\r\n",
        "REGISTER sip:x SIP/2.0\r\n",
        "SSH-2.0-x\r\n",
        "junk \u{1}\u{2}\r\n",
    ] {
        let mut ftp = Dialogue::connected(CLIENT_V4, SERVER_V4);
        ftp.server("220 ready\r\n");
        ftp.client(first);
        assert_eq!(ftp.refusals(), [NotOpened::NotFtp], "{first}");
        ftp.client("USER me\r\nPASS x\r\n");
        ftp.server("331 and?\r\n230 in\r\n");
        ftp.client(&format!("{PORT}PASV\r\n"));
        ftp.server(&format!("200 fine\r\n{MODE}"));
        assert_eq!(ftp.opened(), [""; 0]);
        assert_eq!(ftp.notes.len(), 1);
    }
    // An empty line is none; later ones may be unknown.
    let mut ftp = Dialogue::connected(CLIENT_V4, SERVER_V4);
    ftp.client("\r\n");
    ftp.logs_in();
    ftp.client("XYZZY\r\n");
    ftp.server("500 what?\r\n");
    ftp.client(PORT);
    assert_eq!(ftp.opened().len(), 1);
}

#[test]
fn a_session_from_the_middle_counts_as_logged_in() {
    let mut ftp = Dialogue::connected(CLIENT_V4, SERVER_V4);
    ftp.alg = attach(AlgKind::Ftp, Start::Middle);
    ftp.client(PORT);
    ftp.server("200 fine\r\n");
    assert_eq!(ftp.desk.admitted.len(), 1);
}

#[test]
fn not_strict_each_line_is_taken_by_itself() {
    let mut ftp = Dialogue::connected(CLIENT_V4, SERVER_V4);
    ftp.desk.settings.ftp.strictness = Strictness::Lines;
    ftp.client("GET / HTTP/1.0\r\n");
    ftp.client(PORT);
    ftp.server(MODE);
    assert_eq!(ftp.opened(), ["10.0.0.7:51210", "10.0.9.21:51210"]);
    assert!(
        ftp.desk
            .holes
            .iter()
            .all(|hole| hole.admits == Admits::AtOnce)
    );
}

#[test]
fn t_2428_epsv_all__a_promise_counts_once_the_server_took_it() {
    let mut ftp = Dialogue::v4();
    ftp.client("NOOP\r\nEPSV ALL\r\n");
    ftp.server("500 no NOOP\r\n");
    assert_opens_nothing(&mut ftp, CLIENT, PORT, NotOpened::AfterEpsvAll);
    ftp.server("502 no EPSV ALL\r\n500 that PORT\r\n");
    ftp.client(PORT);
    assert_eq!(ftp.opened().len(), 1);
}

#[test]
fn t_slip_ports__privileged_refused_and_other_ports_open_nothing() {
    let mut ftp = Dialogue::v4();
    for port in [3389_u16, 5900, 8080, 9100, 6379] {
        let [high, low] = port.to_be_bytes();
        let line = format!("PORT 10,0,0,7,{high},{low}\r\n");
        let why = NotOpened::RefusedPort(Port(port));
        assert_opens_nothing(&mut ftp, CLIENT, &line, why);
        ftp.client("EPSV\r\n");
        ftp.server("501 no\r\n");
        let reply = format!("229 (|||{port}|)\r\n");
        assert_opens_nothing(&mut ftp, SERVER, &reply, why);
    }
    let mut ftp = Dialogue::with(|ftp| {
        ftp.data_ports = vec![Port(20)..=Port(20), Port(50000)..=Port(50009)];
        ftp.refused_ports = vec![Port(50005)..=Port(50005)];
    });
    for (port, why) in [
        (50010, NotOpened::PortOutOfRange(Port(50010))),
        (21, NotOpened::PrivilegedPort(Port(21))),
        (50005, NotOpened::RefusedPort(Port(50005))),
    ] {
        let line = format!("EPRT |1|10.0.0.7|{port}|\r\n");
        assert_opens_nothing(&mut ftp, CLIENT, &line, why);
    }
    ftp.client("EPRT |1|10.0.0.7|20|\r\n");
    assert_eq!(ftp.opened(), ["10.0.0.7:20"]);
}

#[test]
fn t_2577_addr__by_option_the_server_never_sees_a_third_party() {
    let mut ftp = Dialogue::with(|ftp| ftp.third_party = ThirdParty::Block);
    for line in [
        "PORT 10,0,0,8,200,10\r\n",
        "PORT 203,0,113,2,200,10\r\n",
        "PORT 127,0,0,1,200,10\r\n",
    ] {
        assert_eq!(ftp.client(line), line.replace("PORT", "XXXX"));
        ftp.server("500 what?\r\n");
    }
    assert_eq!(ftp.client(PORT), PORT);
    ftp.server("200 fine\r\n");
    assert_eq!(ftp.desk.admitted.len(), 1);
}

#[test]
fn a_host_that_the_rule_names_may_be_announced() {
    let mut ftp = Dialogue::v4();
    let line = "PORT 192,0,2,77,200,10\r\n";
    assert_eq!(ftp.client(line), line);
    assert_eq!(ftp.opened(), ["192.0.2.77:51210"]);
}

#[test]
fn t_959_227_other__by_option_the_server_itself_is_meant() {
    let mut ftp = Dialogue::with(|ftp| ftp.passive_host = PassiveHost::Server);
    ftp.desk.translate = Some("203.0.113.2:40000".parse().unwrap());
    ftp.client("PASV\r\nPASV\r\n");
    let heard = ftp.server("227 (203,0,113,2,200,10)\r\n");
    assert_eq!(heard, "227 (203,0,113,2,156,64)\r\n");
    let heard = ftp.server("227 (127,0,0,1,200,11)\r\n");
    assert_eq!(heard, "227 (203,0,113,2,156,64)\r\n");
    assert_eq!(ftp.opened(), ["10.0.9.21:51210", "10.0.9.21:51211"]);
}

#[test]
fn t_1639_lprt__by_option_lprt_and_lpsv_never_reach_the_server() {
    let lines = "LPRT 4,4,10,0,0,7,2,200,10\r\nLPSV\r\n";
    assert_eq!(Dialogue::v4().client(lines), lines);
    let mut ftp = Dialogue::with(|ftp| ftp.long_addresses = Passage::Block);
    let heard = ftp.client(lines);
    assert_eq!(heard, "XXXX 4,4,10,0,0,7,2,200,10\r\nXXXX\r\n");
    assert_eq!(ftp.refusals(), [NotOpened::Denied; 2]);
    assert_eq!(ftp.opened(), [""; 0]);
}

#[test]
fn denied_commands_leave_as_commands_that_no_server_knows() {
    let mut ftp = Dialogue::with(|ftp| ftp.denied = vec!["SITE".into(), "CWD".into()]);
    assert_eq!(
        ftp.client("SITE CHMOD 777 x\r\nNOOP\r\ncwd /\r\nSITES\r\n"),
        "XXXX CHMOD 777 x\r\nNOOP\r\nXXX /\r\nSITES\r\n"
    );
    ftp.server("500 a\r\n200 b\r\n500 c\r\n500 d\r\n");
    ftp.client(PORT);
    ftp.server("200 fine\r\n");
    assert_eq!(ftp.desk.admitted.len(), 1);
    // In pieces it is withheld until it can be told.
    for cut in 1..5 {
        let mut ftp = Dialogue::with(|ftp| ftp.denied = vec!["SITE".into()]);
        assert_eq!(ftp.client(&"SITE x"[..cut]), "", "{cut}");
        assert_eq!(ftp.client(&"SITE x\r\n"[cut..]), "XXXX x\r\n");
        assert_eq!(ftp.client("SI"), "");
        assert_eq!(ftp.client("ZE x\r\n"), "SIZE x\r\n");
    }
}

#[test]
fn by_option_auth_is_refused_and_the_session_stays_readable() {
    let mut ftp = Dialogue::with(|ftp| ftp.after_auth_tls = AfterAuth::Block);
    assert_eq!(ftp.client("AUTH TLS\r\n"), "XXXX TLS\r\n");
    ftp.server("500 what?\r\n");
    ftp.client(PORT);
    ftp.server("200 fine\r\n");
    assert_eq!(ftp.desk.admitted.len(), 1);
}

/// A TLS record of this type.
fn record(kind: u8, length: u8) -> Vec<u8> {
    let mut record = vec![kind, 3, 3, 0, length];
    record.resize(5 + usize::from(length), 0xaa);
    record
}

#[test]
fn t_4217_ccc__by_option_reading_goes_on_where_both_ends_have_ended_tls() {
    let (data, close) = (record(23, 80), record(21, 26));
    let mut ftp = Dialogue::with(|ftp| ftp.after_auth_tls = AfterAuth::Ccc);
    ftp.client("AUTH TLS\r\n");
    ftp.server("234 go\r\n");
    for direction in [CLIENT, SERVER, CLIENT, SERVER] {
        ftp.inspect(direction, &data);
    }
    // Clear text before the other end has closed is not read.
    ftp.inspect(CLIENT, &[&close[..], b"PORT 10,0,0,7,200,9\r\nNO"].concat());
    assert_eq!(ftp.opened(), [""; 0]);
    ftp.inspect(SERVER, &close);
    ftp.client("OP\r\n");
    let readable = Note::Readable { from: SeqNumber(1) };
    assert_eq!(ftp.notes.last(), Some(&readable));
    ftp.server("200 both of them\r\n");
    ftp.client(PORT);
    ftp.server("200 fine\r\n");
    assert_eq!(ftp.desk.admitted, ["10.0.0.7:51210".parse().unwrap()]);
}

#[test]
fn t_4217_ccc__without_the_option_it_stays_opaque() {
    let mut ftp = Dialogue::v4();
    ftp.client("AUTH TLS\r\n");
    ftp.server("234 go\r\n");
    ftp.inspect(CLIENT, &record(21, 26));
    ftp.inspect(SERVER, &record(21, 26));
    ftp.client(PORT);
    assert_eq!(ftp.opened(), [""; 0]);
}

#[test]
fn t_959_defport__by_option_a_transfer_without_announcement_goes_to_the_default_port() {
    for transfer in ["RETR a\r\n", "LIST\r\n", "stor a\r\n", "MLSD\r\n"] {
        let mut ftp = Dialogue::v4();
        ftp.client(transfer);
        assert_eq!(ftp.opened(), [""; 0]);
        let mut ftp = Dialogue::with(|ftp| ftp.default_port = DefaultPort::Used);
        assert_eq!(ftp.client(transfer), transfer);
        let hole = ftp.desk.holes[0];
        assert_eq!(hole.endpoint, "10.0.0.7:51000".parse().unwrap());
        assert_eq!((hole.from, hole.fixed), (Some(Port(20)), Fixed::ToControl));
        ftp.server("425 cannot\r\n");
        assert_eq!(ftp.desk.withdrawn.len(), 1);
        ftp.client("PASV\r\n");
        ftp.server("500 no\r\n");
        ftp.client(transfer);
        assert_eq!(ftp.opened().len(), 1);
    }
}

#[test]
fn t_959_port_20__by_option_the_server_comes_from_the_port_below_its_own() {
    let mut ftp = Dialogue::with(|ftp| ftp.active_from = ActiveFrom::Below);
    ftp.client(PORT);
    assert_eq!(ftp.desk.holes[0].from, Some(Port(20)));
    ftp.client("PASV\r\n");
    ftp.server(&format!("200 fine\r\n{MODE}"));
    assert_eq!(ftp.desk.holes[1].from, None);
}

#[test]
fn t_ftp_len__by_option_a_line_that_is_too_long_does_not_pass() {
    let long = "x".repeat(600);
    let line = format!("RETR {long}\r\n");
    assert_eq!(Dialogue::v4().client(&line), line);
    for (by, text) in [
        (CLIENT, line.clone()),
        (CLIENT, format!("RETR {long}")),
        (SERVER, format!("200 {long}")),
        (SERVER, format!("200 {long}\r\n")),
    ] {
        let mut ftp = Dialogue::with(|ftp| ftp.long_lines = Passage::Block);
        let inspection = ftp.inspect(by, text.as_bytes());
        assert_eq!(inspection.verdict, AlgVerdict::Refuse(NotOpened::LongLine));
    }
}

#[test]
fn t_ftp_len__how_long_a_line_is_read_is_a_setting() {
    let text = "x".repeat(3000);
    for (longest, opens) in [(512, false), (3024, false), (3025, true), (4096, true)] {
        for cut in [1, 700, 3024] {
            let mut ftp = Dialogue::with(|ftp| ftp.longest_line = longest);
            ftp.desk.translate = Some("203.0.113.2:40000".parse().unwrap());
            ftp.client("PASV\r\n");
            let line = format!("227 {text} (10,0,9,21,200,10)\r\n");
            assert_eq!(line.len(), 3025);
            let (first, second) = line.split_at(cut);
            let heard = [first, second].map(|part| ftp.server(part)).concat();
            let becomes = format!("227 {text} (203,0,113,2,156,64)\r\n");
            assert_eq!(heard, if opens { becomes } else { line });
            assert_eq!(ftp.opened().len(), usize::from(opens), "{longest}");
        }
    }
}

#[test]
fn a_dialogue_that_is_too_far_ahead_is_let_go() {
    let mut ftp = Dialogue::v4();
    for _ in 0..40 {
        ftp.client("NOOP\r\nPASV\r\n");
    }
    assert_eq!(ftp.refusals(), [NotOpened::Crowded]);
    ftp.server(MODE);
    assert_eq!(ftp.opened(), [""; 0]);
    // A thousand of one kind are no trouble.
    let mut ftp = Dialogue::v4();
    ftp.client(&"PASV\r\n".repeat(1000));
    ftp.server(&MODE.repeat(1000));
    assert_eq!(ftp.opened().len(), 1000);
    assert_opens_nothing(&mut ftp, SERVER, MODE, NotOpened::Unasked);
}

#[test]
fn t_slip_log__what_is_refused_is_told_with_its_line_and_its_check() {
    let mut ftp = Dialogue::v4();
    ftp.client("PORT 10,0,0,8,200,10\r\n");
    let [
        Note::NotOpened {
            by,
            what,
            why,
            line,
        },
    ] = &ftp.notes[..]
    else {
        panic!("{:?}", ftp.notes);
    };
    assert_eq!((*by, *what, why.check()), (CLIENT, "PORT", "third-party"));
    assert_eq!(line.to_string(), "PORT 10,0,0,8,200,10");
}
