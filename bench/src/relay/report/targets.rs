//! What was wanted, as ratios to nginx and to the pass-through in the same run.
//!
//! The ratios are those of the figures that were measured when the targets were set: so many microseconds where the floor
//! took so many, on one machine.

use super::{EXACT, FREE, judged};
use crate::relay::contestant::GATEWAY;
use crate::relay::job::Seen;
use crate::relay::{Plan, Row};
use crate::results::Target;

const FLOOR: &str = "pass-through";
const NGINX: &str = "nginx";

/// Of the floor's processor time for a whole answer.
const CPU: f64 = 1.35;
/// 40,000 requests a second where the floor served 52,000.
const PER_SECOND: f64 = 0.77;
/// 10 ms where the floor had 8.7.
const P99: f64 = 1.15;
/// 7 µs an event where the floor took 5.7.
const BURST_CPU: f64 = 1.23;
/// 17 µs an event where the floor took 13.
const PACED_CPU: f64 = 1.31;
/// More than through nginx.
const FIRST_EVENT_US: f64 = 60.0;
/// More than direct.
const GAP_MS: f64 = 0.2;
const MEMORY_MB: f64 = 45.0;
/// Until the first event, what exact billing may add.
const BILLING_MS: f64 = 0.3;

pub(super) fn of(plan: &Plan, rows: &[Row]) -> Vec<Target> {
    let find = |name: &str| rows.iter().find(|row| row.name.starts_with(name));
    let mut targets = vec![];
    for ours in [FREE, EXACT] {
        if let (Some(ours), Some(floor)) = (find(ours), find(FLOOR)) {
            against_the_floor(plan, ours, floor, &mut targets);
        }
    }
    for ours in [FREE, EXACT] {
        let (Some(ours), Some(nginx), Some(direct)) = (find(ours), find(NGINX), rows.first()) else { continue };
        let more_us = ours.paced.latency.p50_us - nginx.paced.latency.p50_us;
        let what = format!("{}: first event of paced streams, p50, more than through nginx", ours.name);
        targets.push(at_most(what, more_us, FIRST_EVENT_US, "µs"));
        let more_ms = (ours.paced.worst_gap_us - direct.paced.worst_gap_us) / 1000.0;
        targets.push(at_most(format!("{}: worst gap, more than direct", ours.name), more_ms, GAP_MS, "ms"));
    }
    if let Some(ours) = find(EXACT) {
        let what = format!("gateway's memory with {} streams", plan.many_streams);
        targets.push(at_most(what, ours.many.memory_mb(GATEWAY), MEMORY_MB, "MB"));
        if let Some(free) = find(FREE) {
            let more_ms = (ours.paced.latency.p50_us - free.paced.latency.p50_us) / 1000.0;
            let what = "exact billing: first event of paced streams, p50, more than without a price";
            targets.push(at_most(what.to_owned(), more_ms, BILLING_MS, "ms"));
        }
    }
    targets
}

fn against_the_floor(plan: &Plan, ours: &Row, floor: &Row, targets: &mut Vec<Target>) {
    let name = &ours.name;
    let ratio =
        |figure: &dyn Fn(&Seen) -> f64, ours: &Seen, floor: &Seen| figure(ours) / figure(floor).max(f64::MIN_POSITIVE);
    if let (Some(our), Some(floors)) = (judged(plan, ours), judged(plan, floor)) {
        let cpu = ratio(&|seen| seen.cpu_us_each(GATEWAY), our, floors);
        targets.push(at_most(format!("{name}: CPU/request ÷ the floor's, 64 callers"), cpu, CPU, "×"));
        let rate = ratio(&Seen::per_second, our, floors);
        targets.push(Target::at_least(format!("{name}: requests/s ÷ the floor's, 64 callers"), rate, PER_SECOND));
    }
    if let (Some(our), Some(floors)) = (ours.columns.last(), floor.columns.last()) {
        let p99 = ratio(&|seen| seen.latency.p99_us, our, floors);
        targets.push(at_most(format!("{name}: p99 ÷ the floor's, 256 callers"), p99, P99, "×"));
    }
    let each = |seen: &Seen| seen.cpu_us_each_event(GATEWAY);
    let burst = ratio(&each, &ours.burst, &floor.burst);
    targets.push(at_most(format!("{name}: CPU/event at once ÷ the floor's"), burst, BURST_CPU, "×"));
    let paced = ratio(&each, &ours.paced, &floor.paced);
    targets.push(at_most(format!("{name}: CPU/event at a pace ÷ the floor's"), paced, PACED_CPU, "×"));
}

fn at_most(what: String, measured: f64, most: f64, unit: &str) -> Target {
    let (measured_text, target) = (format!("{measured:.2} {unit}"), format!("≤ {most} {unit}"));
    Target { what, measured: measured_text, target, met: measured <= most }
}
