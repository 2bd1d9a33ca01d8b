//! The dialogue, line by line, before a desk that translates or not.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::alg::attach;
use crate::net::{Port, SeqNumber};

const CLIENT_V4: &str = "10.0.0.7";
const SERVER_V4: &str = "10.0.9.21";
const CLIENT_V6: &str = "2001:db8:10::7";
const SERVER_V6: &str = "2001:db8:9::21";

/// An engine as the ALG sees it.
#[derive(Debug, Default)]
struct MockDesk {
    addresses: Vec<IpAddr>,
    /// What the announcer's endpoint is to the other end.
    translate: Option<Endpoint>,
    /// Whether every hole is refused for want of a port.
    exhausted: bool,
    holes: Vec<Announcement>,
}

impl Desk for MockDesk {
    fn address_of(&self, direction: Direction) -> IpAddr {
        match direction {
            CLIENT => self.addresses[0],
            SERVER => self.addresses[1],
        }
    }

    fn expect(&mut self, announcement: Announcement) -> Result<Endpoint, NoHole> {
        if self.exhausted {
            return Err(NoHole::NoPort);
        }
        let reached_at = self.translate.unwrap_or(announcement.endpoint);
        if !announcement.allows(reached_at) {
            return Err(NoHole::NeedsRewrite);
        }
        self.holes.push(announcement);
        Ok(reached_at)
    }
}

/// A control session and its desk.
struct Dialogue {
    alg: Box<dyn Alg>,
    desk: MockDesk,
    notes: Vec<Note>,
}

impl Dialogue {
    fn between(client: &str, server: &str) -> Self {
        Self {
            alg: attach(AlgKind::Ftp),
            desk: MockDesk {
                addresses: vec![client.parse().unwrap(), server.parse().unwrap()],
                ..MockDesk::default()
            },
            notes: Vec::new(),
        }
    }

    fn v4() -> Self {
        Self::between(CLIENT_V4, SERVER_V4)
    }

    fn v6() -> Self {
        Self::between(CLIENT_V6, SERVER_V6)
    }

    fn translated_to(mut self, endpoint: &str) -> Self {
        self.desk.translate = Some(endpoint.parse().unwrap());
        self
    }

    fn inspect(&mut self, direction: Direction, bytes: &[u8]) -> Inspection {
        let chunk = Chunk {
            direction,
            seq: SeqNumber(1),
            bytes,
        };
        let inspection = self.alg.inspect(chunk, &mut self.desk);
        self.notes.extend(&inspection.notes);
        inspection
    }

    /// What the other end gets for `text`.
    fn passes(&mut self, direction: Direction, text: &str) -> String {
        let inspection = self.inspect(direction, text.as_bytes());
        assert_eq!(inspection.verdict, AlgVerdict::Pass);
        edited(text.as_bytes(), &inspection.edits)
    }

    fn client(&mut self, text: &str) -> String {
        self.passes(CLIENT, text)
    }

    fn server(&mut self, text: &str) -> String {
        self.passes(SERVER, text)
    }

    /// The endpoints for which a hole was opened.
    fn opened(&self) -> Vec<String> {
        let holes = self.desk.holes.iter();
        holes.map(|hole| hole.endpoint.to_string()).collect()
    }

    fn refusals(&self) -> Vec<NotOpened> {
        let why = |note: &Note| match note {
            Note::NotOpened { why, .. } => Some(*why),
            _ => None,
        };
        self.notes.iter().filter_map(why).collect()
    }
}

fn edited(text: &[u8], edits: &[Edit]) -> String {
    let mut out = Vec::new();
    let mut at = 0;
    for edit in edits {
        assert!(at <= edit.range.start && !edit.range.is_empty());
        out.extend_from_slice(&text[at..edit.range.start]);
        out.extend_from_slice(&edit.with);
        at = edit.range.end;
    }
    out.extend_from_slice(&text[at..]);
    String::from_utf8_lossy(&out).into_owned()
}

/// The client's line passes as it is and opens nothing, for this reason.
fn assert_opens_nothing(dialogue: &mut Dialogue, by: Direction, line: &str, why: NotOpened) {
    let before = dialogue.desk.holes.clone();
    assert_eq!(dialogue.passes(by, line), line);
    assert_eq!(dialogue.desk.holes, before, "{line:?}");
    assert_eq!(dialogue.refusals().last(), Some(&why), "{line:?}");
}

