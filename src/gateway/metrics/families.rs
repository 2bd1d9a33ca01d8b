//! The list of metrics: of each its name, what it is, and where its values are.

use super::snapshot::{Snapshot, Worker};
use crate::engine::Intake;
use crate::gateway::life::DeviceLife;
use crate::gateway::state::Saved;
use crate::net::{NatRow, Timestamp};

/// Whether a value only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// It grows; its samples are named `..._total`.
    Counter,
    /// It is as it is at the moment.
    Gauge,
}

/// A value, and what it is the value of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) labels: Vec<(&'static str, String)>,
    pub(super) value: u64,
}

impl Sample {
    fn new<const N: usize>(labels: [(&'static str, &str); N], value: u64) -> Self {
        let labels = labels.map(|(key, word)| (key, word.to_owned()));
        Self {
            labels: labels.into(),
            value,
        }
    }
}

/// A metric.
pub(super) struct Family {
    /// Without `_total`.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) samples: fn(&Snapshot) -> Vec<Sample>,
}

const fn counter(
    name: &'static str,
    help: &'static str,
    samples: fn(&Snapshot) -> Vec<Sample>,
) -> Family {
    Family {
        name,
        help,
        kind: Kind::Counter,
        samples,
    }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    samples: fn(&Snapshot) -> Vec<Sample>,
) -> Family {
    Family {
        name,
        help,
        kind: Kind::Gauge,
        samples,
    }
}

/// All metrics, in the order of the text.
pub(super) const FAMILIES: &[Family] = &[
    gauge(
        "spigate_build_info",
        "Which version runs; the value is 1",
        |_| vec![Sample::new([("version", env!("CARGO_PKG_VERSION"))], 1)],
    ),
    gauge(
        "spigate_start_time_seconds",
        "When the gateway started, in seconds since 1970",
        |all| one(all.started.since(Timestamp::EPOCH).as_secs()),
    ),
    counter("spigate_packets", "Packets by verdict and reason", |all| {
        let verdicts = all.counters.verdicts();
        let sample = |(verdict, reason, count): (_, crate::engine::Reason, _)| {
            Sample::new([("verdict", verdict), ("reason", reason.name())], count)
        };
        verdicts.map(sample).collect()
    }),
    counter(
        "spigate_device_received_packets",
        "Packets read from the devices",
        |all| one(all.devices.received),
    ),
    counter(
        "spigate_device_sent_packets",
        "Packets written to the devices, passed on or made by the gateway",
        |all| one(all.devices.sent),
    ),
    counter(
        "spigate_made_packets",
        "Packets that the gateway made: RSTs, ICMP errors, echo replies",
        |all| one(all.devices.made),
    ),
    counter(
        "spigate_no_device_packets",
        "Packets for a zone that has no device, or whose device is missing",
        |all| one(all.devices.no_device),
    ),
    counter(
        "spigate_device_read_errors",
        "Reads from the devices that failed",
        |all| one(all.devices.read_errors),
    ),
    counter(
        "spigate_device_write_errors",
        "Writes to the devices that failed; the packet is lost",
        |all| one(all.devices.write_errors),
    ),
    gauge(
        "spigate_device_up",
        "Whether each device is there: 0 while it is missing that somebody has deleted",
        |all| of_devices(all, |device| device.is_up.into()),
    ),
    counter(
        "spigate_device_losses",
        "How often each device was gone",
        |all| of_devices(all, |device| device.losses),
    ),
    gauge("spigate_sessions", "Sessions that live", |all| {
        one(all.sessions as u64)
    }),
    gauge(
        "spigate_sessions_by_standing",
        "Sessions that live, by what they have shown of themselves",
        |all| {
            let standings = all.standings.iter();
            let sample = |(standing, count): &(crate::session::Standing, usize)| {
                Sample::new([("standing", standing.name())], *count as u64)
            };
            standings.map(sample).collect()
        },
    ),
    gauge(
        "spigate_sessions_by_rule",
        "Sessions that live, by the rule that let them in",
        |all| {
            let rules = all.policy.rules.iter().zip(&all.by_rule);
            rules
                .map(|((_, rule), count)| Sample::new([("rule", &rule.name)], *count as u64))
                .collect()
        },
    ),
    gauge(
        "spigate_session_sources",
        "Addresses that have begun sessions which live",
        |all| one(all.sources as u64),
    ),
    gauge(
        "spigate_sessions_limit",
        "How many sessions there may be",
        |all| one(all.policy.limits.sessions as u64),
    ),
    gauge(
        "spigate_half_open_sessions_limit",
        "How many TCP sessions may have no complete handshake, where that is limited",
        |all| if_any(all.policy.limits.half_open),
    ),
    gauge(
        "spigate_sessions_per_source_limit",
        "How many sessions one address may have, where that is limited",
        |all| if_any(all.policy.limits.per_source),
    ),
    gauge(
        "spigate_expectations",
        "Data sessions that an ALG announced and that have not come",
        |all| one(all.expectations as u64),
    ),
    gauge(
        "spigate_expectations_limit",
        "How many data sessions may be awaited",
        |all| one(all.policy.limits.expectations as u64),
    ),
    gauge(
        "spigate_mappings",
        "Public endpoints that somebody has",
        |all| one(all.mappings as u64),
    ),
    gauge(
        "spigate_mappings_at_rest",
        "Public endpoints that nobody has any more, and nobody may have yet",
        |all| one(all.at_rest as u64),
    ),
    counter(
        "spigate_rule_hits",
        "Connections that each rule decided about",
        |all| {
            let rules = all.policy.rules.iter();
            rules
                .map(|(id, rule)| Sample::new([("rule", &rule.name)], all.counters.hits(id)))
                .collect()
        },
    ),
    counter(
        "spigate_default_policy_hits",
        "Connections that no rule decided about",
        |all| one(all.counters.default_hits()),
    ),
    counter(
        "spigate_translation_hits",
        "Sessions that each row of translation was asked about",
        |all| {
            let nat = &all.policy.nat;
            let sample = |row: NatRow| {
                let list = match row {
                    NatRow::Source(_) => "source",
                    NatRow::Forward(_) => "forward",
                    NatRow::Static(_) => "static",
                };
                let labels = [("list", list), ("rule", nat.name(row))];
                Sample::new(labels, all.counters.translated(row))
            };
            nat.rows().map(sample).collect()
        },
    ),
    counter(
        "spigate_evicted_sessions",
        "Sessions that made room for others, by what they had shown of themselves",
        |all| {
            let evicted = all.counters.evicted();
            evicted
                .map(|(standing, count)| Sample::new([("standing", standing.name())], count))
                .collect()
        },
    ),
    counter(
        "spigate_withheld_answers",
        "Answers of the gateway that were one too many, by kind",
        |all| {
            let withheld = all.counters.withheld();
            withheld
                .map(|(kind, count)| Sample::new([("kind", kind.name())], count))
                .collect()
        },
    ),
    counter(
        "spigate_not_opened_announcements",
        "Announcements in control sessions that opened nothing, by the check that refused them",
        |all| {
            let not_opened = all.counters.not_opened();
            not_opened
                .map(|(check, count)| Sample::new([("check", check)], count))
                .collect()
        },
    ),
    counter(
        "spigate_reloads",
        "How often the rule file was read again, by what came of it",
        |all| {
            vec![
                Sample::new([("outcome", "ok")], all.reloads.taken),
                Sample::new([("outcome", "refused")], all.reloads.refused),
            ]
        },
    ),
    counter(
        "spigate_events_written",
        "Lines written to the event log, where there is one",
        |all| {
            all.events
                .map_or_else(Vec::new, |(written, _)| one(written))
        },
    ),
    counter(
        "spigate_events_lost",
        "Events that the event log had no room for, where there is one",
        |all| all.events.map_or_else(Vec::new, |(_, lost)| one(lost)),
    ),
    counter(
        "spigate_state_saves",
        "How often the state was saved, by what came of it",
        |all| {
            vec![
                Sample::new([("outcome", "ok")], all.states.saved),
                Sample::new([("outcome", "failed")], all.states.failed),
            ]
        },
    ),
    gauge(
        "spigate_state_saved_time_seconds",
        "When the state was saved last, in seconds since 1970, if it was",
        |all| if_saved(all, |saved| saved.at.since(Timestamp::EPOCH).as_secs()),
    ),
    gauge(
        "spigate_state_saved_bytes",
        "How long the file is that was saved last, if one was",
        |all| if_saved(all, |saved| saved.octets as u64),
    ),
    gauge(
        "spigate_state_saved_sessions",
        "How many sessions are in the file that was saved last, if one was",
        |all| if_saved(all, |saved| saved.sessions as u64),
    ),
    gauge(
        "spigate_state_restored_sessions",
        "Sessions that went on when the gateway began",
        |all| one(all.states.restored),
    ),
    gauge(
        "spigate_draining",
        "1 while no session begins since an operator says so, else 0",
        |all| one(u64::from(all.intake == Intake::Drained)),
    ),
];

/// Metrics of each worker, where there are several.
pub(super) const WORKER_FAMILIES: &[Family] = &[
    counter(
        "spigate_worker_received_packets",
        "Packets that each worker has read from its queues of the devices",
        |all| of_workers(all, |worker| worker.devices.received),
    ),
    counter(
        "spigate_worker_sent_packets",
        "Packets that each worker has written to the devices",
        |all| of_workers(all, |worker| worker.devices.sent),
    ),
    counter(
        "spigate_worker_handed_over_packets",
        "Packets that each worker has handed over, since they were another's",
        |all| of_workers(all, |worker| worker.handovers.handed_over),
    ),
    counter(
        "spigate_worker_taken_over_packets",
        "Packets that each worker has taken over from others",
        |all| of_workers(all, |worker| worker.handovers.taken_over),
    ),
    counter(
        "spigate_worker_lost_packets",
        "Packets that each worker had to hand over to one whose inbox was full",
        |all| of_workers(all, |worker| worker.handovers.lost),
    ),
    gauge(
        "spigate_worker_waiting_packets",
        "Packets that wait in each worker's inbox",
        |all| of_workers(all, |worker| worker.waiting as u64),
    ),
    gauge(
        "spigate_worker_sessions",
        "Sessions that live at each worker",
        |all| of_workers(all, |worker| worker.sessions as u64),
    ),
];

fn of_devices(all: &Snapshot, value: fn(&DeviceLife) -> u64) -> Vec<Sample> {
    let devices = all.each_device.iter();
    devices
        .map(|device| Sample::new([("device", &device.name)], value(device)))
        .collect()
}

/// Workers are counted from one, as `spigate ctl workers` does.
fn of_workers(all: &Snapshot, value: fn(&Worker) -> u64) -> Vec<Sample> {
    let workers = (1_u32..).zip(&all.workers);
    workers
        .map(|(number, worker)| Sample::new([("worker", &number.to_string())], value(worker)))
        .collect()
}

fn one(value: u64) -> Vec<Sample> {
    vec![Sample::new([], value)]
}

fn if_saved(all: &Snapshot, value: impl Fn(&Saved) -> u64) -> Vec<Sample> {
    let last = all.states.last.as_ref();
    last.map_or_else(Vec::new, |saved| one(value(saved)))
}

fn if_any(limit: Option<usize>) -> Vec<Sample> {
    limit.map_or_else(Vec::new, |limit| one(limit as u64))
}
