//! How many lines a second are told to somebody who reads along.

use std::time::Duration;

use crate::net::Timestamp;

const WINDOW: Duration = Duration::from_secs(1);

/// Lets so many lines by in a second, and counts the others.
#[derive(Debug)]
pub(super) struct Throttle {
    most: u32,
    /// When the second began.
    began: Timestamp,
    said: u32,
    withheld: u64,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is told.
    Speak,
    /// It is counted.
    Withhold,
}

impl Throttle {
    pub(super) fn new(most: u32) -> Self {
        Self {
            most,
            began: Timestamp::EPOCH,
            said: 0,
            withheld: 0,
        }
    }

    /// How many lines were withheld in a second that is over by now; each is told of once,
    /// and before the next line.
    pub(super) fn withheld_until(&mut self, now: Timestamp) -> Option<u64> {
        if now.since(self.began) < WINDOW {
            return None;
        }
        self.began = now;
        self.said = 0;
        self.rest()
    }

    /// How many lines were withheld and not told of, at the end.
    pub(super) fn rest(&mut self) -> Option<u64> {
        let withheld = std::mem::take(&mut self.withheld);
        (withheld > 0).then_some(withheld)
    }

    /// Whether one more line may be told in this second.
    pub(super) fn turn(&mut self) -> Turn {
        if self.said < self.most {
            self.said += 1;
            return Turn::Speak;
        }
        self.withheld += 1;
        Turn::Withhold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(1_772_355_600_000_000 + millis * 1000)
    }

    /// What becomes of so many lines at once.
    fn lines(throttle: &mut Throttle, number: u32) -> u32 {
        let turns = (0..number).map(|_| throttle.turn());
        u32::try_from(turns.filter(|turn| *turn == Turn::Speak).count()).unwrap()
    }

    #[test]
    fn a_flood_is_told_by_so_many_lines_a_second_and_the_number_of_the_others() {
        let mut throttle = Throttle::new(3);
        assert_eq!(throttle.withheld_until(at(0)), None);
        assert_eq!(lines(&mut throttle, 10), 3);
        assert_eq!(throttle.withheld_until(at(999)), None);
        assert_eq!(lines(&mut throttle, 5), 0);
        assert_eq!(throttle.withheld_until(at(1000)), Some(12));
        assert_eq!(throttle.withheld_until(at(1000)), None);
        assert_eq!(lines(&mut throttle, 4), 3);
        assert_eq!(throttle.rest(), Some(1));
        assert_eq!(throttle.rest(), None);
    }

    #[test]
    fn few_lines_are_all_told() {
        let mut throttle = Throttle::new(3);
        for second in 0..10 {
            assert_eq!(throttle.withheld_until(at(second * 1000)), None);
            assert_eq!(lines(&mut throttle, 3), 3);
        }
    }

    #[test]
    fn a_packet_from_before_opens_no_second() {
        let mut throttle = Throttle::new(1);
        assert_eq!(throttle.withheld_until(at(5000)), None);
        assert_eq!(lines(&mut throttle, 2), 1);
        assert_eq!(throttle.withheld_until(at(0)), None);
        assert_eq!(lines(&mut throttle, 1), 0);
        assert_eq!(throttle.withheld_until(at(6000)), Some(2));
    }
}
