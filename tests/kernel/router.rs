//! The kernel as a gateway: a network namespace with two TUN devices whose
//! other ends are ours. A write into one runs the whole forwarding path before
//! it returns, so what comes of a packet can be read at once.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Stdio};

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
            "net.ipv6.conf.all.disable_ipv6=1",
            "net.ipv6.conf.default.disable_ipv6=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
            "net.ipv4.ip_forward=1",
            "net.ipv4.icmp_ratemask=0",
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
        run("conntrack", &["-F"]);
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
        let mut buffer = [0; 4096];
        for (zone, device) in [(Zone::Lan, &mut self.lan), (Zone::Wan, &mut self.wan)] {
            loop {
                match device.read(&mut buffer) {
                    Ok(length) => all.push((zone, buffer[..length].to_vec())),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{zone:?}: {error}"),
                }
            }
        }
        all
    }

    /// The connection table, an entry a line, in the words of
    /// [`engine_table`](super::compare::engine_table).
    pub(crate) fn table(&self) -> BTreeSet<String> {
        let output = Command::new("conntrack")
            .args(["-L"])
            .output()
            .expect("conntrack starts");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(entry).collect()
    }
}

/// `tcp 6 119 SYN_SENT src=.. dst=.. sport=.. dport=.. [UNREPLIED] src=.. ..`
fn entry(line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().collect();
    let all = |key: &str| {
        let values = words.iter().filter_map(|word| word.strip_prefix(key));
        values.collect::<Vec<_>>()
    };
    let state = match words[0] {
        "tcp" => words[3].to_ascii_lowercase().replace('_', "-"),
        _ => "-".to_owned(),
    };
    let heard = match (line.contains("[UNREPLIED]"), line.contains("[ASSURED]")) {
        (true, _) => "unreplied",
        (_, true) => "assured",
        _ => "replied",
    };
    let (sources, destinations) = (all("src="), all("dst="));
    let (one, other) = match words[0] {
        "icmp" => (all("id="), all("type=")),
        _ => (all("sport="), all("dport=")),
    };
    let tuple = |n: usize| {
        format!(
            "{}:{} > {}:{}",
            sources[n], one[n], destinations[n], other[n]
        )
    };
    format!("{} {} | {} | {state} {heard}", words[0], tuple(0), tuple(1))
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
