//! One interface that is listened to.

use std::io;
use std::num::NonZeroU16;
use std::os::fd::{IntoRawFd, OwnedFd};

use nix::ifaddrs::getifaddrs;
use pnet_datalink::{Channel, Config, DataLinkReceiver, NetworkInterface, interfaces};
use rustix::io::Errno;
use rustix::net::netdevice::index_to_name;
use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, socket_error,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tracing::{info, warn};

use super::BEAT;
use super::drops::Drops;
use super::error::ListenError;
use crate::capture::{CapturedPacket, LinkType};
use crate::net::Timestamp;

/// What the kernel keeps for us while we do something else, as far as it lets us have it.
const KERNEL_BUFFER: usize = 16 << 20;

/// The longest frame: what offloads put together, with what stands before it.
const LONGEST_FRAME: usize = (512 << 10) + 64;

/// What a link carries where that cannot be found out.
const USUAL_MTU: NonZeroU16 = NonZeroU16::new(1500).unwrap();

/// Whether frames to other hosts are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Promiscuity {
    /// They are: the interface takes in all that its link shows it.
    All,
    /// They are not: the interface stays as it is.
    Own,
}

/// An interface that is listened to.
pub struct Listener {
    name: String,
    index: u32,
    link: LinkType,
    mtu: NonZeroU16,
    receiver: Box<dyn DataLinkReceiver>,
    /// The same socket, for what cannot be asked of the receiver.
    socket: OwnedFd,
}

/// Whether anything can be heard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Up,
    Down,
}

impl Listener {
    /// Opens one. From here on the kernel keeps what it hears.
    ///
    /// # Errors
    /// Why it cannot be listened to.
    pub fn open(name: &str, promiscuity: Promiscuity) -> Result<Self, ListenError> {
        let found = find(name)?;
        let link = link_type(&found)?;
        let (receiver, socket) = open(&found, promiscuity).map_err(|cause| ListenError::Open {
            name: name.to_owned(),
            cause,
        })?;
        Ok(Self {
            name: name.to_owned(),
            index: found.index,
            link,
            mtu: mtu(name),
            receiver,
            socket,
        })
    }

    /// The longest IP packet of its link.
    #[must_use]
    pub fn mtu(&self) -> NonZeroU16 {
        self.mtu
    }

    /// Who tells what the kernel had no room for.
    pub(super) fn drops(&self) -> Option<Drops> {
        Drops::of(&self.socket).ok()
    }

    /// Tells what it hears, until `tell` says that this is enough: a packet, or nothing for
    /// a while, or why there will be nothing any more.
    pub(super) fn listen(
        mut self,
        clock: &impl Fn() -> Timestamp,
        mut tell: impl FnMut(Result<Option<CapturedPacket>, ListenError>) -> bool,
    ) {
        let mut carrier = Carrier::Up;
        loop {
            let heard = match self.receiver.next() {
                Ok(frame) => {
                    let time = clock();
                    let data = frame.to_vec();
                    if carrier == Carrier::Down {
                        carrier = Carrier::Up;
                        info!(interface = self.name, "is up again");
                    }
                    Ok(Some(CapturedPacket {
                        time,
                        link: self.link,
                        original_length: u32::try_from(data.len()).unwrap_or(u32::MAX),
                        data,
                        offset: 0,
                    }))
                }
                Err(cause) => self.silence(&mut carrier, cause).map(|()| None),
            };
            let is_last = heard.is_err();
            if !tell(heard) || is_last {
                return;
            }
        }
    }

    /// Why nothing came: an error, where nothing will come any more.
    fn silence(&self, carrier: &mut Carrier, cause: io::Error) -> Result<(), ListenError> {
        let errno = match cause.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {
                None
            }
            // Where the socket has an error and no frame, the receiver does not name it.
            _ => Errno::from_io_error(&cause).or_else(|| socket_error(&self.socket).ok()?.err()),
        };
        let is_there = || index_to_name(&self.socket, self.index).is_ok();
        let gone = || ListenError::Gone {
            name: self.name.clone(),
        };
        match (errno, *carrier) {
            (None, Carrier::Up) => Ok(()),
            // One that is deleted goes down first.
            (None, Carrier::Down) if is_there() => Ok(()),
            (Some(Errno::NETDOWN), _) if is_there() => {
                *carrier = Carrier::Down;
                warn!(
                    interface = self.name,
                    "is down: nothing is heard until it is up"
                );
                Ok(())
            }
            (None, Carrier::Down) | (Some(Errno::NETDOWN | Errno::NODEV | Errno::NXIO), _) => {
                Err(gone())
            }
            (Some(errno), _) => Err(ListenError::Read {
                name: self.name.clone(),
                cause: errno.into(),
            }),
        }
    }
}

fn find(name: &str) -> Result<NetworkInterface, ListenError> {
    let all = interfaces();
    let mut present: Vec<_> = all.iter().map(|one| one.name.clone()).collect();
    present.sort();
    let found = all.into_iter().find(|one| one.name == name);
    let found = found.ok_or_else(|| ListenError::Unknown {
        name: name.to_owned(),
        present,
    })?;
    if found.is_loopback() {
        return Err(ListenError::Loopback { name: found.name });
    }
    Ok(found)
}

/// What its frames begin with.
fn link_type(interface: &NetworkInterface) -> Result<LinkType, ListenError> {
    let hardware = getifaddrs().ok().and_then(|mut all| {
        all.find_map(|one| {
            let is_it = one.interface_name == interface.name;
            let address = one.address.filter(|_| is_it)?;
            Some(address.as_link_addr()?.hatype())
        })
    });
    // linux/if_arp.h
    match hardware {
        Some(1) | None => Ok(LinkType::Ethernet),
        // IPIP, SIT, raw IP, and none at all: TUN devices, WireGuard.
        Some(768 | 776 | 519 | 0xfffe) => Ok(LinkType::Raw),
        Some(hardware) => Err(ListenError::Link {
            name: interface.name.clone(),
            hardware,
        }),
    }
}

fn mtu(name: &str) -> NonZeroU16 {
    let text = std::fs::read_to_string(format!("/sys/class/net/{name}/mtu"));
    let number = text.ok().and_then(|text| text.trim().parse().ok());
    number.unwrap_or(USUAL_MTU)
}

/// Opens the receiving half of a packet socket, and a handle to the same.
fn open(
    interface: &NetworkInterface,
    promiscuity: Promiscuity,
) -> io::Result<(Box<dyn DataLinkReceiver>, OwnedFd)> {
    // It hears nothing before it is bound to the interface.
    let socket = socket_with(
        AddressFamily::PACKET,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let ours = socket.try_clone()?;
    if set_socket_recv_buffer_size_force(&ours, KERNEL_BUFFER).is_err() {
        // As much as everybody may have.
        set_socket_recv_buffer_size(&ours, KERNEL_BUFFER)?;
    }
    let config = Config {
        write_buffer_size: 0,
        read_buffer_size: LONGEST_FRAME,
        read_timeout: Some(BEAT),
        promiscuous: promiscuity == Promiscuity::All,
        socket_fd: Some(socket.into_raw_fd()),
        ..Config::default()
    };
    match pnet_datalink::channel(interface, config)? {
        // Nothing is ever sent.
        Channel::Ethernet(_, receiver) => Ok((receiver, ours)),
        _ => Err(io::Error::other("no channel of frames")),
    }
}
