//! Differences of these protocols shown on both sides: what
//! `docs/kernel-parity.md` says of the kernel is true of the kernel.

use super::super::compare::{Ours, both};
use super::super::enter;
use super::super::router::{Router, Zone};
use super::super::wire::{self, Ip};
use super::{RULES, kept, router, sctp};

const CLIENT: &str = "10.0.0.7";
const SERVER: &str = "198.51.100.9";
const PUBLIC: &str = "203.0.113.2";

/// Both gateways, begun anew.
struct Pair<'a> {
    router: &'a mut Router,
    ours: Ours,
}

/// A difference by its heading, and what shows it.
type Row = (&'static str, fn(&mut Pair<'_>));

const ROWS: [Row; 3] = [
    (kept::REFUSED_BUNDLE, |pair| {
        // A path that heartbeats opened, which the server answers with one of
        // its own and an error: those may not come now.
        let (clients, servers) = (7001, 9001);
        let heartbeat: &[u8] = &[4, 0, 0, 4];
        let error: &[u8] = &[9, 0, 0, 4];
        let sack: &[u8] = &[3, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let here = |tag, chunks: &[&[u8]]| association(CLIENT, SERVER, tag, chunks);
        let there = |tag, chunks: &[&[u8]]| association(SERVER, PUBLIC, tag, chunks);
        pair.both_forward(Zone::Lan, &here(servers, &[heartbeat]));
        pair.neither_forwards(Zone::Wan, &there(clients, &[heartbeat, error]));
        // The kernel has the tag of that heartbeat now.
        pair.only_the_kernel_forwards(Zone::Wan, &there(clients, &[sack]));
    }),
    ("gre-pptp", |pair| {
        // Version 1, with a key: the length of the payload, and the call.
        let call = |from: &str, to: &str, id: u8| {
            let header = [0x30, 0x01, 0x88, 0x0b, 0, 4, 0, id, 0, 0, 0, 1, 9, 9, 9, 9];
            Ip::new(at(from), at(to)).carrying((47, header.to_vec()))
        };
        pair.both_forward(Zone::Lan, &call(CLIENT, SERVER, 7));
        let [kernel, ours] = pair.tables();
        assert!(kernel[0].contains(":7 > "), "{kernel:?}");
        assert!(ours[0].contains(":0 > "), "{ours:?}");
        pair.only_the_engine_forwards(Zone::Wan, &call(SERVER, PUBLIC, 200));
        // Another client's call to the same server: not without its helper.
        pair.only_the_kernel_forwards(Zone::Lan, &call("10.0.0.8", SERVER, 9));
    }),
    ("ah-in-ipv6", |pair| {
        // A UDP datagram behind an authentication header of 24 octets.
        let (from, to) = ("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53");
        let (protocol, datagram) = wire::udp(from.parse().unwrap(), to.parse().unwrap(), &[7; 8]);
        let header = [&[protocol, 4][..], &[0; 22]].concat();
        let from = std::net::SocketAddr::ip(&from.parse().unwrap());
        let to = std::net::SocketAddr::ip(&to.parse().unwrap());
        let sent = Ip::new(from, to).carrying((51, [header, datagram].concat()));
        pair.both_forward_otherwise(Zone::Lan, &sent);
        let [kernel, ours] = pair.tables();
        assert!(kernel[0].starts_with("udp"), "{kernel:?}");
        assert!(!ours[0].starts_with("udp"), "{ours:?}");
    }),
];

#[test]
fn each_difference_of_other_protocols_is_as_it_is_written() {
    let test = "others::shown::each_difference_of_other_protocols_is_as_it_is_written";
    let page = include_str!("../../../docs/kernel-parity.md");
    for (heading, _) in ROWS {
        assert!(
            page.contains(&format!("\n| `{heading}` |")),
            "{heading} has no row"
        );
    }
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let mut router = router();
        for (heading, show) in ROWS {
            println!("{heading}");
            router.forget();
            show(&mut Pair {
                router: &mut router,
                ours: Ours::new(RULES),
            });
        }
    });
}

impl Pair<'_> {
    /// How much each forwards.
    fn send(&mut self, zone: Zone, bytes: &[u8]) -> [Vec<Vec<u8>>; 2] {
        let compared = both(self.router, &mut self.ours, zone, bytes);
        let left = |all: Vec<(Zone, Vec<u8>)>| {
            let forwarded = all.into_iter().filter(|(to, _)| *to != zone);
            forwarded.map(|(_, bytes)| bytes).collect()
        };
        [left(compared.kernel), left(compared.ours.packets)]
    }

    fn both_forward(&mut self, zone: Zone, bytes: &[u8]) {
        let [kernel, ours] = self.send(zone, bytes);
        assert_eq!(kernel, ours);
        assert_eq!(kernel.len(), 1);
    }

    fn both_forward_otherwise(&mut self, zone: Zone, bytes: &[u8]) {
        let [kernel, ours] = self.send(zone, bytes);
        assert_ne!(kernel, ours);
        assert_eq!([kernel.len(), ours.len()], [1, 1]);
    }

    fn neither_forwards(&mut self, zone: Zone, bytes: &[u8]) {
        let [kernel, ours] = self.send(zone, bytes);
        assert_eq!([kernel.len(), ours.len()], [0, 0]);
    }

    fn only_the_kernel_forwards(&mut self, zone: Zone, bytes: &[u8]) {
        let [kernel, ours] = self.send(zone, bytes);
        assert_eq!([kernel.len(), ours.len()], [1, 0]);
    }

    fn only_the_engine_forwards(&mut self, zone: Zone, bytes: &[u8]) {
        let [kernel, ours] = self.send(zone, bytes);
        assert_eq!([kernel.len(), ours.len()], [0, 1]);
    }

    fn tables(&self) -> [Vec<String>; 2] {
        [self.router.table(), self.ours.table()]
            .map(|table| table.iter().map(ToString::to_string).collect())
    }
}

fn at(address: &str) -> std::net::IpAddr {
    address.parse().unwrap()
}

fn association(from: &str, to: &str, tag: u32, chunks: &[&[u8]]) -> Vec<u8> {
    let mut content = Vec::new();
    content.extend([0x13, 0x88, 0x13, 0x88]);
    content.extend(tag.to_be_bytes());
    content.extend([0; 4]);
    content.extend(chunks.concat());
    sctp::sum(&mut content);
    Ip::new(at(from), at(to)).carrying((sctp::SCTP, content))
}
