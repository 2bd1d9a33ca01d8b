//! A TCP connection through the firewall whose two ends keep their own
//! numbers, each from what it sees itself. That the streams fit together at
//! both ends is asserted with every segment.

use super::lab::{Lab, Sent};
use super::packets::{Packet, tcp};
use super::seen::Seen;

/// One end, with its own view of the connection.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) zone: &'static str,
    pub(crate) own: String,
    pub(crate) peer: String,
    /// The number of the next octet that it sends.
    pub(crate) next: u32,
    /// The number of the next octet that it awaits.
    pub(crate) awaits: u32,
}

impl End {
    /// A segment of it, here and now, with ACK.
    pub(crate) fn segment(&self) -> Packet {
        tcp(&self.own, &self.peer).seq(self.next).ack(self.awaits)
    }

    fn hears(&mut self, seen: &Seen) {
        let header = seen.tcp();
        assert_eq!(seen.source, self.peer, "who speaks");
        assert_eq!(seen.destination, self.own, "to whom");
        assert_eq!(header.sequence_number, self.awaits, "the stream has a hole");
        assert_eq!(header.acknowledgment_number, self.next, "the ends disagree");
        self.awaits = self
            .awaits
            .wrapping_add(u32::try_from(seen.text().len()).unwrap());
    }
}

/// An established connection.
#[derive(Debug, Clone)]
pub(crate) struct Dialogue {
    pub(crate) client: End,
    pub(crate) server: End,
}

/// The first octets of both streams.
pub(crate) const CLIENT_ISN: u32 = 1000;
pub(crate) const SERVER_ISN: u32 = 5000;

impl Dialogue {
    /// Shakes hands: `client` in its zone with `server`, by whatever address
    /// the client knows it.
    pub(crate) fn open(
        lab: &mut Lab,
        at: f64,
        (client_zone, client): (&'static str, &str),
        server: &str,
    ) -> Self {
        let syn = tcp(client, server).syn().seq(CLIENT_ISN);
        let (server_zone, seen) = forwarded(lab.at(at).from(client_zone).send(syn));
        let mut dialogue = Self {
            client: End {
                zone: client_zone,
                own: client.into(),
                peer: server.into(),
                next: CLIENT_ISN.wrapping_add(1),
                awaits: SERVER_ISN.wrapping_add(1),
            },
            server: End {
                zone: server_zone,
                own: seen.destination,
                peer: seen.source,
                next: SERVER_ISN,
                awaits: CLIENT_ISN.wrapping_add(1),
            },
        };
        let syn_ack = dialogue.server.segment().syn();
        let (zone, seen) = forwarded(lab.at(at).from(server_zone).send(syn_ack));
        assert_eq!(zone, client_zone);
        assert_eq!(
            (seen.source, seen.destination),
            (server.into(), client.into())
        );
        dialogue.server.next = SERVER_ISN.wrapping_add(1);
        dialogue.client_says(lab, at, "");
        dialogue
    }

    /// Shakes hands, and has the client log in: from here on FTP may announce.
    pub(crate) fn ftp(lab: &mut Lab, at: f64, client: (&'static str, &str), server: &str) -> Self {
        let mut dialogue = Self::open(lab, at, client, server);
        dialogue.logs_in(lab, at);
        dialogue
    }

    /// The server greets, and lets the client in.
    pub(crate) fn logs_in(&mut self, lab: &mut Lab, at: f64) {
        self.server_says(lab, at, "220 ready\r\n");
        self.client_says(lab, at, "USER anonymous\r\n");
        self.server_says(lab, at, "331 and?\r\n");
        self.client_says(lab, at, "PASS guest\r\n");
        self.server_says(lab, at, "230 welcome\r\n");
        self.client_says(lab, at, "");
    }

    /// The client says where it awaits a data session, and the server takes it;
    /// gives what the server hears.
    pub(crate) fn announces(&mut self, lab: &mut Lab, at: f64, line: &str) -> String {
        let heard = self.client_says(lab, at, line);
        self.server_says(lab, at, "200 fine\r\n");
        self.client_says(lab, at, "");
        heard
    }

    /// The client says something; gives what the server hears.
    pub(crate) fn client_says(&mut self, lab: &mut Lab, at: f64, text: &str) -> String {
        says(lab, at, &mut self.client, &mut self.server, text)
    }

    /// The server says something; gives what the client hears.
    pub(crate) fn server_says(&mut self, lab: &mut Lab, at: f64, text: &str) -> String {
        says(lab, at, &mut self.server, &mut self.client, text)
    }
}

fn says(lab: &mut Lab, at: f64, speaker: &mut End, listener: &mut End, text: &str) -> String {
    let segment = speaker.segment().psh().data(text);
    let (zone, seen) = forwarded(lab.at(at).from(speaker.zone).send(segment));
    assert_eq!(zone, listener.zone);
    listener.hears(&seen);
    speaker.next = speaker
        .next
        .wrapping_add(u32::try_from(text.len()).unwrap());
    seen.text()
}

/// What left, and by which zone.
///
/// # Panics
/// When it did not.
pub(crate) fn forwarded(sent: Sent) -> (&'static str, Seen) {
    let judgement = sent.judgement;
    sent.forwarded
        .unwrap_or_else(|| panic!("not forwarded: {judgement:?}"))
}
