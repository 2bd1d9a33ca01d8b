//! `spigate who`: who had a public address and port at a moment, or what a client
//! had: from the rule file where arithmetic says it, else from the mapping log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::net::IpAddr;

use super::args::Who;
use super::{Exit, complain, load_rules, output_failed};
use crate::journal::{self, Entry, Record};
use crate::nat::{Deterministic, SourceNat, SourceTarget};
use crate::net::{Endpoint, Port, Rows, Timestamp};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// Who has this public endpoint.
    Owner(Endpoint),
    /// What this client has.
    Possessions(IpAddr),
}

/// Runs the command.
pub(super) fn run(args: &Who, out: &mut impl Write, err: &mut impl Write) -> Exit {
    let asked = match read_asked(&args.whom) {
        Some(asked) => asked,
        None => {
            complain(
                err,
                format_args!("`{}` is neither an address nor one with a port", args.whom),
            );
            return Exit::Unusable;
        }
    };
    let at = match args.at.as_deref().map(str::parse::<Timestamp>) {
        None => None,
        Some(Ok(at)) => Some(at),
        Some(Err(_)) => {
            let example = "such as 2026-03-01T09:00:00Z";
            complain(err, format_args!("--at: expected a moment, {example}"));
            return Exit::Unusable;
        }
    };
    let server = match args.server.as_deref().map(read_asked) {
        None => None,
        Some(Some(server)) => Some(server),
        Some(None) => {
            complain(err, "--server: expected an address, or one with a port");
            return Exit::Unusable;
        }
    };
    let Some(compiled) = load_rules(&args.rules, err) else {
        return Exit::Unusable;
    };
    let mut log = Vec::new();
    for file in &args.log {
        let read = File::open(file).map_err(journal::Unreadable::Io);
        match read.and_then(|file| journal::read(BufReader::new(file))) {
            Ok(entries) => log.extend(entries),
            Err(error) => {
                complain(err, format_args!("{}: {error}", file.display()));
                return Exit::Unusable;
            }
        }
    }
    // Several logs are one by their time.
    log.sort_by_key(|entry| entry.time);
    log.retain(|entry| at.is_none_or(|at| entry.time <= at));

    let plans = plans(&compiled.policy.nat.source, &log);
    let mut lines = by_arithmetic(&plans, asked);
    lines.extend(by_log(&log, asked, server, args.protocol.as_deref()));
    for line in &lines {
        if let Err(error) = writeln!(out, "{line}") {
            return output_failed(&error, err);
        }
    }
    if !lines.is_empty() {
        return Exit::Fine;
    }
    complain(err, nobody(asked, &plans, args));
    Exit::No
}

fn read_asked(text: &str) -> Option<Asked> {
    if let Ok(address) = text.parse() {
        return Some(Asked::Possessions(address));
    }
    text.parse().ok().map(Asked::Owner)
}

/// The deterministic translations, each with the name of its row: with the
/// parameters that the log has last, else as the file has them.
fn plans(rows: &Rows<SourceNat>, log: &[Entry]) -> Vec<(String, Deterministic)> {
    let mut plans: BTreeMap<String, Deterministic> = BTreeMap::new();
    for row in rows {
        if let SourceTarget::Deterministic(plan) = &row.target {
            plans.insert(row.name.clone(), (**plan).clone());
        }
    }
    for entry in log {
        if let Record::NatParameters(parameters) = &entry.record
            && let Some(plan) = parameters.plan()
        {
            plans.insert(parameters.row.clone(), plan);
        }
    }
    plans.into_iter().collect()
}

fn by_arithmetic(plans: &[(String, Deterministic)], asked: Asked) -> Vec<String> {
    let line = |row: &str, plan: &Deterministic, client: IpAddr| {
        let (address, ports) = plan.range_of(client)?;
        let (first, last) = (ports.start(), ports.end());
        Some(format!(
            "{client}  {address} ports {first}-{last}  its own by row {row}"
        ))
    };
    let found = plans.iter().filter_map(|(row, plan)| {
        let client = match asked {
            Asked::Owner(public) => plan.client_of(public)?,
            Asked::Possessions(client) => client,
        };
        line(row, plan, client)
    });
    found.collect()
}

