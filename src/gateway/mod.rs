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
//! SIGHUP, or the rule file has changed -> compile it -> swap it in between two bursts
//! SIGINT, SIGTERM, or a device is gone -> stop the loop -> undo all, newest first -> close devices
//! ```
//!
//! The packet loop is a plain thread over poll(2): it never waits for what the
//! async side does. tokio drives what waits (netlink, signals, the rule file, the control
//! socket) on the main thread. What it wants of the engine it asks by errands.

mod clock;
mod control;
mod counters;
mod device;
mod errands;
mod error;
mod events;
#[cfg(test)]
mod far;
mod life;
mod metrics;
mod offload;
mod packet_loop;
mod port;
mod records;
mod reload;
mod routing;
pub mod sandbox;
mod service;
mod state;
mod steps;
mod stop;
mod sysctl;
mod tap;
mod watch;

pub use clock::Clock;
pub use control::{ControlTrouble, LogFilter, SocketMode, SocketPlace, Wanted};
pub use counters::{DeviceCounters, Summary};
pub use device::Origin;
pub use error::GatewayError;
pub use events::{EventOptions, EventPlace, EventRate};
pub use metrics::MetricsAddress;
pub use reload::RuleFile;
pub use state::StatePlace;
pub use stop::on_stop;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{EventfdFlags, eventfd};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use self::control::ControlSocket;
use self::device::TunDevice;
use self::errands::Errands;
use self::life::Life;
use self::metrics::{Metrics, MetricsServer};
use self::packet_loop::PacketLoop;
use self::port::Port;
use self::records::Records;
use self::reload::Reloader;
use self::routing::HostNetwork;
use self::sandbox::{Confinement, User};
use self::service::Service;
use self::state::Keeper;
use self::watch::Watch;
use crate::config::Device;
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
    /// What it gives up once its devices are open.
    pub sandbox: Sandbox,
    /// A directory for captures, besides that of the control socket.
    pub capture_dir: Option<PathBuf>,
    /// The socket at which it is asked and told; `None`: there is none.
    pub control: Option<SocketPlace>,
    /// Where it tells metrics over HTTP; `None`: nowhere.
    pub metrics: Option<MetricsAddress>,
    /// Where it writes what happens; `None`: nowhere.
    pub events: Option<EventOptions>,
    /// Where it keeps what it knows of sessions; `None`: nowhere.
    pub state: Option<StatePlace>,
    /// Changes what it says of its life; `None`: that stays as it is.
    pub log: Option<LogFilter>,
}

/// What a gateway gives up once its devices are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sandbox {
    /// Everything but what it needs; it becomes the user, where one is named.
    Confined(Option<User>),
    /// Nothing.
    Open,
}

impl Sandbox {
    /// Leaves a thread no capability: it opens and writes files.
    fn keep_no_capability(self) -> Result<(), GatewayError> {
        match self {
            Self::Confined(_) => sandbox::keep_no_capability(),
            Self::Open => Ok(()),
        }
    }

    /// Confines a thread that has all that it works on.
    fn confine_worker(self) -> Result<(), GatewayError> {
        match self {
            Self::Confined(_) => sandbox::confine_worker(),
            Self::Open => Ok(()),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: None,
            checksums: Checksums::Verify,
            mapping_log: None,
            sandbox: Sandbox::Confined(None),
            capture_dir: None,
            control: None,
            metrics: None,
            events: None,
            state: None,
            log: None,
        }
    }
}

/// Runs the gateway that a rule file describes until SIGINT or SIGTERM. On SIGHUP, and
/// when it has changed, the file is read again.
///
/// # Errors
/// A device or the host's network could not be set up, or a device went away.
/// The host is as it was before in every case.
pub fn run(file: RuleFile, options: Options) -> Result<Summary, GatewayError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(GatewayError::process("start the async runtime"))?
        .block_on(serve(file, options))
}

/// All that [`run`] would do to the host's network, as a script, one command a line.
#[must_use]
pub fn dry_run(file: &RuleFile) -> String {
    steps::script(&file.devices)
}

async fn serve(file: RuleFile, options: Options) -> Result<Summary, GatewayError> {
    // First of all: a signal during set-up must not leave half of it behind.
    let mut signals = Signals::listen()?;
    let devices = open_devices(&file.devices)?;
    routing::warn_if_not_forwarding(&file.devices, &file.policy.zones);
    let mut host = HostNetwork::connect()?;
    let served = serve_with(&mut host, &mut signals, devices, file, options).await;
    host.undo().await;
    served
}

fn open_devices(devices: &[Device]) -> Result<Vec<TunDevice>, GatewayError> {
    devices.iter().map(TunDevice::open).collect()
}

