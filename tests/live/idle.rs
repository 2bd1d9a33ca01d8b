//! Connections that nobody uses, between the sockets of real kernels: what their
//! ends hear of it when the gateway gives them up.

use std::thread::sleep;
use std::time::Duration;

use crate::enter::in_own_namespaces;
use crate::lab::{Lab, PUBLIC, Process, SERVER, SERVER_V6, office, wait_until};
use crate::servers::wait_for_listener;

const PROGRAMS: &[&str] = &["python3", "ss", "kill"];

/// Each end says a word, hears the other's, and waits for something to happen.
/// Whatever that is, it says so.
const END: &str = r#"
import errno, socket, sys
address, role = sys.argv[1:3]
if role == "server":
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 80))
    listener.listen()
    end, _ = listener.accept()
else:
    end = socket.create_connection((address, 80))
end.sendall(b"hello")
assert end.recv(5) == b"hello"
print("met", flush=True)
end.settimeout(30)
try:
    heard = end.recv(5)
    print("heard", heard, flush=True)
    end.sendall(heard)
    print("closed" if end.recv(5) == b"" else "more", flush=True)
except TimeoutError:
    print("silence", flush=True)
except OSError as error:
    print(errno.errorcode[error.errno], flush=True)
"#;

/// The same, and the client speaks again after so many seconds.
const LATER: &str = "end.settimeout(30)\n";

struct Pair {
    client: Process,
    server: Process,
}

/// A connection of two sockets; the client speaks again after `later` seconds, if
/// there are any.
fn meet(lab: &Lab, address: &str, later: Option<u32>) -> Pair {
    let says = later.map_or(String::new(), |seconds| {
        format!("import time\nif role == 'client':\n    time.sleep({seconds})\n    end.sendall(b'again')\n")
    });
    let script = END.replace(LATER, &format!("{says}{LATER}"));
    let script = lab.dir.write("end.py", script);
    let start = |host: &crate::lab::Namespace, role: &str| {
        let mut command = host.command("python3");
        command.arg(&script).args([address, role]);
        lab.dir.start(&mut command, role)
    };
    let server = start(&lab.server, "server");
    wait_for_listener(&lab.server, "-t", address, 80);
    let client = start(&lab.client, "client");
    let mut pair = Pair { client, server };
    pair.client.wait_for_word("met");
    pair.server.wait_for_word("met");
    pair
}

/// The office, where an idle connection lives so long.
fn rules(tcp_established: &str, on_expiry: &str) -> String {
    let rules = office().replace(
        "tcp-established = \"2h4m\"",
        &format!(
            "tcp-established = \"{tcp_established}\"\non-expiry = \"{on_expiry}\"\nprobe = \"1s\""
        ),
    );
    assert!(rules.contains(on_expiry), "{rules}");
    rules
}

#[test]
fn t_5382_s5_notify__both_sockets_of_an_expired_connection_are_reset() {
    let test = "idle::t_5382_s5_notify__both_sockets_of_an_expired_connection_are_reset";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&rules("2s", "reset"));
        for address in [SERVER, SERVER_V6] {
            let mut pair = meet(&lab, address, None);
            pair.client.wait_for_word("ECONNRESET");
            pair.server.wait_for_word("ECONNRESET");
        }
        gateway.stop(&lab);
    });
}

#[test]
fn a_connection_is_forgotten_in_silence_where_nothing_else_is_said() {
    let test = "idle::a_connection_is_forgotten_in_silence_where_nothing_else_is_said";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&rules("1s", "silent"));
        let pair = meet(&lab, SERVER, None);
        sleep(Duration::from_secs(4));
        for end in [&pair.client, &pair.server] {
            assert_eq!(end.output(), "met\n");
        }
        gateway.stop(&lab);
    });
}

#[test]
fn probed_sockets_stay_connected_far_longer_than_they_may_be_idle() {
    let test = "idle::probed_sockets_stay_connected_far_longer_than_they_may_be_idle";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&rules("1s", "probe"));
        for address in [SERVER, SERVER_V6] {
            // Six times as long; then what the client says still arrives.
            let mut pair = meet(&lab, address, Some(6));
            pair.server.wait_for_word("heard b'again'");
            pair.client.wait_for_word("heard b'again'");
            // The server has ended by then, and the client heard of it.
            pair.client.signal("KILL");
        }
        gateway.stop(&lab);
    });
}

#[test]
fn a_probed_socket_is_reset_when_its_other_end_is_gone() {
    let test = "idle::a_probed_socket_is_reset_when_its_other_end_is_gone";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&rules("2s", "probe"));
        let mut pair = meet(&lab, SERVER, None);
        // As if its cable were cut: nothing that it says gets anywhere.
        lab.server.run("ip", &["route", "add", "blackhole", PUBLIC]);
        pair.client.wait_for_word("ECONNRESET");
        // It is told as well: what it hears is its own to judge.
        pair.server.wait_for_word("ECONNRESET");
        wait_until("the client's socket is gone", || {
            let open = lab.client.run("ss", &["-Htn", "dst", SERVER]);
            open.is_empty()
        });
        gateway.stop(&lab);
    });
}
