//! Feeds one projection with all events, for as long as the process lives.
//!
//! Promise: every event is applied once and in order, whatever dies: rows and checkpoint commit together, a failing event
//! parks its aggregate and is tried again, anything else that fails stops the projection loudly until it works again.
//! Browsers hear of changes after the commit, at most once.

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use nats::{EventFeed, Hint};
use sqlx::{Executor as _, PgPool};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use vault::Vault;

use crate::{
    batch::{self, Batch},
    checkpoint::{self, Checkpoint},
    election::Seat,
    error::RunError,
    parking::{self, Backoff},
    projector::{Projector, Touched},
    read_model::ReadModel,
    read_your_writes,
};

/// Telling browsers may not hold up the rows.
const HINTS_TIMEOUT: Duration = Duration::from_millis(200);
/// Bytes of payloads from which on events wait for no others.
const FULL_BYTES: usize = 8 * 1024 * 1024;
/// How often the metrics of a busy projection are refreshed and its parked aggregates looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How a projection runs.
#[derive(Debug, Clone, Copy)]
pub struct RunnerOptions {
    /// Events of one transaction, at most.
    pub batch_max: usize,
    /// How long the runner waits for events before it looks after other things.
    pub idle_wait: Duration,
    /// How often a process without the seat asks for it.
    pub election_retry: Duration,
    /// Between two tries when something is away or events are missing.
    pub failure: Backoff,
    /// Between two tries of a parked aggregate.
    pub parked: Backoff,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            batch_max: 500,
            idle_wait: Duration::from_millis(500),
            election_retry: Duration::from_secs(1),
            failure: Backoff { first: Duration::from_millis(200), most: Duration::from_secs(10) },
            parked: Backoff { first: Duration::from_secs(1), most: Duration::from_secs(300) },
        }
    }
}

/// Runs `projector` until `stop`, whenever no other process does. Ends between two transactions.
pub async fn run_projection(
    pool: PgPool,
    client: Client,
    vault: Vault,
    projector: Arc<dyn Projector>,
    options: RunnerOptions,
    stop: CancellationToken,
) {
    let runner = Runner { pool, client, vault, projector, options };
    let mut failures = 0;
    while !stop.is_cancelled() {
        let mut applied = false;
        let Err(error) = runner.elected(&stop, &mut applied).await else { continue };
        failures = if applied { 1 } else { failures + 1 };
        runner.say(&error).await;
        stop.run_until_cancelled(sleep(runner.options.failure.after(failures))).await;
    }
}

/// Applies all events that have a position now, parked aggregates that are due included. For tests and rebuilds; it may
/// run beside runners.
///
/// # Errors
/// What stopped it; all that was applied before stays.
pub async fn run_until_caught_up(
    pool: &PgPool,
    vault: &Vault,
    projector: &dyn Projector,
    options: &RunnerOptions,
) -> Result<Checkpoint, RunError> {
    let model = ReadModel::live(projector);
    let max = i64::try_from(options.batch_max).unwrap_or(i64::MAX);
    loop {
        let at = checkpoint::read(pool, projector.name()).await?;
        let logged = nats::page_log(pool, at.position, max).await?;
        if logged.is_empty() {
            parking::retry_due(pool, vault, &model, &options.parked).await?;
            return Ok(at);
        }
        let batch = Batch::open(vault, projector, logged).await?;
        let applied = batch::apply(pool, &model, &batch, &options.parked).await?;
        tracing::debug!(projection = projector.name(), position = applied.checkpoint.position, "catching up");
    }
}

/// Empties the read model and puts its checkpoint before the first event, in one transaction. A runner notices and
/// begins again.
///
/// # Errors
/// The database is away; nothing was changed then.
pub async fn reset(pool: &PgPool, projector: &dyn Projector) -> sqlx::Result<()> {
    checkpoint::read(pool, projector.name()).await?;
    let mut tx = pool.begin().await?;
    checkpoint::lock(&mut tx, projector.name()).await?;
    ReadModel::live(projector).enter(&mut tx).await?;
    projector.reset(&mut tx).await?;
    // Somebody has asked for it and is told that it is done.
    tx.execute("SET LOCAL synchronous_commit = on").await?;
    sqlx::query("DELETE FROM parked_keys WHERE projection = $1").bind(projector.name()).execute(&mut *tx).await?;
    checkpoint::set(&mut tx, projector.name(), Checkpoint { epoch: 1, position: 0 }).await?;
    tx.commit().await
}

struct Runner {
    pool: PgPool,
    client: Client,
    vault: Vault,
    projector: Arc<dyn Projector>,
    options: RunnerOptions,
}

