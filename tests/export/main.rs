//! `spigate export nftables`: what it prints, and whether nft takes it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../live/enter.rs"]
#[allow(dead_code, reason = "shared with the live tests, which use all of it")]
mod enter;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn export(file: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_spigate"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["export", "nftables", file])
        .output()
        .unwrap()
}

fn printed(file: &str) -> String {
    String::from_utf8(export(file).stdout).unwrap()
}

/// Compares with the golden file; `UPDATE_GOLDEN=1` writes it anew.
fn is_golden(file: &str, golden: &str, missing: &[&str]) {
    let output = export(file);
    let errors = String::from_utf8(output.stderr).unwrap();
    let named: Vec<_> = errors
        .lines()
        .filter_map(|line| Some(line.split_once("no equivalent: ")?.1))
        .collect();
    assert_eq!(named, missing, "{errors}");
    let code = i32::from(!missing.is_empty());
    assert_eq!(output.status.code(), Some(code), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(golden);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &printed).unwrap();
    }
    assert_eq!(printed, std::fs::read_to_string(golden).unwrap());
}

#[test]
fn the_office_is_exported_but_for_what_its_ends_are_told() {
    let missing = [
        "service ssh: `on-expiry`: conntrack forgets sessions without a word",
        "service pgsql: `on-expiry`: conntrack forgets sessions without a word",
    ];
    is_golden("rules/office.toml", "tests/export/office.nft", &missing);
}

#[test]
fn the_home_is_exported_whole() {
    is_golden("rules/home.toml", "tests/export/home.nft", &[]);
}

#[test]
fn what_has_no_equivalent_is_named_and_stands_as_a_comment() {
    let output = export("tests/rules/every-service.toml");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("no equivalent: service tunnel: the lifetime of its gre sessions"),
        "{errors}"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("# NO EQUIVALENT: service tunnel: the lifetime of its gre sessions"),
        "{text}"
    );
}

#[test]
fn rules_about_invalid_packets_have_chains_of_their_own() {
    is_golden(
        "tests/rules/invalid-packets.toml",
        "tests/export/invalid-packets.nft",
        &[],
    );
}

#[test]
fn an_invalid_packet_that_is_allowed_past_a_translation_has_no_equivalent() {
    let office = std::fs::read_to_string("rules/office.toml").unwrap();
    let row = r#"rules = [ { id = "strays", ct = "invalid", action = "allow" },"#;
    let compiled =
        spigate::config::compile(Path::new("strays.toml"), &office.replace("rules = [", row));
    let exported = spigate::export::nftables(&compiled.unwrap());
    let mut missing = exported.missing.iter();
    assert!(
        missing.any(|row| row.starts_with("rule strays: ")),
        "{:?}",
        exported.missing
    );
}

#[test]
fn limits_of_sources_and_rules_are_counted_and_the_others_named() {
    let output = export("tests/rules/limits.toml");
    let errors = String::from_utf8(output.stderr).unwrap();
    for row in [
        "limits.half-open",
        "limits.when-full",
        "limits.resets-per-second",
    ] {
        assert!(
            errors.contains(&format!("no equivalent: {row}: ")),
            "{errors}"
        );
    }
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "#   net.ipv4.icmp_msgs_per_sec = 100",
        "#   net.ipv4.icmp_msgs_burst = 10",
        "#   net.ipv4.icmp_ratelimit = 0",
        "#   nf_conntrack_max = 200000",
        "ct count over 100 drop comment \"out\"",
        "jump limit-out comment \"out\"",
        "add @per-source-v4 { ip saddr ct count over 2000 } drop comment \"per-source\"",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn a_file_with_errors_exports_nothing() {
    let output = export("tests/rules/several-errors.toml");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
}

#[test]
fn nft_takes_every_ruleset() {
    enter::in_own_namespaces("nft_takes_every_ruleset", &["nft"], || {
        for file in [
            "rules/office.toml",
            "rules/home.toml",
            "tests/rules/every-rule.toml",
            "tests/rules/every-service.toml",
            "tests/rules/lifetimes.toml",
            "tests/rules/every-translation.toml",
            "tests/rules/invalid-packets.toml",
            "tests/rules/devices.toml",
            "tests/rules/limits.toml",
        ] {
            let mut nft = Command::new("nft")
                .args(["-f", "-"])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let text = printed(file);
            nft.stdin
                .take()
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
            assert!(nft.wait().unwrap().success(), "{file}:\n{text}");
        }
    });
}

#[test]
fn segment_sizes_go_by_a_mark_that_the_rule_sets() {
    let rules = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24", "2001:db8:10::/64"], address = "10.0.0.1" }
wan = { tun = "wan0", net = ["0.0.0.0/0", "::/0"], address = "203.0.113.2", mtu = 1400 }
[services]
web = { tcp = 80, udp = 443 }
[policy]
rules = [
  { id = "web", from = "lan", to = "wan", service = "web", action = "allow", mss = 1300 },
  { id = "out", from = "lan", to = "wan", action = "allow", mss = "mtu" },
]
[nat]
forward = [{ id = "pin", on = "wan", tcp = 8080, to = "10.0.0.80:80", hairpin = true }]
"#;
    let compiled = spigate::config::compile(Path::new("segments.toml"), rules).unwrap();
    let exported = spigate::export::nftables(&compiled);
    assert_eq!(exported.missing, [""; 0]);
    for line in [
        "iifname \"lan0\" oifname \"wan0\" tcp dport 80 ct mark set ct mark & 0xfffff | 0x100000 comment \"web\"",
        "iifname \"lan0\" oifname \"wan0\" meta l4proto tcp ct mark set ct mark & 0xfffff | 0x200000 comment \"out\"",
        "tcp flags & syn == syn ct mark & 0xfff00000 == 0x100000 tcp option maxseg size set 1300 comment \"web\"",
        "meta nfproto ipv4 iifname \"wan0\" oifname \"lan0\" tcp flags & syn == syn ct mark & 0xfff00000 == 0x200000 tcp option maxseg size set 1360 comment \"out\"",
        "meta nfproto ipv6 iifname \"lan0\" oifname \"wan0\" tcp flags & syn == syn ct mark & 0xfff00000 == 0x200000 tcp option maxseg size set 1340 comment \"out\"",
        "ct mark & 0xfffff == 0x20001 goto hairpin-wan",
    ] {
        assert!(exported.text.contains(line), "{line}\n{}", exported.text);
    }
}

#[test]
fn mappings_that_the_kernel_does_not_know_are_named() {
    let rules = r#"
version = 1
[zones]
lan = { tun = "lan0", net = "10.0.0.0/24", address = "10.0.0.1" }
wan = { tun = "wan0", net = "0.0.0.0/0", address = "203.0.113.2" }
[nat]
source = [
  { id = "games", to = "wan", src = "10.0.0.7", as = "masquerade", filtering = "address-dependent" },
  { id = "masq", to = "wan", as = "masquerade" },
]
[policy]
default = "allow"
"#;
    let compiled = spigate::config::compile(Path::new("games.toml"), rules).unwrap();
    let missing = spigate::export::nftables(&compiled).missing;
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert!(
        missing[0].starts_with("nat.source games: `mapping`"),
        "{missing:?}"
    );
}
