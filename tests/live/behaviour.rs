//! What strangers call our translation: coturn's client for RFC 5780 names the
//! mapping and the filtering of each row, by what its server tells it.
//!
//! The server has two addresses with two ports each. For TCP, which that
//! client does not know, a script asks the same server the same questions.

use crate::enter::in_own_namespaces;
use crate::lab::{Lab, Process, SERVER};
use crate::servers::wait_for_listener;

const PROGRAMS: &[&str] = &[
    "turnserver",
    "turnutils_natdiscovery",
    "python3",
    "ss",
    "kill",
];

/// The STUN server's other address.
const OTHER: &str = "198.51.100.22";

/// The three behaviours, as a rule file and as the client calls them.
const BEHAVIOURS: [(&str, &str); 3] = [
    ("endpoint-independent", "Endpoint Independent"),
    ("address-dependent", "Address Dependent"),
    ("address-and-port-dependent", "Address and Port Dependent"),
];

/// A row of `source` for one client, and what it is to be called.
struct Row {
    client: String,
    text: String,
    mapping: &'static str,
    filtering: &'static str,
}

/// All mappings with all filters, a client each.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (mapping, called) in BEHAVIOURS {
        for (filtering, filters) in BEHAVIOURS {
            let client = format!("10.0.0.{}", 11 + rows.len());
            // Kept ports would look like one mapping for all.
            let text = format!(
                r#"{{ id = "{mapping}-{filtering}", src = "{client}", to = "wan", as = "masquerade", mapping = "{mapping}", filtering = "{filtering}", port-order = "random" }},"#
            );
            rows.push(Row {
                client,
                text,
                mapping: called,
                filtering: filters,
            });
        }
    }
    rows
}

fn rules(source: &str) -> String {
    format!(
        r#"
version = 1
[zones]
lan = {{ tun = "lan0", interfaces = ["lan-eth"], net = "10.0.0.0/24", address = "10.0.0.1" }}
wan = {{ tun = "wan0", interfaces = ["wan-eth"], net = "0.0.0.0/0", address = "203.0.113.2" }}
[policy]
# Who is not let in hears so at once.
default = "reject"
rules = [{{ id = "out", from = "lan", to = ["lan", "wan"], action = "allow" }}]
[nat]
source = [
{source}
]
"#
    )
}

/// Hosts, where the client has these addresses and the server two.
fn lab<'a>(clients: impl IntoIterator<Item = &'a str>) -> (Lab, Process) {
    let lab = Lab::new();
    for client in clients {
        let address = format!("{client}/24");
        lab.client
            .run("ip", &["address", "add", &address, "dev", "eth0"]);
    }
    let other = format!("{OTHER}/24");
    lab.server
        .run("ip", &["address", "add", &other, "dev", "eth0"]);
    let path = |name: &str| lab.dir.path(name).to_str().unwrap().to_owned();
    let conf = lab.dir.write("turn.conf", "");
    let mut command = lab.server.command("turnserver");
    command
        .arg("-c")
        .arg(conf)
        .args(["--listening-ip", SERVER, "--listening-ip", OTHER])
        .args(["--no-tls", "--no-dtls", "--no-cli", "--no-auth", "-m", "1"])
        .args(["--log-file", "stdout", "--pidfile", &path("turn.pid")])
        .args(["--userdb", &path("turndb")]);
    let server = lab.dir.start(&mut command, "stun");
    for kind in ["-u", "-t"] {
        for address in [SERVER, OTHER] {
            for port in [3478, 3479] {
                wait_for_listener(&lab.server, kind, address, port);
            }
        }
    }
    (lab, server)
}

/// A discovery that has begun.
fn discover(lab: &Lab, name: &str, options: &[&str], server: &str) -> Process {
    let mut command = lab.client.command("turnutils_natdiscovery");
    command.args(options).arg(server);
    lab.dir.start(&mut command, name)
}

fn end_of(mut discovery: Process) -> String {
    discovery.wait();
    discovery.output()
}

#[test]
fn t_4787_map_x_filt__a_stun_client_calls_all_nine_rows_what_they_are() {
    let test = "behaviour::t_4787_map_x_filt__a_stun_client_calls_all_nine_rows_what_they_are";
    in_own_namespaces(test, PROGRAMS, || {
        let rows = rows();
        let (lab, _server) = lab(rows.iter().map(|row| row.client.as_str()));
        let source: Vec<_> = rows.iter().map(|row| row.text.as_str()).collect();
        let gateway = lab.start_gateway(&rules(&source.join("\n")));
        // All at once: what does not come, the client awaits for seconds.
        let started: Vec<_> = rows
            .iter()
            .map(|row| {
                let start = |what: &[&str], name: &str| {
                    let name = format!("{name}-{}", row.client);
                    let options = [what, &["-L", &row.client]].concat();
                    discover(&lab, &name, &options, SERVER)
                };
                let pair = start(&["-m", "-f"], "behaviour");
                // A client that nobody is kept from reaches itself.
                let open = row.filtering == BEHAVIOURS[0].1;
                (pair, open.then(|| start(&["-H"], "hairpin")))
            })
            .collect();
        for (row, (pair, hairpin)) in rows.iter().zip(started) {
            let said = end_of(pair);
            for named in [
                format!("NAT with {} Mapping!", row.mapping),
                format!("NAT with {} Filtering!", row.filtering),
            ] {
                assert!(said.contains(&named), "{}\n{said}", row.text);
            }
            assert_eq!(said.matches("NAT with").count(), 2, "{}\n{said}", row.text);
            if let Some(said) = hairpin.map(end_of) {
                let comes = said.contains("successful hairpinning");
                assert!(comes, "{}\n{said}", row.text);
            }
        }
        gateway.stop(&lab);
    });
}

