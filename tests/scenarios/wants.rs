//! What a scenario expects of one packet: the whole outcome. Whatever is not
//! named here has to be as it was.

use spigate::engine::Reason;
use spigate::session::State;

use super::lab::Sent;
use super::seen::{Body, Seen};

/// The expected outcome of one packet.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    fate: Fate,
    reason: Option<Reason>,
    ct: Option<&'static str>,
    rule: Option<Option<&'static str>>,
    state: Option<&'static str>,
    source: Option<String>,
    destination: Option<String>,
    stream: Stream,
    told: Option<Told>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Forward(&'static str),
    Hold,
    Drop,
    Reject,
    Answer,
}

/// How an ALG changed a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Stream {
    text: Option<String>,
    seq: Option<u32>,
    ack: Option<u32>,
    sack: Option<Vec<(u32, u32)>>,
}

fn want(fate: Fate, reason: Option<Reason>) -> Want {
    Want {
        fate,
        reason,
        ct: None,
        rule: None,
        state: None,
        source: None,
        destination: None,
        stream: Stream::default(),
        told: None,
    }
}

/// It leaves by this zone, unchanged but for its time to live.
pub(crate) fn forward_to(zone: &'static str) -> Want {
    want(Fate::Forward(zone), None)
}

/// It waits for the other pieces of its datagram.
pub(crate) fn hold() -> Want {
    want(Fate::Hold, Some(Reason::FragmentHeld))
}

/// It goes nowhere, and nobody hears of it.
pub(crate) fn drop_for(reason: Reason) -> Want {
    want(Fate::Drop, Some(reason))
}

/// It goes nowhere; what its sender is told says [`Want::told`], nothing
/// without it.
pub(crate) fn reject_for(reason: Reason) -> Want {
    want(Fate::Reject, Some(reason))
}

/// The gateway answers.
pub(crate) fn answer() -> Want {
    want(Fate::Answer, Some(Reason::GatewayEcho))
}

impl Want {
    pub(crate) fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// What tracking says of it.
    pub(crate) fn ct(mut self, ct: &'static str) -> Self {
        self.ct = Some(ct);
        self
    }

    /// The rule that decided.
    pub(crate) fn rule(mut self, rule: &'static str) -> Self {
        self.rule = Some(Some(rule));
        self
    }

    /// No rule decided.
    pub(crate) fn no_rule(mut self) -> Self {
        self.rule = Some(None);
        self
    }

    /// The session's state after it.
    pub(crate) fn state(mut self, state: &'static str) -> Self {
        self.state = Some(state);
        self
    }

    /// It leaves from here.
    pub(crate) fn source(mut self, endpoint: impl Into<String>) -> Self {
        self.source = Some(endpoint.into());
        self
    }

    /// It leaves for there.
    pub(crate) fn destination(mut self, endpoint: impl Into<String>) -> Self {
        self.destination = Some(endpoint.into());
        self
    }

    /// It carries another text.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.stream.text = Some(text.into());
        self
    }

    /// It has another sequence number.
    pub(crate) fn seq(mut self, number: u32) -> Self {
        self.stream.seq = Some(number);
        self
    }

    /// It has another acknowledgement number.
    pub(crate) fn ack(mut self, number: u32) -> Self {
        self.stream.ack = Some(number);
        self
    }

    /// It acknowledges other blocks.
    pub(crate) fn sack(mut self, blocks: &[(u32, u32)]) -> Self {
        self.stream.sack = Some(blocks.to_vec());
        self
    }

    /// What the gateway sends back.
    pub(crate) fn told(mut self, told: Told) -> Self {
        self.told = Some(told);
        self
    }

    /// Compares with what came of the packet.
    pub(crate) fn check(&self, sent: &Sent) {
        let judgement = &sent.judgement;
        let fate = match sent.forwarded.as_ref() {
            Some((zone, _)) => Fate::Forward(zone),
            None => match judgement.verdict.name() {
                "forward" => Fate::Hold,
                "drop" => Fate::Drop,
                "reject" => Fate::Reject,
                _ => Fate::Answer,
            },
        };
        assert_eq!(fate, self.fate, "verdict: {judgement:?}");
        if let Some(reason) = self.reason {
            assert_eq!(judgement.reason, reason, "{judgement:?}");
        }
        if let Some(ct) = self.ct {
            assert_eq!(judgement.ct.name(), ct, "{judgement:?}");
        }
        if let Some(rule) = self.rule {
            assert_eq!(sent.rule.as_deref(), rule, "{judgement:?}");
        }
        if let Some(state) = self.state {
            let is = judgement.state.map(State::name);
            assert_eq!(is, Some(state), "{judgement:?}");
        }
        if let Some((_, left)) = &sent.forwarded {
            self.check_forwarded(&sent.arrived(), left);
        }
        match (&self.told, &sent.made[..]) {
            (None, made) => assert!(made.is_empty(), "the gateway said {made:?}"),
            (Some(told), [(zone, made)]) => {
                assert_eq!(*zone, sent.from, "the answer's zone");
                told.check(&sent.frame, made);
            }
            (Some(told), made) => panic!("{told:?} was to be said, not {made:?}"),
        }
    }

    fn check_forwarded(&self, arrived: &Seen, left: &Seen) {
        let source = self.source.as_ref().unwrap_or(&arrived.source);
        assert_eq!(&left.source, source, "source");
        let destination = self.destination.as_ref().unwrap_or(&arrived.destination);
        assert_eq!(&left.destination, destination, "destination");
        assert_eq!(left.ttl + 1, arrived.ttl, "time to live");
        if self.stream == Stream::default() {
            assert_eq!(
                hex::encode(left.kept()),
                hex::encode(arrived.kept()),
                "what translation leaves alone"
            );
            return;
        }
        let (was, is) = (arrived.tcp(), left.tcp());
        let text = self.stream.text.clone().unwrap_or_else(|| arrived.text());
        assert_eq!(left.text(), text, "text");
        let seq = self.stream.seq.unwrap_or(was.sequence_number);
        assert_eq!(is.sequence_number, seq, "sequence number");
        let ack = self.stream.ack.unwrap_or(was.acknowledgment_number);
        assert_eq!(is.acknowledgment_number, ack, "acknowledgement");
        let sack = self.stream.sack.clone().unwrap_or_else(|| blocks(was));
        assert_eq!(blocks(is), sack, "selective acknowledgement");
        let flags = |tcp: &etherparse::TcpHeader| {
            (
                tcp.syn,
                tcp.fin,
                tcp.rst,
                tcp.psh,
                tcp.ack,
                tcp.urg,
                tcp.window_size,
            )
        };
        assert_eq!(flags(is), flags(was), "flags and window");
        assert_eq!(is.options.as_slice().len(), was.options.as_slice().len());
    }
}

