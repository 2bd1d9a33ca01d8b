//! What is said to the kernel by netlink, and what it answers: the messages about the
//! gateway's addresses, routes and routing rules.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage, AddressProtocol};
use rtnetlink::packet_route::route::{RouteProtocol, RouteScope};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::{AddressMessageBuilder, RouteMessageBuilder};
use rustix::io::Errno;

use super::devices::TunDevice;
use super::steps::{GUARD_PRIORITY, PROTOCOL, RULE_PRIORITY};
use crate::net::Family;

pub(super) fn everything(family: Family) -> IpNet {
    match family {
        Family::V4 => IpNet::new_assert(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        Family::V6 => IpNet::new_assert(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
    }
}

pub(super) fn route_into(
    device: &TunDevice,
    net: IpNet,
) -> io::Result<RouteMessageBuilder<IpAddr>> {
    let route = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(net.network(), net.prefix_len())
        .map_err(|bad| io::Error::new(io::ErrorKind::InvalidInput, bad.to_string()))?;
    Ok(route
        .protocol(RouteProtocol::Other(PROTOCOL))
        .scope(RouteScope::Link)
        .output_interface(device.facts.index))
}

pub(super) fn address_message(index: u32, address: IpNet) -> AddressMessage {
    let len = address.prefix_len();
    match address.addr() {
        IpAddr::V4(address) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(index)
            .address(address, len)
            .build(),
        IpAddr::V6(address) => AddressMessageBuilder::<Ipv6Addr>::new()
            .index(index)
            .address(address, len)
            .build(),
    }
}

/// `iif INTERFACE lookup TABLE`; without a table, the pattern of all our rules
/// for the interface.
pub(super) fn rule_message(interface: &str, table: Option<u32>, family: Family) -> RuleMessage {
    let mut rule = rule_for(interface, family, RULE_PRIORITY);
    rule.header.action = RuleAction::ToTable;
    rule.attributes.extend(table.map(RuleAttribute::Table));
    rule
}

/// `iif INTERFACE blackhole`, behind all that look up.
pub(super) fn guard_message(interface: &str, family: Family) -> RuleMessage {
    let mut rule = rule_for(interface, family, GUARD_PRIORITY);
    rule.header.action = RuleAction::Blackhole;
    rule
}

/// A rule of this priority for what arrives by an interface.
fn rule_for(interface: &str, family: Family, priority: u32) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header.family = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    };
    let iif = RuleAttribute::Iifname(interface.to_owned());
    rule.attributes.push(iif);
    rule.attributes.push(RuleAttribute::Priority(priority));
    rule
}

/// What the kernel answered, as an ordinary error.
pub(super) fn answer(result: Result<(), rtnetlink::Error>) -> io::Result<()> {
    result.map_err(|error| match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    })
}

pub(super) fn is(cause: &io::Error, errno: Errno) -> bool {
    Errno::from_io_error(cause) == Some(errno)
}

/// The thing to be undone is not there (any more): the device went, and the
/// kernel removed it with the device.
pub(super) fn is_gone(cause: &io::Error) -> bool {
    let gone = [
        Errno::NOENT,
        Errno::NODEV,
        Errno::NXIO,
        Errno::SRCH,
        Errno::ADDRNOTAVAIL,
    ];
    cause.kind() == io::ErrorKind::NotFound || gone.iter().any(|errno| is(cause, *errno))
}

/// What tells the gateway's addresses from others (Linux 5.18; before that nothing does).
pub(super) fn mark_of_an_address() -> AddressAttribute {
    AddressAttribute::Protocol(AddressProtocol::Other(PROTOCOL))
}
