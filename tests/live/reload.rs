//! The rule file of a running gateway changes.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::enter::in_own_namespaces;
use crate::lab::{Gateway, Lab, SERVER, office, wait_until};

const PROGRAMS: &[&str] = &["python3", "ss", "ping", "kill"];

/// The server sends numbered lines for as long as the client listens; the client says
/// when it has heard so many more.
pub(crate) const TRANSFER: &str = r#"
import socket, sys, time
address, role = sys.argv[1:3]
if role == "server":
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 80))
    listener.listen()
    end, _ = listener.accept()
    line = 0
    while True:
        end.sendall(b"".join(b"%d\n" % n for n in range(line, line + 1000)))
        line += 1000
        time.sleep(0.001)
else:
    heard = socket.create_connection((address, 80)).makefile("rb")
    for line in range(1 << 60):
        assert heard.readline() == b"%d\n" % line
        if line % 100_000 == 0:
            print("heard", line, flush=True)
"#;

/// The office, from which nobody pings.
fn without_ping() -> String {
    let allows = r#"from = "lan", to = "wan", "#;
    let rules = office();
    let (before, rest) = rules.split_once("rules = [").expect("there are rules");
    assert!(rest.contains(allows), "{rules}");
    let no_ping =
        r#"{ id = "no-ping", from = "lan", to = "wan", service = "ping", action = "drop" },"#;
    format!("{before}rules = [\n  {no_ping}{rest}")
}

fn pings(lab: &Lab) -> bool {
    let ping = ["-n", "-c1", "-W1", SERVER];
    lab.client.try_run("ping", &ping).status.success()
}

/// Waits until the gateway has said this so many times.
fn wait_for(gateway: &Gateway, word: &str, times: usize) {
    wait_until(word, || gateway.log().matches(word).count() >= times);
}

#[test]
fn a_changed_rule_file_takes_effect_while_a_transfer_goes_on() {
    let test = "reload::a_changed_rule_file_takes_effect_while_a_transfer_goes_on";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&office());
        let mut transfer = lab.start_transfer(TRANSFER);
        let client = &mut transfer.client;
        client.wait_for_word("heard 100000");
        let heard = || client.output().lines().count();
        let goes_on = || {
            let before = heard();
            wait_until("the transfer goes on", || heard() > before + 1);
        };
        assert!(pings(&lab));

        // Written in place: it is noticed.
        lab.dir.write("spigate.toml", without_ping());
        wait_for(&gateway, "rules reloaded", 1);
        assert!(!pings(&lab));
        goes_on();

        // A file that is wrong: what is wrong is said, and all stays as it is.
        let broken = without_ping().replace("action = \"drop\" },", "action = \"dorp\" },");
        lab.dir.write("spigate.toml", broken);
        wait_for(&gateway, "rules not reloaded", 1);
        let log = gateway.log();
        assert!(
            log.contains("dorp") && log.contains("spigate.toml:"),
            "{log}"
        );
        assert!(!pings(&lab));
        goes_on();
        // Whoever asks for it hears the same.
        let asked = Gateway::ctl(&lab).arg("reload").output().unwrap();
        let said = String::from_utf8(asked.stderr).unwrap();
        assert_eq!(asked.status.code(), Some(1), "{said}");
        assert!(said.contains("dorp"), "{said}");

        // So does one that wants another host around it.
        lab.dir
            .write("spigate.toml", office().replace("lan-eth", "lan-other"));
        wait_for(
            &gateway,
            "needs a restart: the device `lan0` has other `interfaces`",
            1,
        );
        assert!(!pings(&lab));

        // Another file in its place, as editors have it.
        let other = lab.dir.write("spigate.toml~", office());
        fs::rename(other, lab.dir.path("spigate.toml")).expect("files can be renamed");
        wait_for(&gateway, "rules reloaded", 2);
        assert!(pings(&lab));
        goes_on();

        // A signal has it read as it is, and nothing else does.
        sleep(Duration::from_secs(1));
        assert_eq!(gateway.log().matches("rules reloaded").count(), 2);
        gateway.signal("HUP");
        wait_for(&gateway, "rules reloaded", 3);
        let asked = Gateway::ctl(&lab).arg("reload").output().unwrap();
        assert!(asked.status.success(), "{asked:?}");
        wait_for(&gateway, "rules reloaded", 4);
        goes_on();
        gateway.stop(&lab);
    });
}
