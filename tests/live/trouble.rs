//! What is said when the gateway cannot run: one line, and exit code 2.

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
