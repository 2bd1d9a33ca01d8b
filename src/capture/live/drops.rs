//! What the kernel had no room for, as it counts it for each packet socket.
//!
//! Asked by `sock_diag(7)`, for the socket's inode: `PACKET_STATISTICS`, which others
//! use, would need unsafe code.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::fstat;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

// linux/netlink.h, linux/sock_diag.h, linux/packet_diag.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_DONE: u16 = 3;
const NLMSG_ERROR: u16 = 2;
const REQUEST_DUMP: u16 = 0x301;
const AF_PACKET: u8 = 17;
const SHOW_MEMINFO: u32 = 0x10;
const ATTRIBUTE_MEMINFO: u16 = 6;
/// `SK_MEMINFO_DROPS`, of numbers of four octets.
const DROPS_AT: usize = 8 * 4;
const HEADER: usize = 16;
/// The kernel sends no more at once.
const MOST_AT_ONCE: usize = 32 << 10;
const PATIENCE: Duration = Duration::from_secs(1);

/// Who tells what one packet socket lost.
#[derive(Debug)]
pub(super) struct Drops {
    asked: OwnedFd,
    inode: u32,
}

/// What a part of an answer says.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Count(u32),
    NotYet,
    Never,
}

impl Drops {
    pub(super) fn of(socket: impl AsFd) -> Result<Self, Errno> {
        let inode = fstat(socket)?.st_ino;
        let asked = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )?;
        set_socket_timeout(&asked, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self {
            asked,
            inode: u32::try_from(inode).map_err(|_| Errno::OVERFLOW)?,
        })
    }

    /// How many packets; `None` where this kernel does not tell.
    pub(super) fn count(&self) -> Option<u64> {
        send(&self.asked, &request(), SendFlags::empty()).ok()?;
        let mut buffer = vec![0; MOST_AT_ONCE];
        let mut found = None;
        loop {
            let (_, length) = recv(&self.asked, buffer.as_mut_slice(), RecvFlags::empty()).ok()?;
            let part = buffer.get(..length)?;
            // The whole answer is read, so that the next begins with itself.
            for (kind, message) in messages(part) {
                match read(kind, message, self.inode) {
                    Answer::Count(count) => found = Some(u64::from(count)),
                    Answer::NotYet => {}
                    Answer::Never => return found,
                }
            }
        }
    }
}

/// Asks for the memory of all packet sockets.
fn request() -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER + 20);
    request.extend(36_u32.to_ne_bytes());
    request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    request.extend([0; 8]); // sequence, port
    request.extend([AF_PACKET, 0, 0, 0]); // family, protocol, padding
    request.extend(0_u32.to_ne_bytes()); // inode: a dump looks at none
    request.extend(SHOW_MEMINFO.to_ne_bytes());
    request.extend([0; 8]); // cookie
    request
}

/// The messages of a part, each by its kind and without its header.
fn messages(part: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = part;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(rest, 0)?).ok()?;
        let kind = u16_at(rest, 4)?;
        let message = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, message))
    })
}

fn read(kind: u16, message: &[u8], inode: u32) -> Answer {
    match kind {
        NLMSG_DONE | NLMSG_ERROR => Answer::Never,
        SOCK_DIAG_BY_FAMILY if u32_at(message, 4) == Some(inode) => {
            drops(message).map_or(Answer::NotYet, Answer::Count)
        }
        _ => Answer::NotYet,
    }
}

/// Behind the sixteen octets of a socket's message stand its attributes.
fn drops(message: &[u8]) -> Option<u32> {
    let mut rest = message.get(16..)?;
    loop {
        let length = usize::from(u16_at(rest, 0)?).max(4);
        if u16_at(rest, 2)? == ATTRIBUTE_MEMINFO {
            return u32_at(rest.get(4..length)?, DROPS_AT);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer about one socket, with an attribute that nobody asked for.
    fn answer(inode: u32, lost: u32) -> Vec<u8> {
        let mut message = vec![AF_PACKET, 3, 3, 0];
        message.extend(inode.to_ne_bytes());
        message.extend([0; 8]);
        message.extend([6_u16, 5].map(u16::to_ne_bytes).concat());
        message.extend([9, 9, 0, 0]); // two octets, padded
        message.extend([40_u16, ATTRIBUTE_MEMINFO].map(u16::to_ne_bytes).concat());
        message.extend([0; 32]);
        message.extend(lost.to_ne_bytes());
        let length = u32::try_from(HEADER + message.len()).unwrap();
        let mut whole = length.to_ne_bytes().to_vec();
        whole.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        whole.extend([0; 10]);
        whole.extend(message);
        whole
    }

    #[test]
    fn the_count_of_the_socket_is_found_among_others() {
        let part = [answer(7, 1), answer(8, 41), answer(9, 3)].concat();
        let found = |inode| -> Vec<_> {
            messages(&part)
                .map(|(kind, message)| read(kind, message, inode))
                .filter(|answer| *answer != Answer::NotYet)
                .collect()
        };
        assert_eq!(found(8), [Answer::Count(41)]);
        assert_eq!(found(10), []);
    }

    #[test]
    fn no_answer_that_is_cut_short_says_anything_or_fails() {
        let whole = answer(8, 41);
        for end in 0..whole.len() {
            let part = &whole[..end];
            assert_eq!(messages(part).count(), 0);
            let message = part.get(HEADER..).unwrap_or_default();
            assert_ne!(read(SOCK_DIAG_BY_FAMILY, message, 8), Answer::Count(41));
        }
    }
}
