//! Harder days: a bad road, and transfers side by side.

use std::fs;

use super::clients::{Client, Errand, Mode};
use super::matrix::rules;
use super::road::Road;
use crate::enter::in_own_namespaces;
use crate::lab::{Lab, SERVER, SERVER_V6};
use crate::servers::{Ftp, noise};

const PROGRAMS: &[&str] = &[
    "vsftpd", "lftp", "curl", "tnftp", "python3", "ethtool", "ss", "kill", "timeout",
];

#[test]
fn every_mode_gets_over_a_road_that_loses_and_reorders_segments() {
    let test = "ftp::hard::every_mode_gets_over_a_road_that_loses_and_reorders_segments";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let inside = ["10.0.0.1/24", "2001:db8:10::1/64"];
        let outside = ["198.51.100.1/24", "2001:db8:ff:100::1/64"];
        let near = Road::lay(&lab, "lan-eth", &inside, &lab.client, 1);
        let far = Road::lay(&lab, "wan-eth", &outside, &lab.server, 2);
        let ftp = Ftp::start(&lab, &lab.server, &[SERVER, SERVER_V6], 1 << 20);
        let gateway = lab.start_gateway(&rules("masquerade"));

        let large = fs::read(&ftp.large).unwrap();
        let own = lab.dir.write("own", noise(700_000));
        for (client, mode) in [
            (Client::Lftp, Mode::Port),
            (Client::Lftp, Mode::Pasv),
            (Client::Curl, Mode::Eprt),
            (Client::Curl, Mode::Epsv),
            (Client::Tnftp, Mode::Port),
            (Client::Tnftp, Mode::Pasv),
            (Client::Ftplib, Mode::Eprt6),
            (Client::Ftplib, Mode::Epsv6),
        ] {
            let upload = format!("{client:?}-{mode:?}");
            let errand = Errand {
                server: if mode.is_ipv6() { SERVER_V6 } else { SERVER },
                mode,
                own: &own,
                upload: &upload,
                place: lab.dir.path(&upload),
            };
            if let Err(why) = client.run(&lab.client, &errand) {
                panic!("{upload}: {why}\n{}", gateway.log());
            }
            let fetched = fs::read(errand.place.join("large")).unwrap();
            assert!(fetched == large, "{upload}: another file was fetched");
            let brought = fs::read(ftp.incoming.join(&upload)).unwrap();
            assert!(
                brought == fs::read(&own).unwrap(),
                "{upload}: another file was brought"
            );
        }
        gateway.stop(&lab);
        // It was as bad as it should be.
        for (lost, overtaken) in [near.close(), far.close()] {
            assert!(lost >= 100 && overtaken >= 100, "{lost} {overtaken}");
        }
    });
}

/// Three data connections of one client are open at the same time, by three control
/// connections and in three modes; octets come by all in turn.
const SIDE_BY_SIDE: &str = r"
import ftplib, hashlib, sys
server, own, large = sys.argv[1:]
def login(passive):
    client = ftplib.FTP(server, timeout=60)
    client.login()
    client.set_pasv(passive)
    client.voidcmd('TYPE I')
    return client
clients = [login(passive) for passive in (False, True, True)]
clients[2].af = 0 # not AF_INET: it says EPSV
down = [client.transfercmd('RETR pub/large') for client in clients[:2]]
up = clients[2].transfercmd('STOR incoming/side')
sums = [hashlib.sha256(), hashlib.sha256()]
octets = open(own, 'rb').read()
open_ones = set(down) | {up}
while open_ones:
    for connection, total in zip(down, sums):
        if connection in open_ones:
            piece = connection.recv(65536)
            total.update(piece)
            if not piece:
                open_ones.remove(connection)
    if up in open_ones:
        up.sendall(octets[:65536])
        octets = octets[65536:]
        if not octets:
            open_ones.remove(up)
for connection in down + [up]:
    connection.close()
for client in clients:
    assert client.voidresp().startswith('226'), client
    client.quit()
expected = hashlib.sha256(open(large, 'rb').read()).hexdigest()
assert [total.hexdigest() for total in sums] == [expected] * 2
";

#[test]
fn three_transfers_of_one_client_run_side_by_side() {
    let test = "ftp::hard::three_transfers_of_one_client_run_side_by_side";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let ftp = Ftp::start(&lab, &lab.server, &[SERVER], 8 << 20);
        let gateway = lab.start_gateway(&rules("masquerade"));
        let own = lab.dir.write("own", noise(8 << 20));
        let arguments = ["-c", SIDE_BY_SIDE, SERVER];
        let files = [own.to_str().unwrap(), ftp.large.to_str().unwrap()];
        lab.client
            .run("python3", &[&arguments[..], &files].concat());
        let brought = fs::read(ftp.incoming.join("side")).unwrap();
        assert!(brought == fs::read(&own).unwrap());
        gateway.stop(&lab);
    });
}
