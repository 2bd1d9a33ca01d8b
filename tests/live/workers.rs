//! Several workers, between real hosts: whatever comes to the wrong one ends where it belongs.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::enter::in_own_namespaces;
use crate::lab::{
    CLIENT, Gateway, Lab, PUBLIC, SERVER, SERVER_V6, checked, checksum, office, wait_until,
    with_interface,
};
use crate::servers::{Ftp, wait_for_listener};

const PROGRAMS: &[&str] = &[
    "vsftpd",
    "lftp",
    "curl",
    "python3",
    "ping",
    "ss",
    "kill",
    "sha256sum",
];

const MEBIBYTE: usize = 1 << 20;

/// The office lets echo servers and traceroutes be asked too.
fn rules() -> String {
    let allows = r#"rules = ["#;
    let any = r#"rules = [
  { id = "lan-any", from = "lan", to = "wan", service = "any-udp", action = "allow" },"#;
    let services = "[services]";
    let echo = "[services]\nany-udp = { udp = [7, \"33434-33600\"] }";
    let rules = office();
    assert!(
        rules.contains(allows) && rules.contains(services),
        "{rules}"
    );
    rules.replacen(allows, any, 1).replacen(services, echo, 1)
}

/// The lab's gateway with so many workers.
fn start(lab: &Lab, rules: &str, workers: &str, more: &[&str]) -> Gateway {
    let options = [&["--workers", workers], more].concat();
    lab.start_gateway_with(&lab.gateway, ("spigate", rules), &options)
}

fn ctl(lab: &Lab, words: &[&str]) -> Vec<Value> {
    let said = checked(Gateway::ctl(lab).arg("--json").args(words));
    let lines = said.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The sum of what all workers say.
fn sum(workers: &[Value], key: &str) -> u64 {
    workers.iter().map(|one| one[key].as_u64().unwrap()).sum()
}

/// The object of this table.
fn table<'a>(objects: &'a [Value], name: &str) -> &'a Value {
    let found = objects.iter().find(|one| one["table"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {objects:?}"))
}

#[test]
fn ftp_in_all_four_modes_carries_files_through_several_workers() {
    let test = "workers::ftp_in_all_four_modes_carries_files_through_several_workers";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let inside = lab.add_inside_server();
        let addresses = [SERVER];
        let ftp = Ftp::start(&lab, &lab.server, &addresses, 8 * MEBIBYTE);
        let _own = crate::servers::vsftpd(&lab, &inside, crate::lab::INSIDE);
        let rules = with_interface(&office(), "dmz0", "dmz-eth");
        for workers in ["2", "4"] {
            let gateway = start(&lab, &rules, workers, &[]);
            // Each has its control session, which may be any worker's; again and again.
            for (host, server) in [(&lab.client, SERVER), (&lab.server, PUBLIC)] {
                for round in 0..3 {
                    for (mode, settings) in [
                        ("port", &["--ftp-port", "-", "--disable-eprt"][..]),
                        ("pasv", &["--ftp-pasv", "--disable-epsv"]),
                        ("eprt", &["--ftp-port", "-"]),
                        ("epsv", &["--ftp-pasv"]),
                    ] {
                        let fetched = lab.dir.path(&format!("fetched-{mode}-{round}"));
                        let to = fetched.to_str().unwrap();
                        let from = format!("ftp://{server}/pub/large");
                        let always = ["--disable", "-sS", "--max-time", "30", "--output", to];
                        host.run("curl", &[&always[..], settings, &[&from]].concat());
                        assert_eq!(checksum(&fetched), checksum(&ftp.large), "{mode} {round}");
                        fs::remove_file(&fetched).unwrap();
                    }
                }
            }
            gateway.stop(&lab);
        }
    });
}

