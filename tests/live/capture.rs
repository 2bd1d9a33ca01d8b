//! What went over a wire: recorded by tcpdump, read by tcpdump and tshark.

use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

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
        let mut command = host.command("tcpdump");
        command
            .args(["-n", "-U", "-s", "256", "-B", "65536", "-Z", "root"])
            .args(["-i", device, "-w"])
            .arg(&file);
        let mut process = lab.dir.start(&mut command, &format!("tcpdump-{device}"));
        process.wait_for_word("listening on");
        Self { process, file }
    }

    /// Ends it. No packet may be missing: what is not there proves nothing.
    pub(crate) fn stop(mut self) -> Recorded {
        // The last segments of closing connections, and tcpdump's own second.
        sleep(Duration::from_millis(1200));
        self.process.signal("INT");
        assert!(self.process.wait().success(), "{}", self.process.output());
        let said = self.process.output();
        assert!(said.contains("\n0 packets dropped by kernel"), "{said}");
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
        let mut command = Command::new("tcpdump");
        command
            .args(["-nn", "-t", "-r"])
            .arg(&self.file)
            .arg(filter);
        checked(&mut command).lines().map(str::to_owned).collect()
    }

    /// One field of the control connections' packets that a tshark filter
    /// matches.
    pub(crate) fn ftp_field(&self, filter: &str, field: &str) -> Vec<String> {
        // tshark takes its time with every packet: leave it these few.
        let control = self.file.with_extension("control.pcap");
        let mut command = Command::new("tcpdump");
        command.arg("-r").arg(&self.file).arg("-w").arg(&control);
        checked(command.args(["-Z", "root", "tcp port 21"]));
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
