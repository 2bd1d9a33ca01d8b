//! Devices are deleted under a running gateway, and it goes on.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::enter::{in_own_namespaces, in_own_namespaces_as_root};
use crate::lab::{Gateway, Lab, Process, SERVER, checked, checksum, office, wait_until};
use crate::privilege::of_threads;
use crate::servers::{noise, vsftpd_with};

const PROGRAMS: &[&str] = &["vsftpd", "curl", "ping", "ss", "kill", "sha256sum"];

/// What a persistent device of one queue is for.
const ONE_WORKER: [&str; 2] = ["--workers", "1"];

/// A download that takes its time.
struct Download {
    _server: Process,
    client: Process,
    from: PathBuf,
    to: PathBuf,
}

impl Download {
    /// Of so many octets at so many a second.
    fn start(lab: &Lab, octets: usize, rate: usize) -> Self {
        let from = lab.dir.write("ftp/pub/large", noise(octets));
        let limit = format!("anon_max_rate={rate}\n");
        let server = vsftpd_with(lab, &lab.server, SERVER, &limit);
        let to = lab.dir.path("fetched");
        let _ = fs::remove_file(&to);
        let mut command = lab.client.command("curl");
        command.args(["--disable", "-sS", "--max-time", "100", "--ftp-pasv"]);
        command.arg("--output").arg(&to);
        command.arg(format!("ftp://{SERVER}/pub/large"));
        let client = lab.dir.start(&mut command, "curl");
        let download = Self {
            _server: server,
            client,
            from,
            to,
        };
        download.goes_on();
        download
    }

    fn fetched(&self) -> u64 {
        fs::metadata(&self.to).map_or(0, |file| file.len())
    }

    /// Waits until more of it has come.
    fn goes_on(&self) {
        let before = self.fetched();
        wait_until("the download goes on", || self.fetched() > before + 50_000);
    }

    /// Waits until all of it has come.
    fn finish(mut self) {
        let status = self.client.wait();
        assert!(status.success(), "{status}: {}", self.client.output());
        assert_eq!(checksum(&self.to), checksum(&self.from));
    }
}

/// How often the gateway has said this.
fn said(gateway: &Gateway, word: &str) -> usize {
    gateway.log().matches(word).count()
}

fn back(device: &str, taken_over: bool) -> String {
    format!("device is back device=\"{device}\" taken_over={taken_over}")
}

/// Deletes a device, and waits until the gateway has it again.
fn delete(lab: &Lab, gateway: &Gateway, device: &str) {
    let before = said(gateway, &back(device, false));
    lab.gateway.run("ip", &["link", "del", device]);
    wait_until("the device is back", || {
        said(gateway, &back(device, false)) > before
    });
}

fn start(lab: &Lab, options: &[&str]) -> Gateway {
    lab.start_gateway_with(&lab.gateway, ("spigate", &office()), options)
}

/// Ends it: nothing is left behind, and nothing of it failed.
fn stop(gateway: Gateway, lab: &Lab) {
    let log = gateway.log();
    for trouble in ["cannot be set", "could not be undone", "not back"] {
        assert!(!log.contains(trouble), "{log}");
    }
    gateway.stop(lab);
}

/// The helper of this gateway.
fn helper_of(gateway: &Gateway) -> u32 {
    let is_its = |status: &str| {
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        parent.is_some_and(|parent| parent.trim() == gateway.id().to_string())
    };
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        is_its(&status).then_some(process)
    });
    let all: Vec<_> = processes.collect();
    assert_eq!(all.len(), 1, "it has one child: {all:?}");
    all[0]
}

/// What a process has open.
fn open_files(process: u32) -> Vec<PathBuf> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let files = files.map(|file| fs::read_link(file.unwrap().path()).unwrap());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

