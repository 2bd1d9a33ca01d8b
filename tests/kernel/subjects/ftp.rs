//! FTP: control sessions out through masquerade, through no translation, and
//! in through a forward; every line whole in a segment of its own, as both
//! read it (`docs/kernel-parity.md` says what of the kernel's helper is not
//! copied); and the data sessions that they announce.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::chance::Chance;
use super::super::packets::{ACK, FIN, PSH, SYN};
use super::super::router::Zone;
use super::super::step::{Sent, Step};
use super::super::wire::{self, Ip};

const PACKETS: usize = 400;

pub(crate) fn script(_: u64, chance: &mut Chance) -> Vec<Step> {
    let mut talks: Vec<Talk> = Vec::new();
    let (mut steps, mut number) = (Vec::new(), 0);
    while steps.len() < PACKETS {
        talks.retain(|talk| !talk.queue.is_empty());
        if talks.len() < 3 {
            talks.push(Talk::new(number, chance));
            number += 1;
        }
        let which = chance.below(talks.len());
        steps.extend(talks[which].queue.pop_front());
    }
    steps
}

/// One end of a TCP session: what it has sent, and what the gateway has added.
#[derive(Debug, Clone, Copy)]
struct End {
    zone: Zone,
    /// As it knows itself, and as the other knows it.
    own: SocketAddr,
    seen: SocketAddr,
    next: u32,
    added: u32,
}

/// A TCP session between two ends.
#[derive(Debug, Clone, Copy)]
struct Stream {
    ends: [End; 2],
    talk: u16,
}

impl Stream {
    fn new(
        client: (Zone, SocketAddr, SocketAddr),
        server: (SocketAddr, SocketAddr),
        talk: u16,
    ) -> Self {
        let other = match client.0 {
            Zone::Lan => Zone::Wan,
            Zone::Wan => Zone::Lan,
        };
        let end = |zone, own, seen, next| End {
            zone,
            own,
            seen,
            next,
            added: 0,
        };
        Self {
            ends: [
                end(client.0, client.1, client.2, 1000),
                end(other, server.0, server.1, 70_000),
            ],
            talk,
        }
    }

    /// A segment of one end; `leaves` is what the other gets of its text.
    fn segment(&mut self, who: usize, flags: u8, text: &str, leaves: &str) -> Step {
        let (own, other) = (self.ends[who], self.ends[1 - who]);
        let ack = match flags & ACK {
            0 => 0,
            _ => other.next.wrapping_add(other.added),
        };
        let numbers = (flags, own.next, ack);
        let transport = wire::tcp(own.own, other.seen, numbers, text.as_bytes());
        let bytes = Ip::new(own.own.ip(), other.seen.ip()).carrying(transport);
        let length = |text: &str| u32::try_from(text.len()).unwrap();
        let end = &mut self.ends[who];
        end.next += length(text) + u32::from(flags & (SYN | FIN) != 0);
        end.added = end
            .added
            .wrapping_add(length(leaves).wrapping_sub(length(text)));
        let told = format!("{} > {} flags {flags} {text:?}", own.own, other.seen);
        Sent::new(own.zone, self.talk, bytes, told).into()
    }

    fn open(&mut self) -> [Step; 3] {
        [
            self.segment(0, SYN, "", ""),
            self.segment(1, SYN | ACK, "", ""),
            self.segment(0, ACK, "", ""),
        ]
    }

    /// A stranger who tries the door before the one that it is for.
    fn intruder(&self) -> Step {
        let [mut stranger, server] = self.ends;
        stranger
            .own
            .set_ip(match (stranger.zone, stranger.own.ip()) {
                (Zone::Lan, IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::new(10, 0, 0, 99)),
                (Zone::Wan, IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::new(198, 51, 100, 99)),
                (Zone::Lan, _) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, 99)),
                (Zone::Wan, _) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 99)),
            });
        // From inside a port of its own: nobody's has to give way.
        if stranger.zone == Zone::Lan {
            stranger.own.set_port(stranger.own.port() + 30_000);
        }
        let mut other = Self {
            ends: [stranger, server],
            talk: self.talk,
        };
        other.segment(0, SYN, "", "")
    }

    /// A line, and its acknowledgement.
    fn line(&mut self, who: usize, text: &str, leaves: &str) -> [Step; 2] {
        [
            self.segment(who, PSH | ACK, text, leaves),
            self.segment(1 - who, ACK, "", ""),
        ]
    }
}

/// Where a control session goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From inside, translated.
    Out(Family),
    /// From inside, as it is.
    Routed,
    /// To a server inside, which the outside knows by the gateway's address.
    In,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

/// A control session with all that comes of it.
struct Talk {
    queue: VecDeque<Step>,
}

