//! `spigate explain`: a packet's way, step by step; or that of several, one
//! after the other.

mod begins;
mod script;
mod talk;

use std::io::{self, Write};

use self::begins::lease;
use self::script::{Explained, Script};
use super::args::Explain;
use super::{Exit, complain, load_rules, output_failed};
use crate::alg::Note;
use crate::config::{Compiled, Location};
use crate::engine::{Holding, Judgement, Observer, Policy, Reason, Step, Verdict};
use crate::expression::PacketExpression;
use crate::nat::SourceChoice;
use crate::net::{Endpoint, Mismatch, NatRow, Place, ServiceId, ZoneId};
use crate::packet::{Headers, Transport};
use crate::rules::{Action, RuleId, Ruling};
use crate::session::{Behaviour, Claim, Limit};

/// Runs the command.
pub(super) fn run(args: &Explain, out: &mut impl Write, err: &mut impl Write) -> Exit {
    let Some(compiled) = load_rules(&args.rules, err) else {
        return Exit::Unusable;
    };
    let mut script = Script::new(&compiled);
    let mut last = Verdict::Drop;
    for (n, text) in args.packets.iter().enumerate() {
        let explained = match script.line(text) {
            Ok(explained) => explained,
            Err(why) => {
                complain(err, why);
                return Exit::Unusable;
            }
        };
        let between = if n == 0 { "" } else { "\n" };
        let printed = write!(out, "{between}").and_then(|()| print(&explained, out));
        if let Err(error) = printed {
            return output_failed(&error, err);
        }
        last = explained.verdict;
    }
    match last {
        Verdict::Forward(_) | Verdict::Hold | Verdict::Answer | Verdict::Elsewhere(_) => Exit::Fine,
        Verdict::Drop | Verdict::Reject => Exit::No,
    }
}

/// The zone that the packet arrives by: the one it names, else the one that
/// holds its source.
fn arrival_zone(expression: &PacketExpression, policy: &Policy) -> Result<ZoneId, String> {
    let zones = &policy.zones;
    if let Some(name) = &expression.zone {
        return named_zone(name, policy);
    }
    let source = expression.packet.tuple().source.address;
    zones.holding(source).ok_or_else(|| {
        format!(
            "no zone holds {source}; say by which it arrives, one of {}",
            zone_names(policy)
        )
    })
}

fn named_zone(name: &str, policy: &Policy) -> Result<ZoneId, String> {
    let unknown = || format!("no zone `{name}`; the rule file has {}", zone_names(policy));
    policy.zones.by_name(name).ok_or_else(unknown)
}

fn zone_names(policy: &Policy) -> String {
    let zones = policy.zones.iter();
    let names: Vec<_> = zones.map(|(_, zone)| zone.name.as_str()).collect();
    names.join(", ")
}

fn print(explained: &Explained, out: &mut impl Write) -> io::Result<()> {
    let Explained { text, lines, .. } = explained;
    writeln!(out, "{text}\n")?;
    // The places in the file stand in one column, but far lines do not push it out.
    let width = lines
        .iter()
        .map(|line| line.text.chars().count())
        .filter(|width| *width <= 72);
    let width = width.max().unwrap_or(0);
    for Line { step, text, place } in lines {
        match place {
            Some(place) => writeln!(out, "{step:<12} {text:<width$}  {place}")?,
            None => writeln!(out, "{step:<12} {text}")?,
        }
    }
    out.flush()
}

/// One line of the explanation.
struct Line {
    step: &'static str,
    text: String,
    /// The file and line of the row that it is about.
    place: Option<String>,
}

/// Writes down what it hears.
struct Steps<'a> {
    compiled: &'a Compiled,
    zone: ZoneId,
    lines: Vec<Line>,
    /// Where the data sessions are found that the packet announces.
    announced: Vec<Endpoint>,
}

