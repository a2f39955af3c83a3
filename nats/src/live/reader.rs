//! Reading frames: what the stream still has, then what comes.

use std::time::Duration;

use async_nats::{Client, jetstream};
use tokio::time::sleep;
use uuid::Uuid;

use super::LiveFrame;
use crate::{
    streams::{self, StreamOptions},
    tail::{Broken, Tail},
};

const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Live text cannot be read just now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("live text cannot be read: {0}")]
pub struct LiveUnavailable(pub String);

/// Follows one run, or all runs of a user, from the first frame that is kept.
///
/// It outlives reconnects and the loss of the stream: then the frames that writers write anew follow, beginning with
/// offset 0, so a reader that places text by its offset shows the same text.
pub struct LiveReader {
    client: Client,
    filter: String,
    tail: Option<Tail>,
    /// The stream that `last` counts in: when it was made.
    stream: Option<i128>,
    last: u64,
    failures: u32,
}

impl LiveReader {
    /// Follows one run of a user.
    #[must_use]
    pub fn of_run(client: Client, user: Uuid, run: Uuid) -> Self {
        Self::new(client, format!("live.chat.{user}.*.{run}"))
    }

    /// Follows all runs of a user, those that start later too.
    #[must_use]
    pub fn of_user(client: Client, user: Uuid) -> Self {
        Self::new(client, format!("live.chat.{user}.>"))
    }

    fn new(client: Client, filter: String) -> Self {
        Self { client, filter, tail: None, stream: None, last: 0, failures: 0 }
    }

    /// Opens the reader, if it is not open, and says whether all frames that the stream had are read: `true` before the
    /// first frame of a run means that nothing is kept of it.
    ///
    /// # Errors
    /// The bus is away just now; [`LiveReader::next`] keeps trying.
    pub async fn caught_up(&mut self) -> Result<bool, LiveUnavailable> {
        self.opened().await.map(|tail| tail.caught_up()).map_err(|broken| LiveUnavailable(broken.to_string()))
    }

    /// The next frame; waits for one, through outages too. Nothing is lost when the wait is dropped.
    pub async fn next(&mut self) -> LiveFrame {
        loop {
            match self.try_next().await {
                Ok(Some(frame)) => return frame,
                Ok(None) => {}
                Err(broken) => {
                    tracing::debug!(%broken, "live text is opened anew");
                    self.tail = None;
                    self.failures += 1;
                    sleep((PAUSE * self.failures).min(LONGEST_PAUSE)).await;
                }
            }
        }
    }

    /// `None` for a message that is no frame.
    async fn try_next(&mut self) -> Result<Option<LiveFrame>, Broken> {
        let message = self.opened().await?.next().await?;
        self.failures = 0;
        self.last = message.info().map_err(|error| Broken(error.to_string()))?.stream_sequence;
        Ok(serde_json::from_slice(&message.payload).ok())
    }

    async fn opened(&mut self) -> Result<&mut Tail, Broken> {
        let tail = match self.tail.take() {
            Some(tail) => tail,
            None => self.open().await?,
        };
        Ok(self.tail.insert(tail))
    }

    async fn open(&mut self) -> Result<Tail, Broken> {
        if self.client.connection_state() != async_nats::connection::State::Connected {
            return Err(Broken("not connected".into()));
        }
        let context = jetstream::new(self.client.clone());
        let stream = context.get_or_create_stream(StreamOptions::default().live()).await;
        let stream = stream.map_err(|error| Broken(error.to_string()))?;
        let made = stream.cached_info().created.unix_timestamp_nanos();
        if self.stream != Some(made) {
            self.stream = Some(made);
            self.last = 0;
        }
        Tail::open(&self.client, streams::LIVE, &self.filter, self.last + 1).await
    }
}
