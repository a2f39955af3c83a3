//! Commands per second, ours beside stock postgres-es and raw inserts, and the lag from commit to projected row.
//!
//! Promise: everybody writes into the same table on the same server in the same run, on wallets alike, and takes turns
//! within each field, so that noise hits all alike; figures are medians over the rounds; what was counted as committed
//! is found in the tables afterwards, or the run fails. Nothing of ours is left out: each command of ours is hashed,
//! decided, stored with its outcome and its metadata, and answered.

mod contestant;
mod house;
mod lag;
pub(crate) mod measure;
mod report;
mod wallets;

use std::time::{Duration, Instant};

use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};
use nats::Outcome;

use crate::Common;
use crate::results::{Section, Server, note};
use house::{Entrant, House, Process, Sets};
use measure::{Measured, Span};
use wallets::{Choice, Stored, Wallets};

/// What this benchmark can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Only so many callers, separated by commas, one turn each on fewer wallets: to look into something.
    #[arg(long, value_delimiter = ',', value_name = "COUNT", conflicts_with = "write")]
    callers: Vec<usize>,
    /// Connections of stock postgres-es and of the raw inserts. The default is what serves them best (tried: 10, 32, 64).
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    baseline_connections: u32,
}

/// One column of a table: so many callers, and how often everybody takes a turn there.
#[derive(Debug, Clone, Copy)]
struct Column {
    callers: usize,
    rounds: usize,
}

/// How much is measured.
struct Plan {
    baseline_connections: u32,
    /// Wallets that are used together, and events that each has before.
    fields: [(usize, u32); 2],
    columns: Vec<Column>,
    span: Span,
    lag: lag::Pace,
}

impl Plan {
    fn of(options: &Options) -> Self {
        let column = |(callers, rounds)| Column { callers, rounds };
        let baseline_connections = options.baseline_connections;
        if options.common.quick {
            return Self {
                baseline_connections,
                fields: [(100, 10), (20, 100)],
                columns: [(1, 1), (16, 1)].map(column).into(),
                span: Span { warm_up: Duration::from_millis(50), measured: Duration::from_millis(200) },
                lag: lag::Pace {
                    per_second: 50,
                    warm_up: Duration::from_millis(500),
                    measured: Duration::from_secs(1),
                },
            };
        }
        let rest = Self {
            baseline_connections,
            // So many of 1,000 events stay in the cache, by its estimate of 160 bytes an event, while they grow.
            fields: [(10_000, 10), (250, 1000)],
            // Targets are judged at 1 and 64 callers.
            columns: [(1, 3), (16, 1), (64, 3), (256, 1)].map(column).into(),
            span: Span { warm_up: Duration::from_millis(500), measured: Duration::from_secs(2) },
            lag: lag::Pace { per_second: 300, warm_up: Duration::from_secs(3), measured: Duration::from_secs(20) },
        };
        if options.callers.is_empty() {
            return rest;
        }
        let columns = options.callers.iter().map(|callers| (*callers, 1)).map(column).collect();
        Self { fields: [(1000, 10), (100, 1000)], columns, ..rest }
    }
}

/// Many wallets or one, and how many events they had: four tables.
struct Field {
    wallets: usize,
    prior: u32,
    names: Vec<&'static str>,
    /// Callers, and what each contestant reached with them.
    columns: Vec<(usize, Vec<Measured>)>,
}

/// Everything that was found.
struct Findings {
    /// Of a payload, on average.
    event_bytes: usize,
    fields: Vec<Field>,
    /// The first command on a wallet that is not in memory, by prior events.
    cold_ms: Vec<(u32, f64)>,
    lag: lag::Lag,
}

