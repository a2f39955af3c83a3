//! Every metric: its name, kind, labels and meaning.
//!
//! Names follow Prometheus: counters end in `_total`, the unit is in the name, and amounts of money are nano-units of
//! the ledger currency. A new metric is a row here, in the group where an operator looks for it.

use metrics::Unit;

use Kind::{Counter, Gauge, Histogram};

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows; it begins at 0 with each process.
    Counter,
    /// A state.
    Gauge,
    /// Values by size.
    Histogram,
}

impl Kind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Counter => "counter",
            Gauge => "gauge",
            Histogram => "histogram",
        }
    }
}

/// One metric.
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    pub(crate) meaning: &'static str,
}

/// Metrics that an operator looks at together.
pub(crate) struct Group {
    pub(crate) title: &'static str,
    pub(crate) metrics: &'static [Metric],
}

const fn metric(kind: Kind, name: &'static str, labels: &'static [&'static str], meaning: &'static str) -> Metric {
    Metric { name, kind, labels, meaning }
}

/// Tells the recorder what each name means: the HELP lines.
pub(super) fn describe() {
    for Metric { name, kind, meaning, .. } in GROUPS.iter().flat_map(|group| group.metrics) {
        let unit = unit(name);
        match kind {
            Counter => metrics::describe_counter!(*name, unit, *meaning),
            Gauge => metrics::describe_gauge!(*name, unit, *meaning),
            Histogram => metrics::describe_histogram!(*name, unit, *meaning),
        }
    }
}

fn unit(name: &str) -> Unit {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit_once('_') {
        Some((_, "seconds")) => Unit::Seconds,
        Some((_, "bytes")) => Unit::Bytes,
        _ => Unit::Count,
    }
}

pub(crate) const GROUPS: &[Group] = &[
    Group {
        title: "HTTP",
        metrics: &[
            metric(Counter, "http_requests_total", &["method", "route", "status"], "Requests that were answered."),
            metric(
                Histogram,
                "http_request_duration_seconds",
                &["method", "route"],
                "Time to the answer; of a stream, to its head.",
            ),
            metric(Gauge, "http_event_streams", &[], "Pages and programs that listen to event streams now."),
            metric(
                Histogram,
                "reply_first_text_seconds",
                &[],
                "Time from asking for a reply in a conversation to its first text, tries included.",
            ),
            metric(
                Histogram,
                "api_first_chunk_seconds",
                &[],
                "Time from asking for a streamed call of the compatible API to its first chunk, tries included.",
            ),
        ],
    },
    Group {
        title: "Commands",
        metrics: &[
            metric(
                Histogram,
                "command_seconds",
                &["aggregate", "verb", "outcome"],
                "Time to decide a command and commit it; `outcome` is done, refused, retry or dead.",
            ),
            metric(Gauge, "commands_queued", &[], "Commands in the queue, those being decided included."),
            metric(Gauge, "commands_queued_bytes", &[], "Their size."),
            metric(Gauge, "command_partitions_owned", &[], "Partitions of the queue that this process decides."),
            metric(Counter, "command_retries_total", &[], "Commands that were put back to be decided later."),
            metric(
                Counter,
                "command_conflicts_total",
                &[],
                "Decisions made anew because their aggregate had moved on.",
            ),
            metric(Histogram, "command_group_size", &[], "Commands committed in one transaction."),
            metric(Histogram, "command_group_seconds", &[], "Time to commit a group."),
            metric(Counter, "aggregate_cache_hits_total", &[], "Aggregates found in memory."),
            metric(Counter, "aggregate_cache_misses_total", &[], "Aggregates read from the log."),
            metric(Gauge, "aggregate_cache_bytes", &[], "Memory of the aggregates that are kept."),
            metric(Counter, "commands_shed_total", &[], "Commands put back because this process had enough to decide."),
            metric(
                Counter,
                "commands_refused_queue_full_total",
                &[],
                "Commands that were not taken because the queue was full: answered 503.",
            ),
            metric(Counter, "commands_dead_total", &[], "Commands that failed for good."),
            metric(Counter, "dead_letters_total", &["aggregate"], "Dead letters written."),
            metric(Gauge, "dead_letters", &[], "Dead letters that nobody has sent again or dropped."),
        ],
    },
    Group {
        title: "Events and projections",
        metrics: &[
            metric(Gauge, "log_position", &[], "The last position given, by the process that gave it."),
            metric(Counter, "events_sequenced_total", &[], "Events that were given a position."),
            metric(Gauge, "unsequenced_seconds", &[], "Age of the oldest committed event without a position."),
            metric(
                Gauge,
                "published_position",
                &[],
                "The last position put on the stream, by the process that put it.",
            ),
            metric(Counter, "events_published_total", &[], "Events put on the stream."),
            metric(Gauge, "events_unpublished", &[], "Events with a position that the stream does not have."),
            metric(Counter, "publisher_errors_total", &[], "Publications that failed and were tried again."),
            metric(
                Gauge,
                "publisher_epoch_required",
                &[],
                "1 while nothing is published until an operator opens an epoch.",
            ),
            metric(Counter, "events_stream_made_total", &[], "How often the stream was made, anew where it was lost."),
            metric(
                Counter,
                "feed_events_paged_total",
                &[],
                "Events that readers took from Postgres and not from the stream.",
            ),
            metric(Counter, "feed_stream_left_total", &[], "How often a reader left the stream for Postgres."),
            metric(
                Gauge,
                "checkpoint_lag_seconds",
                &["name"],
                "Age of the first event that a projection or reaction has not seen.",
            ),
            metric(Gauge, "projection_position", &["projection"], "How far a projection is."),
            metric(
                Gauge,
                "projection_lag_events",
                &["projection"],
                "Events that a projection has not seen, up to 10,000.",
            ),
            metric(Histogram, "projection_batch_seconds", &["projection"], "Time to apply and commit a batch."),
            metric(Counter, "projection_events_total", &["projection"], "Events applied."),
            metric(
                Gauge,
                "projection_parked_keys",
                &["projection"],
                "Aggregates that stand still because an event could not be applied.",
            ),
            metric(
                Counter,
                "projection_parked_total",
                &["projection"],
                "Events that were parked with their aggregate.",
            ),
            metric(Counter, "projection_errors_total", &["projection"], "Batches that failed and were tried again."),
            metric(
                Counter,
                "live_stream_lost_total",
                &[],
                "How often the stream of live text was gone and made again.",
            ),
        ],
    },
    Group {
        title: "Jobs",
        metrics: &[
            metric(
                Gauge,
                "jobs",
                &["kind", "state"],
                "Jobs to be done; `state` is scheduled (for later), due or running.",
            ),
            metric(Gauge, "jobs_due_seconds", &["kind"], "For how long the oldest due job has been waiting."),
            metric(
                Counter,
                "jobs_ended_total",
                &["kind", "state"],
                "Tries of jobs by what came of them: done, queued (again) or dead.",
            ),
            metric(Gauge, "reactor_position", &["reactor"], "How far a reaction is."),
            metric(Counter, "reactor_errors_total", &["reactor"], "Reactions that failed and began again."),
        ],
    },
    Group {
        title: "Money",
        metrics: &[
            metric(Counter, "holds_made_total", &[], "Credit set apart for a call."),
            metric(Counter, "holds_ended_total", &["outcome"], "Holds by their end: charged, released or expired."),
            metric(Gauge, "holds_open", &[], "Calls that credit is set apart for now."),
            metric(Gauge, "held_nanos", &[], "The credit that is set apart now."),
            metric(Gauge, "holds_overdue", &[], "Holds that should have been settled or ended more than a minute ago."),
            metric(
                Counter,
                "settlements_refused_total",
                &[],
                "Settlements that the wallet refused: a bug, look at the log.",
            ),
            metric(
                Counter,
                "settlements_given_up_total",
                &[],
                "Settlements that could not be committed in ten minutes.",
            ),
            metric(
                Counter,
                "calls_not_recorded_total",
                &[],
                "Calls that nobody was told of because too many waited or their batch was refused; their money is in the \
                 ledger all the same.",
            ),
            metric(
                Counter,
                "tokens_total",
                &["model", "tier"],
                "Tokens settled, by tier: input, cached_input, output or reasoning.",
            ),
            metric(
                Counter,
                "pieces_total",
                &["model", "kind"],
                "What was settled by the piece: images, searches, characters, or sound_ms (milliseconds of sound).",
            ),
            metric(Counter, "charged_nanos_total", &["model"], "What users were charged."),
            metric(
                Counter,
                "upstream_cost_nanos_total",
                &["reason"],
                "What providers charge us: for calls that were charged, for attempts that were lost, for holds that expired, for probes.",
            ),
            metric(Counter, "credited_nanos_total", &["kind"], "Credit that was granted or topped_up."),
        ],
    },
    Group {
        title: "Upstreams",
        metrics: &[
            metric(
                Counter,
                "upstream_calls_total",
                &["channel", "outcome"],
                "Calls of model providers, each try by itself; `outcome` is ok, cancelled or the code of the failure.",
            ),
            metric(
                Histogram,
                "upstream_first_output_seconds",
                &["channel"],
                "Time to the first text, chunk or whole answer.",
            ),
            metric(Histogram, "upstream_call_seconds", &["channel"], "Time to the end of the call."),
            metric(
                Counter,
                "routing_tries_total",
                &["channel", "outcome"],
                "Times that a channel was asked by requests that may go elsewhere; `outcome` is ok, cancelled or the code of the failure.",
            ),
            metric(Counter, "routing_failovers_total", &[], "Requests that were answered after more than one try."),
            metric(
                Counter,
                "routing_retries_refused_total",
                &[],
                "Retries that were not made because too many requests failed.",
            ),
            metric(
                Counter,
                "routing_fallbacks_total",
                &["reason"],
                "Requests that went on to another model: context_window, content_policy or general.",
            ),
            metric(
                Counter,
                "routing_hedges_total",
                &[],
                "Second candidates that were asked while the first kept silent.",
            ),
            metric(
                Counter,
                "routing_unanswerable_total",
                &[],
                "Requests for which no channel could be asked: answered 503.",
            ),
            metric(
                Counter,
                "routing_health_changes_total",
                &["channel", "part", "state"],
                "Changes of health that this process saw: of a channel, a key or a model, to closed, open, half_open or dead.",
            ),
            metric(
                Counter,
                "routing_probes_total",
                &["outcome"],
                "Resting channels that were asked after; `outcome` is ok or the code of the failure.",
            ),
        ],
    },
    Group {
        title: "Process (CPU, memory and files on Linux)",
        metrics: &[
            metric(Gauge, "build_info", &["version"], "Always 1: which release runs."),
            metric(
                Gauge,
                "database_connections",
                &["pool", "state"],
                "Connections to Postgres; `pool` is work or read, `state` idle or used.",
            ),
            metric(Gauge, "database_connections_max", &["pool"], "The most that the pool opens."),
            metric(Counter, "process_cpu_seconds_total", &[], "CPU time."),
            metric(Gauge, "process_resident_memory_bytes", &[], "Resident memory."),
            metric(Gauge, "process_virtual_memory_bytes", &[], "Virtual memory."),
            metric(Gauge, "process_open_fds", &[], "Open files and connections."),
            metric(Gauge, "process_max_fds", &[], "The most of them."),
            metric(Gauge, "process_threads", &[], "Threads."),
            metric(Gauge, "process_start_time_seconds", &[], "When it started, in seconds since 1970."),
        ],
    },
];
