//! `spigate watch`: a host that forwards without us, and what the rules would do.

use std::process::Output;
use std::thread::sleep;
use std::time::Duration;

use crate::enter::in_own_namespaces;
use crate::lab::{Lab, Namespace, Process, SERVER, checksum, office};
use crate::privilege::of_threads;
use crate::servers::{self, Ftp};

const PROGRAMS: &[&str] = &[
    "python3",
    "vsftpd",
    "curl",
    "ping",
    "ss",
    "kill",
    "sha256sum",
    "dumpcap",
    "setpriv",
];

const MEBIBYTE: usize = 1 << 20;

/// Starts `spigate watch` with the office's rules on the gateway's host.
fn watch(lab: &Lab, options: &[&str]) -> Process {
    let rules = lab.dir.write("office.toml", office());
    let mut command = lab.gateway.command(env!("CARGO_BIN_EXE_spigate"));
    command.arg("watch").args(options).arg("--rules").arg(rules);
    let mut process = lab.dir.start(&mut command, "watch");
    process.wait_for_word("watching");
    process
}

/// The same to its end, which comes at once.
fn watch_fails(lab: &Lab, before: &[&str], options: &[&str]) -> String {
    let rules = lab.dir.write("office.toml", office());
    let rules = rules.to_str().unwrap();
    let program = env!("CARGO_BIN_EXE_spigate");
    let all = [before, &[program, "watch", "--rules", rules], options].concat();
    let output = lab.gateway.try_run(all[0], &all[1..]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Ends it, as Ctrl-C does.
fn interrupt(mut process: Process) -> String {
    // The last packets of closing connections.
    sleep(Duration::from_millis(500));
    process.signal("INT");
    let status = process.wait();
    let said = process.output();
    assert_eq!(status.code(), Some(0), "{said}");
    said
}

fn curl(host: &Namespace, options: &[&str]) -> Output {
    let quiet = ["--disable", "--silent", "--show-error", "--max-time", "10"];
    let output = host.try_run("curl", &[&quiet[..], options].concat());
    assert!(output.status.success(), "{output:?}");
    output
}

/// The line that has all of these.
#[track_caller]
fn line<'a>(said: &'a str, words: &[&str]) -> &'a str {
    let mut lines = said.lines();
    let found = lines.find(|line| words.iter().all(|word| line.contains(word)));
    found.unwrap_or_else(|| panic!("no line with {words:?}:\n{said}"))
}

#[test]
fn an_office_is_rehearsed_and_nothing_of_it_changes() {
    let test = "mirror::an_office_is_rehearsed_and_nothing_of_it_changes";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let _web = servers::start_web(&lab);
        let ftp = Ftp::start(&lab, &lab.server, &[SERVER], 8 * MEBIBYTE);
        let mut refused = lab.server.command("python3");
        refused.args(["-m", "http.server", "--bind", SERVER, "8080"]);
        let _refused = lab.dir.start(&mut refused, "refused");
        servers::wait_for_listener(&lab.server, "-t", SERVER, 8080);
        let before = lab.gateway.network();
        let watching = watch(&lab, &["lan-eth"]);

        let page = curl(&lab.client, &[&format!("http://{SERVER}/")]);
        assert_eq!(page.stdout, b"<title>A small page</title>\n");
        lab.client
            .run("ping", &["-n", "-c2", "-i0.2", "-W2", SERVER]);
        let large = format!("ftp://{SERVER}/pub/large");
        for mode in [&["--ftp-pasv"][..], &["--ftp-port", "-"]] {
            let got = lab.dir.path("got");
            let to = ["-o", got.to_str().unwrap(), &large];
            curl(&lab.client, &[mode, &to].concat());
            assert_eq!(checksum(&got), checksum(&ftp.large));
        }
        // The rules would refuse this one; the kernel, which nobody asked to, lets it by.
        curl(&lab.client, &[&format!("http://{SERVER}:8080/")]);

        let said = interrupt(watching);
        println!("{said}");
        line(
            &said,
            &[
                "  session ",
                "tcp web",
                &format!("> {SERVER}:80  from"),
                "lan-out",
            ],
        );
        line(&said, &["  session ", "icmp ping", SERVER, "lan-out"]);
        line(
            &said,
            &["  session ", "tcp ftp", &format!("{SERVER}:21"), "lan-out"],
        );
        line(&said, &["  session ", " of ", "tcp data", "  10.0.0.7:"]);
        line(
            &said,
            &[
                "  session ",
                " of ",
                &format!("tcp data  {SERVER}:20 > 203.0.113.2:"),
            ],
        );
        line(
            &said,
            &[
                "  drop default-policy",
                "lan  tcp",
                &format!("> {SERVER}:8080"),
            ],
        );
        // And then the summary.
        line(&said, &["└ ", "tcp data"]);
        line(&said, &["lan-out", "office.toml:"]);
        assert!(!said.contains("missing"), "{said}");
        // What offloads put together is no packet that is too big, nor is any checksum wrong.
        for reason in ["too-big", "checksum", "unfinished"] {
            assert!(!said.contains(reason), "{said}");
        }
        assert_eq!(lab.gateway.network(), before);
    });
}

