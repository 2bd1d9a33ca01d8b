//! Rule files.

use std::ops::Range;
use std::path::PathBuf;

use crate::engine::Policy;
use crate::net::ZoneId;

/// A rule file, read, checked and compiled.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What the engine needs.
    pub policy: Policy,
    /// What the live gateway needs: one device for each that zones name.
    pub devices: Vec<Device>,
    /// Where each rule stands in the file.
    pub locations: Locations,
}

/// A TUN device that zones name, and how the host is to use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name, such as `lan0`.
    pub name: String,
    /// The zones that share it.
    pub zones: Vec<ZoneId>,
    /// The largest packet, in bytes.
    pub mtu: u16,
    /// Addresses with prefix length that the host has on its end of the device.
    pub host_addresses: Vec<ipnet::IpNet>,
    /// Destinations that the host sends into this device (its main table).
    pub routes: Vec<ipnet::IpNet>,
    /// Interfaces of the host that belong to these zones: what arrives by
    /// them is routed into the device.
    pub interfaces: Vec<String>,
}

/// Where the rows of a rule file stand.
#[derive(Debug, Clone, Default)]
pub struct Locations {
    /// The file.
    pub file: PathBuf,
    /// Byte ranges of the rules, by their number; the same for translations.
    pub rules: Vec<Range<usize>>,
}
