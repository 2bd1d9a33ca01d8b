//! UDP-Lite datagrams with every coverage (RFC 3828).

use super::super::chance::Chance;
use super::super::packets::checksum;
use super::super::wire;
use super::talk::Talk;

pub(super) const UDPLITE: u8 = 136;
const UDP: u8 = 17;

/// The next datagram from this end, and what it is.
pub(super) fn datagram(talk: &Talk, who: usize, chance: &mut Chance) -> (Vec<u8>, String) {
    let (from, to) = (talk.ends[who].own, talk.ends[who].other);
    let payload: u16 = chance.of(&[0, 1, 20, 61]);
    let length = 8 + payload;
    // One in some is nonsense.
    let coverages = [0, 0, 8, length, length, 8 + payload / 2, 7, 1, length + 1];
    let coverage = match talk.may_go_wrong {
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
    let mut sum = match sum(talk, who, &content[..covered], length) {
        0 => 0xffff,
        sum => sum,
    };
    if talk.may_go_wrong && chance.once_in(10) {
        sum = chance.of(&[0, sum ^ 0x0100]);
    }
    content[6..8].copy_from_slice(&sum.to_be_bytes());
    (
        content,
        format!("coverage {coverage} of {length} sum {sum:04x}"),
    )
}

/// The checksum over what is covered: the pseudo-header has the whole length.
fn sum(talk: &Talk, who: usize, covered: &[u8], length: u16) -> u16 {
    let (from, to) = (talk.ends[who].own, talk.ends[who].other);
    let pseudo = wire::transport_sum(from.ip(), to.ip(), UDPLITE, &[]);
    let words = [(!pseudo).to_be_bytes(), length.to_be_bytes()];
    checksum(&[words.as_flattened(), covered].concat())
}

/// To the kernel, the checksum of UDP-Lite names UDP as the protocol: see
/// `udplite-pseudo-header` in docs/kernel-parity.md. The same packet as the
/// kernel wants it; `None` for what is no UDP-Lite.
pub(super) fn as_the_kernel_wants_it(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_lite = wire::read(bytes)?.protocol == UDPLITE;
    is_lite.then(|| with_protocol(bytes, UDPLITE, UDP))
}

/// What the kernel sent, as it should be.
pub(super) fn as_it_should_be(bytes: &[u8]) -> Vec<u8> {
    with_protocol(bytes, UDP, UDPLITE)
}

/// A UDP-Lite datagram whose checksum names another protocol.
fn with_protocol(bytes: &[u8], old: u8, new: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let Some(read) = wire::read(&bytes).filter(|read| read.protocol == UDPLITE) else {
        return bytes;
    };
    let field = read.at + 6..read.at + 8;
    let Some(Ok(sum)) = bytes.get(field.clone()).map(<[u8; 2]>::try_from) else {
        return bytes;
    };
    let sum = u16::from_be_bytes(sum);
    if sum != 0 {
        // RFC 1624: HC' = ~(~HC + ~m + m').
        let words = [!sum, !u16::from(old), u16::from(new)].map(u16::to_be_bytes);
        let sum = match checksum(words.as_flattened()) {
            0 => 0xffff,
            sum => sum,
        };
        bytes[field].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}
