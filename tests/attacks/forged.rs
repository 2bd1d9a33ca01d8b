//! What a forged packet may do: nothing, or pass and leave all but counters as
//! it was.

use spigate::engine::{Judgement, Reason};
use spigate::net::Timestamp;
use spigate::session::{Heard, Origin, Session, SessionId, State};

use super::dialogue::Dialogue;
use super::lab::{LAN, Lab, WAN};
use super::packets::{Frame, Packet, tcp};
use super::policies::OFFICE;

pub(crate) const CLIENT: &str = "10.0.0.7:51000";
pub(crate) const SERVER: &str = "198.51.100.9:80";
/// The client as the outside sees it.
pub(crate) const PUBLIC: &str = "203.0.113.2:51000";

/// A connection behind the masquerade, both of whose ends have spoken.
pub(crate) fn connection() -> (Lab, Dialogue) {
    let mut lab = Lab::new(OFFICE);
    let mut dialogue = Dialogue::open(&mut lab, 0.0, (LAN, CLIENT), SERVER);
    dialogue.client_says(&mut lab, 0.0, "a question");
    dialogue.server_says(&mut lab, 0.0, "an answer");
    dialogue.client_says(&mut lab, 0.0, "");
    (lab, dialogue)
}

/// A segment that pretends to be the server's.
pub(crate) fn as_server() -> Packet {
    tcp(SERVER, PUBLIC)
}

/// Sends a forgery that is refused in silence, and sees that the whole table
/// is as it was.
pub(crate) fn refused(lab: &mut Lab, at: f64, zone: &'static str, forgery: impl Frame) -> Reason {
    lab.wait_until(at);
    let before = lab.snapshot();
    let sent = lab.at(at).from(zone).send(forgery);
    assert!(sent.forwarded.is_none(), "{:?}", sent.judgement);
    assert!(sent.made.is_empty(), "somebody was told: {:?}", sent.made);
    assert_eq!(lab.snapshot(), before, "{:?}", sent.judgement);
    sent.judgement.reason
}

/// What a packet that passed all the same must not have moved: that sessions
/// exist, their ends and way, their state, whether they are believed, when
/// they end.
#[derive(Debug, PartialEq)]
pub(crate) struct Kept(Vec<One>);

#[derive(Debug, PartialEq)]
struct One {
    id: SessionId,
    origin: Origin,
    state: State,
    heard: Heard,
    ends: [Timestamp; 2],
}

impl Kept {
    /// As it is now.
    pub(crate) fn of(lab: &Lab) -> Self {
        let kept = |session: &Session| One {
            id: session.id,
            origin: session.origin,
            state: session.state(),
            heard: session.heard,
            ends: [session.began, session.deadline],
        };
        Self(lab.engine.sessions().sorted().iter().map(kept).collect())
    }
}

/// Sends a forgery that may pass, and sees that nobody is told and that what
/// is [`Kept`] is kept.
pub(crate) fn harmless(
    lab: &mut Lab,
    at: f64,
    zone: &'static str,
    forgery: impl Frame,
) -> Judgement {
    lab.wait_until(at);
    let before = Kept::of(lab);
    let sent = lab.at(at).from(zone).send(forgery);
    assert!(sent.made.is_empty(), "somebody was told: {:?}", sent.made);
    assert_eq!(Kept::of(lab), before, "{:?}", sent.judgement);
    sent.judgement
}

/// Both ends go on, and their streams fit together.
pub(crate) fn goes_on(lab: &mut Lab, at: f64, dialogue: &mut Dialogue) {
    for _ in 0..3 {
        dialogue.client_says(lab, at, "another question");
        dialogue.server_says(lab, at, "another answer");
    }
    dialogue.client_says(lab, at, "");
    let all = lab.engine.sessions().sorted();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].state().name(), "established");
    // Nor may more be sent than before.
    let far = dialogue.server.next.wrapping_add(200_000);
    let beyond = as_server().seq(far).ack(dialogue.server.awaits).data("x");
    let reason = refused(lab, at, WAN, beyond);
    assert_eq!(reason, Reason::TcpOutOfWindow);
}
