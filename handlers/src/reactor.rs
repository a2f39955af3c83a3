//! Reactions: what must happen because something happened.
//!
//! Promise: an event leads to its job exactly once, also when the bus was wiped, replayed or away: the record is a cursor
//! in Postgres that moves in the same transaction as the jobs it makes, and a job is unique by reactor and position. A
//! reactor is not a projector: its cursor never goes back.

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use chrono::{DateTime, Utc};
use nats::{EventFeed, LoggedEvent};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::jobs::WAKE_JOBS;

/// Events looked at per transaction, at most.
const BATCH: usize = 500;
const WAIT: Duration = Duration::from_secs(1);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(500);
/// Of two runners the one that was second waits this long before it looks again.
const STANDBY: Duration = Duration::from_secs(2);

/// What an event asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// A new job; `payload` holds ids, never texts.
    Enqueue { kind: &'static str, key: String, payload: Value },
    /// A new job that is not done before `at`.
    Schedule { kind: &'static str, key: String, payload: Value, at: DateTime<Utc> },
    /// The job of this key is not wanted any more unless somebody does it already.
    Withdraw { kind: &'static str, key: String },
    /// The job of this key should end early.
    Cancel { kind: &'static str, key: String },
}

/// A pure function from an event to at most one intent.
pub trait Reactor: Send + Sync {
    /// The name of its cursor: `reaction-chat-reply`.
    fn name(&self) -> &'static str;

    /// What `event` asks for.
    ///
    /// # Errors
    /// The event cannot be read; the cursor stays before it and an alarm rises.
    fn react(&self, event: &LoggedEvent) -> anyhow::Result<Option<Intent>>;

    /// The cursor has passed `events` for good: a place to count them.
    fn committed(&self, events: &[LoggedEvent]) {
        let _ = events;
    }
}

/// Runs `reactor` until `cancel`; of several runners on one database one is active.
///
/// # Errors
/// None at present; failures are logged, counted and waited out.
pub async fn run_reactor(
    pool: PgPool,
    client: Client,
    reactor: Arc<dyn Reactor>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    while !cancel.is_cancelled() {
        let run = tokio::select! {
            () = cancel.cancelled() => break,
            run = follow(&pool, &client, reactor.as_ref()) => run,
        };
        let pause = match run {
            Ok(Overtaken) => STANDBY,
            Err(error) => {
                metrics::counter!("reactor_errors_total", "reactor" => reactor.name()).increment(1);
                tracing::warn!(reactor = reactor.name(), error = format!("{error:#}"), "a reactor starts again");
                PAUSE_AFTER_ERROR
            }
        };
        cancel.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
    Ok(())
}

/// Another runner moved the cursor.
struct Overtaken;

/// Follows the log from the cursor until another runner moves it.
async fn follow(pool: &PgPool, client: &Client, reactor: &dyn Reactor) -> anyhow::Result<Overtaken> {
    let start = cursor(pool, reactor.name()).await?;
    let mut feed = EventFeed::open(pool.clone(), client.clone(), start).await;
    let mut expected = start;
    loop {
        let events = feed.next_batch(BATCH, WAIT).await?;
        let Some(last) = events.last() else { continue };
        let reached = last.position;
        let mut transaction = pool.begin().await?;
        let Some(made) = step(&mut transaction, reactor, expected, &events).await? else { return Ok(Overtaken) };
        transaction.commit().await?;
        expected = reached;
        reactor.committed(&events);
        metrics::gauge!("reactor_position", "reactor" => reactor.name()).set(reached as f64);
        if made {
            drop(client.publish(WAKE_JOBS, Vec::new().into()).await);
        }
    }
}

async fn cursor(pool: &PgPool, name: &str) -> Result<i64, sqlx::Error> {
    sqlx::query("INSERT INTO checkpoints (name) VALUES ($1) ON CONFLICT DO NOTHING").bind(name).execute(pool).await?;
    sqlx::query_scalar("SELECT position FROM checkpoints WHERE name = $1").bind(name).fetch_one(pool).await
}

/// Jobs and cursor in one transaction; tells whether there is anything to wake workers for. `None`, and nothing changed,
/// if the cursor is not where this runner left it.
async fn step(
    transaction: &mut PgConnection,
    reactor: &dyn Reactor,
    expected: i64,
    events: &[LoggedEvent],
) -> anyhow::Result<Option<bool>> {
    let at: i64 = sqlx::query_scalar("SELECT position FROM checkpoints WHERE name = $1 FOR UPDATE")
        .bind(reactor.name())
        .fetch_one(&mut *transaction)
        .await?;
    if at != expected {
        return Ok(None);
    }
    let mut made = false;
    for event in events {
        if let Some(intent) = reactor.react(event)? {
            made |= matches!(intent, Intent::Enqueue { .. } | Intent::Cancel { .. });
            carry_out(transaction, reactor.name(), event.position, intent).await?;
        }
    }
    let last = events.last().map_or(expected, |event| event.position);
    let epoch = events.last().map_or(1, |event| event.epoch);
    sqlx::query(
        "UPDATE checkpoints SET position = $2, epoch = $3, last_error = NULL, updated_at = clock_timestamp() \
         WHERE name = $1",
    )
    .bind(reactor.name())
    .bind(last)
    .bind(epoch)
    .execute(transaction)
    .await?;
    Ok(Some(made))
}

async fn carry_out(
    transaction: &mut PgConnection,
    reactor: &str,
    position: i64,
    intent: Intent,
) -> Result<(), sqlx::Error> {
    let at = match &intent {
        Intent::Schedule { at, .. } => Some(*at),
        _ => None,
    };
    match intent {
        Intent::Enqueue { kind, key, payload } | Intent::Schedule { kind, key, payload, .. } => {
            sqlx::query(
                "INSERT INTO jobs (id, kind, reactor, position, key, payload, run_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, clock_timestamp())) \
                 ON CONFLICT (reactor, position) DO NOTHING",
            )
            .bind(Uuid::now_v7())
            .bind(kind)
            .bind(reactor)
            .bind(position)
            .bind(key)
            .bind(payload)
            .bind(at)
            .execute(transaction)
            .await?;
        }
        Intent::Withdraw { kind, key } => {
            sqlx::query("DELETE FROM jobs WHERE kind = $1 AND key = $2 AND state = 'queued'")
                .bind(kind)
                .bind(key)
                .execute(transaction)
                .await?;
        }
        Intent::Cancel { kind, key } => {
            sqlx::query(
                "UPDATE jobs SET cancel_requested = true WHERE kind = $1 AND key = $2 \
                 AND state IN ('queued', 'running')",
            )
            .bind(kind)
            .bind(key)
            .execute(transaction)
            .await?;
        }
    }
    Ok(())
}
