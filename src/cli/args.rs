//! What can be said on the command line.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

pub(super) use super::ctl::args::Ctl;
use crate::gateway::{
    EventPlace, EventRate, MetricsAddress, SocketMode, SocketPlace, StatePlace, Wanted,
    WorkersWanted,
};

/// A stateful firewall and NAT gateway that you can replay.
#[derive(Debug, Parser)]
#[command(name = "spigate", version, about, propagate_version = true)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Replay(Replay),
    Check(Check),
    Explain(Explain),
    Run(Run),
    Watch(Watch),
    Export(Export),
    Who(Who),
    Ctl(Ctl),
    DeviceHelper(DeviceHelper),
}

/// Send captured packets through the firewall, and see what comes of them.
///
/// The captures' time stamps are the clock. Without --json a summary of
/// sessions, verdicts and rules is printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate replay captures/ftp-passive-lftp.pcap --rules rules/office.toml
  spigate replay --rules rules/office.toml --zone lan=captures/ftp-active-nat.lan.pcap \\
      --zone wan=captures/ftp-active-nat.wan.pcap --json

Exit status: 0 replayed to the end, 2 bad usage or unreadable input (what came
before a damaged place in a capture is still reported).")]
pub(super) struct Replay {
    /// Captures (pcap, pcapng, also gzip or zstd) whose packets enter by the
    /// zone that holds their source address.
    #[arg(value_name = "CAPTURE", required_unless_present = "zones")]
    pub(super) captures: Vec<PathBuf>,
    /// The rule file.
    #[arg(long, value_name = "FILE")]
    pub(super) rules: PathBuf,
    /// A capture whose packets all enter by one zone (repeatable).
    #[arg(long = "zone", value_name = "NAME=FILE", value_parser = zone_binding)]
    pub(super) zones: Vec<ZoneBinding>,
    /// From where the captures were taken [default: auto; for --zone: both].
    #[arg(long, value_name = "WHERE")]
    pub(super) vantage: Option<Vantage>,
    /// What to do about checksums.
    #[arg(long, value_enum, default_value_t = Checksum::Verify)]
    pub(super) checksum: Checksum,
    /// Write what leaves by each zone to DIR/ZONE.pcap.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Print one JSON object per packet, in the order of the input.
    #[arg(long)]
    pub(super) json: bool,
    /// With --json: the bytes of every packet that leaves, in hex.
    #[arg(long, requires = "json")]
    pub(super) bytes: bool,
    /// Write the mapping log to FILE: what rows of source translation say
    /// with `log`.
    #[arg(long, value_name = "FILE")]
    pub(super) mapping_log: Option<PathBuf>,
    /// List what is live at the end: sessions by both tuples, mappings,
    /// expectations, each with its remaining time.
    #[arg(long)]
    pub(super) tables: bool,
    /// Show what the ends of each control session said, as it came and as it
    /// left, and the holes that it opened. Passwords are not shown.
    #[arg(long)]
    pub(super) dialogue: bool,
    /// Where choices that look random come from.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
}

/// `NAME=FILE`.
#[derive(Debug, Clone)]
pub(super) struct ZoneBinding {
    pub(super) zone: String,
    pub(super) file: PathBuf,
}

fn zone_binding(text: &str) -> Result<ZoneBinding, String> {
    match text.split_once('=') {
        Some((zone, file)) if !zone.is_empty() && !file.is_empty() => Ok(ZoneBinding {
            zone: zone.to_owned(),
            file: PathBuf::from(file),
        }),
        _ => Err("expected NAME=FILE, such as lan=office.pcap".to_owned()),
    }
}

/// From where a capture was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Vantage {
    /// Each packet where it arrives at the gateway.
    Both,
    /// All on the inside: the far end's packets are re-addressed to what the
    /// gateway makes of the inside's.
    Inside,
    /// A packet that belongs to a session as it is stays; others as `inside`.
    Auto,
}

