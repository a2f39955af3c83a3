//! Given events, then rows: on a real Postgres, and a real NATS where a runner is alive.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test reports")]

mod chat;
mod chat_pages;
mod freshness;
mod parking;
mod rebuild;
mod runner;
mod support;
mod users;
