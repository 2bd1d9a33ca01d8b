//! Three hosts: a client, the gateway's, and a server.
//!
//! ```text
//! client  10.0.0.7         -- lan-eth 10.0.0.1         gateway  wan-eth 198.51.100.1      -- server 198.51.100.21
//!         2001:db8:10::7              2001:db8:10::1                    2001:db8:ff:100::1          2001:db8:ff:100::21
//!                                            spigate: 203.0.113.2, 2001:db8:ff::2
//! ```
//!
//! Everything that a value here made or started ends when it is dropped, also
//! on a panic; nothing else is touched.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// The client's address.
pub(crate) const CLIENT: &str = "10.0.0.7";
/// The client's IPv6 address.
pub(crate) const CLIENT_V6: &str = "2001:db8:10::7";
/// The server's address.
pub(crate) const SERVER: &str = "198.51.100.21";
/// The server's IPv6 address.
pub(crate) const SERVER_V6: &str = "2001:db8:ff:100::21";
/// The office's own server, where there is one.
pub(crate) const INSIDE: &str = "10.0.9.21";
/// Its IPv6 address.
pub(crate) const INSIDE_V6: &str = "2001:db8:9::21";
/// The gateway's public address.
pub(crate) const PUBLIC: &str = "203.0.113.2";
/// The gateway's public IPv6 address.
pub(crate) const PUBLIC_V6: &str = "2001:db8:ff::2";

/// The three hosts and a directory for their files.
pub(crate) struct Lab {
    pub(crate) client: Namespace,
    pub(crate) gateway: Namespace,
    pub(crate) server: Namespace,
    /// Gone with the lab.
    pub(crate) dir: Directory,
}

impl Lab {
    /// Makes hosts and cables; nothing runs yet.
    pub(crate) fn new() -> Self {
        let lab = Self {
            client: Namespace::new("client"),
            gateway: Namespace::new("gateway"),
            server: Namespace::new("server"),
            dir: Directory::new(),
        };
        for switch in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
            lab.gateway.run("sysctl", &["-qw", switch]);
        }
        cable(&lab.gateway, "lan-eth", &lab.client);
        cable(&lab.gateway, "wan-eth", &lab.server);
        lab.gateway.address("lan-eth", "10.0.0.1/24");
        lab.gateway.address("lan-eth", "2001:db8:10::1/64");
        lab.gateway.address("wan-eth", "198.51.100.1/24");
        lab.gateway.address("wan-eth", "2001:db8:ff:100::1/64");
        lab.client.address("eth0", &format!("{CLIENT}/24"));
        lab.client.address("eth0", &format!("{CLIENT_V6}/64"));
        lab.server.address("eth0", &format!("{SERVER}/24"));
        lab.server.address("eth0", &format!("{SERVER_V6}/64"));
        for (host, via) in [(&lab.client, "10.0.0.1"), (&lab.server, "198.51.100.1")] {
            host.run("ip", &["route", "add", "default", "via", via]);
        }
        for (host, via) in [
            (&lab.client, "2001:db8:10::1"),
            (&lab.server, "2001:db8:ff:100::1"),
        ] {
            host.run("ip", &["-6", "route", "add", "default", "via", via]);
        }
        lab
    }

    /// A server of the office's own at [`INSIDE`] and [`INSIDE_V6`], behind the
    /// interface `dmz-eth`.
    pub(crate) fn add_inside_server(&self) -> Namespace {
        add_inside_server(&self.gateway)
    }

    /// The host of a server outside becomes the gateway's of a second office,
    /// with a server behind it as [`add_inside_server`](Self::add_inside_server)
    /// has it. Each gateway's host knows the way to the other's public addresses.
    pub(crate) fn add_second_office(&self, public: &str, public_v6: &str) -> Namespace {
        for switch in ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"] {
            self.server.run("sysctl", &["-qw", switch]);
        }
        let ways = [["-4", public, SERVER], ["-6", public_v6, SERVER_V6]];
        for [family, to, via] in ways {
            self.gateway
                .run("ip", &[family, "route", "add", to, "via", via]);
        }
        add_inside_server(&self.server)
    }

    /// Cuts the cable at `device` of the gateway's host, which gets these addresses
    /// again, and puts a host between: `eth0` leads to the far end, `eth1` to the
    /// gateway's host.
    pub(crate) fn cut_cable(&self, device: &str, addresses: &[&str]) -> Namespace {
        let between = Namespace::new(&format!("at-{device}"));
        let there = ["link", "set", device, "netns", &between.name];
        self.gateway.run("ip", &there);
        between.run("ip", &["link", "set", device, "name", "eth0"]);
        between.run("ip", &["link", "set", "eth0", "up"]);
        lay_cable(&self.gateway, device, &between, "eth1");
        for address in addresses {
            self.gateway.address(device, address);
        }
        between
    }

    /// A host at `eth0` behind `device` of another, without addresses.
    pub(crate) fn add_host_behind(&self, router: &Namespace, device: &str) -> Namespace {
        let host = Namespace::new("behind");
        cable(router, device, &host);
        host
    }

    /// Starts a Python script on the server, which is to listen at port 80 there, then on
    /// the client; each gets the server's address and its role (`server`, `client`).
    pub(crate) fn start_transfer(&self, script: &str) -> Transfer {
        let script = self.dir.write("transfer.py", script);
        let start = |host: &Namespace, role: &str| {
            let mut command = host.command("python3");
            command.arg(&script).args([SERVER, role]);
            self.dir.start(&mut command, role)
        };
        let server = start(&self.server, "server");
        wait_until("the server listens", || {
            let listening = self.server.run("ss", &["-Htln"]);
            listening.contains(&format!("{SERVER}:80 "))
        });
        Transfer {
            client: start(&self.client, "client"),
            server,
        }
    }

    /// Starts the gateway with this rule file and waits until it is ready.
    pub(crate) fn start_gateway(&self, rules: &str) -> Gateway {
        self.start_gateway_on(&self.gateway, "spigate", rules)
    }

    /// The same, and whoever is on its host gets to its control socket.
    pub(crate) fn start_open_gateway(&self, rules: &str) -> Gateway {
        let open = ["--control-mode", "0666"];
        self.start_gateway_with(&self.gateway, ("spigate", rules), &open)
    }

    /// The same on another host, which has a name of its own for its files.
    pub(crate) fn start_gateway_on(&self, host: &Namespace, name: &str, rules: &str) -> Gateway {
        self.start_gateway_with(host, (name, rules), &[])
    }

    /// The same with these options.
    pub(crate) fn start_gateway_with(
        &self,
        host: &Namespace,
        (name, rules): (&str, &str),
        options: &[&str],
    ) -> Gateway {
        self.start(host, (name, rules), options, &[])
    }

    /// The same as [`start_gateway`](Self::start_gateway), in this environment.
    pub(crate) fn start_gateway_told(&self, rules: &str, told: &[(&str, &str)]) -> Gateway {
        self.start(&self.gateway, ("spigate", rules), &[], told)
    }

    fn start(
        &self,
        host: &Namespace,
        (name, rules): (&str, &str),
        options: &[&str],
        told: &[(&str, &str)],
    ) -> Gateway {
        let file = self.dir.write(&format!("{name}.toml"), rules);
        let before = host.network();
        let mut command = host.command(env!("CARGO_BIN_EXE_spigate"));
        command.arg("run").arg(&file).args(options);
        // All that is tested with one worker can be tried with several.
        if let Ok(workers) = std::env::var("SPIGATE_WORKERS")
            && !options.contains(&"--workers")
        {
            command.args(["--workers", &workers]);
        }
        let socket = self.dir.path(&format!("{name}.sock"));
        command.arg("--control").arg(socket).env("RUST_LOG", "info");
        command.envs(told.iter().copied());
        let mut process = self.dir.start(&mut command, name);
        process.wait_for_word("gateway ready");
        Gateway { process, before }
    }
}

