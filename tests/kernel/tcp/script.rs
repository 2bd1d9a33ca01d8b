//! What a conversation is to be: who does what, in which order.

use super::super::chance::Chance;

/// Which conversations, and how often something is odd in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Whole lives, mostly as they should be.
    Lives,
    /// Openings of every kind.
    Openings,
    /// Closings, resets, and tuples that are used again.
    Closings,
    /// Anything at any time.
    Wild,
}

impl Mix {
    pub(crate) const ALL: [Self; 4] = [Self::Lives, Self::Openings, Self::Closings, Self::Wild];

    /// Something is odd once in so many packets, for each kind of oddity.
    pub(super) fn odd(self) -> usize {
        match self {
            Self::Lives => 24,
            Self::Openings | Self::Closings => 10,
            Self::Wild => 4,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) who: usize,
    pub(super) what: Do,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Do {
    Syn,
    /// With data (RFC 7413).
    SynWith(usize),
    /// A SYN so much further on: the tuple is used again.
    Anew(u32),
    SynAck,
    Ack,
    /// An ACK of a connection that is long gone.
    Stale,
    Data,
    KeepAlive,
    Urgent,
    Fin(usize),
    Rst,
    RstAck,
    /// As the answer to what the other end said.
    RstTo,
    /// As the answer to a SYN.
    Refusal,
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

/// A conversation's steps.
pub(super) fn script(mix: Mix, chance: &mut Chance) -> Vec<Step> {
    let mut steps = Vec::new();
    let lives = match mix {
        Mix::Lives => 1 + chance.below(2),
        Mix::Openings | Mix::Closings | Mix::Wild => 1 + chance.below(4),
    };
    for life in 0..lives {
        let first = match life {
            0 => Do::Syn,
            _ => Do::Anew(chance.of(&[1, 5, 70_000, 1_000_000, (1 << 31) - 10_009, (1 << 30) + 7])),
        };
        opening(&mut steps, first, mix, chance);
        let talk = match mix {
            Mix::Lives => 4 + chance.below(14),
            Mix::Openings => 1 + chance.below(3),
            Mix::Closings => chance.below(3),
            Mix::Wild => chance.below(8),
        };
        for _ in 0..talk {
            let what = [
                Do::Data,
                Do::Data,
                Do::Ack,
                Do::Ack,
                Do::KeepAlive,
                Do::Urgent,
            ];
            let who = chance.below(2);
            put(&mut steps, who, chance.of(&what));
            if chance.once_in(2) {
                put(&mut steps, 1 - who, Do::Ack);
            }
        }
        if mix != Mix::Openings || chance.once_in(2) {
            closing(&mut steps, chance);
        }
    }
    steps
}

fn put(steps: &mut Vec<Step>, who: usize, what: Do) {
    steps.push(Step { who, what });
}

fn opening(steps: &mut Vec<Step>, first: Do, mix: Mix, chance: &mut Chance) {
    let usual = match mix {
        Mix::Lives => 3,
        Mix::Closings | Mix::Wild => 2,
        Mix::Openings => 0,
    };
    let all: &[&[(usize, Do)]] = &[
        &[(CLIENT, first), (SERVER, Do::SynAck), (CLIENT, Do::Ack)],
        // Both at once (RFC 9293 section 3.5), with one SYN/ACK or two, or ACKs.
        &[
            (CLIENT, first),
            (SERVER, Do::Syn),
            (CLIENT, Do::SynAck),
            (SERVER, Do::SynAck),
            (CLIENT, Do::Ack),
        ],
        &[
            (CLIENT, first),
            (SERVER, Do::Syn),
            (SERVER, Do::SynAck),
            (CLIENT, Do::Ack),
        ],
        &[
            (CLIENT, first),
            (SERVER, Do::Syn),
            (CLIENT, Do::SynAck),
            (SERVER, Do::Ack),
        ],
        // Sent again, the same or further on.
        &[
            (CLIENT, first),
            (CLIENT, Do::Anew(0)),
            (SERVER, Do::SynAck),
            (SERVER, Do::SynAck),
            (CLIENT, Do::Ack),
        ],
        &[
            (CLIENT, first),
            (CLIENT, Do::Anew(1000)),
            (SERVER, Do::SynAck),
            (SERVER, Do::Anew(1000)),
            (SERVER, Do::SynAck),
            (CLIENT, Do::Ack),
        ],
        // A server that has an old connection challenges, and is reset.
        &[
            (CLIENT, first),
            (SERVER, Do::Stale),
            (CLIENT, Do::RstTo),
            (CLIENT, Do::Anew(0)),
            (SERVER, Do::SynAck),
            (CLIENT, Do::Ack),
        ],
        &[(CLIENT, first), (SERVER, Do::Refusal)],
        &[(CLIENT, first), (CLIENT, Do::Rst)],
        &[
            (CLIENT, Do::SynWith(300)),
            (SERVER, Do::SynAck),
            (CLIENT, Do::Ack),
        ],
        &[(CLIENT, first), (SERVER, Do::SynAck), (CLIENT, Do::RstTo)],
        // From the middle, or from the wrong end.
        &[(CLIENT, Do::Data), (SERVER, Do::Ack), (CLIENT, Do::Ack)],
        &[(CLIENT, first), (SERVER, Do::SynAck), (CLIENT, Do::Fin(0))],
        &[
            (CLIENT, first),
            (SERVER, Do::SynAck),
            (SERVER, Do::Data),
            (CLIENT, Do::Ack),
        ],
        &[
            (SERVER, Do::SynAck),
            (CLIENT, first),
            (SERVER, Do::SynAck),
            (CLIENT, Do::Ack),
        ],
    ];
    let which = match chance.below(usual + 1) {
        0 => chance.below(all.len()),
        _ => 0,
    };
    for (who, what) in all[which] {
        put(steps, *who, *what);
    }
}

fn closing(steps: &mut Vec<Step>, chance: &mut Chance) {
    let a = chance.below(2);
    let b = 1 - a;
    let fin = Do::Fin(chance.of(&[0, 0, 10]));
    let all: &[&[(usize, Do)]] = &[
        &[(a, fin), (b, Do::Ack), (b, fin), (a, Do::Ack)],
        &[(a, fin), (b, fin), (a, Do::Ack)],
        // Crossing.
        &[(a, fin), (b, Do::Fin(0)), (a, Do::Ack), (b, Do::Ack)],
        // Half closed, and much said after.
        &[
            (a, fin),
            (b, Do::Data),
            (a, Do::Ack),
            (b, Do::Data),
            (b, Do::Data),
            (a, Do::Ack),
            (b, fin),
            (a, Do::Ack),
        ],
        &[(a, Do::Rst)],
        &[(a, Do::RstAck)],
        &[(a, fin), (b, Do::RstAck), (b, Do::Data)],
        &[(a, Do::Data), (b, Do::RstTo), (a, Do::Data), (b, Do::RstTo)],
        // The last ACK is lost; a SYN meets the session in LAST_ACK, and is challenged.
        &[
            (a, fin),
            (b, Do::Ack),
            (b, fin),
            (b, Do::Fin(0)),
            (a, Do::Ack),
            (a, Do::Ack),
        ],
        &[
            (a, fin),
            (b, Do::Ack),
            (b, fin),
            (CLIENT, Do::Anew(100_000)),
            (SERVER, Do::Ack),
            (CLIENT, Do::RstTo),
        ],
        // The client lost its connection, and begins anew.
        &[
            (CLIENT, Do::Anew(100_000)),
            (SERVER, Do::Ack),
            (CLIENT, Do::RstTo),
        ],
        &[
            (CLIENT, Do::Anew(100_000)),
            (SERVER, Do::SynAck),
            (CLIENT, Do::Ack),
            (CLIENT, Do::Data),
        ],
        // The server's side uses the tuple again.
        &[
            (a, fin),
            (b, fin),
            (a, Do::Ack),
            (SERVER, Do::Anew(100_000)),
        ],
        &[],
    ];
    for (who, what) in chance.of(all) {
        put(steps, *who, *what);
    }
    if chance.once_in(3) {
        put(
            steps,
            chance.below(2),
            chance.of(&[Do::Ack, Do::Data, Do::Rst, Do::Fin(0), Do::SynAck]),
        );
    }
}
