//! A gateway ends, and begins again by what it has kept: connections go on.

use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::enter::in_own_namespaces;
use crate::lab::{Gateway, Lab, SERVER, checked, checksum, office, wait_until};
use crate::reload::TRANSFER;
use crate::servers::vsftpd_with;

const PROGRAMS: &[&str] = &[
    "python3",
    "ss",
    "vsftpd",
    "ip",
    "kill",
    "mount",
    "sha256sum",
];

/// One control connection: a slow transfer, during which the gateway begins anew, then more,
/// in both modes.
const FTP: &str = r#"
import ftplib, hashlib, sys
server, = sys.argv[1:]
ftp = ftplib.FTP(server, timeout=60)
ftp.login()
def fetch(name, passive):
    ftp.set_pasv(passive)
    sum, size = hashlib.sha256(), 0
    def take(octets):
        nonlocal size
        sum.update(octets)
        if size < 200_000 <= size + len(octets):
            print("under way", name, flush=True)
        size += len(octets)
    ftp.retrbinary("RETR " + name, take)
    print("got", name, sum.hexdigest(), flush=True)
fetch("pub/large", True)
for passive in [True, False, True, False]:
    fetch("pub/small", passive)
ftp.quit()
print("done", flush=True)
"#;

/// Starts a gateway which leaves a host that passes nothing on in its place.
fn start(lab: &Lab, more: &[&str]) -> Gateway {
    start_with(lab, &[&["--stay-closed"], more].concat())
}

fn start_with(lab: &Lab, more: &[&str]) -> Gateway {
    let file = lab.dir.path("state/spigate");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let options = [&["--state", file.to_str().unwrap()], more].concat();
    lab.start_gateway_with(&lab.gateway, ("spigate", &office()), &options)
}

fn save(lab: &Lab) -> String {
    let saved = Gateway::ctl(lab).arg("save").output().unwrap();
    assert!(saved.status.success(), "{saved:?}");
    String::from_utf8(saved.stdout).unwrap()
}

#[test]
fn t_6888_req_8_loss__transfers_and_their_control_session_survive_a_restart() {
    let test = "restart::t_6888_req_8_loss__transfers_and_their_control_session_survive_a_restart";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let large: Vec<u8> = (0..1_500_000u32).map(|n| (n * 31 / 7) as u8).collect();
        let large = lab.dir.write("ftp/pub/large", large);
        let small = lab.dir.write("ftp/pub/small", "a few words\n".repeat(1000));
        let _ftp = vsftpd_with(&lab, &lab.server, SERVER, "anon_max_rate=300000\n");
        let mut gateway = start(&lab, &[]);
        assert!(gateway.log().contains("no state yet"), "{}", gateway.log());
        let mut client = lab.client.command("python3");
        let mut client = lab.dir.start(client.args(["-c", FTP, SERVER]), "client");
        client.wait_for_word("under way pub/large");

        gateway.terminate();
        let log = gateway.log();
        assert!(log.contains("state saved: 2 sessions"), "{log}");
        drop(gateway);
        sleep(Duration::from_millis(300));
        let gateway = start(&lab, &[]);
        let log = gateway.log();
        assert!(log.contains("state restored: 2 sessions"), "{log}");

        assert_eq!(client.wait().code(), Some(0), "{}", client.output());
        let said = client.output();
        let got = |name: &str, sum: &str| said.matches(&format!("got {name} {sum}")).count();
        assert_eq!(got("pub/large", &checksum(&large)), 1, "{said}");
        assert_eq!(got("pub/small", &checksum(&small)), 4, "{said}");
        assert!(said.contains("done"), "{said}");
        gateway.stop(&lab);
    });
}

