//! What `run --dry-run` prints is what `run` does.

use std::collections::BTreeSet;

use crate::enter::in_own_namespaces;
use crate::lab::{Lab, Namespace, checked, office};

const PROGRAMS: &[&str] = &["kill", "sh", "cat"];

/// Addresses, rules and routes, but for whether somebody has a device open; and the
/// settings of our devices.
fn done_to(host: &Namespace) -> String {
    let questions: [&[&str]; 5] = [
        &["-o", "address"],
        &["rule"],
        &["-6", "rule"],
        &["route", "show", "table", "all"],
        &["-6", "route", "show", "table", "all"],
    ];
    let said = questions.map(|question| host.run("ip", question)).concat();
    let said = said.replace(" linkdown", "");
    let settings = ["lan0", "dmz0", "wan0"].map(|device| {
        ["ipv4/conf/D/rp_filter", "ipv6/conf/D/accept_ra"]
            .map(|setting| format!("/proc/sys/net/{}", setting.replace('D', device)))
            .map(|setting| host.run("cat", &[&setting]))
            .concat()
    });
    said + &settings.concat()
}

#[test]
fn run_does_what_a_dry_run_prints_and_a_dry_run_does_nothing() {
    let test = "dry_run::run_does_what_a_dry_run_prints_and_a_dry_run_does_nothing";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let rules = office();
        let file = lab.dir.write("office.toml", &rules);
        let before = lab.gateway.network();
        let mut dry_run = lab.gateway.command(env!("CARGO_BIN_EXE_spigate"));
        let script = checked(dry_run.args(["run", "--dry-run"]).arg(&file));
        assert_eq!(lab.gateway.network(), before);

        let gateway = lab.start_gateway(&rules);
        let done = done_to(&lab.gateway);
        gateway.stop(&lab);
        // The kernel numbers devices that come later higher.
        let number = |host: &Namespace| {
            let index = host.run("cat", &["/sys/class/net/lan0/ifindex"]);
            index.trim().parse::<u32>().unwrap()
        };
        let by_hand = lab.dir.write("by-hand.sh", format!("set -e\n{script}"));
        lab.gateway.run("sh", &[&by_hand.display().to_string()]);
        let lan = number(&lab.gateway);
        let mut expected = done;
        for (was, is) in (0..3).map(|n| (lan - 3 + n, lan + n)) {
            expected = expected
                .replace(
                    &format!("{}", 7_300_000 + was),
                    &format!("{}", 7_300_000 + is),
                )
                .replace(&format!("\n{was}: "), &format!("\n{is}: "));
        }
        let by_hand = done_to(&lab.gateway);
        // The kernel makes this one for a device that somebody has open.
        let is_kernels = |line: &&str| line.starts_with("multicast ff00::/8 dev");
        let lines = |text: &str| {
            let all = text.lines().filter(|line| !is_kernels(line));
            all.map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let (by_hand, expected) = (lines(&by_hand), lines(&expected));
        let apart: Vec<_> = by_hand.symmetric_difference(&expected).collect();
        assert!(apart.is_empty(), "{apart:#?}\n{script}");
    });
}
