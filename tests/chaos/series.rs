//! Many runs, one after the other or side by side, as the environment says: `CHAOS_RUNS`, `CHAOS_SEED`, `CHAOS_JOBS`,
//! `CHAOS_KEEP_GOING`, `CHAOS_PLAN`.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::plan::{Plan, Size};
use crate::run::{self, Report, Stress};

/// Where a run keeps what it has.
pub fn folder(seed: u64) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos").join(format!("seed-{seed}"))
}

/// One line about a run.
pub fn line(report: &Report) -> String {
    let Report { plan, violations, stress, took, .. } = report;
    let verdict = if violations.is_empty() { "green" } else { "FAILED" };
    format!("seed {}: {verdict} in {:.1} s; {stress}", plan.seed, took.as_secs_f64())
}

/// Everything about a run that failed.
pub fn told(report: &Report) -> String {
    let list: String = report.violations.iter().map(|violation| format!("\n  {violation}")).collect();
    let (seed, folder) = (report.plan.seed, report.folder.display());
    format!("seed {seed}:{list}\n  kept in {folder}; again: make chaos SEED={seed} RUNS=1\n{}", report.plan)
}

fn setting<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} cannot be {text}")))
}

/// Runs the series.
///
/// # Panics
/// A run failed.
pub async fn run() {
    let runs: u64 = setting("CHAOS_RUNS").unwrap_or(1);
    let first: u64 = setting("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(1_000..1_000_000_000));
    let seeds: VecDeque<u64> = (first..first.saturating_add(runs)).collect();
    if setting::<u8>("CHAOS_PLAN").is_some() {
        seeds.iter().for_each(|seed| println!("{}", Plan::new(*seed, &Size::LONG)));
        return;
    }
    let began = Instant::now();
    let (seeds, stop) = (Arc::new(Mutex::new(seeds)), Arc::new(AtomicBool::new(false)));
    let workers = (0..setting("CHAOS_JOBS").unwrap_or(1)).map(|_| tokio::spawn(work(seeds.clone(), stop.clone())));
    let mut reports: Vec<Report> = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        reports.extend(worker.await.expect("a worker of the series comes to its end"));
    }
    let failed: Vec<u64> =
        reports.iter().filter(|report| !report.violations.is_empty()).map(|report| report.plan.seed).collect();
    let green = reports.len() - failed.len();
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    println!("all together: {}", reports.iter().map(|report| report.stress).fold(Stress::default(), Stress::and));
    println!("{green} of {} runs green from seed {first} on, in {minutes:.1} min; failed: {failed:?}", reports.len());
    assert!(failed.is_empty(), "seeds {failed:?} failed");
}

/// Takes one seed after the other on a database server of its own.
async fn work(seeds: Arc<Mutex<VecDeque<u64>>>, stop: Arc<AtomicBool>) -> Vec<Report> {
    let postgres = Arc::new(Mutex::new(testkit::postgres().await));
    let keep_going = setting::<u8>("CHAOS_KEEP_GOING").is_some();
    let mut reports = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let Some(seed) = seeds.lock().await.pop_front() else { break };
        let folder = folder(seed);
        let report = run::guarded(Plan::new(seed, &Size::LONG), &folder, Arc::clone(&postgres)).await;
        println!("{}", line(&report));
        if report.violations.is_empty() {
            drop(fs::remove_dir_all(&folder));
        } else {
            println!("{}", told(&report));
            stop.store(!keep_going, Ordering::Relaxed);
        }
        reports.push(report);
    }
    reports
}
