//! The driver: packets that were captured, or are heard, in; the engine's answers out, with
//! the packets' time for clock.

use std::num::NonZeroU16;

use super::link::strip_link;
use super::merge::Merged;
use super::vantage::{Readdressed, Vantage, readdress};
use crate::engine::{
    Arrival, Engine, Event, Extent, Judgement, Made, Observer, Output, Reason, Step, Verdict,
};
use crate::net::{Timestamp, ZoneId};
use crate::packet::{Headers, SegmentSize, Transport, repair_checksums};

/// By which zone the packets of a file enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// All by this one.
    Zone(ZoneId),
    /// Each by the zone that holds its source address.
    BySource,
}

/// How long the packets of a source were on their link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkLength {
    /// As long as they are.
    AsTheyAre,
    /// No longer than this: a longer one of TCP or UDP was put together of several on
    /// arrival, or is yet to be cut by the hardware.
    AtMost(NonZeroU16),
}

/// One captured file of a replay, or one interface that is listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Feed {
    /// By which zone its packets enter.
    pub entry: Entry,
    /// From where it was taken.
    pub vantage: Vantage,
    /// How long its packets were.
    pub length: LinkLength,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A packet.
    Packet(Merged),
    /// Nothing but time: it is this moment now.
    Time(Timestamp),
}

impl From<Merged> for Next {
    fn from(merged: Merged) -> Self {
        Self::Packet(merged)
    }
}

/// What is done about checksums before the engine sees a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Repair {
    /// Nothing.
    No,
    /// All are computed anew.
    Yes,
}

/// One packet of a replay and what came of it.
#[derive(Debug)]
pub struct PacketReport<'a> {
    /// Its number over all files, from 1.
    pub number: u64,
    /// When it was captured.
    pub time: Timestamp,
    /// The zone that it entered by, where it has one.
    pub zone: Option<ZoneId>,
    /// What came of it.
    pub judgement: Judgement,
    /// Whether it was re-addressed for its vantage.
    pub readdressed: Readdressed,
    /// Whether the capture cut it.
    pub extent: Extent,
    /// The packet as it came to the engine; empty unless the sink
    /// [wants it](Sink::wants_arrivals).
    pub arrived: &'a [u8],
    /// The packet as it leaves; as it came where it does not leave.
    pub frame: &'a [u8],
    /// Where it leaves in pieces: those behind the first, which is `frame`.
    pub more: &'a [Vec<u8>],
    /// What the gateway itself sent because of it.
    pub made: &'a [Made],
}

impl PacketReport<'_> {
    /// All packets that left because of this one, in order, each with its
    /// zone and its length on the wire.
    pub fn sent(&self) -> impl Iterator<Item = (ZoneId, &[u8], usize)> {
        let forwarded = match self.judgement.verdict {
            Verdict::Forward(zone) => {
                let whole = Headers::read(self.frame, self.extent == Extent::Cut);
                let length = whole.map_or(self.frame.len(), |headers| headers.length);
                Some((zone, self.frame, length))
            }
            Verdict::Hold
            | Verdict::Drop
            | Verdict::Reject
            | Verdict::Answer
            | Verdict::Elsewhere(_) => None,
        };
        let made = self
            .made
            .iter()
            .map(|made| (made.zone, made.bytes.as_slice(), made.bytes.len()));
        let more = forwarded.into_iter().flat_map(|(zone, ..)| {
            let more = self.more.iter();
            more.map(move |piece| (zone, piece.as_slice(), piece.len()))
        });
        forwarded.into_iter().chain(more).chain(made)
    }
}

/// Somebody who wants to know what a replay gives.
pub trait Sink {
    /// Why it cannot take any more.
    type Error;

    /// Whether it wants to see each packet as it came, too: a copy of it.
    fn wants_arrivals(&self) -> bool {
        false
    }

    /// Whether it wants to hear the steps of deciding: then every packet goes the whole
    /// way, which takes longer.
    fn wants_steps(&self) -> bool {
        false
    }

