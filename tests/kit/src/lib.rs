//! What the tests of every member need: a fresh database, an own NATS server, a scriptable model provider.
//!
//! Promise: whatever a test gets here is its own, so tests run in any order and at the same time, also as separate
//! processes. The servers are real. Everything is deleted when the value is dropped.
//!
//! Tests run under `make test`, or one crate alone under
//! `cargo run -p oblivious -- with-services -- cargo nextest run -p <crate>` (see docs/DEVELOPING.md).
#![expect(
    clippy::expect_used,
    reason = "this crate runs in tests only; a panic with a sentence is their failure report"
)]
#![expect(clippy::panic, reason = "as above")]

mod database;
pub mod mutation;
mod nats;
mod nats_production;
mod postgres;
pub mod provider;

// The supervisor of the executable starts the test servers too: one implementation, exercised by every test.
#[path = "../../../src/embedded/child.rs"]
mod child;
#[path = "../../../src/embedded/files.rs"]
mod files;
#[expect(dead_code, reason = "the executable uses the rest of it")]
#[path = "../../../src/embedded/home.rs"]
mod home;
#[expect(dead_code, reason = "the executable uses the rest of it")]
#[path = "../../../src/embedded/kit.rs"]
mod kit;
#[path = "../../../src/embedded/nats.rs"]
mod nats_server;
#[expect(dead_code, reason = "the executable uses the rest of it")]
#[path = "../../../src/embedded/postgres.rs"]
mod postgres_server;
#[path = "../../../src/embedded/stale.rs"]
mod stale;

pub use database::{TestDatabase, database, empty_database};
pub use nats::{TestNats, nats, nats_server_program};
pub use nats_production::{ProductionNats, production_nats};
pub use postgres::{TestPostgres, postgres};

/// How to run tests, for the message of whoever started them without services.
const HOW: &str = "run the tests with `make test`, or `cargo run -p oblivious -- with-services -- cargo nextest run`";

/// For the servers that `src/embedded` starts: it asks the module above it.
#[expect(clippy::unnecessary_wraps, reason = "the executable's own can fail")]
fn new_password() -> anyhow::Result<String> {
    Ok(uuid::Uuid::new_v4().simple().to_string())
}
