//! The TUN devices: opened at the start, and had again when somebody has deleted one.
//!
//! Owns how a device is opened, the helper process that can still do so when the gateway is
//! confined, and what happens between the loss of a device and its return. Refuses to
//! move packets, which is the packet loops', and to decide whether the gateway lives on
//! without the helper: it ends then, as a device that is lost is lost for good.
//!
//! ```text
//! packet loops --(a device is gone)--> recovery --(its number)--> helper: /dev/net/tun
//!      ^                                  |  ^                       |
//!      '-- queues, by an errand ----------'  '----- descriptors -----'
//! ```
//!
//! Privileges are separated: whoever takes over the gateway can ask the helper for nothing but
//! the devices that the gateway had anyway.

mod connection;
mod device;
mod helper;
mod message;
mod process;
mod recovery;

pub use device::Origin;
pub use process::{HelperOptions, help};

pub(super) use device::{TunDevice, interface_index};
pub(super) use helper::Helper;
pub(super) use recovery::{Attached, Loss, LossReports, Recovery, Returned, loss_reports};
