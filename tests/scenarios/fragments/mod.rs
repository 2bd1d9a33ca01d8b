//! Datagrams in pieces: gathered, judged whole, and sent on in pieces.

mod gathering;
mod given_up;
mod leaving;
mod refused;
mod too_long;

use std::collections::BTreeMap;

use spigate::engine::Reason;

use super::lab::{LAN, Lab, Sent};
use super::packets::{Packet, resummed, udp};
use super::seen::{Seen, Sums};
use super::wants::{drop_for, hold};

const CLIENT: &str = "10.0.0.7:5000";
const SERVER: &str = "198.51.100.9:53";
const V6_CLIENT: &str = "[2001:db8:10::7]:5000";
const V6_SERVER: &str = "[2001:db8:5::9]:53";

/// Where the payload that is cut begins: behind the IP header.
fn header(bytes: &[u8]) -> usize {
    match bytes[0] >> 4 {
        4 => usize::from(bytes[0] & 0x0f) * 4,
        _ => 40,
    }
}

/// The piece of a packet from `start` to `end` of its payload.
fn piece(packet: &[u8], start: usize, end: usize, more: bool) -> Vec<u8> {
    let header = header(packet);
    let mut bytes = packet[..header].to_vec();
    let place = u16::try_from(start).unwrap();
    if packet[0] >> 4 == 4 {
        bytes.extend_from_slice(&packet[header + start..header + end]);
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let kept = u16::from_be_bytes([bytes[6], bytes[7]]) & 0xc000;
        let field = kept | (u16::from(more) << 13) | (place / 8);
        bytes[6..8].copy_from_slice(&field.to_be_bytes());
        return resummed(bytes);
    }
    bytes.extend_from_slice(&[bytes[6], 0]);
    bytes[6] = 44;
    bytes.extend_from_slice(&(place | u16::from(more)).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0x12, 0x34]);
    bytes.extend_from_slice(&packet[header + start..header + end]);
    let length = u16::try_from(bytes.len() - 40).unwrap();
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// A packet in pieces that end at these places and at its end.
fn cut(packet: &Packet, places: &[usize]) -> Vec<Vec<u8>> {
    cut_bytes(&packet.bytes(), places)
}

fn cut_bytes(bytes: &[u8], places: &[usize]) -> Vec<Vec<u8>> {
    let end = bytes.len() - header(bytes);
    let starts = [0].into_iter().chain(places.iter().copied());
    let ends = places.iter().copied().chain([end]);
    starts
        .zip(ends)
        .map(|(start, stop)| piece(bytes, start, stop, stop < end))
        .collect()
}

/// Puts pieces that left together, with a hand as simple as can be.
fn joined(pieces: &[Vec<u8>]) -> Seen {
    let mut payloads = BTreeMap::new();
    let mut first = Vec::new();
    for bytes in pieces {
        let at = header(bytes);
        let (offset, payload) = if bytes[0] >> 4 == 4 {
            assert_eq!(resummed(bytes.clone()), *bytes, "header checksum");
            let field = u16::from_be_bytes([bytes[6], bytes[7]]);
            (usize::from(field & 0x1fff) * 8, &bytes[at..])
        } else {
            let field = u16::from_be_bytes([bytes[42], bytes[43]]);
            (usize::from(field & 0xfff8), &bytes[48..])
        };
        if offset == 0 {
            first = bytes[..at].to_vec();
            if bytes[0] >> 4 == 6 {
                first[6] = bytes[40];
            }
        }
        payloads.insert(offset, payload.to_vec());
    }
    let mut next = 0;
    for (offset, payload) in payloads {
        assert_eq!(offset, next, "a gap");
        next += payload.len();
        first.extend_from_slice(&payload);
    }
    if first[0] >> 4 == 4 {
        let length = u16::try_from(first.len()).unwrap();
        first[2..4].copy_from_slice(&length.to_be_bytes());
        first[6] &= 0x40;
        first[7] = 0;
        first = resummed(first);
    } else {
        let length = u16::try_from(first.len() - 40).unwrap();
        first[4..6].copy_from_slice(&length.to_be_bytes());
    }
    Seen::read(&first, Sums::Right)
}

/// Sends all; all but the last are held.
fn send_all(lab: &mut Lab, zone: &'static str, pieces: &[Vec<u8>]) -> Sent {
    let (last, before) = pieces.split_last().unwrap();
    for piece in before {
        let _ = lab.at(0.0).from(zone).send(piece.clone()).expect(hold());
    }
    lab.at(0.0).from(zone).send(last.clone())
}

fn refuses(lab: &mut Lab, piece: &[u8], reason: Reason) {
    let _ = lab.at(0.0).from(LAN).send(piece).expect(drop_for(reason));
}

fn lengths(pieces: &[Vec<u8>]) -> Vec<usize> {
    pieces.iter().map(Vec::len).collect()
}

fn question() -> Packet {
    udp(CLIENT, SERVER).data((0..=255).cycle().take(1000).collect::<Vec<u8>>())
}

fn question_v6() -> Packet {
    udp(V6_CLIENT, V6_SERVER).data((0..=255).cycle().take(1000).collect::<Vec<u8>>())
}

/// A packet that has passed a router.
fn passed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match bytes[0] >> 4 {
        4 => {
            bytes[8] -= 1;
            resummed(bytes)
        }
        _ => {
            bytes[7] -= 1;
            bytes
        }
    }
}

/// The way out takes packets of so many octets.
fn narrow(rules: &str, mtu: u16) -> Lab {
    let mut rules = rules.replace(r#"tun = "wan0""#, &format!(r#"tun = "wan0", mtu = {mtu}"#));
    if mtu < 1280 {
        rules = rules.replace(r#"["0.0.0.0/0", "::/0"]"#, r#""0.0.0.0/0""#);
    }
    Lab::new(&rules)
}

/// With DF cleared: routers may cut it.
fn loose(packet: &Packet) -> Vec<u8> {
    let mut bytes = packet.bytes();
    bytes[6] &= !0x40;
    resummed(bytes)
}

fn unfragmented(packet: &Packet) -> Vec<u8> {
    let mut bytes = packet.bytes();
    bytes[6] |= 0x40;
    resummed(bytes)
}
