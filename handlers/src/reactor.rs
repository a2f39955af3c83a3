//! Reactions: what must happen because something happened.
//!
//! Promise: an event leads to its job exactly once, also when the bus was wiped, replayed or away: the record is a cursor
//! in Postgres that moves in the same transaction as the jobs it makes, and a job is unique by reactor and position. A
//! reactor is not a projector: its cursor never goes back.

mod work;

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use chrono::{DateTime, Utc};
use nats::{EventFeed, LoggedEvent};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use self::work::Work;
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
        let mut work = Work::default();
        for event in &events {
            if let Some(intent) = reactor.react(event)? {
                work.take(event.position, intent);
            }
        }
        if !step(pool, reactor.name(), (expected, last), &work).await? {
            return Ok(Overtaken);
        }
        expected = reached;
        reactor.committed(&events);
        metrics::gauge!("reactor_position", "reactor" => reactor.name()).set(reached as f64);
        if work.is_urgent {
            drop(client.publish(WAKE_JOBS, Vec::new().into()).await);
        }
    }
}

async fn cursor(pool: &PgPool, name: &str) -> Result<i64, sqlx::Error> {
    sqlx::query("INSERT INTO checkpoints (name) VALUES ($1) ON CONFLICT DO NOTHING").bind(name).execute(pool).await?;
    sqlx::query_scalar("SELECT position FROM checkpoints WHERE name = $1").bind(name).fetch_one(pool).await
}

/// Jobs and cursor in one transaction. False, and nothing changed, if the cursor is not where this runner left it.
async fn step(
    pool: &PgPool,
    name: &'static str,
    (expected, last): (i64, &LoggedEvent),
    work: &Work,
) -> Result<bool, sqlx::Error> {
    if work.is_nothing() {
        return move_cursor(&mut *pool.acquire().await?, name, (expected, last)).await;
    }
    let mut transaction = pool.begin().await?;
    let moved = move_cursor(&mut transaction, name, (expected, last)).await?;
    if moved {
        work.carry_out(&mut transaction, name).await?;
        transaction.commit().await?;
    }
    Ok(moved)
}

async fn move_cursor(
    connection: &mut PgConnection,
    name: &str,
    (expected, last): (i64, &LoggedEvent),
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(
        "UPDATE checkpoints SET position = $3, epoch = $4, last_error = NULL, updated_at = clock_timestamp() \
         WHERE name = $1 AND position = $2",
    )
    .bind(name)
    .bind(expected)
    .bind(last.position)
    .bind(last.epoch)
    .execute(connection)
    .await?;
    Ok(moved.rows_affected() == 1)
}
