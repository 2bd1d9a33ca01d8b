//! From where a capture was taken, and what that means for a replay.
//!
//! A capture taken on one side of the gateway shows the far end's packets as
//! that side saw them. If the replayed rules translate, the far end would have
//! addressed the public side of the translation instead, and would have
//! acknowledged what the gateway made of the stream. Such packets are
//! re-addressed here, just as the real far end would have sent them.

use crate::engine::Engine;
use crate::net::ZoneId;
use crate::packet::{Headers, Transport, quoted, renumber, translate, translate_error};

/// From where a capture was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vantage {
    /// Each packet was captured where it arrives at the gateway.
    Both,
    /// All packets were captured on the inside.
    Inside,
    /// A packet that is known as it is stays; another is taken for one that
    /// was captured on the inside.
    Auto,
}

/// Whether a packet was changed before the engine saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Readdressed {
    /// It was not.
    No,
    /// The far end would have sent it otherwise, and so it now reads.
    Yes,
}

/// Re-addresses the packet in `frame`, where its vantage and the engine's
/// sessions ask for it.
pub(super) fn readdress(
    engine: &Engine,
    vantage: Vantage,
    zone: ZoneId,
    frame: &mut [u8],
    headers: &Headers,
) -> Readdressed {
    if vantage == Vantage::Both {
        return Readdressed::No;
    }
    let done = if let Transport::Error { .. } = headers.transport {
        readdress_error(engine, frame, headers)
    } else {
        readdress_packet(engine, vantage, zone, frame, headers)
    };
    if done.is_some() {
        Readdressed::Yes
    } else {
        Readdressed::No
    }
}

fn readdress_packet(
    engine: &Engine,
    vantage: Vantage,
    zone: ZoneId,
    frame: &mut [u8],
    headers: &Headers,
) -> Option<()> {
    let tuple = headers.tuple()?;
    let sessions = engine.sessions();
    let is_known =
        || sessions.find(&tuple).is_some() || sessions.expectations().matching(&tuple).is_some();
    if vantage == Vantage::Auto && is_known() {
        return None;
    }
    let far = engine.far_end(zone, &tuple)?;
    renumber(frame, headers, &far);
    translate(frame, headers, &far.tuple);
    Some(())
}

fn readdress_error(engine: &Engine, frame: &mut [u8], headers: &Headers) -> Option<()> {
    let about = quoted(frame, headers).ok()?;
    let (destination, inner) = engine.far_end_of_error(&about.tuple)?;
    translate_error(frame, headers, headers.source, destination, &about, &inner);
    Some(())
}
