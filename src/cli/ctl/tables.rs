//! What a gateway answers, as tables for people.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::Value;

use crate::cli::listing::{plain_table, print_table};
use crate::cli::words::{length, octets};
use crate::control::Request;

/// How a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// As it is.
    Plain,
    /// As it is, with the numbers below each other.
    Count,
    /// Seconds, as a length of time.
    Time,
}

/// A column: its head, where its values are in the object, and how they are shown.
type Column = (&'static str, &'static str, Shown);

use Shown::{Count, Plain, Time};

const MAPPINGS: &[Column] = &[
    ("protocol", "/protocol", Plain),
    ("inside", "/inside", Plain),
    ("public", "/public", Plain),
    ("mapping", "/mapping", Plain),
    ("filtering", "/filtering", Plain),
    ("row", "/rule", Plain),
    ("sessions", "/sessions", Count),
    ("left", "/remaining", Time),
];

const LEASES: &[Column] = &[
    ("client", "/client", Plain),
    ("address", "/address", Plain),
    ("row", "/rule", Plain),
    ("endpoints", "/endpoints", Count),
    ("sessions", "/sessions", Count),
    ("ports of its own", "/ports", Plain),
];

const EXPECTATIONS: &[Column] = &[
    ("of", "/session", Plain),
    ("protocol", "/protocol", Plain),
    ("client", "/source", Plain),
    ("server", "/destination", Plain),
    ("leads to", "/to", Plain),
    ("left", "/remaining", Time),
];

const RULES: &[Column] = &[("", "/rule", Plain), ("hits", "/hits", Count)];

const WORKERS: &[Column] = &[
    ("worker", "/worker", Plain),
    ("received", "/received", Count),
    ("sent", "/sent", Count),
    ("sessions", "/sessions", Count),
];

/// What several have besides, and what those have that stay on a core.
const WORKERS_BESIDES: &[Column] = &[
    ("handed over", "/handed-over", Count),
    ("taken over", "/taken-over", Count),
    ("lost", "/lost", Count),
    ("waiting", "/waiting", Count),
    ("core", "/core", Plain),
];

const VERDICTS: &[Column] = &[
    ("", "/verdict", Plain),
    ("reason", "/reason", Plain),
    ("packets", "/packets", Count),
];

const OTHERS: &[Column] = &[
    ("", "/table", Plain),
    ("", "/what", Plain),
    ("count", "/count", Count),
];

/// Prints an answer.
pub(super) fn print(to: &mut impl Write, request: &Request, objects: &[Value]) -> io::Result<()> {
    let all: Vec<&Value> = objects.iter().collect();
    match request {
        Request::Sessions { limit, .. } => {
            print_sessions(to, &all)?;
            match limit {
                Some(limit) if all.len() == limit.get() => writeln!(
                    to,
                    "  the first {}: --limit and --all show more",
                    limit.get()
                ),
                _ => Ok(()),
            }
        }
        Request::Mappings {} => print_list(to, MAPPINGS, &all),
        Request::Leases {} => print_list(to, LEASES, &all),
        Request::Expectations {} => print_list(to, EXPECTATIONS, &all),
        Request::Rules {} => {
            let mut rows: Vec<_> = all.iter().map(|object| cells(RULES, object)).collect();
            for row in &mut rows {
                if let Some(name) = row.first_mut().filter(|name| name.is_empty()) {
                    "default policy".clone_into(name);
                }
            }
            print_rows(to, RULES, rows)
        }
        Request::Nat {} => print_list(to, RULES, &all),
        Request::Workers {} => {
            let has = |(_, at, _): &&Column| all.iter().any(|one| one.pointer(at).is_some());
            let besides = WORKERS_BESIDES.iter().filter(has);
            let columns: Vec<_> = WORKERS.iter().chain(besides).copied().collect();
            print_list(to, &columns, &all)
        }
        Request::Counters {} => print_counters(to, &all),
        Request::Timeouts {} => all.iter().try_for_each(|object| print_lifetime(to, object)),
        Request::Kill { .. } => all.iter().try_for_each(|object| {
            let killed = number(object, "/killed");
            writeln!(
                to,
                "{}",
                crate::cli::words::count(killed, "session ended", "sessions ended")
            )
        }),
        Request::CaptureStatus {} | Request::CaptureStop {} => match all.as_slice() {
            [] => writeln!(to, "there is no capture"),
            all => all.iter().try_for_each(|object| print_capture(to, object)),
        },
        Request::Metrics {} => all
            .iter()
            .try_for_each(|object| write!(to, "{}", text(object, "/text"))),
        Request::Save {} => all.iter().try_for_each(|object| {
            let sessions = number(object, "/sessions");
            let sessions = crate::cli::words::count(sessions, "session", "sessions");
            writeln!(
                to,
                "{sessions} saved, {}",
                octets(number(object, "/octets"))
            )
        }),
        Request::Version {} => all.iter().try_for_each(|object| print_version(to, object)),
        Request::Watch { .. }
        | Request::Drain {}
        | Request::Undrain {}
        | Request::Log { .. }
        | Request::CaptureStart { .. }
        | Request::Reload {} => Ok(()),
    }
}

