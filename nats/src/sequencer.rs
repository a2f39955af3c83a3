//! Gives every committed event its position: one dense order for all, without a lock in any writer.
//!
//! Each step takes what the snapshot of the step before could not see, and stores its own snapshot with the same
//! statement. So an event that commits late is neither missed nor met twice, whatever the order of commits; and within
//! an aggregate positions follow sequences, because a later event is only inserted after the earlier one committed or in
//! the same transaction. Any number of sequencers may run: a row lock elects one per step.

use std::time::Duration;

use async_nats::{Client, connection::State};
use bytes::Bytes;
use futures::StreamExt;
use sqlx::PgPool;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// A ping here after a commit makes new events visible at once.
pub const WAKE_SEQUENCER: &str = "wake.sequencer";
pub(crate) const WAKE_PUBLISHER: &str = "wake.publisher";

/// How the sequencer runs.
#[derive(Debug, Clone)]
pub struct SequencerOptions {
    /// The longest an event waits when its ping was lost.
    pub poll: Duration,
    /// The pause after an error.
    pub retry: Duration,
}

impl Default for SequencerOptions {
    fn default() -> Self {
        Self { poll: Duration::from_millis(100), retry: Duration::from_secs(1) }
    }
}

/// Whether a step would find anything. It reads only, and probes the index on `xid` a few times however long the log is
/// (an equality or an `EXISTS` lets the planner scan the table), so idle polling costs next to nothing.
const ANYTHING_NEW: &str = "
    SELECT coalesce((SELECT xid FROM events ORDER BY xid DESC LIMIT 1) >= pg_snapshot_xmax(s.snap), false)
        OR EXISTS (SELECT FROM pg_snapshot_xip(s.snap) t(xid) WHERE t.xid =
            (SELECT e.xid FROM events e WHERE e.xid <= t.xid ORDER BY e.xid DESC LIMIT 1))
    FROM sequencer s WHERE s.id = 1";

/// Elects one sequencer. A paused one may not keep the others waiting, and the next statement must use the index on
/// `xid`, which the planner cannot know to be selective.
const LOCK: &str = "
    SELECT snap::text, last,
           set_config('idle_in_transaction_session_timeout', '10000', true),
           set_config('enable_seqscan', 'off', true)
    FROM sequencer WHERE id = 1 FOR UPDATE";

/// Rows and cursor come from one statement, thus from one snapshot; it is younger than the lock because the transaction
/// is READ COMMITTED. What the last snapshot could not see is what began after it or was in progress: two ranges of the
/// index, never the whole of it.
const STEP: &str = "
    WITH unseen AS (
        SELECT e.ins, e.aggregate_type, e.aggregate_id, e.sequence
        FROM events e WHERE e.xid >= pg_snapshot_xmax($1::pg_snapshot)
        UNION ALL
        SELECT e.ins, e.aggregate_type, e.aggregate_id, e.sequence
        FROM pg_snapshot_xip($1::pg_snapshot) t(xid)
        CROSS JOIN LATERAL (SELECT * FROM events WHERE events.xid = t.xid OFFSET 0) e),
    ins AS (
        INSERT INTO event_log (position, aggregate_type, aggregate_id, sequence)
        SELECT $2 + row_number() OVER (ORDER BY ins), aggregate_type, aggregate_id, sequence FROM unseen
        RETURNING 1)
    UPDATE sequencer SET snap = pg_current_snapshot(), last = last + (SELECT count(*) FROM ins)
    WHERE id = 1 RETURNING last";

/// Gives positions to all events that are committed and have none; how many.
///
/// # Errors
/// The database is away or lost the transaction; nothing has happened then, or everything.
pub async fn sequence_once(pool: &PgPool) -> Result<u64, sqlx::Error> {
    if !sqlx::query_scalar::<_, bool>(ANYTHING_NEW).fetch_one(pool).await? {
        return Ok(0);
    }
    let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE").await?;
    let (snap, before): (String, i64) = sqlx::query_as(LOCK).fetch_one(&mut *transaction).await?;
    let last: i64 = sqlx::query_scalar(STEP).bind(snap).bind(before).fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    metrics::gauge!("log_position").set(last as f64);
    let sequenced = u64::try_from(last - before).unwrap_or(0);
    metrics::counter!("events_sequenced_total").increment(sequenced);
    Ok(sequenced)
}

/// Tells the sequencers that something was committed. Without effect when the bus is away: they poll too.
pub async fn wake_sequencer(client: &Client) {
    ping(client, WAKE_SEQUENCER).await;
}

/// Sequences until cancelled. Without a client it only polls.
pub async fn run_sequencer(pool: PgPool, client: Option<Client>, options: SequencerOptions, cancel: CancellationToken) {
    let mut wake = Wake::new(client.clone(), WAKE_SEQUENCER).await;
    let run = async {
        loop {
            let next = Instant::now() + options.poll;
            match sequence_once(&pool).await {
                Ok(0) => wake.wait_until(next).await,
                Ok(_) => {
                    if let Some(client) = &client {
                        ping(client, WAKE_PUBLISHER).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "events cannot be sequenced now");
                    sleep(options.retry).await;
                }
            }
        }
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = run => {}
    }
}

async fn ping(client: &Client, subject: &'static str) {
    // While disconnected pings would pile up in the library's buffer.
    if client.connection_state() != State::Connected {
        return;
    }
    if let Err(error) = client.publish(subject, Bytes::new()).await {
        tracing::debug!(%error, subject, "not pinged");
    }
}

/// Waits for a ping or a poll, whichever is first.
pub(crate) struct Wake {
    pings: Option<async_nats::Subscriber>,
}

impl Wake {
    pub(crate) async fn new(client: Option<Client>, subject: &'static str) -> Self {
        let pings = match client {
            Some(client) => client.subscribe(subject).await.ok(),
            None => None,
        };
        Self { pings }
    }

    /// Many pings at once count as one.
    pub(crate) async fn wait_until(&mut self, until: Instant) {
        let Some(pings) = &mut self.pings else {
            return tokio::time::sleep_until(until).await;
        };
        match timeout_at(until, pings.next()).await {
            Ok(Some(_)) => while let Some(Some(_)) = futures::FutureExt::now_or_never(pings.next()) {},
            Ok(None) => {
                self.pings = None;
                tokio::time::sleep_until(until).await;
            }
            Err(_) => {}
        }
    }
}
