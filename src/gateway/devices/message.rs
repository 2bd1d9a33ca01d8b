//! What the gateway and the helper that opens its devices say to each other.
//!
//! Messages of a fixed size over a socket that keeps them apart. What is not
//! as it should be is no message: nothing that comes makes anybody fail.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::device::{Facts, Origin};
use crate::net::Workers;

/// How long a message is.
pub(super) const LENGTH: usize = 20;
/// As many descriptors as come with one at most.
const MOST_QUEUES: usize = Workers::MOST as usize;

/// What the gateway wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// So that an answer which comes too late is known.
    pub(super) number: u32,
    /// The place of the device among all.
    pub(super) device: u16,
    /// Whether it has to be there already, and is taken over only.
    pub(super) must_exist: bool,
}

/// What the helper says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has confined itself, and waits for requests.
    Ready,
    /// To the request of this number: the device, whose queues come with the message.
    Opened(u32, Facts),
    /// To the request of this number: the kernel refused, by this error number.
    Refused(u32, i32),
}

/// A message as it is sent.
pub(super) type Octets = [u8; LENGTH];

impl Request {
    /// As it is sent.
    pub(super) fn octets(self) -> Octets {
        let device = u32::from(self.device);
        words([1, self.number, device, u32::from(self.must_exist), 0])
    }

    /// What was sent; `None`: that is no request.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        match read_words(octets)? {
            [1, number, device, must_exist @ (0 | 1), 0] => Some(Self {
                number,
                device: device.try_into().ok()?,
                must_exist: must_exist == 1,
            }),
            _ => None,
        }
    }
}

impl Answer {
    /// As it is sent.
    pub(super) fn octets(self) -> Octets {
        words(match self {
            Self::Ready => [2, 0, 0, 0, 0],
            Self::Opened(number, facts) => {
                let kind = match facts.origin {
                    Origin::Made => 3,
                    Origin::TakenOver => 4,
                };
                [kind, number, facts.index, u32::from(facts.mtu), 0]
            }
            Self::Refused(number, error) => [5, number, error.cast_unsigned(), 0, 0],
        })
    }

    /// What was sent; `None`: that is no answer.
    pub(super) fn read(octets: &[u8]) -> Option<Self> {
        match read_words(octets)? {
            [2, 0, 0, 0, 0] => Some(Self::Ready),
            [kind @ (3 | 4), number, index, mtu, 0] => {
                let facts = Facts {
                    origin: match kind {
                        3 => Origin::Made,
                        _ => Origin::TakenOver,
                    },
                    index,
                    mtu: mtu.try_into().ok()?,
                };
                Some(Self::Opened(number, facts))
            }
            [5, number, error, 0, 0] => Some(Self::Refused(number, error.cast_signed())),
            _ => None,
        }
    }
}

fn words(words: [u32; LENGTH / 4]) -> Octets {
    let mut octets = [0; LENGTH];
    let places = octets.chunks_exact_mut(4);
    for (place, word) in places.zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    octets
}

fn read_words(octets: &[u8]) -> Option<[u32; LENGTH / 4]> {
    let octets: &Octets = octets.try_into().ok()?;
    let mut words = [0; LENGTH / 4];
    for (word, place) in words.iter_mut().zip(octets.as_chunks().0) {
        *word = u32::from_ne_bytes(*place);
    }
    Some(words)
}

/// What came by the socket.
#[derive(Debug)]
pub(super) enum Came {
    /// A message, or what should be one, and the descriptors with it.
    Message(Vec<u8>, Vec<OwnedFd>),
    /// Nobody is at the other end any more.
    End,
}

/// Sends a message with these descriptors, and does not wait.
///
/// # Errors
/// The kernel's: nobody is at the other end, for one.
pub(super) fn send(socket: impl AsFd, octets: Octets, queues: &[OwnedFd]) -> io::Result<()> {
    let queues: Vec<BorrowedFd<'_>> = queues.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_QUEUES))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    if !queues.is_empty() && !with.push(SendAncillaryMessage::ScmRights(&queues)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let message = [IoSlice::new(&octets)];
    rustix::io::retry_on_intr(|| sendmsg(&socket, &message, &mut with, flags))?;
    Ok(())
}