/// What to do about checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Checksum {
    /// Drop packets with a wrong one.
    Verify,
    /// Do not look at them.
    Ignore,
    /// Compute them anew first: for captures made on the sending host.
    Repair,
}

/// Read rule files, and show everything that is wrong with them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate check rules/office.toml rules/home.toml

Exit status: 0 all files are right, 1 a file has errors, 2 bad usage or a file
that cannot be read.")]
pub(super) struct Check {
    /// The rule files.
    #[arg(value_name = "FILE", required = true)]
    pub(super) files: Vec<PathBuf>,
}

/// Follow a packet through the firewall, step by step.
///
/// Several packets are sent one after the other, and each is followed: the
/// sessions, mappings and announcements of those before are there. The first
/// finds none.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate explain rules/office.toml 'lan tcp 10.0.0.7:51000 > 198.51.100.9:21 syn'
  spigate explain rules/office.toml 'wan icmp 198.51.100.9 > 203.0.113.2 echo-request'
  spigate explain rules/office.toml 'lan tcp 10.0.0.7:51000 > 198.51.100.21:21 open' \\
      \"lan ftp 'PORT 10,0,0,7,200,10'\" 'wan tcp 198.51.100.21:20 > 203.0.113.2:@alg syn'

Exit status: 0 the (last) packet passes (or is answered), 1 it does not, 2 bad
usage or unreadable input.")]
pub(super) struct Explain {
    /// The rule file.
    #[arg(value_name = "FILE")]
    pub(super) rules: PathBuf,
    /// A packet: [ZONE] PROTOCOL SOURCE > DESTINATION [WHAT...]; or a TCP
    /// handshake, with `open` for WHAT; or a line in the connection that was opened
    /// last: ZONE ftp 'LINE'. `@alg` is the port of the data session announced last.
    #[arg(value_name = "PACKET", required = true)]
    pub(super) packets: Vec<String>,
}

/// Run the gateway on this host: make the TUN devices that the zones name, and
/// pass packets between them by the rules until SIGINT or SIGTERM.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate run rules/home.toml
  RUST_LOG=debug spigate run rules/home.toml

Needs CAP_NET_ADMIN. Words about its life go to standard error; RUST_LOG says
which (default: info).

Exit status: 0 it was told to stop, 2 bad usage, an unreadable rule file, or
a device that cannot be made or is lost for good.")]
pub(super) struct Run {
    /// The rule file.
    #[arg(value_name = "FILE")]
    pub(super) rules: PathBuf,
    /// Append the mapping log to LOG: what rows of source translation say with
    /// `log`. Without it the records go to the log of all else.
    #[arg(long, value_name = "LOG")]
    pub(super) mapping_log: Option<PathBuf>,
    /// Print what would be done to the host's network, as a script, and do nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// How many threads move packets, each with sessions of its own and a queue of
    /// each device; `auto` is one for each core.
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    pub(super) workers: WorkersWanted,
    /// Keep each of these threads on a core of its own.
    #[arg(long)]
    pub(super) pin: bool,
    /// Become USER once the devices are open; by name or number.
    #[arg(long, value_name = "USER", conflicts_with = "no_sandbox")]
    pub(super) user: Option<String>,
    /// Keep every privilege, file and system call that it was started with.
    #[arg(long)]
    pub(super) no_sandbox: bool,
    /// Where the control socket is, at which `spigate ctl` asks [default:
    /// /run/spigate/control.sock].
    #[arg(long, value_name = "PATH", conflicts_with = "no_control")]
    pub(super) control: Option<PathBuf>,
    /// Have no control socket.
    #[arg(long)]
    pub(super) no_control: bool,
    /// Who gets to the control socket [default: 0600, with a group 0660].
    #[arg(long, value_name = "MODE", conflicts_with = "no_control")]
    pub(super) control_mode: Option<SocketMode>,
    /// The group of the control socket, whose members may change what the
    /// gateway does.
    #[arg(long, value_name = "GROUP", conflicts_with = "no_control")]
    pub(super) control_group: Option<String>,
    /// Let `spigate ctl capture` write files in DIR too, besides the directory of
    /// the control socket.
    #[arg(long, value_name = "DIR", conflicts_with = "no_control")]
    pub(super) capture_dir: Option<PathBuf>,
    /// Serve metrics for Prometheus, and health, over HTTP at this loopback
    /// address and port, such as 127.0.0.1:9469.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) metrics: Option<MetricsAddress>,
    /// Append a JSON object to EVENTS for each thing that happens: sessions,
    /// drops, data sessions that an ALG opens, reloads; `-` is standard output.
    #[arg(long, value_name = "EVENTS")]
    pub(super) events: Option<EventPlace>,
    /// How many events a second are written at most.
    #[arg(long, value_name = "NUMBER", default_value_t, requires = "events")]
    pub(super) event_rate: EventRate,
    /// Keep what is known of sessions in STATE: written when the gateway ends and
    /// by `spigate ctl save`, read when it begins, so that connections go on.
    #[arg(long, value_name = "STATE")]
    pub(super) state: Option<PathBuf>,
    /// Write it again and again too, so often, for the day on which the gateway
    /// does not end by itself.
    #[arg(long, value_name = "TIME", requires = "state", value_parser = time)]
    pub(super) save_every: Option<Duration>,
    /// Leave the host closed at the end: what arrives by the gateway's interfaces
    /// is dropped until the next start, and never passes by the gateway.
    #[arg(long)]
    pub(super) stay_closed: bool,
}

