//! FTP from the office to a server outside, and to our own server from outside.

mod again;
mod clients;
mod hard;
mod matrix;
mod pieces;
mod road;
mod servers;
mod table;
mod tls;

use std::fs;
use std::path::Path;

use crate::capture::{Recorded, Recording};
use crate::enter::in_own_namespaces;
use crate::lab::{
    CLIENT, INSIDE, Lab, Namespace, PUBLIC, PUBLIC_V6, SERVER, SERVER_V6, checksum, office,
    with_interface,
};
use crate::servers::{Ftp, noise};

const PROGRAMS: &[&str] = &[
    "vsftpd",
    "lftp",
    "curl",
    "dumpcap",
    "tcpdump",
    "tshark",
    "ss",
    "kill",
    "sha256sum",
    "grep",
];

const MEBIBYTE: usize = 1 << 20;

#[test]
fn ftp_in_all_four_modes_carries_large_files_and_shows_the_public_address_only() {
    let test = "ftp::ftp_in_all_four_modes_carries_large_files_and_shows_the_public_address_only";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let ftp = Ftp::start(&lab, &lab.server, &[SERVER], 64 * MEBIBYTE);
        let gateway = lab.start_gateway(&office());
        let recording = Recording::start(&lab, &lab.gateway, "wan-eth");
        let transfer = Transfer::new(&lab, &lab.client, &ftp, SERVER);

        transfer.lftp("port", "set ftp:passive-mode no");
        transfer.lftp("pasv", "set ftp:passive-mode yes; set ftp:prefer-epsv no");
        transfer.curl("eprt", &["--ftp-port", "-"]);
        transfer.curl("epsv", &["--ftp-pasv"]);

        let recorded = recording.stop();
        only_the_public_address_shows(&recorded);
        every_announcement_names(&recorded, "PORT", 2, "203,0,113,2,");
        every_announcement_names(&recorded, "EPRT", 2, "|1|203.0.113.2|");
        for passive in ["PASV", "EPSV"] {
            let filter = format!("ftp.request.command == {passive}");
            let count = recorded.ftp_field(&filter, "ftp.request.command").len();
            assert!(count >= 2, "{passive}: {count}");
        }
        gateway.stop(&lab);
    });
}

#[test]
fn ftp_over_ipv6_works_in_both_modes_behind_one_address() {
    let test = "ftp::ftp_over_ipv6_works_in_both_modes_behind_one_address";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let ftp = Ftp::start(&lab, &lab.server, &[SERVER_V6], MEBIBYTE);
        let gateway = lab.start_gateway(&office());
        let recording = Recording::start(&lab, &lab.gateway, "wan-eth");
        let transfer = Transfer::new(&lab, &lab.client, &ftp, &format!("[{SERVER_V6}]"));

        transfer.curl("eprt6", &["--ftp-port", "-"]);
        transfer.curl("epsv6", &["--ftp-pasv"]);

        let recorded = recording.stop();
        let others = format!("ip6 and tcp and not (host {PUBLIC_V6} and host {SERVER_V6})");
        assert_eq!(recorded.packets(&others), [""; 0]);
        every_announcement_names(&recorded, "EPRT", 2, &format!("|2|{PUBLIC_V6}|"));
        assert!(!recorded.holds("2001:db8:10:"));
        gateway.stop(&lab);
    });
}

#[test]
fn our_own_ftp_server_is_reached_in_all_four_modes_at_the_public_address_only() {
    let test = "ftp::our_own_ftp_server_is_reached_in_all_four_modes_at_the_public_address_only";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let inside = lab.add_inside_server();
        let ftp = Ftp::start(&lab, &inside, &[INSIDE], MEBIBYTE);
        let gateway = lab.start_gateway(&with_interface(&office(), "dmz0", "dmz-eth"));
        let recording = Recording::start(&lab, &lab.gateway, "wan-eth");
        let transfer = Transfer::new(&lab, &lab.server, &ftp, PUBLIC);

        transfer.lftp("port", "set ftp:passive-mode no");
        transfer.lftp("pasv", "set ftp:passive-mode yes; set ftp:prefer-epsv no");
        transfer.curl("eprt", &["--ftp-port", "-"]);
        transfer.curl("epsv", &["--ftp-pasv"]);

        let recorded = recording.stop();
        only_the_public_address_shows(&recorded);
        let passive = recorded.ftp_field("ftp.response.code == 227", "ftp.response.arg");
        assert!(passive.len() >= 2, "{passive:?}");
        for answer in passive {
            assert!(answer.contains("(203,0,113,2,"), "{answer}");
        }
        gateway.stop(&lab);
    });
}

