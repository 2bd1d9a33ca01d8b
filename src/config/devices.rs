//! The devices that zones name: what the live gateway makes, and what it tells
//! the host about them.

use std::collections::HashMap;
use std::ops::Range;

use ipnet::IpNet;
use toml::de::DeValue;

use super::addresses::{self, HostPart};
use super::code::Code;
use super::diagnostic::{Diagnostic, Problems};
use super::table::{self, Row, Text, Value, shortened};
use super::zones::ZoneTable;
use crate::net::ZoneId;

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
    pub host_addresses: Vec<IpNet>,
    /// Destinations that the host sends into this device (its main table): the
    /// gateway's own addresses in these zones, and what `routes` adds.
    pub routes: Vec<IpNet>,
    /// Interfaces of the host that belong to these zones: what arrives by
    /// them is routed into the device.
    pub interfaces: Vec<String>,
}

/// The MTU of a device whose zones do not say.
const DEFAULT_MTU: u16 = 1_500;
/// The smallest: RFC 791 wants every host to take 576 octets.
const LEAST_MTU: u16 = 576;
/// The smallest where IPv6 is spoken: RFC 8200 section 5.
const LEAST_MTU_V6: u16 = 1_280;
/// The longest name of an interface: Linux's IFNAMSIZ less its final zero.
const LONGEST_NAME: usize = 15;

/// Keys that are about the zone's device.
const ABOUT_THE_DEVICE: [&str; 4] = ["mtu", "interfaces", "host-address", "routes"];

/// Gathers the devices that the zones name.
/// Zones on a device whose MTU is written have that MTU.
pub(super) fn gather(zones: &mut ZoneTable<'_>, problems: &mut Problems) -> Vec<Device> {
    let mut all = Gathered::default();
    for (id, row) in &zones.rows {
        all.zone(*id, row, zones, problems);
    }
    all.interfaces_are_no_devices(problems);
    for (index, device) in all.devices.iter().enumerate() {
        if all.mtu_places.contains_key(&index) {
            for zone in &device.zones {
                zones.zones.set_mtu(*zone, device.mtu);
            }
        }
    }
    all.devices
}

#[derive(Default)]
struct Gathered {
    devices: Vec<Device>,
    by_name: HashMap<String, usize>,
    /// Where each device was first given its MTU.
    mtu_places: HashMap<usize, Range<usize>>,
    /// Which device has each interface, and where that is said.
    interfaces: HashMap<String, (usize, Range<usize>)>,
}

impl Gathered {
    fn zone(&mut self, id: ZoneId, row: &Row<'_>, zones: &ZoneTable<'_>, problems: &mut Problems) {
        let Some(tun) = row.get("tun") else {
            for key in ABOUT_THE_DEVICE {
                if let Some(span) = row.key_span(key) {
                    problems.push(
                        Diagnostic::new(
                            Code::NoDevice,
                            span,
                            format!("`{key}` is about the zone's device, and this zone has none"),
                        )
                        .label("for which device?")
                        .help("give the zone a device, such as `tun = \"lan0\"`"),
                    );
                }
            }
            return;
        };
        let name = table::text(tun, "the name of a device", problems);
        let name = name.and_then(|name| interface_name(&name, problems));
        // Without a name there is still the rest to check.
        let name = name.unwrap_or_default();
        let index = *self.by_name.entry(name.clone()).or_insert_with(|| {
            self.devices.push(Device {
                name,
                zones: Vec::new(),
                mtu: DEFAULT_MTU,
                host_addresses: Vec::new(),
                routes: Vec::new(),
                interfaces: Vec::new(),
            });
            self.devices.len() - 1
        });
        let has_v6 = zones
            .zones
            .get(id)
            .is_some_and(|zone| zone.nets.iter().any(|net| matches!(net, IpNet::V6(_))));
        if let Some(value) = row.get("mtu") {
            self.mtu(index, value, has_v6, problems);
        }
        if let Some(value) = row.get("interfaces") {
            for name in table::texts(value, "the name of an interface", problems) {
                self.interface(index, &name, problems);
            }
        }
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        device.zones.push(id);
        let own = zones.zones.get(id).map(|zone| zone.addresses.as_slice());
        let own = own.unwrap_or_default().iter().copied().map(IpNet::from);
        let routes = row
            .get("routes")
            .map(|value| addresses::prefixes(value, HostPart::Zero, problems));
        add_new(&mut device.routes, own.chain(routes.into_iter().flatten()));
        if let Some(value) = row.get("host-address") {
            let found = addresses::prefixes(value, HostPart::Kept, problems);
            add_new(&mut device.host_addresses, found);
        }
    }

