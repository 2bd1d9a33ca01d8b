//! The recipes of `docs/recipes/`, as a reader would paste them.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::enter::in_own_namespaces;
use crate::lab::checked;
use crate::tour::{paste, shell_blocks};

/// Pastes a recipe; these lines come, in this order, and nothing stays.
fn try_out(test: &str, recipe: &str, programs: &[&str], expected: &[&str]) {
    let programs = [&["bash", "mktemp", "sysctl"], programs].concat();
    in_own_namespaces(test, &programs, || {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes");
        let text = fs::read_to_string(file.join(recipe)).expect("the recipe is there");
        let said = paste(&shell_blocks(&text));
        let mut rest = said.as_str();
        for line in expected {
            let Some((_, behind)) = rest.split_once(line) else {
                panic!("no `{line}` where it should be in\n{said}");
            };
            rest = behind;
        }
        let hosts = checked(Command::new("ip").args(["netns", "list"]));
        assert_eq!(hosts, "");
    });
}

#[test]
fn a_firewall_for_containers() {
    let test = "recipes::a_firewall_for_containers";
    let expected = [
        "the container pings",
        "the server saw 10.8.0.7",
        "app-out",
        "no rule for that",
        "nobody gets in",
    ];
    try_out(
        test,
        "containers.md",
        &["ping", "curl", "python3"],
        &expected,
    );
}

#[test]
fn one_device_for_all_zones() {
    let test = "recipes::one_device_for_all_zones";
    let expected = ["a pings b", "b does not ping a", "default-policy"];
    try_out(test, "one-device.md", &["ping"], &expected);
}

#[test]
fn without_any_privilege() {
    let test = "recipes::without_any_privilege";
    let expected = ["there answers", "there is refused"];
    try_out(test, "unprivileged.md", &["ping", "nsenter"], &expected);
}

#[test]
fn beside_the_hosts_own_nftables() {
    let test = "recipes::beside_the_hosts_own_nftables";
    let expected = ["no gateway, no way", "through the gateway", "closed again"];
    try_out(test, "beside-nftables.md", &["ping", "nft"], &expected);
}

#[test]
fn every_recipe_is_tried_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes");
    let mut there: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    there.sort();
    let tried = [
        "beside-nftables.md",
        "containers.md",
        "one-device.md",
        "unprivileged.md",
    ];
    assert_eq!(there, tried);
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    for name in tried {
        assert!(list.contains(&format!("({name})")), "{name} is not listed");
    }
}
