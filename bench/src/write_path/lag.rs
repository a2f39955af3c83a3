//! How long after its commit an event is a row, at a steady pace.
//!
//! Commands come at fixed instants whatever becomes of the earlier ones, through the bus, so that the instant of the
//! commit is known. The sequencer, the publisher, the stream and all projections run as in an installation. A row is there
//! when the checkpoint of its projection is: both commit together. It is asked for every two milliseconds, which is
//! part of what is reported.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use domain::Decider as _;
use domain::billing::Wallet;
use handlers::Bus;
use nats::{Capabilities, EventRef, Outcome, PublisherOptions, SequencerOptions};
use projections::RunnerOptions;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::MasterKey;

use super::contestant::{execute, message};
use super::house::Process;
use super::measure::{microseconds, milliseconds, record};
use super::wallets::{self, Caller, Choice};

const LOOK_EVERY: Duration = Duration::from_millis(2);
const PROJECTION: &str = "billing_v1";
const WALLETS: usize = 1000;
/// After the last command everything must be projected by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Commands per second, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) per_second: u32,
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Lag {
    pub(crate) pace: Pace,
    pub(crate) events: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

/// An event by wallet and sequence.
type Place = (String, i64);

/// Measures on a database and a NATS server of its own.
///
/// # Errors
/// A command fails, or events are not projected.
pub(crate) async fn measure(pace: Pace) -> anyhow::Result<Lag> {
    let (database, nats) = tokio::join!(testkit::database(), testkit::nats());
    let process = Process::start(&database, &nats, &MasterKey::generate()?).await?;
    let cancel = run_read_side(&process, &nats.client);
    let watching = tokio::spawn(watch(PgConnection::connect(&database.url).await?, cancel.clone()));

    let ids: Arc<[String]> = (0..WALLETS).map(|_| Uuid::now_v7().to_string()).collect();
    for id in ids.iter() {
        execute(&process.bus, message(id, "grant", &wallets::grant())?).await?;
    }
    let committed = at_a_pace(&process.bus, &ids, pace).await?;
    let reached = until_projected(&process.pool, &committed).await;
    cancel.cancel();
    let (looks, positions) = (watching.await??, reached?);

    let mut lags = microseconds()?;
    for (place, committed) in committed {
        let position = positions.get(&place).context("an event has no position")?;
        // Looks are in order, and so are the positions that they saw.
        let first = looks.partition_point(|(_, seen)| seen < position);
        let (seen_at, _) = looks.get(first).context("an event was never projected")?;
        record(&mut lags, seen_at.saturating_duration_since(committed));
    }
    process.stop().await?;
    Ok(Lag {
        pace,
        events: lags.len(),
        p50_ms: milliseconds(&lags, 50.0),
        p99_ms: milliseconds(&lags, 99.0),
        max_ms: milliseconds(&lags, 100.0),
    })
}

/// As the roles `publisher` and `projections` do.
fn run_read_side(process: &Process, client: &async_nats::Client) -> CancellationToken {
    let cancel = CancellationToken::new();
    let (pool, capabilities) = (process.pool.clone(), Capabilities(handlers::capabilities()));
    let (sequencer, publisher) = (SequencerOptions::default(), PublisherOptions::default());
    tokio::spawn(nats::run_sequencer(pool.clone(), Some(client.clone()), sequencer, cancel.clone()));
    tokio::spawn(nats::run_publisher(pool.clone(), client.clone(), capabilities, publisher, cancel.clone()));
    for projector in projections::all() {
        let (vault, options) = (process.vault.clone(), RunnerOptions::default());
        let projection =
            projections::run_projection(pool.clone(), client.clone(), vault, projector, options, cancel.clone());
        tokio::spawn(projection);
    }
    cancel
}

/// When the projection was seen to have come how far.
async fn watch(mut connection: PgConnection, cancel: CancellationToken) -> anyhow::Result<Vec<(Instant, i64)>> {
    let (mut looks, mut reached) = (vec![], 0);
    let mut beat = interval(LOOK_EVERY);
    while cancel.run_until_cancelled(beat.tick()).await.is_some() {
        let position: Option<i64> = sqlx::query_scalar("SELECT position FROM checkpoints WHERE name = $1")
            .bind(PROJECTION)
            .fetch_optional(&mut connection)
            .await?;
        if let Some(position) = position.filter(|position| *position > reached) {
            reached = position;
            looks.push((Instant::now(), position));
        }
    }
    Ok(looks)
}

/// Gives orders at the instants of the pace; the instant after each commit, those of the warm-up left out.
async fn at_a_pace(bus: &Bus, ids: &Arc<[String]>, pace: Pace) -> anyhow::Result<Vec<(Place, Instant)>> {
    // Each comes again after a fifth of a second: by then its last order is long committed.
    let callers: Vec<_> =
        (0..pace.per_second.div_ceil(5)).map(|_| Arc::new(Mutex::new(Caller::new(Choice::AnyOf(ids.len()))))).collect();
    let (began, mut beat) = (Instant::now(), interval(Duration::from_secs(1) / pace.per_second));
    let mut tasks = JoinSet::new();
    for caller in callers.iter().cycle() {
        beat.tick().await;
        if began.elapsed() >= pace.warm_up + pace.measured {
            break;
        }
        let (bus, ids, caller) = (bus.clone(), Arc::clone(ids), Arc::clone(caller));
        tasks.spawn(async move {
            let mut caller = caller.lock().await;
            let order = caller.next()?;
            let message = message(&ids[order.wallet], order.verb(), &order.command)?;
            match execute(&bus, message).await? {
                Outcome::Done { event: Some(event), .. } => Ok(((event.aggregate_id, event.sequence), Instant::now())),
                outcome => bail!("an order came to {outcome:?}"),
            }
        });
    }
    let mut committed = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        committed.push(ended??);
    }
    committed.retain(|(_, at)| *at >= began + pace.warm_up);
    Ok(committed)
}

/// Waits until all that was committed is projected; the position of each event.
async fn until_projected(pool: &PgPool, committed: &[(Place, Instant)]) -> anyhow::Result<HashMap<Place, i64>> {
    let newest = committed.iter().max_by_key(|(_, at)| *at).context("nothing was committed")?;
    let ((aggregate_id, sequence), _) = newest.clone();
    let newest = EventRef { aggregate_type: Wallet::TYPE.to_owned(), aggregate_id, sequence };
    // Events of one instant may be positioned in either order: a moment more than the newest one needs.
    let freshness = projections::wait_for(pool, PROJECTION, &newest, PATIENCE).await?;
    anyhow::ensure!(freshness.caught_up, "{newest:?} was not projected within {} s", PATIENCE.as_secs());
    sleep(Duration::from_millis(500)).await;
    let rows: Vec<(String, i64, i64)> =
        sqlx::query_as("SELECT aggregate_id, sequence, position FROM event_log WHERE aggregate_type = $1")
            .bind(Wallet::TYPE)
            .fetch_all(pool)
            .await?;
    Ok(rows.into_iter().map(|(id, sequence, position)| ((id, sequence), position)).collect())
}