#[test]
fn connections_go_on_after_a_gateway_was_killed_under_load() {
    let test = "restart::connections_go_on_after_a_gateway_was_killed_under_load";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let network = lab.gateway.network();
        let mut gateway = start(&lab, &[]);
        let mut transfer = lab.start_transfer(TRANSFER);
        let client = &mut transfer.client;
        client.wait_for_word("heard 100000");
        let heard = || client.output().lines().count();
        let goes_on = || {
            let before = heard();
            wait_until("the transfer goes on", || heard() > before + 2);
        };

        let said = save(&lab);
        assert!(said.starts_with("1 session saved, "), "{said}");
        // Far beyond all windows that were written down.
        goes_on();
        gateway.signal("KILL");
        gateway.wait();
        drop(gateway);
        let mut gateway = start(&lab, &["--save-every", "500ms"]);
        assert!(
            gateway.log().contains("state restored: 1 sessions"),
            "{}",
            gateway.log()
        );
        goes_on();

        // Again, and by what is saved every now and then.
        wait_until("it is saved", || {
            gateway.log().matches("state saved").count() >= 2
        });
        goes_on();
        gateway.signal("KILL");
        gateway.wait();
        drop(gateway);
        let mut gateway = start(&lab, &[]);
        assert!(
            gateway.log().contains("state restored: 1 sessions"),
            "{}",
            gateway.log()
        );
        goes_on();

        // What is damaged is set aside, and nothing of it goes on.
        gateway.terminate();
        drop(gateway);
        let file = lab.dir.path("state/spigate");
        let mut octets = fs::read(&file).unwrap();
        let middle = octets.len() / 2;
        octets[middle] ^= 1;
        fs::write(&file, &octets).unwrap();
        let mut gateway = start_with(&lab, &[]);
        let log = gateway.log();
        assert!(
            log.contains("state refused, and set aside: it is damaged"),
            "{log}"
        );
        let aside = lab.dir.path("state/spigate.refused");
        assert_eq!(fs::read(aside).unwrap(), octets);
        assert!(!file.exists());
        assert!(save(&lab).starts_with("0 sessions saved"));
        drop(transfer);
        // That one was not to leave the host closed, as those before it had.
        gateway.terminate();
        assert_eq!(lab.gateway.network(), network);
    });
}

#[test]
fn on_a_full_disk_what_was_saved_before_is_still_there() {
    let test = "restart::on_a_full_disk_what_was_saved_before_is_still_there";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let small = lab.dir.path("state");
        fs::create_dir(&small).unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=64k", "tmpfs"];
        checked(Command::new("mount").args(mount).arg(&small));
        let mut gateway = start(&lab, &[]);
        save(&lab);
        let file = small.join("spigate");
        let before = fs::read(&file).unwrap();
        // As much as there is room for.
        let _ = fs::write(small.join("filler"), vec![b'x'; 64 << 10]);
        let send = format!(
            "import socket
for _ in range(200):
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.sendto(b'x', ('{SERVER}', 53))"
        );
        lab.client.run("python3", &["-c", &send]);
        let asked = Gateway::ctl(&lab).arg("save").output().unwrap();
        let said = String::from_utf8_lossy(&asked.stderr).into_owned();
        assert_eq!(asked.status.code(), Some(1), "{said}");
        assert!(said.contains("No space left"), "{said}");
        assert!(said.contains("is still there"), "{said}");
        gateway.terminate();
        let log = gateway.log();
        assert_eq!(log.matches("state not saved").count(), 2, "{log}");
        assert_eq!(fs::read(&file).unwrap(), before);
        assert_eq!(fs::read_dir(&small).unwrap().count(), 2);
        drop(gateway);
        let gateway = start(&lab, &[]);
        let log = gateway.log();
        assert!(log.contains("state restored: 0 sessions"), "{log}");
        fs::remove_file(small.join("filler")).unwrap();
        gateway.stop(&lab);
        checked(Command::new("umount").arg(&small));
    });
}

#[test]
fn there_is_a_place_for_the_state_or_no_gateway() {
    let test = "restart::there_is_a_place_for_the_state_or_no_gateway";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let rules = lab.dir.write("spigate.toml", office());
        let network = lab.gateway.network();
        let state = lab.dir.path("nowhere/state");
        let mut command = lab.gateway.command(env!("CARGO_BIN_EXE_spigate"));
        command.arg("run").arg(rules).arg("--state").arg(state);
        let ended = command.arg("--no-control").output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            said.contains("cannot have the state in") && said.contains("No such file"),
            "{said}"
        );
        assert_eq!(lab.gateway.network(), network);
        // Without one nothing is saved.
        let gateway = lab.start_gateway(&office());
        let asked = Gateway::ctl(&lab).arg("save").output().unwrap();
        assert_eq!(asked.status.code(), Some(1), "{asked:?}");
        gateway.stop(&lab);
    });
}
