//! Conversations of the protocols besides TCP, UDP and ICMP: SCTP, UDP-Lite,
//! GRE, IPsec and what has no name. A mix of its own, as raw packets.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use super::chance::Chance;
use super::compare::{Compared, Ours, both};
use super::packets::{at, checksum};
use super::router::{Router, Zone};
use super::{enter, table};

const RULES: &str = include_str!("others.toml");
const PACKETS: usize = 400;
const SEEDS: u64 = 30;
const GATEWAY: [u8; 4] = [203, 0, 113, 2];

const SCTP: u8 = 132;
const UDPLITE: u8 = 136;

/// A packet as it is sent, and for people.
#[derive(Debug, Clone)]
struct Sent {
    zone: Zone,
    bytes: Vec<u8>,
    told: String,
    /// An ICMP error that quotes only a part of an SCTP packet, or a wrong one,
    /// and its checksum with it.
    quotes_a_part: bool,
}

#[test]
fn other_protocols_go_as_the_kernel_lets_them_go() {
    let test = "others::other_protocols_go_as_the_kernel_lets_them_go";
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let compiled = spigate::config::compile(Path::new("others.toml"), RULES).unwrap();
        let exported = spigate::export::nftables(&compiled);
        assert_eq!(exported.missing, [""; 0]);
        let mut router = Router::new(&exported.text);
        let given = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
        let seeds = given("KERNEL_SEEDS").unwrap_or(SEEDS);
        let first = given("KERNEL_SEED").unwrap_or(1);
        let every_table = std::env::var_os("KERNEL_TABLES").is_some();
        let mut different = Vec::new();
        for seed in first..first + seeds {
            router.forget();
            different.extend(compare_one(&mut router, seed, every_table));
        }
        let (packets, count) = (seeds as usize * PACKETS, different.len());
        println!("{packets} packets of {seeds} seeds compared, {count} differences");
        assert!(different.is_empty(), "\n{}", different.join("\n"));
    });
}

fn compare_one(router: &mut Router, seed: u64, every_table: bool) -> Option<String> {
    let mut ours = Ours::new(RULES);
    let mut chance = Chance::new(seed);
    let mut talks: Vec<Talk> = (0..8).map(|n| Talk::new(n, &mut chance)).collect();
    let mut transcript: Vec<Sent> = Vec::new();
    for count in 1..=PACKETS {
        let which = chance.below(talks.len());
        let sent = talks[which].packet(&mut chance);
        let compared = both_lite(router, &mut ours, &sent);
        transcript.push(sent.clone());
        let same = agree(&compared, &sent);
        let tables = if every_table || !same || count == PACKETS {
            differences(router, &ours)
        } else {
            String::new()
        };
        if !same || !tables.is_empty() {
            let talk = talks[which].name();
            let about: Vec<_> = transcript.iter().map(|s| s.told.as_str()).collect();
            let shown: Vec<_> = about
                .into_iter()
                .filter(|told| count == PACKETS || told.starts_with(&talk))
                .collect();
            let from = shown.len().saturating_sub(if same { 400 } else { 30 });
            let lines = shown[from..].join("\n");
            let outcome = compared.shown();
            return Some(format!(
                "seed {seed}, packet {count}:\n{lines}\n{outcome}\n{tables}"
            ));
        }
    }
    None
}

/// To the kernel, the checksum of UDP-Lite names UDP as the protocol: see
/// `udplite-pseudo-header` in docs/kernel-parity.md. It gets such a one.
fn both_lite(router: &mut Router, ours: &mut Ours, sent: &Sent) -> Compared {
    let mut compared = both(router, ours, sent.zone, &sent.bytes);
    if sent.bytes[9] == UDPLITE {
        let as_udp = with_protocol(&sent.bytes, UDPLITE, 17);
        // The engine's answer stands; it refuses what the kernel wants.
        compared.kernel = router
            .send(sent.zone, &as_udp)
            .into_iter()
            .map(|(zone, bytes)| (zone, with_protocol(&bytes, 17, UDPLITE)))
            .collect();
    }
    compared
}

/// A UDP-Lite datagram whose checksum names another protocol.
fn with_protocol(bytes: &[u8], old: u8, new: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes[9] == UDPLITE {
        let sum = u16::from_be_bytes([bytes[26], bytes[27]]);
        if sum != 0 {
            // RFC 1624: HC' = ~(~HC + ~m + m').
            let words = [!sum, !u16::from(old), u16::from(new)].map(u16::to_be_bytes);
            let sum = match checksum(words.as_flattened()) {
                0 => 0xffff,
                sum => sum,
            };
            bytes[26..28].copy_from_slice(&sum.to_be_bytes());
        }
    }
    bytes
}

