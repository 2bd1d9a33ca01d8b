//! What the kernel's own selftests of conntrack are about, as lists of packets
//! for the gateway of `gateway.toml`. Scenarios play them through the engine
//! alone; beside the kernel both have to do the same.

use spigate::expression::PacketExpression;

/// One packet, and what becomes of it and of its session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) packet: &'static str,
    /// The packet that an ICMP error quotes.
    quotes: &'static str,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Passes; then the session is in this state.
    Passes(&'static str),
    /// Is dropped; the session is as before.
    Dropped,
}

impl Step {
    /// The zone that it enters by, and its bytes.
    pub(crate) fn packet(&self) -> (String, Vec<u8>) {
        let mut text = self.packet.to_owned();
        if !self.quotes.is_empty() {
            let quoted = read(self.quotes).packet.build();
            let octets = quoted
                .iter()
                .take(28)
                .map(|octet| format!("\\x{octet:02x}"));
            text = format!("{text} payload '{}'", octets.collect::<String>());
        }
        let expression = read(&text);
        let bytes = expression.packet.build();
        (expression.zone.expect("a zone"), bytes)
    }
}

fn read(text: &str) -> PacketExpression {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

const fn passes(packet: &'static str, state: &'static str) -> Step {
    Step {
        packet,
        quotes: "",
        outcome: Outcome::Passes(state),
    }
}

const fn dropped(packet: &'static str) -> Step {
    Step {
        packet,
        quotes: "",
        outcome: Outcome::Dropped,
    }
}

const fn quoting(step: Step, quotes: &'static str) -> Step {
    Step { quotes, ..step }
}

const SYN: Step = passes(
    "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 syn seq 100",
    "syn-sent",
);
const SYN_ACK: Step = passes(
    "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 syn ack seq 500 ack-number 101",
    "syn-recv",
);
const ACK: Step = passes(
    "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 ack seq 101 ack-number 501",
    "established",
);

/// An acknowledgement was lost, and the sender went beyond the window as the
/// gateway knows it: what it sent passes, and so does its acknowledgement.
pub(crate) const ACK_LOSS_STALL: &[Step] = &[
    SYN,
    SYN_ACK,
    ACK,
    passes(
        "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 ack psh seq 64341 ack-number 501 length 1400",
        "established",
    ),
    passes(
        "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 ack psh seq 65741 ack-number 501 length 1400",
        "established",
    ),
    passes(
        "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 ack seq 501 ack-number 67141",
        "established",
    ),
    passes(
        "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 ack psh seq 67141 ack-number 501 length 1400",
        "established",
    ),
];

/// A reset in the window closes nothing; after the challenge the exact one does.
pub(crate) const INEXACT_RST: &[Step] = &[
    SYN,
    SYN_ACK,
    ACK,
    passes(
        "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 rst seq 600",
        "established",
    ),
    ACK,
    passes(
        "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 rst seq 501",
        "close",
    ),
];

/// Resets before what was acknowledged, and beyond the window, are invalid.
pub(crate) const RST_INVALID: &[Step] = &[
    SYN,
    SYN_ACK,
    ACK,
    dropped("wan tcp 198.51.100.9:80 > 203.0.113.2:51000 rst seq 500"),
    dropped("wan tcp 198.51.100.9:80 > 203.0.113.2:51000 rst seq 500000"),
    dropped("lan tcp 10.0.0.7:51000 > 198.51.100.9:80 rst seq 1"),
    passes(
        "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 ack psh seq 101 ack-number 501 length 9",
        "established",
    ),
    passes(
        "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 rst ack seq 501 ack-number 110",
        "close",
    ),
];

/// A server that still has an old connection challenges the SYN; the client's
/// reset clears the way.
pub(crate) const SYN_CHALLENGE_ACK: &[Step] = &[
    SYN,
    passes(
        "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 ack seq 7000 ack-number 9000000",
        "syn-sent",
    ),
    passes(
        "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 rst seq 9000000",
        "close",
    ),
    SYN,
    SYN_ACK,
    ACK,
];

/// A SYN/ACK of an old connection is reset by the client; the SYN comes again,
/// and the right answer to it opens.
pub(crate) const SYNACK_OLD: &[Step] = &[
    SYN,
    passes(
        "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 syn ack seq 900000 ack-number 42",
        "syn-recv",
    ),
    passes(
        "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 rst seq 42",
        "close",
    ),
    SYN,
    SYN_ACK,
    ACK,
];

/// Both ends have forgotten their connection, the gateway has not: the answer
/// to the new SYN is believed.
pub(crate) const SYNACK_REUSE: &[Step] = &[
    SYN,
    SYN_ACK,
    ACK,
    passes(
        "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 syn seq 7000000",
        "established",
    ),
    passes(
        "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 syn ack seq 8000000 ack-number 7000001",
        "syn-recv",
    ),
    passes(
        "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 ack seq 7000001 ack-number 8000001",
        "established",
    ),
];

/// A SYN that nobody answers, again and again, with the same number or another.
pub(crate) const TCP_UNREPLIED: &[Step] = &[
    SYN,
    SYN,
    passes(
        "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 syn seq 200000",
        "syn-sent",
    ),
    SYN,
];

/// Both ends send first, from and to the same ports: one session, and nobody's
/// port is changed.
pub(crate) const REVERSE_CLASH: &[Step] = &[
    passes(
        "lan udp 10.0.0.7:5000 > 198.51.100.9:5000 length 10",
        "unreplied",
    ),
    passes(
        "wan udp 198.51.100.9:5000 > 203.0.113.2:5000 length 10",
        "replied",
    ),
    passes(
        "lan udp 10.0.0.7:5000 > 198.51.100.9:5000 length 10",
        "replied",
    ),
];

/// An error from a router on the way belongs to the session that it quotes; one
/// that quotes what nobody sent does not.
pub(crate) const ICMP_RELATED: &[Step] = &[
    passes(
        "lan udp 10.0.0.7:5000 > 198.51.100.9:53 length 10",
        "unreplied",
    ),
    quoting(
        passes(
            "wan icmp 198.51.100.77 > 203.0.113.2 type 3 code 1 id 0 seq 0",
            "unreplied",
        ),
        "udp 203.0.113.2:5000 > 198.51.100.9:53 length 10",
    ),
    quoting(
        Step {
            outcome: Outcome::Dropped,
            ..passes(
                "wan icmp 198.51.100.77 > 203.0.113.2 type 3 code 1 id 0 seq 0",
                "",
            )
        },
        "udp 203.0.113.2:5001 > 198.51.100.9:53 length 10",
    ),
];

/// Several packets of one flow before its first answer: one session.
pub(crate) const UDP_CLASH: &[Step] = &[
    passes(
        "lan udp 10.0.0.7:5000 > 198.51.100.9:53 length 1",
        "unreplied",
    ),
    passes(
        "lan udp 10.0.0.7:5000 > 198.51.100.9:53 length 2",
        "unreplied",
    ),
    passes(
        "lan udp 10.0.0.7:5000 > 198.51.100.9:53 length 3",
        "unreplied",
    ),
    passes(
        "wan udp 198.51.100.9:53 > 203.0.113.2:5000 length 4",
        "replied",
    ),
];

/// All, by name.
pub(crate) const ALL: [(&str, &[Step]); 10] = [
    ("ACK-loss stall", ACK_LOSS_STALL),
    ("inexact RST", INEXACT_RST),
    ("RST invalid", RST_INVALID),
    ("SYN challenge ACK", SYN_CHALLENGE_ACK),
    ("old SYN/ACK", SYNACK_OLD),
    ("SYN/ACK reuse", SYNACK_REUSE),
    ("unreplied TCP", TCP_UNREPLIED),
    ("reverse clash", REVERSE_CLASH),
    ("ICMP related", ICMP_RELATED),
    ("UDP clash", UDP_CLASH),
];
