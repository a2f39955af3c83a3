//! The events for projections and reactions: every one, once, in order, from wherever they can be had.
//!
//! The stream `EVENTS` is only the fast way. Whenever it is away, behind, made anew, or cannot be proved to belong to
//! this database, the feed pages the log in Postgres and returns to the stream later. Position = stream sequence makes
//! each step checkable: nothing is skipped, nothing repeated.

use std::time::Duration;

use async_nats::{Client, jetstream, jetstream::Message};
use futures::FutureExt;
use sqlx::PgPool;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::{
    log::{LogError, LoggedEvent, PAGE_BYTES, last_position, page_log, position_of},
    published::{self, Published},
    streams,
    tail::{Broken, Tail},
};

/// How often Postgres is asked while the stream cannot be used.
const POLL: Duration = Duration::from_millis(100);
/// Silence of the stream after which Postgres is asked whether it is right.
const SILENCE: Duration = Duration::from_millis(500);
/// Pause between tries to follow the stream.
const TRY_STREAM: Duration = Duration::from_millis(500);
/// What the stream may be behind Postgres before it is left.
const BEHIND: Duration = Duration::from_millis(200);
/// How long a stream that lagged behind Postgres is left alone.
const DISTRUST: Duration = Duration::from_secs(5);

/// The feed cannot continue from its position now.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Postgres is away or its log is damaged.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The feed has seen more than this database ever held: the database is an older copy. Rebuild what was fed.
    #[error("the checkpoint {after} is beyond the log, which ends at {last}: the database was restored")]
    Diverged { after: i64, last: i64 },
}

/// A cursor over all events.
pub struct EventFeed {
    pool: PgPool,
    client: Client,
    after: i64,
    tail: Option<Tail>,
    try_stream_at: Instant,
    /// Since when Postgres is known to have more than the stream gave.
    behind_since: Option<Instant>,
}

impl EventFeed {
    /// A feed of what follows position `after`; connects when first asked.
    #[expect(clippy::unused_async, reason = "callers need not change when opening has something to wait for")]
    pub async fn open(pool: PgPool, client: Client, after: i64) -> Self {
        Self { pool, client, after, tail: None, try_stream_at: Instant::now(), behind_since: None }
    }

