//! The lists of `selftests.rs`, step by step beside the kernel.

use super::compare::{Ours, both};
use super::router::{Router, Zone};
use super::run::ruleset;
use super::selftests::{ALL, Outcome};
use super::table::differences;
use super::{RULES, enter};

#[test]
fn the_kernels_own_cases_end_alike() {
    let test = "listed::the_kernels_own_cases_end_alike";
    enter::in_own_namespaces(test, &["nft", "conntrack"], || {
        let mut router = Router::new(&ruleset(RULES));
        for (name, steps) in ALL {
            router.forget();
            let mut ours = Ours::new(RULES);
            for step in steps {
                let (zone, bytes) = step.packet();
                let zone = match zone.as_str() {
                    "lan" => Zone::Lan,
                    _ => Zone::Wan,
                };
                let compared = both(&mut router, &mut ours, zone, &bytes);
                let told = format!("{name}: {}\n{}", step.packet, compared.shown());
                assert_eq!(compared.kernel, compared.ours.packets, "{told}");
                let passed = !compared.kernel.is_empty();
                assert_eq!(passed, step.outcome != Outcome::Dropped, "{told}");
                let tables = differences(&router.table(), &ours.table());
                assert!(tables.is_empty(), "{told}\n{}", tables.join("\n"));
            }
        }
        println!("{} lists of packets, no difference", ALL.len());
    });
}
