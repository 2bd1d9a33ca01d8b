//! The gateway's end of the helper: a process that can still open devices when the gateway
//! no longer can.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::time::timeout;
use tracing::warn;

use super::device::{Facts, TunDevice};
use super::message::{Answer, Came, Request, receive, send};
use crate::config;
use crate::gateway::Sandbox;
use crate::gateway::sandbox::User;
use crate::net::Workers;

/// This very program, whatever its file has become.
const ITSELF: &str = "/proc/self/exe";
/// How long its start, and each answer, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long its end may take, and how often it is looked for.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: usize = 100;

/// The helper, while the gateway lives.
#[derive(Debug)]
pub(in crate::gateway) struct Helper {
    /// It keeps messages apart, as the type says, and tells the end too.
    socket: UnixDatagram,
    process: Child,
    names: Vec<String>,
    workers: Workers,
    /// The number of the last request.
    asked: u32,
}

/// Why there is no device.
#[derive(Debug)]
pub(super) enum NotOpened {
    /// The kernel said no.
    Refused(io::Error),
    /// The helper is gone.
    Ended,
}

impl Helper {
    /// Starts it, and waits until it is ready. To be called while the gateway has all of
    /// its privileges, inside a tokio runtime.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time.
    pub(in crate::gateway) fn start(
        devices: &[config::Device],
        workers: Workers,
        sandbox: Sandbox,
    ) -> io::Result<Self> {
        let kind = SocketType::SEQPACKET;
        let (own, its) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        rustix::io::ioctl_fionbio(&own, true)?;
        let socket = UnixDatagram::from_std(net::UnixDatagram::from(own))?;
        let names: Vec<_> = devices.iter().map(|device| device.name.clone()).collect();
        let mut command = Command::new(ITSELF);
        command.arg0("spigate").arg("device-helper");
        command.args(["--queues", &workers.count().to_string()]);
        match sandbox {
            Sandbox::Open => {
                command.arg("--no-sandbox");
            }
            Sandbox::Confined(Some(User { uid, gid })) => {
                command.args(["--uid", &uid.to_string(), "--gid", &gid.to_string()]);
            }
            Sandbox::Confined(None) => {}
        }
        let process = command
            .arg("--")
            .args(&names)
            .env_clear()
            .current_dir("/")
            .stdin(its)
            .stdout(Stdio::null())
            .spawn()?;
        // Its end of the socket is its own alone by now.
        drop(command);
        let helper = Self {
            socket,
            process,
            names,
            workers,
            asked: 0,
        };
        helper.wait_until_ready()?;
        Ok(helper)
    }

    /// Whatever else waits has to: nothing moves yet.
    fn wait_until_ready(&self) -> io::Result<()> {
        let mut waiting = [PollFd::new(&self.socket, PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
        if rustix::io::retry_on_intr(|| poll(&mut waiting, Some(&patience)))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match receive(&self.socket)? {
            Came::Message(octets, _) if Answer::read(&octets) == Some(Answer::Ready) => Ok(()),
            Came::Message(..) | Came::End => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Has it make or take over the device at this place among all; only take over where
    /// it `must_exist`. Whoever stops waiting may ask again.
    ///
    /// # Errors
    /// There is no device.
    pub(super) async fn open(
        &mut self,
        device: usize,
        must_exist: bool,
    ) -> Result<TunDevice, NotOpened> {
        let name = self.names.get(device).cloned();
        let (Some(name), Ok(device)) = (name, u16::try_from(device)) else {
            return Err(NotOpened::Refused(io::ErrorKind::NotFound.into()));
        };
        self.asked = self.asked.wrapping_add(1);
        let request = Request {
            number: self.asked,
            device,
            must_exist,
        };
        send(&self.socket, request.octets(), &[]).map_err(not_heard)?;
        let answer = timeout(PATIENCE, self.answer(request.number)).await;
        let late = |_| NotOpened::Refused(io::ErrorKind::TimedOut.into());
        let (facts, queues) = answer.map_err(late)??;
        Ok(TunDevice {
            name,
            facts,
            queues,
        })
    }

    /// The answer to the request of this number.
    async fn answer(&self, asked: u32) -> Result<(Facts, Vec<OwnedFd>), NotOpened> {
        loop {
            let (octets, queues) = self.next().await?;
            match Answer::read(&octets) {
                Some(Answer::Opened(number, facts)) if number == asked => {
                    if queues.len() != usize::from(self.workers.count()) {
                        return Err(NotOpened::Refused(io::ErrorKind::InvalidData.into()));
                    }
                    return Ok((facts, queues));
                }
                Some(Answer::Refused(number, error)) if number == asked => {
                    return Err(NotOpened::Refused(io::Error::from_raw_os_error(error)));
                }
                // An answer that nobody waits for any more: its device goes again.
                _ => {}
            }
        }
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
    pub(super) async fn ended(&self) {
        loop {
            match self.next().await {
                Ok(_) => {}
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

impl Drop for Helper {
    /// Ends it, and waits for its end.
    fn drop(&mut self) {
        let _ = shutdown(&self.socket, Shutdown::Both);
        if has_ended(&mut self.process) {
            return;
        }
        warn!("the device helper does not end, and is killed");
        let _ = self.process.kill();
        has_ended(&mut self.process);
    }
}

fn has_ended(process: &mut Child) -> bool {
    (0..LOOKS).any(|look| {
        if look > 0 {
            sleep(LOOK);
        }
        // One that cannot be asked for any more is gone too.
        !matches!(process.try_wait(), Ok(None))
    })
}