    /// One step of deciding about the packet to come.
    fn step(&mut self, _: Step<'_>) {}

    /// Something that happened because of time alone, or that a session began
    /// or was replaced; comes before the packet in whose time it fell. `made` is
    /// what the gateway sent because of it.
    ///
    /// # Errors
    /// It cannot take any more; the replay ends.
    fn event(&mut self, engine: &Engine, event: &Event, made: &[Made]) -> Result<(), Self::Error>;

    /// A packet.
    ///
    /// # Errors
    /// It cannot take any more; the replay ends.
    fn packet(&mut self, engine: &Engine, report: &PacketReport<'_>) -> Result<(), Self::Error>;

    /// Time passes, also where no packet comes: whoever keeps something back may let go
    /// of it. Files give no such moments.
    ///
    /// # Errors
    /// It cannot take any more; the replay ends.
    fn pause(&mut self, _now: Timestamp) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// A sink that hears the steps of deciding.
struct Listener<'a, S>(&'a mut S);

impl<S: Sink> Observer for Listener<'_, S> {
    #[inline]
    fn step(&mut self, step: Step<'_>) {
        self.0.step(step);
    }

    #[inline]
    fn listens(&self) -> bool {
        self.0.wants_steps()
    }
}

/// Why a replay ended early.
#[derive(Debug)]
pub enum Stopped<C, E> {
    /// The source of packets is damaged, or gone; all packets before that were replayed.
    Source(C),
    /// The sink takes no more.
    Sink(E),
}

/// Replays what comes through the engine; `feeds` says of each file or interface, by its
/// place, how its packets enter.
///
/// # Errors
/// Where it ended early. What came before was replayed and reported.
pub fn replay<N: Into<Next>, C, S: Sink>(
    engine: &mut Engine,
    source: impl Iterator<Item = Result<N, C>>,
    feeds: &[Feed],
    repair: Repair,
    sink: &mut S,
) -> Result<(), Stopped<C, S::Error>> {
    let mut out = Output::default();
    let mut frame = Vec::new();
    let mut arrived = Vec::new();
    let mut number = 0;
    for next in source {
        let Merged { file, packet } = match next.map_err(Stopped::Source)?.into() {
            Next::Packet(merged) => merged,
            Next::Time(now) => {
                out.clear();
                while engine.expire(now, &mut out).is_left() {}
                tell_events(engine, &out, sink).map_err(Stopped::Sink)?;
                sink.pause(now).map_err(Stopped::Sink)?;
                continue;
            }
        };
        number += 1;
        let feed = feeds.get(file).copied().unwrap_or(Feed {
            entry: Entry::BySource,
            vantage: Vantage::Auto,
            length: LinkLength::AsTheyAre,
        });
        out.clear();
        frame.clear();
        arrived.clear();
        // What follows looks at sessions: those that are over must be gone.
        while engine.expire(packet.time, &mut out).is_left() {}
        let (entered, extent) = match strip_link(packet.link, &packet.data, packet.original_length)
        {
            Err(_) => (Err(Reason::NotIp), Extent::Whole),
            Ok(ip) => {
                frame.extend_from_slice(ip.bytes);
                (
                    enter(engine, feed, ip.extent, &mut frame, repair),
                    ip.extent,
                )
            }
        };
        let (zone, readdressed, judgement) = match entered {
            Err(reason) => (None, Readdressed::No, engine.turn_away(reason)),
            Ok((arrival, readdressed)) => {
                if sink.wants_arrivals() {
                    arrived.extend_from_slice(&frame);
                }
                let mut listener = Listener(&mut *sink);
                let judgement =
                    engine.packet(packet.time, arrival, &mut frame, &mut out, &mut listener);
                (Some(arrival.zone), readdressed, judgement)
            }
        };
        let made = tell_events(engine, &out, sink).map_err(Stopped::Sink)?;
        let report = PacketReport {
            number,
            time: packet.time,
            zone,
            judgement,
            readdressed,
            extent,
            arrived: &arrived,
            frame: &frame,
            more: &out.more,
            made,
        };
        sink.packet(engine, &report).map_err(Stopped::Sink)?;
    }
    Ok(())
}

/// Tells the sink what happened, and gives what the gateway sent because of none of it.
fn tell_events<'o, S: Sink>(
    engine: &Engine,
    out: &'o Output,
    sink: &mut S,
) -> Result<&'o [Made], S::Error> {
    let mut made = out.made.as_slice();
    for event in &out.events {
        let (own, rest) = made.split_at(event.packets().min(made.len()));
        sink.event(engine, event, own)?;
        made = rest;
    }
    Ok(made)
}

/// Brings a packet to the gateway: its zone, its checksums, its addresses.
fn enter(
    engine: &Engine,
    feed: Feed,
    extent: Extent,
    frame: &mut [u8],
    repair: Repair,
) -> Result<(Arrival, Readdressed), Reason> {
    // A packet that cannot be read enters somewhere all the same, so that the
    // engine names what is wrong with it.
    let headers = Headers::read(frame, extent == Extent::Cut).ok();
    let zones = &engine.policy().zones;
    let zone = match (feed.entry, headers) {
        (Entry::Zone(zone), _) => zone,
        (Entry::BySource, Some(headers)) => zones.holding(headers.source).ok_or(Reason::NoZone)?,
        (Entry::BySource, None) => zones
            .iter()
            .next()
            .map(|(zone, _)| zone)
            .ok_or(Reason::NoZone)?,
    };
    let arrival = Arrival {
        extent,
        segments: headers.and_then(|headers| segments(feed.length, &headers)),
        ..Arrival::whole(zone)
    };
    let Some(headers) = headers else {
        return Ok((arrival, Readdressed::No));
    };
    if repair == Repair::Yes {
        repair_checksums(frame, &headers);
    }
    let readdressed = readdress(engine, feed.vantage, zone, frame, &headers);
    Ok((arrival, readdressed))
}

/// Into how long segments a packet was cut on its link, where it was.
fn segments(length: LinkLength, headers: &Headers) -> Option<SegmentSize> {
    let LinkLength::AtMost(most) = length else {
        return None;
    };
    let header = headers.transport_at
        + match headers.transport {
            Transport::Tcp(tcp) => tcp.length,
            Transport::Udp(..) => 8,
            _ => return None,
        };
    if headers.length <= usize::from(most.get()) {
        return None;
    }
    let payload = most.get().checked_sub(u16::try_from(header).ok()?)?;
    NonZeroU16::new(payload).map(SegmentSize)
}
