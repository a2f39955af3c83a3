//! Calls of a compatible API: direct, through nginx, through LiteLLM and Portkey, through a bare pass-through of our own,
//! and through Oblivious as it is.
//!
//! Promise: everybody is measured in one run, by the same load generator, with the same upstream behind, and takes turns,
//! so that noise hits all alike; figures are medians over the rounds. Load, upstream and every contestant are processes
//! of their own. Contestants have one processor each at a time, load and upstream the other one. An answer that is none is
//! reported as failed. Whoever cannot be had is reported with the reason.

mod baselines;
mod child;
mod contestant;
mod http;
mod job;
mod load;
mod ours;
pub(crate) mod pass_through;
mod processes;
mod report;
mod upstream;

use std::path::Path;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use tempfile::TempDir;

use crate::Common;
use crate::results::{Section, note};
use contestant::Contestant;
use job::Seen;

pub(crate) use child::{Core, Server, command};
pub(crate) use http::get;
pub(crate) use job::{Script, Shape};
pub(crate) use load::{one_after_the_other, run as load};
pub(crate) use ours::{FREE, Ours, PRICED, executable};
pub(crate) use upstream::run as upstream;

/// What this benchmark can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    common: Common,
    /// Leave these out, separated by commas; the others are fetched into `.kit-bench/` where they are missing.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME")]
    without: Vec<Baseline>,
}

/// Somebody who is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Baseline {
    Nginx,
    Litellm,
    Portkey,
}

impl Baseline {
    const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Litellm => "LiteLLM",
            Self::Portkey => "Portkey",
        }
    }
}

/// So long unmeasured, then so long measured.
#[derive(Debug, Clone, Copy)]
struct Span {
    warm_up: Duration,
    measured: Duration,
}

/// How much is measured.
struct Plan {
    /// Callers, and how often everybody takes a turn with so many.
    columns: Vec<(usize, usize)>,
    span: Span,
    /// Of whoever is slow, once.
    slow_span: Span,
    per_second: u32,
    slow_per_second: u32,
    rate_span: Span,
    streams: usize,
    burst: Script,
    paced: Script,
    paced_span: Span,
    /// Turns at everything but the columns.
    rounds: usize,
    /// Streams at once, to look at memory.
    many_streams: usize,
    many: Script,
    many_span: Span,
    people: usize,
}

impl Plan {
    fn of(common: Common) -> Self {
        let span = |warm_up, measured| Span {
            warm_up: Duration::from_millis(warm_up),
            measured: Duration::from_millis(measured),
        };
        if common.quick {
            return Self {
                columns: vec![(1, 1), (4, 1)],
                span: span(200, 300),
                slow_span: span(200, 1000),
                per_second: 20,
                slow_per_second: 5,
                rate_span: span(100, 500),
                streams: 4,
                burst: Script { events: 20, pace_us: 0 },
                paced: Script { events: 20, pace_us: 2_000 },
                paced_span: span(200, 500),
                rounds: 1,
                many_streams: 8,
                many: Script { events: 10, pace_us: 10_000 },
                many_span: span(100, 500),
                people: 2,
            };
        }
        Self {
            // Targets are judged at 64 and 256 callers.
            columns: vec![(1, 2), (16, 1), (64, 3), (256, 2)],
            span: span(500, 2000),
            slow_span: span(1000, 5000),
            per_second: 200,
            slow_per_second: 20,
            rate_span: span(500, 5000),
            streams: 64,
            burst: Script { events: 200, pace_us: 0 },
            paced: Script { events: 200, pace_us: 10_000 },
            paced_span: span(1000, 5000),
            rounds: 2,
            many_streams: 400,
            many: Script { events: 60, pace_us: 50_000 },
            many_span: span(500, 3000),
            people: 64,
        }
    }
}

/// What was found of one contestant.
struct Row {
    name: String,
    version: String,
    slow: bool,
    groups: Vec<String>,
    /// By the plan's columns.
    columns: Vec<Seen>,
    rate: Seen,
    burst: Seen,
    paced: Seen,
    idle_mb: f64,
    many: Seen,
}