/// Fetches and brings files as a client, and compares checksums.
struct Transfer<'a> {
    client: &'a Namespace,
    ftp: &'a Ftp,
    lab: &'a Lab,
    /// What the client brings.
    own: String,
    server: String,
}

impl<'a> Transfer<'a> {
    fn new(lab: &'a Lab, client: &'a Namespace, ftp: &'a Ftp, server: &str) -> Self {
        let size = fs::metadata(&ftp.large).expect("it was written").len();
        let mut bytes = noise(usize::try_from(size).expect("it fits in memory"));
        bytes.reverse();
        let own = lab.dir.write("client/own", bytes);
        Self {
            client,
            ftp,
            lab,
            own: own.display().to_string(),
            server: server.to_owned(),
        }
    }

    fn lftp(&self, mode: &str, settings: &str) {
        let fetched = self.lab.dir.path(&format!("client/{mode}"));
        let script = format!(
            "set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 5; \
             set ftp:ssl-allow no; set xfer:clobber yes; {settings}; \
             open {server}; get pub/large -o {fetched}; put {own} -o incoming/{mode}; bye",
            server = self.server,
            own = self.own,
            fetched = fetched.display(),
        );
        self.client.run("lftp", &["--norc", "-c", &script]);
        self.compare(mode, &fetched);
    }

    fn curl(&self, mode: &str, settings: &[&str]) {
        let fetched = self.lab.dir.path(&format!("client/{mode}"));
        let common = [
            "--disable",
            "--silent",
            "--show-error",
            "--globoff",
            "--max-time",
            "60",
        ];
        let from = format!("ftp://{}/pub/large", self.server);
        let to = format!("ftp://{}/incoming/{mode}", self.server);
        let name = fetched.display().to_string();
        let fetch = ["--output", &name, &from];
        let bring = ["--upload-file", &self.own, &to];
        for what in [fetch, bring] {
            let arguments = [&common[..], settings, &what[..]].concat();
            self.client.run("curl", &arguments);
        }
        self.compare(mode, &fetched);
    }

    fn compare(&self, mode: &str, fetched: &Path) {
        let brought = self.ftp.incoming.join(mode);
        assert_eq!(checksum(fetched), checksum(&self.ftp.large), "{mode} down");
        assert_eq!(
            checksum(&brought),
            checksum(Path::new(&self.own)),
            "{mode} up"
        );
        for file in [fetched, &brought] {
            fs::remove_file(file).expect("it was just read");
        }
    }
}

/// No packet on the outer wire has another address than the public one and the
/// server's, no byte of it names an inside one, and the hops are counted.
fn only_the_public_address_shows(recorded: &Recorded) {
    let others = format!("ip and not (host {PUBLIC} and host {SERVER})");
    assert_eq!(recorded.packets(&others), [""; 0]);
    for inside in ["10,0,0,7", CLIENT, "10,0,9,21", INSIDE] {
        assert!(!recorded.holds(inside), "{inside} went out");
    }
    // The client sends with 64; the host takes one before the gateway and one
    // behind it, the gateway takes its own.
    let ttl = format!("src host {PUBLIC} and ip[8] != 61");
    assert_eq!(recorded.packets(&ttl), [""; 0]);
    let right = format!("src host {PUBLIC} and ip[8] == 61");
    assert!(!recorded.packets(&right).is_empty());
}

/// All PORT (or EPRT) lines on the outer wire begin like this.
fn every_announcement_names(recorded: &Recorded, command: &str, least: usize, start: &str) {
    let filter = format!("ftp.request.command == {command}");
    let said = recorded.ftp_field(&filter, "ftp.request.arg");
    assert!(said.len() >= least, "{command}: {said:?}");
    for argument in said {
        assert!(argument.starts_with(start), "{command} {argument}");
    }
}
