//! Associations (RFC 9260): what comes next, and what does not fit.

use super::super::chance::Chance;
use super::super::wire;
use super::talk::Talk;

pub(super) const SCTP: u8 = 132;
const HEADER: usize = 12;
const DATA: u8 = 0;

/// Types of chunks whose packet's tag is judged with the chunk alone.
const JUDGED_ALONE: [u8; 7] = [1, 4, 5, 6, 8, 10, 14];

/// The next packet of an association, or one that does not fit: from whom,
/// and what it is.
pub(super) fn packet(talk: &mut Talk, who: usize, chance: &mut Chance) -> (usize, Vec<u8>, String) {
    let (mut who, mut chunks): (usize, Vec<Chunk>) = match talk.step {
        0 => (0, vec![Chunk::Init]),
        1 => (1, vec![Chunk::InitAck]),
        2 => (0, vec![Chunk::Of(10, 24)]),
        3 => (1, vec![Chunk::Of(11, 4)]),
        4 => {
            let usual = [0, 0, 0, 3, 3, 4, 5, 7, 6];
            let kind = usual[chance
                .of(&[0, 1, 2, 3, 4, 5, 6, 7, 8])
                .min(if chance.once_in(4) { 8 } else { 6 })];
            (who, vec![Chunk::Of(kind, 20)])
        }
        5 => (1 - talk.closer, vec![Chunk::Of(8, 4)]),
        _ => (talk.closer, vec![Chunk::Of(14, 4)]),
    };
    if matches!(talk.step, 2..=4) && chance.once_in(4) {
        chunks.push(Chunk::Of(
            chance.of(&[0, 3, 192, 9]),
            chance.of(&[16, 21, 40]),
        ));
    }
    let mut tag = if talk.step == 0 {
        0
    } else {
        talk.ends[1 - who].tag
    };
    let mut flags = 0;
    let is_odd = talk.may_go_wrong && chance.once_in(5);
    if is_odd {
        who = chance.below(2);
        let kinds = [0, 1, 2, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 11, 14, 15, 130, 193];
        chunks = (0..chance.of(&[0, 1, 1, 1, 1, 1, 2, 3]))
            .map(|_| match chance.of(&kinds) {
                1 => Chunk::Init,
                2 => Chunk::InitAck,
                kind => Chunk::Of(kind, chance.of(&[4, 8, 21])),
            })
            .collect();
        let own = [talk.ends[0].tag, talk.ends[1].tag];
        tag = chance.of(&[0, own[0], own[1], own[1 - who], 12345]);
        flags = chance.of(&[0, 1]);
    } else {
        goes_on(talk, who, &chunks, chance);
    }
    let end = &talk.ends[who];
    let mut content = [end.own.port(), end.other.port()]
        .map(u16::to_be_bytes)
        .as_flattened()
        .to_vec();
    content.extend(tag.to_be_bytes());
    content.extend([0; 4]);
    for chunk in &chunks {
        let initiate = if is_odd && chance.once_in(2) {
            777
        } else {
            end.tag
        };
        chunk.write(flags, initiate, &mut content);
    }
    let mut told = format!("tag {tag} flags {flags} {chunks:?} end {}", end.tag);
    match chance.below(60) {
        _ if !talk.may_go_wrong => {}
        0 => {
            told.push_str(" zero length");
            if let Some(length) = content.get_mut(14..16) {
                length.fill(0);
            }
        }
        1 => {
            told.push_str(" trailer");
            content.extend([1, 2, 3]);
        }
        2 => {
            told.push_str(" short");
            content.truncate(chance.of(&[4, 8, 11]));
        }
        _ => {}
    }
    if content.len() >= HEADER {
        sum(&mut content);
        if talk.may_go_wrong && chance.once_in(30) {
            told.push_str(" bad sum");
            content[9] ^= 0x01;
        }
    }
    (who, content, told)
}