fn print_list(to: &mut impl Write, columns: &[Column], objects: &[&Value]) -> io::Result<()> {
    let rows = objects.iter().map(|object| cells(columns, object));
    print_rows(to, columns, rows.collect())
}

fn print_rows(to: &mut impl Write, columns: &[Column], rows: Vec<Vec<String>>) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(to, "  none");
    }
    let mut table = plain_table();
    if columns.iter().any(|(head, ..)| !head.is_empty()) {
        table.set_header(columns.iter().map(|(head, ..)| *head));
    }
    for row in rows {
        table.add_row(row);
    }
    let numbers = columns.iter().enumerate();
    let numbers = numbers.filter(|(_, (.., shown))| *shown == Count);
    let numbers: Vec<_> = numbers.map(|(place, _)| place).collect();
    print_table(to, table, &numbers)
}

fn cells(columns: &[Column], object: &Value) -> Vec<String> {
    let cell = |(_, at, shown): &Column| match shown {
        Plain | Count => text(object, at),
        Time => time(object, at),
    };
    columns.iter().map(cell).collect()
}

/// Each by its two tuples, one in a line, as its packets arrive.
fn print_sessions(to: &mut impl Write, sessions: &[&Value]) -> io::Result<()> {
    if sessions.is_empty() {
        return writeln!(to, "  none");
    }
    let mut table = plain_table();
    table.set_header([
        "", "protocol", "state", "left", "tuples", "by", "packets", "bytes", "of", "rule", "nat",
    ]);
    for session in sessions {
        let at = |pointer: &str| text(session, pointer);
        let way = |side: &str| {
            let of = |what: &str| format!("/{side}/{what}");
            let (source, destination) = (at(&of("source")), at(&of("destination")));
            [
                format!("{source} > {destination}"),
                at(&of("in")),
                at(&of("packets")),
                octets(number(session, &of("bytes"))),
            ]
        };
        let protocol = [at("/protocol"), at("/service")].join(" ");
        let before = [
            at("/session"),
            protocol.trim_end().to_owned(),
            at("/state"),
            time(session, "/remaining"),
        ];
        let rule = match at("/rule") {
            rule if rule.is_empty() => "default policy".to_owned(),
            rule => rule,
        };
        let rows = [at("/nat/destination/rule"), at("/nat/source/rule")];
        let rows: Vec<_> = rows.into_iter().filter(|row| !row.is_empty()).collect();
        let after = [at("/parent"), rule, rows.join(", ")];
        table.add_row(before.into_iter().chain(way("original")).chain(after));
        let nothing = || std::iter::repeat_n(String::new(), 4);
        table.add_row(nothing().chain(way("reply")));
    }
    print_table(to, table, &[6, 7])
}

fn print_counters(to: &mut impl Write, objects: &[&Value]) -> io::Result<()> {
    let of = |tables: &[&str]| -> Vec<&Value> {
        let is_one = |object: &&&Value| tables.contains(&text(object, "/table").as_str());
        objects.iter().filter(is_one).copied().collect()
    };
    writeln!(to, "Packets")?;
    print_list(to, VERDICTS, &of(&["verdict"]))?;
    let others = of(&["evicted", "not-opened", "withheld"]);
    if !others.is_empty() {
        writeln!(to, "\nBesides")?;
        print_list(to, OTHERS, &others)?;
    }
    writeln!(to, "\nDevices")?;
    print_fields(to, &of(&["devices", "totals"]))?;
    let handed = of(&["hand-overs"]);
    if !handed.is_empty() {
        writeln!(to, "\nBetween workers")?;
        print_fields(to, &handed)?;
    }
    Ok(())
}

