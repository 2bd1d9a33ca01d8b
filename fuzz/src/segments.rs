//! An FTP control session whose segments are cut, lost, doubled and reordered.
//!
//! The first octet of the input chooses the gateway and how both ends send, the
//! next ones what they say; the others each decide what happens next: who sends
//! what, and which packet arrives where, or never. When the input is at its end,
//! all goes well from there on, and whatever was lost is repeated; as it does while
//! the client logs in.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use spigate::alg::stream::MAX_BEYOND;
use spigate::config;
use spigate::engine::{
    Arrival, Checksums, Engine, Extent, Gap, Meanwhile, Options, Output, Policy, Reason, Silent,
    Snapshot, Verdict,
};
use spigate::net::{SeqNumber, TcpFlags, Timestamp, ZoneId};
use spigate::packet::{Checksum, Headers, repair_checksums};

static OFFICE: LazyLock<Arc<Policy>> = LazyLock::new(|| {
    let text = include_str!("../../rules/office.toml");
    let compiled = config::compile(Path::new("office.toml"), text);
    Arc::new(compiled.expect("the rule file compiles").policy)
});

const OPTIONS: Options = Options {
    seed: 1,
    checksums: Checksums::Verify,
};

/// What a client says, and what its server answers.
const LINES: [(&[u8], &str); 12] = [
    (b"NOOP\r\n", "200 ok\r\n"),
    (b"PORT 10,0,0,7,200,10\r\n", "200 ok\r\n"),
    (
        b"PORT 10,0,0,7,200,11\r\nLIST\r\n",
        "200 ok\r\n150 here\r\n226 there\r\n",
    ),
    (b"port   10,0,0,7,200,12\r\n", "200 ok\r\n"),
    (b"EPRT |1|10.0.0.7|51213|\r\n", "200 ok\r\n"),
    (b"\xff\xf4\xff\xf2PORT 10,0,0,7,200,14\r\n", "200 ok\r\n"),
    (b"PORT 10,0,0,8,200,15\r\n", "500 no\r\n"),
    (b"PORT 10,0,0,7,200\r\nPORT 1\n\r\n", "500 no\r\n500 no\r\n"),
    (
        b"PASV\r\n",
        "227 Entering Passive Mode 1 (10,0,9,21,200,16).\r\n",
    ),
    (b"PASV\r\nNOOP\r\n", "227 =10,0,9,21,200,17\r\n200 ok\r\n"),
    (
        b"EPSV\r\n",
        "229 Entering Extended Passive Mode (|||51218|)\r\n",
    ),
    (
        b"HELP\r\n",
        "214-As in:\r\n227 (10,0,9,21,200,19)\r\n214 end\r\n",
    ),
];

/// How every session begins.
const LOGIN: [(&[u8], &str); 3] = [
    (b"", "220 hello\r\n"),
    (b"USER u\r\n", "331 and?\r\n"),
    (b"PASS p\r\n", "230 in\r\n"),
];

/// Whatever happens to the segments, both ends hear what they would have heard
/// without, and the same data sessions are expected.
pub fn run(data: &[u8]) {
    live(data, 0);
}

/// The same where the gateway ends before every so many packets, and goes on by what it wrote
/// down.
pub fn run_restarting(data: &[u8], every: usize) {
    live(data, every);
}

fn live(data: &[u8], restarts_every: usize) {
    let (setting, rounds, choices) = Setting::read(data);
    let mut quiet = World::new(&setting, &rounds, &[]);
    quiet.is_whole = true;
    quiet.live();
    let mut world = World::new(&setting, &rounds, choices);
    world.restarts_every = restarts_every;
    world.live();
    let [heard, expected] = [&world, &quiet].map(|world| (world.heard(), world.holes()));
    assert_eq!(heard, expected);
    if setting.is_masqueraded {
        let says = |text: &str| world.heard()[1].contains(text);
        assert!(!says("PORT 10,0,0,7,200,10"), "not rewritten");
    }
}

