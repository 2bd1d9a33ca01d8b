//! Each difference that is meant, shown on both sides: what
//! `docs/kernel-parity.md` says of the kernel is true of the kernel, and what
//! it says of the engine is true of the engine. The generators leave these
//! packets out, or the comparison knows them by name.

use std::net::SocketAddr;

use super::RULES;
use super::compare::{Both, Clock, Compared};
use super::enter;
use super::packets::{ACK, PSH, SYN};
use super::router::{Router, Zone};
use super::run::ruleset;
use super::step::Sent;
use super::wire::{self, Ip, piece, piece_of};

const CLIENT: &str = "10.0.0.7:20001";
const SERVER: &str = "198.51.100.3:53";
const PUBLIC: &str = "203.0.113.2:20001";
const CLIENT_V6: &str = "[2001:db8:20::7]:20001";
const SERVER_V6: &str = "[2001:db8:5::3]:53";

/// A difference by its heading, and what shows it.
type Row = (&'static str, fn(&mut Both<'_>));

const ROWS: [Row; 21] = [
    ("udp-length", |both| {
        let (protocol, mut bytes) = wire::udp(at(CLIENT), at(SERVER), &[7; 40]);
        bytes[4..6].copy_from_slice(&20u16.to_be_bytes());
        bytes[6..8].fill(0);
        let sum = wire::transport_sum(at(CLIENT).ip(), at(SERVER).ip(), protocol, &bytes);
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        only_the_kernel_forwards(both, &[lan(v4().carrying((protocol, bytes)))]);
    }),
    ("gateway-echo", |both| {
        let (from, to) = (at(SERVER).ip(), at(PUBLIC).ip());
        let ping = wire::icmp(from, to, (8, 0), [0x4e, 0x21, 0, 1], &[7; 8]);
        let compared = both.send(&wan(Ip::new(from, to).carrying(ping)));
        assert!(compared.agree() && compared.kernel.len() == 1);
        assert!(both.tables().is_empty(), "the comparison leaves it out");
        let [kernel, ours] = both.all_entries();
        assert_eq!((kernel, ours), (1, 0));
    }),
    ("expired", |both| {
        let question = wire::udp(at(CLIENT), at(SERVER), &[7; 8]);
        assert!(both.send(&lan(v4().carrying(question))).agree());
        let mut ip = Ip::new(at(SERVER).ip(), at(PUBLIC).ip());
        ip.ttl = 1;
        let answer = ip.carrying(wire::udp(at(SERVER), at(PUBLIC), &[7; 8]));
        let compared = both.send(&wan(answer));
        assert!(
            compared.agree() && compared.kernel.len() == 1,
            "both tell its sender"
        );
        let tables = both.tables().join("\n");
        assert!(
            tables.contains("kernel only") && tables.contains("- replied"),
            "{tables}"
        );
        assert!(tables.contains("- unreplied"), "{tables}");
    }),
    ("reject-quote", |both| {
        let to = SocketAddr::new(at(SERVER).ip(), 69);
        let question = wire::udp(at(CLIENT), to, &[7; 8]);
        let compared = both.send(&lan(v4().carrying(question)));
        let ttl = |all: &[(Zone, Vec<u8>)]| all[0].1[28 + 8];
        assert_eq!(ttl(&compared.kernel), 63);
        assert_eq!(ttl(&compared.ours.packets), 64);
    }),
    ("hidden-reset", |both| {
        let (from, to) = (at("198.51.100.2:40000"), at("10.0.0.7:22"));
        let syn = wire::tcp(from, to, (SYN, 1, 0), &[]);
        let compared = both.send(&wan(Ip::new(from.ip(), to.ip()).carrying(syn)));
        let source = |all: &[(Zone, Vec<u8>)]| wire::read(&all[0].1).unwrap().from;
        assert_eq!(source(&compared.kernel), to.ip());
        assert_eq!(source(&compared.ours.packets), at(PUBLIC).ip());
    }),
    ("options-of-errors", |both| {
        let mut ip = Ip::new(at(SERVER).ip(), at(PUBLIC).ip());
        ip.options = vec![7, 7, 8, 192, 0, 2, 1, 0];
        let stray = ip.carrying(wire::udp(at(SERVER), at(PUBLIC), &[7; 8]));
        let compared = both.send(&wan(stray));
        assert_eq!(compared.kernel[0].1[0], 0x47);
        assert_eq!(compared.ours.packets[0].1[0], 0x45);
    }),
    ("record-route", |both| {
        let mut ip = v4();
        ip.options = vec![7, 7, 4, 0, 0, 0, 0, 0];
        let question = ip.carrying(wire::udp(at(CLIENT), at(SERVER), &[7; 8]));
        let compared = both.send(&lan(question));
        assert_eq!(options(&compared.kernel), [7, 7, 8, 203, 0, 113, 2, 0]);
        assert_eq!(options(&compared.ours.packets), [7, 7, 4, 0, 0, 0, 0, 0]);
    }),
    ("behind-the-end", |both| {
        let mut ip = v4();
        ip.options = vec![1, 0, 7, 7];
        let question = ip.carrying(wire::udp(at(CLIENT), at(SERVER), &[7; 8]));
        let compared = both.send(&lan(question));
        assert_eq!(options(&compared.kernel), [1, 0, 0, 0]);
        assert_eq!(options(&compared.ours.packets), [1, 0, 7, 7]);
    }),
    ("short-quote", |both| {
        let question = v6().carrying(wire::udp(at(CLIENT_V6), at(SERVER_V6), &[7; 8]));
        assert!(both.send(&lan(question.clone())).agree());
        let (from, to) = (at(SERVER_V6).ip(), at(CLIENT_V6).ip());
        let error = wire::icmp(from, to, (1, 4), [0; 4], &question[..47]);
        only_the_kernel_forwards(both, &[wan(Ip::new(from, to).carrying(error))]);
    }),
    ("short-tcp-quote", |both| {
        let server = SocketAddr::new(at(SERVER).ip(), 443);
        let syn = |from, ttl| {
            let mut ip = Ip::new(SocketAddr::ip(&from), server.ip());
            ip.ttl = ttl;
            ip.carrying(wire::tcp(from, server, (SYN, 1, 0), &[]))
        };
        assert!(both.send(&lan(syn(at(CLIENT), 64))).agree());
        // All of the checksum, and not all of the header.
        let (quoted, to) = (syn(at(PUBLIC), 63), at(PUBLIC).ip());
        let error = wire::icmp(server.ip(), to, (3, 1), [0; 4], &quoted[..38]);
        let compared = both.send(&wan(Ip::new(server.ip(), to).carrying(error)));
        let sum = |all: &[(Zone, Vec<u8>)]| all[0].1[28 + 36..28 + 38].to_vec();
        assert_eq!(sum(&compared.kernel), quoted[36..38]);
        assert_eq!(sum(&compared.ours.packets), syn(at(CLIENT), 63)[36..38]);
    }),
    ("same-port-again", |both| {
        let other = SocketAddr::new(at(SERVER).ip(), 54);
        let second = SocketAddr::new([10, 0, 0, 8].into(), at(CLIENT).port());
        let left_from = |both: &mut Both<'_>, client: SocketAddr, server: SocketAddr| {
            let ip = Ip::new(client.ip(), server.ip());
            let compared = both.send(&lan(ip.carrying(wire::udp(client, server, &[7; 8]))));
            let port = |all: &[(Zone, Vec<u8>)]| u16::from_be_bytes([all[0].1[20], all[0].1[21]]);
            (port(&compared.kernel), port(&compared.ours.packets))
        };
        let own = second.port();
        assert_eq!(left_from(both, at(CLIENT), at(SERVER)), (own, own));
        let moved = left_from(both, second, at(SERVER));
        assert!(moved.0 != own && moved.1 != own, "{moved:?}");
        assert_eq!(left_from(both, second, other), (moved.0, own));
    }),
    ("eprt-address", |both| {
        let client: SocketAddr = at("[2001:db8:10::7]:20001");
        let server: SocketAddr = at("[2001:db8:5::21]:21");
        let public: SocketAddr = at("[2001:db8:ff::2]:20001");
        let from_client = |numbers, text: &str| {
            let segment = wire::tcp(client, server, numbers, text.as_bytes());
            lan(Ip::new(client.ip(), server.ip()).carrying(segment))
        };
        let answer = wire::tcp(server, public, (SYN | ACK, 500, 101), &[]);
        let answer = wan(Ip::new(server.ip(), public.ip()).carrying(answer));
        for sent in [
            from_client((SYN, 100, 0), ""),
            answer,
            from_client((ACK, 101, 501), ""),
            from_client((PSH | ACK, 101, 501), "NOOP\r\n"),
        ] {
            assert!(both.send(&sent).agree());
        }
        let compared = both.send(&from_client(
            (PSH | ACK, 107, 501),
            "EPRT |2|2001:db8:10::7|20002|\r\n",
        ));
        let text = |all: &[(Zone, Vec<u8>)]| String::from_utf8_lossy(&all[0].1[60..]).into_owned();
        assert_eq!(
            text(&compared.kernel),
            "EPRT |2|2001:0db8:00ff:0000:0000:0000:0000:0002|20002|\r\n"
        );
        assert_eq!(
            text(&compared.ours.packets),
            "EPRT |2|2001:db8:ff::2|20002|\r\n"
        );
    }),
    ("header-of-pieces", |both| {
        let mut ip = v4();
        ip.dont_fragment = true;
        ip.options = vec![0x5e, 4, 7, 7];
        let whole = ip.carrying(wire::udp(at(CLIENT), at(SERVER), &[7; 24]));
        let compared = all(
            both,
            &[part(&whole, 0, 16, true), part(&whole, 16, 32, false)],
        );
        let second = |all: &[(Zone, Vec<u8>)]| (all[1].1[0], all[1].1[6] & 0x40);
        assert_eq!(second(&compared.kernel), (0x46, 0));
        assert_eq!(second(&compared.ours.packets), (0x45, 0x40));
    }),
    ("atomic-fragment", |both| {
        let whole = v6().carrying(wire::udp(at(CLIENT_V6), at(SERVER_V6), &[7; 8]));
        let compared = all(both, &[part(&whole, 0, 16, false)]);
        assert_eq!(compared.kernel[0].1[6], 17);
        assert_eq!(compared.ours.packets[0].1[6], 44);
    }),
    ("tiny-pieces", |both| {
        let whole = v4().carrying(wire::tcp(at(CLIENT), at(SERVER), (SYN, 1, 0), &[]));
        only_the_kernel_forwards(
            both,
            &[part(&whole, 0, 8, true), part(&whole, 8, 20, false)],
        );
    }),
    ("repeats", |both| {
        let whole = question();
        let other = lan(piece_of(&whole, &[1; 8], 8, true, ID));
        let last = part(&whole, 32, 48, false);
        only_the_kernel_forwards(both, &[part(&whole, 0, 32, true), other, last]);
    }),
    ("repeats-of-two", |both| {
        let whole = question();
        let two = [part(&whole, 0, 16, true), part(&whole, 16, 32, true)];
        let both_of_them = part(&whole, 8, 24, true);
        let last = part(&whole, 32, 48, false);
        let [first, second] = two;
        only_the_kernel_forwards(both, &[first, second, both_of_them, last]);
    }),
    ("spoiled-for-good", |both| {
        let whole = question();
        let empty = lan(piece_of(&whole, &[], 16, true, ID));
        let pieces = [part(&whole, 0, 16, true), part(&whole, 16, 48, false)];
        let [first, last] = pieces;
        only_the_kernel_forwards(both, &[empty, first, last]);
    }),
    ("second-end", |both| {
        let whole = v6().carrying(wire::udp(at(CLIENT_V6), at(SERVER_V6), &[7; 40]));
        let first = part(&whole, 0, 16, true);
        let late = lan(piece_of(&whole, &[7; 8], 48, false, ID));
        let last = part(&whole, 16, 48, false);
        only_the_kernel_forwards(both, &[part(&whole, 16, 48, false), late, first, last]);
    }),
    ("misaligned-piece", |both| {
        let whole = question();
        let pieces = [part(&whole, 0, 20, true), part(&whole, 16, 48, false)];
        only_the_kernel_forwards(both, &pieces);
    }),
    ("piece-behind-the-end", |both| {
        let whole = question();
        let far = lan(piece_of(&whole, &[7; 16], 65_520, true, ID));
        let [first, last] = [part(&whole, 0, 16, true), part(&whole, 16, 48, false)];
        let compared = all(both, &[far, first, last]);
        assert!(compared.kernel.is_empty(), "{}", compared.shown());
        assert_eq!(compared.ours.packets.len(), 2, "{}", compared.shown());
    }),
];

