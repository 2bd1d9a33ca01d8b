//! The dialogue cut in ways that TCP allows and that nobody expects, through
//! spigate and through the kernel's helper by the exported ruleset: where the
//! kernel fails and spigate works, and what the kernel lets in that it should not.

use std::fmt::Write as _;
use std::process::Command;

use super::matrix::rules;
use super::table;
use crate::enter::in_own_namespaces;
use crate::lab::{INSIDE, Lab, Namespace, PUBLIC, Process, SERVER, checked};
use crate::servers::wait_for_listener;

const PROGRAMS: &[&str] = &["python3", "nft", "ss", "kill", "sysctl"];

/// A server that does as its user's name says: it answers to PASV in a way of its
/// own.
const SERVER_SCRIPT: &str = r"
import re, socket, sys, threading, time
address = sys.argv[1]
def serve(control):
    control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = control.makefile('rb')
    say = lambda text: control.sendall(text.encode() + b'\r\n')
    say('220 ready')
    user = data = target = None
    while line := lines.readline():
        line = re.sub(rb'\xff[\xf2\xf4]', b'', line).decode('latin-1').strip()
        verb, _, argument = line.partition(' ')
        if verb == 'USER':
            user = argument
            say('331 and the password')
        elif verb == 'PASS':
            say('230 welcome')
        elif verb == 'NOOP' and user == 'behind':
            pass # answered with what comes next
        elif verb == 'NOOP':
            say('200 nothing done')
        elif verb == 'PORT':
            numbers = [int(number) for number in argument.split(',')]
            if max(numbers) > 255:
                say('501 no such number')
            else:
                target = ('.'.join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5])
                try:
                    if user == 'early':
                        data = socket.create_connection(target, 3)
                    say('200 fine')
                except OSError:
                    say('425 cannot')
        elif verb == 'PASV':
            listener = socket.create_server((address, 0))
            listener.settimeout(5)
            data = listener
            port = listener.getsockname()[1]
            numbers = '(%s,%d,%d)' % (address.replace('.', ','), port // 256, port % 256)
            reply = ('227 Entering Passive Mode ' + numbers + '.\r\n').encode()
            if user == 'halves':
                pieces = [reply[:20], reply[20:]]
            elif user == 'octets':
                pieces = [reply[at:at + 1] for at in range(len(reply))]
            elif user == 'behind':
                pieces = [b'200 nothing done\r\n' + reply]
            elif user == 'digits':
                pieces = [reply.replace(b'Passive Mode', b'Passive Mode 2')]
            else:
                pieces = [reply]
            for piece in pieces:
                control.sendall(piece)
                time.sleep(0.02)
        elif verb == 'LIST':
            say('150 here it comes')
            try:
                if data and target:
                    pass # it is there already
                elif target:
                    data = socket.create_connection(target, 5)
                else:
                    data, _ = data.accept()
                data.sendall(b'a listing')
                data.close()
                say('226 done')
            except OSError:
                say('425 cannot')
            data = target = None
        elif verb == 'QUIT':
            say('227 Logout.')
            break
    control.close()
listener = socket.create_server((address, 21))
while True:
    control, _ = listener.accept()
    threading.Thread(target=serve, args=(control,), daemon=True).start()
";

/// A client that tells of each case what came of it.
const CLIENT_SCRIPT: &str = r"
import socket, sys, time
server, side, patience = sys.argv[1], sys.argv[2], float(sys.argv[3])
class Session:
    def __init__(self, user='someone', nodelay=True):
        self.control = socket.create_connection((server, 21), patience)
        self.control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, nodelay)
        self.lines = self.control.makefile('rb')
        self.expect('220')
        self.ask('USER ' + user, '331')
        self.ask('PASS word', '230')
    def expect(self, code):
        line = self.lines.readline().decode()
        if not line.startswith(code):
            raise OSError('not %s: %r' % (code, line))
        return line
    def ask(self, text, code):
        self.control.sendall(text.encode() + b'\r\n')
        return self.expect(code)
    def own_port(self, port=0):
        self.listener = socket.create_server((self.control.getsockname()[0], port))
        self.listener.settimeout(patience)
        return self.listener.getsockname()[1]
    def line(self):
        port = self.own_port()
        host = self.control.getsockname()[0].replace('.', ',')
        return ('PORT %s,%d,%d\r\n' % (host, port // 256, port % 256)).encode()
    def write(self, pieces, pause=0.02):
        for piece in pieces:
            self.control.sendall(piece)
            if pause:
                time.sleep(pause)
    def is_called(self):
        self.ask('LIST', '150')
        data, _ = self.listener.accept()
        data.settimeout(patience)
        if data.recv(100) != b'a listing':
            raise OSError('no listing')
        self.expect('226')
        self.ask('NOOP', '200')
    def calls(self):
        line = self.expect('227')
        numbers = line[line.rindex('(') + 1:line.rindex(')')].split(',')
        endpoint = '.'.join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5])
        self.control.sendall(b'LIST\r\n')
        data = socket.create_connection(endpoint, patience)
        data.settimeout(patience)
        if data.recv(100) != b'a listing':
            raise OSError('no listing')
        self.expect('150')
        self.expect('226')
