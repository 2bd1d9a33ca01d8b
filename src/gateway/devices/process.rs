//! The helper's own life: a process that opens the gateway's devices again, and does
//! nothing else.
//!
//! It was told at its start which devices there are. By its socket, which is its standard
//! input, it is asked for one of them by number, and answers with its descriptors, of which it
//! keeps none. It ends when nobody is at the other end any more, however the gateway ended;
//! signals that end a gateway do not end it, so that it is there until then.

use std::io::{self, stdin};
use std::os::fd::AsFd;

use nix::sys::signal::{SigSet, Signal};
use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};

use super::device::{Origin, TunDevice};
use super::message::{Answer, Came, Request, receive, send};
use crate::gateway::sandbox;
use crate::gateway::{GatewayError, Sandbox};
use crate::net::Workers;

/// What the helper is told at its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperOptions {
    /// The devices, in the gateway's order.
    pub devices: Vec<String>,
    /// How many queues each has.
    pub workers: Workers,
    /// What it gives up.
    pub sandbox: Sandbox,
}

/// Opens devices for the gateway at the other end of standard input, until that is gone.
///
/// # Errors
/// Nobody can be there, or privileges could not be given up.
pub fn help(options: &HelperOptions) -> Result<(), GatewayError> {
    // A name in listings; it works without one.
    let _ = rustix::thread::set_name(c"device-helper");
    let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];
    let blocked = SigSet::from_iter(signals).thread_block();
    blocked.map_err(|errno| GatewayError::process("block signals")(errno.into()))?;
    let socket = stdin();
    if sockopt::socket_type(&socket) != Ok(SocketType::SEQPACKET) {
        let cause = io::Error::other("`spigate run` starts it");
        return Err(GatewayError::process("help a gateway")(cause));
    }
    if let Sandbox::Confined(user) = options.sandbox {
        // What the kernel does not have the gateway tells of itself.
        sandbox::confine_helper(user)?;
    }
    let talked = talk(&socket, options);
    talked.map_err(GatewayError::process("hear the gateway"))
}

fn talk(socket: impl AsFd, options: &HelperOptions) -> io::Result<()> {
    send(&socket, Answer::Ready.octets(), &[])?;
    loop {
        let request = match receive(&socket)? {
            // Descriptors are for nobody here.
            Came::Message(octets, _) => Request::read(&octets),
            Came::End => return Ok(()),
        };
        let Some(request) = request else {
            continue;
        };
        let (answer, queues) = match open(request, options) {
            Ok(device) => (Answer::Opened(request.number, device.facts), device.queues),
            Err(cause) => {
                let error = Errno::from_io_error(&cause).unwrap_or(Errno::INVAL);
                let refused = Answer::Refused(request.number, error.raw_os_error());
                (refused, Vec::new())
            }
        };
        match send(&socket, answer.octets(), &queues) {
            // One that does not listen hears nothing.
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
            Err(cause) if cause.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            sent => sent?,
        }
    }
}

fn open(request: Request, options: &HelperOptions) -> io::Result<TunDevice> {
    let name = options.devices.get(usize::from(request.device));
    let name = name.ok_or(Errno::NOENT)?;
    let origin = Origin::of(name);
    if request.must_exist && origin == Origin::Made {
        return Err(Errno::NODEV.into());
    }
    TunDevice::open_as(name, origin, options.workers)
}