/// Whether there is a process of this number that has not ended.
fn lives(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

fn downloads_through(options: &[&str]) {
    let lab = Lab::new();
    let gateway = start(&lab, options);
    for device in ["wan0", "lan0"] {
        let download = Download::start(&lab, 3_000_000, 1_000_000);
        let address = || lab.gateway.run("ip", &["-o", "address", "show", device]);
        let before = address();
        delete(&lab, &gateway, device);
        download.goes_on();
        download.finish();
        let without_number = |line: String| {
            let (_, rest) = line.split_once(':').unwrap_or_default();
            rest.to_owned()
        };
        assert_eq!(without_number(address()), without_number(before));
        assert_eq!(
            said(&gateway, &format!("device gone device=\"{device}\"")),
            1
        );
    }
    stop(gateway, &lab);
}

#[test]
fn a_download_goes_on_when_a_device_is_deleted_and_the_host_is_left_as_it_was() {
    let test =
        "devices::a_download_goes_on_when_a_device_is_deleted_and_the_host_is_left_as_it_was";
    in_own_namespaces(test, PROGRAMS, || downloads_through(&[]));
}

#[test]
fn with_two_workers_each_has_its_queue_of_the_device_again() {
    let test = "devices::with_two_workers_each_has_its_queue_of_the_device_again";
    in_own_namespaces(test, PROGRAMS, || downloads_through(&["--workers", "2"]));
}

#[test]
fn without_the_sandbox_a_device_comes_back_too() {
    let test = "devices::without_the_sandbox_a_device_comes_back_too";
    in_own_namespaces(test, PROGRAMS, || downloads_through(&["--no-sandbox"]));
}

#[test]
fn both_devices_are_deleted_again_and_again_and_a_download_goes_on() {
    let test = "devices::both_devices_are_deleted_again_and_again_and_a_download_goes_on";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = start(&lab, &[]);
        let download = Download::start(&lab, 20_000_000, 2_000_000);
        for _ in 0..3 {
            lab.gateway.run("ip", &["link", "del", "lan0"]);
            delete(&lab, &gateway, "wan0");
            wait_until("both are back", || {
                said(&gateway, &back("lan0", false)) == said(&gateway, &back("wan0", false))
            });
            download.goes_on();
        }
        for _ in 0..2 {
            delete(&lab, &gateway, "wan0");
            download.goes_on();
        }
        download.finish();
        for (device, times) in [("lan0", 3), ("wan0", 5)] {
            assert_eq!(said(&gateway, &back(device, false)), times);
            let gone = format!("device gone device=\"{device}\"");
            assert_eq!(said(&gateway, &gone), times);
        }
        stop(gateway, &lab);
    });
}

#[test]
fn a_persistent_device_is_awaited_and_meanwhile_nothing_passes_beside_the_gateway() {
    let test =
        "devices::a_persistent_device_is_awaited_and_meanwhile_nothing_passes_beside_the_gateway";
    in_own_namespaces(test, PROGRAMS, || awaits_a_persistent_device("1", &[]));
}

#[test]
fn a_persistent_device_of_several_queues_is_awaited_too() {
    let test = "devices::a_persistent_device_of_several_queues_is_awaited_too";
    in_own_namespaces(test, PROGRAMS, || {
        awaits_a_persistent_device("2", &["multi_queue"]);
    });
}