/// Who speaks with whom, and how.
#[derive(Clone, Copy)]
struct Setting {
    /// The client's address is translated; else the server's is.
    is_masqueraded: bool,
    /// Whether client and server follow Nagle's algorithm.
    nagle: [bool; 2],
    first: [u32; 2],
}

type Round = (&'static [u8], &'static str);

impl Setting {
    fn read(data: &[u8]) -> (Self, Vec<Round>, &[u8]) {
        let (flags, rest) = data.split_first().unwrap_or((&0, &[]));
        let has = |bit: u8| flags & 1 << bit != 0;
        let near_the_wrap = |bit| if has(bit) { u32::MAX - 70 } else { 1000 };
        let setting = Self {
            is_masqueraded: has(0),
            nagle: [has(1), has(2)],
            first: [near_the_wrap(3), near_the_wrap(4)],
        };
        let count = usize::from(flags >> 5).min(rest.len());
        let (rounds, choices) = rest.split_at(count);
        let round = |octet: &u8| LINES[usize::from(*octet) % LINES.len()];
        let rounds = LOGIN.into_iter().chain(rounds.iter().map(round)).collect();
        (setting, rounds, choices)
    }
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

/// One end of the connection.
struct End {
    zone: ZoneId,
    own: SocketAddrV4,
    peer: SocketAddrV4,
    /// The number of its first octet, and of its peer's, as it counts.
    first: [u32; 2],
    nagle: bool,
    said: Vec<u8>,
    sent: usize,
    acknowledged: usize,
    heard: BTreeMap<usize, u8>,
    /// How many octets it has heard without a gap.
    awaits: usize,
}

impl End {
    fn segment(&self, flags: TcpFlags, offset: usize, octets: &[u8]) -> Vec<u8> {
        let number = |first: u32, offset: usize| {
            first.wrapping_add(u32::try_from(offset).expect("streams are short"))
        };
        let seq = number(self.first[0], offset);
        let ack = number(self.first[1], self.awaits);
        let length = u16::try_from(40 + octets.len()).expect("segments are short");
        let mut bytes = vec![0x45, 0];
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 1, 0x40, 0, 64, 6, 0, 0]);
        bytes.extend(self.own.ip().octets());
        bytes.extend(self.peer.ip().octets());
        bytes.extend(self.own.port().to_be_bytes());
        bytes.extend(self.peer.port().to_be_bytes());
        bytes.extend(seq.to_be_bytes());
        bytes.extend(ack.to_be_bytes());
        bytes.extend([0x50, flags.0]);
        bytes.extend(64_000_u16.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend_from_slice(octets);
        let headers = Headers::read(&bytes, false).expect("it is a segment");
        repair_checksums(&mut bytes, &headers);
        bytes
    }

    fn data(&self, from: usize, to: usize) -> Vec<u8> {
        self.segment(TcpFlags(0x18), from, &self.said[from..to])
    }

    /// Sends at most so many octets that it has not sent.
    fn next(&mut self, most: usize) -> Option<Vec<u8>> {
        let waits = self.nagle && self.acknowledged < self.sent;
        let to = self.said.len().min(self.sent + most);
        if waits || to == self.sent {
            return None;
        }
        let segment = self.data(self.sent, to);
        self.sent = to;
        Some(segment)
    }

    /// Repeats at most so many octets that are not acknowledged.
    fn again(&self, most: usize) -> Option<Vec<u8>> {
        let to = self.sent.min(self.acknowledged + most);
        (to > self.acknowledged).then(|| self.data(self.acknowledged, to))
    }

