//! The dialogue, line by line, before a desk that translates or not.

mod active;
mod any_octets;
mod dialogue;
mod encrypted;
mod passive;
mod stream;

use std::net::IpAddr;

use super::*;
use crate::alg::{Edit, NoHole, Whose, attach};
use crate::net::{Endpoint, SeqNumber};

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
    settings: crate::alg::Settings,
    holes: Vec<Announcement>,
    /// Where those are found that admit, or that were closed.
    admitted: Vec<Endpoint>,
    withdrawn: Vec<Endpoint>,
    closed_all: usize,
}

impl Desk for MockDesk {
    fn settings(&self) -> &crate::alg::Settings {
        &self.settings
    }

    fn end_of(&self, direction: Direction) -> Endpoint {
        match direction {
            CLIENT => Endpoint::new(self.addresses[0], Port(51000)),
            SERVER => Endpoint::new(self.addresses[1], Port(21)),
        }
    }

    fn whose(&self, address: IpAddr) -> Whose {
        match address.to_string().as_str() {
            "203.0.113.2" => Whose::Gateways,
            "192.0.2.77" => Whose::Friends,
            "127.0.0.1" | "255.255.255.255" | "0.0.0.0" | "ff02::1" | "::1" | "::" => {
                Whose::NoHosts
            }
            _ => Whose::Hosts,
        }
    }

    fn translates(&self, _: Direction) -> bool {
        self.translate.is_some()
    }

    fn expect(&mut self, announcement: Announcement) -> Result<Hole, NoHole> {
        if self.exhausted {
            return Err(NoHole::NoPort);
        }
        let reached_at = self.translate.unwrap_or(announcement.endpoint);
        if !announcement.allows(reached_at) {
            return Err(NoHole::NeedsRewrite);
        }
        self.holes.push(announcement);
        Ok(Hole {
            by: announcement.by,
            protocol: announcement.protocol,
            reached_at,
        })
    }

    fn admit(&mut self, hole: Hole) {
        self.admitted.push(hole.reached_at);
    }

    fn withdraw(&mut self, hole: Hole) {
        self.withdrawn.push(hole.reached_at);
    }

    fn withdraw_all(&mut self) {
        self.closed_all += 1;
    }
}

/// A control session and its desk.
struct Dialogue {
    alg: Box<dyn Alg>,
    desk: MockDesk,
    notes: Vec<Note>,
    /// What the ALG withholds of what client and server said.
    withheld: [Vec<u8>; 2],
}

impl Dialogue {
    /// One whose client is logged in.
    fn between(client: &str, server: &str) -> Self {
        let mut dialogue = Self::connected(client, server);
        dialogue.logs_in();
        dialogue
    }

    fn connected(client: &str, server: &str) -> Self {
        Self {
            alg: attach(AlgKind::Ftp, Start::Beginning),
            desk: MockDesk {
                addresses: vec![client.parse().unwrap(), server.parse().unwrap()],
                ..MockDesk::default()
            },
            notes: Vec::new(),
            withheld: Default::default(),
        }
    }

    fn logs_in(&mut self) {
        self.server("220 ready\r\n");
        self.client("USER me\r\n");
        self.server("331 password?\r\n");
        self.client("PASS secret\r\n");
        self.server("230 welcome\r\n");
        assert_eq!(self.notes, []);
    }

    /// One with these settings, logged in.
    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut dialogue = Self::v4();
        change(&mut dialogue.desk.settings.ftp);
        dialogue
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

    /// What the ALG says of the next octets, and what of them leaves before it
    /// is edited.
    fn read(&mut self, direction: Direction, bytes: &[u8]) -> (Inspection, Vec<u8>) {
        let withheld = &mut self.withheld[usize::from(direction == SERVER)];
        let before = withheld.len();
        withheld.extend(bytes);
        let chunk = Chunk {
            direction,
            seq: SeqNumber(1),
            bytes: withheld,
        };
        let inspection = self.alg.inspect(chunk, &mut self.desk);
        let released = inspection.hold.unwrap_or(withheld.len());
        assert!(released == 0 || released > before, "withheld in part");
        assert!(withheld.len() - released <= self.desk.settings.ftp.longest_line);
        self.notes.extend(&inspection.notes);
        let leaves = withheld.drain(..released).collect();
        (inspection, leaves)
    }

    fn inspect(&mut self, direction: Direction, bytes: &[u8]) -> Inspection {
        self.read(direction, bytes).0
    }

    /// What the other end gets for `text`.
    fn passes(&mut self, direction: Direction, text: &str) -> String {
        let (inspection, leaves) = self.read(direction, text.as_bytes());
        assert_eq!(inspection.verdict, AlgVerdict::Pass);
        edited(&leaves, &inspection.edits)
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
    String::from_utf8_lossy(&edited_octets(text, edits)).into_owned()
}

fn edited_octets(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    for edit in edits {
        assert!(at <= edit.range.start && !edit.range.is_empty());
        out.extend_from_slice(&text[at..edit.range.start]);
        out.extend_from_slice(&edit.with);
        at = edit.range.end;
    }
    out.extend_from_slice(&text[at..]);
    out
}

/// The client's line passes as it is and opens nothing, for this reason.
fn assert_opens_nothing(dialogue: &mut Dialogue, by: Direction, line: &str, why: NotOpened) {
    let before = dialogue.desk.holes.clone();
    assert_eq!(dialogue.passes(by, line), line);
    assert_eq!(dialogue.desk.holes, before, "{line:?}");
    assert_eq!(dialogue.refusals().last(), Some(&why), "{line:?}");
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
fn t_slip_default__there_is_no_alg_but_those_of_ftp_and_tftp() {
    assert_eq!(AlgKind::ALL, [AlgKind::Ftp, AlgKind::Tftp]);
    for kind in AlgKind::ALL {
        assert_eq!(attach(kind, Start::Beginning).kind(), kind);
    }
}
