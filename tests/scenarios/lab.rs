//! The bench: a firewall between zones of hosts, and its clock.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use spigate::engine::{
    Arrival, Checksums, Engine, Event, Extent, Gap, Judgement, Meanwhile, Observer, Options,
    Output, Part, Policy, Reason, Restored, Silent, Successor,
};
use spigate::net::{Timestamp, ZoneId};
use spigate::session::{Expectation, Session, TcpChecks};
use spigate::state::{Encoder, Standing, Written};

use super::packets::Frame;
use super::seen::{Seen, Sums};
use super::wants::Want;

pub(crate) const LAN: &str = "lan";
pub(crate) const DMZ: &str = "dmz";
pub(crate) const WAN: &str = "wan";

/// When every scenario begins.
const START: Timestamp = Timestamp::from_secs(1_772_355_600);

/// The moment this many seconds into the scenario.
pub(crate) fn moment(seconds: f64) -> Timestamp {
    START.after(Duration::from_nanos((seconds * 1e9).round() as u64))
}

/// A firewall on the bench.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) engine: Engine,
    options: Options,
    sums: Sums,
}

/// All that is remembered of sessions: equal before and after means that
/// nothing happened to any.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    sessions: Vec<Session>,
    expectations: Vec<Expectation>,
}

impl Lab {
    /// A firewall that guards by these rules.
    pub(crate) fn new(rules: &str) -> Self {
        Self::with(rules, Checksums::Verify)
    }

    /// One that looks at checksums, or does not.
    pub(crate) fn with(rules: &str, checksums: Checksums) -> Self {
        Self::tracking(rules, checksums, None)
    }

    /// One that is more lenient with TCP.
    pub(crate) fn lenient(rules: &str, checks: TcpChecks) -> Self {
        Self::tracking(rules, Checksums::Verify, Some(checks))
    }

    fn tracking(rules: &str, checksums: Checksums, checks: Option<TcpChecks>) -> Self {
        let mut policy = compile(rules);
        policy.tcp = checks.unwrap_or(policy.tcp);
        let options = Options { seed: 7, checksums };
        Self {
            engine: Engine::new(Arc::new(policy), options, START),
            options,
            sums: match checksums {
                Checksums::Verify => Sums::Right,
                Checksums::Ignore => Sums::Unread,
            },
        }
    }

    /// These rules take over.
    pub(crate) fn reload(&mut self, seconds: f64, rules: &str) {
        let successor = Successor::new(compile(rules), self.engine.policy());
        let swapped = self.engine.reload(successor.unwrap(), moment(seconds));
        drop(swapped.unwrap());
    }

    /// The gateway ends, and another begins at once, by the same rules, where packets may
    /// have passed since or have not.
    pub(crate) fn restart(&mut self, seconds: f64, meanwhile: Meanwhile) -> Restored {
        let parts: Vec<_> = self.engine.snapshot_parts(self.engine.now()).collect();
        let policy = Arc::clone(self.engine.policy());
        self.restart_with(seconds, &policy, (parts, meanwhile))
    }

    /// Another begins by other rules.
    pub(crate) fn restart_by(&mut self, seconds: f64, rules: &str) -> Restored {
        let parts: Vec<_> = self.engine.snapshot_parts(self.engine.now()).collect();
        let policy = Arc::new(compile(rules));
        self.restart_with(seconds, &policy, (parts, Meanwhile::Nothing))
    }

    /// Another begins with what was written down before.
    pub(crate) fn restart_with(
        &mut self,
        seconds: f64,
        policy: &Arc<Policy>,
        (parts, meanwhile): (Vec<Part>, Meanwhile),
    ) -> Restored {
        let mut encoder = Encoder::new();
        for part in &parts {
            encoder.push(part).unwrap();
        }
        let octets = encoder.finish(Standing::AtRest, &Written::default());
        let state = spigate::state::decode(&octets.unwrap()).unwrap();
        let gap = Gap {
            time: moment(seconds).since(state.snapshot.at()),
            meanwhile,
        };
        let now = moment(seconds);
        let known = (state.snapshot, gap);
        let restored = Engine::restore(policy, self.options, now, known);
        let (engine, restored) = restored.unwrap();
        self.engine = engine;
        restored
    }