fn agree(compared: &Compared, sent: &Sent) -> bool {
    let normal = |all: &[(Zone, Vec<u8>)]| -> Vec<(Zone, Vec<u8>)> {
        let mut all = all.to_vec();
        for (_, bytes) in all.iter_mut().filter(|_| sent.quotes_a_part) {
            // `sctp-quoted-checksum`: and so the sum of the whole message.
            bytes[22..24].fill(0);
            bytes[56..60].fill(0);
        }
        all
    };
    normal(&compared.kernel) == normal(&compared.ours.packets)
}

fn differences(router: &Router, ours: &Ours) -> String {
    table::differences(&router.table(), &ours.table()).join("\n")
}

/// One end: what it sends to, as it sees the other.
#[derive(Debug, Clone)]
struct End {
    zone: Zone,
    own: SocketAddrV4,
    other: SocketAddrV4,
    /// What it has chosen to be addressed by (SCTP).
    tag: u32,
    sent: Vec<Sent>,
}

/// A conversation between two ends, through the gateway; the first begins.
#[derive(Debug)]
struct Talk {
    number: u16,
    protocol: u8,
    ends: [End; 2],
    /// How far an association is.
    step: u8,
    /// Who shuts it down.
    closer: usize,
    /// Whether its next packet may be wrong.
    may_go_wrong: bool,
}

impl Talk {
    fn new(number: u16, chance: &mut Chance) -> Self {
        let protocol = chance.of(&[SCTP, SCTP, SCTP, SCTP, UDPLITE, 47, 50, 51, 33, 253]);
        let has_ports = matches!(protocol, SCTP | UDPLITE);
        let port = |port: u16| if has_ports { port } else { 0 };
        let end = |zone, own, other, chance: &mut Chance| End {
            zone,
            own,
            other,
            tag: chance.number() | 1,
            sent: Vec::new(),
        };
        let client = port(20_000 + number);
        let ends = if chance.once_in(3) && has_ports {
            let outside = at([198, 51, 100, 9], client);
            [
                end(Zone::Wan, outside, at(GATEWAY, 8080), chance),
                end(Zone::Lan, at([10, 0, 0, 80], 80), outside, chance),
            ]
        } else {
            // Some clients share a server: without ports, one of them only.
            let host = u8::try_from(number % 3).unwrap();
            let server = at(
                [198, 51, 100, 10 + u8::try_from(number % 4).unwrap()],
                port(7000),
            );
            let inside = at([10, 0, 0, 7 + host], client);
            [
                end(Zone::Lan, inside, server, chance),
                end(Zone::Wan, server, at(GATEWAY, client), chance),
            ]
        };
        Self {
            number,
            protocol,
            ends,
            step: 0,
            closer: 0,
            may_go_wrong: false,
        }
    }

    fn name(&self) -> String {
        format!("  [{} proto-{}]", self.number, self.protocol)
    }

    fn packet(&mut self, chance: &mut Chance) -> Sent {
        // Nobody but the client begins with a server that a forward leads to:
        // ports that clash behind the masquerade are each gateway's own choice.
        let is_forwarded = self.ends[0].zone == Zone::Wan;
        self.may_go_wrong = !is_forwarded || !self.ends[0].sent.is_empty();
        let who = if self.may_go_wrong {
            chance.below(2)
        } else {
            0
        };
        if chance.once_in(12) && !self.ends[who].sent.is_empty() {
            let again = chance.below(self.ends[who].sent.len());
            return self.ends[who].sent[again].clone();
        }
        if self.may_go_wrong
            && chance.once_in(16)
            && let Some(error) = self.error(who, chance)
        {
            return error;
        }
        let (who, content, told) = match self.protocol {
            SCTP => self.sctp(who, chance),
            UDPLITE => {
                let (content, told) = self.udplite(who, chance);
                (who, content, told)
            }
            47 => (who, vec![0, 0, 8, 0, 0x45, 0, 1, 2, 3], "v0".to_owned()),
            _ => (who, vec![9; chance.of(&[0, 1, 20, 60])], String::new()),
        };
        let end = &mut self.ends[who];
        let bytes = ip(*end.own.ip(), *end.other.ip(), self.protocol, &content);
        let sent = Sent {
            zone: end.zone,
            told: format!(
                "  [{} proto-{}] {} {} > {} {told}",
                self.number,
                self.protocol,
                end.zone.name(),
                end.own,
                end.other
            ),
            bytes,
            quotes_a_part: false,
        };
        end.sent.push(sent.clone());
        sent
    }