/// See [`Lab::add_inside_server`].
fn add_inside_server(gateway: &Namespace) -> Namespace {
    let inside = Namespace::new("inside");
    cable(gateway, "dmz-eth", &inside);
    for [near, far, via] in [
        ["10.0.9.1/24", "10.0.9.21/24", "10.0.9.1"],
        ["2001:db8:9::1/64", "2001:db8:9::21/64", "2001:db8:9::1"],
    ] {
        gateway.address("dmz-eth", near);
        inside.address("eth0", far);
        let family = if via.contains(':') { "-6" } else { "-4" };
        inside.run("ip", &[family, "route", "add", "default", "via", via]);
    }
    inside
}

/// The two ends of a transfer.
pub(crate) struct Transfer {
    pub(crate) client: Process,
    pub(crate) server: Process,
}

/// `rules/office.toml` as it is, with the interfaces of these hosts.
pub(crate) fn office() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/office.toml");
    let rules = fs::read_to_string(file).expect("the office's rules are there");
    with_interface(
        &with_interface(&rules, "lan0", "lan-eth"),
        "wan0",
        "wan-eth",
    )
}

/// Gives the zone of `device` an interface of the host.
pub(crate) fn with_interface(rules: &str, device: &str, interface: &str) -> String {
    let without = format!("tun = \"{device}\",");
    assert!(rules.contains(&without), "no zone with {device}");
    let with = format!("{without} interfaces = [\"{interface}\"],");
    rules.replace(&without, &with)
}

/// A running `spigate run`.
pub(crate) struct Gateway {
    process: Process,
    /// The network of its host before it started.
    pub(crate) before: String,
}

impl Gateway {
    /// What it said so far.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        self.process.signal(signal);
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// `spigate ctl` on the gateway's host, before it is told what to do.
    pub(crate) fn ctl(lab: &Lab) -> Command {
        let mut command = lab.gateway.command(env!("CARGO_BIN_EXE_spigate"));
        command.arg("ctl").arg("--socket");
        command.arg(lab.dir.path("spigate.sock"));
        command
    }

