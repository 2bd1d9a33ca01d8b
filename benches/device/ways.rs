//! The ways between client and server.

use std::process::Command;

use crate::lab::{Gateway, Lab, Namespace, Process, SERVER, checked, wait_until, with_interface};
use crate::work::this_program;

/// A way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// The kernel forwards, with the nftables rules that the rule file is exported as.
    Kernel,
    /// A program that copies between two TUN devices.
    Copier,
    /// The same by io_uring.
    Uring,
    /// spigate with so many workers: tracking, rules, masquerade.
    Spigate(u8),
    /// passt's pasta, where it is installed.
    Pasta,
    /// slirp4netns, where it is installed.
    Slirp,
}

const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24"] }
wan = { tun = "wan0", net = ["0.0.0.0/0"], address = ["203.0.113.2"] }
[policy]
default = "drop"
rules = [
  BEFORE
  { id = "out", from = "lan", to = "wan", action = "allow" },
]
[nat]
source = [ { id = "masq", from = "lan", to = "wan", as = "masquerade" } ]
"#;

/// A way that is open.
pub(crate) struct Open<'a> {
    lab: &'a Lab,
    what: What,
}

enum What {
    Kernel,
    Copier(Process),
    Spigate(Gateway),
    /// A program with a client of its own.
    Helper(Process, Namespace),
}

impl Way {
    /// All ways; spigate with each of these numbers of workers.
    pub(crate) fn all(workers: &[u8]) -> Vec<Self> {
        let own = workers.iter().copied().map(Self::Spigate);
        let before = [Self::Kernel, Self::Copier, Self::Uring].into_iter();
        before
            .chain(own)
            .chain([Self::Pasta, Self::Slirp])
            .collect()
    }

    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Copier => "copier",
            Self::Uring => "uring",
            Self::Spigate(_) => "spigate",
            Self::Pasta => "pasta",
            Self::Slirp => "slirp",
        }
    }

    pub(crate) fn title(self) -> String {
        match self {
            Self::Kernel => "kernel, nftables".to_owned(),
            Self::Copier => "copying between two TUN".to_owned(),
            Self::Uring => "copying by io_uring".to_owned(),
            Self::Spigate(1) => "spigate".to_owned(),
            Self::Spigate(workers) => format!("spigate, {workers} workers"),
            Self::Pasta => "pasta".to_owned(),
            Self::Slirp => "slirp4netns".to_owned(),
        }
    }

    /// Opens it; `None` where its program is not installed.
    pub(crate) fn open(self, lab: &Lab) -> Option<Open<'_>> {
        self.open_with(lab, 0)
    }

    /// The same with so many rules before the one that lets packets pass.
    pub(crate) fn open_with(self, lab: &Lab, before: usize) -> Option<Open<'_>> {
        let rule = |n: usize| {
            let host = format!("198.18.{}.{}", n / 250, n % 250 + 1);
            format!(
                "{{ id = \"r{n}\", from = \"lan\", to = \"wan\", dst = \"{host}\", action = \"drop\" }},\n"
            )
        };
        let before: String = (0..before).map(rule).collect();
        let rules = RULES.replace("BEFORE", &before);
        let rules = with_interface(&rules, "lan0", "lan-eth");
        let rules = with_interface(&rules, "wan0", "wan-eth");
        let what = match self {
            Self::Kernel => {
                let file = lab.dir.write("kernel.toml", &rules);
                let mut export = Command::new(env!("CARGO_BIN_EXE_spigate"));
                export.args(["export", "nftables"]).arg(file);
                let exported = checked(&mut export);
                let exported = lab.dir.write("kernel.nft", exported);
                let public = ["address", "add", "203.0.113.2/32", "dev", "wan-eth"];
                lab.gateway.run("ip", &public);
                lab.gateway
                    .run("nft", &["-f", &exported.display().to_string()]);
                What::Kernel
            }
            Self::Copier | Self::Uring => {
                let mut command = lab.gateway.command(&this_program());
                let way = if self == Self::Uring {
                    "copy-uring"
                } else {
                    "copy"
                };
                command.args([way, "lan0", "wan0"]);
                let mut process = lab.dir.start(&mut command, "copier");
                process.wait_for_word("ready");
                for (device, interface, table) in
                    [("lan0", "lan-eth", "100"), ("wan0", "wan-eth", "101")]
                {
                    let ip = |arguments: &[&str]| lab.gateway.run("ip", arguments);
                    ip(&["link", "set", device, "up"]);
                    ip(&["route", "add", "default", "dev", device, "table", table]);
                    ip(&[
                        "rule", "add", "iif", interface, "lookup", table, "priority", table,
                    ]);
                }
                What::Copier(process)
            }
            Self::Spigate(workers) => {
                let options = ["--workers", &workers.to_string()];
                let file = ("spigate", rules.as_str());
                What::Spigate(lab.start_gateway_with(&lab.gateway, file, &options))
            }
            Self::Pasta => helper(lab, "pasta", |client| {
                let mut arguments = words("-f --runas 0 --config-net --no-map-gw --netns");
                arguments.push(client.path().display().to_string());
                arguments.extend(words("-t none -u none -T none -U none"));
                arguments
            })?,
            Self::Slirp => helper(lab, "slirp4netns", |client| {
                let mut arguments = words("--configure --mtu=65520 --netns-type=path");
                arguments.push(client.path().display().to_string());
                arguments.push("tap0".into());
                arguments
            })?,
        };
        Some(Open { lab, what })
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// Connects a client of its own with the gateway's host; `None` where there is no such
/// program.
fn helper(
    lab: &Lab,
    program: &str,
    arguments: impl FnOnce(&Namespace) -> Vec<String>,
) -> Option<What> {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output();
    if !found.is_ok_and(|found| found.status.success()) {
        return None;
    }
    let client = Namespace::new(program);
    // It looks for the way out before it begins.
    let out = [
        "route", "replace", "default", "via", SERVER, "dev", "wan-eth",
    ];
    lab.gateway.run("ip", &out);
    let mut command = lab.gateway.command(program);
    command.args(arguments(&client));
    let process = lab.dir.start(&mut command, program);
    wait_until("the client has a way out", || {
        client.run("ip", &["route"]).contains("default")
    });
    Some(What::Helper(process, client))
}

impl Open<'_> {
    pub(crate) fn client(&self) -> &Namespace {
        match &self.what {
            What::Helper(_, client) => client,
            What::Kernel | What::Copier(_) | What::Spigate(_) => &self.lab.client,
        }
    }

    pub(crate) fn close(self) {
        let gateway = &self.lab.gateway;
        match self.what {
            What::Kernel => {
                gateway.run("nft", &["flush", "ruleset"]);
                let public = ["address", "del", "203.0.113.2/32", "dev", "wan-eth"];
                gateway.run("ip", &public);
            }
            What::Copier(process) => {
                drop(process);
                for table in ["100", "101"] {
                    gateway.run("ip", &["rule", "del", "priority", table]);
                }
            }
            What::Spigate(gateway) => gateway.stop(self.lab),
            What::Helper(process, client) => {
                drop((process, client));
                gateway.run("ip", &["route", "del", "default"]);
            }
        }
    }
}