/// Sends and fetches by many connections at a time; each end compares what it got.
const CROWD: &str = r#"
import asyncio, hashlib, sys
address, role, count, octets = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def part(number):
    return hashlib.sha512(b"%d" % number).digest() * (octets // 64)
async def serve(reader, writer):
    number = int(await reader.readline())
    writer.write(part(number))
    got = await reader.readexactly(octets)
    writer.write(b"same\n" if got == part(-number) else b"differs\n")
    await writer.drain()
    writer.close()
async def fetch(number):
    reader, writer = await asyncio.open_connection(address, 80)
    writer.write(b"%d\n" % number + part(-number))
    got = await reader.readexactly(octets)
    assert got == part(number), number
    assert await reader.readline() == b"same\n", number
    writer.close()
async def main():
    if role == "server":
        server = await asyncio.start_server(serve, address, 80, backlog=1000)
        await server.serve_forever()
    await asyncio.wait_for(asyncio.gather(*(fetch(1 + n) for n in range(count))), 60)
    print("all came", flush=True)
asyncio.run(main())
"#;

#[test]
fn many_transfers_at_once_come_whole_by_several_workers_and_all_is_counted() {
    let test = "workers::many_transfers_at_once_come_whole_by_several_workers_and_all_is_counted";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        for address in [SERVER, SERVER_V6] {
            let script =
                |role: &str| ["-c", CROWD, address, role, "60", "1048576"].map(str::to_owned);
            let mut server = lab.server.command("python3");
            let server = lab.dir.start(server.args(script("server")), "server");
            wait_for_listener(&lab.server, "-t", address, 80);
            for workers in ["2", "4"] {
                let gateway = start(&lab, &rules(), workers, &["--pin"]);
                let client = script("client");
                let client: Vec<&str> = client.iter().map(String::as_str).collect();
                assert_eq!(lab.client.run("python3", &client), "all came\n");

                let sessions = ctl(&lab, &["sessions", "dport=80"]);
                assert_eq!(sessions.len(), 60);
                let mut ids: Vec<_> = sessions.iter().map(|one| one["session"].as_u64()).collect();
                ids.dedup();
                assert_eq!(ids.len(), 60, "each has a number of its own");
                let all = ctl(&lab, &["workers"]);
                assert_eq!(all.len().to_string(), workers);
                let numbers: Vec<_> = all.iter().map(|one| one["worker"].as_u64()).collect();
                assert!(
                    numbers
                        .iter()
                        .eq((1..=all.len() as u64).map(Some).collect::<Vec<_>>().iter())
                );
                assert!(all.iter().all(|one| one["core"].is_u64()), "{all:?}");
                assert!(all.iter().all(|one| one["sessions"] != 0), "{all:?}");
                // Hosts say things of their own meanwhile.
                wait_until("the workers are what the counters are", || {
                    let (workers, counters) = (ctl(&lab, &["workers"]), ctl(&lab, &["counters"]));
                    let devices = table(&counters, "devices");
                    let handed = table(&counters, "hand-overs");
                    assert_eq!(handed["lost"], 0);
                    sum(&workers, "received") == devices["received"]
                        && sum(&workers, "handed-over") == sum(&workers, "taken-over")
                        && sum(&workers, "handed-over") == handed["handed-over"]
                        && sum(&workers, "sessions") == table(&counters, "totals")["sessions"]
                });
                println!("{workers}: {all:?}");
                let rules = ctl(&lab, &["rules"]);
                let hits = rules.iter().find(|one| one["rule"] == "lan-out").unwrap();
                assert_eq!(hits["hits"], 60);
                gateway.stop(&lab);
            }
            drop(server);
        }
    });
}

/// Answers each datagram.
const ECHO: &str = "
import socket, sys
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.bind((sys.argv[1], 7))
while True:
    octets, peer = end.recvfrom(65536)
    end.sendto(octets, peer)
";

/// Asks from many ports, some small, some in pieces; after a rest the kernel has forgotten
/// by which queue a flow went.
const ASK: &str = "
import socket, sys, time
ends = []
for number in range(40):
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.settimeout(5)
    end.connect((sys.argv[1], 7))
    ends.append(end)
for turn in range(3):
    for number, end in enumerate(ends):
        asked = b'%d %d ' % (number, turn) * (1 + number % 4 * 200)
        end.send(asked)
        assert end.recv(65536) == asked, (number, turn)
    if turn == 1:
        time.sleep(4)
print('all came')
";