impl Runner {
    /// Waits for the seat and works until `stop`, the loss of the seat, or an error.
    async fn elected(&self, stop: &CancellationToken, applied: &mut bool) -> Result<(), RunError> {
        let Some(mut seat) = Seat::take(&self.pool, self.projector.name()).await? else {
            stop.run_until_cancelled(sleep(self.options.election_retry)).await;
            return Ok(());
        };
        tracing::info!(projection = self.projector.name(), "this process runs the projection");
        let worked = self.work(stop, &mut seat, applied).await;
        seat.leave().await;
        worked
    }

    async fn work(&self, stop: &CancellationToken, seat: &mut Seat, applied: &mut bool) -> Result<(), RunError> {
        let mut feed = self.feed().await?;
        let mut kept_house = Instant::now();
        while seat.is_held().await {
            let next = self.next_batch(&mut feed);
            let Some(logged) = stop.run_until_cancelled(next).await else { return Ok(()) };
            let logged = logged?;
            let idle = logged.is_empty();
            if !idle {
                self.apply(logged).await?;
                *applied = true;
            }
            if idle || kept_house.elapsed() > HOUSEKEEPING {
                kept_house = Instant::now();
                self.keep_house().await?;
                let at = checkpoint::read(&self.pool, self.projector.name()).await?;
                if at.position != feed.position() {
                    tracing::info!(projection = self.projector.name(), at.position, "the checkpoint was moved");
                    feed = self.feed().await?;
                }
            }
        }
        tracing::warn!(projection = self.projector.name(), "the seat was lost");
        Ok(())
    }

    async fn feed(&self) -> Result<EventFeed, RunError> {
        let at = checkpoint::read(&self.pool, self.projector.name()).await?;
        Ok(EventFeed::open(self.pool.clone(), self.client.clone(), at.position).await)
    }

    /// Events as they come, with those that keep them company.
    async fn next_batch(&self, feed: &mut EventFeed) -> Result<Vec<nats::LoggedEvent>, RunError> {
        let max = self.options.batch_max;
        let mut batch = feed.next_batch(max, self.options.idle_wait).await?;
        let until = Instant::now() + self.projector.company();
        while !batch.is_empty() && batch.len() < max && Instant::now() < until {
            if batch.iter().map(|event| event.payload.bytes().len()).sum::<usize>() >= FULL_BYTES {
                break;
            }
            batch.extend(feed.next_batch(max - batch.len(), until - Instant::now()).await?);
        }
        Ok(batch)
    }

    async fn apply(&self, logged: Vec<nats::LoggedEvent>) -> Result<(), RunError> {
        let begun = Instant::now();
        let name = self.projector.name();
        let batch = Batch::open(&self.vault, &*self.projector, logged).await?;
        let applied =
            batch::apply(&self.pool, &ReadModel::live(&*self.projector), &batch, &self.options.parked).await?;
        metrics::histogram!("projection_batch_seconds", "projection" => name).record(begun.elapsed());
        metrics::counter!("projection_events_total", "projection" => name).increment(applied.events as u64);
        metrics::counter!("projection_parked_total", "projection" => name).increment(applied.parked as u64);
        self.tell(&applied.touched, applied.checkpoint.position).await;
        Ok(())
    }

    /// Hints to browsers; a lost one is found by comparing positions.
    async fn tell(&self, touched: &Touched, position: i64) {
        let tell_all = async {
            for touch in touched.iter() {
                let topic = touch.topic.as_str().to_owned();
                let hint = Hint { topic, session_id: touch.session_id, position };
                nats::live::hint(&self.client, touch.user, &hint).await?;
            }
            Ok::<_, async_nats::PublishError>(())
        };
        match timeout(HINTS_TIMEOUT, tell_all).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "hints were not sent"),
            Err(_) => tracing::debug!("hints took too long"),
        }
    }

    /// Parked aggregates and metrics.
    async fn keep_house(&self) -> Result<(), RunError> {
        let name = self.projector.name();
        let touched =
            parking::retry_due(&self.pool, &self.vault, &ReadModel::live(&*self.projector), &self.options.parked)
                .await?;
        let lag = read_your_writes::lag_of(&self.pool, &[name]).await?;
        for lag in lag {
            metrics::gauge!("projection_position", "projection" => name).set(lag.position as f64);
            metrics::gauge!("projection_lag_events", "projection" => name).set(lag.lag as f64);
            metrics::gauge!("projection_parked_keys", "projection" => name).set(lag.parked as f64);
            self.tell(&touched, lag.position).await;
        }
        Ok(())
    }

    /// The projection stands still: in the log, in the metrics and on the operator's page.
    async fn say(&self, error: &RunError) {
        let name = self.projector.name();
        tracing::error!(projection = name, %error, "the projection stands still");
        metrics::counter!("projection_errors_total", "projection" => name).increment(1);
        // Where the database is away it cannot hold the note either; the log line stands.
        if let Err(error) = checkpoint::note_error(&self.pool, name, &error.to_string()).await {
            tracing::debug!(projection = name, %error, "the error could not be noted");
        }
    }
}