mod active {
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
        for other in [
            "10.0.0.8",
            SERVER_V4,
            "127.0.0.1",
            "255.255.255.255",
            "0.0.0.0",
        ] {
            let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
            let why = NotOpened::ThirdParty(other.parse().unwrap());
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
        for other in ["2001:db8:10::8", "ff02::1", "::1", "::"] {
            let why = NotOpened::ThirdParty(other.parse().unwrap());
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
}

mod passive {
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
}

mod stream {
    use super::*;

    const TO_OUTSIDE: &str = "203.0.113.2:40000";

    #[test]
    fn t_1123_stream__a_line_cut_anywhere_is_read_without_translation() {
        let line = "PORT 10,0,0,7,200,10\r\n";
        for cut in 1..line.len() {
            let mut dialogue = Dialogue::v4();
            let (first, second) = line.split_at(cut);
            assert_eq!(dialogue.client(first), first);
            assert_eq!(dialogue.client(second), second);
            assert_eq!(dialogue.opened(), ["10.0.0.7:51210"], "cut at {cut}");
        }
    }

    #[test]
    fn a_line_cut_before_its_endpoint_can_be_rewritten() {
        let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
        assert_eq!(dialogue.client("PORT "), "PORT ");
        assert_eq!(
            dialogue.client("10,0,0,7,200,10\r\n"),
            "203,0,113,2,156,64\r\n"
        );
        assert_eq!(dialogue.opened(), ["10.0.0.7:51210"]);
    }

    #[test]
    fn a_line_cut_within_or_behind_its_endpoint_opens_nothing_if_translated() {
        let line = "PORT 10,0,0,7,200,10\r\n";
        for cut in 6..line.len() {
            let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
            let (first, second) = line.split_at(cut);
            assert_eq!(dialogue.client(first), first);
            let why = NotOpened::NoHole(NoHole::NeedsRewrite);
            assert_opens_nothing(&mut dialogue, CLIENT, second, why);
        }
    }

    #[test]
    fn a_229_whose_port_has_left_needs_that_port_only() {
        for (translated, opened) in [("203.0.113.2:51210", 1), ("203.0.113.2:51211", 0)] {
            let mut dialogue = Dialogue::v4().translated_to(translated);
            dialogue.client("EPSV\r\n");
            dialogue.server("229 ok (|||51210|)");
            dialogue.server("\r\n");
            assert_eq!(dialogue.opened().len(), opened, "{translated}");
        }
    }

    #[test]
    fn t_1123_byte__one_octet_at_a_time_reads_the_same() {
        let mut dialogue = Dialogue::v4();
        for octet in "NOOP\r\nport 10,0,0,7,200,10\r\nPASV\r\n".chars() {
            dialogue.client(&octet.to_string());
        }
        for octet in "200 ok\r\n227 Mode (10,0,9,21,200,11).\r\n".chars() {
            dialogue.server(&octet.to_string());
        }
        assert_eq!(dialogue.opened(), ["10.0.0.7:51210", "10.0.9.21:51211"]);
    }

    #[test]
    fn t_1123_pipe__every_line_of_a_segment_is_handled_in_order() {
        let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
        assert_eq!(
            dialogue.client(
                "NOOP\r\nPORT 10,0,0,7,200,10\r\nLIST\r\nEPRT |1|10.0.0.7|2000|\r\nRETR a\r\n"
            ),
            "NOOP\r\nPORT 203,0,113,2,156,64\r\nLIST\r\nEPRT |1|203.0.113.2|40000|\r\nRETR a\r\n"
        );
        assert_eq!(dialogue.opened(), ["10.0.0.7:51210", "10.0.0.7:2000"]);
    }

    #[test]
    fn one_chunk_has_no_more_edits_than_a_stream_can_remember() {
        let mut dialogue = Dialogue::v4().translated_to(TO_OUTSIDE);
        let lines = "PORT 10,0,0,7,200,10\r\n".repeat(MAX_EDITS + 1);
        let inspection = dialogue.inspect(CLIENT, lines.as_bytes());
        assert_eq!(inspection.edits.len(), MAX_EDITS);
        assert_eq!(dialogue.opened().len(), MAX_EDITS);
    }

    #[test]
    fn t_slip_anchor__after_a_gap_nothing_is_read_before_a_line_end() {
        let mut dialogue = Dialogue::v4();
        dialogue.client("NO");
        dialogue.alg.skipped(CLIENT);
        dialogue.client("PORT 10,0,0,7,200,10\r\n");
        assert_eq!(dialogue.opened(), [""; 0]);
        dialogue.client("PORT 10,0,0,7,200,11\r\n");
        assert_eq!(dialogue.opened(), ["10.0.0.7:51211"]);
    }

    #[test]
    fn after_a_gap_in_the_replies_nothing_is_awaited() {
        let mut dialogue = Dialogue::v4();
        dialogue.client("PASV\r\n");
        dialogue.server("230-Wel");
        dialogue.alg.skipped(SERVER);
        dialogue.server("come\r\n");
        let reply = "227 (10,0,9,21,200,10)\r\n";
        assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::Unasked);
    }

    #[test]
    fn a_clone_decides_without_a_trace_in_the_original() {
        let mut dialogue = Dialogue::v4();
        let mut decided = dialogue.alg.boxed_clone();
        let chunk = Chunk {
            direction: CLIENT,
            seq: SeqNumber(1),
            bytes: b"PASV\r\n",
        };
        decided.inspect(chunk, &mut dialogue.desk);
        let reply = "227 (10,0,9,21,200,10)\r\n";
        assert_opens_nothing(&mut dialogue, SERVER, reply, NotOpened::Unasked);
    }
}

mod encrypted {
    use super::*;

