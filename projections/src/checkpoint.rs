//! How far a projection has come, and which aggregates it had to leave behind.
//!
//! Rows and checkpoint move in one transaction, and whoever moves them holds the checkpoint's row lock and has compared
//! it with what it brings: a second runner, a redelivery or a replay cannot apply anything twice.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use crate::projector::ProjectedEvent;

/// A place in the order of all events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    pub epoch: i64,
    pub position: i64,
}

/// The checkpoint of `name`, made if there is none. A new one stands before the first event.
pub(crate) async fn read(pool: &PgPool, name: &str) -> sqlx::Result<Checkpoint> {
    sqlx::query("INSERT INTO checkpoints (name) VALUES ($1) ON CONFLICT DO NOTHING").bind(name).execute(pool).await?;
    let (epoch, position) =
        sqlx::query_as("SELECT epoch, position FROM checkpoints WHERE name = $1").bind(name).fetch_one(pool).await?;
    Ok(Checkpoint { epoch, position })
}

/// The checkpoint of `name`, held until the transaction ends.
pub(crate) async fn lock(tx: &mut PgConnection, name: &str) -> sqlx::Result<Checkpoint> {
    let (epoch, position) = sqlx::query_as("SELECT epoch, position FROM checkpoints WHERE name = $1 FOR UPDATE")
        .bind(name)
        .fetch_one(tx)
        .await?;
    Ok(Checkpoint { epoch, position })
}

/// Moves the checkpoint. Its error is that of the oldest parked key, or none.
pub(crate) async fn set(tx: &mut PgConnection, name: &str, to: Checkpoint) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE checkpoints SET epoch = $2, position = $3, updated_at = clock_timestamp(), last_error = \
         (SELECT 'parked: ' || error FROM parked_keys WHERE projection = $1 ORDER BY first_position LIMIT 1) \
         WHERE name = $1",
    )
    .bind(name)
    .bind(to.epoch)
    .bind(to.position)
    .execute(tx)
    .await?;
    Ok(())
}

/// Moves the checkpoint over events that mean nothing to the projection, in one statement; whether it stood at `from`.
/// Without waiting for the disk, as all of a read model.
pub(crate) async fn pass(pool: &PgPool, name: &str, from: Checkpoint, to: Checkpoint) -> sqlx::Result<bool> {
    let passed = sqlx::query(
        "UPDATE checkpoints SET epoch = $4, position = $5, updated_at = clock_timestamp(), last_error = \
         (SELECT 'parked: ' || error FROM parked_keys WHERE projection = $1 ORDER BY first_position LIMIT 1) \
         FROM (SELECT set_config('synchronous_commit', 'off', true)) AS how \
         WHERE name = $1 AND epoch = $2 AND position = $3",
    )
    .bind(name)
    .bind(from.epoch)
    .bind(from.position)
    .bind(to.epoch)
    .bind(to.position)
    .execute(pool)
    .await?;
    Ok(passed.rows_affected() == 1)
}

/// Shows operators why the projection stands still.
pub(crate) async fn note_error(pool: &PgPool, name: &str, error: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE checkpoints SET last_error = $2, updated_at = clock_timestamp() WHERE name = $1")
        .bind(name)
        .bind(error)
        .execute(pool)
        .await?;
    Ok(())
}

/// Which of `keys` (aggregate type, id) are parked.
pub(crate) async fn parked_among(
    tx: &mut PgConnection,
    name: &str,
    keys: (&[&str], &[&str]),
) -> sqlx::Result<Vec<(String, String)>> {
    sqlx::query_as(
        "SELECT p.aggregate_type, p.aggregate_id FROM parked_keys p WHERE p.projection = $1 \
         AND (p.aggregate_type, p.aggregate_id) IN (SELECT DISTINCT * FROM unnest($2::text[], $3::text[]))",
    )
    .bind(name)
    .bind(keys.0)
    .bind(keys.1)
    .fetch_all(tx)
    .await
}

/// Parks the aggregate of `event` from that event on, or notes the next failure of one that is parked.
pub(crate) async fn park(
    tx: &mut PgConnection,
    name: &str,
    event: &ProjectedEvent,
    error: &str,
    attempts: i32,
    retry_in: Duration,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO parked_keys \
         (projection, aggregate_type, aggregate_id, first_position, error, attempts, next_retry_at) \
         VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7)) \
         ON CONFLICT (projection, aggregate_type, aggregate_id) DO UPDATE SET first_position = EXCLUDED.first_position, \
         error = EXCLUDED.error, attempts = EXCLUDED.attempts, next_retry_at = EXCLUDED.next_retry_at",
    )
    .bind(name)
    .bind(&event.aggregate_type)
    .bind(&event.aggregate_id)
    .bind(event.position)
    .bind(error)
    .bind(attempts)
    .bind(retry_in.as_secs_f64())
    .execute(tx)
    .await?;
    Ok(())
}
