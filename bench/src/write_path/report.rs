//! The findings as Markdown: what was done, four tables, the lag, the targets.

use std::fmt::Write as _;

use super::house::{CACHE_BYTES, OUR_CONNECTIONS};
use super::measure::Measured;
use super::{Column, Field, Findings, Plan};
use crate::results::{Server, Target, table};

// The order in which contestants take their turns.
const STOCK: usize = 0;
const SINGLE: usize = 1;
const GROUPED: usize = 2;
const DIRECT: usize = 3;
const QUEUED: usize = 4;

/// Beyond it the other one did not compete.
const MAX_RATIO: f64 = 1e6;

pub(super) fn body(server: &Server, plan: &Plan, findings: &Findings) -> String {
    let mut text = method(server, plan, findings.event_bytes);
    for field in &findings.fields {
        let _ = write!(text, "\n### {}\n{}", title(field), figures(field));
    }
    let lag = &findings.lag;
    let _ = write!(
        text,
        "\n### From commit to row\n{} commands a second for {} s through the bus, with the sequencer, the publisher, \
         `EVENTS` and all projections beside it: of {} events, {:.0} ms in the median until their rows of `billing_v1` \
         could be read, {:.0} ms at the 99th percentile, {:.0} ms at most. The checkpoint was asked every 2 ms.\n",
        lag.pace.per_second,
        lag.pace.measured.as_secs(),
        lag.events,
        lag.p50_ms,
        lag.p99_ms,
        lag.max_ms
    );
    for (prior, cold_ms) in &findings.cold_ms {
        let _ =
            write!(text, "The first command on a wallet of {prior} events that is not in memory: {cold_ms:.1} ms. ");
    }
    let _ = write!(text, "\n\n### Targets\n{}", Target::table(&targets(findings)));
    text
}

fn method(server: &Server, plan: &Plan, event_bytes: usize) -> String {
    let seconds = plan.span.measured.as_secs_f64();
    let turns: Vec<String> = plan
        .columns
        .iter()
        .map(|Column { callers, rounds }| format!("{rounds} × {seconds} s with {callers}"))
        .collect();
    format!(
        "{server}; a nats-server with JetStream on disk; they, the callers and the contestants share this machine.\n\n\
         - A command is half of a paid call: credit is held (`Hold`), then settled (`ChargeTokens`). Each is one event of \
         about {event_bytes} bytes beside its metadata. A caller waits for the answer before its next command.\n\
         - Everybody writes into the same table with all its indexes, on wallets of their own, and takes turns: {}, each \
         after {} ms of warm-up; figures are medians. Wallets are drawn at random. One alone is a fresh one in each turn \
         and grows while it is used.\n\
         - Stock postgres-es tries again at once after a conflict; what succeeded counts, and its latency is that of all \
         tries. The raw inserts neither read nor decide: they are what committing costs in that way.\n\
         - Baselines have {} connections. Ours has {OUR_CONNECTIONS} and {} MiB of cache, the defaults of `oblivious`; it \
         has met every wallet once, as a process that runs for a while has. Of 1,000 events there are only so many \
         wallets as that cache holds by its own estimate; what one costs that is not there is told below.\n",
        turns.join(", "),
        plan.span.warm_up.as_millis(),
        plan.baseline_connections,
        CACHE_BYTES >> 20,
    )
}

fn title(field: &Field) -> String {
    let wallets = if field.wallets == 1 { "One wallet".to_owned() } else { format!("{} wallets", field.wallets) };
    format!("{wallets}, {} events before", field.prior)
}

/// Commands per second with median and 99th percentile in milliseconds, then what they mean.
fn figures(field: &Field) -> String {
    let callers = field.columns.iter().map(|(callers, _)| match callers {
        1 => "1 caller".to_owned(),
        more => format!("{more} callers"),
    });
    let head: Vec<String> = ["commands/s (p50, p99 ms)".to_owned()].into_iter().chain(callers).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let row = |name: &str, cell: &dyn Fn(&[Measured]) -> String| {
        let cells = field.columns.iter().map(|(_, measured)| cell(measured));
        [name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    let mut rows: Vec<Vec<String>> = field
        .names
        .iter()
        .enumerate()
        .map(|(place, name)| {
            row(name, &|all| {
                let one = &all[place];
                format!("{:.0} ({:.1}, {:.1})", one.per_second, one.p50_ms, one.p99_ms)
            })
        })
        .collect();
    for (name, ours, theirs) in [
        ("ours ÷ stock", DIRECT, STOCK),
        ("ours ÷ raw, one row a commit", DIRECT, SINGLE),
        ("ours ÷ raw, `UNNEST`", DIRECT, GROUPED),
        ("ours through `COMMANDS` ÷ stock", QUEUED, STOCK),
    ] {
        rows.push(row(name, &|all| match ratio(all, ours, theirs) {
            // They got nothing done in time.
            ratio if ratio > MAX_RATIO => "–".to_owned(),
            ratio => format!("{ratio:.2}"),
        }));
    }
    if field.wallets == 1 {
        rows.push(row("lost tries of stock for each success", &|all| format!("{:.1}", all[STOCK].conflicts_each)));
    }
    table(&head, rows)
}

fn ratio(all: &[Measured], ours: usize, theirs: usize) -> f64 {
    all[ours].per_second / all[theirs].per_second.max(f64::MIN_POSITIVE)
}

fn targets(findings: &Findings) -> Vec<Target> {
    let mut targets = Vec::new();
    for field in &findings.fields {
        let what = title(field);
        let (stock, raw) = if field.prior < 100 { (5.0, 3.0) } else { (35.0, 1.5) };
        for (callers, all) in &field.columns {
            match callers {
                64 => {
                    targets.push(Target::at_least(
                        format!("{what}, 64 callers ÷ stock"),
                        ratio(all, DIRECT, STOCK),
                        stock,
                    ));
                    let against_raw = ratio(all, DIRECT, SINGLE);
                    targets.push(Target::at_least(format!("{what}, 64 callers ÷ raw single rows"), against_raw, raw));
                }
                1 => {
                    targets.push(Target::at_least(format!("{what}, 1 caller ÷ stock"), ratio(all, DIRECT, STOCK), 1.0));
                    let more = all[QUEUED].p50_ms - all[DIRECT].p50_ms;
                    targets.push(Target::at_most_ms(format!("{what}, 1 caller, p50 more by `COMMANDS`"), more, 2.0));
                }
                _ => {}
            }
        }
    }
    targets.push(Target::at_most_ms("commit to row, p50 (an aim)", findings.lag.p50_ms, 25.0));
    targets.push(Target::at_most_ms("commit to row, p99 (an aim)", findings.lag.p99_ms, 150.0));
    targets
}
