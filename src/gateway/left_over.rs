//! What a gateway that was killed left on the host: found by its marks, and cleaned at the
//! next start.
//!
//! - routing rules, by their priority and interface;
//! - on a persistent device, which outlives its gateway: routes and addresses, by the
//!   [protocol](super::steps::PROTOCOL) that the gateway gives them; MTU and settings, by what the device
//!   [bears](super::before).
//!
//! That its interfaces are [guarded](super::routing) stays: the gateway that begins takes the
//! guards of its own interfaces over, and says of which others there are some.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::{RouteAttribute, RouteProtocol};
use rtnetlink::packet_route::rule::RuleAttribute;
use rtnetlink::{Handle, IpVersion, LinkUnspec, RouteMessageBuilder};
use tracing::{info, warn};

use super::GatewayError;
use super::before::Before;
use super::devices::{Origin, TunDevice};
use super::netlink::{answer, is_gone, mark_of_an_address, rule_message};
use super::steps::{GUARD_PRIORITY, PROTOCOL, families};
use crate::config;
use crate::net::Family;

/// How many left-over rules of one interface are looked for: a killed gateway
/// leaves one, and the next start removes it.
const MOST_LEFT_OVER: usize = 64;

/// Removes what a killed gateway left for this device and its interfaces, and sets the device
/// back to what it was before.
///
/// # Errors
/// The kernel's refusal.
pub(super) async fn clean(
    netlink: &Handle,
    device: &mut TunDevice,
    wanted: &config::Device,
) -> Result<(), GatewayError> {
    for family in families() {
        for interface in &wanted.interfaces {
            let removed = remove_rules(netlink, interface, *family).await;
            removed.map_err(GatewayError::routing(format!(
                "remove the rules that a killed gateway left for `{interface}`"
            )))?;
        }
    }
    if device.facts.origin == Origin::TakenOver {
        let cleaned = set_back(netlink, device).await;
        cleaned.map_err(GatewayError::routing(format!(
            "clean `{}` of what a killed gateway left",
            device.name
        )))?;
    }
    Ok(())
}

/// Removes what a killed gateway left: our rules for this interface, into
/// whichever table.
async fn remove_rules(netlink: &Handle, interface: &str, family: Family) -> io::Result<()> {
    for _ in 0..MOST_LEFT_OVER {
        let rule = rule_message(interface, None, family);
        match answer(netlink.rule().del(rule).execute().await) {
            Ok(()) => warn!(
                interface,
                "removed a routing rule that a killed gateway left"
            ),
            Err(cause) if is_gone(&cause) => return Ok(()),
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

/// Has a persistent device be what it was before a gateway that was killed.
async fn set_back(netlink: &Handle, device: &mut TunDevice) -> io::Result<()> {
    let index = device.facts.index;
    let routes = remove_routes(netlink, index).await?;
    let addresses = remove_addresses(netlink, index).await?;
    let alias = alias_of(netlink, index).await?;
    let before = Before::told_by(&alias);
    if let Some(before) = &before {
        for (setting, value) in &before.settings {
            let setting = setting.of(&device.name);
            if let Err(cause) = setting.set(&value.to_string()) {
                warn!(sysctl = setting.name(), value, %cause, "cannot be set back");
            }
        }
        let mut link = LinkUnspec::new_with_index(index).alias(&before.alias);
        if let Some(mtu) = before.mtu {
            link = link.mtu(u32::from(mtu));
            device.facts.mtu = mtu;
        }
        answer(netlink.link().change(link.build()).execute().await)?;
    }
    if routes + addresses > 0 || before.is_some() {
        warn!(
            device = device.name,
            routes, addresses, "set back what a killed gateway had changed"
        );
    }
    Ok(())
}

/// Removes our routes into a device; how many there were.
async fn remove_routes(netlink: &Handle, index: u32) -> io::Result<usize> {
    let mut all = Vec::new();
    for family in families() {
        let every = match family {
            Family::V4 => RouteMessageBuilder::<Ipv4Addr>::new().build(),
            Family::V6 => RouteMessageBuilder::<Ipv6Addr>::new().build(),
        };
        let found = netlink.route().get(every).execute();
        all.extend(
            found
                .try_collect::<Vec<_>>()
                .await
                .map_err(io::Error::other)?,
        );
    }
    all.retain(|route| {
        route.header.protocol == RouteProtocol::Other(PROTOCOL)
            && route.attributes.contains(&RouteAttribute::Oif(index))
    });
    for route in &all {
        unless_gone(netlink.route().del(route.clone()).execute().await)?;
    }
    Ok(all.len())
}

/// Removes our addresses of a device; how many there were.
async fn remove_addresses(netlink: &Handle, index: u32) -> io::Result<usize> {
    let found = netlink.address().get().set_link_index_filter(index);
    let found = found.execute().try_collect::<Vec<_>>().await;
    let mut all = found.map_err(io::Error::other)?;
    all.retain(|address| {
        address.header.index == index && address.attributes.contains(&mark_of_an_address())
    });
    for address in &all {
        unless_gone(netlink.address().del(address.clone()).execute().await)?;
    }
    Ok(all.len())
}

fn unless_gone(result: Result<(), rtnetlink::Error>) -> io::Result<()> {
    match answer(result) {
        Err(cause) if !is_gone(&cause) => Err(cause),
        _ => Ok(()),
    }
}

/// The alias of a device, or nothing.
pub(super) async fn alias_of(netlink: &Handle, index: u32) -> io::Result<String> {
    let found = netlink.link().get().match_index(index).execute();
    let links = found.try_collect::<Vec<_>>().await;
    let links = links.map_err(io::Error::other)?;
    let mut attributes = links.into_iter().flat_map(|link| link.attributes);
    let alias = attributes.find_map(|attribute| match attribute {
        LinkAttribute::IfAlias(alias) => Some(alias),
        _ => None,
    });
    Ok(alias.unwrap_or_default())
}

/// Says of which interfaces there are guards that are none of these devices': a gateway with
/// another file left them, and nobody who has this one will remove them.
pub(super) async fn tell_of_guards(netlink: &Handle, wanted: &[config::Device]) {
    let own = |interface: &String| wanted.iter().any(|one| one.interfaces.contains(interface));
    let mut guarded = Vec::new();
    for version in [IpVersion::V4, IpVersion::V6] {
        let rules = netlink
            .rule()
            .get(version)
            .execute()
            .try_collect::<Vec<_>>();
        // It is only said.
        for rule in rules.await.unwrap_or_default() {
            let priority = RuleAttribute::Priority(GUARD_PRIORITY);
            let is_guard = rule.attributes.contains(&priority);
            let mut interfaces = rule.attributes.into_iter().filter_map(|one| match one {
                RuleAttribute::Iifname(name) => Some(name),
                _ => None,
            });
            if let Some(name) = interfaces.next().filter(|name| is_guard && !own(name))
                && !guarded.contains(&name)
            {
                guarded.push(name);
            }
        }
    }
    for interface in guarded {
        info!(
            interface,
            "another gateway guards it, or one that was killed did: what arrives by it is dropped \
             (`ip rule del priority {GUARD_PRIORITY} iif {interface}`, and `ip -6`, if nobody does)"
        );
    }
}
