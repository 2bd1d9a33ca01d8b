//! What went over a wire: recorded by dumpcap, read by tcpdump and tshark.
//!
//! tcpdump does not record here: where one user is all there is, it cannot give
//! up root, and then it gives up.

use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::enter::is_the_only_user;
use crate::lab::{Lab, Namespace, Process, checked};

/// A recording that goes on.
pub(crate) struct Recording {
    process: Process,
    file: PathBuf,
}

impl Recording {
    /// Records what `device` of `host` sends and receives, the first bytes of
    /// each packet: enough for headers and a line of FTP.
    pub(crate) fn start(lab: &Lab, host: &Namespace, device: &str) -> Self {
        let file = lab.dir.path(&format!("{device}.pcap"));
        let mut command = host.command("dumpcap");
        command
            .args(["-q", "-P", "-s", "256", "-B", "64"])
            .args(["-i", device, "-w"])
            .arg(&file);
        let mut process = lab.dir.start(&mut command, &format!("dumpcap-{device}"));
        process.wait_for_word("File: ");
        Self { process, file }
    }

    /// Ends it. No packet may be missing: what is not there proves nothing.
    pub(crate) fn stop(mut self) -> Recorded {
        // The last segments of closing connections.
        sleep(Duration::from_millis(500));
        self.process.signal("INT");
        assert!(self.process.wait().success(), "{}", self.process.output());
        let said = self.process.output();
        let lost = said.split_once("Packets received/dropped");
        let lost = lost.and_then(|(_, counts)| counts.split_once('/'));
        assert!(
            lost.is_some_and(|(_, lost)| lost.starts_with("0 ")),
            "{said}"
        );
        Recorded { file: self.file }
    }
}

/// A recording that is complete.
pub(crate) struct Recorded {
    file: PathBuf,
}

impl Recorded {
    /// The packets that a tcpdump filter matches, a line each.
    pub(crate) fn packets(&self, filter: &str) -> Vec<String> {
        let mut command = tcpdump();
        command.args(["-nn", "-t", "-r"]);
        command.arg(&self.file).arg(filter);
        checked(&mut command).lines().map(str::to_owned).collect()
    }

    /// One field of the control connections' packets that a tshark filter
    /// matches.
    pub(crate) fn ftp_field(&self, filter: &str, field: &str) -> Vec<String> {
        // tshark takes its time with every packet: leave it these few.
        let control = self.file.with_extension("control.pcap");
        let mut command = tcpdump();
        command.arg("-r").arg(&self.file).arg("-w").arg(&control);
        checked(command.arg("tcp port 21"));
        let mut command = Command::new("tshark");
        command.arg("-n").arg("-r").arg(&control);
        command.args(["-Y", filter, "-T", "fields", "-e", field]);
        checked(&mut command).lines().map(str::to_owned).collect()
    }

    /// Whether these very bytes were on the wire, in headers' text or payload.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let mut command = Command::new("grep");
        command.args(["--text", "--quiet", "--fixed-strings", "--", text]);
        let status = command.arg(&self.file).status().expect("grep starts");
        assert!(status.code().is_some_and(|code| code < 2), "{status}");
        status.success()
    }
}

/// tcpdump, kept from becoming another user: one who may not read our files,
/// or who does not exist here.
fn tcpdump() -> Command {
    if is_the_only_user() {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-user=1000", "tcpdump"]);
        return command;
    }
    let mut command = Command::new("tcpdump");
    command.args(["-Z", "root"]);
    command
}
