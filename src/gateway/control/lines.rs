//! Lines that come in: none is longer than it may be, and none takes longer.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use crate::control::LONGEST_REQUEST;

/// How long a client may say nothing.
const IDLE: Duration = Duration::from_secs(10 * 60);
/// How long a line may take once it has begun.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Whole(Vec<u8>),
    /// One that was too long; what is left of it has been passed over.
    TooLong,
    /// The client has begun a line, and does not end it.
    Slow,
    /// There is no more.
    End,
}

/// The lines of a stream.
#[derive(Debug)]
pub(super) struct Lines<R> {
    from: R,
    begun: Vec<u8>,
    /// The line that has begun is too long.
    is_passed_over: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            begun: Vec::new(),
            is_passed_over: false,
        }
    }

    /// The next line. Nothing is lost where somebody waits for it no longer.
    pub(super) async fn next(&mut self) -> Line {
        match timeout(IDLE, self.begin()).await {
            Ok(true) => self.rest().await,
            Ok(false) | Err(_) => Line::End,
        }
    }

    /// The same, of a client that may say nothing for as long as it likes.
    pub(super) async fn next_without_hurry(&mut self) -> Line {
        match self.begin().await {
            true => self.rest().await,
            false => Line::End,
        }
    }

    /// Waits until a line has begun; whether there is one.
    async fn begin(&mut self) -> bool {
        !self.begun.is_empty() || self.is_passed_over || self.read().await
    }

    /// The line that has begun.
    async fn rest(&mut self) -> Line {
        let rest = async {
            loop {
                if let Some(line) = self.in_hand() {
                    return line;
                }
                if !self.read().await {
                    return Line::End;
                }
            }
        };
        timeout(PATIENCE, rest).await.unwrap_or(Line::Slow)
    }

    /// Reads more; whether there was any.
    async fn read(&mut self) -> bool {
        self.begun.reserve(LONGEST_REQUEST);
        matches!(self.from.read_buf(&mut self.begun).await, Ok(read) if read > 0)
    }

    /// A line that is there already.
    fn in_hand(&mut self) -> Option<Line> {
        let end = self.begun.iter().position(|octet| *octet == b'\n');
        let Some(end) = end else {
            if self.begun.len() > LONGEST_REQUEST || self.is_passed_over {
                self.is_passed_over = true;
                self.begun.clear();
            }
            return None;
        };
        let rest = self.begun.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.begun, rest);
        if std::mem::take(&mut self.is_passed_over) || end > LONGEST_REQUEST {
            return Some(Line::TooLong);
        }
        line.truncate(end);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(Line::Whole(line))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let mut runtime = runtime;
        runtime.enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        block_on(async {
            let (mut to, from) = tokio::io::duplex(7);
            let mut lines = Lines::new(from);
            let writing = tokio::spawn(async move {
                to.write_all(b"first\r\n\nthe third of them\nnever ended")
                    .await
            });
            for expected in ["first", "", "the third of them"] {
                assert_eq!(lines.next().await, Line::Whole(expected.into()));
            }
            assert_eq!(lines.next().await, Line::End);
            writing.await.unwrap().unwrap();
        });
    }

    #[test]
    fn a_line_that_is_too_long_costs_no_memory_and_only_itself() {
        block_on(async {
            let (mut to, from) = tokio::io::duplex(1 << 16);
            let mut lines = Lines::new(from);
            let writing = tokio::spawn(async move {
                for _ in 0..1000 {
                    to.write_all(&[b'x'; 1000]).await.unwrap();
                }
                to.write_all(b"\nnext\n").await.unwrap();
            });
            assert_eq!(lines.next().await, Line::TooLong);
            assert!(lines.begun.capacity() < 4 * LONGEST_REQUEST);
            assert_eq!(lines.next().await, Line::Whole(b"next".to_vec()));
            writing.await.unwrap();
        });
    }

    #[test]
    fn a_line_may_be_as_long_as_it_may_be() {
        block_on(async {
            for (length, expected) in [
                (LONGEST_REQUEST, Line::Whole(vec![b'x'; LONGEST_REQUEST])),
                (LONGEST_REQUEST + 1, Line::TooLong),
            ] {
                let mut text = vec![b'x'; length];
                text.push(b'\n');
                assert_eq!(Lines::new(text.as_slice()).next().await, expected);
            }
        });
    }
}