fn goes_on(talk: &mut Talk, who: usize, chunks: &[Chunk], chance: &mut Chance) {
    talk.step = match (talk.step, &chunks[0]) {
        (4, Chunk::Of(7, _)) => {
            talk.closer = who;
            5
        }
        (4, Chunk::Of(6, _)) | (6, _) => {
            for end in &mut talk.ends {
                end.tag = chance.number() | 1;
            }
            0
        }
        (4, _) => 4,
        (step, _) => step + 1,
    };
}

/// Writes the checksum (RFC 9260 section 6.8).
pub(super) fn sum(content: &mut [u8]) {
    content[8..12].fill(0);
    let sum = crc32c::crc32c(content).to_le_bytes();
    content[8..12].copy_from_slice(&sum);
}

#[derive(Debug, Clone)]
enum Chunk {
    Init,
    InitAck,
    /// Of this type, so long.
    Of(u8, u16),
}

impl Chunk {
    fn write(&self, flags: u8, initiate: u32, to: &mut Vec<u8>) {
        let (kind, length) = match self {
            Self::Init => (1, 20),
            Self::InitAck => (2, 20),
            Self::Of(kind, length) => (*kind, *length),
        };
        to.extend([kind, flags]);
        to.extend(length.to_be_bytes());
        let mut value = vec![0; usize::from(length).next_multiple_of(4) - 4];
        if length == 20 && matches!(kind, 1 | 2) {
            value[..4].copy_from_slice(&initiate.to_be_bytes());
        }
        to.extend(value);
    }
}

/// Whether it is a packet of an association, and no error about one.
pub(super) fn is_sctp(bytes: &[u8]) -> bool {
    wire::read(bytes).is_some_and(|read| read.protocol == SCTP)
}

/// The tags that a packet names: its own, and the one that it brings.
pub(super) fn tags(bytes: &[u8]) -> Vec<u32> {
    let content = content(bytes);
    let word = |at: usize| {
        let word = content.get(at..at + 4)?;
        Some(u32::from_be_bytes(word.try_into().unwrap()))
    };
    let brings = matches!(content.get(HEADER), Some(1 | 2));
    let brought = brings.then(|| word(HEADER + 4)).flatten();
    word(4).into_iter().chain(brought).collect()
}

/// What the kernel may have kept of a bundle that it refused: all chunks but
/// some at the end, the longest first. A heartbeat is judged otherwise in one
/// packet with data, so data stay. Where the tag of what is left would be
/// judged although that of the bundle was not, with each of `tags`.
pub(super) fn beginnings(bytes: &[u8], tags: impl IntoIterator<Item = u32>) -> Vec<Vec<u8>> {
    let tags: Vec<_> = tags.into_iter().collect();
    let (kinds, ends) = chunks(content(bytes));
    let is_judged_alone = |kinds: &[u8]| kinds.iter().any(|kind| JUDGED_ALONE.contains(kind));
    let mut all = Vec::new();
    for count in (1..kinds.len()).rev() {
        let mut beginning = content(bytes)[..ends[count - 1]].to_vec();
        if kinds[count..].contains(&DATA) {
            Chunk::Of(DATA, 20).write(0, 0, &mut beginning);
        }
        sum(&mut beginning);
        let headed = |content: &[u8]| wire::with_payload(bytes, content);
        all.push(headed(&beginning));
        if is_judged_alone(&kinds) && !is_judged_alone(&kinds[..count]) {
            for tag in &tags {
                beginning[4..8].copy_from_slice(&tag.to_be_bytes());
                sum(&mut beginning);
                all.push(headed(&beginning));
            }
        }
    }
    all
}

fn content(bytes: &[u8]) -> &[u8] {
    bytes.get(wire::header_length(bytes)..).unwrap_or_default()
}

/// The type of each chunk, and where it ends.
fn chunks(content: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let (mut kinds, mut ends, mut at) = (Vec::new(), Vec::new(), HEADER);
    while let Some(&[kind, _, high, low]) = content.get(at..at + 4) {
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 4 || at + length > content.len() {
            break;
        }
        at += length.next_multiple_of(4);
        kinds.push(kind);
        ends.push(at.min(content.len()));
    }
    (kinds, ends)
}
