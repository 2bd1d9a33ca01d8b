//! A segment of a connection in full swing: an ACK, with or without data, that lies
//! within the windows, none of which is shut, and says something new.
//!
//! What [`Connection::segment`](super::Connection::segment) would come to by way of the
//! state table and the whole window check, written down for this one case, on the packed
//! connection. Whatever is not this case is left to it.

use super::super::state::TcpState;
use super::connection::Life;
use super::packed::{
    ACK_KIND, HAS_ACK, HAS_STAMP, KIND, Packed, REPEATED, REPLY, SHIFT, UNACKNOWLEDGED,
};
use super::window::ACK_WINDOW;
use crate::net::{Direction, TcpFlags};
use crate::packet::{PlainOptions, PlainSegment};

/// Flags that begin or end something.
const NOT_IN_SWING: u8 = TcpFlags::SYN.0 | TcpFlags::FIN.0 | TcpFlags::RST.0;

impl Packed {
    /// Moves an established connection of which both ends have been heard on with a
    /// segment, and says how long it lives. `None`, and nothing changed: the segment is
    /// not the case described.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "measured: docs/performance.md")]
    pub(in crate::session) fn swing(
        &mut self,
        direction: Direction,
        segment: &PlainSegment,
        payload: u32,
        options: PlainOptions,
    ) -> Option<Life> {
        let PlainSegment {
            seq,
            ack,
            window,
            flags,
            ..
        } = *segment;
        let (sender, receiver) = match direction {
            Direction::Original => (&mut self.ends.original, &mut self.ends.reply),
            Direction::Reply => (&mut self.ends.reply, &mut self.ends.original),
        };
        let counted = flags.0 & (NOT_IN_SWING | TcpFlags::ACK.0);
        if self.state != TcpState::Established
            || counted != TcpFlags::ACK.0
            || window == 0
            || sender.max_window == 0
            || receiver.max_window == 0
            || sender.bits & HAS_ACK == 0
        {
            return None;
        }
        let end = seq.advance(payload);
        // How far it is from each bound, by the one that conntrack compares with: what lies
        // beyond one makes the sum of all bits negative, which is asked once.
        let before_end = sender.max_end.since(seq) | sender.max_end.since(end);
        let before_ack = receiver.end.since(ack);
        let behind_end = end.advance(receiver.max_window).since(sender.end);
        let behind_ack = ack
            .advance(sender.max_window.max(ACK_WINDOW))
            .since(receiver.end);
        let behind =
            behind_end | behind_end.wrapping_add(1) | behind_ack | behind_ack.wrapping_add(1);
        if before_end | before_ack | behind < 0 {
            return None;
        }
        let way = match direction {
            Direction::Original => 0,
            Direction::Reply => REPLY,
        };
        if (seq, ack, end, window, way)
            == (
                self.last_seq,
                self.last_ack,
                self.last_end,
                self.last_window,
                self.bits & REPLY,
            )
        {
            // The same once more: that is counted.
            return None;
        }
        let offered = u32::from(window) << (sender.bits & SHIFT);
        if offered > sender.max_window {
            sender.max_window = offered;
        }
        if let PlainOptions::Stamp(stamp) = options {
            sender.stamp = stamp;
            sender.bits |= HAS_STAMP;
        }
        if end.is_after(sender.end) {
            sender.end = end;
            sender.bits |= UNACKNOWLEDGED;
        }
        // Written in any case: which of the two it is, nobody can guess.
        sender.max_ack = match ack.is_after(sender.max_ack) {
            true => ack,
            false => sender.max_ack,
        };
        let may_send_to = ack.advance(offered);
        if may_send_to.since(receiver.max_end) > -1 {
            receiver.max_end = may_send_to;
        }
        if ack == receiver.end {
            receiver.bits &= !UNACKNOWLEDGED;
        }
        (self.last_seq, self.last_ack, self.last_end) = (seq, ack, end);
        self.last_window = window;
        self.bits = self.bits & !(KIND | REPLY) & ((1 << REPEATED) - 1) | ACK_KIND | way;
        Some(match (sender.bits | receiver.bits) & UNACKNOWLEDGED {
            0 => Life::OfState,
            _ => Life::Unacknowledged,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::connection::Verdict;
    use super::super::packed::tests::any_connection;
    use super::super::{Heard, PickUp, Resets, Segment, TcpChecks, Windows};
    use super::*;
    use crate::net::SeqNumber;
    use crate::packet::{TcpHeader, TcpOptions};

    /// A number near one of these, or any.
    fn near(all: Vec<u32>) -> impl Strategy<Value = u32> {
        let near = (
            prop::sample::select(all),
            prop_oneof![Just(0), -2..3i32, -90_000..90_000i32],
        );
        prop_oneof![
            8 => near.prop_map(|(base, by)| base.wrapping_add_signed(by)),
            1 => any::<u32>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn it_is_what_the_state_machine_and_the_window_check_come_to(
            (connection, seq, ack) in any_connection().prop_flat_map(|connection| {
                let (packed, _) = Packed::of(&connection);
                let numbers: Vec<u32> = [packed.ends.original, packed.ends.reply]
                    .iter()
                    .flat_map(|end| [end.end.0, end.max_end.0, end.max_ack.0])
                    .chain([packed.last_seq.0, packed.last_ack.0])
                    .collect();
                (Just(connection), near(numbers.clone()), near(numbers))
            }),
            window in prop_oneof![Just(0), any::<u16>()],
            flags in prop_oneof![8 => prop::sample::select(vec![0x10u8, 0x18, 0x30]), 1 => any::<u8>()],
            payload in prop_oneof![Just(0u32), 1..1500u32],
            stamp: Option<u32>,
            reply: bool,
            again: bool,
        ) {
            let direction = if reply { Direction::Reply } else { Direction::Original };
            let (mut packed, passed_syn) = Packed::of(&connection);
            let (seq, ack, window) = match again {
                true => (packed.last_seq.0, packed.last_ack.0, packed.last_window),
                false => (seq, ack, window),
            };
            let plain = PlainSegment {
                seq: SeqNumber(seq),
                ack: SeqNumber(ack),
                window,
                flags: TcpFlags(flags),
            };
            let options = stamp.map_or(PlainOptions::None, PlainOptions::Stamp);
            let before = packed;
            let Some(life) = packed.swing(direction, &plain, payload, options) else {
                prop_assert_eq!(packed, before, "it is not its case, and changes something");
                return Ok(());
            };
            let header = TcpHeader {
                source: crate::net::Port(1),
                destination: crate::net::Port(2),
                seq: plain.seq,
                ack: plain.ack,
                flags: plain.flags,
                window,
                length: if stamp.is_some() { 32 } else { 20 },
                payload: payload as usize,
            };
            let mut written = vec![0; 20];
            if let Some(stamp) = stamp {
                written.extend([1, 1, 8, 10]);
                written.extend(stamp.to_be_bytes());
                written.extend([0; 4]);
            }
            let segment = Segment::of(&header, TcpOptions::read(&written), |ack| ack).unwrap();
            let checks = TcpChecks {
                pick_up: PickUp::Never,
                windows: Windows::Strict,
                resets: Resets::Checked,
            };
            let verdict = connection.segment(direction, &segment, Heard::Assured, checks);
            let Verdict::Belongs(next, lives) = verdict else {
                panic!("{verdict:?} in place of {life:?}");
            };
            prop_assert_eq!(life, lives);
            prop_assert_eq!(packed.connection(passed_syn), next);
        }
    }
}