fn awaits_a_persistent_device(workers: &str, queues: &[&str]) {
    let lab = Lab::new();
    let ip = |arguments: &[&str]| lab.gateway.run("ip", arguments);
    let make = || {
        ip(&[&["tuntap", "add", "dev", "lan0", "mode", "tun"], queues].concat());
        ip(&["link", "set", "lan0", "mtu", "1300", "addrgenmode", "none"]);
        ip(&["link", "set", "lan0", "up"]);
    };
    make();
    let address = "127.0.0.1:9469";
    let file = lab.dir.path("events/spigate.jsonl");
    fs::create_dir(file.parent().unwrap()).unwrap();
    let events = file.to_str().unwrap();
    let options = [
        "--workers",
        workers,
        "--events",
        events,
        "--metrics",
        address,
    ];
    let mut gateway = start(&lab, &options);
    let ready = || {
        let url = format!("http://{address}/ready");
        lab.gateway.run("curl", &["-s", &url])
    };
    let ping = ["-n", "-c1", "-W1", SERVER];
    let pings = || lab.client.try_run("ping", &ping).status.success();
    assert!(pings());
    assert_eq!(ready(), "ready\n");

    ip(&["link", "del", "lan0"]);
    wait_until("it is missed", || said(&gateway, "device gone") == 1);
    wait_until("it is not ready", || {
        ready() == "the device `lan0` is missing\n"
    });
    let health = format!("http://{address}/health");
    assert_eq!(lab.gateway.run("curl", &["-s", &health]), "healthy\n");
    // The host forwards, and would by itself.
    for family in ["-4", "-6"] {
        let rules = ip(&[family, "rule"]);
        assert!(
            rules.contains("iif lan-eth blackhole") && !rules.contains("iif lan-eth lookup"),
            "{rules}"
        );
    }
    let capture = "spigate_device_up{device=\"lan0\"} 0";
    let metrics = checked(Gateway::ctl(&lab).arg("metrics"));
    assert!(metrics.lines().any(|line| line == capture), "{metrics}");
    assert!(!pings());
    // Nobody makes it but its administrator.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert!(!ip(&["-o", "link"]).contains("lan0"));

    make();
    wait_until("it is taken over", || {
        said(&gateway, &back("lan0", true)) == 1
    });
    assert!(pings());
    assert_eq!(ready(), "ready\n");
    assert!(ip(&["rule"]).contains("iif lan-eth lookup"));
    assert!(ip(&["link", "show", "lan0"]).contains("mtu 1500"));
    let metrics = checked(Gateway::ctl(&lab).arg("metrics"));
    for line in [
        "spigate_device_up{device=\"lan0\"} 1",
        "spigate_device_losses_total{device=\"lan0\"} 1",
        "spigate_device_losses_total{device=\"wan0\"} 0",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line}\n{metrics}");
    }

    gateway.terminate();
    assert!(ip(&["link", "show", "lan0"]).contains("mtu 1300"));
    let others = |network: &str| {
        let lines = network.lines().filter(|line| !line.contains("lan0"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(others(&lab.gateway.network()), others(&gateway.before));
    let text = fs::read_to_string(file).unwrap();
    let told: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|one: &Value| one["device"] == "lan0")
        .collect();
    let names: Vec<_> = told.iter().map(|one| &one["event"]).collect();
    assert_eq!(names, ["device-lost", "device-returned"]);
    assert!(told[1]["missing"].as_f64().unwrap() > 1.0, "{told:?}");
}

#[test]
fn a_gateway_that_stops_while_a_device_is_missing_leaves_nothing_behind() {
    let test = "devices::a_gateway_that_stops_while_a_device_is_missing_leaves_nothing_behind";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let before = lab.gateway.network();
        let ip = |arguments: &[&str]| lab.gateway.run("ip", arguments);
        ip(&["tuntap", "add", "dev", "lan0", "mode", "tun"]);
        let mut gateway = start(&lab, &ONE_WORKER);
        ip(&["link", "del", "lan0"]);
        wait_until("it is missed", || {
            !ip(&["rule"]).contains("iif lan-eth lookup")
        });
        gateway.terminate();
        assert_eq!(lab.gateway.network(), before);
        // One that is killed leaves rules, which the next start takes over or removes. The host
        // passes nothing on in its place.
        ip(&["tuntap", "add", "dev", "lan0", "mode", "tun"]);
        let mut gateway = start(&lab, &ONE_WORKER);
        ip(&["link", "del", "lan0"]);
        wait_until("it is missed", || {
            !ip(&["rule"]).contains("iif lan-eth lookup")
        });
        gateway.signal("KILL");
        gateway.wait();
        assert!(ip(&["rule"]).contains("iif lan-eth blackhole"));
        let pings = lab.client.try_run("ping", &["-n", "-c1", "-W1", SERVER]);
        assert!(!pings.status.success(), "{pings:?}");
        let mut gateway = start(&lab, &ONE_WORKER);
        lab.client.run("ping", &["-n", "-c1", "-W5", SERVER]);
        gateway.terminate();
        assert_eq!(lab.gateway.network(), before);
    });
}

