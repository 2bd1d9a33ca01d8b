//! The kernel as a gateway: a network namespace with two TUN devices whose
//! other ends are ours. A write into one runs the whole forwarding path before
//! it returns, so what comes of a packet can be read at once.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};

use super::table::Entry;

/// The gateway's own addresses.
pub(crate) const OWN: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 2)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x10, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xff, 0, 0, 0, 0, 2)),
];

/// By which device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Zone {
    Lan,
    Wan,
}

impl Zone {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lan => "lan",
            Self::Wan => "wan",
        }
    }
}

pub(crate) struct Router {
    lan: tun::Device,
    wan: tun::Device,
}

impl Router {
    /// The namespace that we are in becomes a gateway with this ruleset.
    pub(crate) fn new(ruleset: &str) -> Self {
        for setting in [
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
            "net.ipv4.conf.all.accept_source_route=0",
            "net.ipv4.conf.default.accept_source_route=0",
            // A hairpin leaves by the device that it came by.
            "net.ipv4.conf.all.send_redirects=0",
            "net.ipv4.conf.default.send_redirects=0",
            "net.ipv4.ip_forward=1",
            "net.ipv4.icmp_ratemask=0",
            // Pieces of earlier seeds stay incomplete: they must not fill it.
            "net.ipv4.ipfrag_high_thresh=268435456",
            "net.ipv4.ipfrag_max_dist=0",
            "net.netfilter.nf_conntrack_frag6_high_thresh=268435456",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv6.conf.default.forwarding=1",
            "net.ipv6.conf.default.addr_gen_mode=1",
            "net.ipv6.conf.default.accept_dad=0",
            "net.ipv6.auto_flowlabels=0",
            "net.ipv6.icmp.ratelimit=0",
            // Nor by the bucket that all errors share: a quick run empties it.
            "net.ipv6.icmp.ratemask=0",
        ] {
            run("sysctl", &["-qw", setting]);
        }
        let device = |name: &str| {
            let mut configuration = tun::Configuration::default();
            configuration.tun_name(name);
            let device = tun::create(&configuration).expect("a TUN device");
            device.set_nonblock().expect("a device that does not block");
            device
        };
        let (lan, wan) = (device("lan0"), device("wan0"));
        for line in [
            "link set lo up",
            "link set lan0 up",
            "link set wan0 up",
            "address add 10.0.0.1/24 dev lan0",
            "address add 203.0.113.2/32 dev wan0",
            "route add default dev wan0",
            "-6 address add 2001:db8:10::1/64 dev lan0 nodad",
            "-6 address add 2001:db8:ff::2/128 dev wan0 nodad",
            "-6 route add 2001:db8:20::/64 dev lan0",
            "-6 route add default dev wan0",
        ] {
            run("ip", &line.split(' ').collect::<Vec<_>>());
        }
        // The settings that the ruleset names in its head.
        let settings = ruleset.lines().filter_map(|l| l.strip_prefix("#   net."));
        for setting in settings {
            run(
                "sysctl",
                &["-qw", &format!("net.{}", setting.replace(" = ", "="))],
            );
        }
        let mut router = Self { lan, wan };
        router.load(ruleset);
        router.read_all();
        router
    }

    /// Another ruleset takes the place of the one in force.
    pub(crate) fn load(&mut self, ruleset: &str) {
        let mut nft = Command::new("nft")
            .args(["-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("nft starts");
        nft.stdin
            .take()
            .unwrap()
            .write_all(ruleset.as_bytes())
            .unwrap();
        assert!(nft.wait().unwrap().success(), "nft refuses\n{ruleset}");
    }

    /// Forgets all sessions.
    pub(crate) fn forget(&mut self) {
        run("conntrack", &["-F", "-f", "ipv4"]);
        run("conntrack", &["-F", "-f", "ipv6"]);
        self.read_all();
    }

    /// What comes of a packet, in order for each device.
    pub(crate) fn send(&mut self, zone: Zone, packet: &[u8]) -> Vec<(Zone, Vec<u8>)> {
        let device = match zone {
            Zone::Lan => &mut self.lan,
            Zone::Wan => &mut self.wan,
        };
        // A device refuses what has no IP header: nothing comes of that.
        let _ = device.write(packet);
        self.read_all()
    }

    fn read_all(&mut self) -> Vec<(Zone, Vec<u8>)> {
        let mut all = Vec::new();
        let mut buffer = [0; 65_536];
        for (zone, device) in [(Zone::Lan, &mut self.lan), (Zone::Wan, &mut self.wan)] {
            loop {
                match device.read(&mut buffer) {
                    // What the kernel says for itself, such as MLD reports.
                    Ok(40..) if buffer[0] >> 4 == 6 && buffer[24] == 0xff => {}
                    Ok(length) => all.push((zone, buffer[..length].to_vec())),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{zone:?}: {error}"),
                }
            }
        }
        all
    }

    /// The connection table.
    pub(crate) fn table(&self) -> BTreeSet<Entry> {
        let list = |family| {
            let output = Command::new("conntrack")
                .args(["-L", "-f", family])
                .output()
                .expect("conntrack starts");
            String::from_utf8(output.stdout).unwrap()
        };
        let text = list("ipv4") + &list("ipv6");
        text.lines().map(Entry::of_kernel).collect()
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
