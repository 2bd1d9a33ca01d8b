//! Translation as the tools of every day see it: traceroute, path-MTU
//! discovery, hairpins and addresses that are one host's own.

use std::path::Path;

use crate::enter::in_own_namespaces;
use crate::lab::{CLIENT, Gateway, INSIDE, Lab, Namespace, PUBLIC, Process, SERVER};
use crate::servers::{noise, wait_for_listener};

const PROGRAMS: &[&str] = &["python3", "curl", "ping", "traceroute", "ss", "kill"];

/// The public address of the inside server.
const FIXED: &str = "203.0.113.80";

/// A host far behind the server, which is a router to it.
const FAR: &str = "192.0.2.9";

fn start(lab: &Lab) -> Gateway {
    lab.start_gateway(&format!(
        r#"
version = 1
[zones]
lan = {{ tun = "lan0", interfaces = ["lan-eth"], net = "10.0.0.0/24", address = "10.0.0.1" }}
dmz = {{ tun = "dmz0", interfaces = ["dmz-eth"], net = "10.0.9.0/24", address = "10.0.9.1" }}
wan = {{ tun = "wan0", interfaces = ["wan-eth"], net = "0.0.0.0/0", address = "{PUBLIC}" }}
[policy]
default = "allow"
[nat]
source  = [{{ id = "masq", from = ["lan", "dmz"], to = "wan", as = "masquerade" }}]
static  = [{{ id = "server", on = "wan", inside = "{INSIDE}", outside = "{FIXED}", hairpin = true }}]
forward = [{{ id = "web", on = "wan", tcp = 8080, to = "{CLIENT}:80", hairpin = true }}]
"#
    ))
}

/// A web server on port 80.
fn serve(lab: &Lab, host: &Namespace, address: &str, directory: &Path) -> Process {
    let mut command = host.command("python3");
    command.args(["-m", "http.server", "--bind", address, "--directory"]);
    command.arg(directory).arg("80");
    let process = lab.dir.start(&mut command, &format!("web-{address}"));
    wait_for_listener(host, "-t", address, 80);
    process
}

/// Puts [`FAR`] behind the server, over a link of this MTU.
fn far_host(lab: &Lab, mtu: &str) -> Namespace {
    let far = lab.add_host_behind(&lab.server, "far-eth");
    lab.server
        .run("ip", &["addr", "add", "192.0.2.1/24", "dev", "far-eth"]);
    far.run("ip", &["addr", "add", "192.0.2.9/24", "dev", "eth0"]);
    far.run("ip", &["route", "add", "default", "via", "192.0.2.1"]);
    for (host, device) in [(&lab.server, "far-eth"), (&far, "eth0")] {
        host.run("ip", &["link", "set", device, "mtu", mtu]);
    }
    lab.server.run("sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
    let to_far = ["route", "add", "192.0.2.0/24", "via", SERVER];
    lab.gateway.run("ip", &to_far);
    far
}

/// The addresses that answered, hop by hop.
fn trace(host: &Namespace, options: &[&str], to: &str) -> Vec<String> {
    let quick = ["-n", "-q", "1", "-w", "1", "-m", "8", "-N", "1"];
    let said = host.run("traceroute", &[&quick[..], options, &[to]].concat());
    let hops = said.lines().skip(1);
    hops.filter_map(|line| Some(line.split_whitespace().nth(1)?.to_owned()))
        .collect()
}

#[test]
fn traceroute_finds_its_way_out_and_in() {
    let test = "translation::traceroute_finds_its_way_out_and_in";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let inside = lab.add_inside_server();
        let far = far_host(&lab, "1500");
        let pages = lab.dir.write("www/index.html", "a page\n");
        let directory = pages.parent().unwrap();
        let _far = serve(&lab, &far, FAR, directory);
        let _inside = serve(&lab, &inside, INSIDE, directory);
        let gateway = start(&lab);
        for options in [&["-U"][..], &[], &["-I"], &["-T", "-p", "80"]] {
            let out = trace(&lab.client, options, FAR);
            let last_two = out.len().saturating_sub(2);
            assert_eq!(out[last_two..], [SERVER, FAR], "{options:?}: {out:?}");
            // From outside the static host answers by its public address.
            let back = trace(&far, options, FIXED);
            assert_eq!(back.last().unwrap(), FIXED, "{options:?}: {back:?}");
            assert!(
                back.iter().all(|hop| !hop.starts_with("10.")),
                "{options:?}: {back:?}"
            );
        }
        gateway.stop(&lab);
    });
}

