//! Sockets that stand in for devices, in tests: what stands before each packet included.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use super::offload;
use super::port::Port;
use crate::net::ZoneId;

/// The far end of a device, where a socket that keeps packets apart stands
/// in for the device.
pub(super) struct Far(pub(super) UnixDatagram);

impl Far {
    /// A packet of which the kernel has nothing to say.
    pub(super) fn send(&self, packet: &[u8]) -> std::io::Result<usize> {
        self.send_with(offload::NOTHING, packet)
    }

    pub(super) fn send_with(&self, said: offload::Octets, packet: &[u8]) -> std::io::Result<usize> {
        self.0.send(&[&said[..], packet].concat())
    }

    pub(super) fn recv(&self, packet: &mut [u8]) -> std::io::Result<usize> {
        self.recv_with(packet).map(|(_, length)| length)
    }

    pub(super) fn recv_with(&self, packet: &mut [u8]) -> std::io::Result<(offload::Octets, usize)> {
        let mut read = vec![0; 70_000];
        let length = self.0.recv(&mut read)? - offload::LENGTH;
        let (said, rest) = read.split_first_chunk().unwrap();
        packet[..length].copy_from_slice(&rest[..length]);
        Ok((*said, length))
    }
}

/// A device of these zones, and its far end.
pub(super) fn device(name: &str, zones: &[ZoneId]) -> (Port<UnixDatagram>, Far) {
    let (near, far) = UnixDatagram::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    (Port::new(name, near, zones), Far(far))
}
