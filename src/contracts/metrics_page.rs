//! docs/METRICS.md: every metric, for operators.

use std::fmt::Write as _;

use crate::metrics::catalogue::GROUPS;

const HEAD: &str = "# Metrics
<!-- Written by `make contracts` from src/metrics/catalogue.rs. Edit that. -->

Every process answers Prometheus text at `GET /metrics`: at the API's address, or, with `OBLIVIOUS_METRICS_ADDR` (such as
`127.0.0.1:9090`), at that address and there only. Processes without the api role have no other; give each its own.

Nobody is asked for a password there. The numbers tell no names and no texts, but how busy a house is, what its channels and
models are called and what it earns. So keep the address inside: on loopback, or where only Prometheus can reach it. A
proxy in front of the API should not pass `/metrics` on.

**Read them right.** Counters (`rate`, `increase`) and histograms are what the process itself did: sum over processes. Gauges
marked *shared* are looked at by every process every 10 s and are the same everywhere: take `max`. Counters of money and
tokens are counted by the one process that follows the log for the ledger's appointments, after its cursor moved. Amounts
are nano-units (1e-9) of the ledger currency. The truth about money is the ledger; metrics are for graphs.

[deploy/dashboard](../deploy/dashboard) has a Grafana dashboard (`oblivious.json`: import it, choose the data source) and
alerts for Prometheus (`alerts.yml`), with what to do about each.
";

/// Gauges of what all processes share.
const SHARED: &[&str] = &[
    "commands_queued",
    "commands_queued_bytes",
    "dead_letters",
    "unsequenced_seconds",
    "events_unpublished",
    "checkpoint_lag_seconds",
    "jobs",
    "jobs_due_seconds",
    "holds_open",
    "held_nanos",
    "holds_overdue",
];

/// The page.
///
/// # Errors
/// None: a text takes every line.
pub(super) fn page() -> Result<String, std::fmt::Error> {
    let mut page = HEAD.to_owned();
    for group in GROUPS {
        write!(page, "\n## {}\n| metric | kind | labels | meaning |\n|---|---|---|---|\n", group.title)?;
        for metric in group.metrics {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let shared = if SHARED.contains(&metric.name) { ", *shared*" } else { "" };
            let (name, kind, meaning) = (metric.name, metric.kind.word(), metric.meaning);
            writeln!(page, "| `{name}` | {kind}{shared} | {} | {meaning} |", labels.join(", "))?;
        }
    }
    Ok(page)
}
