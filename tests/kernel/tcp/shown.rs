//! The `refused-` differences shown on both sides: what `docs/kernel-parity.md`
//! says of the kernel is true of the kernel.

use spigate::expression::PacketExpression;

use super::super::compare::{Ours, both};
use super::super::router::Zone;
use super::super::{RULES, enter};
use super::{STRICT, meant, router};

const SYN: &str = "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 syn seq 100";
const SYN_ACK: &str = "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 syn ack seq 500 ack-number 101";
const ACK: &str = "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 ack seq 101 ack-number 501";

/// The name, the packets, and the states in which it leaves the session of
/// each.
type Row = (
    &'static str,
    &'static [&'static str],
    [Option<&'static str>; 2],
);

const ROWS: [Row; 3] = [
    (
        meant::FIN_OR_RESET,
        &[
            SYN,
            SYN_ACK,
            ACK,
            "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 syn seq 900000",
            "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 fin ack seq 501 ack-number 5000",
            "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 rst seq 600",
        ],
        [Some("established"), Some("close")],
    ),
    (
        meant::ANSWER,
        &[
            SYN,
            "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 syn ack seq 900000 ack-number 5000",
            SYN_ACK,
        ],
        [Some("syn-sent"), Some("syn-recv")],
    ),
    (
        meant::REOPENING,
        &[
            SYN,
            SYN_ACK,
            ACK,
            "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 fin ack seq 101 ack-number 501",
            "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 fin ack seq 501 ack-number 102",
            "lan tcp 10.0.0.7:51000 > 198.51.100.9:80 ack seq 102 ack-number 502",
            "wan tcp 198.51.100.9:80 > 203.0.113.2:51000 syn seq 9000000",
        ],
        [None, Some("time-wait")],
    ),
];

#[test]
fn what_the_kernel_keeps_of_refused_segments() {
    let test = "tcp::shown::what_the_kernel_keeps_of_refused_segments";
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let mut router = router(STRICT);
        for (name, packets, states) in ROWS {
            router.forget();
            let mut ours = Ours::new(RULES);
            for text in packets {
                let read: PacketExpression = text.parse().unwrap_or_else(|e| panic!("{e}"));
                let zone = match read.zone.as_deref() {
                    Some("lan") => Zone::Lan,
                    _ => Zone::Wan,
                };
                let compared = both(&mut router, &mut ours, zone, &read.packet.build());
                let told = format!("{name}: {text}\n{}", compared.shown());
                assert_eq!(compared.kernel, compared.ours.packets, "{told}");
            }
            let kept = [router.table(), ours.table()].map(|table| table.into_iter().next());
            for (entry, state) in kept.iter().zip(states) {
                let is_so = match (entry, state) {
                    (Some(entry), Some(state)) => {
                        entry.to_string().contains(&format!(" | {state} "))
                    }
                    (None, None) => true,
                    _ => false,
                };
                assert!(is_so, "{name}: {kept:?}, not {states:?}");
            }
        }
    });
}