    /// So many seconds into the scenario.
    pub(crate) fn at(&mut self, seconds: f64) -> At<'_> {
        let now = moment(seconds);
        At { lab: self, now }
    }

    /// Lets time pass, in which nothing is sent; tells what ended.
    pub(crate) fn wait_until(&mut self, seconds: f64) -> Vec<Event> {
        let Passed { events, made } = self.let_pass(seconds);
        assert!(made.is_empty(), "time alone sent {made:?}");
        events
    }

    /// Lets time pass; tells what ended, and what the gateway sent.
    pub(crate) fn let_pass(&mut self, seconds: f64) -> Passed {
        let mut out = Output::default();
        while self.engine.expire(moment(seconds), &mut out).is_left() {}
        let counted: usize = out.events.iter().map(Event::packets).sum();
        assert_eq!(counted, out.made.len(), "packets of no event");
        let made = out.made.iter();
        let made = made.map(|made| (self.name(made.zone), Seen::read(&made.bytes, Sums::Right)));
        Passed {
            made: made.collect(),
            events: out.events,
        }
    }

    /// Sessions and expectations, complete.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let sessions = self.engine.sessions();
        Snapshot {
            sessions: sessions.sorted(),
            expectations: sessions.expectations().sorted(),
        }
    }

    /// The sessions in a line each: as what their first packet came, what its
    /// answers are addressed as, and their state.
    pub(crate) fn table(&self) -> Vec<String> {
        let line = |session: &Session| {
            let tuples = &session.origin.tuples;
            let (original, reply) = (tuples.original, tuples.reply);
            format!("{original} | {reply} | {}", session.state())
        };
        self.engine.sessions().sorted().iter().map(line).collect()
    }

    /// The expected data sessions in a line each: from whom, as what they
    /// arrive, for whom they are.
    pub(crate) fn expected(&self) -> Vec<String> {
        let line =
            |e: &Expectation| format!("{} > {} = {}", e.tuple.source, e.tuple.destination, e.to);
        let all = self.engine.sessions().expectations().sorted();
        all.iter().map(line).collect()
    }

    /// The only session.
    pub(crate) fn session(&self) -> Session {
        let all = self.engine.sessions().sorted();
        assert_eq!(all.len(), 1, "{:#?}", self.table());
        all[0].clone()
    }

    fn zone(&self, name: &str) -> ZoneId {
        let zone = self.engine.policy().zones.by_name(name);
        zone.unwrap_or_else(|| panic!("no zone {name}"))
    }

    fn name(&self, zone: ZoneId) -> &'static str {
        let name = self.engine.policy().zones.name(zone);
        [LAN, DMZ, WAN]
            .into_iter()
            .find(|known| *known == name)
            .unwrap_or("elsewhere")
    }
}

/// Whether every gateway of all scenarios is to end before each packet, and to go on by
/// what it wrote down: not so but for whoever wants to know what is not written down.
fn restarts_always() -> bool {
    static SAID: OnceLock<bool> = OnceLock::new();
    *SAID.get_or_init(|| std::env::var_os("SPIGATE_RESTARTS").is_some())
}

fn compile(rules: &str) -> Policy {
    spigate::config::compile(Path::new("lab.toml"), rules)
        .unwrap_or_else(|report| panic!("{}", report.render(spigate::config::Colour::Plain)))
        .policy
}

/// A moment in the scenario.
#[derive(Debug)]
pub(crate) struct At<'a> {
    lab: &'a mut Lab,
    now: Timestamp,
}

impl<'a> At<'a> {
    /// Something arrives by this zone.
    pub(crate) fn from(self, zone: &'static str) -> From<'a> {
        From { at: self, zone }
    }
}

/// A zone in which somebody is about to send.
#[derive(Debug)]
pub(crate) struct From<'a> {
    at: At<'a>,
    zone: &'static str,
}

