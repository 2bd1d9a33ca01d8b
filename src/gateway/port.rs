//! Which zone a packet enters by, and which device a zone's packets leave by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::{ZoneId, Zones};

/// A place where packets come and go: a device with the zones that share it.
#[derive(Debug)]
pub(super) struct Port<F> {
    /// The device's name, for logs and errors.
    pub(super) name: String,
    /// Where packets are read from and written to, one by one; `None` while the device is
    /// missing.
    pub(super) fd: Option<F>,
    /// The zones behind it.
    pub(super) zones: Vec<ZoneId>,
    /// Of the devices that have had its name, which this is.
    pub(super) generation: u32,
}

impl<F> Port<F> {
    /// That of a device that is there.
    pub(super) fn new(name: &str, fd: F, zones: &[ZoneId]) -> Self {
        Self {
            name: name.to_owned(),
            fd: Some(fd),
            zones: zones.to_vec(),
            generation: 0,
        }
    }

    /// The zone that `frame` enters by: the device's, or where several share
    /// it the one that holds the source address.
    pub(super) fn ingress(&self, zones: &Zones, frame: &[u8]) -> Option<ZoneId> {
        if let [only] = self.zones.as_slice() {
            return Some(*only);
        }
        // An address that a zone behind another device holds more tightly is
        // forged here, even where a zone of this device covers everything.
        let zone = zones.holding(source(frame)?)?;
        self.zones.contains(&zone).then_some(zone)
    }
}

/// The port of each zone, by the zone's number.
#[derive(Debug)]
pub(super) struct Egress(Vec<Option<usize>>);

impl Egress {
    /// The zones behind each of `ports`.
    pub(super) fn of<F>(ports: &[Port<F>], zones: &Zones) -> Self {
        let port_of = |zone| ports.iter().position(|port| port.zones.contains(&zone));
        Self(zones.iter().map(|(zone, _)| port_of(zone)).collect())
    }

    /// The place of `zone`'s port among all ports; `None` where the zone has
    /// no device.
    pub(super) fn port(&self, zone: ZoneId) -> Option<usize> {
        self.0.get(usize::from(zone.0)).copied().flatten()
    }
}

/// The source address of a packet, from its IP header on.
fn source(frame: &[u8]) -> Option<IpAddr> {
    match frame.first()? >> 4 {
        4 => {
            let octets: [u8; 4] = frame.get(12..16)?.try_into().ok()?;
            Some(Ipv4Addr::from(octets).into())
        }
        6 => {
            let octets: [u8; 16] = frame.get(8..24)?.try_into().ok()?;
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{SourceCheck, Zone};

    const LAN: ZoneId = ZoneId(0);
    const DMZ: ZoneId = ZoneId(1);
    const WAN: ZoneId = ZoneId(2);

    fn zones() -> Zones {
        let zone = |name: &str, nets: &[&str]| Zone {
            name: name.into(),
            nets: nets.iter().map(|net| net.parse().unwrap()).collect(),
            addresses: Vec::new(),
            mtu: None,
            source_check: SourceCheck::Off,
            errors: crate::net::IcmpErrors::Sent,
        };
        Zones::new(vec![
            zone("lan", &["10.0.0.0/24", "2001:db8:10::/64"]),
            zone("dmz", &["10.0.9.0/24"]),
            zone("wan", &["0.0.0.0/0", "::/0"]),
        ])
    }

    fn port(zones: &[ZoneId]) -> Port<()> {
        Port::new("tun0", (), zones)
    }

    fn v4_from(source: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0];
        frame.extend(source);
        frame.extend([198, 51, 100, 21]);
        frame
    }

    fn v6_from(source: &str) -> Vec<u8> {
        let mut frame = vec![0x60, 0, 0, 0, 0, 0, 59, 64];
        frame.extend(source.parse::<Ipv6Addr>().unwrap().octets());
        frame.extend([0; 16]);
        frame
    }

    #[test]
    fn on_a_shared_device_the_source_tells_the_zone() {
        let (zones, shared) = (zones(), port(&[LAN, WAN]));
        assert_eq!(shared.ingress(&zones, &v4_from([10, 0, 0, 7])), Some(LAN));
        assert_eq!(
            shared.ingress(&zones, &v4_from([198, 51, 100, 9])),
            Some(WAN)
        );
        assert_eq!(
            shared.ingress(&zones, &v6_from("2001:db8:10::7")),
            Some(LAN)
        );
        assert_eq!(
            shared.ingress(&zones, &v6_from("2001:db8:ff::9")),
            Some(WAN)
        );
    }

    #[test]
    fn on_a_shared_device_a_source_of_another_device_has_no_zone() {
        let (zones, shared) = (zones(), port(&[LAN, WAN]));
        assert_eq!(shared.ingress(&zones, &v4_from([10, 0, 9, 21])), None);
        assert_eq!(shared.ingress(&zones, &[]), None);
        assert_eq!(shared.ingress(&zones, &[0x45, 0, 0]), None);
        assert_eq!(shared.ingress(&zones, &[0x10; 40]), None);
    }

    #[test]
    fn on_a_device_of_its_own_a_zone_takes_everything() {
        let (zones, own) = (zones(), port(&[DMZ]));
        assert_eq!(own.ingress(&zones, &v4_from([198, 51, 100, 9])), Some(DMZ));
        assert_eq!(own.ingress(&zones, &[0x10]), Some(DMZ));
    }

    #[test]
    fn a_zone_without_device_has_no_way_out() {
        let egress = Egress::of(&[port(&[LAN]), port(&[WAN])], &zones());
        assert_eq!(egress.port(LAN), Some(0));
        assert_eq!(egress.port(DMZ), None);
        assert_eq!(egress.port(WAN), Some(1));
        assert_eq!(egress.port(ZoneId(3)), None);
    }
}