impl Steps<'_> {
    fn say(&mut self, step: &'static str, text: impl Into<String>) {
        // A step that goes on says its name once.
        let repeated = self.lines.iter().rev().find(|line| !line.step.is_empty());
        let step = if repeated.is_some_and(|line| line.step == step) {
            ""
        } else {
            step
        };
        self.lines.push(Line {
            step,
            text: text.into(),
            place: None,
        });
    }

    fn at(&mut self, location: Option<Location<'_>>) {
        if let Some(line) = self.lines.last_mut() {
            line.place = location.map(|location| location.to_string());
        }
    }

    fn policy(&self) -> &Policy {
        &self.compiled.policy
    }

    fn zone_name(&self, zone: ZoneId) -> &str {
        self.policy().zones.name(zone)
    }

    fn read(&mut self, headers: &Headers) {
        let detail = match &headers.transport {
            Transport::Tcp(tcp) => format!(", {}, {} octets of payload", tcp.flags, tcp.payload),
            _ => String::new(),
        };
        let zone = self.zone_name(self.zone).to_owned();
        let ttl = headers.ttl;
        let size = headers.length;
        self.say(
            "read",
            format!("{size} octets by zone {zone}, ttl {ttl}{detail}"),
        );
    }

    fn routed(&mut self, place: Option<Place>) {
        let text = match place {
            Some(Place::Zone(zone)) => format!("leaves by zone {}", self.zone_name(zone)),
            Some(Place::Gateway) => "for the gateway itself".to_owned(),
            None => "no zone holds the destination".to_owned(),
        };
        self.say("route", text);
    }

    fn passed_over(&mut self, rule: RuleId, mismatch: Mismatch) {
        let name = self
            .policy()
            .rules
            .get(rule)
            .map_or("", |rule| rule.name.as_str())
            .to_owned();
        let why = match mismatch {
            Mismatch::From => "arrives by another zone",
            Mismatch::To => "goes to another zone",
            Mismatch::Source => "another client",
            Mismatch::Destination => "another server",
            Mismatch::Service => "another service",
        };
        self.say("rules", format!("{name}: no, {why}"));
        let compiled = self.compiled;
        self.at(compiled.locations.of_rule(rule));
    }

    fn ruled_by(&mut self, rule: RuleId, action: Action) {
        let found = self.policy().rules.get(rule);
        let name = found.map_or("", |rule| rule.name.as_str());
        let text = format!("{name}: {}", word_of(action));
        self.say("rules", text);
        let compiled = self.compiled;
        self.at(compiled.locations.of_rule(rule));
    }

    fn spoofed(&mut self, lies_in: Option<ZoneId>) {
        let text = match lies_in {
            Some(zone) if zone == self.zone => "it is the gateway's own".to_owned(),
            Some(zone) => format!("it lies in zone {}", self.zone_name(zone)),
            None => "no zone holds it".to_owned(),
        };
        self.say("source", text);
    }

    fn ruled(&mut self, ruling: &Ruling) {
        let (rule, service) = match ruling {
            Ruling::Permitted(permit) => (permit.rule(), permit.service()),
            Ruling::Refused(rule, _) => (*rule, None),
        };
        let found = rule.and_then(|rule| self.policy().rules.get(rule));
        let (name, action) = match found {
            Some(rule) => (rule.name.clone(), rule.action),
            None => (
                "none matches, the default policy".to_owned(),
                self.policy().rules.default_action(),
            ),
        };
        self.say("rules", format!("{name}: {}", word_of(action)));
        let compiled = self.compiled;
        self.at(match rule {
            Some(rule) => compiled.locations.of_rule(rule),
            None => compiled.locations.of_default(),
        });
        if let Some(service) = service {
            self.service(service);
        }
    }

    fn service(&mut self, service: ServiceId) {
        let Some(service) = self.policy().services.get(service) else {
            return;
        };
        let alg = service.alg.map_or(String::new(), |alg| {
            format!(", read by the {} ALG", alg.name())
        });
        let text = format!("{}{alg}", service.name);
        self.say("service", text);
    }

    fn source(&mut self, choice: SourceChoice) {
        let compiled = self.compiled;
        let row = |row: NatRow| compiled.policy.nat.name(row);
        let (name, text) = match choice {
            SourceChoice::Unchanged => ("", "no row is about it".to_owned()),
            SourceChoice::Exempt(r) => (row(r), format!("{}: the address stays", row(r))),
            SourceChoice::From(r, address) => {
                let drawn = self.drawn(choice);
                (
                    row(r),
                    format!("{}: the source becomes {address}{drawn}", row(r)),
                )
            }
            SourceChoice::NoAddress(r) => {
                (row(r), format!("{}: has no address of this family", row(r)))
            }
        };
        self.say("source nat", text);
        self.at(compiled.locations.of_translation(name));
    }

    fn inward(&mut self, inward: Option<(NatRow, crate::net::Tuple)>) {
        let Some((row, tuple)) = inward else {
            return self.say("forwards", "none is about it");
        };
        let compiled = self.compiled;
        let name = compiled.policy.nat.name(row);
        self.say(
            "forwards",
            format!("{name}: the destination becomes {}", tuple.destination),
        );
        self.at(compiled.locations.of_translation(name));
    }

    fn decided(&mut self, judgement: &Judgement) {
        let zone = match judgement.verdict {
            Verdict::Forward(zone) => format!(" by zone {}", self.zone_name(zone)),
            Verdict::Hold
            | Verdict::Drop
            | Verdict::Reject
            | Verdict::Answer
            | Verdict::Elsewhere(_) => String::new(),
        };
        let (verdict, ct) = (judgement.verdict.name(), judgement.ct.name());
        let reason = match (judgement.reason, judgement.check) {
            (Reason::Rule, Some(check)) => format!("a rule about {check}"),
            (Reason::Rule, None) => "a rule".to_owned(),
            (other, _) => other.to_string(),
        };
        self.say(
            "verdict",
            format!("{verdict}{zone} (ct {ct}; decided by {reason})"),
        );
    }
}

