//! What a subject's script is made of.

use std::net::SocketAddr;
use std::time::Duration;

use super::packets::{Packet, hex};
use super::router::Zone;

/// One line of a script.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A packet goes through both.
    Send(Sent),
    /// Both tables have to be the same now, not only in the end.
    Compare,
    /// Time passes, for both, until it is so long since the start.
    Until(Duration),
}

/// A packet as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) zone: Zone,
    pub(crate) bytes: Vec<u8>,
    /// What it is, for the reader of a difference.
    pub(crate) told: String,
    /// Of which conversation: its client's port, or its identifier.
    pub(crate) talk: u16,
    /// It answers this client, and names the client's own port where it
    /// should name the one that a gateway chose: each gets it with its own.
    pub(crate) answers: Option<SocketAddr>,
}

impl Sent {
    pub(crate) fn new(zone: Zone, talk: u16, bytes: Vec<u8>, told: impl Into<String>) -> Self {
        Self {
            zone,
            bytes,
            told: told.into(),
            talk,
            answers: None,
        }
    }

    pub(crate) fn shown(&self) -> String {
        let shown = &self.bytes[..self.bytes.len().min(100)];
        format!("{} {}  {}", self.zone.name(), self.told, hex(shown))
    }
}

impl From<Sent> for Step {
    fn from(sent: Sent) -> Self {
        Self::Send(sent)
    }
}

/// A packet of the conversations in `scenario.rs`.
impl From<(Zone, Packet)> for Step {
    fn from((zone, packet): (Zone, Packet)) -> Self {
        let talk = packet.from.port().max(packet.to.port());
        let told = packet.to_string();
        Self::Send(Sent::new(zone, talk, packet.bytes(), told))
    }
}
