//! The live gateway: TUN devices around the engine.
//!
//! Owns everything that a running firewall needs besides judgement: the clock,
//! the devices, the host's routes into them, the thread that moves packets, and
//! the wait for a signal to stop. Refuses to judge a packet, and to touch what
//! is not its own: it leaves the host as it found it.
//!
//! Life cycle:
//!
//! ```text
//! open devices -> set up addresses, routes, rules -> packet loop (a thread)  -> "gateway ready"
//!                                                    main thread: signals, control socket
//! SIGINT, SIGTERM, or a device is gone -> stop the loop -> undo all, newest first -> close devices
//! ```
//!
//! The packet loop is a plain thread over poll(2): it never waits for what the
//! async side does. tokio drives what waits (netlink, signals, the control socket;
//! later reloads) on the main thread.

mod clock;
mod control;
mod counters;
mod device;
mod errands;
mod error;
mod packet_loop;
mod port;
mod records;
mod routing;
mod sysctl;
mod tap;

pub use control::{ControlTrouble, LogFilter, SocketMode, SocketPlace, Wanted};
pub use counters::{DeviceCounters, Summary};
pub use device::Origin;
pub use error::GatewayError;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, eventfd};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing::info;

use self::clock::Clock;
use self::control::ControlSocket;
use self::device::TunDevice;
use self::errands::Errands;
use self::packet_loop::PacketLoop;
use self::port::Port;
use self::records::Records;
use self::routing::HostNetwork;
use crate::config::Compiled;
use crate::engine::{self, Checksums, Engine};
use crate::net::Zones;

/// How the gateway runs, besides what the rule file says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where all random-looking choices come from; `None`: from the kernel's
    /// randomness, so that nobody outside can foresee them.
    pub seed: Option<u64>,
    /// What to do about the checksums of arriving packets.
    pub checksums: Checksums,
    /// The file to which the mapping log is appended; `None`: its records go to
    /// the log of all else.
    pub mapping_log: Option<PathBuf>,
    /// The socket at which it is asked and told; `None`: there is none.
    pub control: Option<SocketPlace>,
    /// Changes what it says of its life; `None`: that stays as it is.
    pub log: Option<LogFilter>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: None,
            checksums: Checksums::Verify,
            mapping_log: None,
            control: None,
            log: None,
        }
    }
}

/// Runs the gateway that `compiled` describes until SIGINT or SIGTERM.
///
/// # Errors
/// A device or the host's network could not be set up, or a device went away.
/// The host is as it was before in every case.
pub fn run(compiled: Compiled, options: Options) -> Result<Summary, GatewayError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(GatewayError::process("start the async runtime"))?
        .block_on(serve(compiled, options))
}

async fn serve(compiled: Compiled, options: Options) -> Result<Summary, GatewayError> {
    // First of all: a signal during set-up must not leave half of it behind.
    let mut signals = Signals::listen()?;
    let devices = open_devices(&compiled)?;
    routing::warn_if_not_forwarding(&compiled.devices, &compiled.policy.zones);
    let mut host = HostNetwork::connect()?;
    let served = serve_with(&mut host, &mut signals, devices, compiled, options).await;
    host.undo().await;
    served
}

fn open_devices(compiled: &Compiled) -> Result<Vec<TunDevice>, GatewayError> {
    compiled.devices.iter().map(TunDevice::open).collect()
}

/// Everything that may fail once `host` can be changed.
async fn serve_with(
    host: &mut HostNetwork,
    signals: &mut Signals,
    devices: Vec<TunDevice>,
    compiled: Compiled,
    options: Options,
) -> Result<Summary, GatewayError> {
    let records = match &options.mapping_log {
        Some(file) => Records::open(file)?,
        None => Records::told(),
    };
    let mut control = match &options.control {
        Some(place) => ControlSocket::open(place)?,
        None => None,
    };
    let mut ports = Vec::with_capacity(devices.len());
    for (device, wanted) in devices.into_iter().zip(&compiled.devices) {
        host.attach(&device, wanted).await?;
        info!(
            device = device.name(),
            zones = zone_names(&compiled.policy.zones, &wanted.zones),
            mtu = wanted.mtu,
            taken_over = device.origin() == Origin::TakenOver,
            "device up"
        );
        ports.push(Port {
            name: wanted.name.clone(),
            fd: device,
            zones: wanted.zones.clone(),
        });
    }
    let clock = Clock::start();
    let engine_options = engine::Options {
        seed: seed(&options)?,
        checksums: options.checksums,
    };
    let engine = Engine::new(Arc::new(compiled.policy), engine_options, clock.now());
    let (errands, basket) = Errands::new()?;
    let mut running = Running::start(PacketLoop::new(engine, clock, ports, records, basket))?;
    let served = match &mut control {
        Some(control) => control.serve(errands, options.log, clock),
        None => Ok(()),
    };
    if served.is_ok() {
        info!("gateway ready");
        tokio::select! {
            name = signals.next() => info!(signal = name, "stopping"),
            () = running.ended() => {}
        }
    }
    let stopped = running.stop();
    if let Some(control) = control {
        control.close().await;
    }
    served.and(stopped)
}

fn zone_names(zones: &Zones, ids: &[crate::net::ZoneId]) -> String {
    let names: Vec<_> = ids.iter().map(|id| zones.name(*id)).collect();
    names.join(",")
}

fn seed(options: &Options) -> Result<u64, GatewayError> {
    if let Some(seed) = options.seed {
        return Ok(seed);
    }
    let mut bytes = [0; 8];
    // Eight bytes are never given in part once the kernel has any randomness.
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|errno| GatewayError::process("draw a random seed")(errno.into()))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// The signals that end the gateway.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, GatewayError> {
        let listen = |kind| signal(kind).map_err(GatewayError::process("listen for signals"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// The packet loop in its thread.
struct Running {
    thread: JoinHandle<(Summary, Result<(), GatewayError>)>,
    stop: Arc<OwnedFd>,
    /// Resolves when the thread is done, in whichever way.
    done: oneshot::Receiver<()>,
}

impl Running {
    fn start(packet_loop: PacketLoop<TunDevice>) -> Result<Self, GatewayError> {
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| GatewayError::process("make an eventfd")(errno.into()))?;
        let stop = Arc::new(stop);
        let (tell, done) = oneshot::channel();
        let heard = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("packet-loop".into())
            .spawn(move || {
                // Dropped at the end, also when the loop panics.
                let _tell: oneshot::Sender<()> = tell;
                packet_loop.run(&*heard)
            })
            .map_err(GatewayError::process("start the packet loop"))?;
        Ok(Self { thread, stop, done })
    }

    /// Waits until the loop has ended by itself.
    async fn ended(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        let _ = (&mut self.done).await;
    }

    /// Ends the loop, if it has not ended yet, and tells what it counted.
    fn stop(self) -> Result<Summary, GatewayError> {
        rustix::io::write(&*self.stop, &1_u64.to_ne_bytes())
            .map_err(|errno| GatewayError::process("stop the packet loop")(errno.into()))?;
        let (summary, ended) = self.thread.join().map_err(|_| GatewayError::LoopPanicked)?;
        summary.log();
        ended.map(|()| summary)
    }
}
