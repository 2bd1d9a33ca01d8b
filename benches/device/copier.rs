//! The least that a gateway of two TUN devices can do: it copies what comes by either to
//! the other, virtio-net header and all.

use std::os::fd::AsFd;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{read, write};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

pub(crate) fn open(name: &str) -> SyncDevice {
    let builder = DeviceBuilder::new().name(name).layer(Layer::L3);
    let device = builder.offload(true).build_sync().expect("a TUN device");
    device.set_nonblocking(true).expect("it does not block");
    device
}

/// Copies until it is killed.
pub(crate) fn copy(one: &str, other: &str) {
    let devices = [open(one), open(other)];
    println!("ready");
    let mut buffer = Vec::with_capacity(70_000);
    loop {
        let mut waiting = [&devices[0], &devices[1]].map(|it| PollFd::new(it, PollFlags::IN));
        poll(&mut waiting, None).expect("poll");
        for (from, to) in [(0, 1), (1, 0)] {
            for _ in 0..64 {
                buffer.clear();
                if read(devices[from].as_fd(), spare_capacity(&mut buffer)).is_err() {
                    break;
                }
                // What the kernel refuses is lost, as on any wire.
                let _ = write(devices[to].as_fd(), &buffer);
            }
        }
    }
}