/// What comes next.
///
/// # Errors
/// The kernel's; with a socket that does not wait, that nothing has come.
pub(super) fn receive(socket: impl AsFd) -> io::Result<Came> {
    // One that is too long is none.
    let mut octets = [0; LENGTH + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_QUEUES))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let came = loop {
        let mut place = [IoSliceMut::new(&mut octets)];
        match recvmsg(&socket, &mut place, &mut with, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CONNRESET) => return Ok(Came::End),
            came => break came?,
        }
    };
    let queues = with
        .drain()
        .flat_map(|one| match one {
            RecvAncillaryMessage::ScmRights(queues) => queues.collect(),
            _ => Vec::new(),
        })
        .collect();
    if came.bytes == 0 {
        return Ok(Came::End);
    }
    // Descriptors that there was no room for make it another message.
    let is_whole = !came.flags.contains(ReturnFlags::CTRUNC);
    let octets = octets.get(..came.bytes).filter(|_| is_whole);
    Ok(Came::Message(octets.unwrap_or_default().to_vec(), queues))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use proptest::prelude::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
    }

    fn facts() -> impl Strategy<Value = Facts> {
        let origin = prop_oneof![Just(Origin::Made), Just(Origin::TakenOver)];
        (origin, any::<u32>(), any::<u16>()).prop_map(|(origin, index, mtu)| Facts {
            origin,
            index,
            mtu,
        })
    }

    fn answers() -> impl Strategy<Value = Answer> {
        prop_oneof![
            Just(Answer::Ready),
            (any::<u32>(), facts()).prop_map(|(number, facts)| Answer::Opened(number, facts)),
            (any::<u32>(), any::<i32>()).prop_map(|(number, error)| Answer::Refused(number, error)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_said_is_understood(
            (number, device, must_exist) in any::<(u32, u16, bool)>(),
            answer in answers(),
        ) {
            let request = Request { number, device, must_exist };
            prop_assert_eq!(Request::read(&request.octets()), Some(request));
            prop_assert_eq!(Answer::read(&answer.octets()), Some(answer));
            // Nobody takes the one for the other.
            prop_assert_eq!(Request::read(&answer.octets()), None);
            prop_assert_eq!(Answer::read(&request.octets()), None);
        }

        #[test]
        fn garbage_is_no_message_or_one_that_says_the_same(
            octets in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..64),
                // What looks like one: small words.
                proptest::collection::vec(0..6_u32, LENGTH / 4)
                    .prop_map(|words| words.into_iter().flat_map(u32::to_ne_bytes).collect()),
            ],
        ) {
            if let Some(request) = Request::read(&octets) {
                prop_assert_eq!(&request.octets()[..], &octets[..]);
            }
            if let Some(answer) = Answer::read(&octets) {
                prop_assert_eq!(&answer.octets()[..], &octets[..]);
            }
        }

        #[test]
        fn whatever_comes_by_the_socket_is_read(
            octets in proptest::collection::vec(any::<u8>(), 1..64),
        ) {
            let (one, other) = pair();
            rustix::io::write(&one, &octets).unwrap();
            let Came::Message(read, queues) = receive(&other).unwrap() else {
                panic!("it is not the end");
            };
            prop_assert_eq!(queues.len(), 0);
            prop_assert_eq!(&read[..], &octets[..octets.len().min(LENGTH + 1)]);
        }
    }

    #[test]
    fn descriptors_come_with_a_message_and_the_end_is_heard() {
        let (one, other) = pair();
        let (near, far) = UnixDatagram::pair().unwrap();
        let queues = vec![OwnedFd::from(near)];
        send(&one, Answer::Ready.octets(), &queues).unwrap();
        drop(queues);
        let Came::Message(octets, queues) = receive(&other).unwrap() else {
            panic!("it is not the end");
        };
        assert_eq!(Answer::read(&octets), Some(Answer::Ready));
        let [queue] = <[OwnedFd; 1]>::try_from(queues).unwrap();
        rustix::io::write(&queue, b"through").unwrap();
        let mut read = [0; 16];
        assert_eq!(far.recv(&mut read).unwrap(), 7);
        let nothing = receive(&other).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        drop(one);
        assert!(matches!(receive(&other).unwrap(), Came::End));
        let ended = send(&other, Answer::Ready.octets(), &[]).unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn as_many_queues_as_there_may_be_workers_come_with_one_message() {
        let (one, other) = pair();
        let queues: Vec<OwnedFd> = (0..MOST_QUEUES).map(|_| one.try_clone().unwrap()).collect();
        send(&one, Answer::Ready.octets(), &queues).unwrap();
        let Came::Message(octets, came) = receive(&other).unwrap() else {
            panic!("it is not the end");
        };
        assert_eq!(octets.len(), LENGTH);
        assert_eq!(came.len(), MOST_QUEUES);
    }
}
