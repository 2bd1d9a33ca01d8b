//! A TUN device: made, or taken over where a persistent one exists.
//!
//! Owns the file descriptor. A device that was made here goes away with it; one
//! that an administrator made persistent stays. Addresses, routes and the
//! device's settings are [`routing`](super::routing)'s.
//!
//! Where several workers share it, it has a queue for each. Which of them gets a packet the
//! kernel draws by the flow, and learns from the queue by which an answer was written: so flows
//! come to the worker that has them.
//!
//! Packets come and go behind a virtio-net header ([`offload`](super::offload)): the
//! kernel leaves checksums unfinished and hands over segments of up to 64 KiB, which
//! cross the gateway as one packet.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, netdevice};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::GatewayError;
use crate::config;
use crate::net::Workers;

/// A queue of an open TUN device.
pub(super) struct TunDevice {
    device: SyncDevice,
    name: String,
    index: u32,
    origin: Origin,
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
    pub(super) fn of(name: &str) -> Self {
        match interface_index(name) {
            Ok(_) => Self::TakenOver,
            Err(_) => Self::Made,
        }
    }
}

impl TunDevice {
    /// Makes the device that `wanted` describes, or takes over the one that
    /// has its name, with a queue for each worker. It is not up yet.
    ///
    /// # Errors
    /// The kernel's refusal, with the device's name.
    pub(super) fn open(
        wanted: &config::Device,
        workers: Workers,
    ) -> Result<Vec<Self>, GatewayError> {
        let origin = Origin::of(&wanted.name);
        let opened = Self::try_open(&wanted.name, origin, workers);
        opened.map_err(|cause| GatewayError::Device {
            name: wanted.name.clone(),
            origin,
            workers,
            cause,
        })
    }

    fn try_open(name: &str, origin: Origin, workers: Workers) -> io::Result<Vec<Self>> {
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
        let index = interface_index(name)?;
        let mut devices = Vec::new();
        for _ in 1..workers.count() {
            devices.push(device.try_clone()?);
        }
        devices.insert(0, device);
        let queue = |device: SyncDevice| {
            device.set_nonblocking(true)?;
            Ok(Self {
                device,
                name: name.to_owned(),
                index,
                origin,
            })
        };
        devices.into_iter().map(queue).collect()
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The number that the kernel knows it by.
    pub(super) fn index(&self) -> u32 {
        self.index
    }

    /// Whether it was made here.
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// The largest packet that the kernel sends into it now.
    pub(super) fn mtu(&self) -> io::Result<u16> {
        self.device.mtu()
    }
}

impl AsFd for TunDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
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
pub(super) fn interface_index(name: &str) -> io::Result<u32> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(netdevice::name_to_index(socket, name)?)
}
