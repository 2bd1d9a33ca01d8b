//! The same by io_uring: all reads of a burst are asked for at once, then all writes; two
//! system calls for up to 64 packets where the plain program makes two for each.
#![expect(
    unsafe_code,
    reason = "the kernel is given addresses; this is a bench that asks whether that is worth it"
)]

use std::os::fd::{AsFd, AsRawFd};

use io_uring::{IoUring, opcode, types};
use rustix::event::{PollFd, PollFlags, poll};

use crate::copier::open;

const AT_ONCE: usize = 64;
const ROOM: usize = 70_000;
/// `RWF_NOWAIT`: nothing to read is an answer.
const NO_WAIT: i32 = 8;

/// Copies until it is killed.
pub(crate) fn copy(one: &str, other: &str) {
    let devices = [open(one), open(other)];
    let mut ring = IoUring::new(2 * AT_ONCE as u32).expect("io_uring");
    let mut buffers = vec![vec![0_u8; ROOM]; AT_ONCE];
    println!("ready");
    // As many reads as were of use lately, and some more.
    let mut wanted = [4; 2];
    loop {
        let mut waiting = [&devices[0], &devices[1]].map(|it| PollFd::new(it, PollFlags::IN));
        poll(&mut waiting, None).expect("poll");
        let seen = waiting.map(|it| it.revents());
        for (from, to) in [(0, 1), (1, 0)] {
            if !seen[from].contains(PollFlags::IN) {
                continue;
            }
            let source = types::Fd(devices[from].as_fd().as_raw_fd());
            let count: usize = wanted[from];
            for (n, buffer) in buffers.iter_mut().take(count).enumerate() {
                let entry = opcode::Read::new(source, buffer.as_mut_ptr(), ROOM as u32);
                // Of a device that does not block it would wait all the same.
                let entry = entry.rw_flags(NO_WAIT).build().user_data(n as u64);
                // SAFETY: the buffers live as long as the ring, and nobody touches them until
                // `submit_and_wait` has returned with all of them done.
                unsafe { ring.submission().push(&entry).expect("there is room") };
            }
            ring.submit_and_wait(count).expect("io_uring");
            let mut lengths = [0_usize; AT_ONCE];
            for done in ring.completion() {
                lengths[done.user_data() as usize] = usize::try_from(done.result()).unwrap_or(0);
            }
            let sink = types::Fd(devices[to].as_fd().as_raw_fd());
            let mut sent = 0;
            for (buffer, length) in buffers.iter().zip(lengths).filter(|(_, n)| *n > 0) {
                let entry = opcode::Write::new(sink, buffer.as_ptr(), length as u32).build();
                // SAFETY: as above.
                unsafe { ring.submission().push(&entry).expect("there is room") };
                sent += 1;
            }
            if sent > 0 {
                ring.submit_and_wait(sent).expect("io_uring");
                ring.completion().for_each(drop);
            }
            wanted[from] = (sent * 2).clamp(2, AT_ONCE);
        }
    }
}
