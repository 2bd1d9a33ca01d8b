//! A TUN device: made, or taken over where a persistent one exists.
//!
//! Owns the file descriptors. A device that was made here goes away with them; one
//! that an administrator made persistent stays. Addresses, routes and the
//! device's settings are [`routing`](crate::gateway::routing)'s.
//!
//! Where several workers share it, it has a queue for each, which is a descriptor. Which of them gets a packet the
//! kernel draws by the flow, and learns from the queue by which an answer was written: so flows
//! come to the worker that has them.
//!
//! Packets come and go behind a virtio-net header ([`offload`](crate::gateway::offload)): the
//! kernel leaves checksums unfinished and hands over segments of up to 64 KiB, which
//! cross the gateway as one packet.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, netdevice};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::gateway::GatewayError;
use crate::net::Workers;

/// An open TUN device.
#[derive(Debug)]
pub(in crate::gateway) struct TunDevice {
    /// Its name.
    pub(in crate::gateway) name: String,
    /// What the kernel says of it.
    pub(in crate::gateway) facts: Facts,
    /// Where its packets come and go: a queue for each worker.
    pub(in crate::gateway) queues: Vec<OwnedFd>,
}

/// What there is to know of an open device besides its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) struct Facts {
    /// Whether it was made here.
    pub(in crate::gateway) origin: Origin,
    /// The number that the kernel knows it by. Another of the same name has another.
    pub(in crate::gateway) index: u32,
    /// The largest packet that the kernel sent into it when it was opened.
    pub(in crate::gateway) mtu: u16,
}

/// Where a device comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Made here; goes away when closed.
    Made,
    /// It was there before and stays.
    TakenOver,
}

impl Origin {
    /// Where a device of this name would come from now.
    pub(in crate::gateway) fn of(name: &str) -> Self {
        match interface_index(name) {
            Ok(_) => Self::TakenOver,
            Err(_) => Self::Made,
        }
    }
}

impl TunDevice {
    /// Makes the device of this name, or takes over the one that has it, with a queue for
    /// each worker. It is not up yet.
    ///
    /// # Errors
    /// The kernel's refusal, with the device's name.
    pub(in crate::gateway) fn open(name: &str, workers: Workers) -> Result<Self, GatewayError> {
        let origin = Origin::of(name);
        let opened = Self::open_as(name, origin, workers);
        opened.map_err(|cause| GatewayError::Device {
            name: name.to_owned(),
            origin,
            workers,
            cause,
        })
    }

    /// The same, of a device that comes from there.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn open_as(name: &str, origin: Origin, workers: Workers) -> io::Result<Self> {
        // The kernel gives one with several queues to whoever comes.
        let is_in_use = workers != Workers::ONE && is_running(name);
        let builder = DeviceBuilder::new().name(name).layer(Layer::L3);
        let builder = builder.offload(true).multi_queue(workers != Workers::ONE);
        // It goes up when its settings are made.
        let device = builder.enable(false).build_sync()?;
        // The kernel fills in a pattern such as `tun%d`; rules name one device.
        if device.name()? != name {
            return Err(Errno::INVAL.into());
        }
        if is_in_use {
            return Err(Errno::BUSY.into());
        }
        let facts = Facts {
            origin,
            index: interface_index(name)?,
            mtu: device.mtu()?,
        };
        let mut queues = Vec::new();
        for _ in 1..workers.count() {
            queues.push(queue(&device.try_clone()?)?);
        }
        queues.insert(0, queue(&device)?);
        Ok(Self {
            name: name.to_owned(),
            facts,
            queues,
        })
    }
}

/// What is read from and written to. The crate's own handle is not needed any more.
fn queue(device: &SyncDevice) -> io::Result<OwnedFd> {
    device.set_nonblocking(true)?;
    device.as_fd().try_clone_to_owned()
}

/// Whether an interface of this name is up, and somebody is at its other end.
fn is_running(name: &str) -> bool {
    let mut interfaces = getifaddrs().into_iter().flatten();
    interfaces
        .any(|one| one.interface_name == name && one.flags.contains(InterfaceFlags::IFF_RUNNING))
}

/// The number that the kernel knows an interface by.
///
/// # Errors
/// `ENODEV` where there is none of this name.
pub(in crate::gateway) fn interface_index(name: &str) -> io::Result<u32> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(netdevice::name_to_index(socket, name)?)
}