def port_in(cut, nodelay=True, pause=0.02, user='someone'):
    session = Session(user, nodelay)
    session.write(cut(session.line()), pause)
    session.expect('200')
    session.is_called()
def two_answers(cut):
    session = Session()
    session.write(cut(session.line()))
    session.expect('200')
    session.expect('200')
    session.is_called()
def octets(line):
    return [line[at:at + 1] for at in range(len(line))]
def halves(line):
    return [line[:9], line[9:]]
def pasv(user, ask=b'PASV\r\n', first=None):
    session = Session(user)
    session.control.sendall(ask)
    if first:
        session.expect(first)
    session.calls()
def logout():
    session = Session()
    session.ask('QUIT', '227')
    if session.lines.readline() != b'':
        raise OSError('it goes on')
def lets_in(numbers, port):
    session = Session()
    session.own_port(port)
    host = session.control.getsockname()[0].replace('.', ',')
    session.control.sendall(('PORT %s,%s\r\n' % (host, numbers)).encode())
    session.lines.readline()
    session.control.sendall(b'LIST\r\n')
    session.listener.accept()
cases = {
    'commands': {
        'PORT in one segment': lambda: port_in(lambda line: [line]),
        'PORT in two segments': lambda: port_in(halves),
        'PORT in two writes, gathered by Nagle': lambda: port_in(halves, False, 0),
        'PORT octet by octet': lambda: port_in(octets),
        'PORT octet by octet, gathered by Nagle': lambda: port_in(octets, False, 0),
        'NOOP and PORT in one segment': lambda: two_answers(lambda line: [b'NOOP\r\n' + line]),
        'NOOP and half of PORT in one segment': lambda: two_answers(
            lambda line: [b'NOOP\r\n' + line[:9], line[9:]]),
        'PORT behind Telnet IP and DM': lambda: port_in(lambda line: [b'\xff\xf4\xff\xf2' + line]),
    },
    'early': {
        'PORT to a server that connects before its 200': lambda: port_in(
            lambda line: [line], user='early'),
    },
    'forged': {
        'PORT with 300 for 44': lambda: lets_in('300,10', 11274),
        'PORT with port 1021': lambda: lets_in('3,253', 1021),
    },
    'replies': {
        '227 in one segment': lambda: pasv('plain'),
        '227 in two segments': lambda: pasv('halves'),
        '227 octet by octet': lambda: pasv('octets'),
        '227 behind another reply in one segment': lambda: pasv('behind', b'NOOP\r\nPASV\r\n', '200'),
        '227 with a digit before its list': lambda: pasv('digits'),
        '227 that is no answer to PASV: Logout.': logout,
    },
}
for name, case in cases[side].items():
    try:
        case()
        print(name + ': works')
    except OSError as error:
        print(name + ': fails', error.__class__.__name__, error)
";

/// What is forged should not work, and everything else should.
fn is_forged(case: &str) -> bool {
    case.starts_with("PORT with ")
}

/// The cases of this side, each with whether it worked.
fn tell(host: &Namespace, server: &str, side: &str, patience: &str) -> Vec<(String, bool)> {
    let said = host.run("python3", &["-c", CLIENT_SCRIPT, server, side, patience]);
    print!("{said}");
    let rows = said.lines().map(|line| match line.strip_suffix(": works") {
        Some(case) => (case.to_owned(), true),
        None => (line.split(": fails").next().unwrap().to_owned(), false),
    });
    rows.collect()
}

