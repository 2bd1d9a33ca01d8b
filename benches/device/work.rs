//! What is sent through a gateway, and what arrives.

use std::fs;

use crate::lab::{Lab, Namespace, Process, SERVER, wait_until};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Load {
    /// iperf3, one TCP stream.
    OneStream,
    /// iperf3, four TCP streams.
    FourStreams,
    /// iperf3, one TCP stream of a host that cuts it into segments itself.
    Segments,
    /// Datagrams of 18 octets, as fast as one program can send them.
    Datagrams,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Result {
    /// Gbit/s or thousands of packets a second that arrived.
    pub(crate) amount: f64,
    /// Seconds of all processors for each Gbit or million packets that arrived, sender
    /// and receiver included.
    pub(crate) seconds_each: f64,
}

/// Where datagrams are taken.
const SINK: u16 = 7;

/// The far ends, which take whatever comes.
pub(crate) fn listen(lab: &Lab) -> Vec<Process> {
    let mut iperf = lab.server.command("iperf3");
    iperf.args(["-s", "-B", SERVER]);
    let mut sink = lab.server.command(&this_program());
    sink.args(["sink", &format!("{SERVER}:{SINK}")]);
    let mut sink = lab.dir.start(&mut sink, "sink");
    sink.wait_for_word("ready");
    let iperf = lab.dir.start(&mut iperf, "iperf3");
    wait_until("iperf3 listens", || {
        let listening = lab.server.run("ss", &["-Htnl"]);
        listening.contains(":5201")
    });
    vec![iperf, sink]
}

pub(crate) fn this_program() -> String {
    let path = std::env::current_exe().expect("a program has a path");
    path.display().to_string()
}

impl Load {
    pub(crate) const ALL: [Self; 4] = [
        Self::OneStream,
        Self::FourStreams,
        Self::Segments,
        Self::Datagrams,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::OneStream => "TCP, one stream",
            Self::FourStreams => "TCP, four streams",
            Self::Segments => "TCP, one stream, in segments of 1500 octets",
            Self::Datagrams => "UDP, 18 octets of payload",
        }
    }

    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::OneStream | Self::FourStreams | Self::Segments => "Gbit/s",
            Self::Datagrams => "k/s   ",
        }
    }

    /// Sends for so many seconds.
    pub(crate) fn run(self, lab: &Lab, client: &Namespace, seconds: usize) -> Result {
        let (busy, arrived) = (busy_seconds(), arrived_at(lab));
        let span = seconds.to_string();
        let gbit = |streams: &str| {
            let said = client.run("iperf3", &["-c", SERVER, "-t", &span, "-P", streams, "-J"]);
            let said: serde_json::Value = serde_json::from_str(&said).expect("it is JSON");
            let sum = &said["end"]["sum_received"];
            let octets = sum["bytes"].as_f64().expect("octets");
            let took = sum["seconds"].as_f64().expect("seconds");
            (octets * 8e-9, octets * 8e-9 / took)
        };
        let (all, amount) = match self {
            Self::OneStream => gbit("1"),
            Self::FourStreams => gbit("4"),
            Self::Segments => {
                offloads(client, "off");
                let result = gbit("1");
                offloads(client, "on");
                result
            }
            Self::Datagrams => {
                client.run(
                    &this_program(),
                    &["blast", &format!("{SERVER}:{SINK}"), &span],
                );
                let packets = (arrived_at(lab) - arrived) as f64;
                (packets / 1e6, packets / 1e3 / seconds as f64)
            }
        };
        Result {
            amount,
            seconds_each: (busy_seconds() - busy) / all,
        }
    }
}

/// Whether a host leaves cutting to others.
fn offloads(client: &Namespace, word: &str) {
    // Programs that give it a way out name its device as they like.
    let route = client.run("ip", &["-o", "route", "get", SERVER]);
    let mut words = route.split_whitespace();
    let device = words.find(|word| *word == "dev").and(words.next());
    let device = device.expect("a way to the server");
    let all = ["-K", device, "tso", word, "gso", word];
    client.run("ethtool", &all);
}

/// Packets that have arrived at the server.
pub(crate) fn arrived_at(lab: &Lab) -> u64 {
    let path = "/sys/class/net/eth0/statistics/rx_packets";
    let said = lab.server.run("cat", &[path]);
    said.trim().parse().expect("a number")
}

/// Seconds that all processors have worked.
pub(crate) fn busy_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").expect("the kernel counts");
    let line = stat.lines().next().expect("a line");
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().expect("a number"))
        .collect();
    // user, nice, system, (idle, iowait), irq, softirq
    let busy = [0, 1, 2, 5, 6].map(|field| ticks[field]);
    busy.iter().sum::<u64>() as f64 / 100.0
}
