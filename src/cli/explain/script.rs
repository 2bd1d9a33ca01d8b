//! The lines of a script, sent through a gateway one after the other.

use std::sync::Arc;

use super::talk::Talk;
use super::{Line, Steps, arrival_zone, named_zone};
use crate::cli::words::length;
use crate::config::Compiled;
use crate::engine::{Arrival, Checksums, Engine, Options, Output, Verdict};
use crate::expression::{ExpressionError, PacketExpression, ScriptLine};
use crate::net::{AlgKind, Direction, Endpoint, PerDirection, Port, TcpFlags, Timestamp, ZoneId};
use crate::packet::Headers;
use crate::session::Readiness;

/// A line of a script with what came of it.
pub(super) struct Explained {
    pub(super) text: String,
    pub(super) lines: Vec<Line>,
    pub(super) verdict: Verdict,
}

/// What FTP's ends say before they come to the point.
const LOGIN: [(Direction, &[u8]); 5] = [
    (Direction::Reply, b"220 ready\r\n"),
    (Direction::Original, b"USER anonymous\r\n"),
    (Direction::Reply, b"331 and?\r\n"),
    (Direction::Original, b"PASS guest\r\n"),
    (Direction::Reply, b"230 welcome\r\n"),
];

/// The flags of a segment with a line.
fn said() -> TcpFlags {
    TcpFlags::PSH | TcpFlags::ACK
}

/// The gateway that the lines of a script go through, one after the other.
pub(super) struct Script<'a> {
    compiled: &'a Compiled,
    engine: Engine,
    /// The connection that was opened last.
    talk: Option<Talk>,
    /// The port of the data session that was announced last.
    announced: Option<Port>,
}

impl<'a> Script<'a> {
    /// A gateway that has seen nothing yet.
    pub(super) fn new(compiled: &'a Compiled) -> Self {
        let options = Options {
            seed: 0,
            checksums: Checksums::Verify,
        };
        let policy = Arc::new(compiled.policy.clone());
        Self {
            compiled,
            engine: Engine::new(policy, options, Timestamp::EPOCH),
            talk: None,
            announced: None,
        }
    }

    /// Sends what a line says.
    ///
    /// # Errors
    /// What is wrong with the line.
    pub(super) fn line(&mut self, text: &str) -> Result<Explained, String> {
        let wrong = |error: ExpressionError| error.to_string();
        match ScriptLine::read(text, self.announced).map_err(wrong)? {
            ScriptLine::Packet(expression) => {
                let zone = arrival_zone(&expression, &self.compiled.policy)?;
                let (lines, verdict, _) = self.send(zone, expression.packet.build());
                let text = expression.to_string();
                Ok(Explained {
                    text,
                    lines,
                    verdict,
                })
            }
            ScriptLine::Open(expression) => self.open(&expression),
            ScriptLine::Says { zone, line } => self.says(&zone, &line.to_vec(), text),
        }
    }

    /// A packet through the gateway: its steps, its verdict, and as what it left.
    fn send(&mut self, zone: ZoneId, mut frame: Vec<u8>) -> (Vec<Line>, Verdict, Vec<u8>) {
        let mut steps = Steps {
            compiled: self.compiled,
            zone,
            lines: Vec::new(),
            announced: Vec::new(),
        };
        let arrival = Arrival::whole(zone);
        let (now, mut out) = (self.engine.now(), Output::default());
        let judgement = self
            .engine
            .packet(now, arrival, &mut frame, &mut out, &mut steps);
        let Steps {
            mut lines,
            announced,
            ..
        } = steps;
        for at in announced {
            self.announced = Some(at.port);
            lines.extend(self.hole(at));
        }
        (lines, judgement.verdict, frame)
    }