    /// The position of the last event returned.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.after
    }

    /// Whether the stream is followed just now; else Postgres is paged.
    #[must_use]
    pub fn follows_stream(&self) -> bool {
        self.tail.is_some()
    }

    /// Up to `max` further events, fewer when they are large; none when `wait` ends first. Events are skipped never,
    /// repeated never, also when the call is dropped while it waits.
    ///
    /// # Errors
    /// See [`FeedError`]; the feed stays where it is and can be asked again.
    pub async fn next_batch(&mut self, max: usize, wait: Duration) -> Result<Vec<LoggedEvent>, FeedError> {
        let until = Instant::now() + wait;
        loop {
            let batch = match self.tail.take() {
                Some(mut tail) => {
                    let (batch, usable) = self.follow(&mut tail, max, until).await?;
                    if usable {
                        self.tail = Some(tail);
                    }
                    batch
                }
                None => self.page(max, until).await?,
            };
            if let Some(last) = batch.last() {
                self.after = last.position;
                self.behind_since = None;
                return Ok(batch);
            }
            if Instant::now() >= until {
                return Ok(batch);
            }
        }
    }

    /// From Postgres; at the end of the log it tries to follow the stream, or waits a little.
    async fn page(&mut self, max: usize, until: Instant) -> Result<Vec<LoggedEvent>, FeedError> {
        let batch = page_log(&self.pool, self.after, i64::try_from(max).unwrap_or(i64::MAX)).await?;
        if !batch.is_empty() {
            metrics::counter!("feed_events_paged_total").increment(batch.len() as u64);
            return Ok(batch);
        }
        let last = last_position(&self.pool).await.map_err(LogError::from)?;
        if last < self.after {
            return Err(FeedError::Diverged { after: self.after, last });
        }
        if Instant::now() >= self.try_stream_at {
            self.try_stream_at = Instant::now() + TRY_STREAM;
            match self.open_tail().await {
                Ok(tail) => {
                    self.tail = Some(tail);
                    return Ok(batch);
                }
                Err(broken) => tracing::debug!(%broken, after = self.after, "events come from Postgres"),
            }
        }
        sleep_until(until.min(Instant::now() + POLL)).await;
        Ok(batch)
    }

    /// From the stream; and whether it can be followed further. What it does not give, Postgres has.
    async fn follow(
        &mut self,
        tail: &mut Tail,
        max: usize,
        until: Instant,
    ) -> Result<(Vec<LoggedEvent>, bool), FeedError> {
        let (mut batch, mut bytes) = (Vec::<LoggedEvent>::new(), 0);
        let patience = if self.behind_since.is_some() { BEHIND } else { SILENCE };
        let mut next = timeout_at(until.min(Instant::now() + patience), tail.next()).await.ok();
        while let Some(message) = next {
            let after = batch.last().map_or(self.after, |event| event.position);
            match message.and_then(|message| read(&message)) {
                Ok(event) if event.position <= after => {}
                Ok(event) if event.position == after + 1 => {
                    bytes += event.payload.bytes().len();
                    batch.push(event);
                }
                Ok(event) => {
                    self.left(&Broken(format!("{} follows {after}", event.position)));
                    return Ok((batch, false));
                }
                Err(broken) => {
                    self.left(&broken);
                    return Ok((batch, false));
                }
            }
            let has_room = batch.len() < max && bytes < PAGE_BYTES;
            next = if has_room { tail.next().now_or_never() } else { None };
        }
        if batch.is_empty() && self.stream_lags().await? {
            self.try_stream_at = Instant::now() + DISTRUST;
            self.left(&Broken("the stream is behind Postgres".into()));
            return Ok((batch, false));
        }
        Ok((batch, true))
    }

    fn left(&self, broken: &Broken) {
        tracing::debug!(%broken, after = self.after, "the event stream is left");
        metrics::counter!("feed_stream_left_total").increment(1);
    }

    /// Whether Postgres has had more for a while; a moment is only the way through the publisher.
    async fn stream_lags(&mut self) -> Result<bool, FeedError> {
        // When nothing can be compared, whoever feeds on this cannot write either.
        let Ok(last) = last_position(&self.pool).await else { return Ok(false) };
        if last < self.after {
            return Err(FeedError::Diverged { after: self.after, last });
        }
        if last == self.after {
            self.behind_since = None;
            return Ok(false);
        }
        let since = *self.behind_since.get_or_insert_with(Instant::now);
        Ok(since.elapsed() >= BEHIND)
    }

    /// Follows the stream from here, if it reaches back to here and is the published form of this very log.
    async fn open_tail(&self) -> Result<Tail, Broken> {
        if self.client.connection_state() != async_nats::connection::State::Connected {
            return Err(Broken("not connected".into()));
        }
        let context = jetstream::new(self.client.clone());
        let stream = context.get_stream(streams::EVENTS).await.map_err(|error| Broken(error.to_string()))?;
        let state = &stream.cached_info().state;
        let from = u64::try_from(self.after + 1).unwrap_or(1);
        if state.first_sequence > from {
            return Err(Broken(format!("the stream begins at {}", state.first_sequence)));
        }
        if state.messages > 0 {
            let last = stream.get_raw_message(state.last_sequence).await.map_err(|error| Broken(error.to_string()))?;
            let last = Published::read(&last.headers).map_err(|error| Broken(error.to_string()))?;
            let known = position_of(&self.pool, &last.event).await.map_err(|error| Broken(error.to_string()))?;
            if known != Some(last.position) {
                return Err(Broken("the stream holds events that this database does not know".into()));
            }
        }
        Tail::open(&self.client, streams::EVENTS, "", from).await
    }
}

fn read(message: &Message) -> Result<LoggedEvent, Broken> {
    let sequence = message.info().map_err(|error| Broken(error.to_string()))?.stream_sequence;
    let event = published::read_event(message).map_err(|error| Broken(error.to_string()))?;
    if i64::try_from(sequence) != Ok(event.position) {
        return Err(Broken(format!("sequence {sequence} holds position {}", event.position)));
    }
    Ok(event)
}