    fn udplite(&self, who: usize, chance: &mut Chance) -> (Vec<u8>, String) {
        let (from, to) = (self.ends[who].own, self.ends[who].other);
        let payload: u16 = chance.of(&[0, 1, 20, 61]);
        let length = 8 + payload;
        // One in some is nonsense.
        let coverages = [0, 0, 8, length, length, 8 + payload / 2, 7, 1, length + 1];
        let coverage = match self.may_go_wrong {
            true => chance.of(&coverages),
            false => 0,
        };
        let mut content: Vec<u8> = [from.port(), to.port(), coverage, 0]
            .map(u16::to_be_bytes)
            .as_flattened()
            .to_vec();
        content.extend((0..payload).map(|n| n as u8));
        let covered = match usize::from(coverage) {
            0 => content.len(),
            some => some.min(content.len()),
        };
        let ends = [from.ip().octets(), to.ip().octets()].concat();
        let pseudo = [&ends[..], &[0, UDPLITE], &length.to_be_bytes()].concat();
        let mut sum = match checksum(&[&pseudo[..], &content[..covered]].concat()) {
            0 => 0xffff,
            sum => sum,
        };
        if self.may_go_wrong && chance.once_in(10) {
            sum = chance.of(&[0, sum ^ 0x0100]);
        }
        content[6..8].copy_from_slice(&sum.to_be_bytes());
        (
            content,
            format!("coverage {coverage} of {length} sum {sum:04x}"),
        )
    }

    /// The next packet of an association, or one that does not fit.
    fn sctp(&mut self, who: usize, chance: &mut Chance) -> (usize, Vec<u8>, String) {
        let (mut who, mut chunks): (usize, Vec<Chunk>) = match self.step {
            0 => (0, vec![Chunk::Init]),
            1 => (1, vec![Chunk::InitAck]),
            2 => (0, vec![Chunk::Of(10, 24)]),
            3 => (1, vec![Chunk::Of(11, 4)]),
            4 => {
                let usual = [0, 0, 0, 3, 3, 4, 5, 7, 6];
                let kind = usual[chance
                    .of(&[0, 1, 2, 3, 4, 5, 6, 7, 8])
                    .min(if chance.once_in(4) { 8 } else { 6 })];
                (who, vec![Chunk::Of(kind, 20)])
            }
            5 => (1 - self.closer, vec![Chunk::Of(8, 4)]),
            _ => (self.closer, vec![Chunk::Of(14, 4)]),
        };
        if matches!(self.step, 2..=4) && chance.once_in(4) {
            chunks.push(Chunk::Of(
                chance.of(&[0, 3, 192, 9]),
                chance.of(&[16, 21, 40]),
            ));
        }
        let mut tag = if self.step == 0 {
            0
        } else {
            self.ends[1 - who].tag
        };
        let mut flags = 0;
        let is_odd = self.may_go_wrong && chance.once_in(5);
        if is_odd {
            who = chance.below(2);
            let kinds = [0, 1, 2, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 11, 14, 15, 130, 193];
            chunks = (0..chance.of(&[0, 1, 1, 1, 1, 1, 2, 3]))
                .map(|_| match chance.of(&kinds) {
                    1 => Chunk::Init,
                    2 => Chunk::InitAck,
                    kind => Chunk::Of(kind, chance.of(&[4, 8, 21])),
                })
                .collect();
            // A packet that is refused for a later chunk has an effect on the
            // kernel: see `refused-bundle`.
            if chunks.len() > 1
                && chunks
                    .iter()
                    .any(|c| !matches!(c, Chunk::Of(0 | 3 | 15.., _)))
            {
                chunks.truncate(1);
            }
            let own = [self.ends[0].tag, self.ends[1].tag];
            tag = chance.of(&[0, own[0], own[1], own[1 - who], 12345]);
            flags = chance.of(&[0, 1]);
        } else {
            self.goes_on(who, &chunks, chance);
        }
        let end = &self.ends[who];
        let mut content = [end.own.port(), end.other.port()]
            .map(u16::to_be_bytes)
            .as_flattened()
            .to_vec();
        content.extend(tag.to_be_bytes());
        content.extend([0; 4]);
        for chunk in &chunks {
            chunk.write(
                flags,
                if is_odd && chance.once_in(2) {
                    777
                } else {
                    end.tag
                },
                &mut content,
            );
        }
        let mut told = format!("tag {tag} flags {flags} {chunks:?} end {}", end.tag);
        match chance.below(60) {
            _ if !self.may_go_wrong => {}
            0 => {
                told.push_str(" zero length");
                if let Some(length) = content.get_mut(14..16) {
                    length.fill(0);
                }
            }
            1 => {
                told.push_str(" trailer");
                content.extend([1, 2, 3]);
            }
            2 => {
                told.push_str(" short");
                content.truncate(chance.of(&[4, 8, 11]));
            }
            _ => {}
        }
        if content.len() >= 12 {
            let mut sum = crc32c::crc32c(&content);
            if self.may_go_wrong && chance.once_in(30) {
                told.push_str(" bad sum");
                sum ^= 0x0100;
            }
            content[8..12].copy_from_slice(&sum.to_le_bytes());
        }
        (who, content, told)
    }