    /// The hole at this endpoint, and how long it is open.
    fn hole(&self, at: Endpoint) -> Option<Line> {
        let all = self.engine.sessions().expectations().sorted();
        let expected = all.iter().find(|own| own.tuple.destination == at)?;
        let from = match expected.source_port {
            Some(port) => format!("its port {port}"),
            None => "any port".to_owned(),
        };
        let source = expected.tuple.source;
        let left = length(expected.deadline.since(self.engine.now()));
        let until = match expected.readiness {
            Readiness::Ready => "",
            Readiness::Unaccepted => ", if the other end accepts it",
        };
        Some(Line {
            step: "hole",
            text: format!("{at} for {source} from {from}, once, for {left}{until}"),
            place: None,
        })
    }

    /// A handshake; its steps are those of the first packet, as long as the
    /// others pass.
    fn open(&mut self, expression: &PacketExpression) -> Result<Explained, String> {
        let zone = arrival_zone(expression, &self.compiled.policy)?;
        let syn = expression.packet.build();
        let (lines, verdict, left) = self.send(zone, syn.clone());
        let mut explained = Explained {
            text: format!("{expression}, and the handshake"),
            lines,
            verdict,
        };
        let Verdict::Forward(egress) = verdict else {
            return Ok(explained);
        };
        let zones = PerDirection {
            original: zone,
            reply: egress,
        };
        self.talk = Talk::opened(&syn, &left, zones);
        let both = TcpFlags::SYN | TcpFlags::ACK;
        for (by, flags) in [
            (Direction::Reply, both),
            (Direction::Original, TcpFlags::ACK),
        ] {
            let (lines, verdict, _) = self.segment(by, flags, Vec::new())?;
            if !matches!(verdict, Verdict::Forward(_)) {
                explained.lines.extend(lines);
                explained.verdict = verdict;
                return Ok(explained);
            }
        }
        if self.is_ftp() {
            for (by, line) in LOGIN {
                self.segment(by, said(), line.to_vec())?;
            }
            explained.text = format!("{expression}, the handshake and a login");
        }
        Ok(explained)
    }

    /// Whether the FTP ALG reads the connection that was opened last.
    fn is_ftp(&self) -> bool {
        let newest = self.engine.sessions().sorted().pop();
        newest.is_some_and(|session| session.origin.alg == Some(AlgKind::Ftp))
    }

    /// A line in the connection that was opened last.
    fn says(&mut self, zone: &str, line: &[u8], text: &str) -> Result<Explained, String> {
        let zone = named_zone(zone, &self.compiled.policy)?;
        let by = self
            .talk
            .as_ref()
            .ok_or("nothing was opened before that it could be said in")?
            .end_in(zone, line)
            .ok_or("no end of the connection is in that zone")?;
        let sent = [line, b"\r\n"].concat();
        let (mut lines, verdict, left) = self.segment(by, said(), sent.clone())?;
        let payload = Headers::read(&left, false).ok().and_then(|headers| {
            let payload = left.get(headers.payload_range())?;
            Some(payload.to_vec())
        });
        if let (Verdict::Forward(_), Some(payload)) = (verdict, payload)
            && payload != sent
        {
            lines.push(Line {
                step: "text",
                text: format!("leaves as {}", payload.trim_ascii_end().escape_ascii()),
                place: None,
            });
        }
        let announces = ["PORT ", "EPRT "].iter().any(|verb| {
            line.get(..verb.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(verb.as_bytes()))
        });
        if announces && by == Direction::Original && self.is_ftp() {
            self.segment(Direction::Reply, said(), b"200 as you wish\r\n".to_vec())?;
        }
        Ok(Explained {
            text: text.to_owned(),
            lines,
            verdict,
        })
    }

    fn segment(
        &mut self,
        by: Direction,
        flags: TcpFlags,
        octets: Vec<u8>,
    ) -> Result<(Vec<Line>, Verdict, Vec<u8>), String> {
        let mut talk = self.talk.take().ok_or("nothing was opened before")?;
        let packet = talk
            .segment(by, flags, octets)
            .ok_or("the line is too long")?;
        let sent = self.send(talk.zone(by), packet.build());
        if let Verdict::Forward(_) = sent.1 {
            talk.hears(by, &sent.2);
        }
        self.talk = Some(talk);
        Ok(sent)
    }
}
