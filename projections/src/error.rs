//! Why a projection stands still.

use crate::projector::ProjectionError;

/// Nothing of the batch was applied; the runner says so and tries again.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Events are missing between what was applied and what came. Nothing is skipped.
    #[error("a gap: after position {after} came {found}")]
    Gap { after: i64, found: i64 },
    /// The log names an event that is not there.
    #[error("the event at position {position} is missing")]
    Missing { position: i64 },
    #[error("the database is away: {0}")]
    Database(#[from] sqlx::Error),
    #[error("events could not be opened: {0}")]
    Vault(#[from] vault::VaultError),
    /// Not the fault of one event, so none was parked.
    #[error("events could not be applied: {0}")]
    Projection(#[source] ProjectionError),
    #[error("events could not be read: {0}")]
    Feed(#[from] nats::FeedError),
    #[error("the log could not be read: {0}")]
    Log(#[from] nats::LogError),
}
