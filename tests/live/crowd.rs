//! Many connections at once, while the rules are read again and again: none breaks, and
//! memory stays as it is.
//!
//! Two thousand for a quarter of a minute; `SPIGATE_CROWD="10000 300"` has it be ten
//! thousand for five minutes.

use std::fs;
use std::time::Duration;

use crate::enter::in_own_namespaces;
use crate::lab::{Lab, SERVER, wait_until, with_interface};

const PROGRAMS: &[&str] = &["python3", "ss", "kill"];

const RULES: &str = r#"
version = 1
[zones]
lan = { tun = "lan0", net = ["10.0.0.0/24"] }
wan = { tun = "wan0", net = ["0.0.0.0/0"], address = ["203.0.113.2"] }
[policy]
default = "drop"
rules = [ { id = "out", from = "lan", to = "wan", action = "allow" } ]
[nat]
source = [ { id = "masq", from = "lan", to = "wan", as = "masquerade" } ]
"#;

/// Sends back what it gets, to as many as come.
const ECHO: &str = r"
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
async def echo(reader, writer):
    while octets := await reader.read(100):
        writer.write(octets)
    writer.close()
async def main():
    server = await asyncio.start_server(echo, sys.argv[1], 7000, backlog=4096)
    await server.serve_forever()
asyncio.run(main())
";

/// Opens connections, speaks by each every few seconds, and tells how many answered
/// each time.
const CROWD: &str = r"
import asyncio, resource, sys, time
server, count, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
broken = []
async def one(number, open_ones):
    async with open_ones:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(server, 7000), 60)
    turn = 0
    while time.monotonic() < end:
        word = b'%d %d\n' % (number, turn)
        writer.write(word)
        answer = await asyncio.wait_for(reader.readexactly(len(word)), 60)
        assert answer == word
        turn += 1
        await asyncio.sleep(3 + number % 100 / 50)
    writer.close()
    return turn
async def main():
    global end
    end = time.monotonic() + seconds
    open_ones = asyncio.Semaphore(200)
    turns = await asyncio.gather(*(one(n, open_ones) for n in range(count)), return_exceptions=True)
    broken = [turn for turn in turns if not isinstance(turn, int)]
    print('broken', len(broken), 'least', min(t for t in turns if isinstance(t, int)), broken[:3])
asyncio.run(main())
";

/// Kilobytes that a process has in memory.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.unwrap().parse().unwrap()
}

#[test]
fn a_crowd_of_connections_lives_through_reload_after_reload() {
    let test = "crowd::a_crowd_of_connections_lives_through_reload_after_reload";
    in_own_namespaces(test, PROGRAMS, || {
        let wanted = std::env::var("SPIGATE_CROWD");
        let wanted = wanted.as_deref().unwrap_or("2000 15");
        let (count, seconds) = wanted.split_once(' ').unwrap();
        let lab = Lab::new();
        let mut echo = lab.server.command("python3");
        let _echo = lab.dir.start(echo.args(["-c", ECHO, SERVER]), "echo");
        wait_until("the server listens", || {
            lab.server.run("ss", &["-Htln"]).contains(":7000")
        });
        let rules = with_interface(RULES, "lan0", "lan-eth");
        let rules = with_interface(&rules, "wan0", "wan-eth");
        let gateway = lab.start_gateway(&rules);
        let mut crowd = lab.client.command("python3");
        crowd.args(["-c", CROWD, SERVER, count, seconds]);
        let mut crowd = lab.dir.start(&mut crowd, "crowd");

        let reloads: usize = seconds.parse().unwrap();
        let mut early = None;
        for reload in 0..reloads {
            // Another rule before the others each time.
            let rule = format!(
                "rules = [ {{ id = \"r{reload}\", src = \"10.9.9.9\", action = \"drop\" }},"
            );
            let file = rules.replace("rules = [", &rule);
            lab.dir.write("spigate.toml", file);
            gateway.signal("HUP");
            std::thread::sleep(Duration::from_secs(1));
            if reload > reloads / 2 {
                early.get_or_insert_with(|| resident(gateway.id()));
            }
        }
        let late = resident(gateway.id());
        crowd.wait();
        let said = crowd.output();
        assert!(said.starts_with("broken 0 least "), "{said}");
        let early = early.unwrap();
        assert!(late < early + 4096, "{early} kB, {late} kB");
        let log = gateway.log();
        let taken_over = log.matches("rules reloaded").count();
        assert!(taken_over * 10 >= reloads * 9, "{taken_over} of {reloads}");
        println!("{count} connections, {taken_over} reloads, {early} and {late} kB");
        gateway.stop(&lab);
    });
}
