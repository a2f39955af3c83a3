//! Chaos: random commands from several people against separate processes that are killed, stopped and cut off, with
//! everything that must still be true checked afterwards (docs/decisions/0013-chaos.md).
//!
//! Promise: the seed gives the schedule. A failure names the seed, what it is about and what was expected, and its logs,
//! plan and tables are kept: `make chaos SEED=n RUNS=1` does the same again. `make chaos RUNS=200` is a long series;
//! every build runs two fixed seeds and a random one.
#![expect(clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]
#![expect(unreachable_pub, reason = "the modules of one test")]
#![expect(clippy::print_stdout, reason = "a long series says how far it is")]

mod calls;
mod checks;
mod client;
mod evidence;
mod faults;
mod follow;
mod journal;
mod person;
mod plan;
mod process;
mod quiet;
mod run;
mod series;
mod town;
mod upstream;

use std::sync::Arc;

use tokio::sync::Mutex;

use plan::{Plan, Size};

/// Runs one seed and tells everything that is wrong.
async fn short(seed: u64) {
    let postgres = Arc::new(Mutex::new(testkit::postgres().await));
    let folder = series::folder(seed);
    let report = run::guarded(Plan::new(seed, &Size::SHORT), &folder, postgres).await;
    println!("{}", series::line(&report));
    assert!(report.violations.is_empty(), "{}", series::told(&report));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_left_whatever_breaks_seed_1() {
    short(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_left_whatever_breaks_seed_2() {
    short(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_left_whatever_breaks_a_random_seed() {
    let seed = fastrand::u64(1_000..1_000_000_000);
    println!("seed {seed}");
    short(seed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "as long as it is told to be: `make chaos RUNS=200`"]
async fn a_series() {
    series::run().await;
}
