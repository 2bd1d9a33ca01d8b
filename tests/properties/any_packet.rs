//! Packets of every kind that translation knows.

use proptest::prelude::*;
use proptest::sample::select;

use super::other_packets::{chunk, sctp, udplite};
use super::packets::{Packet, echo, echo_reply, tcp, udp};

/// The ends of a packet, of one family.
#[derive(Debug, Clone)]
pub(crate) struct Ends {
    pub(crate) source: String,
    pub(crate) destination: String,
}

/// What a packet carries, whoever sends it.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    kind: Kind,
    ttl: u8,
    data: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Kind {
    Tcp {
        seq: u32,
        ack: u32,
        options: Vec<u8>,
    },
    Udp {
        is_summed: bool,
    },
    /// With one chunk of data.
    Sctp {
        tag: u32,
    },
    /// Its checksum covers everything, or only the header and so much more.
    UdpLite {
        more: Option<u16>,
    },
    Echo,
    EchoReply,
}

impl Content {
    /// The packet of this content between these ends. Of an echo, the
    /// source's port is the identifier.
    pub(crate) fn between(&self, ends: &Ends) -> Packet {
        let Ends {
            source,
            destination,
        } = ends;
        let address = |end: &str| super::packets::endpoint(end).ip().to_string();
        let identifier = super::packets::endpoint(source).port();
        let (from, to) = (address(source), address(destination));
        let packet = match &self.kind {
            Kind::Tcp { seq, ack, options } => tcp(source, destination)
                .seq(*seq)
                .ack(*ack)
                .tcp_options(options),
            Kind::Udp { is_summed: true } => udp(source, destination),
            Kind::Udp { is_summed: false } => udp(source, destination).unsummed(),
            Kind::Sctp { tag } => {
                let data = chunk(0, 3, &self.data);
                return sctp(source, destination, *tag, &[data]).ttl(self.ttl);
            }
            Kind::UdpLite { more } => {
                let room = u16::try_from(self.data.len()).unwrap();
                let coverage = more.map_or(0, |more| 8 + more % (room + 1));
                return udplite(source, destination, coverage, &self.data).ttl(self.ttl);
            }
            Kind::Echo => echo(&from, &to, identifier),
            Kind::EchoReply => echo_reply(&from, &to, identifier),
        };
        packet.ttl(self.ttl).data(&self.data)
    }

    pub(crate) fn is_echo(&self) -> bool {
        matches!(self.kind, Kind::Echo | Kind::EchoReply)
    }

    /// Whether etherparse reads its ports.
    pub(crate) fn is_known_to_etherparse(&self) -> bool {
        matches!(self.kind, Kind::Tcp { .. } | Kind::Udp { .. })
    }

    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self.kind, Kind::Tcp { .. })
    }

    pub(crate) fn with_data(&self, data: &[u8]) -> Self {
        Self {
            data: data.to_vec(),
            ..self.clone()
        }
    }

    pub(crate) fn with_ttl(&self, ttl: u8) -> Self {
        Self {
            ttl,
            ..self.clone()
        }
    }

    pub(crate) fn with_numbers(&self, seq: u32, ack: u32) -> Self {
        let kind = match &self.kind {
            Kind::Tcp { options, .. } => Kind::Tcp {
                seq,
                ack,
                options: options.clone(),
            },
            other => other.clone(),
        };
        Self {
            kind,
            ..self.clone()
        }
    }

    pub(crate) fn numbers(&self) -> (u32, u32) {
        match self.kind {
            Kind::Tcp { seq, ack, .. } => (seq, ack),
            _ => (0, 0),
        }
    }
}

pub(crate) fn content() -> impl Strategy<Value = Content> {
    let options = select(vec![
        vec![],
        vec![2, 4, 5, 180],
        vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2],
        vec![3, 3, 7, 0],
    ]);
    let kind = prop_oneof![
        (any::<u32>(), any::<u32>(), options).prop_map(|(seq, ack, options)| Kind::Tcp {
            seq,
            ack,
            options
        }),
        any::<bool>().prop_map(|is_summed| Kind::Udp { is_summed }),
        any::<u32>().prop_map(|tag| Kind::Sctp { tag }),
        any::<Option<u16>>().prop_map(|more| Kind::UdpLite { more }),
        Just(Kind::Echo),
        Just(Kind::EchoReply),
    ];
    let data = proptest::collection::vec(any::<u8>(), 0..100);
    (kind, 2..=255u8, data).prop_map(|(kind, ttl, data)| Content { kind, ttl, data })
}

fn end_v4() -> impl Strategy<Value = String> {
    (any::<[u8; 4]>(), any::<u16>())
        .prop_map(|(octets, port)| format!("{}:{port}", std::net::Ipv4Addr::from(octets)))
}

fn end_v6() -> impl Strategy<Value = String> {
    (any::<[u8; 16]>(), any::<u16>())
        .prop_map(|(octets, port)| format!("[{}]:{port}", std::net::Ipv6Addr::from(octets)))
}

/// Two pairs of ends of one family.
pub(crate) fn two_pairs() -> impl Strategy<Value = (Ends, Ends)> {
    let pair = |ends: [String; 4]| {
        let [a, b, c, d] = ends;
        let ends = |source, destination| Ends {
            source,
            destination,
        };
        (ends(a, b), ends(c, d))
    };
    prop_oneof![
        [end_v4(), end_v4(), end_v4(), end_v4()].prop_map(pair),
        [end_v6(), end_v6(), end_v6(), end_v6()].prop_map(pair),
    ]
}
