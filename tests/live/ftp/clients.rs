//! The four clients of the matrix, and how each is told which way to open its
//! data connections.
//!
//! All of them take what a reply to PASV says at its word: some replace an
//! address that they do not like by the server's own unless told not to, and
//! would hide that nobody translated it.

use std::path::{Path, PathBuf};

use crate::lab::Namespace;

/// A way to open data connections, over a family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Port,
    Pasv,
    Eprt,
    Epsv,
    Eprt6,
    Epsv6,
}

impl Mode {
    pub(super) const ALL: [Self; 6] = [
        Self::Port,
        Self::Pasv,
        Self::Eprt,
        Self::Epsv,
        Self::Eprt6,
        Self::Epsv6,
    ];

    /// The command that asks for it.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Port => "PORT",
            Self::Pasv => "PASV",
            Self::Eprt | Self::Eprt6 => "EPRT",
            Self::Epsv | Self::Epsv6 => "EPSV",
        }
    }

    pub(super) fn is_ipv6(self) -> bool {
        matches!(self, Self::Eprt6 | Self::Epsv6)
    }

    /// Whether the server connects to the client.
    fn is_active(self) -> bool {
        matches!(self, Self::Port | Self::Eprt | Self::Eprt6)
    }
}

/// A program that fetches and brings files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Lftp,
    Curl,
    Tnftp,
    Ftplib,
}

/// What a client is to do: list the root, fetch `pub/large`, bring `own`.
pub(super) struct Errand<'a> {
    pub(super) server: &'a str,
    pub(super) mode: Mode,
    /// What it brings, and as what.
    pub(super) own: &'a Path,
    pub(super) upload: &'a str,
    /// Its own place, where `list` and `large` end up.
    pub(super) place: PathBuf,
}

impl Client {
    pub(super) const ALL: [Self; 4] = [Self::Lftp, Self::Curl, Self::Tnftp, Self::Ftplib];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lftp => "lftp",
            Self::Curl => "curl",
            Self::Tnftp => "tnftp",
            Self::Ftplib => "ftplib",
        }
    }

    /// Why it cannot be made to use this mode.
    pub(super) fn inability(self, mode: Mode) -> Option<&'static str> {
        match (self, mode) {
            (Self::Lftp, Mode::Eprt) => {
                Some("lftp says PORT over IPv4, and has no setting for EPRT")
            }
            _ => None,
        }
    }

    /// Does the errand; gives what it said, or why it failed. Only verbs of the
    /// errand's mode are a success.
    pub(super) fn run(self, host: &Namespace, errand: &Errand<'_>) -> Result<(), String> {
        std::fs::create_dir_all(&errand.place).expect("directories can be made");
        let arguments = match self {
            Self::Lftp => lftp(errand),
            Self::Curl => curl(errand),
            Self::Tnftp => tnftp(errand),
            Self::Ftplib => ftplib(errand),
        };
        let home = format!("HOME={}", errand.place.display());
        let mut all = vec![
            home,
            "timeout".into(),
            "--kill-after=5".into(),
            "120".into(),
        ];
        all.extend(arguments);
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        let output = host.try_run("env", &all);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if !output.status.success() {
            return Err(format!("{}\n{said}", output.status));
        }
        for mode in Mode::ALL {
            let count = said.lines().filter(|line| asks(line, mode.verb())).count();
            let is_wanted = mode.verb() == errand.mode.verb();
            if is_wanted && count < 3 || !is_wanted && count > 0 {
                return Err(format!("{count} times {}:\n{said}", mode.verb()));
            }
        }
        Ok(())
    }
}

/// Whether a line of a client's report shows this command.
fn asks(line: &str, verb: &str) -> bool {
    let marks = ["---> ", "> ", "*cmd* '"];
    let sent = marks.iter().find_map(|mark| line.strip_prefix(mark));
    let rest = sent.and_then(|command| command.strip_prefix(verb));
    rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphanumeric()))
}

fn strings<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// With IPv6 addresses in brackets, as a URL has them.
fn in_url(errand: &Errand<'_>) -> String {
    match errand.mode.is_ipv6() {
        true => format!("ftp://[{}]", errand.server),
        false => format!("ftp://{}", errand.server),
    }
}

