//! The live gateway: TUN devices around the engine.
//!
//! Owns everything that a running firewall needs besides judgement: the clock,
//! the devices, the host's routes into them, the threads that move packets, and
//! the wait for a signal to stop. Refuses to judge a packet, and to touch what
//! is not its own: it leaves the host as it found it.
//!
//! Life cycle:
//!
//! ```text
//! open devices -> set up addresses, routes, rules -> packet loops (a thread each) -> "gateway ready"
//!                                                    main thread: signals, control socket
//! SIGHUP, or the rule file has changed -> compile it -> swap it in between two bursts
//! a device is gone -> the helper opens it again -> addresses, routes, rules -> packet loops
//! SIGINT, SIGTERM, or a device is lost for good -> stop all loops -> undo all, newest first -> close devices
//! ```
//!
//! A packet loop is a plain thread over poll(2): it never waits for what the
//! async side does, nor for another loop. tokio drives what waits (netlink, signals, the rule file, the control
//! socket) on the main thread. What it wants of the engine it asks by errands.

mod before;
mod clock;
mod control;
mod counters;
mod devices;
mod errands;
mod error;
mod events;
#[cfg(test)]
mod far;
mod handover;
mod left_over;
mod life;
mod merging;
mod metrics;
mod netlink;
mod offload;
mod options;
mod packet_loop;
mod parts;
mod pinning;
mod port;
mod records;
mod reload;
mod routing;
pub mod sandbox;
mod service;
mod signals;
mod state;
mod steps;
mod stop;
mod sysctl;
mod tap;
mod watch;
mod workers;
mod workforce;

pub use clock::Clock;
pub use control::{ControlTrouble, LogFilter, SocketMode, SocketPlace, Wanted};
pub use counters::{DeviceCounters, Summary};
pub use devices::{HelperOptions, Origin, help};
pub use error::GatewayError;
pub use events::{EventOptions, EventPlace, EventRate};
pub use handover::HandoverCounters;
pub use metrics::MetricsAddress;
pub use options::{Leaves, Options, Sandbox, WorkersWanted};
pub use pinning::Pinning;
pub use reload::RuleFile;
pub use state::StatePlace;
pub use stop::on_stop;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::Notify;
use tracing::{error, info, warn};

use self::devices::{Attached, Helper, Recovery, TunDevice, loss_reports};
use self::life::Life;
use self::metrics::Metrics;
use self::parts::Parts;
use self::port::Port;
use self::reload::Reloader;
use self::routing::HostNetwork;
use self::sandbox::Confinement;
use self::service::Service;
use self::signals::{Signals, Told};
use self::state::Keeper;
use self::watch::Watch;
use self::workers::{Gathered, Running};
use crate::engine;
use crate::net::{Workers, Zones};

/// Runs the gateway that a rule file describes until SIGINT or SIGTERM. On SIGHUP, and
/// when it has changed, the file is read again.
///
/// # Errors
/// A device or the host's network could not be set up, or a device went away for good.
/// The host is left as [`Options::leaves`] says in every case.
pub fn run(file: RuleFile, options: Options) -> Result<Summary, GatewayError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(GatewayError::process("start the async runtime"))?
        .block_on(serve(file, options))
}

/// All that [`run`] would do to the host's network, as a script, one command a line.
#[must_use]
pub fn dry_run(file: &RuleFile, workers: Workers) -> String {
    steps::script(&file.devices, workers)
}

async fn serve(file: RuleFile, options: Options) -> Result<Summary, GatewayError> {
    // First of all: a signal during set-up must not leave half of it behind.
    let mut signals = Signals::listen()?;
    let devices = file.devices.iter();
    let devices = devices.map(|device| TunDevice::open(&device.name, options.workers));
    let devices = devices.collect::<Result<Vec<_>, _>>()?;
    // While nothing is given up yet, and there is no other thread.
    let helper = Helper::start(&file.devices, options.workers, options.sandbox);
    let helper = helper.inspect_err(|cause| {
        warn!(%cause, "the device helper cannot be started: a device that is lost is lost for good");
    });
    routing::warn_if_not_forwarding(&file.devices, &file.policy.zones);
    let mut host = HostNetwork::connect()?;
    let devices = (devices, helper.ok());
    let leaves = options.leaves;
    let served = serve_with(&mut host, &mut signals, devices, file, options).await;
    host.undo(leaves).await;
    served
}

