//! 227 and 229 of the server, and the commands that ask for them.

use super::*;

#[test]
fn t_959_227_in__untranslated_it_passes_as_it_is() {
    let mut dialogue = Dialogue::v4();
    dialogue.client("PASV\r\n");
    let reply = "227 Entering Passive Mode (10,0,9,21,200,10).\r\n";
    assert_eq!(dialogue.server(reply), reply);
    assert_eq!(dialogue.opened(), ["10.0.9.21:51210"]);
    assert_eq!(dialogue.desk.holes[0].by, SERVER);
}

#[test]
fn t_959_227_dnat__only_the_six_numbers_change() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
    dialogue.client("PASV\r\n");
    assert_eq!(
        dialogue.server("227 Mode 2 (10,0,9,21,200,10), go.\r\n"),
        "227 Mode 2 (203,0,113,2,156,64), go.\r\n"
    );
    dialogue.client("pasv\r\n");
    assert_eq!(
        dialogue.server("227 =10,0,9,21,200,10\r\n"),
        "227 =203,0,113,2,156,64\r\n"
    );
}

#[test]
fn t_959_227_unasked__a_227_that_no_pasv_asked_for_opens_nothing() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
    let reply = "227 Entering Passive Mode (10,0,9,21,200,10).\r\n";
    assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::Unasked);
    let reply_to_epsv = "229 ok (|||51210|)\r\n";
    assert_opens_nothing(&mut dialogue, SERVER, reply_to_epsv, NotOpened::Unasked);
    dialogue.client("PASV\r\n");
    dialogue.server(reply);
    assert_eq!(dialogue.opened().len(), 1);
    assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::Unasked);
}

#[test]
fn t_959_227_other__another_host_in_227_opens_nothing() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
    dialogue.client("PASV\r\n");
    let reply = "227 Entering Passive Mode (10,0,9,22,200,10).\r\n";
    let why = NotOpened::ThirdParty("10.0.9.22".parse().unwrap());
    assert_opens_nothing(&mut dialogue, SERVER, reply, why);
}

#[test]
fn t_slip_227__a_hostile_server_gains_nothing() {
    let mut dialogue = Dialogue::v4();
    dialogue.client("PASV\r\nPASV\r\n");
    let inside = NotOpened::ThirdParty(CLIENT_V4.parse().unwrap());
    assert_opens_nothing(&mut dialogue, SERVER, "227 (10,0,0,7,200,10)\r\n", inside);
    let ssh = NotOpened::PrivilegedPort(Port(22));
    assert_opens_nothing(&mut dialogue, SERVER, "227 (10,0,9,21,0,22)\r\n", ssh);
    let more = "227 (10,0,9,21,200,10)\r\n";
    assert_opens_nothing(&mut dialogue, SERVER, more, NotOpened::Unasked);
}

#[test]
fn a_227_in_an_ipv6_session_opens_nothing() {
    let mut dialogue = Dialogue::v6();
    dialogue.client("PASV\r\n");
    let reply = "227 (10,0,9,21,200,10)\r\n";
    assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::OtherFamily);
}

#[test]
fn t_1123_227_cut__a_malformed_227_opens_nothing_and_is_the_reply() {
    let mut dialogue = Dialogue::v4();
    dialogue.client("PASV\r\n");
    let reply = "227 Entering Passive Mode (10,0,9,21,200,256)\r\n";
    assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::Malformed);
    let late = "227 Entering Passive Mode (10,0,9,21,200,10)\r\n";
    assert_opens_nothing(&mut dialogue, SERVER, late, NotOpened::Unasked);
}

#[test]
fn t_1579_fall__a_refused_pasv_awaits_nothing_and_port_still_works() {
    for refusal in ["421 x", "425 x", "500 x", "502 x", "522 use (1)"] {
        let mut dialogue = Dialogue::v4();
        dialogue.client("PASV\r\n");
        dialogue.server(&format!("{refusal}\r\n"));
        let reply = "227 (10,0,9,21,200,10)\r\n";
        assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::Unasked);
        dialogue.client("PORT 10,0,0,7,200,10\r\n");
        assert_eq!(dialogue.opened(), ["10.0.0.7:51210"]);
    }
}

#[test]
fn t_2428_229__the_address_is_the_servers_own() {
    let reply = "229 Entering Extended Passive Mode (|||51210|)\r\n";
    let mut v4 = Dialogue::v4();
    v4.client("EPSV\r\n");
    assert_eq!(v4.server(reply), reply);
    assert_eq!(v4.opened(), ["10.0.9.21:51210"]);
    let mut v6 = Dialogue::v6();
    v6.client("EPSV 2\r\n");
    assert_eq!(v6.server(reply), reply);
    assert_eq!(v6.opened(), ["[2001:db8:9::21]:51210"]);
}

