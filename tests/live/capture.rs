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

    /// One field of the packets that a tshark filter matches.
    pub(crate) fn field(&self, filter: &str, field: &str) -> Vec<String> {
        let mut command = Command::new("tshark");
        command.arg("-n").arg("-r").arg(&self.file);
        command.args(["-Y", filter, "-T", "fields", "-e", field]);
        checked(&mut command).lines().map(str::to_owned).collect()
    }

    /// Whether these very bytes were in a packet (or across two).
    pub(crate) fn holds(&self, text: &str) -> bool {
        let bytes = std::fs::read(&self.file).expect("the recording is there");
        bytes
            .windows(text.len())
            .any(|bytes| bytes == text.as_bytes())
    }
}