/// The fields of these objects, each in a line.
fn print_fields(to: &mut impl Write, objects: &[&Value]) -> io::Result<()> {
    let fields = objects.iter().filter_map(|object| object.as_object());
    let rows = fields.flatten().filter(|(name, _)| *name != "table");
    let rows = rows.map(|(name, value)| vec![name.clone(), value.to_string()]);
    let columns = [("", "", Plain), ("", "", Count)];
    print_rows(to, &columns, rows.collect())
}

fn print_lifetime(to: &mut impl Write, lifetime: &Value) -> io::Result<()> {
    let name = match text(lifetime, "/lifetime") {
        name if name.is_empty() => "[timeouts]".to_owned(),
        name => format!("{} {name}", text(lifetime, "/of")),
    };
    let (expiry, refresh) = (text(lifetime, "/on-expiry"), text(lifetime, "/refresh"));
    writeln!(to, "{name}: on-expiry {expiry}, refresh {refresh}")?;
    let mut rows = Vec::new();
    if lifetime.get("idle").is_some() {
        rows.push(vec!["idle".to_owned(), time(lifetime, "/idle")]);
    }
    let timeouts = lifetime.get("timeouts").and_then(Value::as_object);
    rows.extend(
        timeouts
            .into_iter()
            .flatten()
            .map(|(name, value)| vec![name.clone(), duration(value.as_f64().unwrap_or_default())]),
    );
    print_rows(to, &[("", "", Plain), ("", "", Plain)], rows)
}

fn print_capture(to: &mut impl Write, capture: &Value) -> io::Result<()> {
    let at = |pointer| text(capture, pointer);
    let state = match at("/running").as_str() {
        "true" => "running",
        _ => "over",
    };
    writeln!(
        to,
        "{}: {} packets, {}, {} lost, {state}",
        at("/file"),
        at("/packets"),
        octets(number(capture, "/bytes")),
        at("/dropped"),
    )
}

fn print_version(to: &mut impl Write, version: &Value) -> io::Result<()> {
    let at = |pointer| text(version, pointer);
    let draining = match at("/draining").as_str() {
        "true" => ", draining",
        _ => "",
    };
    writeln!(
        to,
        "spigate {} since {} ({}), {} sessions{draining}",
        at("/version"),
        at("/started"),
        time(version, "/uptime"),
        at("/sessions"),
    )
}

