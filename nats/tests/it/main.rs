//! The bus against real servers: what dies, stalls, is wiped, restored or delivered twice.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod commands;
mod epochs;
mod events;
mod live;
mod processes;
mod sequencer;
mod server_conf;
mod support;
