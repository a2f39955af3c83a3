//! The findings as Markdown: what was done, five tables, the targets.

mod targets;

use super::contestant::GATEWAY;
use super::job::Seen;
use super::{Plan, Row};
use crate::results::{Server, Target, table};

/// Our own rows.
pub(super) const EXACT: &str = "Oblivious, exact billing";
pub(super) const FREE: &str = "Oblivious, a model that costs nothing";

/// Callers whose column says what a call costs.
const JUDGED: usize = 64;

pub(super) fn body(server: &Server, plan: &Plan, rows: &[Row], absent: &[(&str, String)]) -> String {
    let parts = [
        method(server, plan, rows, absent),
        format!("### Whole answers\n{}", whole(plan, rows)),
        format!("### What a whole answer costs\n{}", cost(plan, rows)),
        format!("### Streams\n{}", streams(plan, rows)),
        format!("### Memory of the gateway\n{}", memory(plan, rows)),
        format!("### Processor time behind Oblivious, {JUDGED} callers\n{}", behind(plan, rows)),
        format!("### Targets\n{}", Target::table(&targets::of(plan, rows))),
    ];
    parts.join("\n")
}

fn method(server: &Server, plan: &Plan, rows: &[Row], absent: &[(&str, String)]) -> String {
    let seconds = |time: std::time::Duration| time.as_secs_f64();
    let turns: Vec<String> =
        plan.columns.iter().map(|(callers, rounds)| format!("{rounds} × with {callers}")).collect();
    let versions = rows.iter().filter(|row| !row.version.is_empty());
    let versions: Vec<String> = versions.map(|row| format!("{} {}", row.name, row.version)).collect();
    let places = if super::child::has_places() {
        "Upstream and load run on the first processor, whoever is compared on the second; Oblivious' other roles, NATS and \
         Postgres on both, beside them."
    } else {
        "Everybody runs where the system puts them."
    };
    let mut text = format!(
        "{server}. Versions: {}. {places} Everybody is built alike (`--release`).\n\n\
         - Upstream, load generator and each contestant are processes of their own on loopback; connections are kept. A \
         question is about half a kilobyte, a whole answer 0.6, an event of a stream 0.25. Everybody takes turns: {} of \
         {} s, everything else {} ×, after a warm-up; figures are medians. Whoever is slow takes one turn of {} s.\n\
         - The pass-through is what the least duty costs: it checks a key, counts a limit, reads the request's head and the \
         answer's usage. nginx does none of these.\n\
         - Oblivious runs as in an installation: an api role by itself, all other roles beside it, {} people with a wallet \
         each. *Exact billing*: credit is held before each call and settled before its end is told, both committed in \
         Postgres. *A model that costs nothing*: the same installation and path with a price of zero; \
         its calls move no money and are told of by their records.\n\
         - Processor time is that of the contestant's processes as the kernel counts it, user and system; of streams it \
         contains their beginning and end. An event's delay is from its writing by the upstream to its reading. The \
         upstream writes a stream's role and its first text at once; Oblivious passes the role on together with the first \
         text, so that somebody else can still be asked, and the others as it comes.\n",
        versions.join(", "),
        turns.join(", "),
        seconds(plan.span.measured),
        plan.rounds,
        seconds(plan.slow_span.measured),
        plan.people,
    );
    for (name, why) in absent {
        text += &format!("- **{name} is absent**: {}\n", why.replace('\n', " "));
    }
    for row in rows {
        let all = row.columns.iter().chain([&row.rate, &row.burst, &row.paced, &row.many]);
        let failed: u64 = all.clone().map(|seen| seen.failed).sum();
        if let Some(failure) = all.filter_map(|seen| seen.failure.as_ref()).next() {
            text +=
                &format!("- {}: {failed} answers failed, the first with: {}\n", row.name, failure.replace('\n', " "));
        }
    }
    text
}

/// A figure, or a dash where nobody answered.
fn figure(seen: &Seen, cell: impl Fn(&Seen) -> String) -> String {
    if seen.answers == 0 && seen.events == 0 { "–".to_owned() } else { cell(seen) }
}

fn whole(plan: &Plan, rows: &[Row]) -> String {
    let callers = plan.columns.iter().map(|(callers, _)| match callers {
        1 => "1 caller".to_owned(),
        more => format!("{more} callers"),
    });
    let head: Vec<String> = ["requests/s (p50, p99 ms)".to_owned()].into_iter().chain(callers).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let lines = rows.iter().map(|row| {
        let cells = row.columns.iter().map(|seen| {
            figure(seen, |seen| {
                let (p50, p99) = (seen.latency.p50_us / 1000.0, seen.latency.p99_us / 1000.0);
                format!("{:.0} ({p50:.2}, {p99:.2})", seen.per_second())
            })
        });
        [row.name.clone()].into_iter().chain(cells).collect()
    });
    table(&head, lines)
}