/// Everything that may fail once `host` can be changed. Of each device there is a queue for
/// each worker.
async fn serve_with(
    host: &mut HostNetwork,
    signals: &mut Signals,
    (devices, helper): (Vec<TunDevice>, Option<Helper>),
    mut file: RuleFile,
    options: Options,
) -> Result<Summary, GatewayError> {
    let (mut parts, records) = Parts::open(&options)?;
    let (ports, attached) = attach(host, devices, &file, options.workers).await?;
    host.tell_of_others(&file.devices).await;
    let clock = Clock::start();
    let engine_options = engine::Options {
        seed: seed(&options)?,
        checksums: options.checksums,
    };
    let names = file.devices.iter().map(|device| device.name.as_str());
    let life = Life::new(clock, parts.event_queue()).with_devices(names);
    let life = Arc::new(life);
    let crew = workers::crew(options.workers, engine_options);
    let wanted = (engine_options, crew.as_ref());
    let (kept, engines) = match &options.state {
        Some(place) => {
            let (kept, engines) = state::resume(place, &file.policy, wanted, (clock, &life))?;
            (Some(kept), engines)
        }
        None => {
            let (options, crew) = wanted;
            (
                None,
                workers::engines(&file.policy, options, crew, clock.now()),
            )
        }
    };
    if let Some(engine) = engines.first() {
        // Rows that are gone, and that sessions still know, are in it.
        file.policy = Arc::clone(engine.policy());
    }
    let (mut gathered, workforce) = Gathered::gather(engines, (clock, &options), ports, records)?;
    let keeper = kept.map(|kept| {
        let life = Arc::clone(&life);
        Arc::new(Keeper::new(kept, workforce.clone(), life, clock))
    });
    let reloader = Arc::new(Reloader::new(file, workforce.clone(), Arc::clone(&life)));
    let (reports, losses) = loss_reports();
    gathered.report_losses(&reports);
    let workers = (workforce.clone(), options.workers);
    let mut recovery = Recovery::new(attached, losses, helper, workers, Arc::clone(&life));
    let metrics = Metrics::new(workforce.clone(), life, clock);
    if let Sandbox::Confined(user) = options.sandbox {
        confine(Confinement {
            user,
            // An editor puts another file in its place.
            reads: watch::directories(reloader.file()),
            // What it is told to write goes there alone.
            writes: parts
                .writes()
                .into_iter()
                .chain(options.capture_dir)
                .chain(keeper.iter().map(|keeper| keeper.directory()))
                .collect(),
        })?;
    }
    let watch = watch_over(reloader.file(), options.sandbox);
    if let Some(listener) = parts.start_events(clock, options.sandbox)? {
        gathered.log(&listener);
    }
    let running = gathered.start(options.sandbox)?;
    let asked = (options.log, Arc::clone(&reloader), keeper.clone());
    let mut served = parts.serve(workforce.clone(), asked, metrics, clock);
    if served.is_ok() {
        info!("gateway ready");
        let every = options.state.and_then(|place| place.every);
        let saving = keeper.as_ref().zip(every);
        let saving = saving.map(|(keeper, every)| keeper.keep_saving(every));
        let service = Service::ready(workforce);
        let (stop, lost) = (Notify::new(), Notify::new());
        let told = async {
            let reload = (watch.as_ref(), &*reloader);
            until_stopped(signals, (&running, &lost), reload, &service).await;
            stop.notify_one();
        };
        let recovered = async {
            let recovered = recovery.run(host, &stop).await;
            lost.notify_one();
            recovered
        };
        ((), served) = tokio::join!(told, recovered);
        service.stopping();
        if let Some(saving) = saving {
            saving.abort();
        }
    }
    let (stopped, engines) = running.stop();
    if let Some(keeper) = &keeper
        && !engines.is_empty()
    {
        // Whatever came of it was said.
        let _ = keeper.save_at_rest(&engines);
    }
    parts.close().await;
    served.and(stopped)
}

/// Sets the devices up on the host; gives the ports of each worker.
async fn attach(
    host: &mut HostNetwork,
    devices: Vec<TunDevice>,
    file: &RuleFile,
    workers: Workers,
) -> Result<(Vec<Vec<Port<OwnedFd>>>, Vec<Attached>), GatewayError> {
    let mut ports: Vec<_> = workers.all().map(|_| Vec::new()).collect();
    let mut attached = Vec::new();
    for (mut device, wanted) in devices.into_iter().zip(&file.devices) {
        host.clean(&mut device, wanted).await?;
        host.attach(&device, wanted).await?;
        info!(
            device = device.name,
            zones = zone_names(&file.policy.zones, &wanted.zones),
            mtu = wanted.mtu,
            taken_over = device.facts.origin == Origin::TakenOver,
            "device up"
        );
        for (ports, queue) in ports.iter_mut().zip(device.queues) {
            ports.push(Port::new(&wanted.name, queue, &wanted.zones));
        }
        attached.push(Attached {
            wanted: wanted.clone(),
            facts: device.facts,
        });
    }
    Ok((ports, attached))
}

/// Does what signals and a changed rule file want, until the gateway is to end, a packet
/// loop has ended, or a device is lost for good.
async fn until_stopped(
    signals: &mut Signals,
    (running, lost): (&Running, &Notify),
    (watch, reloader): (Option<&Watch>, &Reloader),
    service: &Service,
) {
    loop {
        tokio::select! {
            signal = signals.next() => match signal {
                Told::Stop(name) => {
                    info!(signal = name, "stopping");
                    return;
                }
                Told::Reload => reload(reloader, service).await,
            },
            () = running.ended() => return,
            () = lost.notified() => return,
            () = changed(watch, reloader) => reload(reloader, service).await,
        }
    }
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