    fn goes_on(&mut self, who: usize, chunks: &[Chunk], chance: &mut Chance) {
        self.step = match (self.step, &chunks[0]) {
            (4, Chunk::Of(7, _)) => {
                self.closer = who;
                5
            }
            (4, Chunk::Of(6, _)) | (6, _) => {
                for end in &mut self.ends {
                    end.tag = chance.number() | 1;
                }
                0
            }
            (4, _) => 4,
            (step, _) => step + 1,
        };
    }

    /// An ICMP error about what the other end sent last.
    fn error(&self, who: usize, chance: &mut Chance) -> Option<Sent> {
        let (me, other) = (&self.ends[who], &self.ends[1 - who]);
        let about = other.sent.last()?;
        let mut quote = ip(
            *me.other.ip(),
            *me.own.ip(),
            self.protocol,
            &about.bytes[20..],
        );
        quote[8] = 63;
        let sum_at = 10..12;
        quote[sum_at.clone()].fill(0);
        let sum = checksum(&quote[..20]);
        quote[sum_at].copy_from_slice(&sum.to_be_bytes());
        if matches!(self.protocol, SCTP | UDPLITE) && quote.len() >= 24 {
            let ports = [me.other.port(), me.own.port()].map(u16::to_be_bytes);
            let old: [u8; 4] = quote[20..24].try_into().unwrap();
            quote[20..24].copy_from_slice(ports.as_flattened());
            // As the translated packet has it.
            if self.protocol == SCTP && quote.len() >= 32 && old != *ports.as_flattened() {
                quote[28..32].fill(0);
                let sum = crc32c::crc32c(&quote[20..]).to_le_bytes();
                quote[28..32].copy_from_slice(&sum);
            }
        }
        let whole = quote.len();
        quote.truncate(chance.of(&[28, 28, 40, whole]));
        let mut content = vec![3, chance.of(&[1, 3, 13]), 0, 0, 0, 0, 0, 0];
        content.extend(&quote);
        let sum = checksum(&content);
        content[2..4].copy_from_slice(&sum.to_be_bytes());
        Some(Sent {
            zone: me.zone,
            bytes: ip(*me.own.ip(), *me.other.ip(), 1, &content),
            told: format!(
                "{} {} error about {} in {} of {whole}",
                self.name(),
                me.zone.name(),
                about.told.trim(),
                quote.len()
            ),
            quotes_a_part: self.protocol == SCTP
                && ((32..whole).contains(&quote.len()) || about.told.contains("bad sum"))
                && quote.len() >= 32,
        })
    }
}

#[derive(Debug, Clone)]
enum Chunk {
    Init,
    InitAck,
    /// Of this type, so long.
    Of(u8, u16),
}

impl Chunk {
    fn write(&self, flags: u8, initiate: u32, to: &mut Vec<u8>) {
        let (kind, length) = match self {
            Self::Init => (1, 20),
            Self::InitAck => (2, 20),
            Self::Of(kind, length) => (*kind, *length),
        };
        to.extend([kind, flags]);
        to.extend(length.to_be_bytes());
        let mut value = vec![0; usize::from(length).next_multiple_of(4) - 4];
        if length == 20 && matches!(kind, 1 | 2) {
            value[..4].copy_from_slice(&initiate.to_be_bytes());
        }
        to.extend(value);
    }
}

fn ip(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, content: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + content.len()).unwrap().to_be_bytes();
    let mut bytes = vec![
        0x45, 0, total[0], total[1], 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0,
    ];
    bytes.extend(from.octets());
    bytes.extend(to.octets());
    let sum = checksum(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(content);
    bytes
}
