//! The window check: does a segment fit what both ends have said so far?
//!
//! Follows `tcp_in_window` of `nf_conntrack_proto_tcp.c`, which rests on Guido
//! van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2000). With
//! what each end has sent (`end`), may send (`max_end`) and has offered
//! (`max_window`), a segment must lie
//!
//! ```text
//!  I   seq <= sender.max_end                                  not beyond the other end's window
//!  II  end >= sender.end - receiver.max_window                not older than that window
//!  III ack <= receiver.end                                    nothing acknowledged that was not sent
//!  IV  ack >= receiver.end - max(66000, sender.max_window)    nor something long past
//! ```

use serde::{Deserialize, Serialize};

use super::super::state::TcpState;
use super::segment::Segment;
use crate::net::{Direction, PerDirection, SeqNumber, TcpFlags};

/// The least span within which an acknowledgement may be late
/// (`MAXACKWINCONST`).
pub(super) const ACK_WINDOW: u32 = 66_000;

/// What one end has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct End {
    /// Behind the last number that it sent.
    pub(super) end: SeqNumber,
    /// Behind the last number that the other end would take.
    pub(super) max_end: SeqNumber,
    /// The largest window that it offered, scaled; zero: nothing seen of it.
    pub(super) max_window: u32,
    /// The furthest that it acknowledged, if it did.
    pub(super) max_ack: Option<SeqNumber>,
    /// How it would scale its windows (RFC 7323), if it said so.
    pub(super) scale: Option<u8>,
    /// How its windows are scaled.
    pub(super) shift: u8,
    /// What its options said of selective acknowledgements (RFC 2018).
    pub(super) sack: Sack,
    /// Whether all that it sent is acknowledged.
    pub(super) sent: Sent,
    /// Whether its windows may be checked.
    pub(super) check: Check,
    /// Whether it was the first to close.
    pub(super) closing: Closing,
    /// The last time stamp that it sent (RFC 7323 section 3).
    pub(super) stamp: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Sack {
    #[default]
    NotPermitted,
    Permitted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Sent {
    #[default]
    Acknowledged,
    Unacknowledged,
}

/// Whether window violations count against an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Check {
    #[default]
    Strict,
    /// Picked up from the middle: its scaling is not known.
    Liberal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum Closing {
    #[default]
    No,
    Initiated,
}

/// What the window check says of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It fits.
    InWindow,
    /// It passes, but says nothing: old data again, an old acknowledgement, or
    /// a little more than the window allows.
    Ignored,
    /// It does not fit, and belongs all the same, because windows do not count
    /// here. It says nothing.
    Tolerated,
    /// It fits nothing that was said.
    OutOfWindow,
}

impl End {
    /// What an end shows with a segment from the middle: its scaling is not
    /// known, so it is not held against it.
    pub(super) fn of_middle(segment: &Segment) -> Self {
        let window = u32::from(segment.window).max(1);
        Self {
            end: segment.end,
            max_end: segment.end.advance(window),
            max_window: window,
            ..Self::unseen_of_middle()
        }
    }

    /// The other end of a session from the middle.
    pub(super) fn unseen_of_middle() -> Self {
        Self {
            sack: Sack::Permitted,
            check: Check::Liberal,
            ..Self::default()
        }
    }

    /// Takes a SYN's number, window and options (`tcp_options`).
    fn synchronize(&mut self, segment: &Segment) {
        self.end = segment.end;
        self.max_end = segment.end;
        self.max_window = u32::from(segment.window).max(1);
        self.take_options(segment);
    }

    /// Takes what a SYN's options say. One without any leaves what an earlier
    /// one said, as in conntrack.
    pub(super) fn take_options(&mut self, segment: &Segment) {
        if segment.options.are_absent() {
            return;
        }
        self.scale = segment.options.window_scale();
        self.shift = self.scale.unwrap_or(0);
        self.sack = if segment.options.permits_sack() {
            Sack::Permitted
        } else {
            Sack::NotPermitted
        };
        self.sent = Sent::Acknowledged;
        self.max_ack = None;
        self.closing = Closing::No;
    }

    /// How late an acknowledgement of this end may be (`MAXACKWINDOW`).
    fn ack_window(&self) -> u32 {
        self.max_window.max(ACK_WINDOW)
    }
}