fn word_of(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Drop => "drop",
        Action::Reject => "reject",
    }
}

impl Observer for Steps<'_> {
    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Read(headers) => self.read(headers),
            Step::Gathered { pieces, octets } => {
                self.say(
                    "gather",
                    format!("whole now: {octets} octets in {pieces} pieces"),
                );
            }
            Step::NoSession => self.say("track", "no session has it, and none announced it"),
            Step::InSession { session, state, .. } => {
                self.say("track", format!("session {session}, {state}"));
            }
            Step::Expected(expectation) => {
                let parent = expectation.parent.id();
                self.say("track", format!("announced by session {parent}"));
            }
            Step::Mapped(mapping) => {
                let (inside, outside) = (mapping.inside, mapping.outside);
                self.say(
                    "mapping",
                    format!("{outside} stands for {inside}, and lets it in"),
                );
            }
            Step::AboutSession(session, _) => self.say("track", format!("about session {session}")),
            Step::Inward(inward) => self.inward(inward),
            Step::Routed(place) => self.routed(place),
            Step::Invalid(check) => self.say("track", format!("invalid: {check}")),
            Step::RuledRelated(rule, action) | Step::RuledInvalid(rule, action) => {
                self.ruled_by(rule, action);
            }
            Step::Spoofed(lies_in) => self.spoofed(lies_in),
            Step::PassedOver(rule, mismatch) => self.passed_over(rule, mismatch),
            Step::Ruled(ruling) => self.ruled(ruling),
            Step::Unsolicited(holding) => self.say("held", holds(holding)),
            Step::Source(choice) => self.source(choice),
            // What begins says it with how long that is.
            Step::Lives(_) => {}
            Step::Claims(claim) => self.say("endpoint", claims(claim)),
            Step::Lease(found) => self.say("port", lease(found)),
            Step::Leaves(tuple) => self.say("leaves as", tuple.to_string()),
            Step::Begins(origin, left) => self.begins(origin, left),
            Step::Evicts(session, standing) => {
                let text = format!("session {session} goes to make it ({standing})");
                self.say("room", text);
            }
            Step::NoRoom(limit) => self.say("room", no_room(limit)),
            Step::Withheld(kind) => {
                self.say(
                    "answer",
                    format!("withheld: too many {kind} at a time, or none for this zone"),
                );
            }
            Step::Alg(note) => {
                if let Note::Opened { reached_at, .. } = note {
                    self.announced.push(*reached_at);
                }
                self.say("alg", note.to_string());
            }
            Step::Unread(why) => self.say("alg", format!("not read: {why:?}")),
            Step::Withholds(octets) => {
                let text = format!("withholds {octets} octets until it has seen what follows them");
                self.say("alg", text);
            }
            Step::Acknowledges => {
                let text = "acknowledges what it withholds, which its sender repeats";
                self.say("alg", text);
            }
            Step::AcknowledgesAgain => {
                let text = "acknowledges again what it has acknowledged, which its sender repeats";
                self.say("alg", text);
            }
            Step::Decided(judgement) => self.decided(judgement),
        }
    }
}

/// What a session holds of its public endpoint, in words.
fn claims(claim: &Claim) -> String {
    match claim {
        Claim::Shared(_) => "shared: this one's towards this server only".to_owned(),
        Claim::Mapped(behaviour, ..) => {
            let Behaviour { mapping, filtering } = behaviour;
            let (mapping, filtering) = (mapping.name(), filtering.name());
            format!("the socket's own: mapping {mapping}, filtering {filtering}")
        }
    }
}

fn holds(holding: Holding) -> &'static str {
    match holding {
        Holding::Begins => "for six seconds, in case the other end opens the same connection",
        Holding::GoesOn => "still, since its sender has sent it before",
        Holding::Full => "no: as many are held as may be",
    }
}

fn no_room(limit: Limit) -> &'static str {
    match limit {
        Limit::Sessions => "none: the session table is full",
        Limit::HalfOpen => "none: too many connections are half open",
        Limit::Source => "none: the client has its share of sessions",
        Limit::SourceRate => "none: the client begins too many sessions at a time",
        Limit::Rule => "none: the rule has its share of sessions",
        Limit::Drained => "none: an operator lets no new session begin",
    }
}