impl Talk {
    fn new(number: u16, chance: &mut Chance) -> Self {
        let way = chance.of(&[
            Way::Out(Family::V4),
            Way::Out(Family::V6),
            Way::Routed,
            Way::In,
        ]);
        let port = 20_000 + number * 20;
        let v4 = |octets: [u8; 4]| IpAddr::V4(Ipv4Addr::from(octets));
        let v6 = |net, host| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host));
        let gateway = v4([203, 0, 113, 2]);
        let low = u8::try_from(7 + number).unwrap();
        // As itself, and as the other side knows it.
        let (zone, client, server) = match way {
            Way::Out(Family::V4) => {
                let server = v4([198, 51, 100, 21]);
                (Zone::Lan, [v4([10, 0, 0, low]), gateway], [server, server])
            }
            Way::Out(Family::V6) => {
                let client = [v6(0x10, u16::from(low)), v6(0xff, 2)];
                (Zone::Lan, client, [v6(5, 0x21), v6(5, 0x21)])
            }
            Way::Routed => {
                let client = v6(0x20, u16::from(low));
                (Zone::Lan, [client, client], [v6(5, 0x21), v6(5, 0x21)])
            }
            Way::In => {
                let client = v4([198, 51, 100, 100 + low]);
                (Zone::Wan, [client, client], [v4([10, 0, 0, 21]), gateway])
            }
        };
        let mut queue = VecDeque::new();
        let ends = |hosts: [IpAddr; 2], port| hosts.map(|host| SocketAddr::new(host, port));
        let [own, seen] = ends(client, port);
        let [server_own, server_seen] = ends(server, 21);
        let mut control = Stream::new((zone, own, seen), (server_own, server_seen), port);
        queue.extend(control.open());
        for (who, text) in [
            (1, "220 ready\r\n"),
            (0, "USER anonymous\r\n"),
            (1, "331 password, please\r\n"),
            (0, "PASS guest\r\n"),
            (1, "230 welcome\r\n"),
        ] {
            queue.extend(control.line(who, text, text));
        }
        for n in 1..=1 + chance.below(3) {
            let data = port + u16::try_from(n).unwrap();
            let is_v4 = own.is_ipv4();
            // A translated EPRT of IPv6: see `eprt-address`.
            let active = way != Way::Out(Family::V6) && chance.once_in(2);
            let (announcer, who) = if active { (client, 0) } else { (server, 1) };
            let texts = announcer.map(|host| announcement(active, is_v4, is_long(n), host, data));
            if !active {
                let asks = if is_v4 && !is_long(n) {
                    "PASV\r\n"
                } else {
                    "EPSV\r\n"
                };
                queue.extend(control.line(0, asks, asks));
            }
            queue.extend(control.line(who, &texts[0], &texts[1]));
            if active {
                queue.extend(control.line(1, "200 fine\r\n", "200 fine\r\n"));
            }
            let ([client_own, client_seen], [server_own, server_seen], from) = match active {
                // The server connects.
                true => (ends(server, 20), ends(client, data), other(zone)),
                false => (ends(client, data + 10), ends(server, data), zone),
            };
            let mut stream = Stream::new(
                (from, client_own, client_seen),
                (server_own, server_seen),
                port,
            );
            if chance.once_in(3) {
                queue.push_back(stream.intruder());
            }
            queue.extend(stream.open());
            queue.extend(stream.line(chance.below(2), "some octets", "some octets"));
            queue.push_back(stream.segment(0, FIN | ACK, "", ""));
            queue.push_back(stream.segment(1, FIN | ACK, "", ""));
            queue.push_back(stream.segment(0, ACK, "", ""));
            queue.extend(control.line(1, "226 done\r\n", "226 done\r\n"));
        }
        for who in [0, 1] {
            queue.push_back(control.segment(who, FIN | ACK, "", ""));
        }
        queue.push_back(control.segment(0, ACK, "", ""));
        Self { queue }
    }
}

/// Every other announcement is in the long form.
fn is_long(n: usize) -> bool {
    n.is_multiple_of(2)
}

fn other(zone: Zone) -> Zone {
    match zone {
        Zone::Lan => Zone::Wan,
        Zone::Wan => Zone::Lan,
    }
}

/// The line that announces this endpoint.
fn announcement(active: bool, is_v4: bool, is_long: bool, host: IpAddr, port: u16) -> String {
    let [high, low] = port.to_be_bytes();
    let list = format!("{},{high},{low}", host.to_string().replace('.', ","));
    match (active, is_v4, is_long) {
        (true, true, false) => format!("PORT {list}\r\n"),
        (true, true, true) => format!("EPRT |1|{host}|{port}|\r\n"),
        (true, false, _) => format!("EPRT |2|{host}|{port}|\r\n"),
        (false, true, false) => format!("227 Entering Passive Mode ({list})\r\n"),
        (false, _, _) => format!("229 Entering Extended Passive Mode (|||{port}|)\r\n"),
    }
}