/// What both ends show with the SYN that begins a session: what the [`check`] would take
/// from it, which cannot fail.
#[inline]
pub(super) fn of_syn(segment: &Segment) -> PerDirection<End> {
    let mut original = End {
        stamp: segment.options.time_stamp(),
        ..End::default()
    };
    original.synchronize(segment);
    PerDirection {
        original,
        reply: End {
            // A closed window may be probed by one octet.
            max_end: SeqNumber(0).advance(original.max_window),
            ..End::default()
        },
    }
}

/// Both sides must announce scaling for either to use it (RFC 7323 section 2.2).
fn init_sender(ends: &mut PerDirection<End>, direction: Direction, segment: &Segment) {
    ends[direction].synchronize(segment);
    if direction == Direction::Reply
        && (ends.original.scale.is_none() || ends.reply.scale.is_none())
    {
        ends.original.shift = 0;
        ends.reply.shift = 0;
    }
}

/// Checks a segment, and takes from it what it says. Where the check fails,
/// what `ends` then holds is to be thrown away.
pub(super) fn check(
    ends: &mut PerDirection<End>,
    state: TcpState,
    direction: Direction,
    segment: &Segment,
    liberal: Check,
) -> Fit {
    let is_syn = segment.flags.has(TcpFlags::SYN);
    let has_ack = segment.flags.has(TcpFlags::ACK);
    let Segment {
        mut seq,
        mut end,
        mut ack,
        ..
    } = *segment;
    let mut sack = match ends[!direction].sack {
        Sack::Permitted => segment.sack,
        Sack::NotPermitted => ack,
    };
    if ends[direction].max_window == 0 {
        if is_syn {
            init_sender(ends, direction, segment);
            if !has_ack {
                return Fit::InWindow; // simultaneous open
            }
        } else {
            first_from_the_middle(ends, direction, segment, sack);
        }
    } else if is_syn
        && end.is_after(ends[direction].end)
        && matches!(state, TcpState::SynSent | TcpState::SynRecv)
    {
        // RFC 9293 section 3.4.3: begun anew with a larger number.
        init_sender(ends, direction, segment);
        if direction == Direction::Reply && !has_ack {
            return Fit::InWindow;
        }
    }
    let receiver = ends[!direction];
    // Without ACK nothing is claimed. Some stacks set ACK with zero in an RST.
    if !has_ack || (segment.flags.has(TcpFlags::RST) && segment.raw_ack == SeqNumber(0)) {
        ack = receiver.end;
        sack = receiver.end;
    }
    let sender = &mut ends[direction];
    if segment.flags.has(TcpFlags::RST) && seq == SeqNumber(0) && state == TcpState::SynSent {
        // The answer to a SYN (RFC 9293 section 3.10.7.1).
        seq = sender.end;
        end = sender.end;
    }
    let strict = (sender.check, liberal) == (Check::Strict, Check::Strict);

    let oldest_ack = SeqNumber(receiver.end.0.wrapping_sub(sender.ack_window())).shift(-1);
    let oldest_end = SeqNumber(sender.end.0.wrapping_sub(receiver.max_window)).shift(-1);
    let mut fit = Fit::InWindow;
    if seq.is_after(sender.max_end) {
        // I. A stack that sends a little more than it may: its data passes,
        // and the acknowledgement of it must not be taken for a forgery.
        let overshot = end.0.wrapping_sub(sender.max_end.0).wrapping_add(1);
        let only_that = receiver.max_window != 0
            && end.is_after(oldest_end)
            && sack.is_after(oldest_ack)
            && overshot <= receiver.max_window
            && !sack.is_after(receiver.end);
        if only_that {
            sender.end = end;
            sender.sent = Sent::Unacknowledged;
        }
        fit = if only_that {
            Fit::Ignored
        } else {
            Fit::OutOfWindow
        };
    } else if sack.is_after(receiver.end) {
        fit = Fit::OutOfWindow; // III
    } else if receiver.max_window != 0 && !end.is_after(oldest_end) {
        fit = Fit::Ignored; // II
    } else if !sack.is_after(oldest_ack) {
        fit = Fit::Ignored; // IV
    }
    if fit != Fit::InWindow {
        return if strict { fit } else { Fit::Tolerated };
    }
    let numbers = Numbers { end, ack, sack };
    learn(ends, direction, segment, numbers);
    Fit::InWindow
}

