//! Entries of a session table, in words that both gateways can say.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use spigate::net::{Protocol, Tuple};
use spigate::session::{Heard, Session, State};

/// Addresses with their ports; for ICMP the identifier is the sender's port,
/// and the type is the receiver's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ends {
    pub(crate) source: (IpAddr, u16),
    pub(crate) destination: (IpAddr, u16),
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) protocol: String,
    /// Original and reply.
    pub(crate) tuples: [Ends; 2],
    state: String,
    heard: &'static str,
}

impl Entry {
    /// `tcp 6 119 SYN_SENT src=.. dst=.. sport=.. dport=.. [UNREPLIED] src=.. ..`
    pub(crate) fn of_kernel(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let all = |key: &str| {
            let values = words.iter().filter_map(|word| word.strip_prefix(key));
            values.collect::<Vec<_>>()
        };
        let heard = match (line.contains("[UNREPLIED]"), line.contains("[ASSURED]")) {
            (true, _) => "unreplied",
            (_, true) => "assured",
            _ => "replied",
        };
        let (sources, destinations) = (all("src="), all("dst="));
        let (one, other) = match words[0] {
            "icmp" | "icmpv6" => (all("id="), all("type=")),
            "gre" => (all("srckey=0x"), all("dstkey=0x")),
            // Shown without ports, as all entries are that have none.
            _ => (all("sport="), all("dport=")),
        };
        let radix = if words[0] == "gre" { 16 } else { 10 };
        let read = |port: &&str| u16::from_str_radix(port, radix).unwrap();
        let number = |all: &[&str], n: usize| all.get(n).map_or(0, read);
        let ends = |n: usize| Ends {
            source: (sources[n].parse().unwrap(), number(&one, n)),
            destination: (destinations[n].parse().unwrap(), number(&other, n)),
        };
        Self {
            protocol: Protocol(words[1].parse().unwrap()).to_string(),
            tuples: [ends(0), ends(1)],
            // Only some protocols have one.
            state: match words[3].contains('=') {
                true => "-".to_owned(),
                false => words[3].to_ascii_lowercase().replace('_', "-"),
            },
            heard,
        }
    }

    pub(crate) fn of_engine(session: &Session) -> Self {
        let ends = |tuple: &Tuple| {
            let (source, destination) = (tuple.source, tuple.destination);
            let other = match tuple.icmp_query() {
                Some(query) => query.message_type().into(),
                None => destination.port.0,
            };
            Ends {
                source: (source.address, source.port.0),
                destination: (destination.address, other),
            }
        };
        let tuples = &session.origin.tuples;
        let protocol = tuples.original.protocol;
        Self {
            protocol: protocol.to_string(),
            tuples: [ends(&tuples.original), ends(&tuples.reply)],
            state: match session.state() {
                State::Tcp(_) | State::Sctp(_) => session.state().name().to_owned(),
                State::Flow(_) => "-".to_owned(),
            },
            heard: match session.heard {
                Heard::OneEnd => "unreplied",
                // conntrack never calls a ping assured.
                Heard::Assured if !is_ping(protocol) => "assured",
                Heard::BothEnds | Heard::Assured => "replied",
            },
        }
    }

    /// Whether one of its ends has this port.
    pub(crate) fn is_of_port(&self, port: u16) -> bool {
        let has = |ends: &Ends| ends.source.1 == port || ends.destination.1 == port;
        port != 0 && self.tuples.iter().any(has)
    }

    /// Whether the other is the same, but for which ends were heard.
    pub(crate) fn differs_in_heard_alone(&self, other: &Self) -> bool {
        let of = |entry: &Self| {
            (
                entry.protocol.clone(),
                entry.tuples.clone(),
                entry.state.clone(),
            )
        };
        of(self) == of(other)
    }

    /// Whether it is a ping of the gateway itself, which is a session to the
    /// kernel: `gateway-echo` in `docs/kernel-parity.md`.
    pub(crate) fn is_gateways_own(&self, own: &[IpAddr]) -> bool {
        let [original, reply] = &self.tuples;
        let asked = original.destination.0;
        own.contains(&asked) && reply.source.0 == asked && self.protocol.starts_with("icmp")
    }
}

fn is_ping(protocol: Protocol) -> bool {
    protocol.is_icmp()
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((from, one), (to, other)) = (self.source, self.destination);
        write!(f, "{from}:{one} > {to}:{other}")
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            protocol,
            tuples: [original, reply],
            state,
            heard,
        } = self;
        write!(f, "{protocol} {original} | {reply} | {state} {heard}")
    }
}

/// What only one of the tables has.
pub(crate) fn differences(kernel: &BTreeSet<Entry>, engine: &BTreeSet<Entry>) -> Vec<String> {
    let only = |a: &BTreeSet<Entry>, b: &BTreeSet<Entry>, who: &str| {
        let lines = a.difference(b);
        lines
            .map(|entry| format!("    {who} only: {entry}"))
            .collect::<Vec<_>>()
    };
    [
        only(kernel, engine, "kernel"),
        only(engine, kernel, "engine"),
    ]
    .concat()
}
