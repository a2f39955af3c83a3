//! Filling the stream again from an older position, on an operator's word.

use async_nats::{Client, jetstream};
use sqlx::PgPool;
use tokio::time::sleep;

use super::{Capabilities, Publisher, PublisherError, PublisherOptions, attach::Attached, republish};
use crate::{epoch, log};

/// How often a stream is deleted again that another publisher made at the same moment.
const TRIES: u32 = 5;
/// How often the place of another publisher is looked up before this one gives up.
const MOVES: u32 = 100;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// What the stream holds afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refilled {
    pub first: i64,
    pub last: i64,
}

/// Why the stream is not filled again as asked.
#[derive(Debug, thiserror::Error)]
pub enum RefillError {
    /// Nothing was touched.
    #[error("the stream can begin with position {first} to {last}, not with {from}")]
    OutOfRange { from: i64, first: i64, last: i64 },
    #[error("this database has never published")]
    NeverPublished,
    #[error("other publishers are always first; nothing is lost, try again")]
    Beaten,
    #[error(transparent)]
    Publisher(#[from] PublisherError),
}

impl From<sqlx::Error> for RefillError {
    fn from(error: sqlx::Error) -> Self {
        Self::Publisher(error.into())
    }
}

/// Publishes the log again, beside publishers that run.
pub struct Refill {
    publisher: Publisher,
    first: i64,
    last: i64,
}

impl Refill {
    /// Looks whether it can be done, and touches nothing: `from` lies in the current epoch (absent: where a new stream
    /// begins), and this database is provably the one that was published.
    ///
    /// # Errors
    /// It cannot; a server is away.
    pub async fn plan(
        pool: PgPool,
        client: Client,
        capabilities: Capabilities,
        options: PublisherOptions,
        from: Option<i64>,
    ) -> Result<Self, RefillError> {
        let publisher = Publisher { pool, client, capabilities, options };
        let epoch = epoch::current(&publisher.pool).await?.ok_or(RefillError::NeverPublished)?;
        if epoch::stream_info(&publisher.client).await?.is_some() {
            // A stream that holds something else is the only proof of it.
            attached(&publisher).await?;
        }
        let last = log::last_position(&publisher.pool).await?;
        let newest = epoch.first_position.max(last + 1 - publisher.options.refill_events);
        let first = from.unwrap_or(newest);
        let end = last.max(epoch.first_position);
        if first < epoch.first_position || first > end {
            return Err(RefillError::OutOfRange { from: first, first: epoch.first_position, last: end });
        }
        Ok(Self { publisher, first, last })
    }

    /// The positions that the stream will hold.
    #[must_use]
    pub fn range(&self) -> Refilled {
        Refilled { first: self.first, last: self.last }
    }

    /// Deletes the stream, makes it again and fills it up to the end that the log had in [`Self::plan`].
    ///
    /// # Errors
    /// A server went away: the stream is incomplete then, and running publishers go on where this one ended.
    pub async fn run(&self, mut progress: impl FnMut(i64)) -> Result<Refilled, RefillError> {
        self.replace().await?;
        let mut moves = 0;
        loop {
            match self.fill(&mut progress).await {
                Ok(last) => return Ok(Refilled { first: self.first, last }),
                // A running publisher was quicker.
                Err(PublisherError::Moved) if moves < MOVES => {
                    moves += 1;
                    sleep(PAUSE).await;
                }
                Err(PublisherError::Moved) => return Err(RefillError::Beaten),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn replace(&self) -> Result<(), RefillError> {
        let client = &self.publisher.client;
        let config = self.publisher.options.streams.events(u64::try_from(self.first).unwrap_or(1));
        for _ in 0..TRIES {
            republish(client).await?;
            let made = jetstream::new(client.clone()).create_stream(config.clone()).await;
            match (made, epoch::stream_info(client).await?) {
                // With the settings that it was asked for, so nobody else's.
                (Ok(_), Some(info)) if info.config.first_sequence == config.first_sequence => return Ok(()),
                (Err(error), None) => return Err(PublisherError::Bus(error.to_string()).into()),
                _ => {}
            }
        }
        Err(RefillError::Beaten)
    }

    async fn fill(&self, progress: &mut impl FnMut(i64)) -> Result<i64, PublisherError> {
        let publisher = &self.publisher;
        let mut attached: Attached = publisher.attach().await?;
        while attached.last < self.last {
            let rows = log::rows(&publisher.pool, attached.last, publisher.options.batch_max).await?;
            publisher.check_log(&attached).await?;
            publisher.publish(&mut attached, &rows).await?;
            progress(attached.last);
        }
        Ok(attached.last)
    }
}

async fn attached(publisher: &Publisher) -> Result<(), PublisherError> {
    let mut last = Ok(());
    for _ in 0..TRIES {
        match publisher.attach().await {
            Err(error @ PublisherError::Moved) => last = Err(error),
            other => return other.map(|_| ()),
        }
        sleep(PAUSE).await;
    }
    last
}