/// An end whose beginning was not seen speaks for the first time.
fn first_from_the_middle(
    ends: &mut PerDirection<End>,
    direction: Direction,
    segment: &Segment,
    sack: SeqNumber,
) {
    let sender = &mut ends[direction];
    let window = u32::from(segment.window) << sender.shift;
    sender.end = segment.end;
    sender.max_window = window.max(1);
    sender.max_end = segment.end.advance(sender.max_window);
    let receiver = &mut ends[!direction];
    if receiver.max_window == 0 {
        receiver.end = sack;
        receiver.max_end = sack;
    } else if sack == receiver.end.advance(1) {
        // The answer to a keep-alive, most likely.
        receiver.end = receiver.end.advance(1);
    }
}

/// The numbers of a segment as the check took them.
#[derive(Clone, Copy)]
struct Numbers {
    end: SeqNumber,
    ack: SeqNumber,
    sack: SeqNumber,
}

/// Takes from a segment that fits what it says about both ends.
fn learn(ends: &mut PerDirection<End>, direction: Direction, segment: &Segment, n: Numbers) {
    let sender = &mut ends[direction];
    // A SYN's own window is never scaled (RFC 7323 section 2.2).
    let shift = if segment.flags.has(TcpFlags::SYN) {
        0
    } else {
        sender.shift
    };
    let window = u32::from(segment.window) << shift;
    let offered = window.wrapping_add(n.sack.0.wrapping_sub(n.ack.0));
    sender.max_window = sender.max_window.max(offered);
    sender.stamp = segment.options.time_stamp().or(sender.stamp);
    if n.end.is_after(sender.end) {
        sender.end = n.end;
        sender.sent = Sent::Unacknowledged;
    }
    if segment.flags.has(TcpFlags::ACK)
        && sender
            .max_ack
            .is_none_or(|furthest| n.ack.is_after(furthest))
    {
        sender.max_ack = Some(n.ack);
    }
    let beyond = n.end.since(sender.max_end);
    let receiver = &mut ends[!direction];
    if receiver.max_window != 0 && beyond > 0 {
        receiver.max_window = receiver.max_window.wrapping_add(beyond.unsigned_abs());
    }
    let may_send_to = n.sack.advance(window);
    if may_send_to.since(receiver.max_end) > -1 {
        // A closed window may be probed by one octet (RFC 9293 section 3.8.6.1).
        receiver.max_end = may_send_to.advance(u32::from(window == 0));
    }
    if n.ack == receiver.end {
        receiver.sent = Sent::Acknowledged;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::Port;
    use crate::packet::{TcpHeader, TcpOptions};

    proptest! {
        #[test]
        fn the_first_syn_shows_what_the_check_takes_from_it(
            (seq, ack, stamp) in any::<(u32, u32, u32)>(),
            window in prop_oneof![Just(0u16), any::<u16>()],
            scale in 0u8..20,
            options in 0usize..6,
            payload in 0usize..1500,
        ) {
            let tcp = TcpHeader {
                source: Port(1),
                destination: Port(2),
                seq: SeqNumber(seq),
                ack: SeqNumber(ack),
                flags: TcpFlags::SYN,
                window,
                length: 40,
                payload,
            };
            let [a, b, c, d] = stamp.to_be_bytes();
            let mut header = [1; 40];
            header[20..36].copy_from_slice(&[4, 2, 8, 10, a, b, c, d, 0, 0, 0, 0, 1, 3, 3, scale]);
            let header = &header[..[20, 22, 32, 36, 40, 40][options]];
            let segment = Segment::of(&tcp, TcpOptions::read(header), |ack| ack).unwrap();
            let mut original = End::default();
            original.synchronize(&segment);
            let mut ends = PerDirection { original, reply: End::default() };
            let (state, direction) = (TcpState::SynSent, Direction::Original);
            let fit = check(&mut ends, state, direction, &segment, Check::Liberal);
            prop_assert_eq!(fit, Fit::InWindow);
            prop_assert_eq!(of_syn(&segment), ends);
        }
    }
}
