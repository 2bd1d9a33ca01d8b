//! What goes through a gateway on this machine, by several ways between the same two
//! hosts: the kernel alone with the exported rules, a program that only copies between
//! two TUN devices, spigate, and where they are installed pasta and slirp4netns.
//!
//! Needs root, iperf3, ethtool, nft and iproute2; makes network namespaces and removes them.
//! What counts are the ratios within one run.
//!
//! `cargo bench --bench device` (`-- --rounds 3 --seconds 2` for less; `--workers 1,2,4`:
//! with how many workers spigate runs, one after the other)
//!
//! With `--growth` small datagrams of many flows are sent, by many rules.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench reads the clock, and fails loudly"
)]

#[path = "device/blaster.rs"]
mod blaster;
#[path = "device/copier.rs"]
mod copier;
#[path = "device/flows.rs"]
mod flows;
#[path = "device/growth.rs"]
mod growth;
#[allow(dead_code, reason = "the live tests use all of it")]
#[path = "../tests/live/lab.rs"]
mod lab;
#[path = "device/uring.rs"]
mod uring;
#[path = "device/ways.rs"]
mod ways;
#[path = "device/work.rs"]
mod work;

use std::collections::BTreeMap;

use lab::Lab;
use ways::Way;
use work::{Load, Result};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        // The same program, in a namespace.
        ["copy", from, to] => return copier::copy(from, to),
        ["copy-uring", from, to] => return uring::copy(from, to),
        ["blast", to, seconds] => return blaster::blast(to, seconds.parse().unwrap()),
        ["sink", at] => return blaster::sink(at),
        ["flows", to, flows, seconds] => {
            return flows::blast(to, flows.parse().unwrap(), seconds.parse().unwrap());
        }
        ["flows-sink", at, ports] => return flows::sink(at, ports.parse().unwrap()),
        _ => {}
    }
    let number = |name: &str, usual: usize| {
        let place = words.iter().position(|word| *word == name);
        place.map_or(usual, |place| words[place + 1].parse().unwrap())
    };
    let (rounds, seconds) = (number("--rounds", 5), number("--seconds", 3));
    let word = |name: &str| {
        let place = words.iter().position(|word| *word == name);
        place.map(|place| words[place + 1])
    };
    let only = word("--only");
    let workers = word("--workers").unwrap_or("1,2").split(',');
    let workers: Vec<u8> = workers.map(|count| count.parse().unwrap()).collect();
    let ways = Way::all(&workers);
    if !rustix::process::geteuid().is_root() {
        println!("device: needs root, to make network namespaces");
        return;
    }
    let lab = Lab::new();
    if words.contains(&"--growth") {
        return growth::run(&lab, rounds, seconds);
    }
    let _sinks = work::listen(&lab);
    let mut results: BTreeMap<(Load, Way), Vec<Result>> = BTreeMap::new();
    for _ in 0..rounds {
        for way in ways.iter().copied() {
            if only.is_some_and(|only| !only.split(',').any(|name| name == way.key())) {
                continue;
            }
            let Some(open) = way.open(&lab) else {
                continue;
            };
            for load in Load::ALL {
                let result = load.run(&lab, open.client(), seconds);
                results.entry((load, way)).or_default().push(result);
            }
            open.close();
        }
    }
    report(&results, &ways);
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(results: &BTreeMap<(Load, Way), Vec<Result>>, ways: &[Way]) {
    for load in Load::ALL {
        println!("{}", load.title());
        let median_of = |way: Way| {
            let all = results.get(&(load, way))?;
            let middle =
                |of: &dyn Fn(&Result) -> f64| median(&mut all.iter().map(of).collect::<Vec<_>>());
            Some((middle(&|it| it.amount), middle(&|it| it.seconds_each)))
        };
        let gateway = median_of(Way::Spigate(1));
        for way in ways.iter().copied() {
            let Some((amount, seconds_each)) = median_of(way) else {
                continue;
            };
            let ratio = gateway.map_or(f64::NAN, |(ours, _)| ours / amount);
            println!(
                "  {:<28} {:>8.2} {}   {:>6.3} CPU s each   spigate : this {ratio:>6.3}",
                way.title(),
                amount,
                load.unit(),
                seconds_each,
            );
        }
    }
}
