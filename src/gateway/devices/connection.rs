//! The gateway's end of the socket by which it asks its helper.
//!
//! Owns which request has no answer yet. There is one at most, so that an answer that comes too
//! late is known as such, and the device that comes with it goes again.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net;

use tokio::io::Interest;
use tokio::net::UnixDatagram;

use super::device::Facts;
use super::message::{Answer, Came, Request, receive, send};

/// The way to the helper.
#[derive(Debug)]
pub(super) struct Connection {
    /// It keeps messages apart, as the type says, and tells the end too.
    socket: UnixDatagram,
    /// The number of the last request.
    asked: u32,
    /// The one that has no answer yet.
    unanswered: Option<Request>,
}

/// Why there is no device.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// The kernel said no.
    Refused(io::Error),
    /// The helper is gone.
    Ended,
}

impl Connection {
    /// One over this end of a socket pair. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The runtime does not take it.
    pub(super) fn over(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self {
            socket: UnixDatagram::from_std(net::UnixDatagram::from(socket))?,
            asked: 0,
            unanswered: None,
        })
    }

    /// The socket itself.
    pub(super) fn socket(&self) -> &UnixDatagram {
        &self.socket
    }

    /// Asks for a device, unless it has been asked for already, and waits for the answer. It
    /// never has two requests before it: of a device that is on its way it would say that it
    /// is there.
    ///
    /// # Errors
    /// There is no device.
    pub(super) async fn ask(
        &mut self,
        device: u16,
        must_exist: bool,
    ) -> Result<(Facts, Vec<OwnedFd>), NotOpened> {
        let is_that = |asked: Request| (asked.device, asked.must_exist) == (device, must_exist);
        if let Some(asked) = self.unanswered
            && !is_that(asked)
        {
            // Nobody waits for that device any more: it goes again.
            drop(self.answer().await);
        }
        if self.unanswered.is_none() {
            self.asked = self.asked.wrapping_add(1);
            let request = Request {
                number: self.asked,
                device,
                must_exist,
            };
            send(&self.socket, request.octets(), &[]).map_err(not_heard)?;
            self.unanswered = Some(request);
        }
        self.answer().await
    }

    /// The answer to the request that has none yet.
    async fn answer(&mut self) -> Result<(Facts, Vec<OwnedFd>), NotOpened> {
        loop {
            let (octets, queues) = self.next().await?;
            let Some(answer) = self.understand(&octets) else {
                continue;
            };
            return match answer {
                Ok(facts) => Ok((facts, queues)),
                Err(cause) => Err(NotOpened::Refused(cause)),
            };
        }
    }

    /// What is answered to the request that has no answer yet, if this is that.
    fn understand(&mut self, octets: &[u8]) -> Option<io::Result<Facts>> {
        let asked = self.unanswered?.number;
        let answer = match Answer::read(octets)? {
            Answer::Opened(number, facts) if number == asked => Ok(facts),
            Answer::Refused(number, error) if number == asked => {
                Err(io::Error::from_raw_os_error(error))
            }
            _ => return None,
        };
        self.unanswered = None;
        Some(answer)
    }

    async fn next(&self) -> Result<(Vec<u8>, Vec<OwnedFd>), NotOpened> {
        loop {
            let ready = self.socket.readable().await;
            ready.map_err(NotOpened::Refused)?;
            let came = self
                .socket
                .try_io(Interest::READABLE, || receive(&self.socket));
            match came {
                Ok(Came::Message(octets, queues)) => return Ok((octets, queues)),
                Ok(Came::End) => return Err(NotOpened::Ended),
                // Nothing has come after all.
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                Err(cause) => return Err(not_heard(cause)),
            }
        }
    }

    /// Waits until it is gone, which it should not be.
    pub(super) async fn ended(&mut self) {
        loop {
            match self.next().await {
                // An answer that comes too late: its device goes again.
                Ok((octets, _)) => drop(self.understand(&octets)),
                Err(NotOpened::Ended) => return,
                Err(NotOpened::Refused(_)) => std::future::pending().await,
            }
        }
    }
}