    #[test]
    fn t_4217_auth__from_auth_on_nothing_opens_and_after_234_nothing_is_read() {
        for (auth, answer) in [
            ("AUTH TLS", "234 go"),
            ("auth tls-c", "234 go"),
            ("AUTH SSL", "234 go"),
            ("AUTH GSSAPI", "334 ADAT must follow"),
        ] {
            let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
            dialogue.client(&format!("{auth}\r\n"));
            let port = "PORT 10,0,0,7,200,10\r\n";
            assert_opens_nothing(&mut dialogue, CLIENT, port, NotOpened::AfterAuth);
            let text = format!("{answer}\r\n500 not read\r\n");
            assert_eq!(dialogue.server(&text), text);
            assert_eq!(dialogue.notes.last(), Some(&Note::Encrypted));
            dialogue.notes.clear();
            assert_eq!(dialogue.client(port), port);
            dialogue.client("PASV\r\n");
            dialogue.server("227 (10,0,9,21,200,10)\r\n");
            assert_eq!(dialogue.notes, []);
            assert_eq!(dialogue.opened(), [""; 0]);
        }
    }

    #[test]
    fn t_4217_auth_no__after_a_refused_auth_all_is_as_before() {
        let mut dialogue = Dialogue::v4();
        dialogue.client("AUTH TLS\r\n");
        dialogue.server("534 no\r\n");
        dialogue.client("PORT 10,0,0,7,200,10\r\n");
        assert_eq!(dialogue.opened(), ["10.0.0.7:51210"]);
    }

    #[test]
    fn t_4217_noblock__auth_and_its_offer_pass() {
        let mut dialogue = Dialogue::v4();
        let feat = "211-Features:\r\n AUTH TLS\r\n211 End\r\n";
        assert_eq!(dialogue.server(feat), feat);
        assert_eq!(dialogue.client("AUTH TLS\r\n"), "AUTH TLS\r\n");
    }
}

#[test]
fn t_7151_host__its_address_is_not_rewritten() {
    let mut dialogue = Dialogue::v4().translated_to("203.0.113.2:40000");
    for line in [
        "HOST 10.0.0.7\r\n",
        "HOST [2001:db8::1]\r\n",
        "RETR 10,0,0,7,4,1\r\n",
    ] {
        assert_eq!(dialogue.client(line), line);
    }
    assert_eq!(dialogue.notes, []);
}

#[test]
fn t_slip_default__there_is_no_alg_but_ftp() {
    assert_eq!(AlgKind::ALL, [AlgKind::Ftp]);
    assert_eq!(attach(AlgKind::Ftp).kind(), AlgKind::Ftp);
}

/// Lines that come near to FTP, and octets that do not.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "(PORT|port) 10,0,0,7,[0-9]{1,3},[0-9]{1,3}\r\n",
        "EPRT [|!]1[|!]10.0.0.7[|!][0-9]{1,5}[|!]\r\n",
        "(PASV|EPSV|EPSV ALL|AUTH TLS|NOOP)\r\n",
        "227 Mode [(]?10,0,9,21,[0-9]{1,3},[0-9]{1,3}[)]?\r\n",
        "229[ -]Mode [(][|]{3}[0-9]{1,5}[|][)]\r\n",
        "(200|230|500|234)[ -]x\r\n",
        "[\r\n(|,0-9 ]{0,9}",
    ];
    prop_oneof![
        4 => prop::collection::vec(line, 0..8).prop_map(|lines| lines.concat().into_bytes()),
        1 => prop::collection::vec(any::<u8>(), 0..1500),
    ]
}

proptest! {
    #[test]
    fn no_stream_breaks_the_reader(
        pieces in prop::collection::vec((any::<bool>(), stream()), 0..6),
        translate in any::<bool>(),
    ) {
        let mut dialogue = Dialogue::v4();
        if translate {
            dialogue = dialogue.translated_to("203.0.113.2:40000");
        }
        for (from_client, bytes) in pieces {
            let direction = if from_client { CLIENT } else { SERVER };
            let inspection = dialogue.inspect(direction, &bytes);
            edited(&bytes, &inspection.edits);
            prop_assert!(translate || inspection.edits.is_empty());
        }
    }

    #[test]
    fn how_a_stream_is_cut_changes_nothing_where_nothing_is_translated(
        pieces in prop::collection::vec((any::<bool>(), stream()), 0..6),
        cut in 1_usize..40,
    ) {
        let (mut whole, mut in_pieces) = (Dialogue::v4(), Dialogue::v4());
        for (from_client, bytes) in pieces {
            let direction = if from_client { CLIENT } else { SERVER };
            whole.inspect(direction, &bytes);
            for piece in bytes.chunks(cut) {
                in_pieces.inspect(direction, piece);
            }
        }
        prop_assert_eq!(whole.opened(), in_pieces.opened());
        prop_assert_eq!(whole.refusals(), in_pieces.refusals());
    }
}