fn blocks(tcp: &etherparse::TcpHeader) -> Vec<(u32, u32)> {
    let mut all = Vec::new();
    for option in tcp.options_iterator().flatten() {
        if let etherparse::TcpOptionElement::SelectiveAcknowledgement(first, more) = option {
            all.push(first);
            all.extend(more.into_iter().flatten());
        }
    }
    all
}

/// What the gateway itself says to the sender of a packet.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// RST with these numbers; without an acknowledgement it has no ACK.
    Reset { seq: u32, ack: Option<u32> },
    /// An ICMP error of this type and code from this address, quoting the packet.
    Error(u8, u8, &'static str),
    /// An echo reply.
    EchoReply,
}

impl Told {
    pub(crate) fn check(&self, cause: &[u8], made: &Seen) {
        assert_eq!(made.ttl, 64, "time to live");
        let lenient = Seen::read(cause, super::seen::Sums::Unread);
        match self {
            Self::Reset { seq, ack } => {
                assert_eq!(made.source, lenient.destination);
                assert_eq!(made.destination, lenient.source);
                let tcp = made.tcp();
                assert!(tcp.rst && !tcp.syn && !tcp.fin && !tcp.psh, "{tcp:?}");
                assert_eq!(tcp.sequence_number, *seq, "sequence number");
                assert_eq!(tcp.ack, ack.is_some());
                assert_eq!(
                    tcp.acknowledgment_number,
                    ack.unwrap_or(0),
                    "acknowledgement"
                );
                assert_eq!(made.text(), "");
            }
            Self::Error(kind, code, from) => {
                assert_eq!(made.source, *from, "who complains");
                assert_eq!(address(&made.destination), address(&lenient.source));
                let Body::Icmp(k, c, _) = &made.body else {
                    panic!("{made:?} is no ICMP error");
                };
                assert_eq!((k, c), (kind, code), "type and code");
                // RFC 1812 section 4.3.2.3, RFC 4443 section 2.4.
                let room = if cause[0] >> 4 == 4 {
                    576 - 28
                } else {
                    1280 - 48
                };
                let quoted = &cause[..cause.len().min(room)];
                assert_eq!(hex::encode(made.quote()), hex::encode(quoted), "quote");
            }
            Self::EchoReply => {
                assert_eq!(made.destination, address(&lenient.source));
                assert_eq!(address(&made.source), lenient.destination);
                let (Body::Icmp(kind, 0, reply), Body::Icmp(asked, _, request)) =
                    (&made.body, &lenient.body)
                else {
                    panic!("{made:?} is no echo reply");
                };
                assert_eq!(
                    (*kind, *asked),
                    if cause[0] >> 4 == 4 {
                        (0, 8)
                    } else {
                        (129, 128)
                    }
                );
                assert_eq!(reply[4..], request[4..], "identifier, number and data");
            }
        }
    }
}

/// The address of what [`Seen`] calls an endpoint.
fn address(endpoint: &str) -> String {
    super::packets::endpoint(endpoint).ip().to_string()
}
