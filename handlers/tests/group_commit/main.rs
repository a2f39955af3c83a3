//! Group commit on real Postgres: each rule of the committer has a test here that fails without it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure report")]

mod failing;
mod groups;
mod lost;
#[path = "../support/money.rs"]
mod money;
mod repeated;
mod sharing;
mod store;
#[path = "../support/mod.rs"]
mod support;
