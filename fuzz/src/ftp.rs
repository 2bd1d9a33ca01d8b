//! An FTP control dialogue, in pieces.
//!
//! The octet 1 in the input begins a piece from the client, 2 one from the
//! server; all else is what they say.

use std::net::{IpAddr, Ipv4Addr};

use spigate::alg::ftp::{Strictness, ThirdParty};
use spigate::alg::{
    self, Admits, Announcement, Chunk, Desk, Fixed, Hole, Inspection, NoHole, Note, Settings,
    Start, Whose,
};
use spigate::net::{AlgKind, Direction, Endpoint, Port, Protocol, SeqNumber};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 21));
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2));

/// Edits fit their piece, nothing but an end's own unprivileged port is asked
/// for, and how the stream was cut makes no difference to what is announced, nor
/// to what the other end hears.
pub fn run(data: &[u8]) {
    let pieces = pieces(data);
    let translating =
        |announcement: Announcement| Endpoint::new(PUBLIC, announcement.endpoint.port);
    let plain = |announcement: Announcement| announcement.endpoint;
    let octets: Vec<_> = pieces
        .iter()
        .flat_map(|(direction, bytes)| bytes.chunks(1).map(|octet| (*direction, octet)))
        .collect();
    assert_eq!(converse(&pieces, plain), converse(&octets, plain));
    let (whole, cut) = (
        converse(&pieces, translating),
        converse(&octets, translating),
    );
    // Of one piece no more lines are rewritten than a stream can remember.
    if whole.edits < MOST_EDITS {
        assert_eq!(whole, cut);
    }
}

fn pieces(data: &[u8]) -> Vec<(Direction, &[u8])> {
    let mut direction = Direction::Original;
    let mut pieces = Vec::new();
    for part in data.split_inclusive(|octet| matches!(octet, 1 | 2)) {
        let (bytes, mark) = match part.split_last() {
            Some((mark @ (1 | 2), bytes)) => (bytes, Some(*mark)),
            _ => (part, None),
        };
        if !bytes.is_empty() {
            pieces.push((direction, bytes));
        }
        direction = match mark {
            Some(1) => Direction::Original,
            Some(_) => Direction::Reply,
            None => direction,
        };
    }
    pieces
}

/// As many edits as no dialogue has in one piece.
const MOST_EDITS: usize = 8;

/// What came of a dialogue.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    /// What was announced, by whom.
    opened: Vec<(Direction, Endpoint)>,
    /// What server and client heard.
    text: [Vec<u8>; 2],
    /// How many edits there were.
    edits: usize,
}

/// Gives all pieces to a fresh ALG.
fn converse(pieces: &[(Direction, &[u8])], reached_at: impl Fn(Announcement) -> Endpoint) -> Heard {
    let mut ftp = alg::attach(AlgKind::Ftp, Start::Beginning);
    let mut desk = Ends {
        reached_at,
        settings: by_lines(),
    };
    let mut seq = [SeqNumber(u32::MAX - 20), SeqNumber(7)];
    let mut withheld = [Vec::new(), Vec::new()];
    let mut heard = Heard::default();
    for &(direction, bytes) in pieces {
        let place = usize::from(direction == Direction::Reply);
        let (seq, withheld) = (&mut seq[place], &mut withheld[place]);
        let before = withheld.len();
        withheld.extend_from_slice(bytes);
        let chunk = Chunk {
            direction,
            seq: *seq,
            bytes: withheld,
        };
        let found = ftp.inspect(chunk, &mut desk);
        let released = found.hold.unwrap_or(withheld.len());
        assert!(released == 0 || released > before, "withheld in part");
        assert!(withheld.len() - released <= 512, "no line is that long");
        let leaves: Vec<_> = withheld.drain(..released).collect();
        *seq = seq.advance(u32::try_from(released).expect("inputs are small"));
        check_edits(&found, released);
        let mut at = 0;
        for edit in &found.edits {
            heard.text[place].extend_from_slice(&leaves[at..edit.range.start]);
            heard.text[place].extend_from_slice(&edit.with);
            at = edit.range.end;
        }
        heard.text[place].extend_from_slice(&leaves[at..]);
        heard.edits += found.edits.len();
        heard
            .opened
            .extend(found.notes.iter().filter_map(|note| match note {
                Note::Opened { announcement, .. } => Some((announcement.by, announcement.endpoint)),
                _ => None,
            }));
    }
    heard
}

fn check_edits(found: &Inspection, len: usize) {
    let mut free_from = 0;
    for edit in &found.edits {
        assert!(edit.range.start >= free_from, "{:?}", found.edits);
        assert!(edit.range.start < edit.range.end && edit.range.end <= len);
        free_from = edit.range.end;
    }
}

/// The engine's side: both ends, and where the other one finds them.
struct Ends<F> {
    reached_at: F,
    settings: Settings,
}

/// Each line counts, whatever was said before: random dialogues do not get far.
fn by_lines() -> Settings {
    let mut settings = Settings::default();
    settings.ftp.strictness = Strictness::Lines;
    settings.ftp.third_party = ThirdParty::Block;
    settings.ftp.denied = vec!["SITE".to_owned()];
    settings
}

impl<F: Fn(Announcement) -> Endpoint> Desk for Ends<F> {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn end_of(&self, direction: Direction) -> Endpoint {
        match direction {
            Direction::Original => Endpoint::new(CLIENT, Port(51000)),
            Direction::Reply => Endpoint::new(SERVER, Port(21)),
        }
    }

    fn whose(&self, _: IpAddr) -> Whose {
        Whose::Hosts
    }

    fn translates(&self, by: Direction) -> bool {
        let own = self.end_of(by).address;
        let announcement = Announcement {
            by,
            protocol: Protocol::TCP,
            endpoint: Endpoint::new(own, Port(2000)),
            fixed: Fixed::Nothing,
            from: None,
            admits: Admits::AtOnce,
        };
        (self.reached_at)(announcement).address != own
    }

    fn expect(&mut self, announcement: Announcement) -> Result<Hole, NoHole> {
        let own = self.end_of(announcement.by).address;
        assert_eq!(announcement.endpoint.address, own);
        assert!(announcement.endpoint.port >= Port(1024));
        let reached_at = (self.reached_at)(announcement);
        if announcement.allows(reached_at) {
            Ok(Hole {
                by: announcement.by,
                protocol: announcement.protocol,
                reached_at,
            })
        } else {
            Err(NoHole::NeedsRewrite)
        }
    }

    fn admit(&mut self, _: Hole) {}

    fn withdraw(&mut self, _: Hole) {}

    fn withdraw_all(&mut self) {}
}
