//! Sessions through a gateway, and packets of them as real ends send them: in
//! both directions, in random order of sessions and directions, each with new
//! data behind the last, acknowledging all that has arrived. Nothing is sent
//! twice, so that a tracker of windows has its work with every packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use spigate::engine::Verdict;

use super::gate::{Gate, PUBLIC, Side};
use super::packets::{self, ACK, Checksum, PSH, SYN, Transport};
use super::play::Stream;
use super::random::Random;

/// Which packets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// TCP over IPv4, masqueraded.
    Tcp,
    /// UDP over IPv4, masqueraded.
    Udp,
    /// TCP over IPv6, as it is.
    TcpV6,
}

/// Maximum segment size 1460, selective acknowledgements permitted, windows
/// scaled by 2^7, and the end of the options: with it a SYN has 64 octets.
const SYN_OPTIONS: [u8; 24] = {
    let mut options = [0; 24];
    let said = [2, 4, 5, 180, 4, 2, 3, 3, 7];
    let mut at = 0;
    while at < said.len() {
        options[at] = said[at];
        at += 1;
    }
    options
};

/// The network of the clients.
const INSIDE: u32 = 0x0a00_0000;

/// The first of those hosts outside that nobody inside talks to.
const STRANGERS: u32 = 0x6440_0000;

/// What both ends of a session will send next.
#[derive(Clone, Copy)]
struct Ends {
    client: u32,
    server: u32,
    /// The port that the client has outside.
    public: u16,
}

/// Who talks to whom through the gateway.
pub(crate) struct Traffic {
    kind: Kind,
    /// Octets of each packet.
    length: usize,
    checksum: Checksum,
    /// Sessions of one client.
    share: u32,
    /// Clients that are chosen by the bench.
    chosen: Vec<SocketAddr>,
    sessions: Vec<Ends>,
    random: Random,
    frame: Vec<u8>,
}

impl Traffic {
    pub(crate) fn new(kind: Kind, length: usize) -> Self {
        Self {
            kind,
            length,
            checksum: Checksum::Complete,
            share: 1,
            chosen: Vec::new(),
            sessions: Vec::new(),
            random: Random::from_seed(7),
            frame: Vec::new(),
        }
    }

    /// The same, with checksums left to the hardware.
    pub(crate) fn with_partial_checksums(self) -> Self {
        Self {
            checksum: Checksum::Partial,
            ..self
        }
    }

    /// The same, where each client has so many sessions.
    pub(crate) fn with_sessions_a_client(self, share: u32) -> Self {
        Self { share, ..self }
    }

    /// The same, where the sessions are those of these clients.
    pub(crate) fn with_clients(self, chosen: Vec<SocketAddr>) -> Self {
        Self { chosen, ..self }
    }

    /// What it needs for so many sessions it has from now on.
    pub(crate) fn make_room(&mut self, sessions: u32) {
        self.sessions.resize(
            sessions as usize,
            Ends {
                client: 1,
                server: 1,
                public: 1,
            },
        );
        self.sessions.clear();
    }

    /// So many more sessions begin: by a handshake of three packets, or by a
    /// request and its answer. `heard` learns what each direction arrives as
    /// and leaves as, over IPv4.
    pub(crate) fn establish(
        &mut self,
        gate: &mut Gate,
        count: u32,
        mut heard: impl FnMut([u8; 12], [u8; 12]),
    ) {
        let from = self.sessions.len() as u32;
        self.sessions.reserve_exact(count as usize);
        let mut frame = Vec::new();
        for n in from..from + count {
            let ends = Ends {
                client: self.random.next() as u32,
                server: self.random.next() as u32,
                public: 0,
            };
            self.sessions.push(ends);
            for (side, flags) in self.opening() {
                self.write(n, *side, *flags);
                frame.clone_from(&self.frame);
                let judged = gate.judged(*side, &mut frame);
                assert!(matches!(judged.verdict, Verdict::Forward(_)), "{judged:?}");
                if *side == Side::Inside {
                    self.sessions[n as usize].public = port_at(&frame, self.source_port_at());
                }
                if *flags != ACK && self.kind != Kind::TcpV6 {
                    heard(packets::tuple_of(&self.frame), packets::tuple_of(&frame));
                }
            }
        }
    }