/// Open devices for the gateway that has started it. Nobody else needs to.
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct DeviceHelper {
    /// The devices, in the gateway's order.
    #[arg(value_name = "DEVICE", required = true)]
    pub(super) devices: Vec<String>,
    /// How many queues each has.
    #[arg(long, value_name = "NUMBER")]
    pub(super) queues: u8,
    /// The number of the user to become.
    #[arg(long, value_name = "NUMBER", requires = "gid")]
    pub(super) uid: Option<u32>,
    /// The number of that user's group.
    #[arg(long, value_name = "NUMBER", requires = "uid")]
    pub(super) gid: Option<u32>,
    /// Keep every privilege, file and system call that it was started with.
    #[arg(long, conflicts_with = "uid")]
    pub(super) no_sandbox: bool,
}

/// A length of time, as rule files write it.
fn time(text: &str) -> Result<Duration, String> {
    let read = crate::config::parse_duration(text);
    read.map_err(|why| format!("{why}: expected a time such as 30s or 5m"))
}

impl Run {
    /// Where the state is kept.
    pub(super) fn state(&self) -> Option<StatePlace> {
        let file = self.state.clone()?;
        Some(StatePlace {
            file,
            every: self.save_every,
        })
    }

    /// The control socket that is wanted.
    pub(super) fn socket(&self) -> Option<SocketPlace> {
        let (path, wanted) = match &self.control {
            Some(path) => (path.clone(), Wanted::Named),
            None => (PathBuf::from(SocketPlace::USUAL), Wanted::Usual),
        };
        (!self.no_control).then(|| SocketPlace {
            path,
            wanted,
            mode: self.control_mode,
            group: self.control_group.clone(),
        })
    }
}

/// Listen to a live interface, and tell what the rules would do: the rehearsal before
/// going live.
///
/// Nothing is sent, and nothing that passes is changed. A line is printed for each session that
/// would begin and each packet that would be refused, and at the end (SIGINT,
/// SIGTERM, --for, --count) the summary that `replay` prints.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate watch eth1 --rules rules/office.toml
  spigate watch eth1 --rules rules/office.toml --for 10m --quiet
  spigate watch eth1 --rules rules/office.toml --count 1000 --json

Needs CAP_NET_RAW. Words about its life go to standard error.

