//! Into namespaces of our own, or a plain word why not.
//!
//! A scenario runs in a child: the same test binary, asked for the same test,
//! inside a mount, process and network namespace (and a user namespace where we
//! are not root). Everything that the scenario starts or makes ends with that
//! child, also when it is killed.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Set inside, to a file that the scenario writes when it has run to its end.
const INSIDE: &str = "SPIGATE_LIVE_INSIDE";

/// Runs `scenario` in namespaces of its own. `test` is the name of the calling
/// test as the harness knows it, `programs` are those that it needs.
pub(crate) fn in_own_namespaces(test: &str, programs: &[&str], scenario: impl FnOnce()) {
    if let Some(proof) = env::var_os(INSIDE) {
        scenario();
        std::fs::write(proof, "done").expect("the proof can be written");
        return;
    }
    let enter = match way_in(programs) {
        Ok(enter) => enter,
        Err(why) => return skip(test, &why),
    };
    let proof = proof_file(test);
    let child = run_inside(&enter, test, &proof);
    let done = std::fs::remove_file(&proof).is_ok();
    if !child.status.success() || !done {
        println!("{}", String::from_utf8_lossy(&child.stdout));
        eprintln!("{}", String::from_utf8_lossy(&child.stderr));
        panic!("{test} failed inside its namespaces ({})", child.status);
    }
    // What it had to say, for those who run with --nocapture.
    print!("{}", String::from_utf8_lossy(&child.stdout));
}

/// The same for programs that become other users, which root alone can.
pub(crate) fn in_own_namespaces_as_root(test: &str, programs: &[&str], scenario: impl FnOnce()) {
    if !rustix::process::geteuid().is_root() || is_the_only_user() {
        return skip(test, "needs root: its servers become other users");
    }
    in_own_namespaces(test, programs, scenario);
}

/// Whether one user is all there is here, as in a user namespace that an
/// ordinary user makes: servers cannot give up root for another user then.
pub(crate) fn is_the_only_user() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().nth(2) == Some("1")
}

fn skip(test: &str, why: &str) {
    assert!(
        env::var_os("CI").is_none(),
        "{test} cannot run, and CI wants it to: {why}"
    );
    // Past the capture of the test harness: nobody should take this for a pass.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// The command that enters the namespaces, or why there is no way.
fn way_in(programs: &[&str]) -> Result<Vec<&'static str>, String> {
    let always = ["unshare", "ip", "mount", "sysctl"];
    let missing: Vec<_> = always
        .iter()
        .chain(programs)
        .filter(|program| find_program(program).is_none())
        .copied()
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(format!("missing: {missing} (tests/setup.sh installs it)"));
    }
    if !Path::new("/dev/net/tun").exists() {
        return Err("there is no /dev/net/tun (modprobe tun)".into());
    }
    let mut enter = vec![
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
    ];
    if !succeeds(&enter, "true") {
        enter.extend(["--user", "--map-root-user"]);
    }
    if !succeeds(&enter, "true") {
        return Err("needs root, or a kernel that gives user namespaces".into());
    }
    if !succeeds(&enter, "exec 3<>/dev/net/tun") {
        return Err("/dev/net/tun does not open: it is root's alone".into());
    }
    Ok(enter)
}

fn succeeds(enter: &[&str], script: &str) -> bool {
    let tried = Command::new(enter[0])
        .args(&enter[1..])
        .args(["sh", "-c", script])
        .env("PATH", path())
        .output();
    tried.is_ok_and(|output| output.status.success())
}

fn run_inside(enter: &[&str], test: &str, proof: &Path) -> Output {
    // `ip netns` keeps its names in /run/netns: give it a /run of our own.
    let prepare = "mount -t tmpfs tmpfs /run && mkdir /run/netns && exec \"$0\" \"$@\"";
    Command::new(enter[0])
        .args(&enter[1..])
        .args(["sh", "-c", prepare])
        .arg(env::current_exe().expect("the test binary has a path"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .arg("--include-ignored")
        .env(INSIDE, proof)
        .env("PATH", path())
        .env("LC_ALL", "C")
        .output()
        .expect("unshare ran a moment ago")
}

fn proof_file(test: &str) -> PathBuf {
    let name = format!(
        "spigate-live-{}-{}",
        std::process::id(),
        test.replace("::", "-")
    );
    env::temp_dir().join(name)
}

/// Daemons' directories are not in everyone's PATH.
fn path() -> String {
    let path = env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

fn find_program(name: &str) -> Option<PathBuf> {
    path()
        .split(':')
        .map(|directory| Path::new(directory).join(name))
        .find(|candidate| candidate.is_file())
}
