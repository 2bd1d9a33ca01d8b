//! The host's network around the devices: addresses, routes, routing rules.
//!
//! Owns every change that the gateway makes to the host, each remembered with
//! what undoes it, and undoes them in reverse order: at the end, and when a
//! later step fails. Refuses to change what is not the gateway's own: the
//! host's forwarding switch is looked at, and spoken of in the log, never set.
//!
//! How a packet meets the gateway:
//!
//! ```text
//! client -- eth1 -- host --(rule: iif eth1 lookup 7300007)--> lan0 -- spigate
//! server -- eth0 -- host <--(main table)--------------------- wan0 ------'
//! ```
//!
//! Each interface of a zone gets one rule for each family, of priority
//! [`RULE_PRIORITY`](super::steps::RULE_PRIORITY): what arrives by it looks into the table of the zone's
//! device, [`TABLE_BASE`] plus the device's interface index, which holds one
//! default route, into the device. The host's own addresses are found before
//! that (table `local` has priority 0) and are not guarded. Answers to an
//! address of the gateway reach the device by a route in the main table.
//!
//! Behind those stands a guard for each interface, a rule of priority [`GUARD_PRIORITY`](super::steps::GUARD_PRIORITY) that
//! drops what finds no way: where a device is deleted its table is gone, and the host would
//! pass on by itself, past the gateway, what is meant for it.
//!
//! A gateway that was killed leaves its rules behind: what arrives by its interfaces is
//! dropped until the next start, which takes the guards over and removes [all else](super::left_over). One that
//! ends leaves the guards alone, where that is [wanted](Leaves::Closed).

use std::io;

use ipnet::IpNet;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::{Handle, LinkUnspec};
use rustix::io::Errno;
use tracing::{debug, warn};

use super::before::Before;
use super::devices::{Origin, TunDevice, interface_index};
use super::left_over;
use super::netlink::{
    address_message, answer, everything, guard_message, is, is_gone, mark_of_an_address,
    route_into, rule_message,
};
use super::steps::{Step, TABLE_BASE, steps};
use super::sysctl::Sysctl;
use super::{GatewayError, Leaves};
use crate::config;
use crate::net::{Family, Zones};

/// What the gateway changed on the host, newest last.
pub(super) struct HostNetwork {
    netlink: Handle,
    done: Vec<Done>,
}

/// A change, and what it was made for.
struct Done {
    of: Of,
    change: Change,
}

/// What a change goes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The device of this number.
    Device(u32),
    /// The gateway, whichever devices it has.
    Gateway,
}

/// One change, as that which undoes it.
enum Change {
    Mtu { index: u32, before: u16 },
    Alias { index: u32, before: String },
    Sysctl { setting: Sysctl, before: String },
    Address { index: u32, address: IpNet },
    Route(Box<RouteMessage>),
    Rule(Box<RuleMessage>),
}

impl HostNetwork {
    /// Opens the way to the kernel; nothing is changed yet. Must be called
    /// inside a tokio runtime, which then carries the connection.
    ///
    /// # Errors
    /// No netlink socket.
    pub(super) fn connect() -> Result<Self, GatewayError> {
        let (connection, netlink, _) =
            rtnetlink::new_connection().map_err(GatewayError::routing("open a netlink socket"))?;
        tokio::spawn(connection);
        Ok(Self {
            netlink,
            done: Vec::new(),
        })
    }