    /// Takes a segment; gives its acknowledgement if there was something in it, or if
    /// it lies before what is awaited (RFC 9293 section 3.10.7.4: an unacceptable
    /// segment is answered), as one does whose octets the gateway has let through
    /// already.
    fn takes(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let headers = Headers::read(bytes, false).expect("what leaves can be read");
        assert_eq!(headers.verify_checksums(bytes), Ok(()));
        let tcp = headers.tcp().expect("nothing else is sent");
        let offset = |number: SeqNumber, first: u32| {
            number.since(SeqNumber(first)).try_into().unwrap_or(0_usize)
        };
        let acknowledged = offset(tcp.ack, self.first[0]);
        assert!(acknowledged <= self.sent, "it never sent that");
        self.acknowledged = self.acknowledged.max(acknowledged);
        let payload = &bytes[headers.payload_range()];
        let at = tcp.seq.since(SeqNumber(self.first[1]));
        let at = usize::try_from(at).expect("no segment is from before the stream");
        for (place, octet) in (at..).zip(payload) {
            let known = *self.heard.entry(place).or_insert(*octet);
            assert_eq!(known, *octet, "octet {place} has two values");
        }
        while self.heard.contains_key(&self.awaits) {
            self.awaits += 1;
        }
        (!payload.is_empty() || at < self.awaits)
            .then(|| self.segment(TcpFlags(0x10), self.sent, &[]))
    }

    fn text(&self) -> String {
        let octets = self.heard.range(..self.awaits).map(|(_, octet)| *octet);
        String::from_utf8_lossy(&octets.collect::<Vec<u8>>()).into_owned()
    }
}

struct World<'a> {
    engine: Engine,
    now: Timestamp,
    ends: [End; 2],
    /// Packets on their way: from each end, and to each end.
    out: [Vec<Vec<u8>>; 2],
    inward: [Vec<Vec<u8>>; 2],
    rounds: &'a [Round],
    /// How many lines of client and server are said.
    said: [usize; 2],
    choices: &'a [u8],
    /// Whether every segment is as long as it can be.
    is_whole: bool,
    /// How far the gateway has taken what each end sends, and how many segments
    /// have come from behind that.
    taken: [(usize, u8); 2],
    /// How many packets came.
    packets: usize,
    /// Before every so many of them the gateway ends, and begins again; nought: never.
    restarts_every: usize,
}

impl<'a> World<'a> {
    fn new(setting: &Setting, rounds: &'a [Round], choices: &'a [u8]) -> Self {
        let zone = |name: &str| OFFICE.zones.by_name(name).expect("an office has it");
        let at = |octets: [u8; 4], port| SocketAddrV4::new(Ipv4Addr::from(octets), port);
        let (lan, dmz, wan) = (zone("lan"), zone("dmz"), zone("wan"));
        let (client, server) = if setting.is_masqueraded {
            let far = at([198, 51, 100, 21], 21);
            let as_seen = at([203, 0, 113, 2], 51000);
            ((lan, at([10, 0, 0, 7], 51000), far), (wan, far, as_seen))
        } else {
            let far = at([198, 51, 100, 9], 51000);
            let as_seen = at([203, 0, 113, 2], 21);
            ((wan, far, as_seen), (dmz, at([10, 0, 9, 21], 21), far))
        };
        let [a, b] = setting.first;
        let end = |(zone, own, peer), first, nagle| End {
            zone,
            own,
            peer,
            first,
            nagle,
            said: Vec::new(),
            sent: 0,
            acknowledged: 0,
            heard: BTreeMap::new(),
            awaits: 0,
        };
        let now = Timestamp::from_secs(1);
        let mut world = Self {
            engine: Engine::new(Arc::clone(&OFFICE), OPTIONS, now),
            now,
            ends: [
                end(client, [a, b], setting.nagle[CLIENT]),
                end(server, [b, a], setting.nagle[SERVER]),
            ],
            out: Default::default(),
            inward: Default::default(),
            rounds,
            said: [0; 2],
            choices,
            is_whole: false,
            taken: [(0, 0); 2],
            packets: 0,
            restarts_every: 0,
        };
        // The numbers of both SYNs are one before those of the first octets.
        let mut syn = world.ends[CLIENT].segment(TcpFlags::SYN, 0, &[]);
        world.shake_hands(CLIENT, &mut syn, a);
        let mut syn = world.ends[SERVER].segment(TcpFlags(0x12), 0, &[]);
        world.shake_hands(SERVER, &mut syn, b);
        let ack = world.ends[CLIENT].segment(TcpFlags(0x10), 0, &[]);
        world.passes(CLIENT, ack);
        world
    }

