//! An FTP control dialogue, in pieces.
//!
//! The octet 1 in the input begins a piece from the client, 2 one from the
//! server; all else is what they say.

use std::net::{IpAddr, Ipv4Addr};

use spigate::alg::{self, Announcement, Chunk, Desk, Inspection, NoHole, Note};
use spigate::net::{AlgKind, Direction, Endpoint, Port, SeqNumber};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 21));
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2));

/// Edits fit their piece, nothing but an end's own unprivileged port is asked
/// for, and how the stream was cut makes no difference to what is announced.
pub fn run(data: &[u8]) {
    let pieces = pieces(data);
    let translating =
        |announcement: Announcement| Endpoint::new(PUBLIC, announcement.endpoint.port);
    converse(&pieces, translating);

    let plain = |announcement: Announcement| announcement.endpoint;
    let octets: Vec<_> = pieces
        .iter()
        .flat_map(|(direction, bytes)| bytes.chunks(1).map(|octet| (*direction, octet)))
        .collect();
    assert_eq!(converse(&pieces, plain), converse(&octets, plain));
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

/// Gives all pieces to a fresh ALG; what was announced, by whom.
fn converse(
    pieces: &[(Direction, &[u8])],
    reached_at: impl Fn(Announcement) -> Endpoint,
) -> Vec<(Direction, Endpoint)> {
    let mut ftp = alg::attach(AlgKind::Ftp);
    let mut desk = Ends { reached_at };
    let mut seq = [SeqNumber(u32::MAX - 20), SeqNumber(7)];
    let mut opened = Vec::new();
    for &(direction, bytes) in pieces {
        let seq = &mut seq[usize::from(direction == Direction::Reply)];
        let chunk = Chunk {
            direction,
            seq: *seq,
            bytes,
        };
        *seq = seq.advance(u32::try_from(bytes.len()).expect("inputs are small"));
        let found = ftp.inspect(chunk, &mut desk);
        check_edits(&found, bytes.len());
        opened.extend(found.notes.iter().filter_map(|note| match note {
            Note::Opened { announcement, .. } => Some((announcement.by, announcement.endpoint)),
            _ => None,
        }));
    }
    opened
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
}

impl<F: Fn(Announcement) -> Endpoint> Desk for Ends<F> {
    fn address_of(&self, direction: Direction) -> IpAddr {
        match direction {
            Direction::Original => CLIENT,
            Direction::Reply => SERVER,
        }
    }

    fn expect(&mut self, announcement: Announcement) -> Result<Endpoint, NoHole> {
        assert_eq!(
            announcement.endpoint.address,
            self.address_of(announcement.by)
        );
        assert!(announcement.endpoint.port >= Port(1024));
        let reached_at = (self.reached_at)(announcement);
        if announcement.allows(reached_at) {
            Ok(reached_at)
        } else {
            Err(NoHole::NeedsRewrite)
        }
    }
}