    /// Removes what a killed gateway left for this device.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) async fn clean(
        &self,
        device: &mut TunDevice,
        wanted: &config::Device,
    ) -> Result<(), GatewayError> {
        left_over::clean(&self.netlink, device, wanted).await
    }

    /// Says what a gateway with another file has left.
    pub(super) async fn tell_of_others(&self, wanted: &[config::Device]) {
        left_over::tell_of_guards(&self.netlink, wanted).await;
    }

    /// Sets `device` up as `wanted` says, and has packets routed into it.
    ///
    /// # Errors
    /// The first step that the kernel refused. What was done before stays
    /// done: call [`undo`](Self::undo), or [`detach`](Self::detach).
    pub(super) async fn attach(
        &mut self,
        device: &TunDevice,
        wanted: &config::Device,
    ) -> Result<(), GatewayError> {
        let steps = steps(wanted, device.facts.origin);
        if device.facts.origin == Origin::TakenOver {
            self.note_before(device, &steps).await;
        }
        for step in steps {
            let what = step.to_string();
            self.take(device, step)
                .await
                .map_err(GatewayError::routing(what))?;
        }
        for interface in &wanted.interfaces {
            if interface_index(interface).is_err() {
                warn!(
                    interface,
                    "the host has no such interface (yet): nothing arrives by it"
                );
            }
        }
        Ok(())
    }

    async fn take(&mut self, device: &TunDevice, step: Step) -> io::Result<()> {
        match step {
            Step::Set { setting, value, .. } => {
                self.set_sysctl(device.facts.index, setting.of(&device.name), value);
                Ok(())
            }
            Step::BringUp { mtu, .. } => self.bring_up(device, mtu).await,
            Step::Address(_, address) => self.add_address(device, address).await,
            Step::Route(_, net) => self.add_route(device, net).await,
            Step::Table(_, family) => self.add_table(device, family).await,
            Step::Rule {
                interface, family, ..
            } => {
                let index = device.facts.index;
                let table = TABLE_BASE.saturating_add(index);
                let rule = rule_message(&interface, Some(table), family);
                self.add_rule(Of::Device(index), rule).await
            }
            Step::Guard { interface, family } => self.add_guard(&interface, family).await,
        }
    }

    /// The device of this number is gone, and with it all that was done to itself. What
    /// arrives by its interfaces finds no way any more.
    pub(super) async fn lose(&mut self, index: u32) {
        for change in self.take_changes(index) {
            if let Change::Rule(_) = change {
                self.try_undo(change).await;
            }
        }
    }

    /// Undoes all that was done for the device of this number, newest first.
    pub(super) async fn detach(&mut self, index: u32) {
        for change in self.take_changes(index) {
            self.try_undo(change).await;
        }
    }

    /// The changes that were made for a device, newest first. They are forgotten here.
    fn take_changes(&mut self, index: u32) -> Vec<Change> {
        let done = std::mem::take(&mut self.done);
        let (its, others): (Vec<_>, Vec<_>) = done
            .into_iter()
            .partition(|done| done.of == Of::Device(index));
        self.done = others;
        its.into_iter().rev().map(|done| done.change).collect()
    }

    /// Undoes everything, newest first, but for the guards where they are to stay. What is
    /// gone already is fine; what cannot be undone is said and left.
    pub(super) async fn undo(mut self, leaves: Leaves) {
        while let Some(Done { of, change }) = self.done.pop() {
            // Nothing but guards is the gateway's, whichever devices it has.
            if (of, leaves) != (Of::Gateway, Leaves::Closed) {
                self.try_undo(change).await;
            }
        }
    }

    async fn try_undo(&self, change: Change) {
        match self.undo_one(change).await {
            Ok(()) => {}
            Err(cause) if is_gone(&cause) => {}
            Err(cause) => warn!(%cause, "a change to the host's network could not be undone"),
        }
    }

    /// A change was made.
    fn note(&mut self, of: Of, change: Change) {
        self.done.push(Done { of, change });
    }

    async fn undo_one(&self, change: Change) -> io::Result<()> {
        match change {
            Change::Mtu { index, before } => {
                let link = LinkUnspec::new_with_index(index).mtu(u32::from(before));
                answer(self.netlink.link().change(link.build()).execute().await)
            }
            Change::Alias { index, before } => {
                let link = LinkUnspec::new_with_index(index).alias(before);
                answer(self.netlink.link().change(link.build()).execute().await)
            }
            Change::Sysctl { setting, before } => setting.set(&before).map(drop),
            Change::Address { index, address } => {
                let message = address_message(index, address);
                answer(self.netlink.address().del(message).execute().await)
            }
            Change::Route(route) => answer(self.netlink.route().del(*route).execute().await),
            Change::Rule(rule) => answer(self.netlink.rule().del(*rule).execute().await),
        }
    }

    /// Has a device that stays bear what it was before these steps: whoever comes after a
    /// gateway that was killed sets it back.
    async fn note_before(&mut self, device: &TunDevice, steps: &[Step]) {
        let index = device.facts.index;
        let noted = async {
            let alias = left_over::alias_of(&self.netlink, index).await?;
            let before = before(device, steps, alias.clone());
            if before.is_as_it_was() {
                return Ok(None);
            }
            let text = before.alias_that_says_so();
            let text = text.ok_or_else(|| io::Error::other("its alias would be too long"))?;
            let link = LinkUnspec::new_with_index(index).alias(text).build();
            answer(self.netlink.link().change(link).execute().await)?;
            Ok(Some(alias))
        };
        let noted: io::Result<_> = noted.await;
        match noted {
            Ok(Some(before)) => self.note(Of::Device(index), Change::Alias { index, before }),
            Ok(None) => {}
            Err(cause) => warn!(
                device = device.name,
                %cause,
                "what it was before cannot be noted: it will not be set back if the gateway is killed"
            ),
        }
    }

    fn set_sysctl(&mut self, index: u32, setting: Sysctl, value: &str) {
        match setting.set(value) {
            Ok(Some(before)) => self.note(Of::Device(index), Change::Sysctl { setting, before }),
            Ok(None) => {}
            Err(cause) => warn!(sysctl = setting.name(), value, %cause, "cannot be set"),
        }
    }

    /// Sets MTU and flags. A device that was there before keeps its other
    /// flags, and stays up at the end.
    async fn bring_up(&mut self, device: &TunDevice, mtu: u16) -> io::Result<()> {
        let index = device.facts.index;
        let before = device.facts.mtu;
        let mut link = LinkUnspec::new_with_index(index).up();
        if device.facts.origin == Origin::Made {
            // Without multicast no group is joined, so no MLD report is sent.
            link = link.multicast(false);
        }
        if before != mtu {
            link = link.mtu(u32::from(mtu));
        }
        answer(self.netlink.link().change(link.build()).execute().await)?;
        if before != mtu {
            self.note(Of::Device(index), Change::Mtu { index, before });
        }
        Ok(())
    }

    async fn add_address(&mut self, device: &TunDevice, address: IpNet) -> io::Result<()> {
        let index = device.facts.index;
        let mut request = self
            .netlink
            .address()
            .add(index, address.addr(), address.prefix_len());
        let mark = mark_of_an_address();
        request.message_mut().attributes.push(mark);
        match answer(request.execute().await) {
            Ok(()) => self.note(Of::Device(index), Change::Address { index, address }),
            Err(cause) if already_there(&cause, device) => {
                debug!(device = device.name, %address, "has this address already; it stays");
            }
            Err(cause) => return Err(cause),
        }
        Ok(())
    }

    async fn add_route(&mut self, device: &TunDevice, net: IpNet) -> io::Result<()> {
        let route = route_into(device, net)?.build();
        let request = self.netlink.route().add(route.clone());
        match answer(request.execute().await) {
            Ok(()) => self.note(
                Of::Device(device.facts.index),
                Change::Route(Box::new(route)),
            ),
            Err(cause) if already_there(&cause, device) => {
                debug!(device = device.name, %net, "a route to it is there already; it stays");
            }
            Err(cause) => return Err(cause),
        }
        Ok(())
    }

    /// Has everything of `family` that looks into the device's table led into it.
    async fn add_table(&mut self, device: &TunDevice, family: Family) -> io::Result<()> {
        let table = TABLE_BASE.saturating_add(device.facts.index);
        let default = route_into(device, everything(family))?
            .table_id(table)
            .build();
        match answer(self.netlink.route().add(default.clone()).execute().await) {
            Ok(()) => {}
            // A device that outlived a killed gateway kept its route.
            Err(cause) if already_there(&cause, device) => {}
            Err(cause) if family == Family::V6 && is(&cause, Errno::ACCESS) => {
                debug!(device = device.name, "IPv6 is switched off for this device");
                return Ok(());
            }
            Err(cause) => return Err(cause),
        }
        self.note(
            Of::Device(device.facts.index),
            Change::Route(Box::new(default)),
        );
        Ok(())
    }

    /// Adds a routing rule.
    async fn add_rule(&mut self, of: Of, rule: RuleMessage) -> io::Result<()> {
        let mut request = self.netlink.rule().add();
        *request.message_mut() = rule.clone();
        answer(request.execute().await)?;
        self.note(of, Change::Rule(Box::new(rule)));
        Ok(())
    }

    /// Has what arrives by an interface dropped where it finds no way, from here to the end.
    async fn add_guard(&mut self, interface: &str, family: Family) -> io::Result<()> {
        let guard = guard_message(interface, family);
        let is_it = |done: &Done| matches!(&done.change, Change::Rule(rule) if **rule == guard);
        if self.done.iter().any(is_it) {
            // Its device was lost, and comes back.
            return Ok(());
        }
        match self.add_rule(Of::Gateway, guard.clone()).await {
            Err(cause) if is(&cause, Errno::EXIST) => {
                debug!(interface, "a gateway that was killed has left it guarded");
                self.note(Of::Gateway, Change::Rule(Box::new(guard)));
                Ok(())
            }
            other => other,
        }
    }
}

