//! What `spigate ctl` can be told.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use crate::gateway::SocketPlace;

/// Ask a running gateway, and tell it what to do.
///
/// Whoever gets to the control socket may ask. Changes are for root, the
/// gateway's own user and the members of its control group.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate ctl sessions proto=tcp src=10.0.0.0/24 dport=443 state=established --sort bytes
  spigate ctl kill src=10.0.0.7
  spigate ctl --json counters

Exit status: 0 it is done, or told; 1 the gateway refuses, or nothing was to be
killed; 2 bad usage, or there is no gateway.")]
pub(in crate::cli) struct Ctl {
    /// The gateway's control socket.
    #[arg(long, value_name = "PATH", default_value = SocketPlace::USUAL, global = true)]
    pub(super) socket: PathBuf,
    /// Print what the gateway answers: an object a line.
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Sessions(Sessions),
    Watch(Watch),
    Kill(Kill),
    /// List which public endpoint stands for which inside socket.
    #[command(after_help = "Example:\n  spigate ctl mappings")]
    Mappings,
    /// List what clients have of public addresses: endpoints, blocks and ranges of ports.
    #[command(after_help = "Example:\n  spigate ctl leases")]
    Leases,
    /// List the data sessions that are awaited.
    #[command(after_help = "Example:\n  spigate ctl expectations")]
    Expectations,
    /// List the rules, and how often each decided.
    #[command(after_help = "Example:\n  spigate ctl rules")]
    Rules,
    /// List the rows of translation, and how often each decided.
    #[command(after_help = "Example:\n  spigate ctl nat")]
    Nat,
    /// Tell what came of the packets, and what happened at the devices.
    #[command(after_help = "Example:\n  spigate ctl counters")]
    Counters,
    /// Tell how long sessions live.
    #[command(after_help = "Example:\n  spigate ctl timeouts")]
    Timeouts,
    /// List those who move packets.
    #[command(after_help = "Example:\n  spigate ctl workers")]
    Workers,
    /// Tell all that is counted, as Prometheus reads it.
    #[command(after_help = "Example:\n  spigate ctl metrics")]
    Metrics,
    /// Let no new session begin; those that are there go on.
    #[command(after_help = "Example:\n  spigate ctl drain")]
    Drain,
    /// Let sessions begin again.
    #[command(after_help = "Example:\n  spigate ctl undrain")]
    Undrain,
    Log(Log),
    Capture(Capture),
    /// Have the gateway save what it knows of its sessions (`spigate run --state`).
    #[command(after_help = "Example:\n  spigate ctl save")]
    Save,
    /// Have the rule file read anew.
    #[command(after_help = "Example:\n  spigate ctl reload")]
    Reload,
    /// Tell which version runs, and since when.
    #[command(after_help = "Example:\n  spigate ctl version")]
    Version,
}

/// List sessions, each by both tuples.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate ctl sessions proto=tcp src=10.0.0.0/24 dport=443 state=established --sort bytes
  spigate ctl sessions age=1h.. zone=wan rule!=lan-out

docs/control.md lists the keys of filters.")]
pub(super) struct Sessions {
    /// Which: KEY=VALUE, with several values a comma between, with ranges `..`.
    #[arg(value_name = "FILTER")]
    pub(super) filter: Vec<String>,
    /// In which order.
    #[arg(long, value_enum, default_value_t = Order::Id)]
    pub(super) sort: Order,
    /// How many at most.
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    pub(super) limit: NonZeroU32,
    /// All, however many there are, in no order.
    #[arg(long, conflicts_with_all = ["sort", "limit"])]
    pub(super) all: bool,
}

/// The order of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Order {
    /// As they began.
    Id,
    /// The most octets first.
    Bytes,
    /// The most packets first.
    Packets,
    /// The oldest first.
    Age,
    /// Those that end next first.
    Left,
}

/// Tell of sessions that begin and end, as it happens.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate ctl watch
  spigate ctl watch dst=198.51.100.0/24 --json")]
pub(super) struct Watch {
    /// Which: KEY=VALUE.
    #[arg(value_name = "FILTER")]
    pub(super) filter: Vec<String>,
}

/// End sessions.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate ctl kill id=7
  spigate ctl kill src=10.0.0.7 proto=tcp --reset
  spigate ctl kill id=1..")]
pub(super) struct Kill {
    /// Which: KEY=VALUE.
    #[arg(value_name = "FILTER", required = true)]
    pub(super) filter: Vec<String>,
    /// Send both ends of each TCP session a RST.
    #[arg(long)]
    pub(super) reset: bool,
}

/// Change what the gateway says of its life.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate ctl log debug
  spigate ctl log info,spigate::gateway=debug")]
pub(super) struct Log {
    /// What it says from now on, as in RUST_LOG.
    #[arg(value_name = "FILTER")]
    pub(super) level: String,
}

/// Have the gateway write packets, with what came of each, to a file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate ctl capture start /run/spigate/dropped.pcapng verdict=drop,reject
  spigate ctl capture stop
  tshark -r /run/spigate/dropped.pcapng -T fields -e frame.comment")]
pub(super) struct Capture {
    #[command(subcommand)]
    pub(super) command: CaptureCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CaptureCommand {
    Start(CaptureStart),
    /// Tell how far the capture is.
    #[command(after_help = "Example:\n  spigate ctl capture status")]
    Status,
    /// End the capture.
    #[command(after_help = "Example:\n  spigate ctl capture stop")]
    Stop,
}

/// Begin a capture.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  spigate ctl capture start /run/spigate/dropped.pcapng verdict=drop,reject
  spigate ctl capture start web.pcapng addr=10.0.0.7 port=443 --size 10000000

docs/control.md lists the keys of filters.")]
pub(super) struct CaptureStart {
    /// The file (pcapng), which the gateway makes; it must not be there yet.
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Which packets: KEY=VALUE.
    #[arg(value_name = "FILTER")]
    pub(super) filter: Vec<String>,
    /// How many octets the file may have, more or less.
    #[arg(long, value_name = "OCTETS", default_value_t = 64 << 20)]
    pub(super) size: u64,
}
