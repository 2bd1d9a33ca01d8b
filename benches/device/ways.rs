//! The ways between client and server.

use std::fs;
use std::process::Command;

use crate::lab::{Gateway, Lab, Namespace, Process, SERVER, checked, with_interface};
use crate::work::this_program;

/// A way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// The kernel forwards, with the nftables rules that the rule file is exported as.
    Kernel,
    /// A program that copies between two TUN devices.
    Copier,
    /// spigate: tracking, rules, masquerade.
    Spigate,
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
rules = [ { id = "out", from = "lan", to = "wan", action = "allow" } ]
[nat]
source = [ { id = "masq", from = "lan", to = "wan", as = "masquerade" } ]
"#;

/// A way that is open.
pub(crate) struct Open<'a> {
    client: &'a Namespace,
    server: &'static str,
    what: What,
}

enum What {
    Kernel,
    Copier(Process),
    Spigate(Gateway),
    Helper(Process),
}

impl Way {
    pub(crate) const ALL: [Self; 5] = [
        Self::Kernel,
        Self::Copier,
        Self::Spigate,
        Self::Pasta,
        Self::Slirp,
    ];

    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Copier => "copier",
            Self::Spigate => "spigate",
            Self::Pasta => "pasta",
            Self::Slirp => "slirp",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Kernel => "kernel, nftables",
            Self::Copier => "copying between two TUN",
            Self::Spigate => "spigate",
            Self::Pasta => "pasta",
            Self::Slirp => "slirp4netns",
        }
    }

    /// Opens it; `None` where its program is not installed.
    pub(crate) fn open(self, lab: &Lab) -> Option<Open<'_>> {
        let rules = with_interface(RULES, "lan0", "lan-eth");
        let rules = with_interface(&rules, "wan0", "wan-eth");
        let (what, client) = match self {
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
                (What::Kernel, &lab.client)
            }
            Self::Copier => {
                let mut command = lab.gateway.command(&this_program());
                command.args(["copy", "lan0", "wan0"]);
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
                (What::Copier(process), &lab.client)
            }
            Self::Spigate => (What::Spigate(lab.start_gateway(&rules)), &lab.client),
            Self::Pasta | Self::Slirp => return None,
        };
        Some(Open {
            client,
            server: SERVER,
            what,
        })
    }
}

impl Open<'_> {
    pub(crate) fn client(&self) -> &Namespace {
        self.client
    }

    pub(crate) fn server(&self) -> &'static str {
        self.server
    }

    pub(crate) fn close(self, lab: &Lab) {
        match self.what {
            What::Kernel => {
                lab.gateway.run("nft", &["flush", "ruleset"]);
                let public = ["address", "del", "203.0.113.2/32", "dev", "wan-eth"];
                lab.gateway.run("ip", &public);
            }
            What::Copier(process) => {
                drop(process);
                for table in ["100", "101"] {
                    lab.gateway.run("ip", &["rule", "del", "priority", table]);
                }
            }
            What::Spigate(gateway) => gateway.stop(lab),
            What::Helper(process) => drop(process),
        }
        let _ = fs::metadata("/");
    }
}