#[test]
fn a_narrow_link_beyond_the_gateway_is_found_out_by_a_client() {
    let test = "translation::a_narrow_link_beyond_the_gateway_is_found_out_by_a_client";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let _inside = lab.add_inside_server();
        let far = far_host(&lab, "1280");
        let sent = noise(300_000);
        let file = lab.dir.write("upload", &sent);
        let received = lab.dir.path("received");
        let script = lab.dir.write("receive.py", RECEIVE);
        let mut command = far.command("python3");
        command.arg(&script).arg(&received);
        let mut receiver = lab.dir.start(&mut command, "receiver");
        wait_for_listener(&far, "-t", FAR, 9000);
        // Full segments are to leave: the far end's offer would keep them small.
        far.run("sysctl", &["-qw", "net.ipv4.tcp_mtu_probing=0"]);
        far.run(
            "ip",
            &[
                "route",
                "change",
                "default",
                "via",
                "192.0.2.1",
                "advmss",
                "1460",
            ],
        );
        let gateway = start(&lab);

        let script = lab.dir.write("send.py", SEND);
        let arguments = [script.to_str().unwrap(), FAR, file.to_str().unwrap()];
        let said = lab.client.run("python3", &arguments);
        assert!(receiver.wait().success(), "{}", receiver.output());
        assert!(std::fs::read(&received).unwrap() == sent, "not the same");
        // The client knows now, and not by probing.
        assert_eq!(said.trim(), "1280");
        let route = lab.client.run("ip", &["route", "get", FAR]);
        assert!(route.contains("mtu 1280"), "{route}");
        gateway.stop(&lab);
    });
}

/// Takes one connection, and writes what it brings to a file.
const RECEIVE: &str = r"
import socket, sys
listener = socket.create_server(('192.0.2.9', 9000))
connection, _ = listener.accept()
with open(sys.argv[1], 'wb') as file:
    while data := connection.recv(65536):
        file.write(data)
";

/// Sends a file with DF on all its packets, and tells the MTU of the path then.
const SEND: &str = r"
import socket, sys
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14
connection = socket.socket()
connection.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
connection.settimeout(20)
connection.connect((sys.argv[1], 9000))
connection.sendall(open(sys.argv[2], 'rb').read())
connection.shutdown(socket.SHUT_WR)
assert connection.recv(1) == b''
print(connection.getsockopt(socket.IPPROTO_IP, IP_MTU))
";

#[test]
fn public_addresses_work_from_inside_and_outside() {
    let test = "translation::public_addresses_work_from_inside_and_outside";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let inside = lab.add_inside_server();
        let small = lab.dir.write("www/index.html", "a page\n");
        let large = lab.dir.write("www/large", noise(200_000));
        let directory = small.parent().unwrap();
        let _client = serve(&lab, &lab.client, CLIENT, directory);
        let inside_web = serve(&lab, &inside, INSIDE, directory);
        let gateway = start(&lab);
        let fetch = |host: &Namespace, url: &str| {
            let copy = lab.dir.path("copy");
            let to = copy.to_str().unwrap();
            let quiet = ["--disable", "-sS", "--fail", "--max-time", "10", "-o", to];
            host.run("curl", &[&quiet[..], &[url]].concat());
            assert!(std::fs::read(&copy).unwrap() == std::fs::read(&large).unwrap());
        };
        for (host, url) in [
            (&lab.server, format!("http://{FIXED}/large")),
            (&lab.client, format!("http://{FIXED}/large")),
            (&inside, format!("http://{FIXED}/large")),
            (&lab.server, format!("http://{PUBLIC}:8080/large")),
            (&inside, format!("http://{PUBLIC}:8080/large")),
            (&lab.client, format!("http://{PUBLIC}:8080/large")),
        ] {
            fetch(host, &url);
        }
        for host in [&lab.server, &lab.client, &inside] {
            let said = host.run("ping", &["-n", "-c3", "-i0.2", "-W2", FIXED]);
            assert!(said.contains(" 0% packet loss"), "{said}");
        }
        // The server saw public addresses only, its own and the others'.
        let log = inside_web.output();
        assert!(log.contains("GET /large"), "{log}");
        for line in log.lines().filter(|line| line.contains("GET")) {
            let client = line.split_whitespace().next().unwrap();
            assert!([SERVER, PUBLIC, FIXED].contains(&client), "{line}");
        }
        gateway.stop(&lab);
    });
}