/// What is there, for people; nothing where nothing is.
pub(super) fn text(object: &Value, pointer: &str) -> String {
    match object.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(all)) => {
            let all: Vec<_> = all.iter().map(|one| text(one, "")).collect();
            all.join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// The number that is there.
pub(super) fn number(object: &Value, pointer: &str) -> u64 {
    let number = object.pointer(pointer).and_then(Value::as_u64);
    number.unwrap_or_default()
}

fn time(object: &Value, pointer: &str) -> String {
    match object.pointer(pointer).and_then(Value::as_f64) {
        Some(seconds) => duration(seconds),
        None => String::new(),
    }
}

fn duration(seconds: f64) -> String {
    length(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn printed(request: &str, objects: &[Value]) -> String {
        let mut text = Vec::new();
        let asked = Request::read(request.as_bytes()).unwrap();
        print(&mut text, &asked, objects).unwrap();
        format!("{request}\n{}", String::from_utf8(text).unwrap())
    }

    #[test]
    fn several_workers_have_columns_more_and_one_has_none() {
        let one = json!({ "worker": 1, "received": 1203, "sent": 1200, "sessions": 4 });
        let mut first = one.clone();
        let more = json!({ "handed-over": 3, "taken-over": 12, "lost": 0, "waiting": 1 });
        let more = more.as_object().unwrap().clone();
        first.as_object_mut().unwrap().extend(more);
        let handed =
            json!({ "table": "hand-overs", "handed-over": 15, "taken-over": 15, "lost": 0 });
        let devices = json!({ "table": "devices", "received": 1203 });
        insta::assert_snapshot!(
            [
                printed(r#"{"request":"workers"}"#, &[one]),
                printed(r#"{"request":"workers"}"#, &[first]),
                printed(r#"{"request":"counters"}"#, &[devices, handed]),
            ]
            .join("\n"),
            @r#"
{"request":"workers"}
  worker  received  sent  sessions
  1           1203  1200         4

{"request":"workers"}
  worker  received  sent  sessions  handed over  taken over  lost  waiting
  1           1203  1200         4            3          12     0        1

{"request":"counters"}
Packets
  none

Devices
  received  1203

Between workers
  handed-over  15
  lost          0
  taken-over   15
"#
        );
    }

    #[test]
    fn answers_are_tables() {
        let session = json!({
            "table": "session",
            "session": 7,
            "protocol": "tcp",
            "service": "web",
            "state": "established",
            "original": {
                "in": "lan",
                "source": "10.0.0.7:51000",
                "destination": "198.51.100.9:443",
                "packets": 12,
                "bytes": 4096,
            },
            "reply": {
                "in": "wan",
                "source": "198.51.100.9:443",
                "destination": "203.0.113.2:51000",
                "packets": 20,
                "bytes": 123_456_789,
            },
            "rule": "lan-out",
            "nat": { "source": { "rule": "masq", "from": "a", "to": "b" } },
            "began": "2026-03-01T09:00:00.000000Z",
            "remaining": 431_999.5,
        });
        let other = json!({
            "session": 8,
            "parent": 7,
            "protocol": "udp",
            "state": "unreplied",
            "original": { "in": "lan", "source": "a", "destination": "b", "packets": 1, "bytes": 1 },
            "reply": { "in": "wan", "source": "b", "destination": "c", "packets": 0, "bytes": 0 },
            "remaining": 0.2,
        });
        let mapping = json!({
            "protocol": "udp", "inside": "10.0.0.7:5000", "public": "203.0.113.2:5000",
            "mapping": "endpoint", "filtering": "endpoint", "rule": "masq", "sessions": 2,
            "remaining": 30.0,
        });
        let lease = json!({
            "rule": "cgn", "client": "10.0.0.7", "address": "203.0.113.2", "endpoints": 3,
            "sessions": 5, "ports": ["1024-2023", "3024-4023"],
        });
        let verdicts = [
            json!({ "table": "verdict", "verdict": "forward", "reason": "session", "packets": 1200 }),
            json!({ "table": "verdict", "verdict": "drop", "reason": "no-session", "packets": 3 }),
            json!({ "table": "evicted", "what": "half-open", "count": 2 }),
            json!({ "table": "devices", "received": 1203, "sent": 1200 }),
            json!({ "table": "totals", "sessions": 4 }),
        ];
        let lifetime = json!({
            "table": "lifetime", "of": "service", "lifetime": "ssh", "idle": 43_200.0,
            "on-expiry": "reset", "refresh": "both", "timeouts": { "tcp-syn-sent": 30.0 },
        });
        let capture = json!({
            "file": "/tmp/x.pcapng", "packets": 3, "bytes": 700, "dropped": 0, "running": true,
        });
        let version = json!({
            "version": "0.1.0", "started": "2026-03-01T09:00:00Z", "uptime": 61.0, "sessions": 4,
            "draining": true,
        });
        let rules = [
            json!({ "table": "rule", "rule": "lan-out", "hits": 12 }),
            json!({ "table": "default-policy", "hits": 3 }),
        ];
        insta::assert_snapshot!(
            [
                printed(r#"{"request":"sessions"}"#, &[session, other]),
                printed(r#"{"request":"sessions"}"#, &[]),
                printed(r#"{"request":"mappings"}"#, &[mapping]),
                printed(r#"{"request":"leases"}"#, &[lease]),
                printed(r#"{"request":"rules"}"#, &rules),
                printed(r#"{"request":"counters"}"#, &verdicts),
                printed(r#"{"request":"timeouts"}"#, &[lifetime]),
                printed(
                    r#"{"request":"kill","filter":"id=7"}"#,
                    &[json!({ "killed": 1 })]
                ),
                printed(r#"{"request":"capture-status"}"#, &[capture]),
                printed(r#"{"request":"capture-status"}"#, &[]),
                printed(r#"{"request":"version"}"#, &[version]),
            ]
            .join("\n")
        );
    }
}
