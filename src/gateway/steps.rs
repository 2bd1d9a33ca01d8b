//! What is done to the host for a device: one list, which `routing` carries out and
//! `--dry-run` prints.

use std::fmt::{self, Write};
use std::path::Path;

use ipnet::IpNet;

use super::devices::{Origin, interface_index};
use super::sysctl::Setting;
use crate::config;
use crate::net::{Family, Workers};

/// The priority of all our routing rules: after table `local`, before `main`.
pub(super) const RULE_PRIORITY: u32 = 7300;
/// That of the rules behind them: of what finds no way by its table.
pub(super) const GUARD_PRIORITY: u32 = RULE_PRIORITY + 1;
/// The routing table of the device with interface index `n` is this plus `n`.
pub(super) const TABLE_BASE: u32 = 7_300_000;
/// By which our routes and addresses can be told from others (`proto 73`): a number that no program
/// has in iproute2's `rt_protos`.
pub(super) const PROTOCOL: u8 = 73;

/// One thing that is done to the host for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A setting of the device gets a value.
    Set {
        device: String,
        setting: Setting,
        value: &'static str,
    },
    /// It gets its MTU, and goes up.
    BringUp {
        device: String,
        mtu: u16,
        origin: Origin,
    },
    /// It gets an address.
    Address(String, IpNet),
    /// What is for these addresses is led into it.
    Route(String, IpNet),
    /// What looks into its table is.
    Table(String, Family),
    /// What arrives by an interface goes no other way than through the gateway.
    Guard { interface: String, family: Family },
    /// What arrives by an interface looks there.
    Rule {
        device: String,
        interface: String,
        family: Family,
    },
}

/// The step as the end of "cannot …".
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set {
                device,
                setting,
                value,
            } => write!(f, "set {} to {value}", setting.of(device).name()),
            Self::BringUp { device, mtu, .. } => {
                write!(f, "set `{device}` up with an MTU of {mtu}")
            }
            Self::Address(device, address) => write!(f, "give `{device}` the address {address}"),
            Self::Route(device, net) => write!(f, "route {net} into `{device}`"),
            Self::Table(device, _) => write!(f, "route everything of its table into `{device}`"),
            Self::Guard { interface, .. } => {
                write!(f, "drop what arrives by `{interface}` and finds no way")
            }
            Self::Rule {
                device, interface, ..
            } => write!(
                f,
                "have what arrives by `{interface}` routed into `{device}`"
            ),
        }
    }
}

impl Step {
    /// The step as an administrator would do it by hand.
    pub(super) fn command(&self) -> String {
        let ip = |family: &Family| match family {
            Family::V4 => "ip",
            Family::V6 => "ip -6",
        };
        let table = |device: &str| match interface_index(device) {
            Ok(index) => TABLE_BASE.saturating_add(index).to_string(),
            // The kernel will number it.
            Err(_) => format!("$(({TABLE_BASE} + $(cat /sys/class/net/{device}/ifindex)))"),
        };
        match self {
            Self::Set {
                device,
                setting,
                value,
            } => format!("sysctl -w {}={value}", setting.of(device).name()),
            Self::BringUp {
                device,
                mtu,
                origin,
            } => {
                // Without multicast no group is joined, so no MLD report is sent.
                let multicast = match origin {
                    Origin::Made => " multicast off",
                    Origin::TakenOver => "",
                };
                format!("ip link set dev {device} mtu {mtu}{multicast} up")
            }
            Self::Address(device, address) => format!("ip address add {address} dev {device}"),
            Self::Route(device, net) => {
                let ip = ip(&Family::of(net.addr()));
                format!("{ip} route add {net} dev {device} proto {PROTOCOL} scope link")
            }
            Self::Table(device, family) => format!(
                "{} route add default dev {device} proto {PROTOCOL} scope link table {}",
                ip(family),
                table(device)
            ),
            Self::Guard { interface, family } => format!(
                "{} rule add priority {GUARD_PRIORITY} iif {interface} blackhole",
                ip(family)
            ),
            Self::Rule {
                device,
                interface,
                family,
            } => format!(
                "{} rule add priority {RULE_PRIORITY} iif {interface} lookup {}",
                ip(family),
                table(device)
            ),
        }
    }
}

/// What is done to the host for this device, in order.
///
/// The kernel's own chatter is kept out of it, and its source check from dropping what
/// the gateway writes: a server's packet, passed on into `lan0`, comes from an address
/// that is routed elsewhere.
pub(super) fn steps(wanted: &config::Device, origin: Origin) -> Vec<Step> {
    let name = || wanted.name.clone();
    // The larger of `all` and the device's own counts: a loose check (2)
    // of the device is the only way past a strict one (1) of all.
    let all = Setting::RP_FILTER.of("all").read();
    let lenient = if all.is_ok_and(|all| all == "1") {
        "2"
    } else {
        "0"
    };
    let set = |setting, value| Step::Set {
        device: name(),
        setting,
        value,
    };
    let mut steps = vec![set(Setting::RP_FILTER, lenient)];
    if has_ipv6() {
        // 1: no link-local address, and so no router solicitation either.
        steps.push(set(Setting::ADDR_GEN_MODE, "1"));
        steps.push(set(Setting::ACCEPT_RA, "0"));
    }
    steps.push(Step::BringUp {
        device: name(),
        mtu: wanted.mtu,
        origin,
    });
    let addresses = wanted.host_addresses.iter();
    steps.extend(addresses.map(|address| Step::Address(name(), *address)));
    let routes = wanted.routes.iter();
    steps.extend(routes.map(|net| Step::Route(name(), *net)));
    for family in families() {
        if wanted.interfaces.is_empty() {
            continue;
        }
        let interfaces = wanted.interfaces.iter().cloned();
        steps.extend(interfaces.clone().map(|interface| Step::Guard {
            interface,
            family: *family,
        }));
        steps.push(Step::Table(name(), *family));
        steps.extend(interfaces.map(|interface| Step::Rule {
            device: name(),
            interface,
            family: *family,
        }));
    }
    steps
}

/// All that is done to the host for these devices, as a script: run by hand it does the
/// same, and undoes nothing.
pub(super) fn script(devices: &[config::Device], workers: Workers) -> String {
    let mut script = String::from(
        "# What `spigate run` does to this host; undone in reverse order at the end.\n",
    );
    let queues = match workers {
        Workers::ONE => "",
        _ => " multi_queue",
    };
    for device in devices {
        let origin = Origin::of(&device.name);
        let mut say = |line: &str| {
            // A string takes it always.
            let _ = writeln!(script, "{line}");
        };
        match origin {
            Origin::Made => say(&format!(
                "ip tuntap add dev {} mode tun{queues}",
                device.name
            )),
            Origin::TakenOver => say(&format!(
                "# {} is there, and is taken over; what it was before will stand in its alias",
                device.name
            )),
        }
        for step in steps(device, origin) {
            say(&step.command());
        }
    }
    script
}

fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6").exists()
}

/// The families that the kernel speaks.
pub(super) fn families() -> &'static [Family] {
    if has_ipv6() {
        &[Family::V4, Family::V6]
    } else {
        &[Family::V4]
    }
}
