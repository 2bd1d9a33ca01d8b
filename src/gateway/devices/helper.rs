//! The gateway's end of the helper: a process that can still open devices when the gateway
//! no longer can.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};
use tokio::time::timeout;
use tracing::warn;

use super::connection::{Connection, NotOpened};
use super::device::TunDevice;
use super::message::{Answer, Came, receive};
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
    connection: Connection,
    process: Child,
    names: Vec<String>,
    workers: Workers,
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
        let connection = Connection::over(own)?;
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
            connection,
            process,
            names,
            workers,
        };
        helper.wait_until_ready()?;
        Ok(helper)
    }

    /// Whatever else waits has to: nothing moves yet.
    fn wait_until_ready(&self) -> io::Result<()> {
        let mut waiting = [PollFd::new(self.connection.socket(), PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
        if rustix::io::retry_on_intr(|| poll(&mut waiting, Some(&patience)))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match receive(self.connection.socket())? {
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
        let answer = timeout(PATIENCE, self.connection.ask(device, must_exist)).await;
        let late = |_| NotOpened::Refused(io::ErrorKind::TimedOut.into());
        let (facts, queues) = answer.map_err(late)??;
        if queues.len() != usize::from(self.workers.count()) {
            return Err(NotOpened::Refused(io::ErrorKind::InvalidData.into()));
        }
        Ok(TunDevice {
            name,
            facts,
            queues,
        })
    }

    /// Waits until it is gone, which it should not be.
    pub(super) async fn ended(&mut self) {
        self.connection.ended().await;
    }
}

impl Drop for Helper {
    /// Ends it, and waits for its end.
    fn drop(&mut self) {
        let _ = shutdown(self.connection.socket(), Shutdown::Both);
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
