//! `oblivious rebuild`: a read model made again from all events, for people, scripts and alarms.
//!
//! Promise: the live rows are replaced whole or not at all, and `--verify` replaces nothing; where it was interrupted it
//! goes on. Progress goes to standard error, in place on a terminal; the result to standard output.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use projections::rebuild::{
    self, Compared, Difference, ParkedAggregate, Progress, RebuildError, RebuildOptions, Rebuilt, Start,
};
use projections::{Projector, Retention};
use serde::Serialize;
use sqlx::PgPool;
use vault::Vault;

use crate::config::Config;
use crate::{answer, connect, console, embedded, master_key};

/// Differences were found.
const DRIFT: u8 = 1;
/// Nothing was replaced, or nothing, or not everything, was compared.
const NOT_DONE: u8 = 2;
/// Of this process: one applies, one reads ahead, one has the seat, and one to spare.
const CONNECTIONS: u32 = 4;
/// Between two lines of progress where nobody sees them change, and between two looks of somebody who does.
const LINE_EVERY: Duration = Duration::from_secs(10);
const REDRAW_EVERY: Duration = Duration::from_millis(200);

#[derive(Args, Debug)]
pub(crate) struct Rebuild {
    /// The read model: billing_v1, chat_v1, relay_v1 or users_v1.
    projection: String,
    /// Replace nothing: compare the live rows with rebuilt ones, and name every row that differs.
    #[arg(long)]
    verify: bool,
    /// Throw away what an interrupted run has left, and begin again.
    #[arg(long)]
    restart: bool,
    /// After `--verify`, leave the rebuilt rows in the schema `<PROJECTION>_rebuild`, to look at them.
    #[arg(long, requires = "verify")]
    keep: bool,
    /// The result as JSON, one object a line: differences, then the summary.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line<'l> {
    Difference(&'l Difference),
    Summary(Summary<'l>),
}

#[derive(Serialize)]
struct Summary<'s> {
    projection: &'s str,
    position: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_position: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<u64>,
    parked: &'s [ParkedAggregate],
}

/// Runs it. A configuration that is not usable is a reason why nothing was done.
pub(crate) async fn run(config: anyhow::Result<Config>, command: &Rebuild) -> ExitCode {
    match rebuild_or_verify(config, command).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let what = if command.verify { "compared" } else { "replaced" };
            console(&format!("oblivious: nothing was {what}: {error:#}"));
            ExitCode::from(NOT_DONE)
        }
    }
}

async fn rebuild_or_verify(config: anyhow::Result<Config>, command: &Rebuild) -> anyhow::Result<u8> {
    // A name that is none is told first, whatever else is wrong.
    projection(&command.projection, Retention::default())?;
    let config = config?;
    let projector = projection(&command.projection, config.retention())?;
    let (pool, vault) = open(&config).await?;
    let options = RebuildOptions { restart: command.restart, keep: command.keep, ..RebuildOptions::default() };
    let mut shown = Shown::new(projector.name());
    let mut tell = |progress| shown.hear(progress);
    let code = if command.verify {
        let compared = rebuild::verify(&pool, &vault, &projector, options, &mut tell).await;
        shown.end();
        tell_compared(projector.name(), &compared?, command.json)
    } else {
        let rebuilt = rebuild::rebuild(&pool, &vault, &projector, options, &mut tell).await;
        shown.end();
        tell_rebuilt(projector.name(), &rebuilt.map_err(explained)?, command.json)
    };
    pool.close().await;
    Ok(code)
}

/// What the error alone does not say.
fn explained(error: RebuildError) -> anyhow::Error {
    match error {
        RebuildError::Database(_) | RebuildError::Run(_) => {
            anyhow::Error::new(error).context("the rebuild stopped; run it again and it goes on from there")
        }
        error => error.into(),
    }
}

fn projection(name: &str, retention: Retention) -> anyhow::Result<Arc<dyn Projector>> {
    let all = projections::with(retention);
    let names: Vec<&str> = all.iter().map(|projector| projector.name()).collect();
    let known = names.join(", ");
    all.into_iter()
        .find(|projector| projector.name() == name)
        .with_context(|| format!("there is no projection {name}; these are: {known}"))
}

async fn open(config: &Config) -> anyhow::Result<(PgPool, Vault)> {
    let running = embedded::running_services(config)?;
    let url =
        config.database_url.clone().or(running.database_url).context(
            "DATABASE_URL is not set, and no `oblivious up` with private servers runs on this data directory",
        )?;
    let key = master_key::existing(config)?;
    let pool = connect::postgres(&url, CONNECTIONS).await?;
    let vault = Vault::open(pool.clone(), key).await?;
    Ok((pool, vault))
}

fn tell_rebuilt(projection: &str, rebuilt: &Rebuilt, json: bool) -> u8 {
    let Rebuilt { position, parked } = rebuilt;
    if json {
        let summary =
            Summary { projection, position: *position, last_position: None, rows: None, differences: None, parked };
        show(&Line::Summary(summary), String::new(), true);
    } else {
        answer(&format!("{projection} was rebuilt and is in use, with all events up to position {position}.\n"));
        parked.iter().for_each(|parked| answer(&format!("Left behind: {parked}\n")));
    }
    if parked.is_empty() { 0 } else { NOT_DONE }
}