    fn mtu(&mut self, index: usize, value: &Value<'_>, has_v6: bool, problems: &mut Problems) {
        let Some(number) = table::integer(value, "a number of bytes", problems) else {
            return;
        };
        let least = if has_v6 { LEAST_MTU_V6 } else { LEAST_MTU };
        let Some(mtu) = u16::try_from(number).ok().filter(|mtu| *mtu >= least) else {
            let why = if has_v6 {
                ", since the zone has IPv6"
            } else {
                ""
            };
            let shown = match value.get_ref() {
                DeValue::Integer(number) => shortened(&number.to_string()),
                _ => number.to_string(),
            };
            problems.push(
                Diagnostic::new(Code::BadMtu, value.span(), format!("{shown} is no MTU"))
                    .label("expected a number of bytes")
                    .help(format!("an MTU is {least} to 65535 here{why}")),
            );
            return;
        };
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        match self.mtu_places.get(&index) {
            Some(before) if device.mtu != mtu => problems.push(
                Diagnostic::new(
                    Code::DeviceConflict,
                    value.span(),
                    format!("the device `{}` has two MTUs", device.name),
                )
                .label(format!("{mtu} here"))
                .also(before.clone(), format!("{} here", device.mtu))
                .help("zones that share a device share its MTU: one of them need say it"),
            ),
            Some(_) => {}
            None => {
                device.mtu = mtu;
                self.mtu_places.insert(index, value.span());
            }
        }
    }

    fn interface(&mut self, index: usize, name: &Text<'_>, problems: &mut Problems) {
        let Some(written) = interface_name(name, problems) else {
            return;
        };
        match self.interfaces.get(&written) {
            Some((other, before)) if *other != index => problems.push(
                Diagnostic::new(
                    Code::DeviceConflict,
                    name.span(),
                    format!("the interface `{written}` belongs to zones of two devices"),
                )
                .label("claimed again")
                .also(before.clone(), "claimed here")
                .help("what arrives by an interface can be routed into one device only"),
            ),
            Some(_) => {}
            None => {
                self.interfaces
                    .insert(written.clone(), (index, name.span()));
                if let Some(device) = self.devices.get_mut(index) {
                    device.interfaces.push(written);
                }
            }
        }
    }

    /// What the gateway makes cannot be what the host has.
    fn interfaces_are_no_devices(&self, problems: &mut Problems) {
        for device in &self.devices {
            if let Some((_, place)) = self.interfaces.get(&device.name) {
                problems.push(
                    Diagnostic::new(
                        Code::DeviceConflict,
                        place.clone(),
                        format!("`{}` is the TUN device of a zone", device.name),
                    )
                    .label("not an interface of the host")
                    .help("`interfaces` names those that the host has without the gateway"),
                );
            }
        }
    }
}

fn add_new(all: &mut Vec<IpNet>, more: impl IntoIterator<Item = IpNet>) {
    for net in more {
        if !all.contains(&net) {
            all.push(net);
        }
    }
}

/// A name that Linux allows an interface to have.
fn interface_name(name: &Text<'_>, problems: &mut Problems) -> Option<String> {
    let written = *name.get_ref();
    let is_right = (1..=LONGEST_NAME).contains(&written.len())
        && !written.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control())
        && written != "."
        && written != "..";
    if is_right {
        return Some(written.to_owned());
    }
    problems.push(
        Diagnostic::new(
            Code::BadInterface,
            name.span(),
            format!("`{}` cannot be the name of a device", shortened(written)),
        )
        .label("not such a name")
        .help("a name has 1 to 15 bytes, no blank, no `/` and no `:`"),
    );
    None
}
