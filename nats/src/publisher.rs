//! Puts the log on the stream `EVENTS`, position by position: stream sequence = position.
//!
//! Promises: every batch is stored whole or not at all, and only directly after its predecessor, so a publisher that was
//! only paused, or a second one, can do no harm. A database that is not provably the one published before is refused
//! until an operator opens an epoch. The stream is a cache: when it is gone it is made again and refilled.

mod attach;
mod batch;
mod refill;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_nats::{Client, jetstream};
use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    epoch,
    headers::InvalidHeader,
    log::{self, LogError},
    sequencer::{WAKE_PUBLISHER, Wake},
    streams::{self, StreamOptions},
};
use attach::Attached;
pub use refill::{Refill, RefillError, Refilled};

/// Which capability each aggregate type belongs to; it names the subjects.
#[derive(Debug, Clone, Default)]
pub struct Capabilities(pub HashMap<String, String>);

impl Capabilities {
    /// From pairs of aggregate type and capability.
    #[must_use]
    pub fn new<T: Into<String>, C: Into<String>>(pairs: impl IntoIterator<Item = (T, C)>) -> Self {
        Self(pairs.into_iter().map(|(aggregate_type, capability)| (aggregate_type.into(), capability.into())).collect())
    }

    /// Who owns the aggregate type, if this release knows it.
    #[must_use]
    pub fn of(&self, aggregate_type: &str) -> Option<&str> {
        self.0.get(aggregate_type).map(String::as_str)
    }

    /// All aggregate types that it owns.
    #[must_use]
    pub fn types_of(&self, capability: &str) -> Vec<String> {
        self.0.iter().filter(|(_, of)| *of == capability).map(|(aggregate_type, _)| aggregate_type.clone()).collect()
    }
}

/// How the publisher runs.
#[derive(Debug, Clone)]
pub struct PublisherOptions {
    /// Events in one atomic batch; the server takes at most 1,000.
    pub batch_max: i64,
    /// The longest an event waits when its ping was lost.
    pub poll: Duration,
    /// The pause after an error.
    pub retry: Duration,
    /// The pause before looking again whether an operator opened an epoch.
    pub epoch_retry: Duration,
    /// How many of the last events a stream gets that is made again.
    pub refill_events: i64,
    pub streams: StreamOptions,
    /// Where the publisher tells how it is.
    pub status: PublisherStatus,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self {
            batch_max: 500,
            poll: Duration::from_millis(250),
            retry: Duration::from_secs(1),
            epoch_retry: Duration::from_secs(5),
            refill_events: 100_000,
            streams: StreamOptions::default(),
            status: PublisherStatus::default(),
        }
    }
}

/// How the publisher is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PublisherState {
    #[default]
    Starting,
    /// All is well; `position` is in the stream.
    Publishing { epoch: i64, position: i64 },
    /// Something is away; it tries again by itself.
    Retrying { error: String },
    /// An operator has to decide: `events open-epoch`.
    EpochRequired { reason: String },
}

/// A view of the publisher of this process, for readiness and metrics.
#[derive(Debug, Clone, Default)]
pub struct PublisherStatus(Arc<RwLock<PublisherState>>);

impl PublisherStatus {
    #[must_use]
    pub fn get(&self) -> PublisherState {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stores the state; whether it differs from the one before.
    fn set(&self, state: PublisherState) -> bool {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != state;
        *current = state;
        changed
    }
}

/// Why nothing is published now.
#[derive(Debug, thiserror::Error)]
pub enum PublisherError {
    /// This database is not provably the one whose events the stream holds.
    #[error("a new epoch is required: {reason}")]
    EpochRequired { reason: String },
    /// An older release publishes next to a newer one that knows more.
    #[error("the aggregate type `{aggregate_type}` at position {position} belongs to no known capability")]
    UnknownAggregate { aggregate_type: String, position: i64 },
    #[error("the event at position {position} cannot be published: {source}")]
    Unpublishable { position: i64, source: InvalidHeader },
    /// Somebody else published, or the stream was made anew: look again.
    #[error("the stream is not where this publisher left it")]
    Moved,
    #[error("the bus: {0}")]
    Bus(String),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<sqlx::Error> for PublisherError {
    fn from(error: sqlx::Error) -> Self {
        Self::Log(LogError::Database(error))
    }
}

/// Deletes the stream, which is only a cache: the running publisher makes it again and refills it.
///
/// # Errors
/// The bus cannot be reached, or its user may not do that.
pub async fn republish(client: &Client) -> Result<(), PublisherError> {
    let context = jetstream::new(client.clone());
    match context.delete_stream(streams::EVENTS).await {
        Ok(_) => Ok(()),
        Err(error) => match epoch::stream_info(client).await? {
            None => Ok(()),
            Some(_) => Err(PublisherError::Bus(error.to_string())),
        },
    }
}

/// Publishes until cancelled; never gives up.
pub async fn run_publisher(
    pool: PgPool,
    client: Client,
    capabilities: Capabilities,
    options: PublisherOptions,
    cancel: CancellationToken,
) {
    let publisher = Publisher { pool, client, capabilities, options };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = publisher.run() => {}
    }
}

struct Publisher {
    pool: PgPool,
    client: Client,
    capabilities: Capabilities,
    options: PublisherOptions,
}

impl Publisher {
    async fn run(&self) {
        let mut wake = Wake::new(Some(self.client.clone()), WAKE_PUBLISHER).await;
        loop {
            let Err(error) = self.publish_all(&mut wake).await;
            let pause = self.report(&error);
            // At random, so that two publishers do not trip over each other for ever.
            sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        }
    }

    /// Returns only with an error; then everything is looked at again.
    async fn publish_all(&self, wake: &mut Wake) -> Result<std::convert::Infallible, PublisherError> {
        let mut attached = self.attach().await?;
        self.well(&attached);
        loop {
            let next_poll = Instant::now() + self.options.poll;
            let rows = log::rows(&self.pool, attached.last, self.options.batch_max).await?;
            if rows.is_empty() {
                self.check_quiet(&attached).await?;
                wake.wait_until(next_poll).await;
                continue;
            }
            self.check_log(&attached).await?;
            self.publish(&mut attached, &rows).await?;
            self.well(&attached);
        }
    }

    fn well(&self, attached: &Attached) {
        self.options.status.set(PublisherState::Publishing { epoch: attached.epoch, position: attached.last });
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("published_position").set(attached.last as f64);
        metrics::gauge!("publisher_epoch_required").set(0.0);
    }

    /// Says once what is wrong; how long to wait before looking again.
    fn report(&self, error: &PublisherError) -> Duration {
        metrics::counter!("publisher_errors_total").increment(1);
        match error {
            PublisherError::Moved => {
                tracing::debug!(%error, "looking at the stream again");
                Duration::from_millis(100)
            }
            PublisherError::EpochRequired { reason } => {
                if self.options.status.set(PublisherState::EpochRequired { reason: reason.clone() }) {
                    tracing::error!(reason, "nothing is published until an operator opens a new epoch");
                }
                metrics::gauge!("publisher_epoch_required").set(1.0);
                self.options.epoch_retry
            }
            other => {
                if self.options.status.set(PublisherState::Retrying { error: other.to_string() }) {
                    tracing::warn!(%error, "events cannot be published now");
                }
                self.options.retry
            }
        }
    }
}