/// What somebody held by the log, and since when.
fn by_log(
    log: &[Entry],
    asked: Asked,
    server: Option<Asked>,
    protocol: Option<&str>,
) -> Vec<String> {
    // What is held, by what is said of it; the sessions of one endpoint may be
    // many.
    let mut held: BTreeMap<String, (Timestamp, u32)> = BTreeMap::new();
    for Entry { time, record } in log {
        let (line, begins) = match record {
            Record::LogBegan { .. } => {
                held.clear();
                continue;
            }
            Record::BlockGiven(block) | Record::BlockReturned(block) => {
                let is_meant = match asked {
                    Asked::Owner(public) => {
                        let ports = block.first_port..=block.last_port;
                        public.address == block.address && ports.contains(&public.port.0)
                    }
                    Asked::Possessions(client) => client == block.client,
                };
                let journal::Block {
                    row,
                    client,
                    address,
                    first_port,
                    last_port,
                    ..
                } = block;
                let line = is_meant.then(|| {
                    format!(
                        "{client}  {address} ports {first_port}-{last_port}  a block by row {row}"
                    )
                });
                (line, matches!(record, Record::BlockGiven(_)))
            }
            Record::MappingBegan(mapping) | Record::MappingEnded(mapping) => {
                let line = is_asked_for(mapping, asked, protocol).then(|| mapping_line(mapping));
                (line, matches!(record, Record::MappingBegan(_)))
            }
            Record::SessionBegan(session) | Record::SessionEnded(session) => {
                let with = Endpoint::new(session.server, Port(session.server_port));
                let is_meant = is_asked_for(&session.mapping, asked, protocol)
                    && match server {
                        None => true,
                        Some(Asked::Owner(server)) => server == with,
                        Some(Asked::Possessions(address)) => address == with.address,
                    };
                let line =
                    is_meant.then(|| format!("{} to {with}", mapping_line(&session.mapping)));
                (line, matches!(record, Record::SessionBegan(_)))
            }
            Record::NatParameters(_) | Record::NatShort { .. } => continue,
        };
        let Some(line) = line else { continue };
        if begins {
            held.entry(line).or_insert((*time, 0)).1 += 1;
        } else if let Some((_, count)) = held.get_mut(&line) {
            *count -= 1;
            if *count == 0 {
                held.remove(&line);
            }
        }
    }
    let since = |(line, (time, _)): (String, (Timestamp, u32))| format!("{line}, since {time}");
    held.into_iter().map(since).collect()
}

fn is_asked_for(mapping: &journal::Mapping, asked: Asked, protocol: Option<&str>) -> bool {
    let is_meant = match asked {
        Asked::Owner(public) => public == Endpoint::new(mapping.address, Port(mapping.port)),
        Asked::Possessions(client) => client == mapping.client,
    };
    is_meant && protocol.is_none_or(|protocol| protocol == mapping.protocol)
}

fn mapping_line(mapping: &journal::Mapping) -> String {
    let client = match mapping.client_port {
        Some(port) => Endpoint::new(mapping.client, Port(port)).to_string(),
        None => mapping.client.to_string(),
    };
    let (protocol, row) = (&mapping.protocol, &mapping.row);
    let public = Endpoint::new(mapping.address, Port(mapping.port));
    format!("{client}  {protocol} {public}  by row {row}")
}

/// Why there is no answer.
fn nobody(asked: Asked, plans: &[(String, Deterministic)], args: &Who) -> String {
    let when = match &args.at {
        Some(at) => format!(" at {at}"),
        None => String::new(),
    };
    let Asked::Owner(public) = asked else {
        return format!("{} had nothing{when} that is known here", args.whom);
    };
    let pool = plans.iter().find(|(_, plan)| {
        let ports = plan.dynamic_ports();
        let mut ranges = plan.addresses().ranges().iter();
        ranges.any(|range| range.contains(public.address))
            && ports.is_some_and(|ports| ports.contains(&public.port))
    });
    match pool {
        Some((row, _)) if args.log.is_empty() => format!(
            "{public} belongs to the dynamic pool of row {row}: the mapping log knows who had it (--log)"
        ),
        _ => format!("nobody had {public}{when}, as far as is known here"),
    }
}
