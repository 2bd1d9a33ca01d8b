//! Somebody who watches sessions begin and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::channel;

use super::Shared;
use super::lines::{Line, Lines};
use super::replies::{Gone, Replies};
use crate::control::{End, Refusal, Refused, SessionFilter};
use crate::gateway::errands::Inside;
use crate::gateway::tap::{Happening, HappeningObject, Watcher};
use crate::objects::View;

/// How much may wait for a client.
const QUEUE: usize = 1024;

/// Events that the client was too slow for.
#[derive(Serialize)]
struct LostObject {
    event: &'static str,
    count: u64,
}

/// Tells a client of sessions until it says something else, which is the answer.
pub(super) async fn watch<R, W>(
    shared: &Shared,
    filter: &SessionFilter,
    lines: &mut Lines<R>,
    to: &mut Replies<W>,
) -> Result<Line, Gone>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (queue, mut happenings) = channel(QUEUE);
    let lost = Arc::new(AtomicU64::new(0));
    let watcher = Watcher {
        queue,
        lost: Arc::clone(&lost),
    };
    let checked = filter.clone();
    let watching = move |inside: &mut Inside<'_>| {
        checked.check(inside.engine.policy())?;
        inside.taps.watch(watcher);
        Ok::<_, crate::control::FilterError>(())
    };
    // A watcher whose queue is gone is let go of.
    let answer = shared.workforce.sum(watching, |all, one| {
        if one.is_err() {
            *all = one;
        }
    });
    let refused = match answer.await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Refused::new(Refusal::BadRequest, error.to_string())),
        Err(ended) => Some(Refused::new(Refusal::Stopping, ended.to_string())),
    };
    if let Some(refused) = refused {
        to.end(&End::Error(refused)).await?;
        return Ok(lines.next().await);
    }
    let next = loop {
        to.flush().await?;
        tokio::select! {
            line = lines.next_without_hurry() => break line,
            happening = happenings.recv() => {
                let Some(happening) = happening else {
                    break Line::End; // the loops have ended
                };
                tell(&happening, filter, to).await?;
                // What waits goes out with it.
                while let Ok(happening) = happenings.try_recv() {
                    tell(&happening, filter, to).await?;
                }
                let count = lost.swap(0, Ordering::Relaxed);
                if count > 0 {
                    to.say(&LostObject { event: "lost", count }).await?;
                }
            }
        }
    };
    drop(happenings);
    // An errand has the loops see that nobody listens any more.
    let _ = shared.workforce.ask_all(|_| ()).await;
    to.end(&End::Ok).await?;
    Ok(next)
}

async fn tell<W: AsyncWrite + Unpin>(
    happening: &Happening,
    filter: &SessionFilter,
    to: &mut Replies<W>,
) -> Result<(), Gone> {
    let view = View {
        policy: &happening.policy,
        now: happening.at,
    };
    if !filter.admits(&happening.session, view) {
        return Ok(());
    }
    to.say(&HappeningObject::of(happening, view)).await
}
