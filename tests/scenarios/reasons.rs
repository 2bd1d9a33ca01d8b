//! Every reason is reached by a packet. A new reason does not compile here
//! until it has a scenario, or a word why it can have none.

use spigate::engine::{Intake, Judgement, Reason};

use super::dialogue::Dialogue;
use super::lab::{LAN, Lab, WAN};
use super::other_packets::{data, heartbeat, sctp, shutdown_ack};
use super::packets::{Packet, echo, icmp, protocol, resummed, tcp, udp};
use super::policies::{OFFICE, by_lines};

const CLIENT: &str = "10.0.0.7:51000";
const SERVER: &str = "198.51.100.21:21";
/// The client as its server sees it.
const OUTSIDE: &str = "203.0.113.2:51000";

/// How a reason is reached.
enum Reached {
    By(Judgement),
    /// By nothing that a scenario could do: why.
    Not(&'static str),
}

fn office() -> Lab {
    Lab::new(OFFICE)
}

fn from_lan(packet: Packet) -> Reached {
    Reached::By(office().at(0.0).from(LAN).send(packet).judgement)
}

fn raw(bytes: Vec<u8>) -> Reached {
    Reached::By(office().at(0.0).from(LAN).send(bytes).judgement)
}

/// The last of several packets as octets.
fn raws(packets: &[Vec<u8>]) -> Reached {
    let mut lab = office();
    let send = |bytes: &Vec<u8>| lab.at(0.0).from(LAN).send(bytes.clone()).judgement;
    Reached::By(packets.iter().map(send).last().unwrap())
}

/// A piece of an IPv4 packet: not the last, so many octets from there on.
fn piece(packet: &Packet, offset: usize, octets: usize) -> Vec<u8> {
    let bytes = packet.bytes();
    let mut piece = bytes[..20].to_vec();
    piece.extend_from_slice(&bytes[20 + offset..20 + offset + octets]);
    let length = u16::try_from(piece.len()).unwrap();
    piece[2..4].copy_from_slice(&length.to_be_bytes());
    let field = 0x2000 | u16::try_from(offset / 8).unwrap();
    piece[6..8].copy_from_slice(&field.to_be_bytes());
    resummed(piece)
}

/// A packet with four octets of IPv4 options.
fn with_option(option: &[u8; 4]) -> Vec<u8> {
    let mut bytes = udp(CLIENT, SERVER).bytes();
    bytes.splice(20..20, *option);
    bytes[0] = 0x46;
    bytes[3] += 4;
    resummed(bytes)
}

/// The last of several packets from these zones.
fn after(packets: &[(&'static str, Packet)]) -> Reached {
    let mut lab = office();
    let send = |(zone, packet): &(&'static str, Packet)| {
        lab.at(0.0).from(zone).send(packet.clone()).judgement
    };
    Reached::By(packets.iter().map(send).last().unwrap())
}

fn reach(reason: Reason) -> Reached {
    let ask = || udp("10.0.0.7:5000", "198.51.100.9:53");
    let answer = || udp("198.51.100.9:53", "203.0.113.2:5000");
    match reason {
        Reason::Rule => from_lan(ask()),
        Reason::DefaultPolicy => after(&[(WAN, answer())]),
        Reason::Session => after(&[(LAN, ask()), (WAN, answer())]),
        Reason::Expected => {
            let mut lab = office();
            let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
            ftp.announces(&mut lab, 0.0, "PORT 10,0,0,7,200,10\r\n");
            let data = tcp("198.51.100.21:20", "203.0.113.2:51210").syn();
            Reached::By(lab.at(0.0).from(WAN).send(data).judgement)
        }
        Reason::Mapping => {
            let open = r#"as = "masquerade", filtering = "endpoint-independent""#;
            let mut lab = Lab::new(&OFFICE.replace(r#"as = "masquerade""#, open));
            let _ = lab.at(0.0).from(LAN).send(ask());
            let stranger = udp("192.0.2.9:999", "203.0.113.2:5000");
            Reached::By(lab.at(0.0).from(WAN).send(stranger).judgement)
        }
        Reason::UnsolicitedSyn => {
            let hold = "[policy]\nunsolicited-syn = \"hold\"";
            let mut lab = Lab::new(&OFFICE.replace("[policy]", hold));
            let syn = tcp("198.51.100.9:40000", "203.0.113.2:4000").syn();
            Reached::By(lab.at(0.0).from(WAN).send(syn).judgement)
        }
        Reason::RecordRoute => {
            let drop = "[policy]\nrecord-route = \"drop\"";
            let packet = ask().ip_options(&[7, 7, 4, 0, 0, 0, 0, 0]);
            let mut lab = Lab::new(&OFFICE.replace("[policy]", drop));
            Reached::By(lab.at(0.0).from(LAN).send(packet).judgement)
        }
        Reason::Related => {
            let mut lab = office();
            let left = lab.at(0.0).from(LAN).send(ask()).forwarded.unwrap().1;
            let error = icmp("192.0.2.1", "203.0.113.2", 11, 0).quoting(&left.bytes);
            Reached::By(lab.at(0.0).from(WAN).send(error).judgement)
        }
        Reason::GatewayEcho => from_lan(echo("10.0.0.7", "10.0.0.1", 1)),
        Reason::GatewayService => from_lan(udp("10.0.0.7:5000", "10.0.0.1:53")),
        Reason::NotIp | Reason::NoZone => Reached::By(office().engine.turn_away(reason)),
        Reason::BadLength => raw(ask().bytes()[..30].to_vec()),
        Reason::BadHeader => raw(vec![0x50; 40]),
        Reason::BadChecksum => {
            let mut bytes = ask().bytes();
            bytes[30] ^= 1;
            raw(bytes)
        }
        Reason::BadOption => raw(with_option(&[7, 1, 1, 1])),
        Reason::BadAddress => from_lan(udp("10.0.0.7:5000", "224.0.0.1:53")),
        Reason::SpoofedSource => from_lan(udp("10.0.9.7:5000", "198.51.100.9:53")),
        Reason::SourceRoute => from_lan(ask().ip_options(&[131, 7, 4, 192, 0, 2, 1, 0])),
        Reason::TcpBadFlags => from_lan(tcp(CLIENT, SERVER).syn().fin()),
        Reason::SctpBadChunks => from_lan(sctp(CLIENT, SERVER, 0, &[])),
        Reason::SctpInvalidState => after(&[
            (LAN, sctp(CLIENT, SERVER, 1, &[heartbeat()])),
            (WAN, sctp(SERVER, OUTSIDE, 2, &[shutdown_ack()])),
        ]),
        Reason::SctpWrongTag => after(&[
            (LAN, sctp(CLIENT, SERVER, 1, &[heartbeat()])),
            (LAN, sctp(CLIENT, SERVER, 2, &[data("x")])),
        ]),
        Reason::TcpInvalidState => after(&[
            (LAN, tcp(CLIENT, SERVER).syn()),
            (LAN, tcp(CLIENT, SERVER).fin().ack(9)),
        ]),
        Reason::TcpOutOfWindow => after(&[
            (LAN, tcp(CLIENT, SERVER).syn().seq(100)),
            (WAN, tcp(SERVER, OUTSIDE).syn().seq(500).ack(101)),
            (LAN, tcp(CLIENT, SERVER).seq(5_000_000).ack(501)),
        ]),
        Reason::TcpInvalidRst => after(&[
            (LAN, tcp(CLIENT, SERVER).syn().seq(100)),
            (WAN, tcp(SERVER, OUTSIDE).syn().seq(500).ack(101)),
            (LAN, tcp(CLIENT, SERVER).seq(101).ack(501)),
            (WAN, tcp(SERVER, OUTSIDE).seq(400).rst()),
        ]),
        Reason::NoSession => from_lan(tcp(CLIENT, SERVER).ack(9)),
        Reason::IcmpUnrelated => from_lan(icmp("10.0.0.7", "198.51.100.9", 3, 3)),
        Reason::FragmentHeld => raw(piece(&ask(), 0, 8)),
        Reason::FragmentOverlap => raws(&[piece(&ask(), 0, 8), piece(&ask(), 0, 16)]),
        Reason::FragmentTiny => raw(piece(&tcp(CLIENT, SERVER).syn(), 0, 8)),
        Reason::FragmentLimit => {
            let long = ask().data([0; 8 * 300]);
            let pieces: Vec<_> = (0..257).map(|n| piece(&long, 8 * n, 8)).collect();
            raws(&pieces)
        }
        Reason::FragmentTimeout => Reached::Not("time alone does it; fragments.rs shows it"),
        Reason::PacketTooBig => {
            let narrow = OFFICE.replace(r#"tun = "wan0""#, r#"tun = "wan0", mtu = 1280"#);
            let long = udp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53").data([0; 1400]);
            Reached::By(Lab::new(&narrow).at(0.0).from(LAN).send(long).judgement)
        }
        Reason::SessionLimit => second_of_two("[limits]\nsessions = 1\nwhen-full = \"refuse\""),
        Reason::HalfOpenLimit => second_of_two("[limits]\nhalf-open = 1\nwhen-full = \"refuse\""),
        Reason::SourceLimit => second_of_two("[limits]\nper-source = 1"),
        Reason::SourceRate => second_of_two("[limits]\nper-source-rate = 1"),
        Reason::RuleLimit => {
            let rule = r#"id = "lan-out", max-sessions = 1,"#;
            two_syns(&OFFICE.replace(r#"id = "lan-out","#, rule))
        }
        Reason::Draining => {
            let mut lab = office();
            lab.engine.set_intake(Intake::Drained);
            Reached::By(lab.at(0.0).from(LAN).send(ask()).judgement)
        }
        Reason::ProbeAnswered => {
            let asking = format!("{OFFICE}\n[timeouts]\non-expiry = \"probe\"\n");
            let mut lab = Lab::new(&asking);
            let opened = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), "198.51.100.21:80");
            let _ = lab.let_pass(432_000.0);
            let answer = opened.client.segment();
            Reached::By(lab.at(432_000.1).from(LAN).send(answer).judgement)
        }
        Reason::NoRoute => {
            let narrow = OFFICE.replace(r#"["0.0.0.0/0", "::/0"]"#, r#"["192.0.2.0/24"]"#);
            Reached::By(Lab::new(&narrow).at(0.0).from(LAN).send(ask()).judgement)
        }
        Reason::TtlExpired => from_lan(ask().ttl(1)),
        Reason::NatPortsExhausted => after(&[
            (LAN, protocol(47, "10.0.0.7", "198.51.100.9")),
            (LAN, protocol(47, "10.0.0.8", "198.51.100.9")),
        ]),
        Reason::NatClientLimit => second_beyond("max-ports = 1", 5001),
        Reason::NatClientRate => second_beyond("new-ports = 1", 5001),
        Reason::NatMappingLimit => second_beyond("max-sessions = 1", 5000),
        Reason::NatNoAddress => {
            let v4 = OFFICE.replace(r#"["203.0.113.2", "2001:db8:ff::2"]"#, r#""203.0.113.2""#);
            let packet = udp("[2001:db8:10::7]:5000", "[2001:db8:5::9]:53");
            Reached::By(Lab::new(&v4).at(0.0).from(LAN).send(packet).judgement)
        }
        Reason::Untranslatable => {
            let strays = r#"rules = [{ id = "strays", ct = "invalid", action = "allow" },"#;
            let mut lab = Lab::new(&OFFICE.replace("rules = [", strays));
            let packet = tcp(CLIENT, SERVER).ack(9);
            Reached::By(lab.at(0.0).from(LAN).send(packet).judgement)
        }
        Reason::AlgLongLine => Reached::By(too_long_a_line()),
        Reason::AlgRefused => Reached::By(too_many_changes()),
        Reason::AlgHeld => client_sends(&[(0, b"PORT "), (5, b"10,0")]),
        Reason::AlgOutOfOrder => client_sends(&[(1, b"OOP\r\n")]),
        Reason::AlgOverlap => client_sends(&[(0, b"NOOP\r\n"), (0, b"QUIT\r\n")]),
        Reason::AlgUnacknowledged => {
            let long = [b'x'; 1400];
            let many: Vec<_> = (0..24).map(|n| (1400 * n, &long[..])).collect();
            client_sends(&many)
        }
        Reason::Internal => Reached::Not("would be a bug of ours"),
    }
}

/// The last of several segments of an FTP client, each this far into its stream.
fn client_sends(segments: &[(u32, &[u8])]) -> Reached {
    let mut lab = Lab::new(&by_lines(OFFICE));
    let ftp = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let send = |(offset, octets): &(u32, &[u8])| {
        let segment = ftp
            .client
            .segment()
            .seq(ftp.client.next + offset)
            .data(octets);
        lab.at(0.0).from(LAN).send(segment).judgement
    };
    Reached::By(segments.iter().map(send).last().unwrap())
}

/// The second session of a client, from this port, by a row that says so.
fn second_beyond(limit: &str, port: u16) -> Reached {
    let masquerade = r#"as = "masquerade""#;
    let mut lab = Lab::new(&OFFICE.replace(masquerade, &format!("{masquerade}, {limit}")));
    let ask = |port: u16, server| udp(&format!("10.0.0.7:{port}"), server);
    let mut send = |port, server| lab.at(0.0).from(LAN).send(ask(port, server)).judgement;
    let _ = send(5000, "198.51.100.9:53");
    Reached::By(send(port, "198.51.100.10:53"))
}

/// The second of two connections under these limits.
fn second_of_two(limits: &str) -> Reached {
    two_syns(&format!("{OFFICE}\n{limits}"))
}

fn two_syns(rules: &str) -> Reached {
    let mut lab = Lab::new(rules);
    let mut syn = |client| {
        let syn = tcp(client, SERVER).syn();
        lab.at(0.0).from(LAN).send(syn).judgement
    };
    syn(CLIENT);
    Reached::By(syn("10.0.0.7:51001"))
}

/// A line longer than any that is read, where such may not pass.
fn too_long_a_line() -> Judgement {
    let mut lab = Lab::new(&format!("{OFFICE}\n[alg.ftp]\nlong-lines = \"block\"\n"));
    let ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let line = format!("RETR {}\r\n", "x".repeat(600));
    let sent = lab.at(0.0).from(LAN).send(ftp.client.segment().data(&line));
    sent.judgement
}

/// More changes to a stream than can be remembered, none acknowledged.
fn too_many_changes() -> Judgement {
    let mut lab = office();
    let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    let line = "PORT 10,0,0,7,200,10\r\n";
    for _ in 0..100 {
        let sent = lab.at(0.0).from(LAN).send(ftp.client.segment().data(line));
        if sent.forwarded.is_none() {
            return sent.judgement;
        }
        ftp.client.next += u32::try_from(line.len()).unwrap();
    }
    panic!("memory has no bound");
}

#[test]
fn every_reason_is_reached() {
    let mut not_reached = Vec::new();
    for reason in Reason::ALL {
        match reach(*reason) {
            Reached::By(judgement) => assert_eq!(judgement.reason, *reason, "{judgement:?}"),
            Reached::Not(why) => not_reached.push((*reason, why)),
        }
    }
    let exceptions: Vec<_> = not_reached.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(
        exceptions,
        [Reason::FragmentTimeout, Reason::Internal],
        "{not_reached:?}"
    );
}

#[test]
fn reasons_have_a_word_each_and_no_word_means_two() {
    let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    for word in &words {
        assert!(
            word.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
            "{word}"
        );
    }
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Reason::ALL.len());
}
