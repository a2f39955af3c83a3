//! Parked aggregates get another chance, in order, later and later.

use std::time::Duration;

use sqlx::{FromRow, PgPool, Row as _, postgres::PgRow};
use vault::Vault;

use crate::{
    batch, checkpoint,
    error::RunError,
    payload::Payload,
    projector::{ProjectedEvent, Touched},
    read_model::ReadModel,
};

/// Parked aggregates that are tried in one go, so that the others do not wait for long.
const KEYS_AT_ONCE: i64 = 16;
/// Events of one parked aggregate that are applied in one transaction.
const EVENTS_AT_ONCE: i64 = 500;

/// How long a parked aggregate waits between two tries: doubling from `first` to `most`, with jitter.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    pub first: Duration,
    pub most: Duration,
}

impl Backoff {
    /// The wait after so many failures in a row, from 1.
    pub(crate) fn after(&self, failures: i32) -> Duration {
        let doublings = u32::try_from(failures - 1).unwrap_or(0).min(20);
        let wait = self.first.saturating_mul(1 << doublings).min(self.most);
        wait.mul_f64(1.0 - fastrand::f64() / 4.0)
    }
}

/// A parked aggregate.
#[derive(FromRow)]
struct ParkedKey {
    aggregate_type: String,
    aggregate_id: String,
    first_position: i64,
    attempts: i32,
}

/// Tries the parked aggregates whose time has come. Answers what changed.
///
/// # Errors
/// Something is away; what was committed before stays.
pub(crate) async fn retry_due(
    pool: &PgPool,
    vault: &Vault,
    model: &ReadModel<'_>,
    backoff: &Backoff,
) -> Result<Touched, RunError> {
    let due: Vec<ParkedKey> = sqlx::query_as(
        "SELECT aggregate_type, aggregate_id, first_position, attempts FROM parked_keys \
         WHERE projection = $1 AND next_retry_at <= clock_timestamp() ORDER BY first_position LIMIT $2",
    )
    .bind(model.name())
    .bind(KEYS_AT_ONCE)
    .fetch_all(pool)
    .await?;
    let mut touched = Touched::default();
    for key in due {
        touched.merge(retry(pool, vault, model, backoff, &key).await?);
    }
    Ok(touched)
}

async fn retry(
    pool: &PgPool,
    vault: &Vault,
    model: &ReadModel<'_>,
    backoff: &Backoff,
    key: &ParkedKey,
) -> Result<Touched, RunError> {
    let waiting = batch::open_all(vault, waiting_events(pool, key).await?).await?;
    let mut touched = Touched::default();
    let mut tx = pool.begin().await?;
    model.enter(&mut tx).await?;
    let reached = checkpoint::lock(&mut tx, model.name()).await?;
    if !still_parked(&mut tx, model.name(), key).await? {
        return Ok(touched);
    }
    let mut last = key.first_position - 1;
    for opened in waiting.iter().take_while(|opened| opened.event.position <= reached.position) {
        match batch::apply_one(&mut tx, model.projector(), opened).await? {
            Ok(one) => touched.merge(one),
            Err(error) => {
                let event = &opened.event;
                let attempts = if event.position == key.first_position { key.attempts.saturating_add(1) } else { 1 };
                tracing::warn!(projection = model.name(), ?event, attempts, error, "an aggregate stays parked");
                checkpoint::park(&mut tx, model.name(), event, &error, attempts, backoff.after(attempts)).await?;
                tx.commit().await?;
                return Ok(touched);
            }
        }
        last = opened.event.position;
    }
    release(&mut tx, model.name(), key, last, reached.position).await?;
    checkpoint::set(&mut tx, model.name(), reached).await?;
    tx.commit().await?;
    tracing::info!(
        projection = model.name(),
        aggregate_type = key.aggregate_type,
        aggregate_id = key.aggregate_id,
        position = last,
        "a parked aggregate flows again"
    );
    Ok(touched)
}

/// The events of a parked aggregate from the failed one on, in order, as stored.
async fn waiting_events(pool: &PgPool, key: &ParkedKey) -> sqlx::Result<Vec<ProjectedEvent>> {
    let rows = sqlx::query(
        "SELECT l.position, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, e.recorded_at, \
         e.payload::text \
         FROM event_log l JOIN events e USING (aggregate_type, aggregate_id, sequence) \
         WHERE l.aggregate_type = $1 AND l.aggregate_id = $2 AND l.position >= $3 ORDER BY l.sequence LIMIT $4",
    )
    .bind(&key.aggregate_type)
    .bind(&key.aggregate_id)
    .bind(key.first_position)
    .bind(EVENTS_AT_ONCE)
    .fetch_all(pool)
    .await?;
    rows.iter().map(stored_event).collect()
}

/// A row of `events` with its position, as stored: sealed fields stay closed.
pub(crate) fn stored_event(row: &PgRow) -> sqlx::Result<ProjectedEvent> {
    Ok(ProjectedEvent {
        position: row.try_get("position")?,
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: row.try_get("sequence")?,
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        recorded_at: row.try_get("recorded_at")?,
        payload: Payload::Text(nats::Body::known(row.try_get::<String, _>("payload")?)),
    })
}

/// Whether nobody else has retried or reset since the key was read.
async fn still_parked(tx: &mut sqlx::PgConnection, name: &str, key: &ParkedKey) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM parked_keys WHERE projection = $1 AND aggregate_type = $2 AND aggregate_id = $3 \
         AND first_position = $4)",
    )
    .bind(name)
    .bind(&key.aggregate_type)
    .bind(&key.aggregate_id)
    .bind(key.first_position)
    .fetch_one(tx)
    .await
}

/// Frees the aggregate, or lets it go on at once where more of its events wait than fit into one transaction.
async fn release(
    tx: &mut sqlx::PgConnection,
    name: &str,
    key: &ParkedKey,
    applied: i64,
    reached: i64,
) -> sqlx::Result<()> {
    let next: Option<i64> = sqlx::query_scalar(
        "SELECT min(position) FROM event_log WHERE aggregate_type = $1 AND aggregate_id = $2 \
         AND position > $3 AND position <= $4",
    )
    .bind(&key.aggregate_type)
    .bind(&key.aggregate_id)
    .bind(applied)
    .bind(reached)
    .fetch_one(&mut *tx)
    .await?;
    let sql = match next {
        Some(_) => {
            "UPDATE parked_keys SET first_position = $4, attempts = 1, next_retry_at = clock_timestamp() \
             WHERE projection = $1 AND aggregate_type = $2 AND aggregate_id = $3"
        }
        None => "DELETE FROM parked_keys WHERE projection = $1 AND aggregate_type = $2 AND aggregate_id = $3",
    };
    let mut query = sqlx::query(sql).bind(name).bind(&key.aggregate_type).bind(&key.aggregate_id);
    if let Some(next) = next {
        query = query.bind(next);
    }
    query.execute(tx).await?;
    Ok(())
}
