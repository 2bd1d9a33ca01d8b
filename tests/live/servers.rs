//! The servers on the far side: vsftpd, python's web server, dnsmasq.

use std::path::PathBuf;
use std::process::Command;

use crate::enter::is_the_only_user;
use crate::lab::{Lab, Namespace, Process, SERVER, SERVER_V6, checked, wait_until};

/// An FTP server with one large file, and a place to upload to.
pub(crate) struct Ftp {
    _servers: Vec<Process>,
    /// The large file.
    pub(crate) large: PathBuf,
    /// Where uploads go.
    pub(crate) incoming: PathBuf,
}

impl Ftp {
    /// Starts it on `host` at these addresses, with a file of `bytes` bytes.
    pub(crate) fn start(lab: &Lab, host: &Namespace, addresses: &[&str], bytes: usize) -> Self {
        let large = lab.dir.write("ftp/pub/large", noise(bytes));
        let incoming = lab.dir.path("ftp/incoming");
        std::fs::create_dir_all(&incoming).expect("directories can be made");
        if !is_the_only_user() {
            checked(Command::new("chown").arg("ftp").arg(&incoming));
        }
        let start = |address: &&str| vsftpd(lab, host, address);
        Self {
            _servers: addresses.iter().map(start).collect(),
            large,
            incoming,
        }
    }
}

/// vsftpd, for the anonymous, with the lab's `ftp` as its root.
pub(crate) fn vsftpd(lab: &Lab, host: &Namespace, address: &str) -> Process {
    vsftpd_with(lab, host, address, "")
}

/// The same with more settings, each a line.
pub(crate) fn vsftpd_with(lab: &Lab, host: &Namespace, address: &str, more: &str) -> Process {
    let listen = if address.contains(':') {
        format!("listen=NO\nlisten_ipv6=YES\nlisten_address6={address}\n")
    } else {
        format!("listen=YES\nlisten_address={address}\n")
    };
    let name = format!("ftp-{}", address.replace(':', "-"));
    let root = lab.dir.path("ftp");
    let empty = lab.dir.path("empty");
    std::fs::create_dir_all(&empty).expect("directories can be made");
    let only_user = if is_the_only_user() {
        "run_as_launching_user=YES\n"
    } else {
        ""
    };
    let conf = format!(
        "{listen}{only_user}\
         background=NO\nseccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\n\
         anonymous_enable=YES\nlocal_enable=NO\nno_anon_password=NO\n\
         anon_root={root}\nsecure_chroot_dir={empty}\n\
         write_enable=YES\nanon_upload_enable=YES\nanon_umask=022\nhide_ids=YES\n\
         pasv_min_port=40000\npasv_max_port=40100\n\
         connect_from_port_20=YES\nftp_data_port=20\nport_enable=YES\n\
         ftpd_banner=an FTP server\nxferlog_enable=NO\nsyslog_enable=NO\n{more}",
        root = root.display(),
        empty = empty.display(),
    );
    let conf = lab.dir.write(&format!("{name}.conf"), conf);
    checked(Command::new("chmod").arg("600").arg(&conf));
    let mut command = host.command("vsftpd");
    let process = lab.dir.start(command.arg(&conf), &name);
    wait_for_listener(host, "-t", address, 21);
    process
}

/// A web server at both addresses with one page, `index.html`.
pub(crate) fn start_web(lab: &Lab) -> Vec<Process> {
    let page = lab
        .dir
        .write("www/index.html", "<title>A small page</title>\n");
    let www = page.parent().expect("in www").to_path_buf();
    [SERVER, SERVER_V6]
        .into_iter()
        .map(|address| {
            let mut command = lab.server.command("python3");
            command.args(["-m", "http.server", "--bind", address, "--directory"]);
            command.arg(&www).arg("80");
            let name = format!("web-{}", address.replace(':', "-"));
            let process = lab.dir.start(&mut command, &name);
            wait_for_listener(&lab.server, "-t", address, 80);
            process
        })
        .collect()
}

/// A name server that knows `files.example`.
pub(crate) fn start_dns(lab: &Lab) -> Process {
    let mut command = lab.server.command("dnsmasq");
    command
        .args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv"])
        .args(["--no-hosts", "--pid-file=", "--bind-interfaces"])
        .arg(format!("--listen-address={SERVER},{SERVER_V6}"))
        .args(["--local=/example/"])
        .arg(format!("--host-record=files.example,{SERVER},{SERVER_V6}"));
    let process = lab.dir.start(&mut command, "dns");
    wait_for_listener(&lab.server, "-u", SERVER, 53);
    process
}

/// Waits until something on `host` listens there; `kind` is `-t` for TCP, `-u`
/// for UDP.
pub(crate) fn wait_for_listener(host: &Namespace, kind: &str, address: &str, port: u16) {
    let source = if address.contains(':') {
        format!("[{address}]:{port}")
    } else {
        format!("{address}:{port}")
    };
    let question = ["-Hln", kind, "src", &source];
    wait_until(&source, || !host.run("ss", &question).is_empty());
}

/// Bytes that repeat nowhere nearby, always the same: a segment that is lost,
/// doubled or moved changes the checksum.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}
