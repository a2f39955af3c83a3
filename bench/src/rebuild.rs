//! Rebuilding the ledger and the messages from a log of a million events, beside the raw rate of paging that log.
//!
//! Promise: the log is what the house would have written: wallets are decided by the domain, texts are sealed, aggregates
//! are interleaved. What is rebuilt is compared with a second rebuild afterwards, or the run fails.

mod history;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use projections::rebuild::{Progress, RebuildOptions, rebuild, verify};
use projections::{Projector, billing::BillingProjector, chat::ChatProjector};
use sqlx::{Executor as _, PgPool};
use vault::{MasterKey, Vault};

use crate::Common;
use crate::results::{Section, Server, Target, note, table};

/// Events a second that the ledger should reach.
const AIM: f64 = 50_000.0;
/// Events of one page, as the rebuild reads them.
const PAGE: i64 = 4000;

/// What the benchmark can be told.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Events in the log.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    events: usize,
}

/// How long the parts of one rebuild took.
#[derive(Debug, Default, Clone, Copy)]
struct Times {
    rows: Duration,
    indexes: Duration,
    switch: Duration,
    total: Duration,
    comparison: Duration,
}

/// One read model's figures.
struct Measured {
    name: &'static str,
    /// Events of the log that it applies.
    own: i64,
    rows: u64,
    times: Times,
}

/// Seeds, measures, tells.
///
/// # Errors
/// Something does not work, or what was rebuilt is not the same twice.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let common = arguments.common;
    let events = if common.quick { 20_000 } else { arguments.events };
    let database = testkit::database().await;
    let pool = &database.pool;
    let server = Server::ask(pool, common).await?;
    let vault = Vault::open(pool.clone(), MasterKey::generate()?).await?;
    let seeded = history::seed(pool, &vault, events).await?;
    note(&format!("seeded {} events", seeded.events));
    // As the servers' own housekeeping leaves a log that was not written in a minute.
    for sql in ["VACUUM (ANALYZE) events", "VACUUM (ANALYZE) event_log", "CHECKPOINT"] {
        pool.execute(sql).await?;
    }
    let before = page_all(pool, seeded.events).await?;
    let billing: Arc<dyn Projector> = Arc::new(BillingProjector);
    let chat: Arc<dyn Projector> = Arc::new(ChatProjector);
    let measured = [
        measure(pool, &vault, &billing, seeded.of_wallets).await?,
        measure(pool, &vault, &chat, seeded.of_sessions).await?,
    ];
    let after = page_all(pool, seeded.events).await?;
    let paging = before.min(after);
    let body = report(&server, &seeded, paging, &measured);
    Section { name: "rebuild", title: "Rebuilding a read model", body }.publish(common)
}

/// How long it takes to read the whole log and nothing else.
async fn page_all(pool: &PgPool, events: i64) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut at = 0;
    let mut read = 0;
    loop {
        let page = nats::page_log(pool, at, PAGE).await?;
        let Some(last) = page.last() else { break };
        at = last.position;
        read += page.len() as i64;
    }
    ensure!(read == events, "{read} of {events} events were read");
    Ok(begun.elapsed())
}

async fn measure(pool: &PgPool, vault: &Vault, projector: &Arc<dyn Projector>, own: i64) -> anyhow::Result<Measured> {
    let name = projector.name();
    note(&format!("{name}: rebuilding"));
    let begun = Instant::now();
    let mut times = Times::default();
    let (mut indexing, mut switching) = (None, None);
    let mut tell = |progress| match progress {
        Progress::Indexing => indexing = Some(begun.elapsed()),
        Progress::Switching { .. } => switching = switching.or(Some(begun.elapsed())),
        _ => {}
    };
    let rebuilt = rebuild(pool, vault, projector, RebuildOptions::default(), &mut tell).await?;
    ensure!(rebuilt.parked.is_empty(), "{name}: {:?}", rebuilt.parked);
    times.total = begun.elapsed();
    times.rows = indexing.context("it builds indexes")?;
    times.indexes = switching.context("it switches")? - times.rows;
    times.switch = times.total - times.indexes - times.rows;
    note(&format!("{name}: {:.1} s, and once more to compare", times.total.as_secs_f64()));
    let begun = Instant::now();
    let compared = verify(pool, vault, projector, RebuildOptions::default(), &mut |_| {}).await?;
    ensure!(compared.difference_count == 0, "{name}: {:?}", compared.differences);
    times.comparison = begun.elapsed();
    Ok(Measured { name, own, rows: compared.rows, times })
}

fn report(server: &Server, seeded: &history::Seeded, paging: Duration, measured: &[Measured]) -> String {
    let rate = |events: i64, time: Duration| events as f64 / time.as_secs_f64();
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let raw = rate(seeded.events, paging);
    let paged = vec![
        "paging the log, nothing else".to_owned(),
        seeded.events.to_string(),
        String::new(),
        seconds(paging),
        format!("{raw:.0}"),
        "1.00".to_owned(),
        String::new(),
    ];
    let rows = measured.iter().map(|one| {
        let all = rate(seeded.events, one.times.total);
        vec![
            format!("`{}`", one.name),
            one.own.to_string(),
            one.rows.to_string(),
            seconds(one.times.total),
            format!("{all:.0}"),
            format!("{:.2}", all / raw),
            format!("{:.0}", rate(one.own, one.times.total)),
        ]
    });
    let head = ["what", "events applied", "rows", "time", "events/s of the log", "of paging", "events/s applied"];
    let parts = measured.iter().map(|one| {
        let Times { rows, indexes, switch, comparison, .. } = one.times;
        let switch = format!("{:.0} ms", switch.as_secs_f64() * 1000.0);
        vec![format!("`{}`", one.name), seconds(rows), seconds(indexes), switch, seconds(comparison)]
    });
    let parts = table(&["what", "rows", "indexes and statistics", "switch", "the same with `--verify`"], parts);
    let targets: Vec<Target> = measured
        .iter()
        .filter(|one| one.name == "billing_v1")
        .map(|one| {
            let measured = rate(seeded.events, one.times.total);
            Target {
                what: "the ledger, events/s of the log".to_owned(),
                measured: format!("{measured:.0}"),
                target: format!("≥ {AIM:.0}"),
                met: measured >= AIM,
            }
        })
        .collect();
    format!(
        "{server}.\n\nA log of {} events: {} of wallets and {} of conversations, of {} people, {} at a time; \
         questions of about {} and answers of about {} characters, sealed. Client and server share the processors. Every \
         figure is of the whole command: rows, indexes, statistics, switch. It looks at every position, but fetches only \
         the events that it applies; paging fetches all of them.\n\n{}\n{parts}\n{}",
        seeded.events,
        seeded.of_wallets,
        seeded.of_sessions,
        seeded.people,
        history::AT_ONCE,
        history::QUESTION_CHARS,
        history::ANSWER_CHARS,
        table(&head, std::iter::once(paged).chain(rows)),
        Target::table(&targets),
    )
}
