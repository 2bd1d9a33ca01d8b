//! What a source can give that a file does not: moments without a packet, and packets that
//! were several on their link.

use std::convert::Infallible;
use std::num::NonZeroU16;
use std::path::Path;
use std::sync::Arc;

use spigate::capture::{self, CapturedPacket, Entry, Feed, LinkLength, LinkType, Merged, Next};
use spigate::capture::{PacketReport, Repair, Sink, Vantage};
use spigate::engine::{Checksums, Ending, Engine, Event, Made, Options};
use spigate::net::Timestamp;

use crate::common::OFFICE;
use crate::packets::{NINE, udp};

/// Writes down what it is told of.
#[derive(Default)]
struct Heard(Vec<String>);

impl Sink for Heard {
    type Error = Infallible;

    fn event(&mut self, _: &Engine, event: &Event, _: &[Made]) -> Result<(), Infallible> {
        if let Event::Ended {
            ending: Ending::Expired,
            session,
            ..
        } = event
        {
            self.0.push(format!("{} expired", session.id));
        }
        Ok(())
    }

    fn packet(&mut self, _: &Engine, report: &PacketReport<'_>) -> Result<(), Infallible> {
        let (verdict, reason) = (report.judgement.verdict, report.judgement.reason);
        self.0
            .push(format!("{} {} {reason}", report.number, verdict.name()));
        Ok(())
    }

    fn pause(&mut self, now: Timestamp) -> Result<(), Infallible> {
        let second = now.since(Timestamp::from_secs(NINE)).as_secs();
        self.0.push(format!("pause at {second}"));
        Ok(())
    }
}

/// A question of so many octets to a name server, at this second.
fn question(second: u64, octets: usize) -> Next {
    let mut data = udp("10.0.0.7:5353", "198.51.100.21:53", &vec![0; octets]);
    data[6] |= 0x40; // not to be cut on its way
    Next::Packet(Merged {
        file: 0,
        packet: CapturedPacket {
            time: Timestamp::from_secs(NINE + second),
            link: LinkType::Raw,
            original_length: u32::try_from(data.len()).unwrap(),
            data,
            offset: 0,
        },
    })
}

fn moment(second: u64) -> Next {
    Next::Time(Timestamp::from_secs(NINE + second))
}

fn heard(source: Vec<Next>, length: LinkLength) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(OFFICE);
    let compiled = spigate::config::load(&path).unwrap();
    let options = Options {
        seed: 0,
        checksums: Checksums::Verify,
    };
    let mut policy = compiled.policy.clone();
    let wan = policy.zones.by_name("wan").unwrap();
    policy.zones.set_mtu(wan, 1500);
    let policy = Arc::new(policy);
    let mut engine = Engine::new(policy, options, Timestamp::EPOCH);
    let feed = Feed {
        entry: Entry::BySource,
        vantage: Vantage::Auto,
        length,
    };
    let mut heard = Heard::default();
    let source = source.into_iter().map(Ok::<_, Infallible>);
    capture::replay(&mut engine, source, &[feed], Repair::Yes, &mut heard).unwrap();
    heard.0
}

#[test]
fn sessions_expire_while_nothing_comes() {
    let source = vec![question(0, 8), moment(1), moment(60), question(61, 8)];
    assert_eq!(
        heard(source, LinkLength::AsTheyAre),
        [
            "1 forward rule",
            "pause at 1",
            "1 expired",
            "pause at 60",
            "2 forward rule"
        ]
    );
}

#[test]
fn what_offloads_put_together_is_judged_as_what_it_was() {
    let most = |octets| LinkLength::AtMost(NonZeroU16::new(octets).unwrap());
    let judged = |length| heard(vec![question(0, 4000)], length);
    assert_eq!(judged(most(1500)), ["1 forward rule"]);
    // On a link with room for it, it was one packet: too long for the device outside.
    for length in [LinkLength::AsTheyAre, most(9000)] {
        assert_eq!(judged(length), ["1 reject packet-too-big"]);
    }
}
