//! A bad road: what passes by it is now and then lost, and now and then
//! overtaken. Which it is, a seed decides; no kernel feature is needed.

use crate::lab::{Lab, Namespace, Process};

/// A host on the cable, through which all frames go.
pub(super) struct Road {
    _host: Namespace,
    process: Process,
}

impl Road {
    /// Cuts the cable at `device` of the gateway's host, which gets these
    /// addresses again, and lays it through a bad road. `end` is the host at the
    /// other end of it.
    pub(super) fn lay(
        lab: &Lab,
        device: &str,
        addresses: &[&str],
        end: &Namespace,
        seed: u32,
    ) -> Self {
        let host = lab.cut_cable(device, addresses);
        // Whole segments on the wire, with whole checksums.
        let off = ["tso", "gso", "gro", "tx", "rx"].map(|what| [what, "off"]);
        for (at, device) in [
            (&lab.gateway, device),
            (end, "eth0"),
            (&host, "eth0"),
            (&host, "eth1"),
        ] {
            let all = [&["-K", device][..], off.as_flattened()].concat();
            at.run("ethtool", &all);
        }
        let script = lab.dir.write("road.py", ROAD);
        let mut command = host.command("python3");
        command.arg(script).arg(seed.to_string());
        let mut process = lab.dir.start(&mut command, &format!("road-{device}"));
        process.wait_for_word("open");
        Self {
            _host: host,
            process,
        }
    }

    /// Closes it; how many segments were lost, and how many overtaken.
    pub(super) fn close(mut self) -> (u32, u32) {
        self.process.signal("TERM");
        assert!(self.process.wait().success(), "{}", self.process.output());
        let said = self.process.output();
        let words: Vec<_> = said.lines().last().unwrap_or_default().split(' ').collect();
        (words[1].parse().unwrap(), words[3].parse().unwrap())
    }
}

/// One segment in fifty is lost. One in thirty waits until three more have gone
/// its way, or for five milliseconds.
const ROAD: &str = r"
import random, select, signal, socket, sys, time
chance = random.Random(int(sys.argv[1]))
ends = []
for name in ('eth0', 'eth1'):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    end.setsockopt(263, 23, 1) # PACKET_IGNORE_OUTGOING
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    end.bind((name, 0))
    end.setblocking(False)
    ends.append(end)
lost = overtaken = 0
def close(*_):
    print('lost', lost, 'overtaken', overtaken, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, close)
def is_tcp(frame):
    kind = frame[12:14]
    return kind == b'\x08\x00' and frame[23] == 6 or kind == b'\x86\xdd' and frame[20] == 6
def send(to, frame):
    try:
        to.send(frame)
    except (BlockingIOError, OSError):
        pass # one more that is lost
waiting = {} # by the end that they come from: frame, how many may pass, until when
print('open', flush=True)
while True:
    readable, _, _ = select.select(ends, [], [], 0.005 if waiting else None)
    now = time.monotonic()
    for end in ends:
        if end in waiting and now >= waiting[end][2]:
            send(ends[1 - ends.index(end)], waiting.pop(end)[0])
    for end in readable:
        to = ends[1 - ends.index(end)]
        try:
            frame = end.recv(65536)
        except BlockingIOError:
            continue
        draw = chance.random() if is_tcp(frame) else 1
        if draw < 1 / 50:
            lost += 1
            continue
        if draw < 1 / 50 + 1 / 30 and end not in waiting:
            waiting[end] = (frame, 3, now + 0.005)
            continue
        send(to, frame)
        if end in waiting:
            held, more, until = waiting[end]
            waiting[end] = (held, more - 1, until)
            overtaken += more == 3
            if more == 1:
                send(to, waiting.pop(end)[0])
";
