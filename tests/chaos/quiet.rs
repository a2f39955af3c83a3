//! When a run is over: nothing is queued, leased, held or behind.

use std::time::Duration;

use async_nats::jetstream;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use crate::town::Town;

/// Leases, redelivery and holds take 10 s at most, and a lost process may make one follow the other.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until there is nothing more to do; tells what still was after the time was over.
pub async fn wait(town: &Town) -> Vec<String> {
    let give_up = Instant::now() + PATIENCE;
    let mut calm = 0;
    loop {
        let open = open(town).await.unwrap_or_else(|error| vec![format!("cannot be looked at: {error:#}")]);
        calm = if open.is_empty() { calm + 1 } else { 0 };
        // Twice: a reaction may be about to follow from what was just done.
        if calm == 2 {
            return vec![];
        }
        if Instant::now() > give_up {
            return open;
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// What is still to be done, or will never be.
async fn open(town: &Town) -> anyhow::Result<Vec<String>> {
    let mut open = Vec::new();
    for process in &town.processes {
        if process.ready.borrow().is_none() {
            open.push("a process is not ready".to_owned());
        }
    }
    open.extend(on_the_bus(town).await?);
    open.extend(behind(&town.pool).await?);
    let unfinished: [(&str, &str); 4] = [
        ("job", "SELECT concat_ws(' ', kind, key, state, attempt, last_error) FROM jobs WHERE state <> 'done'"),
        ("hold", "SELECT concat_ws(' ', owner, hold_id, expires_at) FROM billing_v1.holds"),
        ("parked key", "SELECT concat_ws(' ', projection, aggregate_id, error) FROM parked_keys"),
        ("dead letter", "SELECT concat_ws(' ', command_id, subject, error) FROM dead_letters"),
    ];
    for (what, query) in unfinished {
        let rows: Vec<String> = sqlx::query_scalar(query).fetch_all(&town.pool).await?;
        open.extend(rows.into_iter().map(|row| format!("{what}: {row}")));
    }
    Ok(open)
}

async fn on_the_bus(town: &Town) -> anyhow::Result<Vec<String>> {
    let context = jetstream::new(town.bus.clone());
    let queued = context.get_stream("COMMANDS").await?.info().await?.state.messages;
    let published = context.get_stream("EVENTS").await?.info().await?.state.last_sequence;
    let last: i64 =
        sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM event_log").fetch_one(&town.pool).await?;
    let mut open = Vec::new();
    if queued > 0 {
        open.push(format!("{queued} commands are queued"));
    }
    if i64::try_from(published) != Ok(last) {
        open.push(format!("{published} of {last} events are published"));
    }
    Ok(open)
}

/// Whoever follows the events and is not at the last one.
async fn behind(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    let behind = "WITH last AS (SELECT coalesce(max(position), 0) AS position FROM event_log) \
        SELECT name || ' is at ' || c.position || ' of ' || last.position FROM checkpoints c, last \
        WHERE c.position <> last.position \
        UNION ALL SELECT (SELECT count(*) FROM events) - (SELECT count(*) FROM event_log) || ' events have no position' \
        WHERE (SELECT count(*) FROM events) <> (SELECT count(*) FROM event_log)";
    sqlx::query_scalar(behind).fetch_all(pool).await
}
