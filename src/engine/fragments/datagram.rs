//! One datagram that is not whole yet, and its pieces.

use super::super::Reason;
use super::{COST_OF_DATAGRAM, Fate, Key, Unfinished};
use crate::net::Timestamp;
use crate::packet::{self, Cuts, Cutting, Follows, Piece};

/// Bits of [`Datagram::ecn`]: what the pieces said.
const NOT_ECT: u8 = 1;
const CE: u8 = 8;

#[derive(Debug)]
pub(super) struct Held {
    pub(super) offset: usize,
    pub(super) end: usize,
    pub(super) follows: Follows,
    pub(super) payload: Box<[u8]>,
}

#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) deadline: Timestamp,
    /// By offset, without overlap.
    pub(super) pieces: Vec<Held>,
    /// All of the first piece before its payload.
    pub(super) header: Option<Box<[u8]>>,
    /// Octets of payload: all that is known, once the last piece is there.
    pub(super) length: Option<usize>,
    /// Octets of payload that are here.
    pub(super) here: usize,
    /// The longest piece, and whether that one might have been cut.
    pub(super) largest: (usize, Cutting),
    /// One bit for each value of ECN that a piece had.
    pub(super) ecn: u8,
    /// What its pieces cost.
    pub(super) cost: usize,
    /// Why nothing of it will ever pass.
    pub(super) spoiled: Option<Reason>,
}

impl Held {
    /// Whether it says all that this piece says. Then the piece changes
    /// nothing: RFC 8200 section 4.5 lets exact repeats be ignored, and Linux
    /// ignores parts of a piece too.
    fn says(&self, piece: &Piece, payload: &[u8]) -> bool {
        let ends_alike = match piece.follows {
            Follows::More => true,
            Follows::Nothing => self.follows == Follows::Nothing && self.end == piece.end,
        };
        let place = piece.offset.checked_sub(self.offset);
        let own = place.and_then(|place| self.payload.get(place..place + payload.len()));
        ends_alike && own == Some(payload)
    }
}

/// Where a piece belongs among those that are here.
pub(super) enum Place {
    /// Before the piece of this number.
    Free(usize),
    /// One that is here says the same.
    Same,
    /// Something else is here, or it contradicts what is known.
    Taken,
}

impl Datagram {
    pub(super) fn new(deadline: Timestamp) -> Self {
        Self {
            deadline,
            pieces: Vec::new(),
            header: None,
            length: None,
            here: 0,
            largest: (0, Cutting::Allowed),
            ecn: 0,
            cost: COST_OF_DATAGRAM,
            spoiled: None,
        }
    }

    /// What is told of it when it is given up; `None` where it was before.
    pub(super) fn unfinished(
        &self,
        key: &Key,
        at: Timestamp,
        reason: Reason,
    ) -> Option<Unfinished> {
        self.spoiled.is_none().then_some(Unfinished {
            at,
            source: key.source,
            destination: key.destination,
            pieces: self.pieces.len(),
            reason,
            packets: 0,
        })
    }

    pub(super) fn place(&self, piece: &Piece, payload: &[u8]) -> Place {
        let place = self
            .pieces
            .partition_point(|held| held.offset < piece.offset);
        let at = self.pieces.get(place);
        let before = place
            .checked_sub(1)
            .and_then(|place| self.pieces.get(place));
        if [before, at]
            .into_iter()
            .flatten()
            .any(|held| held.says(piece, payload))
        {
            return Place::Same;
        }
        let overlaps = before.is_some_and(|held| held.end > piece.offset)
            || at.is_some_and(|held| held.offset < piece.end);
        // A second end, something behind the end, or an end before something.
        let contradicts = self.length.is_some_and(|length| piece.end > length)
            || (piece.follows == Follows::Nothing && (self.length.is_some() || at.is_some()));
        if overlaps || contradicts {
            Place::Taken
        } else {
            Place::Free(place)
        }
    }

    fn length_with(&self, piece: &Piece) -> Option<usize> {
        match piece.follows {
            Follows::Nothing => Some(piece.end),
            Follows::More => self.length,
        }
    }

    /// Pieces never overlap: all is there when there is as much as all.
    pub(super) fn is_completed_by(&self, piece: &Piece) -> bool {
        let here = self.here + (piece.end - piece.offset);
        self.length_with(piece) == Some(here)
    }

    fn largest_with(&self, piece: &Piece) -> (usize, Cutting) {
        let (largest, cutting) = self.largest;
        match piece.length.cmp(&largest) {
            std::cmp::Ordering::Less => self.largest,
            std::cmp::Ordering::Greater => (piece.length, piece.cutting),
            std::cmp::Ordering::Equal if cutting == Cutting::Forbidden => self.largest,
            std::cmp::Ordering::Equal => (largest, piece.cutting),
        }
    }

    pub(super) fn note(&mut self, piece: &Piece) {
        self.here += piece.end - piece.offset;
        self.length = self.length_with(piece);
        self.largest = self.largest_with(piece);
        self.ecn |= 1 << piece.ecn;
    }

    /// The datagram with this last piece, which belongs at `place`.
    pub(super) fn put_together(&self, piece: &Piece, place: usize, frame: &[u8]) -> Fate {
        let header = match piece.offset {
            0 => frame.get(..piece.payload_at),
            _ => self.header.as_deref(),
        };
        let (Some(header), Some(payload)) = (header, frame.get(piece.payload_at..piece.length))
        else {
            return Fate::Spoils(Reason::Internal);
        };
        // RFC 3168 section 5.3: congestion on the way of one is congestion on
        // the way of all; what mixes ECN with none was tampered with.
        let ecn = self.ecn | 1 << piece.ecn;
        let ecn = match ecn {
            _ if ecn & NOT_ECT != 0 && ecn != NOT_ECT => {
                return Fate::Spoils(Reason::FragmentOverlap);
            }
            _ if ecn & CE != 0 => 3,
            NOT_ECT => 0,
            _ => packet::ecn(header),
        };
        let (before, behind) = self.pieces.split_at(place.min(self.pieces.len()));
        let payloads = || {
            before
                .iter()
                .map(|held| &*held.payload)
                .chain([payload])
                .chain(behind.iter().map(|held| &*held.payload))
        };
        let (largest, cutting) = self.largest_with(piece);
        let Some(whole) = packet::assemble(header, payloads(), cutting, ecn) else {
            return Fate::Spoils(Reason::BadLength);
        };
        let length = self.length_with(piece).unwrap_or_default();
        let cuts = Cuts {
            id: piece.id,
            header: whole.len() - length,
            sizes: payloads()
                .map(|payload| u16::try_from(payload.len()).unwrap_or(u16::MAX))
                .collect(),
            largest,
        };
        Fate::Completes(whole, cuts)
    }
}