/// Everything that may fail once `host` can be changed.
async fn serve_with(
    host: &mut HostNetwork,
    signals: &mut Signals,
    devices: Vec<TunDevice>,
    mut file: RuleFile,
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
    let mut http = options.metrics.map(MetricsServer::open).transpose()?;
    let events = options.events.clone().map(events::Opened::open);
    let events = events.transpose()?;
    let mut ports = Vec::with_capacity(devices.len());
    for (device, wanted) in devices.into_iter().zip(&file.devices) {
        host.attach(&device, wanted).await?;
        info!(
            device = device.name(),
            zones = zone_names(&file.policy.zones, &wanted.zones),
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
    let (errands, basket) = Errands::new()?;
    let queue = events.as_ref().map(events::Opened::queue);
    let life = Arc::new(Life::new(clock, queue));
    let (kept, engine) = match &options.state {
        Some(place) => {
            let (kept, engine) =
                state::resume(place, &file.policy, engine_options, (clock, &life))?;
            (Some(kept), engine)
        }
        None => {
            let policy = Arc::clone(&file.policy);
            (None, Engine::new(policy, engine_options, clock.now()))
        }
    };
    // Rows that are gone, and that sessions still know, are in it.
    file.policy = Arc::clone(engine.policy());
    let keeper = kept.map(|kept| {
        let life = Arc::clone(&life);
        Arc::new(Keeper::new(kept, errands.clone(), life, clock))
    });
    let reloader = Arc::new(Reloader::new(file, errands.clone(), Arc::clone(&life)));
    let metrics = Metrics::new(errands.clone(), life, clock);
    if let Sandbox::Confined(user) = options.sandbox {
        let socket = control.as_ref().map(ControlSocket::directory);
        confine(Confinement {
            user,
            // An editor puts another file in its place.
            reads: watch::directories(reloader.file()),
            // What it is told to write goes there alone.
            writes: socket
                .into_iter()
                .chain(options.capture_dir)
                .chain(events.iter().flat_map(events::Opened::directories))
                .chain(keeper.iter().map(|keeper| keeper.directory()))
                .collect(),
        })?;
    }
    let watch = watch_over(reloader.file(), options.sandbox);
    let mut packet_loop = PacketLoop::new(engine, clock, ports, records, basket);
    let mut event_log = None;
    if let Some(events) = events {
        let (log, listener) = events.start(clock, options.sandbox)?;
        packet_loop.log(listener);
        event_log = Some(log);
    }
    let (leave, mut left) = oneshot::channel();
    if keeper.is_some() {
        packet_loop.leave_to(leave);
    }
    let mut running = Running::start(packet_loop, options.sandbox)?;
    let served = match &mut http {
        Some(http) => http.serve(metrics.clone()),
        None => Ok(()),
    };
    let served = served.and_then(|()| match &mut control {
        Some(control) => {
            let reloader = Some(Arc::clone(&reloader));
            let rest = (options.log, reloader, keeper.clone());
            control.serve(errands.clone(), rest, metrics, clock)
        }
        None => Ok(()),
    });
    if served.is_ok() {
        info!("gateway ready");
        let every = options.state.and_then(|place| place.every);
        let saving = keeper.as_ref().zip(every);
        let saving = saving.map(|(keeper, every)| keeper.keep_saving(every));
        let service = Service::ready(errands);
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Told::Stop(name) => {
                        info!(signal = name, "stopping");
                        break;
                    }
                    Told::Reload => reload(&reloader, &service).await,
                },
                () = running.ended() => break,
                () = changed(watch.as_ref(), &reloader) => reload(&reloader, &service).await,
            }
        }
        service.stopping();
        if let Some(saving) = saving {
            saving.abort();
        }
    }
    let stopped = running.stop();
    if let (Some(keeper), Ok(engine)) = (&keeper, left.try_recv()) {
        // Whatever came of it was said.
        let _ = keeper.save_at_rest(&engine);
    }
    if let Some(http) = http {
        http.close().await;
    }
    if let Some(control) = control {
        control.close().await;
    }
    if let Some(log) = event_log {
        log.close().await;
    }
    served.and(stopped)
}

/// Gives up what is not needed from here on, and tells what could not be.
fn confine(confinement: Confinement) -> Result<(), GatewayError> {
    for missing in sandbox::confine(&confinement)? {
        warn!(%missing, "this kernel confines the gateway less than others do");
    }
    Ok(())
}

/// The watch over the rule file. Without one the gateway hears signals still.
fn watch_over(file: &Path, sandbox: Sandbox) -> Option<Watch> {
    let watch = Watch::over(file, sandbox);
    let told = watch.inspect_err(|cause| {
        warn!(%cause, "cannot watch the rule file: it is read again on SIGHUP only");
    });
    told.ok()
}

/// Waits until the rule file has changed.
async fn changed(watch: Option<&Watch>, reloader: &Reloader) {
    match watch {
        Some(watch) => watch.changed(reloader).await,
        None => std::future::pending().await,
    }
}

/// Has the rule file take over, and says what came of it.
async fn reload(reloader: &Reloader, service: &Service) {
    service.reloading();
    match reloader.reload().await {
        Ok(reloaded) => info!("{reloaded}"),
        Err(refusal) => error!("rules not reloaded, the old ones stay: {refusal}"),
    }
    service.reloaded();
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

/// The signals that the gateway listens to.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

/// What a signal says.
enum Told {
    /// The gateway is to end, by the signal of this name.
    Stop(&'static str),
    /// The rule file is to be read again.
    Reload,
}

impl Signals {
    fn listen() -> Result<Self, GatewayError> {
        let listen = |kind| signal(kind).map_err(GatewayError::process("listen for signals"));
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    /// What the next one says.
    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.hangup.recv() => Told::Reload,
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
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
    fn start(packet_loop: PacketLoop<TunDevice>, sandbox: Sandbox) -> Result<Self, GatewayError> {
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
                packet_loop.run(&*heard, || sandbox.confine_worker())
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
