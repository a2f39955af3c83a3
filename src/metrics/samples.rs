//! What nobody counts while it happens, looked at every few seconds: queues, lags, jobs, holds, pools, the process.
//!
//! Promise: every process tells the same of what they share, so that any that lives is enough for an alarm; graphs take
//! the largest. Each look is a few index probes, and one that fails or takes too long leaves its numbers as they are.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream;
use nats::streams;
use sqlx::PgPool;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::process;
use crate::node::Node;

const PERIOD: Duration = Duration::from_secs(10);
/// A look that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The first event that a projection or reaction has not seen is as old as it is behind. Rebuilds beside a projection
/// are no lag.
const LAGS: &str = r"
    SELECT c.name, coalesce(extract(epoch FROM clock_timestamp() - e.recorded_at), 0)::float8
    FROM checkpoints c
    LEFT JOIN LATERAL (SELECT * FROM event_log WHERE position > c.position ORDER BY position LIMIT 1) l ON true
    LEFT JOIN LATERAL (SELECT recorded_at FROM events WHERE events.aggregate_type = l.aggregate_type
        AND events.aggregate_id = l.aggregate_id AND events.sequence = l.sequence LIMIT 1) e ON true
    WHERE c.name NOT LIKE '%\_rebuild'";
/// Committed events that have no position yet: normally those of a few milliseconds.
const UNSEQUENCED: &str = "
    SELECT coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0)::float8
    FROM (SELECT e.recorded_at FROM sequencer s CROSS JOIN LATERAL
            (SELECT recorded_at FROM events WHERE xid >= pg_snapshot_xmax(s.snap) ORDER BY xid LIMIT 10000) e
          WHERE s.id = 1) waiting";
const JOBS: &str = "
    SELECT kind, CASE WHEN state = 'running' THEN 'running' WHEN run_at > clock_timestamp() THEN 'scheduled' ELSE 'due' END,
           count(*), coalesce(max(extract(epoch FROM clock_timestamp() - run_at)) FILTER (WHERE state = 'queued'), 0)::float8
    FROM jobs WHERE state IN ('queued', 'running') GROUP BY 1, 2";
const HOLDS: &str = "
    SELECT count(*), coalesce(sum(amount_nanos), 0)::float8,
           count(*) FILTER (WHERE expires_at < clock_timestamp() - interval '1 minute')
    FROM billing_v1.holds";
const DEAD_LETTERS: &str = "SELECT count(*) FROM dead_letters WHERE retried_at IS NULL";

/// Looks around until `cancel`.
///
/// # Errors
/// None: what is away is looked at again.
pub(super) async fn take(node: Node, cancel: CancellationToken) -> anyhow::Result<()> {
    metrics::gauge!("build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let mut jobs_seen = HashSet::new();
    loop {
        process::look();
        pools(&node);
        let (pool, client) = (&node.read_pool, &node.nats);
        tokio::join!(
            look("projections", lags(pool)),
            look("sequencer", unsequenced(pool)),
            look("jobs", jobs(pool, &mut jobs_seen)),
            look("holds", holds(pool)),
            look("dead letters", dead_letters(pool)),
            look("commands", commands(client)),
            look("stream", unpublished(pool, client)),
        );
        if cancel.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_none() {
            return Ok(());
        }
    }
}

async fn look(what: &str, looking: impl Future<Output = anyhow::Result<()>>) {
    match timeout(PATIENCE, looking).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("{what} cannot be looked at: {error:#}"),
        Err(_) => tracing::debug!("looking at {what} takes too long"),
    }
}

fn pools(node: &Node) {
    for (name, pool) in [("work", &node.pool), ("read", &node.read_pool)] {
        let idle = u32::try_from(pool.num_idle()).unwrap_or_default();
        let used = pool.size().saturating_sub(idle);
        metrics::gauge!("database_connections", "pool" => name, "state" => "idle").set(f64::from(idle));
        metrics::gauge!("database_connections", "pool" => name, "state" => "used").set(f64::from(used));
        metrics::gauge!("database_connections_max", "pool" => name)
            .set(f64::from(pool.options().get_max_connections()));
    }
}

async fn lags(pool: &PgPool) -> anyhow::Result<()> {
    let lags: Vec<(String, f64)> = sqlx::query_as(LAGS).fetch_all(pool).await?;
    for (name, seconds) in lags {
        metrics::gauge!("checkpoint_lag_seconds", "name" => name).set(seconds);
    }
    Ok(())
}

async fn unsequenced(pool: &PgPool) -> anyhow::Result<()> {
    let seconds: f64 = sqlx::query_scalar(UNSEQUENCED).fetch_one(pool).await?;
    metrics::gauge!("unsequenced_seconds").set(seconds);
    Ok(())
}

async fn jobs(pool: &PgPool, seen: &mut HashSet<(String, String)>) -> anyhow::Result<()> {
    let now: Vec<(String, String, i64, f64)> = sqlx::query_as(JOBS).fetch_all(pool).await?;
    let gone: Vec<_> =
        seen.iter().filter(|(kind, state)| !now.iter().any(|job| job.0 == *kind && job.1 == *state)).cloned().collect();
    let gone = gone.into_iter().map(|(kind, state)| (kind, state, 0, 0.0));
    for (kind, state, count, oldest) in now.iter().cloned().chain(gone) {
        if state == "due" {
            metrics::gauge!("jobs_due_seconds", "kind" => kind.clone()).set(oldest);
        }
        metrics::gauge!("jobs", "kind" => kind.clone(), "state" => state.clone()).set(float(count));
        seen.insert((kind, state));
    }
    Ok(())
}

async fn holds(pool: &PgPool) -> anyhow::Result<()> {
    let (open, held, overdue): (i64, f64, i64) = sqlx::query_as(HOLDS).fetch_one(pool).await?;
    metrics::gauge!("holds_open").set(float(open));
    metrics::gauge!("held_nanos").set(held);
    metrics::gauge!("holds_overdue").set(float(overdue));
    Ok(())
}

async fn dead_letters(pool: &PgPool) -> anyhow::Result<()> {
    let waiting: i64 = sqlx::query_scalar(DEAD_LETTERS).fetch_one(pool).await?;
    metrics::gauge!("dead_letters").set(float(waiting));
    Ok(())
}

async fn commands(client: &async_nats::Client) -> anyhow::Result<()> {
    let stream = jetstream::new(client.clone()).get_stream(streams::COMMANDS).await?;
    let state = &stream.cached_info().state;
    metrics::gauge!("commands_queued").set(float(state.messages));
    metrics::gauge!("commands_queued_bytes").set(float(state.bytes));
    Ok(())
}

/// The stream's sequence is the position.
async fn unpublished(pool: &PgPool, client: &async_nats::Client) -> anyhow::Result<()> {
    let logged = u64::try_from(nats::last_position(pool).await?)?;
    // Absent before the first publication, and while it is made again.
    let stream = jetstream::new(client.clone()).get_stream(streams::EVENTS).await;
    let published = stream.map_or(0, |stream| stream.cached_info().state.last_sequence);
    metrics::gauge!("events_unpublished").set(float(logged.saturating_sub(published)));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats; these are far below 2^53")]
fn float(value: impl TryInto<u64>) -> f64 {
    value.try_into().unwrap_or_default() as f64
}
