//! Maximum segment sizes: lowered in SYNs where a rule says so.

use etherparse::TcpOptionElement;

use super::lab::{LAN, Lab, WAN};
use super::packets::{Packet, tcp, udp};
use super::seen::Seen;
use super::wants::forward_to;

const CLIENT: &str = "10.0.0.7:5000";
const SERVER: &str = "198.51.100.9:80";
const PUBLIC: &str = "203.0.113.2:5000";

/// A gateway to a link that takes 1400 octets, and whose rule says this besides.
fn lab(more: &str) -> Lab {
    Lab::new(&format!(
        r#"
version = 1
[zones]
lan = {{ tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = "10.0.0.1" }}
wan = {{ tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = "203.0.113.2", mtu = 1400 }}
[services]
ftp = {{ tcp = 21, alg = "ftp" }}
all = {{ tcp = "1-65535", udp = "1-65535" }}
[policy]
default = "drop"
rules = [{{ id = "out", from = "lan", to = "wan", service = ["ftp", "all"], action = "allow"{more} }}]
[nat]
source = [{{ id = "masq", from = "lan", to = "wan", src = "10.0.0.0/24", as = "masquerade" }}]
"#
    ))
}

/// What the packet announces as it leaves. The bench has looked at its checksum.
fn announced(seen: &Seen) -> Option<u16> {
    let options = seen.tcp().options_iterator();
    let mut found = options.filter_map(|option| match option {
        Ok(TcpOptionElement::MaximumSegmentSize(size)) => Some(size),
        _ => None,
    });
    found.next()
}

fn with_mss(packet: Packet, mss: u16) -> Packet {
    let [high, low] = mss.to_be_bytes();
    packet.tcp_options(&[2, 4, high, low])
}

fn syn(mss: u16) -> Packet {
    with_mss(tcp(CLIENT, SERVER).syn().seq(100), mss)
}

fn syn_ack(mss: u16) -> Packet {
    with_mss(tcp(SERVER, PUBLIC).syn().seq(900).ack(101), mss)
}

/// What both ends hear of each other.
fn heard(lab: &mut Lab, client: Packet, server: Packet) -> [Option<u16>; 2] {
    let there = lab.at(0.0).from(LAN).send(client).forwarded.unwrap().1;
    let back = lab.at(0.1).from(WAN).send(server).forwarded.unwrap().1;
    [announced(&there), announced(&back)]
}

#[test]
fn both_ends_hear_of_no_more_than_the_rule_says() {
    let mut lab = lab(", mss = 1300");
    assert_eq!(heard(&mut lab, syn(1460), syn_ack(8960)), [Some(1300); 2]);
    // As often as they say it.
    assert_eq!(heard(&mut lab, syn(1460), syn_ack(8960)), [Some(1300); 2]);
}

#[test]
fn a_smaller_one_is_never_raised() {
    let mut lab = lab(", mss = 1300");
    let heard = heard(&mut lab, syn(1300), syn_ack(536));
    assert_eq!(heard, [Some(1300), Some(536)]);
}

#[test]
fn a_syn_that_announces_none_gets_none() {
    let mut lab = lab(", mss = 1300");
    let bare = tcp(CLIENT, SERVER).syn().seq(100);
    let sent = lab.at(0.0).from(LAN).send(bare);
    let _ = sent.expect(forward_to(WAN).source(PUBLIC));
}

#[test]
fn what_fits_the_narrower_link_is_announced_in_both_families() {
    let mut lab = lab(r#", mss = "mtu""#);
    assert_eq!(heard(&mut lab, syn(1460), syn_ack(1460)), [Some(1360); 2]);
    let (client, server) = ("[2001:db8:10::7]:5000", "[2001:db8:99::9]:80");
    let there = with_mss(tcp(client, server).syn().seq(100), 1440);
    let back = with_mss(tcp(server, client).syn().seq(900).ack(101), 1440);
    assert_eq!(heard(&mut lab, there, back), [Some(1340); 2]);
}

#[test]
fn it_is_found_wherever_it_stands() {
    // A NOP before it: its number stands at an odd place, which the checksum has
    // to take into account.
    for before in [&[1u8][..], &[1, 1], &[3, 3, 7], &[4, 2, 1]] {
        let mut options = before.to_vec();
        options.extend([2, 4, 0x23, 0x01]);
        options.resize(8, 0);
        let mut lab = lab(", mss = 1300");
        let syn = tcp(CLIENT, SERVER).syn().seq(100).tcp_options(&options);
        let sent = lab.at(0.0).from(LAN).send(syn);
        let seen = sent.forwarded.unwrap().1;
        assert_eq!(announced(&seen), Some(1300), "behind {before:?}");
    }
}

#[test]
fn segments_without_syn_and_other_sessions_are_left_alone() {
    let mut lab = lab(", mss = 1300");
    let _ = heard(&mut lab, syn(1460), syn_ack(1460));
    let data = with_mss(tcp(CLIENT, SERVER).seq(101).ack(901), 1460);
    let sent = lab.at(0.2).from(LAN).send(data);
    let _ = sent.expect(forward_to(WAN).source(PUBLIC));
    let sent = lab.at(0.2).from(LAN).send(udp(CLIENT, SERVER));
    let _ = sent.expect(forward_to(WAN).source(PUBLIC));
    let mut without = self::lab("");
    assert_eq!(
        heard(&mut without, syn(1460), syn_ack(8960)),
        [Some(1460), Some(8960)]
    );
}
