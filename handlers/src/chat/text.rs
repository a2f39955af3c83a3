//! The text of a reply while it is written: what was said, and how much of it the live stream has.

use std::time::Duration;

use async_nats::Client;
use nats::{LiveError, LiveWriteError, LiveWriter};
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

/// Whose reply is written, and where.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address {
    pub user: Uuid,
    pub session: Uuid,
    pub run: Uuid,
    pub message: Uuid,
    pub attempt: i32,
}

/// Another attempt writes this run now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fenced;

/// What readers are told at the end.
#[derive(Debug)]
pub(super) struct Done {
    pub status: &'static str,
    pub finish_reason: &'static str,
    pub error: Option<LiveError>,
    pub usage: Option<Value>,
}

/// How long the bus is left alone after it failed us.
const PAUSE: Duration = Duration::from_secs(1);

/// The bus may lose the live text at any time; this memory is what it is refilled from.
pub(super) struct LiveText {
    client: Client,
    address: Address,
    writer: Option<LiveWriter>,
    text: String,
    published_bytes: usize,
    published_chars: u64,
    not_before: Instant,
}

impl LiveText {
    pub(super) fn new(client: Client, address: Address) -> Self {
        Self {
            client,
            address,
            writer: None,
            text: String::new(),
            published_bytes: 0,
            published_chars: 0,
            not_before: Instant::now(),
        }
    }

    pub(super) fn push(&mut self, piece: &str) {
        self.text.push_str(piece);
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn has_unpublished(&self) -> bool {
        self.published_bytes < self.text.len()
    }

    /// Opens the live stream of this attempt, which tells readers that an earlier one is lost.
    pub(super) async fn open(&mut self) -> Result<(), Fenced> {
        let Address { user, session, run, message, attempt } = self.address;
        match LiveWriter::open(self.client.clone(), user, session, run, message, attempt).await {
            Ok(writer) => {
                self.writer = Some(writer);
                self.published_bytes = 0;
                self.published_chars = 0;
                Ok(())
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Brings the live stream up to date, or leaves that to a later call when the bus is away.
    pub(super) async fn flush(&mut self) -> Result<(), Fenced> {
        if Instant::now() < self.not_before {
            return Ok(());
        }
        if self.writer.is_none() {
            self.open().await?;
        }
        // Twice at most: a vanished stream is made again and gets everything.
        for _ in 0..2 {
            let Some(writer) = &mut self.writer else { return Ok(()) };
            let missing = &self.text[self.published_bytes..];
            if missing.is_empty() {
                return Ok(());
            }
            match writer.delta(self.published_chars, missing).await {
                Ok(()) => {
                    self.published_chars += missing.chars().count() as u64;
                    self.published_bytes = self.text.len();
                    return Ok(());
                }
                Err(LiveWriteError::Vanished) => {
                    self.published_bytes = 0;
                    self.published_chars = 0;
                }
                Err(error) => return self.failed(&error),
            }
        }
        Ok(())
    }

    /// Tells readers that the reply has ended; they learn it from the read model where this fails.
    pub(super) async fn done(&mut self, done: Done) {
        self.not_before = Instant::now();
        if self.flush().await.is_err() {
            return;
        }
        if let Some(writer) = &mut self.writer
            && let Err(error) =
                writer.done(self.published_chars, done.status, Some(done.finish_reason), done.error, done.usage).await
        {
            tracing::debug!(%error, run = %self.address.run, "the end of a reply was not shown live");
        }
    }

    fn failed(&mut self, error: &LiveWriteError) -> Result<(), Fenced> {
        if matches!(error, LiveWriteError::Fenced) {
            return Err(Fenced);
        }
        tracing::debug!(%error, run = %self.address.run, "live text waits for the bus");
        // What the bus has of it is unknown: the next writer starts this attempt afresh.
        self.writer = None;
        self.not_before = Instant::now() + PAUSE;
        Ok(())
    }
}
