//! How what goes through a gateway changes with the flows that it knows, and with the
//! rules before the one that lets them in.

use crate::lab::{Lab, SERVER};
use crate::median;
use crate::ways::Way;
use crate::work::{arrived_at, busy_seconds, this_program};

const FLOWS: [usize; 3] = [1, 1_000, 100_000];
const RULES: [usize; 2] = [0, 1_000];

/// Small datagrams of so many flows, by so many rules.
pub(crate) fn run(lab: &Lab, rounds: usize, seconds: usize) {
    let mut sink = lab.server.command(&this_program());
    sink.args(["flows-sink", SERVER, "250"]);
    let mut sink = lab.dir.start(&mut sink, "flows-sink");
    sink.wait_for_word("ready");
    println!("UDP, 18 octets of payload, thousands a second");
    for rules in RULES {
        for flows in FLOWS {
            let ways = [Way::Kernel, Way::Copier, Way::Spigate(1)];
            let mut all = ways.map(|_| (Vec::new(), Vec::new()));
            for _ in 0..rounds {
                for (way, (amounts, costs)) in ways.iter().zip(&mut all) {
                    let Some(open) = way.open_with(lab, rules) else {
                        continue;
                    };
                    let (amount, cost) = one(lab, flows, seconds);
                    amounts.push(amount);
                    costs.push(cost);
                    open.close();
                }
            }
            println!("{flows} flows, {rules} rules before theirs");
            for (way, (amounts, costs)) in ways.iter().zip(&mut all) {
                println!(
                    "  {:<28} {:>8.1} k/s   {:>6.2} CPU s a million",
                    way.title(),
                    median(amounts),
                    median(costs)
                );
            }
        }
    }
}

fn one(lab: &Lab, flows: usize, seconds: usize) -> (f64, f64) {
    let mut command = lab.client.command(&this_program());
    command.args(["flows", SERVER, &flows.to_string(), &seconds.to_string()]);
    let blaster = lab.dir.start(&mut command, "flows");
    // A hundred thousand flows by a thousand rules take their time to begin.
    for _ in 0..600 {
        if blaster.output().contains("ready") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(
        blaster.output().contains("ready"),
        "the flows have not begun"
    );
    let (busy, arrived) = (busy_seconds(), arrived_at(lab));
    std::thread::sleep(std::time::Duration::from_secs(seconds as u64));
    let packets = (arrived_at(lab) - arrived) as f64;
    let spent = busy_seconds() - busy;
    drop(blaster);
    (packets / 1e3 / seconds as f64, spent / packets * 1e6)
}
