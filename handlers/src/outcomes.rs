//! What commands came to, stored in the same transaction as their events.

use chrono::{DateTime, Utc};
use nats::{CommandMessage, Outcome};
use sqlx::{PgConnection, PgPool, types::Json};

/// Records `outcome` for `message` unless its command id has one already; tells whether it was recorded. Waits for a
/// concurrent transaction that records the same id.
///
/// # Errors
/// The database is away.
pub async fn record(
    transaction: &mut PgConnection,
    message: &CommandMessage,
    outcome: &Outcome,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(
        "INSERT INTO command_outcomes (tenant, command_id, actor, request_hash, outcome) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (tenant, command_id) DO NOTHING",
    )
    .bind(&message.tenant)
    .bind(message.command_id)
    .bind(&message.actor)
    .bind(message.request_hash().as_slice())
    .bind(Json(outcome))
    .execute(transaction)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Forgets outcomes decided before `cutoff`, in batches that hold no lock for long; tells how many went.
///
/// # Errors
/// The database is away.
pub async fn prune(pool: &PgPool, cutoff: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let mut pruned = 0;
    loop {
        let batch = sqlx::query(
            "DELETE FROM command_outcomes WHERE ctid IN \
             (SELECT ctid FROM command_outcomes WHERE decided_at < $1 ORDER BY decided_at LIMIT 5000)",
        )
        .bind(cutoff)
        .execute(pool)
        .await?
        .rows_affected();
        pruned += batch;
        if batch < 5000 {
            return Ok(pruned);
        }
    }
}