/// Measures and reports.
///
/// # Errors
/// A server is away or not durable, a command fails, or a count is wrong.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let (began, common) = (Instant::now(), options.common);
    let plan = Plan::of(options);
    let server = Server::ask(&testkit::database().await.pool, common).await?;
    note(&format!("{server}; seeding the wallets"));
    let sets = plan.fields.map(|(many, prior)| Sets::new(many, prior));
    let house = House::open(&sets).await?;
    let mut findings = Findings {
        event_bytes: Stored::of_one_call()?.average_bytes(),
        fields: vec![],
        cold_ms: vec![],
        lag: lag::measure(plan.lag).await?,
    };
    for sets in &sets {
        compare(&house, sets, &plan, &mut findings).await?;
    }
    note(&format!("measured in {:.0} s", began.elapsed().as_secs_f64()));
    let body = report::body(&server, &plan, &findings);
    Section { name: "write-path", title: "The write path", body }.publish(common)
}

/// All columns of both fields with these wallets.
async fn compare(house: &House, sets: &Sets, plan: &Plan, findings: &mut Findings) -> anyhow::Result<()> {
    let (entrants, process) = house.entrants(sets, plan.baseline_connections).await?;
    findings.cold_ms.push((sets.ours.prior, warm(&process, &sets.ours).await?));
    let mut before = vec![];
    for wallets in [&sets.stock, &sets.raw, &sets.ours] {
        before.push(house.stored(wallets).await?);
    }
    let mut committed = vec![0; entrants.len()];
    for many in [true, false] {
        let mut field = Field {
            wallets: if many { sets.ours.many() } else { 1 },
            prior: sets.ours.prior,
            names: entrants.iter().map(|entrant| entrant.contestant.name()).collect(),
            columns: vec![],
        };
        for column in &plan.columns {
            note(&format!("{} wallets of {} events, {} callers", field.wallets, field.prior, column.callers));
            let measured = take_turns(&entrants, many, *column, plan.span, &mut committed).await?;
            field.columns.push((column.callers, measured));
        }
        findings.fields.push(field);
    }
    process.stop().await?;
    let expected = [committed[0], committed[1] + committed[2], committed[3] + committed[4]];
    for ((wallets, before), expected) in [&sets.stock, &sets.raw, &sets.ours].into_iter().zip(before).zip(expected) {
        let stored = house.stored(wallets).await? - before;
        anyhow::ensure!(stored == expected, "{expected} events were counted as committed and {stored} are stored");
    }
    Ok(())
}

/// Everybody once, then everybody again; of each the median.
async fn take_turns(
    entrants: &[Entrant],
    many: bool,
    column: Column,
    span: Span,
    committed: &mut [u64],
) -> anyhow::Result<Vec<Measured>> {
    let mut rounds = vec![vec![]; entrants.len()];
    for _ in 0..column.rounds {
        for (place, Entrant { contestant, wallets }) in entrants.iter().enumerate() {
            let choice = if many { Choice::AnyOf(wallets.many()) } else { Choice::One(wallets.fresh()?) };
            let measured = measure::measure(contestant, wallets, choice, column.callers, span).await?;
            committed[place] += measured.committed;
            rounds[place].push(measured);
        }
    }
    Ok(rounds.iter().map(|rounds| Measured::median(rounds)).collect())
}

/// Lets our bus meet every wallet once, as a process that has been running for a while has; how long the first ones took
/// on an idle machine, in the median.
async fn warm(process: &Process, wallets: &Wallets) -> anyhow::Result<f64> {
    let meet = async |wallet: usize| {
        let message = contestant::message(wallets.id(wallet), "require_credit", &wallets::require_credit()?)?;
        let started = Instant::now();
        let outcome = contestant::execute(&process.bus, message).await?;
        anyhow::ensure!(matches!(outcome, Outcome::Done { .. }), "a wallet is not ready: {outcome:?}");
        anyhow::Ok(started.elapsed())
    };
    let mut cold = measure::microseconds()?;
    let first = (wallets.many() / 2).min(20);
    for wallet in 0..first {
        measure::record(&mut cold, meet(wallet).await?);
    }
    let others = futures::stream::iter(first..wallets.many()).map(&meet).buffer_unordered(16);
    others.try_for_each(|_| async { Ok(()) }).await?;
    // The whole way is started too: its partitions are assigned.
    let message = contestant::message(wallets.id(0), "require_credit", &wallets::require_credit()?)?;
    contestant::answered(process.client.send(message, contestant::PATIENCE).await?)?;
    Ok(measure::milliseconds(&cold, 50.0))
}