    /// Ends it as `kill` does, and checks that it ended well.
    pub(crate) fn terminate(&mut self) {
        self.process.signal("TERM");
        let status = self.process.wait();
        let log = self.process.output();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("traffic"), "no counters in the log:\n{log}");
    }

    /// The same, and checks that it left nothing behind.
    pub(crate) fn stop(mut self, lab: &Lab) {
        self.terminate();
        assert_eq!(lab.gateway.network(), self.before, "{}", self.log());
    }
}

/// A network namespace with a name.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one; no two have a name.
    pub(crate) fn new(host: &str) -> Self {
        let name = format!("spigate-{}-{host}", std::process::id());
        checked(Command::new("ip").args(["netns", "add", &name]));
        let made = Self { name };
        made.run("ip", &["link", "set", "lo", "up"]);
        for quiet in ["all", "default"] {
            let setting = format!("net.ipv6.conf.{quiet}.accept_ra=0");
            made.run("sysctl", &["-qw", &setting]);
        }
        made
    }

    /// Where the kernel shows it.
    #[allow(dead_code, reason = "a bench uses it")]
    pub(crate) fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// A program on this host; `ip netns exec` becomes it, so the child's
    /// number is the program's.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.name, program])
            .stdin(Stdio::null());
        command
    }

    /// Runs a program to its end; it must succeed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        checked(self.command(program).args(arguments))
    }

    /// Runs a program to its end, whatever comes of it.
    pub(crate) fn try_run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program)
            .args(arguments)
            .output()
            .expect("the program starts")
    }

    /// Devices, addresses, rules and routes of this host, as text.
    pub(crate) fn network(&self) -> String {
        let questions: [&[&str]; 6] = [
            &["-o", "link"],
            &["-o", "address"],
            &["rule"],
            &["-6", "rule"],
            &["route", "show", "table", "all"],
            &["-6", "route", "show", "table", "all"],
        ];
        questions.map(|question| self.run("ip", question)).concat()
    }

    fn address(&self, device: &str, address: &str) {
        let mut arguments = vec!["address", "add", address, "dev", device];
        if address.contains(':') {
            // An address is usable at once where nobody looks for duplicates.
            arguments.push("nodad");
        }
        self.run("ip", &arguments);
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .output();
    }
}

/// Lays a cable from `device` of the gateway's host to `eth0` of `host`.
fn cable(gateway: &Namespace, device: &str, host: &Namespace) {
    lay_cable(gateway, device, host, "eth0");
}

fn lay_cable(gateway: &Namespace, device: &str, host: &Namespace, end: &str) {
    let far = ["peer", "name", end, "netns", &host.name];
    let near = [
        "link",
        "add",
        device,
        "netns",
        &gateway.name,
        "type",
        "veth",
    ];
    checked(Command::new("ip").args(near).args(far));
    gateway.run("ip", &["link", "set", device, "up"]);
    host.run("ip", &["link", "set", end, "up"]);
    // The kernel finishes link-local addresses on its own time; a comparison
    // of before and after wants them to be there, or not to come.
    wait_until("link-local addresses", || {
        let addresses = gateway.run("ip", &["-o", "-6", "address", "show", "dev", device]);
        addresses.contains("fe80:") && !addresses.contains("tentative")
    });
}

/// A directory of our own, for every user to read.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Makes one.
    pub(crate) fn new() -> Self {
        // Process numbers start anew in each process namespace: let mktemp
        // find a name that is free.
        let path = checked(Command::new("mktemp").args(["-d", "-t", "spigate-lab-XXXXXX"]));
        let path = PathBuf::from(path.trim_end());
        checked(Command::new("chmod").arg("755").arg(&path));
        Self(path)
    }

    /// The path of something in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("directories can be made");
        fs::write(&path, content).expect("files can be written");
        path
    }

    /// Starts a program whose words go to a file of this directory.
    pub(crate) fn start(&self, command: &mut Command, name: &str) -> Process {
        let log = self.path(&format!("{name}.log"));
        let file = File::create(&log).expect("files can be written");
        let child = command
            .stdout(file.try_clone().expect("a descriptor more"))
            .stderr(file)
            .spawn()
            .expect("the program starts");
        Process { child, log }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that we started; killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said so far.
    pub(crate) fn output(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it says `word`.
    pub(crate) fn wait_for_word(&mut self, word: &str) {
        for _ in 0..200 {
            if self.output().contains(word) {
                return;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("ended early ({status}):\n{}", self.output());
            }
            sleep(Duration::from_millis(50));
        }
        panic!("never said `{word}`:\n{}", self.output());
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let number = self.child.id().to_string();
        checked(Command::new("kill").args(["-s", signal, &number]));
    }

    /// Waits until it has ended, half a minute at most.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("does not end:\n{}", self.output());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits ten seconds for something to come true.
pub(crate) fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    for _ in 0..200 {
        if is_true() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("never came true: {what}");
}

/// Runs a command that must succeed, and gives back what it wrote to stdout.
pub(crate) fn checked(command: &mut Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The SHA-256 of a file.
pub(crate) fn checksum(path: &Path) -> String {
    let line = checked(Command::new("sha256sum").arg(path));
    line.split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned()
}
