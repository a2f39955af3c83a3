//! The API against a whole house: real Postgres, real NATS, every role, a scripted model provider.
//!
//! The modules mirror the URL tree. Several threads, because the house goes on working while a test drops its database: on
//! one thread its half-open connections would hold that up.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says by a panic what is wrong")]

mod admin_channels;
mod admin_events;
mod admin_relay;
mod admin_statistics;
mod admin_users;
mod api_keys;
mod app;
mod auth;
mod bad_input;
mod billed_replies;
mod channels;
mod chat_completions;
mod client;
mod commands;
mod compatible_errors;
mod events_stream;
mod health;
mod idempotency;
mod messages;
mod modalities;
mod outages;
mod pings;
mod run_events;
mod runs;
mod served_requests;
mod sessions;
mod settlement;
mod sse;
mod two_ways;
mod uploads;
mod v1_completions;
mod v1_dashboard;
mod v1_messages;
mod v1_models;
mod v1_responses;
mod v1beta;
mod wallet;