/// Starts the server that does as its user's name says.
fn serve(lab: &Lab, host: &Namespace, address: &str) -> Process {
    let script = lab.dir.write("server.py", SERVER_SCRIPT);
    let mut command = host.command("python3");
    command.arg(&script).arg(address);
    let process = lab.dir.start(&mut command, &format!("server-{address}"));
    wait_for_listener(host, "-t", address, 21);
    process
}

/// The cases of all sides, by a gateway that `start` makes of a rule
/// file and that lives as long as what it gives back.
fn try_all<G>(lab: &Lab, start: impl Fn(&str) -> G, patience: &str) -> Vec<(String, bool)> {
    let mut all = Vec::new();
    {
        let _gateway = start("masquerade");
        all.extend(tell(&lab.client, SERVER, "commands", patience));
        // What should not come is not waited for as long.
        all.extend(tell(&lab.client, SERVER, "forged", "4"));
    }
    let _gateway = start("forward");
    all.extend(tell(&lab.server, PUBLIC, "replies", patience));
    all
}

/// The kernel as a gateway, until it is dropped.
struct Kernel<'a>(&'a Lab);

impl<'a> Kernel<'a> {
    fn start(lab: &'a Lab, rules: &str) -> Self {
        // The gateways before it were killed, and have left the host closed: a guard for each
        // of its two interfaces.
        let opens = ["rule", "del", "priority", "7301"];
        while lab.gateway.try_run("ip", &opens).status.success() {}
        let file = lab.dir.write("exported.toml", rules);
        let mut export = Command::new(env!("CARGO_BIN_EXE_spigate"));
        let ruleset = checked(export.args(["export", "nftables"]).arg(file));
        let settings = ruleset
            .lines()
            .filter_map(|line| line.strip_prefix("#   net."));
        for setting in settings {
            let setting = format!("net.{}", setting.replace(" = ", "="));
            lab.gateway.run("sysctl", &["-qw", &setting]);
        }
        let file = lab.dir.write("exported.nft", ruleset);
        lab.gateway.run("nft", &["-f", file.to_str().unwrap()]);
        Self(lab)
    }
}

impl Drop for Kernel<'_> {
    fn drop(&mut self) {
        let _ = self.0.gateway.try_run("nft", &["flush", "ruleset"]);
    }
}

#[test]
fn t_diff_12__where_the_kernels_helper_fails_or_is_fooled_spigate_does_not() {
    let test =
        "ftp::pieces::t_diff_12__where_the_kernels_helper_fails_or_is_fooled_spigate_does_not";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let inside = lab.add_inside_server();
        let _servers = [
            serve(&lab, &lab.server, SERVER),
            serve(&lab, &inside, INSIDE),
        ];
        let spigate = try_all(&lab, |name| lab.start_gateway(&rules(name)), "20");
        let kernel = try_all(&lab, |name| Kernel::start(&lab, &rules(name)), "4");

        let word = |case: &str, worked| match (is_forged(case), worked) {
            (false, true) => "works",
            (false, false) => "**fails**",
            (true, false) => "opens nothing",
            (true, true) => "**opens it**",
        };
        let mut table = String::from("| | the kernel's helper | spigate |\n| --- | --- | --- |\n");
        for ((case, by_kernel), (same, by_spigate)) in kernel.iter().zip(&spigate) {
            assert_eq!(case, same);
            let words = [word(case, *by_kernel), word(case, *by_spigate)];
            let _ = writeln!(table, "| {case} | {} | {} |", words[0], words[1]);
        }
        for (case, worked) in &spigate {
            assert_eq!(*worked, !is_forged(case), "{case}\n{table}");
        }
        assert_eq!(spigate.len(), 16);
        table::hold("the kernel", &table);
    });
}

#[test]
fn a_server_that_connects_before_it_answers_is_let_in_unless_it_has_to_answer_first() {
    let test = "ftp::pieces::a_server_that_connects_before_it_answers_is_let_in_unless_it_has_to_answer_first";
    in_own_namespaces(test, PROGRAMS, || {
        let lab = Lab::new();
        let _server = serve(&lab, &lab.server, SERVER);
        let usual = rules("masquerade");
        let waiting = format!("{usual}[alg.ftp]\nactive-opens = \"accepted\"\n");
        for (rules, works) in [(usual, true), (waiting, false)] {
            let gateway = lab.start_gateway(&rules);
            let came = tell(&lab.client, SERVER, "early", "8");
            let case = "PORT to a server that connects before its 200".to_owned();
            assert_eq!(came, [(case, works)]);
            gateway.stop(&lab);
        }
    });
}