/// What a device is before these steps are taken.
fn before(device: &TunDevice, steps: &[Step], alias: String) -> Before {
    let mut before = Before {
        alias,
        ..Before::default()
    };
    for step in steps {
        match step {
            Step::Set { setting, value, .. } => {
                let was = setting.of(&device.name).read();
                // What cannot be read is not set either.
                let was = was.ok().filter(|was| was != value);
                let was = was.and_then(|was| was.parse().ok());
                before.settings.extend(was.map(|was| (*setting, was)));
            }
            Step::BringUp { mtu, .. } => {
                before.mtu = Some(device.facts.mtu).filter(|was| was != mtu);
            }
            _ => {}
        }
    }
    before
}

/// Says so where the host passes nothing on between its interfaces, in a
/// family that the zones speak.
pub(super) fn warn_if_not_forwarding(wanted: &[config::Device], zones: &Zones) {
    if wanted.iter().all(|device| device.interfaces.is_empty()) {
        return;
    }
    let spoken = |family| {
        let mut nets = zones.iter().flat_map(|(_, zone)| &zone.nets);
        nets.any(|net| Family::of(net.addr()) == family)
    };
    for (family, switch) in [
        (Family::V4, "ipv4/ip_forward"),
        (Family::V6, "ipv6/conf/all/forwarding"),
    ] {
        let switch = Sysctl::of_host(switch);
        if spoken(family) && switch.read().is_ok_and(|value| value == "0") {
            warn!(
                sysctl = switch.name(),
                "the host passes nothing on between its interfaces and the gateway's devices \
                 while this is 0"
            );
        }
    }
}

/// A device that was there before may have an address or a route already; then
/// it is its administrator's, and stays.
fn already_there(cause: &io::Error, device: &TunDevice) -> bool {
    device.facts.origin == Origin::TakenOver && is(cause, Errno::EXIST)
}
