//! Given events, then rows: on a real Postgres, and a real NATS where a runner is alive.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test reports")]

mod accounts;
mod api_keys;
mod beside;
mod billing;
mod billing_properties;
mod billing_statement;
mod chat;
mod chat_pages;
mod freshness;
mod log;
mod parking;
mod purse;
mod rebuild;
mod reconcile;
mod relay;
mod responses;
mod runner;
mod statistics;
mod support;
mod users;
