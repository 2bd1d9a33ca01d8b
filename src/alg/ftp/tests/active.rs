//! PORT and EPRT of the client.

use super::*;

#[test]
fn t_959_port__untranslated_it_passes_as_it_is() {
    let mut dialogue = Dialogue::v4();
    let line = "PORT 10,0,0,7,200,10\r\n";
    assert_eq!(dialogue.client(line), line);
    let announced = Announcement {
        by: CLIENT,
        protocol: Protocol::TCP,
        endpoint: "10.0.0.7:51210".parse().unwrap(),
        fixed: Fixed::Nothing,
        from: None,
        admits: Admits::AtOnce,
    };
    assert_eq!(dialogue.desk.holes, [announced]);
}

#[test]
fn t_959_port__translated_it_names_the_external_endpoint() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
    assert_eq!(
        dialogue.client("PORT  10,0,0,7,200,10\r\n"),
        "PORT  203,0,113,2,156,64\r\n"
    );
    assert_eq!(dialogue.opened(), ["10.0.0.7:51210"]);
}

#[test]
fn t_ftp_coll__another_port_is_written_into_the_command() {
    let mut dialogue = Dialogue::v4().translated_to("10.0.0.7:51211");
    assert_eq!(
        dialogue.client("PORT 10,0,0,7,200,10\r\n"),
        "PORT 10,0,0,7,200,11\r\n"
    );
}

#[test]
fn t_959_port_syn__a_malformed_port_opens_nothing() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
    for argument in [
        "10,0,0,7,256,10",
        "10,0,0,7,200",
        "10,0,0,7,200,10,1",
        "10,0,0,7,0,0",
        "10,0,0,7,200,10 ",
        "10,0,0,7,+2,10",
        "",
    ] {
        let line = format!("PORT {argument}\r\n");
        assert_opens_nothing(&mut dialogue, CLIENT, &line, NotOpened::Malformed);
    }
}

#[test]
fn t_959_eol__a_lone_cr_or_lf_in_the_line_opens_nothing() {
    for line in ["PORT 10,0,0,7,200,10\n\r\n", "PORT 10,0,0,7,200,10\r\r\n"] {
        let mut dialogue = Dialogue::v4();
        assert_opens_nothing(&mut dialogue, CLIENT, line, NotOpened::Malformed);
    }
    let mut dialogue = Dialogue::v4();
    dialogue.client("NOOP\nPORT 10,0,0,7,200,10\r\n");
    dialogue.client("PORT 10,0,0,7,200,10\n");
    dialogue.client("PASV\nX\r\n");
    dialogue.server("227 (10,0,9,21,200,10)\r\n");
    assert_eq!(dialogue.opened(), [""; 0]);
}

#[test]
fn t_2577_addr__a_port_command_for_another_host_opens_nothing() {
    let third: fn(IpAddr) -> NotOpened = NotOpened::ThirdParty;
    for (other, why) in [
        ("10.0.0.8", third),
        (SERVER_V4, third),
        ("203.0.113.2", NotOpened::Gateway),
        ("127.0.0.1", NotOpened::NoHost),
        ("255.255.255.255", NotOpened::NoHost),
        ("0.0.0.0", NotOpened::NoHost),
    ] {
        let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
        let why = why(other.parse().unwrap());
        let numbers = other.replace('.', ",");
        let port = format!("PORT {numbers},200,10\r\n");
        assert_opens_nothing(&mut dialogue, CLIENT, &port, why);
        let eprt = format!("EPRT |1|{other}|51210|\r\n");
        assert_opens_nothing(&mut dialogue, CLIENT, &eprt, why);
    }
}

#[test]
fn t_slip_own__another_inside_host_is_refused_in_ipv6_too() {
    let mut dialogue = Dialogue::v6();
    let third: fn(IpAddr) -> NotOpened = NotOpened::ThirdParty;
    for (other, why) in [
        ("2001:db8:10::8", third),
        ("ff02::1", NotOpened::NoHost),
        ("::1", NotOpened::NoHost),
        ("::", NotOpened::NoHost),
    ] {
        let why = why(other.parse().unwrap());
        let line = format!("EPRT |2|{other}|51210|\r\n");
        assert_opens_nothing(&mut dialogue, CLIENT, &line, why);
    }
}