fn lftp(errand: &Errand<'_>) -> Vec<String> {
    let script = format!(
        "set cmd:fail-exit yes; set net:max-retries 1; set net:timeout 60; set ftp:ssl-allow no; \
         set ftp:fix-pasv-address no; set ftp:passive-mode {passive}; set ftp:prefer-epsv {epsv}; \
         debug 5; open {server}; ls > {place}/list; get pub/large -o {place}/large; \
         put {own} -o incoming/{upload}; bye",
        passive = !errand.mode.is_active(),
        epsv = errand.mode.verb() == "EPSV",
        server = in_url(errand),
        place = errand.place.display(),
        own = errand.own.display(),
        upload = errand.upload,
    );
    let mut arguments = strings(["lftp", "--norc", "-c"]);
    arguments.push(script);
    arguments
}

fn curl(errand: &Errand<'_>) -> Vec<String> {
    let way: &[&str] = match errand.mode {
        Mode::Port => &["--ftp-port", "-", "--disable-eprt"],
        Mode::Eprt | Mode::Eprt6 => &["--ftp-port", "-"],
        Mode::Pasv => &["--ftp-pasv", "--disable-epsv", "--no-ftp-skip-pasv-ip"],
        Mode::Epsv | Mode::Epsv6 => &["--ftp-pasv"],
    };
    let server = in_url(errand);
    let place = errand.place.display();
    let own = errand.own.display().to_string();
    let jobs = [
        [
            "--output".into(),
            format!("{place}/list"),
            format!("{server}/"),
        ],
        [
            "--output".into(),
            format!("{place}/large"),
            format!("{server}/pub/large"),
        ],
        [
            "--upload-file".into(),
            own,
            format!("{server}/incoming/{}", errand.upload),
        ],
    ];
    let mut arguments = strings(["curl", "--disable"]);
    for job in jobs {
        arguments.extend(strings([
            "--verbose",
            "--silent",
            "--show-error",
            "--globoff",
        ]));
        arguments.extend(way.iter().map(|word| (*word).to_owned()));
        arguments.extend(job);
        arguments.push("--next".into());
    }
    arguments.pop();
    arguments
}

fn tnftp(errand: &Errand<'_>) -> Vec<String> {
    // Its commands come by standard input. At first it uses EPRT and EPSV with
    // IPv4 too, which the command epsv4 ends.
    let old = matches!(errand.mode, Mode::Port | Mode::Pasv);
    let script = format!(
        "{toggle}ls . {place}/list\nbinary\nget pub/large {place}/large\n\
         put {own} incoming/{upload}\nquit\n",
        toggle = if old { "epsv4\n" } else { "" },
        place = errand.place.display(),
        own = errand.own.display(),
        upload = errand.upload,
    );
    let way = if errand.mode.is_active() { "-A" } else { "-p" };
    let run = "printf %s \"$1\" | tnftp -i -v -d \"$2\" -a \"$3\"";
    let mut arguments = strings(["sh", "-c", run, "sh"]);
    arguments.extend([script, way.into(), errand.server.into()]);
    arguments
}

fn ftplib(errand: &Errand<'_>) -> Vec<String> {
    let mut arguments = strings(["python3", "-c", FTPLIB, errand.server, errand.mode.verb()]);
    arguments.extend([
        errand.own.display().to_string(),
        errand.upload.to_owned(),
        errand.place.display().to_string(),
    ]);
    arguments
}

/// It knows EPRT and EPSV for IPv6 only; its methods are there to be overridden.
const FTPLIB: &str = r"
import ftplib, socket, sys
server, verb, own, upload, place = sys.argv[1:]
class Client(ftplib.FTP):
    trust_server_pasv_ipv4_address = True
    def makepasv(self):
        if verb != 'EPSV':
            return super().makepasv()
        return ftplib.parse229(self.sendcmd('EPSV'), self.sock.getpeername())
    def makeport(self):
        if verb != 'EPRT':
            return super().makeport()
        host = self.sock.getsockname()[0]
        listener = socket.create_server((host, 0), family=self.af, backlog=1)
        listener.settimeout(self.timeout)
        self.sendeprt(host, listener.getsockname()[1])
        return listener
client = Client(timeout=60)
client.set_debuglevel(1)
client.connect(server)
client.login()
client.set_pasv(verb in ('PASV', 'EPSV'))
with open(place + '/list', 'w') as to:
    client.retrlines('LIST', lambda line: to.write(line + '\n'))
with open(place + '/large', 'wb') as to:
    client.retrbinary('RETR pub/large', to.write, 65536)
with open(own, 'rb') as of:
    client.storbinary('STOR incoming/' + upload, of, 65536)
client.quit()
";
