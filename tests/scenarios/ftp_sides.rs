//! FTP with translation on either side, on both, and on none: in each the data
//! session is announced where the other end can reach it, and gets there.

use spigate::engine::Reason;

use super::dialogue::Dialogue;
use super::lab::{DMZ, LAN, Lab, WAN};
use super::packets::tcp;
use super::wants::forward_to;

const NETWORKS: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = ["10.0.0.1", "2001:db8:10::1"] }
dmz = { tun = "dmz0", net = ["10.0.9.0/24", "2001:db8:9::/64"], address = ["10.0.9.1", "2001:db8:9::1"] }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = ["203.0.113.2", "2001:db8:ff::2"] }
[services]
ftp = { tcp = 21, alg = "ftp" }
[policy]
rules = [{ id = "ftp", service = "ftp", action = "allow" }]
"#;

/// One arrangement: who begins, at which address, and what of it each end sees.
struct Side {
    name: &'static str,
    nat: &'static str,
    client: (&'static str, &'static str),
    /// The client as the server knows it.
    client_seen: &'static str,
    /// The server as the client knows it, and where it is.
    server_seen: &'static str,
    server: (&'static str, &'static str),
}

const SIDES: [Side; 10] = [
    Side {
        name: "none",
        nat: "",
        client: (LAN, "10.0.0.7"),
        client_seen: "10.0.0.7",
        server_seen: "198.51.100.21",
        server: (WAN, "198.51.100.21"),
    },
    Side {
        name: "none, IPv6",
        nat: "",
        client: (LAN, "2001:db8:10::7"),
        client_seen: "2001:db8:10::7",
        server_seen: "2001:db8:5::21",
        server: (WAN, "2001:db8:5::21"),
    },
    Side {
        name: "the client behind masquerade",
        nat: r#"source = [{ id = "masq", from = ["lan", "dmz"], to = "wan", as = "masquerade" }]"#,
        client: (LAN, "10.0.0.7"),
        client_seen: "203.0.113.2",
        server_seen: "198.51.100.21",
        server: (WAN, "198.51.100.21"),
    },
    Side {
        name: "the client behind masquerade, IPv6",
        nat: r#"source = [{ id = "masq", from = ["lan", "dmz"], to = "wan", as = "masquerade" }]"#,
        client: (LAN, "2001:db8:10::7"),
        client_seen: "2001:db8:ff::2",
        server_seen: "2001:db8:5::21",
        server: (WAN, "2001:db8:5::21"),
    },
    Side {
        name: "the server behind a forward",
        nat: r#"forward = [{ id = "in", on = "wan", service = "ftp", to = "10.0.9.21" }]"#,
        client: (WAN, "198.51.100.9"),
        client_seen: "198.51.100.9",
        server_seen: "203.0.113.2",
        server: (DMZ, "10.0.9.21"),
    },
    Side {
        name: "the server behind a forward, IPv6",
        nat: r#"forward = [{ id = "in", on = "wan", service = "ftp", to = "2001:db8:9::21" }]"#,
        client: (WAN, "2001:db8:5::9"),
        client_seen: "2001:db8:5::9",
        server_seen: "2001:db8:ff::2",
        server: (DMZ, "2001:db8:9::21"),
    },
    Side {
        name: "one to one, from inside",
        nat: r#"static = [{ id = "fixed", on = "wan", inside = "10.0.0.7", outside = "203.0.113.7" }]"#,
        client: (LAN, "10.0.0.7"),
        client_seen: "203.0.113.7",
        server_seen: "198.51.100.21",
        server: (WAN, "198.51.100.21"),
    },
    Side {
        name: "one to one, from outside",
        nat: r#"static = [{ id = "fixed", on = "wan", inside = "10.0.9.21", outside = "203.0.113.21" }]"#,
        client: (WAN, "198.51.100.9"),
        client_seen: "198.51.100.9",
        server_seen: "203.0.113.21",
        server: (DMZ, "10.0.9.21"),
    },
    Side {
        name: "both",
        nat: r#"forward = [{ id = "in", on = "wan", service = "ftp", to = "10.0.9.21", as = "10.0.9.1" }]"#,
        client: (WAN, "198.51.100.9"),
        client_seen: "10.0.9.1",
        server_seen: "203.0.113.2",
        server: (DMZ, "10.0.9.21"),
    },
    Side {
        name: "hairpin",
        nat: r#"forward = [{ id = "in", on = "wan", service = "ftp", to = "10.0.9.21", hairpin = true }]"#,
        client: (LAN, "10.0.0.7"),
        client_seen: "203.0.113.2",
        server_seen: "203.0.113.2",
        server: (DMZ, "10.0.9.21"),
    },
];

fn at(address: &str, port: u16) -> String {
    match address.contains(':') {
        true => format!("[{address}]:{port}"),
        false => format!("{address}:{port}"),
    }
}

