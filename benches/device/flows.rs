//! Small datagrams of many flows: each of some sources to each of some ports of the server.

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

const AT_ONCE: usize = 64;
/// The first of the server's ports.
pub(crate) const PORT: u16 = 20_000;
const PAYLOAD: [u8; 18] = [7; 18];

/// How so many flows are made: sources, and ports of the server.
pub(crate) fn shape(flows: usize) -> (usize, usize) {
    let ports = flows.min(250);
    (flows.div_ceil(ports), ports)
}

/// Sends of all flows in turn for so many seconds; at first each of them a few times and
/// not too fast, so that it is known both ways.
pub(crate) fn blast(server: &str, flows: usize, seconds: u64) {
    let (sources, ports) = shape(flows);
    let socket = |_| UdpSocket::bind(("0.0.0.0", 0)).expect("a socket");
    let sockets: Vec<UdpSocket> = (0..sources).map(socket).collect();
    let at = |n: usize| format!("{server}:{}", PORT as usize + n % ports);
    let to = |n: usize| at(n).parse::<SocketAddr>().expect("an endpoint").as_any();
    // Twice round, so that a batch may begin anywhere.
    let targets: Vec<_> = (0..2 * ports.max(AT_ONCE)).map(to).collect();
    for _ in 0..2 {
        for from in (0..ports).step_by(AT_ONCE) {
            for sockets in sockets.chunks(2) {
                for socket in sockets {
                    send(socket, &targets[from..from + AT_ONCE.min(ports)]);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    println!("ready");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut turn = 0;
    while Instant::now() < end {
        for _ in 0..16 {
            let from = turn * AT_ONCE % ports.max(AT_ONCE);
            send(
                &sockets[turn % sockets.len()],
                &targets[from..from + AT_ONCE],
            );
            turn += 1;
        }
    }
}

fn send(socket: &UdpSocket, to: &[rustix::net::SocketAddrAny]) {
    let parts = [IoSlice::new(&PAYLOAD)];
    let mut control: Vec<_> = to.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let mut all: Vec<_> = to
        .iter()
        .zip(&mut control)
        .map(|(to, control)| MMsgHdr::new_with_addr(to, &parts, control))
        .collect();
    let _ = sendmmsg(socket, &mut all, SendFlags::empty());
}

/// Takes datagrams at that many ports until it is killed, answering the first few of each
/// flow.
pub(crate) fn sink(address: &str, ports: usize) {
    let bind = |n: usize| {
        let socket = UdpSocket::bind((address, PORT + n as u16)).expect("a socket");
        socket.set_nonblocking(true).expect("it does not block");
        socket
    };
    let sockets: Vec<UdpSocket> = (0..ports).map(bind).collect();
    println!("ready");
    let mut known = std::collections::HashMap::new();
    let mut buffer = [0; 64];
    loop {
        let mut waiting: Vec<_> = sockets
            .iter()
            .map(|socket| PollFd::new(socket, PollFlags::IN))
            .collect();
        poll(&mut waiting, None).expect("poll");
        for (n, socket) in sockets.iter().enumerate() {
            for _ in 0..16 {
                let Ok((_, from)) = socket.recv_from(&mut buffer) else {
                    break;
                };
                let seen: &mut u8 = known.entry((n, from)).or_insert(0);
                if *seen < 2 {
                    *seen += 1;
                    let _ = socket.send_to(b"x", from);
                }
            }
        }
    }
}