    /// The packets that begin a session: of TCP a handshake.
    fn opening(&self) -> &'static [(Side, u8)] {
        match self.kind {
            Kind::Tcp | Kind::TcpV6 => &[
                (Side::Inside, SYN),
                (Side::Outside, SYN | ACK),
                (Side::Inside, ACK),
            ],
            Kind::Udp => &[(Side::Inside, 0), (Side::Outside, 0)],
        }
    }

    fn source_port_at(&self) -> usize {
        match self.kind {
            Kind::Tcp | Kind::Udp => 20,
            Kind::TcpV6 => 40,
        }
    }

    /// So many packets of established sessions are next.
    pub(crate) fn fill(&mut self, stream: &mut Stream, count: usize) {
        self.fill_from(stream, count, 0);
    }

    /// The same, of sessions from this one on.
    pub(crate) fn fill_from(&mut self, stream: &mut Stream, count: usize, first: u32) {
        stream.clear();
        for _ in 0..count {
            let n = first + self.random.below(self.sessions.len() as u32 - first);
            let side = match self.random.next() >> 63 {
                0 => Side::Inside,
                _ => Side::Outside,
            };
            self.write(n, side, PSH | ACK);
            stream.push(side, &self.frame);
        }
    }

    /// Packets of the clients alone, each of the session that `which` names.
    pub(crate) fn fill_by(
        &mut self,
        stream: &mut Stream,
        count: usize,
        mut which: impl FnMut(&mut Random) -> u32,
    ) {
        stream.clear();
        for _ in 0..count {
            let n = which(&mut self.random);
            self.write(n, Side::Inside, PSH | ACK);
            stream.push(Side::Inside, &self.frame);
        }
    }

    /// Packets of one session and no other.
    pub(crate) fn fill_from_one(&mut self, stream: &mut Stream, count: usize) {
        stream.clear();
        for packet in 0..count {
            let side = match packet % 2 {
                0 => Side::Inside,
                _ => Side::Outside,
            };
            self.write(0, side, PSH | ACK);
            stream.push(side, &self.frame);
        }
    }

    /// Packets of the clients alone: their windows are wide.
    pub(crate) fn fill_outward(&mut self, stream: &mut Stream, count: usize) {
        stream.clear();
        for _ in 0..count {
            let n = self.any_session();
            self.write(n, Side::Inside, PSH | ACK);
            stream.push(Side::Inside, &self.frame);
        }
    }

    /// Segments with numbers far from any that their receivers would take.
    pub(crate) fn fill_out_of_window(&mut self, stream: &mut Stream, count: usize) {
        stream.clear();
        for _ in 0..count {
            let n = self.any_session();
            self.write_again(n, |ends| {
                ends.client = ends.client.wrapping_add(0x4000_0000);
            });
            stream.push(Side::Inside, &self.frame);
        }
    }

    /// Packets whose payload was changed on their way.
    pub(crate) fn fill_damaged(&mut self, stream: &mut Stream, count: usize) {
        stream.clear();
        for _ in 0..count {
            let n = self.any_session();
            self.write_again(n, |_| {});
            let last = self.frame.last_mut().expect("a packet has octets");
            *last ^= 1;
            stream.push(Side::Inside, &self.frame);
        }
    }

    /// SYNs of strangers to clients inside.
    pub(crate) fn fill_unwanted(&mut self, stream: &mut Stream, count: usize) {
        stream.clear();
        for _ in 0..count {
            let n = self.any_session();
            let stranger = SocketAddr::new(self.kind.address(STRANGERS + n), 40_000);
            let syn = Transport::Tcp {
                flags: SYN,
                seq: self.random.next() as u32,
                ack: 0,
                options: &SYN_OPTIONS,
            };
            let sockets = (stranger, self.client(n));
            packets::write(&mut self.frame, sockets, syn, self.length, self.checksum);
            stream.push(Side::Outside, &self.frame);
        }
    }

    /// SYNs, or requests, of sessions that begin: those of so many clients.
    pub(crate) fn fill_beginning(&mut self, stream: &mut Stream, clients: Range<u32>) {
        stream.clear();
        for n in clients {
            let sockets = (self.client(n), self.kind.server(n));
            let transport = match self.kind {
                Kind::Udp => Transport::Udp,
                Kind::Tcp | Kind::TcpV6 => Transport::Tcp {
                    flags: SYN,
                    seq: self.random.next() as u32,
                    ack: 0,
                    options: &SYN_OPTIONS,
                },
            };
            packets::write(
                &mut self.frame,
                sockets,
                transport,
                self.length,
                self.checksum,
            );
            stream.push(Side::Inside, &self.frame);
        }
    }

    /// The client of a session.
    fn client(&self, n: u32) -> SocketAddr {
        if let Some(chosen) = self.chosen.get(n as usize) {
            return *chosen;
        }
        // Unlike in all sessions of a host.
        let port = 10_000 + (n.wrapping_mul(0x9e37_79b1) >> 21 << 4) + n % 16;
        let address = self.kind.address(INSIDE + 1 + n / self.share);
        SocketAddr::new(address, port as u16)
    }

    fn any_session(&mut self) -> u32 {
        self.random.below(self.sessions.len() as u32)
    }

    /// Writes a client's next packet after a change, and takes both back.
    fn write_again(&mut self, n: u32, change: impl FnOnce(&mut Ends)) {
        let before = self.sessions[n as usize];
        change(&mut self.sessions[n as usize]);
        self.write(n, Side::Inside, PSH | ACK);
        self.sessions[n as usize] = before;
    }

    /// Writes the next packet of a session from this side.
    fn write(&mut self, n: u32, side: Side, flags: u8) {
        let (client, server) = (self.client(n), self.kind.server(n));
        let ends = &mut self.sessions[n as usize];
        let public = match self.kind {
            Kind::Tcp | Kind::Udp => SocketAddr::from((PUBLIC, ends.public)),
            Kind::TcpV6 => client,
        };
        let (sockets, seq, ack) = match side {
            Side::Inside => ((client, server), &mut ends.client, ends.server),
            Side::Outside => ((server, public), &mut ends.server, ends.client),
        };
        let options = if flags & SYN != 0 {
            SYN_OPTIONS.as_slice()
        } else {
            &[]
        };
        let transport = match self.kind {
            Kind::Udp => Transport::Udp,
            Kind::Tcp | Kind::TcpV6 => Transport::Tcp {
                flags,
                seq: *seq,
                ack: if flags & ACK != 0 { ack } else { 0 },
                options,
            },
        };
        let headers = self.kind.headers() + options.len();
        let length = if flags & PSH != 0 || self.kind == Kind::Udp {
            self.length
        } else {
            headers
        };
        packets::write(&mut self.frame, sockets, transport, length, self.checksum);
        let syn = u32::from(flags & SYN != 0);
        *seq = seq.wrapping_add((length - headers) as u32 + syn);
    }
}

impl Kind {
    /// Octets of the headers without options.
    fn headers(self) -> usize {
        match self {
            Self::Tcp => 40,
            Self::Udp => 28,
            Self::TcpV6 => 60,
        }
    }

    /// Its server: another for each 250 clients, so that there are public ports
    /// for all.
    pub(crate) fn server(self, n: u32) -> SocketAddr {
        SocketAddr::new(self.address(0xc633_0001 + n / 250), 443)
    }

    /// An address of ten's net or of another, or of its counterpart in IPv6.
    fn address(self, bits: u32) -> IpAddr {
        match self {
            Self::Tcp | Self::Udp => Ipv4Addr::from_bits(bits).into(),
            Self::TcpV6 => {
                let net = if bits >> 24 == 10 { 0x10 } else { 0x20 };
                let [a, b] = [(bits >> 16) as u16, bits as u16];
                Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, a, b).into()
            }
        }
    }
}

fn port_at(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}