/// `PORT`, or `EPRT` where a number list cannot say it.
fn active(address: &str, port: u16, is_long: bool) -> String {
    let [high, low] = port.to_be_bytes();
    match (address.contains(':'), is_long) {
        (true, _) => format!("EPRT |2|{address}|{port}|\r\n"),
        (false, true) => format!("EPRT |1|{address}|{port}|\r\n"),
        (false, false) => format!("PORT {},{high},{low}\r\n", address.replace('.', ",")),
    }
}

fn passive(address: &str, port: u16, is_long: bool) -> String {
    let [high, low] = port.to_be_bytes();
    match is_long || address.contains(':') {
        true => format!("229 Extended (|||{port}|)\r\n"),
        false => format!("227 Mode ({},{high},{low})\r\n", address.replace('.', ",")),
    }
}

fn talk(side: &Side) -> (Lab, Dialogue) {
    let nat = match side.nat {
        "" => String::new(),
        rows => format!("[nat]\n{rows}\n"),
    };
    let mut lab = Lab::new(&format!("{NETWORKS}{nat}"));
    let (zone, client) = side.client;
    let ends = Dialogue::ftp(
        &mut lab,
        0.0,
        (zone, &at(client, 51000)),
        &at(side.server_seen, 21),
    );
    let (zone, server) = side.server;
    assert_eq!(ends.server.zone, zone, "{}", side.name);
    assert_eq!(ends.server.own, at(server, 21), "{}", side.name);
    assert!(
        ends.server
            .peer
            .starts_with(at(side.client_seen, 0).trim_end_matches('0'))
    );
    (lab, ends)
}

#[test]
fn an_active_data_session_reaches_the_client_on_every_side() {
    for side in &SIDES {
        for is_long in [false, true] {
            let (mut lab, mut ends) = talk(side);
            let heard = ends.announces(&mut lab, 1.0, &active(side.client.1, 51210, is_long));
            let named = active(side.client_seen, 51210, is_long);
            assert_eq!(heard, named, "{}", side.name);
            let from = at(side.server.1, 20);
            let syn = tcp(&from, &at(side.client_seen, 51210)).syn().seq(1);
            // The port from which it comes stays 20.
            let want = forward_to(side.client.0)
                .source(at(side.server_seen, 20))
                .destination(at(side.client.1, 51210))
                .ct("related")
                .because(Reason::Expected);
            let _ = lab.at(2.0).from(side.server.0).send(syn).expect(want);
            let answer = tcp(&at(side.client.1, 51210), &at(side.server_seen, 20));
            let want = forward_to(side.server.0)
                .source(at(side.client_seen, 51210))
                .destination(from);
            let answer = answer.syn().seq(9).ack(2);
            let _ = lab.at(2.0).from(side.client.0).send(answer).expect(want);
        }
    }
}

#[test]
fn a_passive_data_session_reaches_the_server_on_every_side() {
    for side in &SIDES {
        for is_long in [false, true] {
            let (mut lab, mut ends) = talk(side);
            ends.client_says(&mut lab, 1.0, if is_long { "EPSV\r\n" } else { "PASV\r\n" });
            let said = passive(side.server.1, 50_000, is_long);
            let heard = ends.server_says(&mut lab, 1.0, &said);
            assert_eq!(
                heard,
                passive(side.server_seen, 50_000, is_long),
                "{}",
                side.name
            );
            let from = at(side.client.1, 51001);
            let syn = tcp(&from, &at(side.server_seen, 50_000)).syn().seq(1);
            let want = forward_to(side.server.0)
                .source(at(side.client_seen, 51001))
                .destination(at(side.server.1, 50_000))
                .ct("related")
                .because(Reason::Expected);
            let _ = lab.at(2.0).from(side.client.0).send(syn).expect(want);
            let to = at(side.client_seen, 51001);
            let answer = tcp(&at(side.server.1, 50_000), &to).syn().seq(9).ack(2);
            let want = forward_to(side.client.0)
                .source(at(side.server_seen, 50_000))
                .destination(from);
            let _ = lab.at(2.0).from(side.server.0).send(answer).expect(want);
        }
    }
}

#[test]
fn t_ftp_coll__two_clients_with_one_port_get_two_public_ones() {
    let rules = format!("{NETWORKS}[nat]\n{}", SIDES[2].nat);
    let mut lab = Lab::new(&rules);
    let mut named = Vec::new();
    for host in [7, 8, 9] {
        let client = format!("10.0.0.{host}:51000");
        let mut ends = Dialogue::ftp(&mut lab, 0.0, (LAN, &client), "198.51.100.21:21");
        named.push(ends.announces(&mut lab, 1.0, &format!("PORT 10,0,0,{host},200,10\r\n")));
    }
    assert_eq!(named[0], "PORT 203,0,113,2,200,10\r\n");
    assert!(named[1] != named[0] && named[2] != named[0] && named[1] != named[2]);
    assert_eq!(lab.expected().len(), 3);
}