    fn shake_hands(&mut self, from: usize, syn: &mut [u8], first: u32) {
        syn[24..28].copy_from_slice(&first.wrapping_sub(1).to_be_bytes());
        if from == CLIENT {
            syn[28..32].fill(0);
        }
        let headers = Headers::read(syn, false).expect("it is a segment");
        repair_checksums(syn, &headers);
        self.passes(from, syn.to_vec());
        assert_eq!(self.inward[1 - from].len(), 1, "the rules allow it");
        self.inward[1 - from].clear();
    }

    /// A packet arrives at the gateway.
    fn passes(&mut self, from: usize, packet: Vec<u8>) {
        self.now = self.now.after(Duration::from_millis(1));
        self.packets += 1;
        if self.restarts_every > 0 && self.packets.is_multiple_of(self.restarts_every) {
            let gap = Gap {
                time: Duration::ZERO,
                meanwhile: Meanwhile::Nothing,
            };
            let now = self.engine.now();
            let snapshot = Snapshot::new(self.engine.snapshot_parts(now));
            let known = (snapshot.expect("an engine has said so"), gap);
            let restored = Engine::restore(&OFFICE, OPTIONS, now, known);
            self.engine = restored.expect("an engine has said so").0;
        }
        let arrival = Arrival {
            zone: self.ends[from].zone,
            extent: Extent::Whole,
            checksum: Checksum::Complete,
            segments: None,
        };
        let foreseen = self.engine.explain(arrival, &packet, &mut Silent);
        if self.is_one_too_many(from, &packet, foreseen.reason) {
            return;
        }
        let (mut frame, mut out) = (packet, Output::default());
        let judgement = self
            .engine
            .packet(self.now, arrival, &mut frame, &mut out, &mut Silent);
        assert_eq!(foreseen.reason, judgement.reason);
        for made in out.made {
            let to = usize::from(made.zone == self.ends[SERVER].zone);
            self.inward[to].push(made.bytes);
        }
        if let Verdict::Forward(_) = judgement.verdict {
            self.inward[1 - from].push(frame);
            self.inward[1 - from].extend(out.more);
        }
    }

    /// Behind the same gap no more segments come than the gateway waits for; one
    /// more would be a sender that never repeats, and the gap would be passed over.
    fn is_one_too_many(&mut self, from: usize, packet: &[u8], reason: Reason) -> bool {
        let headers = Headers::read(packet, false).expect("it is a segment");
        let tcp = headers.tcp().expect("nothing else is sent");
        let at = tcp.seq.since(SeqNumber(self.ends[from].first[0]));
        let at = usize::try_from(at).unwrap_or(0);
        let (taken, beyond) = &mut self.taken[from];
        if at > *taken {
            let is_one_too_many = *beyond == MAX_BEYOND;
            assert!(tcp.payload == 0 || is_one_too_many || reason == Reason::AlgOutOfOrder);
            *beyond += u8::from(tcp.payload > 0 && !is_one_too_many);
            return is_one_too_many && tcp.payload > 0;
        }
        if at + tcp.payload > *taken {
            (*taken, *beyond) = (at + tcp.payload, 0);
        }
        false
    }

    /// A packet arrives at an end.
    fn arrives(&mut self, to: usize, packet: &[u8]) {
        let answer = self.ends[to].takes(packet);
        self.out[to].extend(answer);
    }