/// Measures and reports.
///
/// # Errors
/// A server is away or not durable, or one of ours does not start.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let (began, common) = (Instant::now(), options.common);
    let (plan, folder) = (Plan::of(common), folder()?);
    let server = crate::results::Server::ask(&testkit::empty_database().await.pool, common).await?;
    note(&format!("{server}; starting everybody"));
    let upstream = Server::start(&["upstream"], Core::Others).await?;
    let executable = executable()?;
    let mut api = child::command(&executable, Core::Contestant);
    api.args(["serve", "--roles", "api"]);
    let ours = Ours::open(&executable, api, upstream.address, folder.path(), plan.people).await?;
    let mut contestants = vec![Contestant::direct(upstream.address)];
    let mut absent = vec![];
    for baseline in [Baseline::Nginx, Baseline::Litellm, Baseline::Portkey] {
        match fetched(baseline, options, upstream.address, folder.path()).await {
            Ok(contestant) => contestants.push(contestant),
            Err(error) => {
                note(&format!("{} is absent: {error:#}", baseline.name()));
                absent.push((baseline.name(), format!("{error:#}")));
            }
        }
    }
    contestants.push(Contestant::pass_through(upstream.address).await?);
    contestants.push(ours.contestant(report::EXACT, PRICED));
    contestants.push(ours.contestant(report::FREE, FREE));
    let rows = compare(&plan, &contestants).await?;
    note(&format!("measured in {:.0} s", began.elapsed().as_secs_f64()));
    let body = report::body(&server, &plan, &rows, &absent);
    Section { name: "relay", title: "The relay", body }.publish(common)
}

/// Where everybody keeps configuration and logs; other users, as whom servers run, can pass.
pub(crate) fn folder() -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("oblivious-bench-").tempdir()?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(folder.path(), open)?;
    Ok(folder)
}

async fn fetched(
    baseline: Baseline,
    options: &Options,
    upstream: std::net::SocketAddr,
    folder: &Path,
) -> anyhow::Result<Contestant> {
    anyhow::ensure!(!options.without.contains(&baseline), "left out by --without");
    note(&format!("fetching {} if need be, and starting it", baseline.name()));
    match baseline {
        Baseline::Nginx => baselines::nginx(upstream, folder).await,
        Baseline::Litellm => baselines::litellm(upstream, folder).await,
        Baseline::Portkey => baselines::portkey(upstream, folder).await,
    }
}

/// Everybody once, then everybody again, at one thing after the other.
async fn compare(plan: &Plan, contestants: &[Contestant]) -> anyhow::Result<Vec<Row>> {
    // One question each, so that everybody is awake; then what they take at rest.
    let one = Shape::Callers(1);
    let idle = turns(contestants, (1, one, one), plan.span, plan.span).await?;
    let mut columns = vec![];
    for (callers, rounds) in &plan.columns {
        note(&format!("{callers} callers"));
        let shape = Shape::Callers(*callers);
        columns.push(turns(contestants, (*rounds, shape, shape), plan.span, plan.slow_span).await?);
    }
    note("a fixed rate");
    let rate = |per_second| Shape::Rate { per_second };
    let (fast, slow) = (rate(plan.per_second), rate(plan.slow_per_second));
    let rates = turns(contestants, (plan.rounds, fast, slow), plan.rate_span, plan.rate_span).await?;
    let streams = |streams, script| Shape::Streams { streams, script };
    note("streams, as fast as they come");
    let shape = streams(plan.streams, plan.burst);
    let burst = turns(contestants, (plan.rounds, shape, shape), plan.span, plan.slow_span).await?;
    note("streams at a pace");
    let shape = streams(plan.streams, plan.paced);
    let paced = turns(contestants, (plan.rounds, shape, shape), plan.paced_span, plan.paced_span).await?;
    note("many streams");
    let shape = streams(plan.many_streams, plan.many);
    let many = turns(contestants, (1, shape, shape), plan.many_span, plan.many_span).await?;
    let row = |(place, contestant): (usize, &Contestant)| Row {
        name: contestant.name.clone(),
        version: contestant.version.clone(),
        slow: contestant.slow,
        groups: contestant.groups.iter().map(|group| group.name.clone()).collect(),
        columns: columns.iter().map(|column| column[place].clone()).collect(),
        rate: rates[place].clone(),
        burst: burst[place].clone(),
        paced: paced[place].clone(),
        idle_mb: idle[place].memory_mb(contestant::GATEWAY),
        many: many[place].clone(),
    };
    Ok(contestants.iter().enumerate().map(row).collect())
}

/// So many rounds in this shape; of each contestant the medians. Whoever is slow takes one turn, in a shape of its own.
async fn turns(
    contestants: &[Contestant],
    (rounds, shape, slow_shape): (usize, Shape, Shape),
    span: Span,
    slow_span: Span,
) -> anyhow::Result<Vec<Seen>> {
    let mut seen = vec![vec![]; contestants.len()];
    for round in 0..rounds {
        for (contestant, seen) in contestants.iter().zip(&mut seen) {
            if contestant.slow && round > 0 {
                continue;
            }
            let (shape, Span { warm_up, measured }) =
                if contestant.slow { (slow_shape, slow_span) } else { (shape, span) };
            let one = contestant.measure(shape, warm_up, measured).await?;
            if let Some(failure) = &one.failure {
                note(&format!("{}, {shape:?}: {} failed: {failure}", contestant.name, one.failed));
            }
            seen.push(one);
        }
    }
    Ok(seen.iter().map(|rounds| Seen::median(rounds)).collect())
}