#[test]
fn t_2428_229_dnat__only_the_port_changes() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:4000");
    dialogue.client("EPSV\r\n");
    assert_eq!(
        dialogue.server("229 Extended (1) (!!!51210!).\r\n"),
        "229 Extended (1) (!!!4000!).\r\n"
    );
    let mut same_port = Dialogue::v4().translated_to("203.0.113.2:51210");
    same_port.client("EPSV\r\n");
    let reply = "229 ok (|||51210|)\r\n";
    assert_eq!(same_port.server(reply), reply);
    assert_eq!(same_port.opened().len(), 1);
}

#[test]
fn t_2428_229_fill__filled_fields_open_nothing() {
    let mut dialogue = Dialogue::v4();
    for reply in ["229 x (|1|10.0.9.21|51210|)\r\n", "229 x (|||0|)\r\n"] {
        dialogue.client("EPSV\r\n");
        assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::Malformed);
    }
}

#[test]
fn t_2428_cross__a_reply_is_read_by_its_code() {
    let mut dialogue = Dialogue::v4();
    dialogue.client("EPSV\r\n");
    dialogue.server("227 (10,0,9,21,200,10)\r\n");
    dialogue.client("PASV\r\n");
    dialogue.server("229 (|||51211|)\r\n");
    assert_eq!(dialogue.opened(), ["10.0.9.21:51210", "10.0.9.21:51211"]);
}

#[test]
fn t_2428_epsv_arg__a_522_opens_nothing() {
    let mut dialogue = Dialogue::v4();
    assert_eq!(dialogue.client("EPSV 2\r\n"), "EPSV 2\r\n");
    dialogue.server("522 not supported, use (1)\r\n");
    let reply = "229 (|||51210|)\r\n";
    assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::Unasked);
}

#[test]
fn t_2428_epsv_all__port_eprt_and_pasv_open_nothing_and_epsv_does() {
    for answer in ["200 fine\r\n", ""] {
        let mut dialogue = Dialogue::v4();
        dialogue.client("EPSV ALL\r\n");
        dialogue.server(answer);
        let why = NotOpened::AfterEpsvAll;
        assert_opens_nothing(&mut dialogue, CLIENT, "PORT 10,0,0,7,200,10\r\n", why);
        assert_opens_nothing(&mut dialogue, CLIENT, "EPRT |1|10.0.0.7|51210|\r\n", why);
        assert_opens_nothing(&mut dialogue, CLIENT, "PASV\r\n", why);
        let unasked = "227 (10,0,9,21,200,10)\r\n";
        assert_opens_nothing(&mut dialogue, SERVER, unasked, NotOpened::Unasked);
        dialogue.client("EPSV\r\n");
        dialogue.server("229 (|||51210|)\r\n");
        assert_eq!(dialogue.opened(), ["10.0.9.21:51210"]);
    }
}

#[test]
fn a_refused_epsv_all_promises_nothing() {
    let mut dialogue = Dialogue::v4();
    dialogue.client("EPSV ALL\r\n");
    dialogue.server("500 what?\r\n");
    dialogue.client("PORT 10,0,0,7,200,10\r\n");
    assert_eq!(dialogue.opened(), ["10.0.0.7:51210"]);
}

#[test]
fn t_1123_ml__the_last_line_of_a_227_counts() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
    dialogue.client("PASV\r\n");
    assert_eq!(
        dialogue.server("227-Mode (10,0,9,21,1,1)\r\n227 Mode (10,0,9,21,200,10)\r\n"),
        "227-Mode (10,0,9,21,1,1)\r\n227 Mode (203,0,113,2,156,64)\r\n"
    );
    assert_eq!(dialogue.opened(), ["10.0.9.21:51210"]);
}

#[test]
fn t_959_ml_text__a_227_within_another_reply_is_text() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
    dialogue.client("PASV\r\n");
    let text = "230-Welcome\r\n227 Mode (10,0,9,21,200,10)\r\n230 done\r\n";
    assert_eq!(dialogue.server(text), text);
    assert_eq!(dialogue.opened(), [""; 0]);
}

#[test]
fn a_long_line_that_begins_a_reply_still_begins_it() {
    let mut dialogue = Dialogue::v4();
    dialogue.client("PASV\r\n");
    let long = "x".repeat(1000);
    dialogue.server(&format!(
        "230-{long}\r\n227 (10,0,9,21,200,10)\r\n230 {long}\r\n"
    ));
    assert_eq!(dialogue.opened(), [""; 0]);
    dialogue.server("227 (10,0,9,21,200,10)\r\n");
    assert_eq!(dialogue.opened().len(), 1);
}
