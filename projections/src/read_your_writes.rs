//! A reader who has just written sees the write, or is told that the read model is behind.
//!
//! The position of an event is assigned a few milliseconds after its commit, so a read names the event itself
//! (`type:id:sequence`) and waits here until the projection has passed it.

use std::{collections::BTreeMap, time::Duration};

use nats::EventRef;
use sqlx::{FromRow, PgPool};
use tokio::time::{Instant, sleep};

/// Time between two looks: from short, since most waits end within milliseconds, to a bound on the load.
const FIRST_LOOK: Duration = Duration::from_millis(4);
const LONGEST_LOOK: Duration = Duration::from_millis(50);

/// How fresh a read after the wait is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// The rows contain the event.
    pub caught_up: bool,
    /// The event is in the log. One that is not can never be waited for: the rows lack nothing.
    pub exists: bool,
    /// How far the projection is.
    pub position: i64,
    /// How far the log of all events is.
    pub last: i64,
}

#[derive(FromRow)]
struct Look {
    wanted: Option<i64>,
    stored: bool,
    parked: bool,
    position: i64,
    last: i64,
}

/// Waits at most `timeout` until `projection` contains `event`.
///
/// Answers at once, not caught up, if there is no such event (a database that was restored, or a made-up name) or if its
/// aggregate is parked.
///
/// # Errors
/// The database is away.
pub async fn wait_for(pool: &PgPool, projection: &str, event: &EventRef, timeout: Duration) -> sqlx::Result<Freshness> {
    let deadline = Instant::now() + timeout;
    let mut pause = FIRST_LOOK;
    loop {
        let look = look(pool, projection, event).await?;
        let passed = look.wanted.is_some_and(|wanted| wanted <= look.position);
        let freshness = Freshness {
            caught_up: passed && !look.parked,
            exists: look.stored,
            position: look.position,
            last: look.last,
        };
        let hopeless = !look.stored || look.parked;
        if freshness.caught_up || hopeless || Instant::now() + pause > deadline {
            return Ok(freshness);
        }
        sleep(pause).await;
        pause = pause.mul_f32(1.5).min(LONGEST_LOOK);
    }
}

async fn look(pool: &PgPool, projection: &str, event: &EventRef) -> sqlx::Result<Look> {
    sqlx::query_as(
        "SELECT (SELECT position FROM event_log WHERE aggregate_type = $2 AND aggregate_id = $3 AND sequence = $4) \
             AS wanted, \
         EXISTS (SELECT FROM events WHERE aggregate_type = $2 AND aggregate_id = $3 AND sequence = $4) AS stored, \
         EXISTS (SELECT FROM parked_keys p JOIN event_log l USING (aggregate_type, aggregate_id) \
             WHERE p.projection = $1 AND p.aggregate_type = $2 AND p.aggregate_id = $3 AND l.sequence = $4 \
             AND p.first_position <= l.position) AS parked, \
         coalesce((SELECT position FROM checkpoints WHERE name = $1), 0) AS position, \
         coalesce((SELECT max(position) FROM event_log), 0) AS last",
    )
    .bind(projection)
    .bind(&event.aggregate_type)
    .bind(&event.aggregate_id)
    .bind(event.sequence)
    .fetch_one(pool)
    .await
}

/// How far every projection of this release is, by name: the `positions` frame. One that never ran is at 0.
///
/// # Errors
/// The database is away.
pub async fn positions(pool: &PgPool) -> sqlx::Result<BTreeMap<String, i64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT name, coalesce(c.position, 0) FROM unnest($1::text[]) name LEFT JOIN checkpoints c USING (name)",
    )
    .bind(names())
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().collect())
}

/// The most events that [`lag`] counts.
pub const MAX_LAG: i64 = 10_000;

/// How far one projection is, and how far behind.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Lag {
    pub name: String,
    pub position: i64,
    /// Events that it has not seen; counted up to [`MAX_LAG`].
    pub lag: i64,
    /// Aggregates that stand still.
    pub parked: i64,
    pub last_error: Option<String>,
}

/// How far every projection of this release is, for `/readyz` and operators.
///
/// # Errors
/// The database is away.
pub async fn lag(pool: &PgPool) -> sqlx::Result<Vec<Lag>> {
    lag_of(pool, &names()).await
}

pub(crate) async fn lag_of(pool: &PgPool, names: &[&str]) -> sqlx::Result<Vec<Lag>> {
    sqlx::query_as(
        "SELECT name, coalesce(c.position, 0) AS position, c.last_error, \
         (SELECT count(*) FROM (SELECT FROM event_log WHERE position > coalesce(c.position, 0) LIMIT $2) behind) AS lag, \
         (SELECT count(*) FROM parked_keys WHERE projection = name) AS parked \
         FROM unnest($1::text[]) name LEFT JOIN checkpoints c USING (name) ORDER BY name",
    )
    .bind(names)
    .bind(MAX_LAG)
    .fetch_all(pool)
    .await
}

fn names() -> Vec<&'static str> {
    crate::all().iter().map(|projector| projector.name()).collect()
}
