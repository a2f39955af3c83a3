//! Instructions of the api role for each request and for each streamed event: the gate that is the same on every machine.
//!
//! Promise: what is counted is the real executable with `serve --roles api`, built as a release is, under callgrind, in a
//! whole installation: keys, limits, routing, holds, settlements, metrics. Upstream, other roles and servers are other
//! processes and not counted. Questions come one after the other on one connection. A figure is the difference of a long
//! and a short series, so that a connection's beginning and the counting itself are not in it; each series is the median of
//! several, because now and then something happens that no request has to answer for (another connection to Postgres
//! alone is 28 million instructions of password hashing). More than a limit of `bench/instructions.toml` and its margin fails.

mod callgrind;
mod limits;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::relay::{self, Core, FREE, Ours, PRICED, Script, Server, Shape};
use crate::results::{note, table};
use crate::write_path::measure::count;
use callgrind::Callgrind;
use limits::{Limits, Verdict};

/// What this benchmark can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is counted; `oblivious` beside this executable does the rest.
    #[arg(long, value_name = "FILE", default_value = "target/release/oblivious")]
    executable: PathBuf,
    /// Only print; nothing fails.
    #[arg(long)]
    no_limits: bool,
    /// Keep callgrind's files there: `callgrind_annotate --inclusive=yes FILE` says what takes it.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
}

/// Before anything is counted: connections are made, caches are filled.
const WARM_UP: u32 = 60;
const STREAMS_OF_WARM_UP: u32 = 5;
/// Of each series the median of so many counts.
const ROUNDS: usize = 5;
/// A short and a long series.
const REQUESTS: (u32, u32) = (10, 70);
const STREAMS: u32 = 6;
const EVENTS: (u32, u32) = (10, 110);

/// Counts, prints, and compares.
///
/// # Errors
/// Valgrind or an executable is missing, something does not start, or a limit is passed.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let limits = Limits::read()?;
    let folder = relay::folder()?;
    let kept = options.keep.as_deref().unwrap_or(folder.path());
    std::fs::create_dir_all(kept)?;
    let executable = &options.executable;
    ensure!(executable.is_file(), "{} is missing: `make instructions` builds it", executable.display());
    let found = count_all(executable, folder.path(), kept).await?;
    let verdicts = limits.compare(&found)?;
    let text =
        table(&["instructions of the api role", "counted", "limit", "aim", "ok"], verdicts.iter().map(Verdict::row));
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
    ensure!(
        options.no_limits || verdicts.iter().all(Verdict::is_within),
        "more instructions than bench/instructions.toml allows: `bench instructions --keep FOLDER` and callgrind_annotate \
         say where; a limit is raised only for a reason that is worth it"
    );
    Ok(())
}

/// Each figure by its name.
async fn count_all(executable: &Path, folder: &Path, kept: &Path) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let upstream = Server::start(&["upstream"], Core::Any).await?;
    let mut counted = Callgrind::new(kept);
    note("starting an installation whose api role runs under callgrind");
    let others = relay::executable()?;
    let ours = Ours::open(&others, counted.command(executable)?, upstream.address, folder, 1).await?;
    let whole = Shape::Callers(1);
    let stream = |events| Shape::Streams { streams: 1, script: Script { events, pace_us: 0 } };
    let mut once = async |model: &str, shape, times| {
        relay::one_after_the_other(&ours.target(model), shape, times).await?;
        counted.dump(&ours).await
    };
    for model in [PRICED, FREE] {
        once(model, whole, WARM_UP).await?;
        once(model, stream(EVENTS.0), STREAMS_OF_WARM_UP).await?;
    }
    let mut series = async |model: &str, shape, times| {
        let mut sums = vec![];
        for _ in 0..ROUNDS {
            sums.push(once(model, shape, times).await?);
        }
        sums.sort_unstable();
        anyhow::Ok(sums[ROUNDS / 2])
    };
    let (few, many) = REQUESTS;
    let mut found = vec![];
    for (name, model) in [("whole-answer-with-exact-billing", PRICED), ("whole-answer-that-costs-nothing", FREE)] {
        note(&format!("{few} and {many} whole answers of the model `{model}`"));
        let (short, long) = (series(model, whole, few).await?, series(model, whole, many).await?);
        found.push((name, difference(short, long, u64::from(many - few))));
    }
    note(&format!("{STREAMS} streams of {} and of {} events", EVENTS.0, EVENTS.1));
    let short = series(FREE, stream(EVENTS.0), STREAMS).await?;
    let long = series(FREE, stream(EVENTS.1), STREAMS).await?;
    found.push(("event-of-a-stream", difference(short, long, u64::from(STREAMS * (EVENTS.1 - EVENTS.0)))));
    Ok(found)
}

fn difference(short: u64, long: u64, more: u64) -> f64 {
    count(long.saturating_sub(short)) / count(more)
}

impl Callgrind {
    /// What was counted since the last time.
    async fn dump(&mut self, ours: &Ours) -> anyhow::Result<u64> {
        // Showing the metrics is what callgrind writes its counts down after.
        relay::get(ours.target(FREE).address, "/metrics").await.context("the metrics cannot be read")?;
        self.read()
    }
}