fn tell_compared(projection: &str, compared: &Compared, json: bool) -> u8 {
    let Compared { position, last_position, rows, difference_count, differences, parked } = compared;
    for difference in differences {
        show(&Line::Difference(difference), difference.to_string(), json);
    }
    let summary = Summary {
        projection,
        position: *position,
        last_position: Some(*last_position),
        rows: Some(*rows),
        differences: Some(*difference_count),
        parked,
    };
    show(&Line::Summary(summary), told(projection, compared), json);
    match (difference_count, parked.is_empty()) {
        (0, true) => 0,
        (0, false) => NOT_DONE,
        _ => DRIFT,
    }
}

fn show(line: &Line<'_>, text: String, json: bool) {
    let shown = if json { serde_json::to_string(line).unwrap_or(text) } else { text };
    answer(&(shown + "\n"));
}

fn told(projection: &str, compared: &Compared) -> String {
    let Compared { position, last_position, rows, difference_count, differences, parked } = compared;
    let number = |n: u64, noun: &str| if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") };
    let result =
        if *difference_count == 0 { "no difference".to_owned() } else { number(*difference_count, "difference") };
    let rows = number(*rows, "row");
    let mut text = format!("{rows} of {projection} as of position {position} of {last_position}: {result}.");
    if *difference_count > differences.len() as u64 {
        let _ = write!(text, " The first {} are shown.", differences.len());
    }
    for parked in parked {
        let _ = write!(text, "\nNot compared from there on: {parked}");
    }
    text
}

/// Progress for whoever watches.
struct Shown {
    projection: &'static str,
    terminal: bool,
    begun: Instant,
    begun_after: i64,
    drawn: Option<Instant>,
    /// A line that is being redrawn stands on the terminal.
    open: bool,
}

impl Shown {
    fn new(projection: &'static str) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { projection, terminal, begun: Instant::now(), begun_after: 0, drawn: None, open: false }
    }

    fn hear(&mut self, progress: Progress) {
        let name = self.projection;
        match progress {
            Progress::Begun { after, start } => {
                (self.begun, self.begun_after) = (Instant::now(), after);
                self.line(&match start {
                    Start::Fresh => format!("{name}: rebuilding beside the live rows"),
                    Start::Resumed => format!("{name}: going on after position {after}, where an earlier run stopped"),
                    Start::Discarded => format!("{name}: rebuilding from the beginning; what was there cannot be used"),
                });
            }
            Progress::Applied { position, until } => self.applied(position, until),
            Progress::Indexing => self.line(&format!("{name}: building indexes")),
            Progress::Switching { attempt: 1 } => self.line(&format!("{name}: switching")),
            Progress::Switching { attempt } => self.line(&format!("{name}: readers are at it, attempt {attempt}")),
            Progress::Comparing => self.line(&format!("{name}: comparing")),
        }
    }

    fn applied(&mut self, position: i64, until: i64) {
        let every = if self.terminal { REDRAW_EVERY } else { LINE_EVERY };
        let last_seen = self.drawn.unwrap_or(self.begun);
        if position < until && last_seen.elapsed() < every {
            return;
        }
        self.drawn = Some(Instant::now());
        let text = format!("{}: {}", self.projection, pace(position, until, self.begun_after, self.begun.elapsed()));
        if !self.terminal {
            self.line(&text);
            return;
        }
        // Nobody reads: not a reason to end.
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
        let _ = io::stderr().flush();
        self.open = true;
    }

    fn line(&mut self, text: &str) {
        self.end();
        console(text);
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            console("");
        }
    }
}

/// How far, how fast, how long still.
fn pace(position: i64, until: i64, begun_after: i64, elapsed: Duration) -> String {
    let done = (position - begun_after).max(0) as f64;
    let per_second = done / elapsed.as_secs_f64().max(0.001);
    let left = (until - position).max(0) as f64;
    let mut text = format!("position {position} of {until}, {per_second:.0} events/s");
    if left > 0.0 && per_second >= 1.0 {
        let seconds = (left / per_second).ceil() as u64;
        let _ = write!(text, ", {}:{:02} left", seconds / 60, seconds % 60);
    }
    text
}

#[cfg(test)]
mod tests {
    use projections::rebuild::DifferenceKind;

    use super::*;

    #[test]
    fn progress_says_how_far_how_fast_and_how_long_still() {
        let text = pace(300_000, 1_000_000, 100_000, Duration::from_secs(10));
        assert_eq!(text, "position 300000 of 1000000, 20000 events/s, 0:35 left");
        assert_eq!(pace(5, 5, 0, Duration::from_secs(1)), "position 5 of 5, 5 events/s");
    }

    #[test]
    fn the_summary_says_what_was_compared_and_what_was_not() {
        let parked = ParkedAggregate {
            aggregate_type: "wallet".to_owned(),
            aggregate_id: "w".to_owned(),
            position: 7,
            error: "unknown".to_owned(),
        };
        let key = vec![("owner".to_owned(), "w".to_owned())];
        let difference = Difference { table: "billing_v1.wallets".to_owned(), key, kind: DifferenceKind::Missing };
        let compared = Compared {
            position: 9,
            last_position: 12,
            rows: 1,
            difference_count: 2,
            differences: vec![difference],
            parked: vec![parked],
        };
        assert_eq!(
            told("billing_v1", &compared),
            "1 row of billing_v1 as of position 9 of 12: 2 differences. The first 1 are shown.\n\
             Not compared from there on: wallet w at position 7: unknown"
        );
    }

    #[test]
    fn an_unknown_projection_is_refused_with_the_names_of_all() {
        let error = projection("chat", Retention::default()).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(
            error,
            "there is no projection chat; these are: billing_v1, chat_v1, relay_v1, statistics_v1, users_v1"
        );
    }
}
