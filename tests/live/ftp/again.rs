//! A client that names one port for all of its transfers: while they follow each
//! other, gateway and hosts still wait on the last connection of the same two ends.

use super::matrix::rules;
use super::servers::{Files, Server};
use crate::enter::in_own_namespaces_as_root;
use crate::lab::{Lab, SERVER, SERVER_V6};

const PROGRAMS: &[&str] = &["vsftpd", "proftpd", "pure-ftpd", "python3", "ss", "kill"];

/// Fifteen transfers within a second or two; a gateway that lets one fail is noticed
/// after eight.
const AGAIN: &str = r"
import ftplib, io, socket, sys
server, upload = sys.argv[1:]
octets = bytes(300000)
class Client(ftplib.FTP):
    def makeport(self):
        host = self.sock.getsockname()[0]
        listener = socket.socket(self.af, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, 46753))
        listener.listen(1)
        listener.settimeout(self.timeout)
        say = self.sendport if self.af == socket.AF_INET else self.sendeprt
        say(host, 46753)
        return listener
for again in range(3):
    client = Client(timeout=8)
    client.set_debuglevel(1)
    client.connect(server)
    client.login()
    client.cwd('incoming')
    client.set_pasv(False)
    client.nlst()
    client.storbinary('STOR ' + upload, io.BytesIO(octets), 65536)
    assert upload in client.nlst()
    client.voidcmd('TYPE I')
    assert client.size(upload) == len(octets)
    client.retrbinary('RETR ../pub/large', lambda piece: None, 65536)
    client.nlst()
    upload += 'a'
    client.quit()
";

/// With this rule file of the guide.
fn with_each_server(test: &str, name: &str) {
    in_own_namespaces_as_root(test, PROGRAMS, || {
        let lab = Lab::new();
        let gateway = lab.start_gateway(&rules(name));
        let _files = Files::new(&lab, 1 << 20);
        for server in Server::ALL {
            let _running = server.start(&lab, &lab.server, &[SERVER, SERVER_V6]);
            for at in [SERVER, SERVER_V6] {
                let upload = format!("{server:?}-{}", at.contains(':'));
                let arguments = ["-c", AGAIN, at, &upload];
                let said = lab.client.try_run("python3", &arguments);
                let text = [said.stdout, said.stderr].concat();
                let text = String::from_utf8_lossy(&text);
                assert!(said.status.success(), "{server:?} {at}:\n{text}");
            }
        }
        gateway.stop(&lab);
    });
}

#[test]
fn one_port_for_all_transfers_without_translation() {
    let test = "ftp::again::one_port_for_all_transfers_without_translation";
    with_each_server(test, "none");
}

#[test]
fn one_port_for_all_transfers_behind_a_masquerade() {
    let test = "ftp::again::one_port_for_all_transfers_behind_a_masquerade";
    with_each_server(test, "masquerade");
}
