//! The three servers of the matrix, each for the anonymous, each with the lab's
//! directory `ftp` as its root.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::lab::{Lab, Namespace, Process, checked};
use crate::servers::{noise, vsftpd, wait_for_listener};

/// A program that serves files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Vsftpd,
    Proftpd,
    PureFtpd,
}

impl Server {
    pub(super) const ALL: [Self; 3] = [Self::Vsftpd, Self::Proftpd, Self::PureFtpd];

    /// What its people call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vsftpd => "vsftpd",
            Self::Proftpd => "ProFTPD",
            Self::PureFtpd => "Pure-FTPd",
        }
    }

    /// Starts it on `host`, at port 21 of these addresses.
    pub(super) fn start(self, lab: &Lab, host: &Namespace, addresses: &[&str]) -> Vec<Process> {
        let start = |address: &&str| match self {
            Self::Vsftpd => vsftpd(lab, host, address),
            Self::Proftpd => proftpd(lab, host, address),
            Self::PureFtpd => pure_ftpd(lab, host, address),
        };
        addresses.iter().map(start).collect()
    }
}

/// What the servers have: a file to fetch, and a place for what is brought.
pub(super) struct Files {
    /// The file at `pub/large`.
    pub(super) large: Vec<u8>,
    /// Where `incoming` is.
    pub(super) incoming: PathBuf,
}

impl Files {
    /// Makes them, with a large file of `bytes` bytes. From here on the system's
    /// user `ftp` is at home there, which is where Pure-FTPd looks.
    pub(super) fn new(lab: &Lab, bytes: usize) -> Self {
        let large = noise(bytes);
        lab.dir.write("ftp/pub/large", &large);
        let incoming = lab.dir.path("ftp/incoming");
        fs::create_dir_all(&incoming).expect("directories can be made");
        checked(Command::new("chown").arg("ftp").arg(&incoming));
        let users = fs::read_to_string("/etc/passwd").expect("a list of users");
        let home = lab.dir.path("ftp").display().to_string();
        let moved = users.lines().map(|line| {
            let mut fields: Vec<_> = line.split(':').collect();
            if fields[0] == "ftp" {
                fields[5] = &home;
            }
            fields.join(":") + "\n"
        });
        let users = lab.dir.write("passwd", moved.collect::<String>());
        let mut mount = Command::new("mount");
        checked(mount.arg("--bind").arg(users).arg("/etc/passwd"));
        Self { large, incoming }
    }
}

fn proftpd(lab: &Lab, host: &Namespace, address: &str) -> Process {
    let name = format!("proftpd-{}", address.replace(':', "-"));
    let conf = format!(
        "ServerName test\nServerType standalone\nPort 21\nDefaultAddress {address}\n\
         SocketBindTight on\nUseIPv6 on\nAuthPAM off\nWtmpLog off\nTransferLog none\n\
         DelayEngine off\nUseReverseDNS off\nUser nobody\nGroup nogroup\n\
         SystemLog {files}.messages\nPidFile {files}.pid\nScoreboardFile {files}.scoreboard\n\
         PassivePorts 41000 41999\nRequireValidShell off\n\
         <Anonymous {root}>\n\
         User ftp\nGroup nogroup\nUserAlias anonymous ftp\nRequireValidShell off\n\
         <Limit WRITE>\nAllowAll\n</Limit>\n\
         </Anonymous>\n",
        files = lab.dir.path(&name).display(),
        root = lab.dir.path("ftp").display(),
    );
    let conf = lab.dir.write(&format!("{name}.conf"), conf);
    let mut command = host.command("proftpd");
    command.args(["--nodaemon", "--config"]).arg(conf);
    let process = lab.dir.start(&mut command, &name);
    wait_for_listener(host, "-t", address, 21);
    process
}

fn pure_ftpd(lab: &Lab, host: &Namespace, address: &str) -> Process {
    let name = format!("pure-ftpd-{}", address.replace(':', "-"));
    let mut command = host.command("pure-ftpd");
    command.arg("--bind").arg(format!("{address},21"));
    command.args(["--anonymousonly", "--dontresolve", "--minuid", "1"]);
    command.args(["--passiveportrange", "42000:42999", "--umask", "022:022"]);
    command.arg("--pidfile").arg(lab.dir.path(&name));
    let process = lab.dir.start(&mut command, &name);
    wait_for_listener(host, "-t", address, 21);
    process
}
