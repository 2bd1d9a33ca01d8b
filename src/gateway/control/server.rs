//! Clients: who is let in, and what each may ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::lines::{Line, Lines};
use super::replies::{Gone, Replies};
use super::{Shared, answers, watch};
use crate::control::{Access, End, Greeting, LONGEST_REQUEST, Refusal, Refused, Request};

/// How many clients there may be.
const MOST_CLIENTS: usize = 64;
/// How many more of the gateway's own user: others cannot keep it out.
const KEPT_FOR_OWNER: usize = 8;
/// How long nobody is let in when the process has no descriptor left.
const REST: Duration = Duration::from_millis(100);

/// Serves whoever comes, until it is aborted.
pub(super) async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    let mut clients = JoinSet::new();
    let count = Arc::new(AtomicUsize::new(0));
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let place = Place::take(&count);
                    clients.spawn(serve_client(stream, Arc::clone(&shared), place));
                }
                Err(error) => {
                    warn!(%error, "nobody gets to the control socket");
                    tokio::time::sleep(REST).await;
                }
            },
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
        }
    }
}

/// A client's place among all.
struct Place {
    count: Arc<AtomicUsize>,
    /// How many there were before.
    number: usize,
}

impl Place {
    fn take(count: &Arc<AtomicUsize>) -> Self {
        Self {
            number: count.fetch_add(1, Ordering::Relaxed),
            count: Arc::clone(count),
        }
    }

    /// Whether somebody with this access may have it.
    fn is_for(&self, access: Access) -> bool {
        let kept = match access {
            Access::Own => KEPT_FOR_OWNER,
            Access::Look | Access::Change => 0,
        };
        self.number < MOST_CLIENTS + kept
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve_client(stream: UnixStream, shared: Arc<Shared>, place: Place) {
    let access = access(&stream, &shared);
    let (from, to) = stream.into_split();
    let mut client = Client {
        lines: Lines::new(from),
        to: Replies::new(to),
        access,
        shared,
    };
    let served = match place.is_for(access) {
        true => client.serve().await,
        false => client.turn_away().await,
    };
    if served == Err(Gone) {
        debug!("a client of the control socket took no answer");
    }
}

/// What this peer may ask for: by its credentials when it connected.
fn access(stream: &UnixStream, shared: &Shared) -> Access {
    let Ok(peer) = stream.peer_cred() else {
        return Access::Look;
    };
    let own = rustix::process::geteuid();
    if peer.uid() == 0 || peer.uid() == own.as_raw() {
        return Access::Own;
    }
    let group = shared.group.as_ref();
    match group.is_some_and(|group| group.has(peer.uid(), peer.gid())) {
        true => Access::Change,
        false => Access::Look,
    }
}

struct Client {
    lines: Lines<OwnedReadHalf>,
    to: Replies<OwnedWriteHalf>,
    access: Access,
    shared: Arc<Shared>,
}

impl Client {
    async fn turn_away(&mut self) -> Result<(), Gone> {
        self.to.say(&Greeting::own()).await?;
        let busy = Refused::new(Refusal::Busy, "there are too many clients");
        self.to.end(&End::Error(busy)).await
    }

    /// Answers request after request, until the client has no more.
    async fn serve(&mut self) -> Result<(), Gone> {
        self.to.say(&Greeting::own()).await?;
        self.to.flush().await?;
        let mut said = self.lines.next().await;
        loop {
            said = match said {
                Line::End => return Ok(()),
                Line::Slow => {
                    let slow = Refused::new(Refusal::BadRequest, "the request takes too long");
                    return self.to.end(&End::Error(slow)).await;
                }
                Line::TooLong => {
                    let message = format!("a request has at most {LONGEST_REQUEST} octets");
                    let long = Refused::new(Refusal::TooLong, message);
                    self.to.end(&End::Error(long)).await?;
                    self.lines.next().await
                }
                Line::Whole(line) => self.answer(&line).await?,
            };
        }
    }

    /// Answers one request; gives what the client says next.
    async fn answer(&mut self, line: &[u8]) -> Result<Line, Gone> {
        let Self {
            lines,
            to,
            access,
            shared,
        } = self;
        let request = Request::read(line).and_then(|request| {
            let needs = request.access();
            match *access >= needs {
                true => Ok(request),
                false => Err(Refused::new(Refusal::NotAllowed, not_allowed(needs))),
            }
        });
        match request {
            Ok(Request::Watch { filter }) => watch::watch(shared, &filter, lines, to).await,
            Ok(request) => {
                answers::answer(request, shared, to).await?;
                Ok(lines.next().await)
            }
            Err(refused) => {
                to.end(&End::Error(refused)).await?;
                Ok(lines.next().await)
            }
        }
    }
}

fn not_allowed(needs: Access) -> &'static str {
    match needs {
        Access::Look => "you may not see this",
        Access::Change => {
            "only root, the gateway's own user and the members of its control group may change what it does"
        }
        Access::Own => "only root and the gateway's own user may do this",
    }
}
