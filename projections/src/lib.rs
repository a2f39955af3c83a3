//! The read side: events become rows, rows become answers.
//!
//! Promise: a row is written by exactly one projector, from events alone, so any read model can be dropped and rebuilt;
//! an event is applied exactly once, or its aggregate is parked and says so. The rows here *are* what the HTTP API
//! answers; a query of somebody's things takes the owner and finds nothing of anybody else's.
//!
//! A capability adds one module with its rows, queries and projector, one migration, and one line in [`all`].

mod batch;
pub mod billing;
pub mod chat;
mod checkpoint;
mod columns;
mod election;
mod error;
pub mod log;
pub mod page;
mod parking;
mod payload;
pub mod projector;
mod read_model;
pub mod read_your_writes;
pub mod rebuild;
pub mod relay;
mod runner;
pub mod users;

use std::sync::Arc;

pub use checkpoint::Checkpoint;
pub use error::RunError;
pub use page::{InvalidCursor, Page};
pub use parking::Backoff;
pub use projector::{ProjectedEvent, ProjectionError, Projector, Topic, Touch, Touched};
pub use read_your_writes::{Freshness, Lag, lag, positions, wait_for};
pub use runner::{RunnerOptions, reset, run_projection, run_until_caught_up};

/// What an installation may have otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Days for which calls can be looked at one by one.
    pub call_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { call_days: relay::statistics::DEFAULT_CALL_DAYS }
    }
}

/// Every projection of this release, as it is where nobody says otherwise.
#[must_use]
pub fn all() -> Vec<Arc<dyn Projector>> {
    with(Retention::default())
}

/// Every projection of this release: what `serve` runs and `rebuild` knows by name.
#[must_use]
pub fn with(Retention { call_days }: Retention) -> Vec<Arc<dyn Projector>> {
    vec![
        Arc::new(billing::BillingProjector),
        Arc::new(chat::ChatProjector),
        Arc::new(relay::RelayProjector),
        Arc::new(relay::statistics::StatisticsProjector { call_days }),
        Arc::new(users::UsersProjector),
    ]
}

/// Why a read could not be answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The cursor was not made by this query: the caller's mistake.
    #[error(transparent)]
    Cursor(#[from] InvalidCursor),
    /// The database is away, or a bug.
    #[error("a read model could not be read")]
    Database(#[from] sqlx::Error),
}
