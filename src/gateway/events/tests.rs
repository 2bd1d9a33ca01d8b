//! The writer with files that take what they like.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::SyncSender;

use serde_json::Value;

use super::*;
use crate::engine::Intake;
use crate::net::Timestamp;

/// What a file has, and how much more it takes.
static DISK: Mutex<(Vec<u8>, usize)> = Mutex::new((Vec::new(), 0));

struct SmallDisk;

impl Write for SmallDisk {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut disk = DISK.lock().unwrap();
        let length = octets.len().min(disk.1);
        if length == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.0.extend_from_slice(&octets[..length]);
        disk.1 -= length;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wait_until(is_true: impl Fn() -> bool) {
    for _ in 0..500 {
        if is_true() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("never came true");
}

fn drain(to: &SyncSender<Entry>) {
    to.send(Entry::Intake(Timestamp::EPOCH, Intake::Drained))
        .unwrap();
}

#[test]
fn what_a_full_disk_did_not_take_is_counted_and_lines_stay_whole() {
    let (to, entries) = sync_channel(QUEUE);
    let shared = Arc::new(Shared {
        written: AtomicU64::new(0),
        lost: AtomicU64::new(0),
        drops: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
        reopens: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
    });
    // In the midst of a line.
    DISK.lock().unwrap().1 = 100;
    let place = EventPlace::StandardOutput;
    let kept = Arc::clone(&shared);
    let writer = Writer::with(place, SmallDisk, |_| Ok(SmallDisk), kept, Clock::start());
    let writing = thread::spawn(move || writer.run(&entries));
    drain(&to);
    wait_until(|| DISK.lock().unwrap().1 == 0);
    thread::sleep(Duration::from_millis(50));
    for _ in 0..10 {
        drain(&to);
    }
    shared.drops[Reason::NoSession as usize].fetch_add(7, Ordering::Relaxed);
    wait_until(|| shared.lost.load(Ordering::Relaxed) == 10);
    DISK.lock().unwrap().1 = usize::MAX;
    wait_until(|| {
        let disk = DISK.lock().unwrap();
        String::from_utf8_lossy(&disk.0).contains("lost")
    });
    drain(&to);
    drop(to);
    writing.join().unwrap();
    let text = String::from_utf8(DISK.lock().unwrap().0.clone()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |event: &str| -> Vec<&Value> {
        let those = lines.iter();
        those.filter(|line| line["event"] == event).collect()
    };
    assert_eq!(lines[0]["event"], "start");
    assert_eq!(lines.last().unwrap()["event"], "stop");
    assert_eq!(of("lost")[0]["count"], 10);
    assert_eq!(of("drops")[0]["count"], 7);
    assert_eq!(of("drops")[0]["reason"], "no-session");
    assert_eq!(of("drain").len(), 2);
    let written = shared.written.load(Ordering::Relaxed);
    assert_eq!(written, lines.len() as u64);
}