#[test]
fn a_device_that_another_program_has_taken_is_had_when_that_is_gone() {
    let test = "devices::a_device_that_another_program_has_taken_is_had_when_that_is_gone";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let ip = |arguments: &[&str]| lab.gateway.run("ip", arguments);
        ip(&["tuntap", "add", "dev", "lan0", "mode", "tun"]);
        let gateway = start(&lab, &ONE_WORKER);
        // What comes in its place is no TUN device.
        ip(&["link", "del", "lan0"]);
        ip(&["link", "add", "lan0", "type", "bridge"]);
        let why = "not back: cannot take over the device `lan0`: Invalid argument";
        wait_until("it is refused", || said(&gateway, why) == 1);
        std::thread::sleep(std::time::Duration::from_millis(2500));
        assert_eq!(said(&gateway, why), 1, "it is said once");
        ip(&["link", "del", "lan0"]);
        ip(&["tuntap", "add", "dev", "lan0", "mode", "tun"]);
        wait_until("it is taken over", || {
            said(&gateway, &back("lan0", true)) == 1
        });
        lab.client.run("ping", &["-n", "-c1", "-W5", SERVER]);
    });
}

#[test]
fn the_helper_of_a_confined_gateway_is_confined_and_has_a_device_again() {
    let test = "devices::the_helper_of_a_confined_gateway_is_confined_and_has_a_device_again";
    in_own_namespaces_as_root(test, PROGRAMS, || {
        let lab = Lab::new();
        // As udev has it: everybody may open it. Without one, root alone may.
        checked(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/dev/net"]));
        checked(Command::new("mknod").args(["/dev/net/tun", "c", "10", "200"]));
        for (mode, uid) in [("666", "65534"), ("600", "0")] {
            checked(Command::new("chmod").args([mode, "/dev/net/tun"]));
            confined_helper(&lab, uid);
        }
    });
}

/// The helper of a gateway that is somebody else, and itself has this number.
fn confined_helper(lab: &Lab, uid: &str) {
    let gateway = start(lab, &["--user", "nobody"]);
    let helper = helper_of(&gateway);
    let net_admin = "0000000000001000";
    let none = "0000000000000000";
    for (field, value) in [
        ("CapPrm", net_admin),
        ("CapEff", net_admin),
        ("CapInh", none),
        ("CapAmb", none),
        ("CapBnd", none),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("Uid", &[uid; 4].join(" ")),
    ] {
        let threads = of_threads(helper, field);
        let expected = vec![("device-helper".to_owned(), value.to_owned())];
        assert_eq!(threads, expected, "{field}");
    }
    let before = open_files(helper);
    for device in ["wan0", "lan0"] {
        delete(lab, &gateway, device);
        lab.client.run("ping", &["-n", "-c1", "-W5", SERVER]);
    }
    // It keeps nothing of a device.
    assert_eq!(open_files(helper), before);
    assert!(
        !before.iter().any(|file| file.ends_with("tun")),
        "{before:?}"
    );
    stop(gateway, lab);
    assert!(!lives(helper));
}

#[test]
fn the_helper_ends_with_its_gateway_however_that_ends_and_not_before() {
    let test = "devices::the_helper_ends_with_its_gateway_however_that_ends_and_not_before";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let mut gateway = start(&lab, &[]);
        let helper = helper_of(&gateway);
        // As a terminal and a service manager have it: all of them are told.
        for signal in ["INT", "TERM", "HUP"] {
            checked(Command::new("kill").args(["-s", signal, &helper.to_string()]));
        }
        delete(&lab, &gateway, "wan0");
        assert!(lives(helper));
        gateway.signal("KILL");
        gateway.wait();
        wait_until("the helper has ended", || !lives(helper));
    });
}

#[test]
fn without_its_helper_a_device_that_is_deleted_ends_the_gateway() {
    let test = "devices::without_its_helper_a_device_that_is_deleted_ends_the_gateway";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let mut gateway = start(&lab, &[]);
        let helper = helper_of(&gateway).to_string();
        checked(Command::new("kill").args(["-s", "KILL", &helper]));
        wait_until("it is noticed", || {
            said(&gateway, "the device helper has ended") == 1
        });
        lab.client.run("ping", &["-n", "-c1", "-W5", SERVER]);
        lab.gateway.run("ip", &["link", "del", "wan0"]);
        let status = gateway.wait();
        assert_eq!(status.code(), Some(2));
        let log = gateway.log();
        let last = log.lines().last().unwrap_or_default();
        assert_eq!(
            last,
            "spigate: the TUN device `wan0` is gone: somebody deleted it"
        );
        assert_eq!(lab.gateway.network(), gateway.before);
    });
}