impl From<'_> {
    /// Sends it. Whatever comes of it, an explanation asked for just before
    /// has to say the same and to change nothing.
    pub(crate) fn send(self, packet: impl Frame) -> Sent {
        self.send_as(packet, Extent::Whole, &mut Silent)
    }

    /// Sends it, and tells every step.
    pub(crate) fn send_as(
        self,
        packet: impl Frame,
        extent: Extent,
        why: &mut impl Observer,
    ) -> Sent {
        let (lab, now) = (self.at.lab, self.at.now);
        if restarts_always() {
            let seconds = lab.engine.now().max(START).since(START).as_secs_f64();
            let _ = lab.restart(seconds, Meanwhile::Nothing);
        }
        let zone = lab.zone(self.zone);
        let arrival = Arrival {
            extent,
            ..Arrival::whole(zone)
        };
        let frame = packet.frame();
        let mut out = Output::default();
        while lab.engine.expire(now, &mut out).is_left() {}
        let before = lab.snapshot();
        let foretold = lab.engine.explain(arrival, &frame, &mut Silent);
        assert_eq!(lab.snapshot(), before, "explaining changed something");

        let mut leaving = frame.clone();
        let judgement = lab.engine.packet(now, arrival, &mut leaving, &mut out, why);
        assert_eq!(foretold, judgement, "the explanation of what happened");
        let forwarded = match judgement.verdict {
            spigate::engine::Verdict::Forward(zone) => {
                let sums = match (extent, judgement.check) {
                    (Extent::Whole, Some(Reason::BadChecksum)) => Some(Sums::Unread),
                    (Extent::Whole, _) => Some(lab.sums),
                    (Extent::Cut, _) => None,
                };
                sums.map(|sums| (lab.name(zone), Seen::read(&leaving, sums)))
            }
            // It was for the gateway, which remembers that it came; or it was taken
            // note of, and waits or is to come again.
            _ if matches!(
                judgement.reason,
                Reason::ProbeAnswered | Reason::AlgHeld | Reason::AlgOutOfOrder
            ) =>
            {
                None
            }
            _ => {
                assert_eq!(lab.snapshot(), before, "a refused packet left a trace");
                None
            }
        };
        let mut pieces = out.more;
        if !pieces.is_empty() {
            pieces.insert(0, leaving);
        }
        let made = out.made.iter();
        let made = made.map(|made| (lab.name(made.zone), Seen::read(&made.bytes, Sums::Right)));
        let rules = &lab.engine.policy().rules;
        let rule = judgement.rule.and_then(|rule| rules.get(rule));
        Sent {
            from: self.zone,
            frame,
            judgement,
            rule: rule.map(|rule| rule.name.clone()),
            forwarded,
            pieces,
            made: made.collect(),
            events: out.events,
        }
    }
}

/// What time alone did.
#[derive(Debug)]
#[must_use = "say what was to come of it"]
pub(crate) struct Passed {
    pub(crate) events: Vec<Event>,
    /// By which zone what left.
    pub(crate) made: Vec<(&'static str, Seen)>,
}

/// What came of a packet.
#[derive(Debug)]
#[must_use = "say what was to come of it"]
pub(crate) struct Sent {
    pub(crate) from: &'static str,
    /// As it was sent.
    pub(crate) frame: Vec<u8>,
    pub(crate) judgement: Judgement,
    pub(crate) rule: Option<String>,
    /// By which zone it left, and as what.
    pub(crate) forwarded: Option<(&'static str, Seen)>,
    /// Where it left in pieces: all of them.
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) made: Vec<(&'static str, Seen)>,
    pub(crate) events: Vec<Event>,
}

impl Sent {
    /// Compares the whole outcome; gives what left, if anything did.
    pub(crate) fn expect(self, want: Want) -> Outcome {
        want.check(&self);
        Outcome(self)
    }

    /// As it was sent, read; octets behind its end left aside.
    pub(crate) fn arrived(&self) -> Seen {
        let declared =
            |at: usize| usize::from(u16::from_be_bytes([self.frame[at], self.frame[at + 1]]));
        let length = match self.frame[0] >> 4 {
            4 => declared(2),
            _ => declared(4) + 40,
        };
        Seen::read(&self.frame[..length], Sums::Unread)
    }
}

/// An outcome that was as expected.
#[derive(Debug)]
pub(crate) struct Outcome(Sent);

impl Outcome {
    /// The packet as it left.
    pub(crate) fn left(self) -> Seen {
        self.0.forwarded.expect("it was forwarded").1
    }

    /// What happened to sessions.
    pub(crate) fn events(&self) -> &[Event] {
        &self.0.events
    }
}