#[test]
fn a_replay_of_what_was_heard_says_the_same() {
    let test = "mirror::a_replay_of_what_was_heard_says_the_same";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let _ftp = Ftp::start(&lab, &lab.server, &[SERVER], 1000);
        let file = lab.dir.path("whole.pcap");
        let mut recorder = lab.gateway.command("dumpcap");
        recorder
            .args(["-q", "-P", "-i", "lan-eth", "-w"])
            .arg(&file);
        let mut recorder = lab.dir.start(&mut recorder, "dumpcap");
        recorder.wait_for_word("File: ");
        let watching = watch(&lab, &["lan-eth", "--json"]);
        let large = format!("ftp://{SERVER}/pub/large");
        curl(&lab.client, &["--ftp-port", "-", &large, "-o", "/dev/null"]);
        let heard = interrupt(watching);
        recorder.signal("INT");
        assert!(recorder.wait().success(), "{}", recorder.output());

        let rules = lab.dir.path("office.toml");
        let file = file.to_str().unwrap();
        let arguments = ["replay", file, "--json", "--checksum", "repair", "--rules"];
        let arguments = [&arguments[..], &[rules.to_str().unwrap()]].concat();
        let replayed = lab.client.run(env!("CARGO_BIN_EXE_spigate"), &arguments);
        let told = verdicts(&heard);
        assert!(told.len() > 20, "{heard}");
        assert_eq!(told, verdicts(&replayed));
        let sessions = told.iter().map(|verdict| &verdict[0]);
        assert_eq!(sessions.max().unwrap(), "2");
    });
}

/// Session, verdict, reason and state of the packets of sessions.
fn verdicts(lines: &str) -> Vec<[String; 4]> {
    let lines = lines.lines().filter(|line| line.starts_with('{'));
    let objects = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let objects = objects.filter(|object| object["packet"].is_u64() && object["session"].is_u64());
    let of = |object: serde_json::Value| {
        ["session", "verdict", "reason", "state"].map(|field| object[field].to_string())
    };
    objects.map(of).collect()
}

#[test]
fn it_ends_by_time_and_by_number() {
    let test = "mirror::it_ends_by_time_and_by_number";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let mut quiet = watch(&lab, &["lan-eth", "--for", "300ms", "--quiet"]);
        assert_eq!(quiet.wait().code(), Some(0));
        line(&quiet.output(), &["Verdicts"]);
        let mut counting = watch(&lab, &["lan-eth", "--count", "2", "--quiet"]);
        lab.client
            .run("ping", &["-n", "-c2", "-i0.2", "-W2", SERVER]);
        assert_eq!(counting.wait().code(), Some(0));
        line(&counting.output(), &["2 packets, "]);
    });
}

#[test]
fn what_cannot_be_watched_is_told_in_one_line() {
    let test = "mirror::what_cannot_be_watched_is_told_in_one_line";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        assert_eq!(
            watch_fails(&lab, &[], &["lan-et"]),
            "spigate: there is no interface `lan-et`; did you mean `lan-eth`?\n"
        );
        assert_eq!(
            watch_fails(&lab, &["setpriv", "--bounding-set=-net_raw"], &["lan-eth"]),
            "spigate: cannot listen on `lan-eth`: Operation not permitted \
             (needs CAP_NET_RAW: run as root, or see docs/watch.md for other ways)\n"
        );
    });
}

#[test]
fn an_interface_that_goes_down_is_waited_for_and_one_that_is_gone_is_not() {
    let test = "mirror::an_interface_that_goes_down_is_waited_for_and_one_that_is_gone_is_not";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let mut watching = watch(&lab, &["lan-eth"]);
        lab.gateway.run("ip", &["link", "set", "lan-eth", "down"]);
        watching.wait_for_word("is down");
        lab.gateway.run("ip", &["link", "set", "lan-eth", "up"]);
        lab.client.run("ping", &["-n", "-c1", "-w10", SERVER]);
        watching.wait_for_word("icmp ping");
        lab.gateway.run("ip", &["link", "delete", "lan-eth"]);
        assert_eq!(watching.wait().code(), Some(2));
        let said = watching.output();
        line(&said, &["spigate: the interface `lan-eth` is gone"]);
        line(&said, &["Verdicts"]);
    });
}

#[test]
fn it_gives_up_what_it_needs_no_more() {
    let test = "mirror::it_gives_up_what_it_needs_no_more";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let watching = watch(&lab, &["lan-eth"]);
        let threads = of_threads(watching.id(), "Seccomp");
        let names: Vec<_> = threads.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["listener", "signals", "spigate"]);
        assert!(threads.iter().all(|(_, mode)| mode == "2"), "{threads:?}");
        let none = "0000000000000000";
        for field in ["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"] {
            let sets = of_threads(watching.id(), field);
            assert!(sets.iter().all(|(_, set)| set == none), "{field}: {sets:?}");
        }
        interrupt(watching);
        // One capability is enough.
        let rules = lab.dir.path("office.toml");
        let program = env!("CARGO_BIN_EXE_spigate");
        let only = ["--bounding-set=-all,+net_raw", program, "watch", "lan-eth"];
        let options = ["--for", "100ms", "--rules", rules.to_str().unwrap()];
        lab.gateway.run("setpriv", &[only, options].concat());
        let open = watch(&lab, &["lan-eth", "--no-sandbox"]);
        let threads = of_threads(open.id(), "Seccomp");
        assert!(threads.iter().all(|(_, mode)| mode == "0"), "{threads:?}");
        interrupt(open);
    });
}

#[test]
fn what_the_kernel_had_no_room_for_is_counted_and_told() {
    let test = "mirror::what_the_kernel_had_no_room_for_is_counted_and_told";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let _ftp = Ftp::start(&lab, &lab.server, &[SERVER], 64 * MEBIBYTE);
        let watching = watch(&lab, &["lan-eth", "--quiet"]);
        watching.signal("STOP");
        let large = format!("ftp://{SERVER}/pub/large");
        curl(&lab.client, &["-o", "/dev/null", &large]);
        watching.signal("CONT");
        let said = interrupt(watching);
        line(
            &said,
            &["spigate: ", " packets came faster than they were read"],
        );
    });
}