#[test]
fn t_lnx_ftp_third__a_third_party_passes_unchanged() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
    let line = "PORT 192,0,2,9,200,10\r\n";
    assert_eq!(dialogue.client(line), line);
    assert_eq!(dialogue.opened(), [""; 0]);
}

#[test]
fn t_2577_low__privileged_ports_open_nothing() {
    let mut dialogue = Dialogue::v4();
    let why = NotOpened::PrivilegedPort(Port(1023));
    assert_opens_nothing(&mut dialogue, CLIENT, "PORT 10,0,0,7,3,255\r\n", why);
    assert_opens_nothing(&mut dialogue, CLIENT, "EPRT |1|10.0.0.7|1023|\r\n", why);
    dialogue.client("PASV\r\nEPSV\r\n");
    assert_opens_nothing(&mut dialogue, SERVER, "227 (10,0,9,21,3,255)\r\n", why);
    assert_opens_nothing(&mut dialogue, SERVER, "229 (|||1023|)\r\n", why);
    dialogue.client("PORT 10,0,0,7,4,0\r\n");
    assert_eq!(dialogue.opened(), ["10.0.0.7:1024"]);
}

#[test]
fn t_2428_eprt_v4__delimiter_and_family_are_kept() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
    assert_eq!(
        dialogue.client("eprt !1!10.0.0.7!51210!\r\n"),
        "eprt !1!203.0.113.2!40000!\r\n"
    );
    assert_eq!(dialogue.opened(), ["10.0.0.7:51210"]);
}

#[test]
fn t_2428_eprt_v6__the_clients_own_address_in_any_spelling() {
    for spelling in [CLIENT_V6, "2001:DB8:10:0:0:0:0:7", "2001:db8:10::0.0.0.7"] {
        let mut dialogue = Dialogue::v6();
        let line = format!("EPRT |2|{spelling}|51210|\r\n");
        assert_eq!(dialogue.client(&line), line);
        assert_eq!(dialogue.opened(), ["[2001:db8:10::7]:51210"]);
    }
}

#[test]
fn an_eprt_of_a_translated_ipv6_client_is_rewritten() {
    let mut dialogue = Dialogue::v6().translated_to("[2001:db8:ff::2]:40000");
    assert_eq!(
        dialogue.client("EPRT |2|2001:db8:10::7|51210|\r\n"),
        "EPRT |2|2001:db8:ff::2|40000|\r\n"
    );
}

#[test]
fn t_2428_eprt_af__another_family_than_the_sessions_opens_nothing() {
    let mut v4 = Dialogue::v4();
    let line = "EPRT |2|2001:db8:10::7|51210|\r\n";
    assert_opens_nothing(&mut v4, CLIENT, line, NotOpened::OtherFamily);
    let line = "EPRT |2|::ffff:10.0.0.7|51210|\r\n";
    assert_opens_nothing(&mut v4, CLIENT, line, NotOpened::OtherFamily);
    let mut v6 = Dialogue::v6();
    let line = "EPRT |1|10.0.0.7|51210|\r\n";
    assert_opens_nothing(&mut v6, CLIENT, line, NotOpened::OtherFamily);
    let line = "PORT 10,0,0,7,200,10\r\n";
    assert_opens_nothing(&mut v6, CLIENT, line, NotOpened::OtherFamily);
}

#[test]
fn without_a_free_port_the_packet_is_refused() {
    let mut dialogue = Dialogue::v4();
    dialogue.desk.exhausted = true;
    let inspection = dialogue.inspect(CLIENT, b"PORT 10,0,0,7,200,10\r\n");
    let why = NotOpened::NoHole(NoHole::NoPort);
    assert_eq!(inspection.verdict, AlgVerdict::Refuse(why));
    assert_eq!(inspection.edits, []);
}

#[test]
fn t_959_dir__the_client_sends_no_replies_and_the_server_no_commands() {
    let mut dialogue = Dialogue::v4();
    dialogue.client("PASV\r\n");
    dialogue.client("227 (10,0,0,7,200,10)\r\n229 (|||2000|)\r\n");
    dialogue.server("PORT 10,0,9,21,200,10\r\nEPRT |1|10.0.9.21|51210|\r\n");
    assert_eq!(dialogue.opened(), [""; 0]);
}
