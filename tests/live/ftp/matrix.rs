//! Every server with every client in every mode, over every kind of
//! translation: a listing, 8 MiB down and 8 MiB up. The rule files are those of
//! `docs/ftp.md`, and so are the tables of results.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::clients::{Client, Errand, Mode};
use super::servers::{Files, Server};
use super::table::{self, Outcome};
use crate::enter::in_own_namespaces_as_root;
use crate::lab::{
    Gateway, INSIDE, INSIDE_V6, Lab, Namespace, PUBLIC, PUBLIC_V6, SERVER, SERVER_V6,
    with_interface,
};

const PROGRAMS: &[&str] = &[
    "vsftpd",
    "proftpd",
    "pure-ftpd",
    "lftp",
    "curl",
    "tnftp",
    "python3",
    "ss",
    "kill",
    "timeout",
];

const BYTES: usize = 8 << 20;
/// Clients at work at the same time.
const WORKERS: usize = 3;

/// The public addresses of the second office, where there are two.
const SECOND: &str = "203.0.113.66";
const SECOND_V6: &str = "2001:db8:ff::66";

/// The rule file of this name in `docs/ftp.md`, with the interfaces of the lab.
pub(super) fn rules(name: &str) -> String {
    let guide = fs::read_to_string(table::guide()).expect("the guide is there");
    let begin = format!("```toml {name}\n");
    let (_, rest) = guide.split_once(&begin).expect("the guide has the file");
    let (rules, _) = rest.split_once("```").expect("its end");
    let mut rules = rules.to_owned();
    for zone in ["lan", "dmz", "wan"] {
        let device = format!("{zone}0");
        if rules.contains(&format!("\"{device}\"")) {
            rules = with_interface(&rules, &device, &format!("{zone}-eth"));
        }
    }
    rules
}

/// Who is whose client, and by which addresses.
struct Topology<'a> {
    name: &'static str,
    lab: &'a Lab,
    client: &'a Namespace,
    server: &'a Namespace,
    /// What the server listens at.
    at: [&'static str; 2],
    /// What the client calls.
    called: [&'static str; 2],
}

impl Topology<'_> {
    /// Tries all cells, and holds the guide to what came of it.
    fn try_all(&self) {
        let files = Files::new(self.lab, BYTES);
        let mut own = files.large.clone();
        own.reverse();
        let own_file = self.lab.dir.write("own", &own);
        let mut results = Vec::new();
        for server in Server::ALL {
            let _running = server.start(self.lab, self.server, &self.at);
            let all = Client::ALL;
            let cells = all.iter().flat_map(|c| Mode::ALL.map(|mode| (*c, mode)));
            let cells: Vec<_> = cells.collect();
            let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
            thread::scope(|scope| {
                for _ in 0..WORKERS {
                    scope.spawn(|| {
                        while let Some((client, mode)) =
                            cells.get(next.fetch_add(1, Ordering::Relaxed))
                        {
                            let result = self.try_one(*client, *mode, &files, &own, &own_file);
                            let row = (server, *client, *mode, result);
                            done.lock().expect("nobody panics with it").push(row);
                        }
                    });
                }
            });
            results.extend(done.into_inner().expect("nobody panicked with it"));
        }
        let failures: Vec<_> = results
            .iter()
            .filter_map(|(server, client, mode, result)| match result {
                Outcome::Failed(why) => Some(format!("{server:?} {client:?} {mode:?}: {why}")),
                _ => None,
            })
            .collect();
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
        table::hold(self.name, &table::rendered(&results));
    }

    fn try_one(
        &self,
        client: Client,
        mode: Mode,
        files: &Files,
        own: &[u8],
        own_file: &Path,
    ) -> Outcome {
        if let Some(why) = client.inability(mode) {
            return Outcome::Unable(why);
        }
        let upload = format!("{client:?}-{mode:?}");
        let errand = Errand {
            server: self.called[usize::from(mode.is_ipv6())],
            mode,
            own: own_file,
            upload: &upload,
            place: self.lab.dir.path(&upload),
        };
        if let Err(why) = client.run(self.client, &errand) {
            return Outcome::Failed(why);
        }
        let brought = files.incoming.join(&upload);
        let list = fs::read_to_string(errand.place.join("list")).unwrap_or_default();
        let arrived = |file: &Path, octets: &[u8]| fs::read(file).is_ok_and(|it| it == octets);
        let result = if !["pub", "incoming"].iter().all(|name| list.contains(name)) {
            Outcome::Failed(format!("a listing without its files:\n{list}"))
        } else if !arrived(&errand.place.join("large"), &files.large) {
            Outcome::Failed("what was fetched is not what is there".into())
        } else if !arrived(&brought, own) {
            Outcome::Failed("what was brought is not what was sent".into())
        } else {
            Outcome::Works
        };
        let _ = fs::remove_file(brought);
        let _ = fs::remove_dir_all(&errand.place);
        result
    }
}

fn run(test: &str, scenario: impl FnOnce(&Lab)) {
    in_own_namespaces_as_root(test, PROGRAMS, || scenario(&Lab::new()));
}

/// From the lan to servers outside.
fn outward(name: &'static str, lab: &Lab) -> Gateway {
    let gateway = lab.start_gateway(&rules(name));
    Topology {
        name,
        lab,
        client: &lab.client,
        server: &lab.server,
        at: [SERVER, SERVER_V6],
        called: [SERVER, SERVER_V6],
    }
    .try_all();
    gateway
}

#[test]
fn without_translation() {
    run("ftp::matrix::without_translation", |lab| {
        outward("none", lab).stop(lab);
    });
}

#[test]
fn clients_behind_a_masquerade() {
    run("ftp::matrix::clients_behind_a_masquerade", |lab| {
        outward("masquerade", lab).stop(lab);
    });
}

#[test]
fn servers_behind_a_forward() {
    run("ftp::matrix::servers_behind_a_forward", |lab| {
        let inside = lab.add_inside_server();
        let gateway = lab.start_gateway(&rules("forward"));
        Topology {
            name: "forward",
            lab,
            client: &lab.server,
            server: &inside,
            at: [INSIDE, INSIDE_V6],
            called: [PUBLIC, PUBLIC_V6],
        }
        .try_all();
        gateway.stop(lab);
    });
}

#[test]
fn both_in_one_gateway() {
    run("ftp::matrix::both_in_one_gateway", |lab| {
        let inside = lab.add_inside_server();
        let gateway = lab.start_gateway(&rules("both"));
        Topology {
            name: "both",
            lab,
            client: &lab.client,
            server: &inside,
            at: [INSIDE, INSIDE_V6],
            called: [PUBLIC, PUBLIC_V6],
        }
        .try_all();
        gateway.stop(lab);
    });
}

#[test]
fn both_with_a_gateway_each() {
    run("ftp::matrix::both_with_a_gateway_each", |lab| {
        let inside = lab.add_second_office(SECOND, SECOND_V6);
        let near = lab.start_gateway(&rules("masquerade"));
        let far = rules("forward").replace(PUBLIC_V6, SECOND_V6);
        let far = far.replace(PUBLIC, SECOND).replace("wan-eth", "eth0");
        let mut far = lab.start_gateway_on(&lab.server, "far", &far);
        Topology {
            name: "two gateways",
            lab,
            client: &lab.client,
            server: &inside,
            at: [INSIDE, INSIDE_V6],
            called: [SECOND, SECOND_V6],
        }
        .try_all();
        far.terminate();
        near.stop(lab);
    });
}
