//! `spigate explain`, as its users meet it.

use crate::common::{OFFICE, Run, Scratch, spigate};

fn explain(rules: &str, lines: &[&str]) -> Run {
    spigate(&[&["explain", rules], lines].concat())
}

/// What stands behind a step's name, each time that it is told.
fn told<'a>(explanation: &'a str, step: &str) -> Vec<&'a str> {
    let mut now = "";
    let mut found = Vec::new();
    for line in explanation.lines() {
        let Some((name, text)) = line.split_at_checked(13) else {
            continue;
        };
        let name = name.trim();
        if !name.is_empty() {
            now = name;
        }
        if now == step {
            found.push(text.trim());
        }
    }
    found
}

#[test]
fn a_new_session_is_told_with_both_tuples_its_port_and_its_life() {
    let packet = "lan tcp 10.0.0.7:51000 > 198.51.100.9:21 syn";
    let text = explain(OFFICE, &[packet]).fine();
    assert_eq!(
        told(&text, "session"),
        [
            "original tcp 10.0.0.7:51000 > 198.51.100.9:21 by zone lan",
            "reply    tcp 198.51.100.9:21 > 203.0.113.2:51000 by zone wan",
        ]
    );
    assert_eq!(told(&text, "port"), ["kept"]);
    assert_eq!(
        told(&text, "lives"),
        ["30s unanswered, 2h established, as service ftp says"]
    );
    let source = told(&text, "source nat");
    assert!(
        source[0].starts_with("masq: the source becomes 203.0.113.2, the gateway's own"),
        "{source:?}"
    );
    assert!(source[0].contains(OFFICE), "{source:?}");
}

#[test]
fn why_a_port_is_not_kept_is_told() {
    let scratch = Scratch::new("why_a_port_is_not_kept");
    let rules = |name: &str, nat: &str| {
        let file = format!(
            "version = 1\n[zones]\nlan = {{ net = \"10.0.0.0/24\" }}\n\
             wan = {{ net = \"0.0.0.0/0\", address = \"203.0.113.2\" }}\n\
             [policy]\ndefault = \"allow\"\n[nat]\n{nat}\n"
        );
        scratch.write(name, file)
    };
    let source = |more: &str| {
        format!(
            "source = [{{ id = \"masq\", from = \"lan\", to = \"wan\", as = \"masquerade\"{more} }}]"
        )
    };
    let seven = "lan udp 10.0.0.7:5000 > 198.51.100.9:53";
    let eight = "lan udp 10.0.0.8:5000 > 198.51.100.9:53";
    let port = |nat: String, lines: &[&str]| {
        let file = rules("rules.toml", &nat);
        let text = explain(&file, lines).fine();
        told(&text, "port").last().unwrap().to_string()
    };
    let usual = source("");
    assert_eq!(port(usual.clone(), &[seven]), "kept");
    assert_eq!(
        port(usual.clone(), &[seven, eight]),
        "another: session 1 has the client's own towards this server"
    );
    assert_eq!(
        port(format!("{usual}\nreserved = {{ udp = 5000 }}"), &[seven]),
        "another: a forward, or `reserved`, keeps the client's own"
    );
    assert_eq!(
        port(source(", ports = \"6000-6001\""), &[seven]),
        "another: the client's own is not one of the row's"
    );
    assert_eq!(
        port(source(", port-order = \"random\""), &[seven]),
        "another: the row draws them at random"
    );
    let own = source(", mapping = \"endpoint-independent\"");
    let elsewhere = "lan udp 10.0.0.7:5000 > 198.51.100.53:53";
    assert_eq!(
        port(own.clone(), &[seven, elsewhere]),
        "the one that the socket's mapping has already"
    );
    assert_eq!(
        port(own, &[seven, eight]),
        "another: 10.0.0.7:5000 has the client's own for itself"
    );
}

const OPEN: &str = "lan tcp 10.0.0.7:51001 > 198.51.100.21:21 open";
const PORT: &str = "lan ftp 'PORT 10,0,0,7,200,10'";

#[test]
fn a_dialogue_is_explained_line_by_line() {
    let lines = [
        OPEN,
        PORT,
        "wan tcp 198.51.100.21:20 > 203.0.113.2:@alg syn",
    ];
    let text = explain(OFFICE, &lines).fine();
    insta::assert_snapshot!(
        "explained-dialogue",
        text.replace(&format!("{OFFICE}:"), "LINE ")
    );
    assert_eq!(told(&text, "text"), ["leaves as PORT 203,0,113,2,200,10"]);
    let passive = [
        OPEN,
        "lan ftp 'PASV'",
        "wan ftp '227 Entering Passive Mode (198,51,100,21,200,20)'",
        "lan tcp 10.0.0.7:51002 > 198.51.100.21:@alg syn",
    ];
    let text = explain(OFFICE, &passive).fine();
    assert!(text.contains("announced by session 1"), "{text}");
}

#[test]
fn a_line_that_cannot_be_said_is_refused_and_what_came_before_it_stands() {
    for (lines, words) in [
        (&[PORT][..], "nothing was opened before"),
        (
            &[OPEN, "dmz ftp 'NOOP'"],
            "no end of the connection is in that zone",
        ),
        (&[OPEN, "lna ftp 'NOOP'"], "no zone `lna`"),
        (
            &["wan tcp 198.51.100.21:20 > 203.0.113.2:@alg syn"],
            "no data session was announced before",
        ),
    ] {
        let (printed, said) = explain(OFFICE, lines).unusable();
        assert!(said.contains(words), "{said}");
        assert_eq!(printed.is_empty(), lines.len() == 1, "{printed}");
    }
}

#[test]
fn the_last_packet_decides_the_exit_code() {
    let stranger = "wan tcp 198.51.100.9:4000 > 203.0.113.2:81 syn";
    assert_eq!(explain(OFFICE, &[OPEN, stranger]).code, Some(1));
    assert_eq!(explain(OFFICE, &[stranger, OPEN]).code, Some(0));
}
