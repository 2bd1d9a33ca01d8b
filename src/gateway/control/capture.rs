//! Captures: chosen packets into a file.
//!
//! The file is written by a thread of its own, which ends with the capture. It is made anew:
//! what is there already is never written to.

use std::fs::{File, OpenOptions};
use std::io::BufWriter;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Serialize;
use tracing::{info, warn};

use super::Shared;
use crate::capture::PcapngWriter;
use crate::control::{CaptureSize, PacketFilter, Refusal, Refused};
use crate::gateway::errands::Inside;
use crate::gateway::tap::{Caught, Counts, Packets};

/// How many packets may wait for the file.
const QUEUE: usize = 2048;
/// How long what was written may wait for the file to have it.
const FLUSH: Duration = Duration::from_millis(200);

/// The capture that there is, if there is one: one at a time.
#[derive(Debug, Default)]
pub(super) struct Captures(Mutex<Option<Running>>);

#[derive(Debug)]
struct Running {
    file: PathBuf,
    counts: Arc<Counts>,
    thread: JoinHandle<()>,
}

/// How far a capture is, or how far it came.
#[derive(Debug, Serialize)]
pub(super) struct CaptureObject {
    table: &'static str,
    file: String,
    packets: u64,
    bytes: u64,
    dropped: u64,
    running: bool,
}

impl CaptureObject {
    fn of(file: &Path, counts: &Counts) -> Self {
        Self {
            table: "capture",
            file: file.display().to_string(),
            packets: counts.packets.load(Ordering::Relaxed),
            bytes: counts.bytes.load(Ordering::Relaxed),
            dropped: counts.dropped.load(Ordering::Relaxed),
            running: !counts.is_over.load(Ordering::Relaxed),
        }
    }
}

impl Captures {
    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that there is.
    pub(super) fn status(&self) -> Option<CaptureObject> {
        let running = self.running();
        running
            .as_ref()
            .map(|running| CaptureObject::of(&running.file, &running.counts))
    }

    /// Waits until the file is complete. The loops catch no more packets by then.
    pub(super) async fn finish(&self) -> Option<CaptureObject> {
        let Running {
            file,
            counts,
            thread,
        } = self.running().take()?;
        // It writes what waits, and ends.
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            warn!(file = %file.display(), "the capture's thread died of a bug");
        }
        Some(CaptureObject::of(&file, &counts))
    }
}

/// Starts a capture.
///
/// # Errors
/// There is one, the file cannot be made, or the filter names what there is not.
pub(super) async fn start(
    shared: &Shared,
    (file, filter, size): (&Path, PacketFilter, CaptureSize),
) -> Result<(), Refused> {
    let is_running = |running: &Running| !running.counts.is_over.load(Ordering::Relaxed);
    if shared.captures.running().as_ref().is_some_and(is_running) {
        let busy = "there is a capture already: stop it first";
        return Err(Refused::new(Refusal::Busy, busy));
    }
    let checked = filter.clone();
    let answer = shared.workforce.ask_first(move |inside| {
        let policy = inside.engine.policy();
        checked.check(policy)?;
        let zones = policy.zones.iter();
        Ok::<_, crate::control::FilterError>(
            zones.map(|(_, zone)| zone.name.clone()).collect::<Vec<_>>(),
        )
    });
    let zones = answer.await.map_err(super::answers::stopping)?;
    let zones = zones.map_err(super::answers::bad_filter)?;
    let failed = |error: std::io::Error| {
        let hint = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                " (a gateway writes beside its control socket, and where --capture-dir says)"
            }
            _ => "",
        };
        let message = format!("cannot write {}: {error}{hint}", file.display());
        Refused::new(Refusal::Failed, message)
    };
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    let made = BufWriter::new(made.map_err(failed)?);
    let writer = PcapngWriter::new(made, zones.iter().map(String::as_str)).map_err(failed)?;
    let (queue, caught) = sync_channel(QUEUE);
    let counts = Arc::new(Counts::default());
    let kept = Arc::clone(&counts);
    let interfaces = zones.len();
    let thread = thread::Builder::new()
        .name("capture".into())
        .spawn(move || write(writer, interfaces, (&caught, &kept), size))
        .map_err(failed)?;
    *shared.captures.running() = Some(Running {
        file: file.to_owned(),
        counts: Arc::clone(&counts),
        thread,
    });
    let packets = Packets {
        filter,
        queue,
        counts,
    };
    // Packets of all workers go into one queue.
    let capture = move |inside: &mut Inside<'_>| inside.taps.capture(packets);
    let answer = shared.workforce.ask_all(capture);
    answer.await.map_err(super::answers::stopping)?;
    info!(file = %file.display(), "capture started");
    Ok(())
}

/// Ends the capture; tells how far it came.
///
/// # Errors
/// There is none.
pub(super) async fn stop(shared: &Shared) -> Result<CaptureObject, Refused> {
    let end = |inside: &mut Inside<'_>| inside.taps.end_capture();
    let answer = shared.workforce.ask_all(end);
    answer.await.map_err(super::answers::stopping)?;
    let ended = shared.captures.finish().await;
    let none = || Refused::new(Refusal::Failed, "there is no capture");
    let ended = ended.ok_or_else(none)?;
    info!(
        file = ended.file,
        packets = ended.packets,
        "capture stopped"
    );
    Ok(ended)
}

/// Writes what is caught, until there is no more or the file is as large as it may be.
fn write(
    mut writer: PcapngWriter<BufWriter<File>>,
    interfaces: usize,
    (caught, counts): (&Receiver<Caught>, &Counts),
    size: CaptureSize,
) {
    let mut is_flushed = true;
    let ended = loop {
        let packet = match is_flushed {
            true => caught.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => caught.recv_timeout(FLUSH),
        };
        let written = match packet {
            Ok(packet) => {
                let Caught {
                    at,
                    zone,
                    bytes,
                    comment,
                } = packet;
                if zone as usize >= interfaces {
                    // Of a zone that there was not when the file was begun.
                    counts.dropped.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                is_flushed = false;
                writer.write(at, zone, &bytes, &comment)
            }
            Err(RecvTimeoutError::Timeout) => {
                is_flushed = true;
                writer.flush().map(|()| 0)
            }
            Err(RecvTimeoutError::Disconnected) => break Ok(()),
        };
        let octets = match written {
            Ok(octets) => octets as u64,
            Err(error) => break Err(error),
        };
        if octets > 0 {
            counts.packets.fetch_add(1, Ordering::Relaxed);
            let all = counts.bytes.fetch_add(octets, Ordering::Relaxed) + octets;
            if all >= size.0 {
                break Ok(());
            }
        }
    };
    counts.is_over.store(true, Ordering::Relaxed);
    if let Err(error) = ended.and_then(|()| writer.flush()) {
        warn!(%error, "the capture cannot be written");
    }
}
