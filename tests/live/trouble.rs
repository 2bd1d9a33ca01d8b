//! What is said when the gateway cannot run: one line, and exit code 2.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::enter::in_own_namespaces;
use crate::lab::{Lab, office};

#[test]
fn without_privilege_one_clear_line_says_so() {
    let test = "trouble::without_privilege_one_clear_line_says_so";
    in_own_namespaces(test, &["setpriv"], || {
        let lab = Lab::new();
        let drop = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"];
        let mut command = lab.gateway.command("setpriv");
        command.args(drop).arg(env!("CARGO_BIN_EXE_spigate"));
        assert_eq!(
            complaint(&lab, command),
            "spigate: cannot make the TUN device `lan0`: Operation not permitted \
             (needs CAP_NET_ADMIN: run as root, or see docs/run.md for other ways)\n"
        );
    });
}

#[test]
fn a_device_that_is_no_tun_device_is_left_alone() {
    let test = "trouble::a_device_that_is_no_tun_device_is_left_alone";
    in_own_namespaces(test, &[], || {
        let lab = Lab::new();
        lab.gateway
            .run("ip", &["link", "add", "lan0", "type", "bridge"]);
        let before = lab.gateway.network();
        let command = lab.gateway.command(env!("CARGO_BIN_EXE_spigate"));
        assert_eq!(
            complaint(&lab, command),
            "spigate: cannot take over the device `lan0`: Invalid argument \
             (it is not a TUN device with one queue)\n"
        );
        assert_eq!(lab.gateway.network(), before);
    });
}

#[test]
fn a_device_that_another_gateway_has_open_is_busy() {
    let test = "trouble::a_device_that_another_gateway_has_open_is_busy";
    in_own_namespaces(test, &["kill"], || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&office());
        let command = lab.gateway.command(env!("CARGO_BIN_EXE_spigate"));
        assert_eq!(
            complaint(&lab, command),
            "spigate: cannot take over the device `lan0`: Device or resource busy \
             (another program has it open)\n"
        );
        gateway.stop(&lab);
    });
}

#[test]
fn a_failed_start_undoes_what_it_had_done() {
    let test = "trouble::a_failed_start_undoes_what_it_had_done";
    in_own_namespaces(test, &[], || {
        let lab = Lab::new();
        // The way to the public address is taken: wan0 comes after lan0.
        let taken = ["route", "add", "203.0.113.2/32", "dev", "wan-eth"];
        lab.gateway.run("ip", &taken);
        let before = lab.gateway.network();
        let command = lab.gateway.command(env!("CARGO_BIN_EXE_spigate"));
        let said = complaint(&lab, command);
        let last = said.lines().last().unwrap_or_default();
        assert_eq!(
            last,
            "spigate: cannot route 203.0.113.2/32 into `wan0`: File exists"
        );
        assert_eq!(lab.gateway.network(), before);
    });
}