#[test]
fn each_difference_is_as_it_is_written() {
    let test = "meant::each_difference_is_as_it_is_written";
    let page = include_str!("../../docs/kernel-parity.md");
    for (heading, _) in ROWS {
        assert!(
            page.contains(&format!("\n| `{heading}` |")),
            "{heading} has no row"
        );
    }
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let mut router = Router::new(&ruleset(RULES));
        for (number, (heading, show)) in ROWS.into_iter().enumerate() {
            println!("{heading} ({} of {})", number + 1, ROWS.len());
            show(&mut Both::new(&mut router, RULES, Clock::Even));
        }
    });
}

const ID: u32 = 0x4711;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn v4() -> Ip {
    Ip::new(at(CLIENT).ip(), at(SERVER).ip())
}

fn v6() -> Ip {
    Ip::new(at(CLIENT_V6).ip(), at(SERVER_V6).ip())
}

/// A datagram of 48 octets behind its header. Each row has another number, and
/// what one leaves in the kernel is for another port.
fn question() -> Vec<u8> {
    v4().carrying(wire::udp(at(CLIENT), at(SERVER), &[7; 40]))
}

fn lan(bytes: Vec<u8>) -> Sent {
    Sent::new(Zone::Lan, 20_001, bytes, "")
}

fn wan(bytes: Vec<u8>) -> Sent {
    Sent::new(Zone::Wan, 20_001, bytes, "")
}

fn part(whole: &[u8], start: usize, end: usize, more: bool) -> Sent {
    lan(piece(whole, (start, end), more, ID))
}

/// Sends all: what comes of the last.
fn all(both: &mut Both<'_>, sent: &[Sent]) -> Compared {
    sent.iter().map(|sent| both.send(sent)).last().unwrap()
}

/// With the last of these packets the kernel forwards something, the engine
/// nothing at all.
fn only_the_kernel_forwards(both: &mut Both<'_>, sent: &[Sent]) {
    let mut forwarded = [0, 0];
    for sent in sent {
        let compared = both.send(sent);
        forwarded[0] += compared.kernel.len();
        forwarded[1] += compared.ours.packets.len();
    }
    assert!(forwarded[0] > 0 && forwarded[1] == 0, "{forwarded:?}");
}

fn options(all: &[(Zone, Vec<u8>)]) -> &[u8] {
    let bytes = &all[0].1;
    &bytes[20..wire::header_length(bytes)]
}
