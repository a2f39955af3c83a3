//! One measurement: so many callers, so long, one contestant.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::contestant::Contestant;
use super::wallets::{Caller, Choice, Wallets};

/// How long a measurement runs unmeasured, and measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What one measurement found.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// All that was committed, also outside the measured span.
    pub(crate) committed: u64,
    /// Tries that lost against another, for each one that was committed.
    pub(crate) conflicts_each: f64,
}

impl Measured {
    /// Each figure's median over `rounds`, of which there is at least one.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        Self {
            per_second: of(|one| one.per_second),
            p50_ms: of(|one| one.p50_ms),
            p99_ms: of(|one| one.p99_ms),
            committed: rounds.iter().map(|one| one.committed).sum(),
            conflicts_each: of(|one| one.conflicts_each),
        }
    }
}

/// Lets `callers` make calls on the wallets of `choice`, each waiting for one order before it gives the next.
///
/// # Errors
/// An order failed.
pub(crate) async fn measure(
    contestant: &Arc<dyn Contestant>,
    wallets: &Arc<Wallets>,
    choice: Choice,
    callers: usize,
    span: Span,
) -> anyhow::Result<Measured> {
    let begin = Instant::now() + span.warm_up;
    let end = begin + span.measured;
    let conflicts_before = contestant.conflicts();
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        tasks.spawn(call(Arc::clone(contestant), Arc::clone(wallets), Caller::new(choice), (begin, end)));
    }
    let (mut all, mut committed) = (microseconds()?, 0);
    while let Some(ended) = tasks.join_next().await {
        let (latencies, orders) = ended.context("a caller panicked")??;
        all.add(latencies)?;
        committed += orders;
    }
    Ok(Measured {
        per_second: count(all.len()) / span.measured.as_secs_f64(),
        p50_ms: milliseconds(&all, 50.0),
        p99_ms: milliseconds(&all, 99.0),
        committed,
        conflicts_each: count(contestant.conflicts() - conflicts_before) / count(committed.max(1)),
    })
}

async fn call(
    contestant: Arc<dyn Contestant>,
    wallets: Arc<Wallets>,
    mut caller: Caller,
    (begin, end): (Instant, Instant),
) -> anyhow::Result<(Histogram<u64>, u64)> {
    let (mut latencies, mut committed) = (microseconds()?, 0);
    loop {
        let started = Instant::now();
        if started >= end || !contestant.execute(&wallets, caller.next()?, end).await? {
            return Ok((latencies, committed));
        }
        committed += 1;
        let ended = Instant::now();
        if ended >= begin && ended < end {
            record(&mut latencies, ended - started);
        }
    }
}

/// Latencies up to a minute, to three digits.
pub(crate) fn microseconds() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_max(60_000_000, 3)?)
}

pub(crate) fn record(latencies: &mut Histogram<u64>, latency: Duration) {
    latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
}

pub(crate) fn milliseconds(latencies: &Histogram<u64>, percentile: f64) -> f64 {
    count(latencies.value_at_percentile(percentile)) / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of a short measurement")]
pub(crate) fn count(count: u64) -> f64 {
    count as f64
}