Exit status: 0 it came to its end, 2 bad usage, an unreadable rule file, or an
interface that cannot be listened to or went away (what was heard before is
still reported).")]
pub(super) struct Watch {
    /// The interface, at which both directions of sessions pass. Packets enter by
    /// the zone that holds their source address.
    #[arg(value_name = "INTERFACE")]
    pub(super) interface: String,
    /// The rule file.
    #[arg(long, value_name = "FILE")]
    pub(super) rules: PathBuf,
    /// From where the packets are seen.
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = Vantage::Auto)]
    pub(super) vantage: Vantage,
    /// What to do about checksums. What this very host sends is heard before the
    /// hardware has finished them.
    #[arg(long, value_enum, default_value_t = Checksum::Repair)]
    pub(super) checksum: Checksum,
    /// End after this time, such as 30s or 1h30m.
    #[arg(long = "for", value_name = "TIME", value_parser = crate::config::parse_duration)]
    pub(super) time: Option<Duration>,
    /// End after so many packets.
    #[arg(long, value_name = "N")]
    pub(super) count: Option<NonZeroU64>,
    /// Print one JSON object per packet, as `replay` does.
    #[arg(long)]
    pub(super) json: bool,
    /// With --json: the bytes of every packet that would leave, in hex.
    #[arg(long, requires = "json")]
    pub(super) bytes: bool,
    /// Print the summary alone.
    #[arg(long, conflicts_with = "json")]
    pub(super) quiet: bool,
    /// List what is live at the end: sessions by both tuples, mappings,
    /// expectations, each with its remaining time.
    #[arg(long)]
    pub(super) tables: bool,
    /// Have the interface take in what is for other hosts, too: for the port of a switch
    /// that mirrors others.
    #[arg(long)]
    pub(super) promiscuous: bool,
    /// Keep every privilege, file and system call that it was started with.
    #[arg(long)]
    pub(super) no_sandbox: bool,
}

/// Print a rule file in another firewall's words.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate export nftables rules/office.toml > office.nft
  nft -c -f office.nft

What has no equivalent is named on standard error, and in a comment.

Exit status: 0 all of it is said, 1 something has no equivalent, 2 bad usage or
an unreadable rule file.")]
pub(super) struct Export {
    /// For which firewall.
    #[arg(value_name = "FORMAT")]
    pub(super) format: Format,
    /// The rule file.
    #[arg(value_name = "FILE")]
    pub(super) rules: PathBuf,
}

/// Tell who had a public address and port at a moment, or what a client had.
///
/// Where a row translates deterministically the rule file knows; else the
/// mapping log does, which `run` and `replay` write.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate who rules.toml 203.0.113.2:40001
  spigate who rules.toml 203.0.113.2:40001 --at 2026-03-01T09:00:00Z --log mappings.jsonl
  spigate who rules.toml 10.0.0.7 --log mappings.jsonl

Without --at the answer is as of the end of the log. Parameters of deterministic
rows that stand in the log go before those of the rule file.

Exit status: 0 somebody, 1 nobody that is known, 2 bad usage or unreadable input.")]
pub(super) struct Who {
    /// The rule file.
    #[arg(value_name = "FILE")]
    pub(super) rules: PathBuf,
    /// A public address with its port (or ICMP identifier), or a client's address.
    #[arg(value_name = "WHOM")]
    pub(super) whom: String,
    /// At which moment, such as 2026-03-01T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// A mapping log, or the output of `replay --json` (repeatable).
    #[arg(long, value_name = "LOG")]
    pub(super) log: Vec<PathBuf>,
    /// Only mappings of this protocol, such as udp.
    #[arg(long, value_name = "NAME")]
    pub(super) protocol: Option<String>,
    /// Only sessions with this server, where the log has them: its address, or
    /// that with its port.
    #[arg(long, value_name = "SERVER")]
    pub(super) server: Option<String>,
}

/// The firewalls whose words are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A ruleset for `nft -f`.
    Nftables,
}
