//! The servers on the far side: vsftpd, python's web server, dnsmasq.

use std::path::PathBuf;
use std::process::Command;

use crate::enter::is_the_only_user;
use crate::lab::{Lab, Process, SERVER, SERVER_V6, checked, wait_until};

/// An FTP server with one large file, and a place to upload to.
pub(crate) struct Ftp {
    _v4: Process,
    _v6: Process,
    /// The large file.
    pub(crate) large: PathBuf,
    /// Where uploads go.
    pub(crate) incoming: PathBuf,
}

impl Ftp {
    /// Starts it at the server's addresses, with a file of `bytes` bytes.
    pub(crate) fn start(lab: &Lab, bytes: usize) -> Self {
        let large = lab.dir.write("ftp/pub/large", noise(bytes));
        lab.dir.write("ftp/readme.txt", "This file is small.\n");
        let incoming = lab.dir.path("ftp/incoming");
        std::fs::create_dir_all(&incoming).expect("directories can be made");
        if !is_the_only_user() {
            checked(Command::new("chown").arg("ftp").arg(&incoming));
        }
        let v4 = vsftpd(
            lab,
            "ftp4",
            &format!("listen=YES\nlisten_address={SERVER}\n"),
        );
        let v6 = vsftpd(
            lab,
            "ftp6",
            &format!("listen=NO\nlisten_ipv6=YES\nlisten_address6={SERVER_V6}\n"),
        );
        wait_for_listener(lab, "t", &format!("{SERVER}:21"));
        wait_for_listener(lab, "t", &format!("[{SERVER_V6}]:21"));
        Self {
            _v4: v4,
            _v6: v6,
            large,
            incoming,
        }
    }
}

fn vsftpd(lab: &Lab, name: &str, listen: &str) -> Process {
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
         ftpd_banner=an FTP server\nxferlog_enable=NO\nsyslog_enable=NO\n",
        root = root.display(),
        empty = empty.display(),
    );
    let conf = lab.dir.write(&format!("{name}.conf"), conf);
    checked(Command::new("chmod").arg("600").arg(&conf));
    lab.dir.start(lab.server.command("vsftpd").arg(&conf), name)
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
            let listener = if address.contains(':') {
                format!("[{address}]:80")
            } else {
                format!("{address}:80")
            };
            wait_for_listener(lab, "t", &listener);
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
    wait_for_listener(lab, "u", &format!("{SERVER}:53"));
    process
}

/// Waits until something on the server listens at `source`; `kind` is `t` for
/// TCP, `u` for UDP.
fn wait_for_listener(lab: &Lab, kind: &str, source: &str) {
    let question = ["-Hln", if kind == "t" { "-t" } else { "-u" }, "src", source];
    wait_until(source, || !lab.server.run("ss", &question).is_empty());
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
