//! Small datagrams as fast as they can be sent, and a socket that takes them.

use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

const AT_ONCE: usize = 64;

/// Sends for so many seconds, 64 at a time.
pub(crate) fn blast(to: &str, seconds: u64) {
    let to: SocketAddr = to.parse().expect("an endpoint");
    let socket = UdpSocket::bind(("0.0.0.0", 0)).expect("a socket");
    socket.connect(to).expect("a route");
    let payload = [7; 18];
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let parts = [IoSlice::new(&payload)];
        let mut control: Vec<_> = (0..AT_ONCE)
            .map(|_| SendAncillaryBuffer::default())
            .collect();
        let mut all: Vec<_> = control
            .iter_mut()
            .map(|control| MMsgHdr::new(&parts, control))
            .collect();
        for _ in 0..16 {
            let _ = sendmmsg(&socket, &mut all, SendFlags::empty());
        }
    }
}

/// Takes datagrams until it is killed, answering the first of each sender, so that the
/// flow is known both ways.
pub(crate) fn sink(at: &str) {
    let socket = UdpSocket::bind(at).expect("a socket");
    println!("ready");
    let mut buffer = [0; 64];
    let mut known = None;
    loop {
        if let Ok((_, from)) = socket.recv_from(&mut buffer)
            && known != Some(from)
        {
            known = Some(from);
            let _ = socket.send_to(b"x", from);
        }
    }
}