#[test]
fn datagrams_their_pieces_and_icmp_errors_find_their_worker() {
    let test = "workers::datagrams_their_pieces_and_icmp_errors_find_their_worker";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let mut echo = lab.server.command("python3");
        let _echo = lab.dir.start(echo.args(["-c", ECHO, SERVER]), "echo");
        wait_for_listener(&lab.server, "-u", SERVER, 7);
        for workers in ["2", "4"] {
            let gateway = start(&lab, &rules(), workers, &[]);
            let said = lab.client.run("python3", &["-c", ASK, SERVER]);
            assert_eq!(said, "all came\n");
            for server in [SERVER, SERVER_V6] {
                for size in ["56", "4000", "20000"] {
                    let ping = ["-n", "-c5", "-i0.1", "-W2", "-s", size, server];
                    let said = lab.client.run("ping", &ping);
                    assert!(said.contains(" 0% packet loss"), "{size} {said}");
                }
            }
            // Many at a time: their identifiers are sessions at any worker.
            let pings = "for n in 1 2 3 4 5 6 7 8; do ping -n -c5 -i0.1 -W2 -s 3000 \
                         198.51.100.21 >/dev/null & all=\"$all $!\"; done; \
                         for one in $all; do wait $one || exit 1; done";
            lab.client.run("sh", &["-c", pings]);
            // Each refused datagram is told its sender, wherever the error came.
            for unlimited in [
                "net.ipv4.icmp_ratelimit=0",
                "net.ipv4.icmp_msgs_burst=10000",
            ] {
                lab.server.try_run("sysctl", &["-qw", unlimited]);
            }
            let refused = format!(
                "import socket
for number in range(30):
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.settimeout(5)
    end.connect(('{SERVER}', 33500 + number))
    end.send(b'x')
    try:
        end.recv(1)
        assert False
    except ConnectionRefusedError:
        pass"
            );
            lab.client.run("python3", &["-c", &refused]);
            // The gateway is the last hop for this one.
            let ping = ["-n", "-c1", "-W2", "-t", "2", SERVER];
            let said = lab.client.try_run("ping", &ping);
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            assert!(said.contains("Time to live exceeded"), "{said}");
            let all = ctl(&lab, &["workers"]);
            println!("{workers}: {all:?}");
            assert!(sum(&all, "handed-over") > 0, "nothing had to be: {all:?}");
            assert_eq!(sum(&all, "lost"), 0);
            gateway.stop(&lab);
        }
    });
}

/// Keeps connections open; the client speaks, and says how each ended.
const KEPT: &str = r#"
import socket, sys, threading, time
address, role = sys.argv[1:3]
def listen(end):
    try:
        while end.recv(100):
            pass
    except OSError:
        pass
if role == "server":
    listener = socket.create_server((address, 80), backlog=100)
    while True:
        end, _ = listener.accept()
        threading.Thread(target=listen, args=(end,), daemon=True).start()
else:
    ends = [socket.create_connection((address, 80)) for _ in range(20)]
    reset = []
    def speak(end):
        try:
            while True:
                end.sendall(b"x")
                time.sleep(0.05)
        except OSError as error:
            reset.append(error)
    threads = [threading.Thread(target=speak, args=(end,)) for end in ends]
    for thread in threads:
        thread.start()
    print("run", flush=True)
    for thread in threads:
        thread.join()
    print("reset", len(reset), flush=True)
"#;