#[test]
fn t_4787_pres__kept_ports_look_like_one_mapping_until_another_has_them() {
    let test = "behaviour::t_4787_pres__kept_ports_look_like_one_mapping_until_another_has_them";
    in_own_namespaces(test, PROGRAMS, || {
        let (lab, _server) = lab(["10.0.0.11", "10.0.0.12"]);
        let source = r#"{ id = "masq", to = "wan", as = "masquerade" },"#;
        let gateway = lab.start_gateway(&rules(source));
        let mapping = |client: &str, server: &str| {
            let options = ["-m", "-L", client, "-l", "40000"];
            end_of(discover(&lab, client, &options, server))
        };
        // It speaks to one port of each of the server's addresses.
        let first = mapping("10.0.0.11", OTHER);
        assert!(
            first.contains("NAT with Endpoint Independent Mapping!"),
            "{first}"
        );
        // There its port is taken now, and at a third free.
        let second = mapping("10.0.0.12", SERVER);
        let named = "NAT with Address and Port Dependent Mapping!";
        assert!(second.contains(named), "{second}");
        gateway.stop(&lab);
    });
}

#[test]
fn t_5382_req_1__tcp_behaves_as_its_row_says_too() {
    let test = "behaviour::t_5382_req_1__tcp_behaves_as_its_row_says_too";
    in_own_namespaces(test, PROGRAMS, || {
        let rows = rows();
        let (lab, _server) = lab(rows.iter().map(|row| row.client.as_str()));
        let source: Vec<_> = rows.iter().map(|row| row.text.as_str()).collect();
        let gateway = lab.start_gateway(&rules(&source.join("\n")));
        let script = lab.dir.write("client.py", CLIENT);
        let mut command = lab.client.command("python3");
        command.arg(&script);
        command.args(rows.iter().map(|row| row.client.as_str()));
        let mut client = lab.dir.start(&mut command, "client");
        client.wait_for_word("ready");
        let said = client.output();
        let script = lab.dir.write("stranger.py", STRANGER);
        for row in &rows {
            let line = said
                .lines()
                .find(|line| line.starts_with(&format!("{} ", row.client)));
            let words: Vec<_> = line.unwrap_or_default().splitn(4, ' ').collect();
            let [_, address, port, mapping] = words[..] else {
                panic!("{}\n{said}", row.text);
            };
            assert_eq!(mapping, row.mapping, "{}\n{said}", row.text);
            let arguments = [script.to_str().unwrap(), address, port];
            let let_in = lab.server.run("python3", &arguments);
            let expected = match row.filtering {
                "Endpoint Independent" => "known let in, stranger let in",
                "Address Dependent" => "known let in, stranger refused",
                _ => "known refused, stranger refused",
            };
            assert_eq!(let_in.trim(), expected, "{}", row.text);
        }
        gateway.stop(&lab);
    });
}

/// Asks the server over TCP as what each of these addresses is seen: from one
/// port at three of its endpoints; and from another at one, where it stays to
/// be called.
const CLIENT: &str = r"
import os, socket, struct, sys

def bound(client, port):
    made = socket.socket()
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        made.setsockopt(socket.SOL_SOCKET, option, 1)
    made.bind((client, port))
    made.settimeout(20)
    return made

def seen(client, port, server):
    asking = bound(client, port)
    asking.connect(server)
    asking.sendall(struct.pack('!HHI12s', 1, 0, 0x2112a442, os.urandom(12)))
    said = asking.recv(20, socket.MSG_WAITALL)
    said = asking.recv(struct.unpack('!H', said[2:4])[0], socket.MSG_WAITALL)
    while said:
        kind, length = struct.unpack('!HH', said[:4])
        if kind == 0x0020:
            port, address = struct.unpack('!HI', said[6:12])
            address = socket.inet_ntoa(struct.pack('!I', address ^ 0x2112a442))
            return asking, (address, port ^ 0x2112)
        said = said[4 + (length + 3) // 4 * 4:]
    raise SystemExit('no XOR-MAPPED-ADDRESS')

kept = []
for client in sys.argv[1:]:
    listener = bound(client, 0)
    port = listener.getsockname()[1]
    public = []
    for server in (('198.51.100.21', 3478), ('198.51.100.22', 3478), ('198.51.100.22', 3479)):
        asking, was = seen(client, port, server)
        kept.append(asking)
        public.append(was)
    mapping = 'Address and Port Dependent'
    if public[0] == public[1]:
        mapping = 'Endpoint Independent'
    elif public[1] == public[2]:
        mapping = 'Address Dependent'
    listener = bound(client, 0)
    listener.listen()
    asking, was = seen(client, listener.getsockname()[1], ('198.51.100.21', 3478))
    kept += [listener, asking]
    print(client, *was, mapping)
print('ready', flush=True)
import signal
signal.pause()
";

/// Calls a public endpoint from the address that its client has spoken to, by
/// another port, and from one that it has not.
const STRANGER: &str = r"
import socket, sys
said = []
for who, address in (('known', '198.51.100.21'), ('stranger', '198.51.100.22')):
    calling = socket.socket()
    calling.bind((address, 0))
    calling.settimeout(10)
    try:
        calling.connect((sys.argv[1], int(sys.argv[2])))
        said.append(who + ' let in')
    except ConnectionRefusedError:
        said.append(who + ' refused')
print(', '.join(said))
";
