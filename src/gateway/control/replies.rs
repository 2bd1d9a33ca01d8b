//! Lines that go out.

use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::control::End;

/// What is written at a time.
const PART: usize = 32 << 10;
/// How long a client may take nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// The client takes nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// The way to a client.
#[derive(Debug)]
pub(super) struct Replies<W> {
    to: W,
    part: Vec<u8>,
}

impl<W: AsyncWrite + Unpin> Replies<W> {
    pub(super) fn new(to: W) -> Self {
        Self {
            to,
            part: Vec::new(),
        }
    }

    /// Says an object, now or together with others.
    pub(super) async fn say(&mut self, object: &impl Serialize) -> Result<(), Gone> {
        // What is shown here has no keys that JSON could not have.
        serde_json::to_writer(&mut self.part, object).map_err(|_| Gone)?;
        self.part.push(b'\n');
        match self.part.len() < PART {
            true => Ok(()),
            false => self.flush().await,
        }
    }

    /// Ends an answer.
    pub(super) async fn end(&mut self, end: &End) -> Result<(), Gone> {
        self.say(end).await?;
        self.flush().await
    }

    /// What was said goes out.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        let written = timeout(PATIENCE, self.to.write_all(&self.part)).await;
        self.part.clear();
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}
