//! Which lifetime a session has: what its rule says, else its service, else the
//! zones that it is between, else `[timeouts]`.

use super::dialogue::Dialogue;
use super::lab::{DMZ, LAN, Lab, WAN, moment};
use super::packets::{tcp, udp};

/// Each lifetime is told by its idle time: the rule's 4 hours, the service's 3,
/// the zones' 2, and 1 hour for all others.
const RULES: &str = r#"
version = 1
[zones]
lan = { net = "10.0.0.0/24" }
dmz = { net = "10.0.9.0/24" }
wan = { net = "0.0.0.0/0" }
[services]
db    = { tcp = 5432, lifetime = "service" }
ftp   = { tcp = 21, alg = "ftp", lifetime = "service" }
short = { tcp = 5433, udp = 5433, lifetime = "service", idle = "9s" }
[lifetimes]
rule    = { tcp-established = "4h" }
service = { tcp-established = "3h", tcp-syn-sent = "33s" }
zones   = { tcp-established = "2h" }
[timeouts]
tcp-established = "1h"
between = [
  { from = ["lan", "wan"], to = "dmz", lifetime = "zones" },
  { from = "lan", lifetime = "service" },
]
[policy]
rules = [
  { id = "by-rule", dst = ["10.0.9.7", "198.51.100.7"], action = "allow", lifetime = "rule" },
  { id = "all", action = "allow" },
]
"#;

fn hours((zone, client): (&'static str, &str), server: &str) -> f64 {
    let mut lab = Lab::new(RULES);
    let _ = Dialogue::open(&mut lab, 0.0, (zone, client), server);
    let lives = lab.session().deadline.since(moment(0.0));
    lives.as_secs_f64() / 3600.0
}

#[test]
fn the_rule_comes_before_the_service_before_the_zones_before_the_file() {
    let lan = (LAN, "10.0.0.7:51000");
    let dmz = (DMZ, "10.0.9.8:51000");
    let far = |hours: f64, expected: f64| assert!((hours - expected).abs() < 1e-9, "{hours}");
    far(hours(lan, "10.0.9.7:5432"), 4.0); // a rule, a service, zones
    far(hours(lan, "10.0.9.8:5432"), 3.0); // a service, zones
    far(hours(lan, "10.0.9.8:80"), 2.0); // zones
    far(hours(lan, "198.51.100.9:80"), 3.0); // the second row about zones
    far(hours(dmz, "198.51.100.9:80"), 1.0); // neither
    far(hours(dmz, "198.51.100.7:80"), 4.0); // a rule
    far(hours((WAN, "198.51.100.9:4000"), "10.0.9.8:80"), 2.0);
    // The zones are those of the connection, not of its answers.
    far(hours(dmz, "10.0.0.7:80"), 1.0);
}

#[test]
fn one_lifetime_counts_whole_and_what_it_leaves_out_is_the_files() {
    let mut lab = Lab::new(RULES);
    let syn = |to: &str| tcp("10.0.0.7:51000", to).syn();
    let _ = lab.at(0.0).from(LAN).send(syn("10.0.9.8:5432"));
    assert_eq!(lab.session().deadline, moment(33.0));
    let mut lab = Lab::new(RULES);
    // The service says 33 s, and is not asked: the rule has a lifetime.
    let _ = lab.at(0.0).from(LAN).send(syn("10.0.9.7:5432"));
    assert_eq!(lab.session().deadline, moment(120.0));
}

#[test]
fn the_short_form_changes_a_lifetime_for_its_service_alone() {
    let mut lab = Lab::new(RULES);
    let (client, server) = ("10.0.0.7:51000", "10.0.9.8:5433");
    let dialogue = Dialogue::open(&mut lab, 0.0, (LAN, client), server);
    assert_eq!(lab.session().deadline, moment(9.0));
    drop(dialogue);
    assert_eq!(lab.wait_until(9.0).len(), 1);
    let _ = lab.at(10.0).from(LAN).send(tcp(client, server).syn());
    assert_eq!(lab.session().deadline, moment(43.0));
    assert_eq!(lab.wait_until(43.0).len(), 1);
    let _ = lab.at(50.0).from(LAN).send(udp(client, server));
    assert_eq!(lab.session().deadline, moment(59.0));
}

#[test]
fn a_data_session_lives_as_its_rule_or_its_zones_say_and_not_as_its_control_session() {
    for (server, hours) in [("10.0.9.8:21", 2.0), ("10.0.9.7:21", 4.0)] {
        let mut lab = Lab::new(RULES);
        let mut ftp = Dialogue::ftp(&mut lab, 0.0, (LAN, "10.0.0.7:51000"), server);
        ftp.client_says(&mut lab, 0.0, "PASV\r\n");
        let address = server.split(':').next().unwrap().replace('.', ",");
        let answer = format!("227 Entering Passive Mode ({address},200,10)\r\n");
        ftp.server_says(&mut lab, 0.0, &answer);
        let data = server.replace(":21", ":51210");
        let _ = Dialogue::open(&mut lab, 0.0, (LAN, "10.0.0.7:51001"), &data);
        let sessions = lab.engine.sessions().sorted();
        let lives = sessions[1].deadline.since(moment(0.0)).as_secs_f64();
        assert!((lives - hours * 3600.0).abs() < 1e-6, "{lives}");
    }
}