#[test]
fn what_an_operator_asks_and_does_goes_to_all_workers() {
    let test = "workers::what_an_operator_asks_and_does_goes_to_all_workers";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let events = lab.dir.path("events/spigate.jsonl");
        let mapping_log = lab.dir.path("mappings.jsonl");
        fs::create_dir(events.parent().unwrap()).unwrap();
        let logged = rules().replacen(
            "as = \"masquerade\"",
            "as = \"masquerade\", log = \"sessions\"",
            1,
        );
        assert!(logged.contains("log = \"sessions\""), "{logged}");
        let more = [
            "--events",
            events.to_str().unwrap(),
            "--mapping-log",
            mapping_log.to_str().unwrap(),
            "--metrics",
            "127.0.0.1:9469",
        ];
        let gateway = start(&lab, &logged, "3", &more);
        let mut transfer = lab.start_transfer(KEPT);
        transfer.client.wait_for_word("run");

        let file = lab.dir.path("caught.pcapng");
        ctl(
            &lab,
            &["capture", "start", file.to_str().unwrap(), "port=80"],
        );
        sleep(Duration::from_millis(500));
        let captured = ctl(&lab, &["capture", "stop"]);
        let caught = table(&captured, "capture")["packets"].as_u64().unwrap();
        assert!(caught > 20 * 5, "{captured:?}");

        let by_age = ctl(
            &lab,
            &["sessions", "dport=80", "--sort", "age", "--limit", "7"],
        );
        assert_eq!(by_age.len(), 7);
        assert_eq!(ctl(&lab, &["mappings"]).len(), 20);
        let leases = ctl(&lab, &["leases"]);
        let lease = table(&leases, "lease");
        assert_eq!(
            (&lease["client"], &lease["endpoints"]),
            (&CLIENT.into(), &20.into())
        );

        let get = |path: &str| {
            let url = format!("http://127.0.0.1:9469{path}");
            lab.gateway.run("curl", &["-sS", "--fail-with-body", &url])
        };
        let text = get("/metrics");
        let value = |sample: &str| {
            let mut lines = text.lines();
            let found = lines.find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
            found
                .unwrap_or_else(|| panic!("no {sample} in\n{text}"))
                .parse::<u64>()
                .unwrap()
        };
        let each: u64 = (1..=3)
            .map(|worker| value(&format!("spigate_worker_sessions{{worker=\"{worker}\"}}")))
            .sum();
        assert_eq!(value("spigate_sessions"), each);
        assert_eq!(get("/ready"), "ready\n");

        // Drained, none of them lets a session begin.
        ctl(&lab, &["drain"]);
        let connect = format!(
            "import socket
for number in range(12):
    try:
        socket.create_connection(('{SERVER}', 80), 0.2)
        print('open')
    except OSError:
        pass"
        );
        assert_eq!(lab.client.run("python3", &["-c", &connect]), "");
        ctl(&lab, &["undrain"]);
        assert_eq!(
            lab.client.run("python3", &["-c", &connect]),
            "open\n".repeat(12)
        );

        // Another rule before the others, by all of them.
        let no_web = r#"rules = [ { id = "no-web", from = "lan", to = "wan", service = "web", action = "reject" },"#;
        lab.dir
            .write("spigate.toml", logged.replacen("rules = [", no_web, 1));
        ctl(&lab, &["reload"]);
        assert_eq!(lab.client.run("python3", &["-c", &connect]), "");
        let hits = |rule: &str| {
            let rules = ctl(&lab, &["rules"]);
            let found = rules
                .iter()
                .find(|one| one["rule"] == rule)
                .unwrap()
                .clone();
            found["hits"].as_u64().unwrap()
        };
        assert!(hits("no-web") >= 12);
        assert!(hits("lan-out") >= 32);
        // Who was there before goes on, until it is ended.
        let killed = ctl(&lab, &["kill", "dport=80", "state=established", "--reset"]);
        let killed = killed[0]["killed"].as_u64().unwrap();
        assert!(killed >= 20, "{killed}");
        transfer.client.wait_for_word("reset 20");
        gateway.stop(&lab);
        let whole = |path: &Path| -> Vec<Value> {
            let text = fs::read_to_string(path).unwrap();
            let lines = text.lines();
            lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        };
        let of = |all: &[Value], what: &str| all.iter().filter(|one| one["event"] == what).count();
        let told = whole(&events);
        assert!(of(&told, "began") >= 32, "{told:?}");
        assert_eq!(of(&told, "start"), 1);
        // Its watch has seen the file change too, or not yet.
        assert!((1..=2).contains(&of(&told, "reload")), "{told:?}");
        assert!(whole(&mapping_log).len() > 32 + 20);
    });
}

#[test]
fn a_device_with_one_queue_is_not_taken_over_by_several_workers() {
    let test = "workers::a_device_with_one_queue_is_not_taken_over_by_several_workers";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let add = ["tuntap", "add", "dev", "lan0", "mode", "tun"];
        lab.gateway.run("ip", &add);
        let file = lab.dir.write("spigate.toml", office());
        let spigate = env!("CARGO_BIN_EXE_spigate");
        let words = [
            "run",
            file.to_str().unwrap(),
            "--no-control",
            "--workers",
            "2",
        ];
        let refused = lab.gateway.try_run(spigate, &words);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            said.contains("ip tuntap add dev NAME mode tun multi_queue"),
            "{said}"
        );
        lab.gateway.run("ip", &["link", "del", "lan0"]);
        lab.gateway
            .run("ip", &[&add[..], &["multi_queue"]].concat());
        let mut gateway = start(&lab, &office(), "2", &[]);
        // It is nobody else's while it runs.
        let refused = lab.gateway.try_run(spigate, &words);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("another program has it open"), "{said}");
        gateway.terminate();
        let stays = lab.gateway.run("ip", &["-d", "link", "show", "lan0"]);
        assert!(stays.contains(" multi_queue "), "{stays}");
        let dry = [&words[..], &["--dry-run"]].concat();
        let printed = lab.gateway.run(spigate, &dry);
        assert!(
            printed.contains("ip tuntap add dev wan0 mode tun multi_queue\n"),
            "{printed}"
        );
    });
}