fn not_heard(cause: io::Error) -> NotOpened {
    match cause.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => NotOpened::Ended,
        _ => NotOpened::Refused(cause),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use tokio::time::timeout;

    use super::*;
    use crate::gateway::devices::Origin;

    const SHORT: Duration = Duration::from_millis(20);

    fn facts(index: u32) -> Facts {
        Facts {
            origin: Origin::Made,
            index,
            mtu: 1500,
        }
    }

    /// A connection, and the helper's end of it.
    fn pair() -> (Connection, OwnedFd) {
        let kind = SocketType::SEQPACKET;
        let pair = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None);
        let (own, its) = pair.unwrap();
        (Connection::over(own).unwrap(), its)
    }

    fn heard(helper: &OwnedFd) -> Request {
        match receive(helper).unwrap() {
            Came::Message(octets, _) => Request::read(&octets).unwrap(),
            Came::End => panic!("it is not the end"),
        }
    }

    /// Says this, with the end of a pipe for a queue; gives the pipe's other end.
    fn say(helper: &OwnedFd, answer: Answer) -> std::io::PipeReader {
        let (reader, writer) = std::io::pipe().unwrap();
        send(helper, answer.octets(), &[writer.into()]).unwrap();
        reader
    }

    fn is_held(queue: &mut std::io::PipeReader) -> bool {
        let mut waiting = [rustix::event::PollFd::new(
            queue,
            rustix::event::PollFlags::IN,
        )];
        let patience = rustix::event::Timespec::default();
        rustix::event::poll(&mut waiting, Some(&patience)).unwrap() == 0
    }

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn an_answer_that_comes_late_is_taken_by_who_asks_for_the_same_again() {
        run(async {
            let (mut connection, helper) = pair();
            assert!(timeout(SHORT, connection.ask(1, false)).await.is_err());
            let asked = heard(&helper);
            let mut queue = say(&helper, Answer::Opened(asked.number, facts(7)));
            let (known, queues) = connection.ask(1, false).await.unwrap();
            assert_eq!((known, queues.len()), (facts(7), 1));
            assert!(is_held(&mut queue));
            // It was asked once.
            rustix::io::ioctl_fionbio(&helper, true).unwrap();
            let nothing = receive(&helper).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        });
    }

    #[test]
    fn an_answer_that_nobody_waits_for_takes_its_device_with_it() {
        run(async {
            let (mut connection, helper) = pair();
            assert!(timeout(SHORT, connection.ask(1, false)).await.is_err());
            let asked = heard(&helper);
            // Another device is wanted by now, and then nobody asks.
            assert!(timeout(SHORT, connection.ask(0, false)).await.is_err());
            let mut queue = say(&helper, Answer::Opened(asked.number, facts(7)));
            assert!(timeout(SHORT, connection.ask(0, false)).await.is_err());
            assert!(!is_held(&mut queue));
            let asked = heard(&helper);
            assert_eq!(asked.device, 0);
            let mut queue = say(&helper, Answer::Opened(asked.number, facts(8)));
            assert!(timeout(SHORT, connection.ended()).await.is_err());
            assert!(!is_held(&mut queue));
            assert_eq!(connection.unanswered, None);
        });
    }

    #[test]
    fn refusals_garbage_and_the_end_are_told() {
        run(async {
            let (mut connection, helper) = pair();
            for garbage in [&[0; 64][..], b"x", &Answer::Ready.octets()] {
                rustix::io::write(&helper, garbage).unwrap();
            }
            say(&helper, Answer::Opened(99, facts(9)));
            say(&helper, Answer::Refused(1, 16));
            match connection.ask(0, true).await {
                Err(NotOpened::Refused(cause)) => assert_eq!(cause.raw_os_error(), Some(16)),
                other => panic!("{other:?}"),
            }
            drop(helper);
            connection.ended().await;
            let asked = connection.ask(0, true).await;
            assert!(matches!(asked, Err(NotOpened::Ended)), "{asked:?}");
        });
    }
}