    /// Who has heard all that was said before says the next.
    fn speak(&mut self) {
        let [client, server] = &mut self.ends;
        let is_done = |end: &End, peer: &End| {
            end.acknowledged == end.said.len() && peer.sent == peer.said.len()
        };
        if self.said[CLIENT] == self.said[SERVER] {
            if let Some((line, _)) = self.rounds.get(self.said[CLIENT])
                && is_done(server, client)
            {
                client.said.extend_from_slice(line);
                self.said[CLIENT] += 1;
            }
        } else if is_done(client, server)
            && let Some((_, reply)) = self.rounds.get(self.said[SERVER])
        {
            server.said.extend_from_slice(reply.as_bytes());
            self.said[SERVER] += 1;
        }
    }

    fn live(&mut self) {
        while self.said[SERVER] < LOGIN.len() || !self.is_quiet() {
            self.speak();
            self.goes_well();
        }
        let mut choices = self.choices.iter();
        while let Some(choice) = choices.next() {
            self.speak();
            self.happens(*choice, usize::from(choices.next().copied().unwrap_or(0)));
        }
        let mut steps = 0;
        while !self.is_over() {
            self.speak();
            self.goes_well();
            steps += 1;
            assert!(steps < 20_000, "the dialogue stands still");
        }
    }

    /// One thing of many that may happen.
    fn happens(&mut self, choice: u8, how: usize) {
        let end = usize::from(choice & 1);
        let other = 1 - end;
        let take =
            |queue: &mut Vec<Vec<u8>>| (!queue.is_empty()).then(|| queue.remove(how % queue.len()));
        match choice >> 1 & 7 {
            0 | 1 => {
                let segment = self.ends[end].next(1 + how % 24);
                self.out[end].extend(segment);
            }
            2 => {
                let segment = self.ends[end].again(1 + how % 40);
                self.out[end].extend(segment);
            }
            // Lost before the gateway, or behind it.
            3 if choice & 0x40 == 0 => drop(take(&mut self.out[end])),
            3 => drop(take(&mut self.inward[end])),
            // Twice, and it may be overtaken by its like.
            4 => {
                let packet = self.out[end].get(how % self.out[end].len().max(1)).cloned();
                if let Some(packet) = packet {
                    self.passes(end, packet);
                }
            }
            5 | 6 => {
                if let Some(packet) = take(&mut self.out[end]) {
                    self.passes(end, packet);
                }
            }
            _ => {
                if let Some(packet) = take(&mut self.inward[other]) {
                    self.arrives(other, &packet);
                }
            }
        }
    }

    /// The next thing that happens on a good path.
    fn goes_well(&mut self) {
        for end in [CLIENT, SERVER] {
            if !self.inward[end].is_empty() {
                let packet = self.inward[end].remove(0);
                return self.arrives(end, &packet);
            }
            if !self.out[end].is_empty() {
                let packet = self.out[end].remove(0);
                return self.passes(end, packet);
            }
        }
        let most = if self.is_whole { usize::MAX >> 1 } else { 7 };
        let new = [CLIENT, SERVER].map(|end| self.ends[end].next(most));
        if new.iter().any(Option::is_some) {
            for (end, segment) in new.into_iter().enumerate() {
                self.out[end].extend(segment);
            }
            return;
        }
        // Silence: both repeat what is not acknowledged.
        for end in [CLIENT, SERVER] {
            let again = self.ends[end].again(20);
            self.out[end].extend(again);
        }
    }

    /// Whether all that was said is heard.
    fn is_quiet(&self) -> bool {
        let is_heard = |end: &End| end.acknowledged == end.said.len();
        self.ends.iter().all(is_heard)
    }

    fn is_over(&self) -> bool {
        self.said[SERVER] == self.rounds.len() && self.is_quiet()
    }

    /// What client and server have heard.
    fn heard(&self) -> [String; 2] {
        [CLIENT, SERVER].map(|end| self.ends[end].text())
    }

    /// The data sessions that are expected.
    fn holes(&self) -> Vec<String> {
        let all = self.engine.sessions().expectations().sorted();
        let line = |e: &spigate::session::Expectation| format!("{:?} = {}", e.tuple, e.to);
        all.iter().map(line).collect()
    }
}