/// What was found with the judged number of callers; of a quick look, with the most.
fn judged<'r>(plan: &Plan, row: &'r Row) -> Option<&'r Seen> {
    let place = plan.columns.iter().position(|(callers, _)| *callers == JUDGED);
    row.columns.get(place.unwrap_or(plan.columns.len().saturating_sub(1)))
}

fn cost(plan: &Plan, rows: &[Row]) -> String {
    let direct = rows.first().map(|row| row.rate.latency).unwrap_or_default();
    let head = [
        "what".to_owned(),
        format!("CPU µs/request, {JUDGED} callers"),
        "at a rate of".to_owned(),
        "p50 µs".to_owned(),
        "p99 µs".to_owned(),
        "added p50 µs".to_owned(),
        "added p99 µs".to_owned(),
    ];
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let lines = rows.iter().enumerate().map(|(place, row)| {
        let cpu = judged(plan, row).map(|seen| figure(seen, |seen| format!("{:.1}", seen.cpu_us_each(GATEWAY))));
        let cpu = cpu.filter(|_| place > 0).unwrap_or_else(|| "–".to_owned());
        let rate = if row.slow { plan.slow_per_second } else { plan.per_second };
        let of = |value: f64| figure(&row.rate, |_| format!("{value:.0}"));
        let latency = row.rate.latency;
        let added = |value: f64, direct: f64| if place == 0 { "–".to_owned() } else { of(value - direct) };
        vec![
            row.name.clone(),
            cpu,
            format!("{rate}/s"),
            of(latency.p50_us),
            of(latency.p99_us),
            added(latency.p50_us, direct.p50_us),
            added(latency.p99_us, direct.p99_us),
        ]
    });
    table(&head, lines)
}

fn streams(plan: &Plan, rows: &[Row]) -> String {
    let (streams, burst, paced) = (plan.streams, plan.burst, plan.paced);
    let head = [
        format!("{streams} streams"),
        format!("{} events at once: events/s", burst.events),
        "first event p50, p99 ms".to_owned(),
        "CPU µs/event".to_owned(),
        format!("an event each {} ms: first event p50, p99 ms", paced.pace_us / 1000),
        "CPU µs/event".to_owned(),
        "delay p50, p99 µs".to_owned(),
        "worst added gap ms".to_owned(),
    ];
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let first = |seen: &Seen| {
        figure(seen, |seen| format!("{:.2}, {:.2}", seen.latency.p50_us / 1000.0, seen.latency.p99_us / 1000.0))
    };
    let lines = rows.iter().enumerate().map(|(place, row)| {
        let cpu = |seen: &Seen| match place {
            0 => "–".to_owned(),
            _ => figure(seen, |seen| format!("{:.1}", seen.cpu_us_each_event(GATEWAY))),
        };
        vec![
            row.name.clone(),
            figure(&row.burst, |seen| format!("{:.0}", seen.events_per_second())),
            first(&row.burst),
            cpu(&row.burst),
            first(&row.paced),
            cpu(&row.paced),
            figure(&row.paced, |seen| format!("{:.0}, {:.0}", seen.delay.p50_us, seen.delay.p99_us)),
            figure(&row.paced, |seen| format!("{:.2}", seen.worst_gap_us / 1000.0)),
        ]
    });
    table(&head, lines)
}

fn memory(plan: &Plan, rows: &[Row]) -> String {
    let loaded = format!("with {} streams, MB", plan.many_streams);
    let head = ["resident", "idle, MB", loaded.as_str()];
    // The upstream is nobody's gateway.
    let lines = rows.iter().skip(1).map(|row| {
        let loaded = figure(&row.many, |seen| format!("{:.0}", seen.memory_mb(GATEWAY)));
        vec![row.name.clone(), format!("{:.0}", row.idle_mb), loaded]
    });
    table(&head, lines)
}

/// Where the processor time of a call goes in an installation.
fn behind(plan: &Plan, rows: &[Row]) -> String {
    let of_many: Vec<&Row> = rows.iter().filter(|row| row.groups.len() > 1).collect();
    let Some(first) = of_many.first() else { return String::new() };
    let head = ["CPU µs/request".to_owned()].into_iter().chain(first.groups.iter().cloned()).chain(["all".to_owned()]);
    let head: Vec<String> = head.collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let lines = of_many.iter().map(|row| {
        let each = |group: &String| judged(plan, row).map_or(0.0, |seen| seen.cpu_us_each(group));
        let cells: Vec<f64> = row.groups.iter().map(each).collect();
        let all = cells.iter().sum();
        let cells = cells.into_iter().chain([all]).map(|cell| format!("{cell:.1}"));
        [row.name.clone()].into_iter().chain(cells).collect()
    });
    table(&head, lines)
}