#[test]
fn a_persistent_device_is_taken_over_and_stays() {
    let test = "trouble::a_persistent_device_is_taken_over_and_stays";
    in_own_namespaces(test, &["kill"], || {
        let lab = Lab::new();
        let ip = |arguments: &[&str]| lab.gateway.run("ip", arguments);
        ip(&["tuntap", "add", "dev", "lan0", "mode", "tun"]);
        ip(&["link", "set", "lan0", "mtu", "1300", "addrgenmode", "none"]);
        ip(&["link", "set", "lan0", "up"]);
        let filter = "net.ipv4.conf.lan0.rp_filter";
        let sysctl = |arguments: &[&str]| lab.gateway.run("sysctl", arguments);
        sysctl(&["-qw", &format!("{filter}=1")]);
        let mut gateway = lab.start_gateway(&office());
        assert!(ip(&["link", "show", "lan0"]).contains("mtu 1500"));
        assert_eq!(sysctl(&["-n", filter]), "0\n");
        gateway.terminate();
        let log = gateway.log();
        assert!(!log.contains("could not be undone"), "{log}");
        assert_eq!(sysctl(&["-n", filter]), "1\n");
        assert!(ip(&["link", "show", "lan0"]).contains("mtu 1300"));
        // That it has lost its carrier is all that the host should see.
        let others = |network: &str| {
            let lines = network.lines().filter(|line| !line.contains("lan0"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(others(&lab.gateway.network()), others(&gateway.before));
    });
}

/// What `run` says when it fails, with the office's rules.
fn complaint(lab: &Lab, mut spigate: Command) -> String {
    let file = lab.dir.write("rules.toml", office());
    let output = spigate.arg("run").arg(file).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What an administrator has made of a persistent device, as far as the gateway may change it.
fn made_of(lab: &Lab) -> String {
    let link = lab.gateway.run("ip", &["-j", "link", "show", "lan0"]);
    let link: serde_json::Value = serde_json::from_str(&link).expect("it is JSON");
    let settings = ["ipv4.conf.lan0.rp_filter", "ipv6.conf.lan0.accept_ra"];
    let settings = settings.map(|name| lab.gateway.run("sysctl", &[&format!("net.{name}")]));
    let asked: [&[&str]; 3] = [
        &["-br", "address", "show", "lan0"],
        &["route", "show", "table", "all", "dev", "lan0"],
        &["-6", "route", "show", "table", "all", "dev", "lan0"],
    ];
    let answers = asked.map(|asked| {
        let said = lab.gateway.run("ip", asked);
        // Whether somebody has it open is another matter, and so is what the kernel does then.
        let said = said.replace("UNKNOWN", "").replace("DOWN", "");
        let lines = said.lines().filter(|line| !line.starts_with("multicast"));
        lines
            .map(|line| line.replace(" linkdown", ""))
            .collect::<Vec<_>>()
    });
    format!(
        "{} {}\n{settings:?}\n{answers:#?}",
        link[0]["mtu"], link[0]["ifalias"]
    )
}

#[test]
fn what_a_killed_gateway_made_of_a_persistent_device_is_set_back_by_the_next() {
    let test = "trouble::what_a_killed_gateway_made_of_a_persistent_device_is_set_back_by_the_next";
    in_own_namespaces(test, &["kill"], || {
        let lab = Lab::new();
        let ip = |arguments: &[&str]| lab.gateway.run("ip", arguments);
        ip(&["tuntap", "add", "dev", "lan0", "mode", "tun"]);
        ip(&[
            "link",
            "set",
            "lan0",
            "mtu",
            "1300",
            "alias",
            "to the lab; upstairs",
        ]);
        // With one, it gets an address by itself when somebody has it open.
        ip(&["link", "set", "lan0", "addrgenmode", "none"]);
        ip(&["address", "add", "10.255.9.9/32", "dev", "lan0"]);
        ip(&["link", "set", "lan0", "up"]);
        lab.gateway
            .run("sysctl", &["-qw", "net.ipv4.conf.lan0.rp_filter=1"]);
        let at_first = made_of(&lab);
        let with_address = |address: &str| {
            let named = "tun = \"lan0\",";
            let rules = office();
            assert!(rules.contains(named), "{rules}");
            rules.replace(named, &format!("{named} host-address = \"{address}\","))
        };
        let first = lab.start_gateway(&with_address("10.255.0.1/32"));
        let made = made_of(&lab);
        assert!(
            made.contains("1500 \"spigate, before: mtu 1300, ipv4.rp_filter 1"),
            "{made}"
        );
        assert!(made.contains("; to the lab; upstairs\""), "{made}");
        assert!(made.contains("10.255.0.1"), "{made}");
        // It is killed.
        drop(first);
        assert!(
            made_of(&lab).contains("10.255.0.1"),
            "it stays as it was made"
        );
        // Another file wants another address.
        let mut second = lab.start_gateway(&with_address("10.255.0.2/32"));
        let made = made_of(&lab);
        let log = second.log();
        assert!(
            log.contains("set back what a killed gateway had changed"),
            "{log}"
        );
        assert!(!made.contains("10.255.0.1"), "{made}");
        assert!(
            made.contains("10.255.0.2") && made.contains("10.255.9.9"),
            "{made}"
        );
        assert!(
            made.contains("1500 \"spigate, before: mtu 1300, ipv4.rp_filter 1"),
            "{made}"
        );
        second.terminate();
        assert!(!second.log().contains("could not be undone"), "{log}");
        assert_eq!(made_of(&lab), at_first);
    });
}

#[test]
fn guards_that_are_nobodys_any_more_are_named() {
    let test = "trouble::guards_that_are_nobodys_any_more_are_named";
    in_own_namespaces(test, &["kill"], || {
        let lab = Lab::new();
        drop(lab.start_gateway(&office()));
        // Another file: it names no interface.
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/office.toml");
        let rules = fs::read_to_string(file).expect("the office's rules are there");
        let mut next = lab.start_gateway(&rules);
        next.terminate();
        let log = next.log();
        for interface in ["lan-eth", "wan-eth"] {
            let says = format!("interface=\"{interface}\"");
            let said = log.lines().filter(|line| line.contains("guards it"));
            assert_eq!(said.filter(|line| line.contains(&says)).count(), 1, "{log}");
        }
        let rules = lab.gateway.run("ip", &["rule"]);
        assert!(rules.contains("iif lan-eth blackhole"), "{rules}");
    });
}
