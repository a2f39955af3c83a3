//! Reading the log: the postgres-es table, opened and folded.
//!
//! Promise: what is read is complete and in order, personal fields opened where their key still exists. The same rows can
//! be read and appended by stock postgres-es as far as nothing in them is sealed (a test shows it); why its own store is
//! not used is told in docs/decisions. Who appends is the committer (`group`); `EventStore` of cqrs-es is implemented on
//! it (`group_store`).

use cqrs_es::EventEnvelope;
use domain::{Decided, Decider};
use serde_json::Value;
use sqlx::PgPool;
use thiserror::Error;
use vault::{Place, Vault, VaultError};

use crate::cache::Key;

/// Bytes of one encoded event, at most; larger content belongs to object storage. The bus carries 1 MiB.
pub const MAX_EVENT_BYTES: usize = 512 * 1024;

const SEALING_OVERHEAD_BYTES: usize = 1024;

/// Why events could not be read or appended.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Somebody appended first, or the base was never there: load again and decide again.
    #[error("the stream has moved on since it was read")]
    Conflict,
    #[error("an event of {size_bytes} bytes is too large; at most {MAX_EVENT_BYTES} are stored")]
    EventTooLarge { size_bytes: usize },
    #[error("the event store cannot be reached: {0}")]
    Unavailable(sqlx::Error),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error("a stored event cannot be read: {0}")]
    Unreadable(String),
}

impl From<sqlx::Error> for StoreError {
    /// Tells an expected race from a failure: the primary key of `events`, a deadlock, a serialization failure.
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else { return Self::Unavailable(error) };
        match (database.code().as_deref(), database.constraint()) {
            (Some("23505"), Some("events_pkey")) | (Some("40P01" | "40001"), _) => Self::Conflict,
            _ => Self::Unavailable(error),
        }
    }
}

/// An aggregate as it stands in the log.
#[derive(Debug, Clone)]
pub struct Loaded<D> {
    pub state: D,
    /// Of its last event; 0 if it has none.
    pub sequence: i64,
}

/// One event, encoded but not yet sealed.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub event_type: String,
    pub event_version: String,
    /// JSON.
    pub payload: String,
}

impl NewEvent {
    /// Encodes a domain event.
    ///
    /// # Errors
    /// [`StoreError::EventTooLarge`] if it would be once it is sealed, [`StoreError::Unreadable`] if it has no JSON form,
    /// which is a fault of its type.
    pub fn encode(event: &impl cqrs_es::DomainEvent) -> Result<Self, StoreError> {
        let payload = serde_json::to_string(event).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        // Sealing turns three bytes into four and adds key id, nonce and tag.
        let size_bytes = payload.len() / 3 * 4 + SEALING_OVERHEAD_BYTES;
        if size_bytes > MAX_EVENT_BYTES {
            return Err(StoreError::EventTooLarge { size_bytes });
        }
        Ok(Self { event_type: event.event_type(), event_version: event.event_version(), payload })
    }
}

/// Reads the events of any aggregate. Cheap to clone.
#[derive(Clone)]
pub struct PgEventStore {
    pool: PgPool,
    vault: Vault,
}

impl PgEventStore {
    #[must_use]
    pub const fn new(pool: PgPool, vault: Vault) -> Self {
        Self { pool, vault }
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// All events of one aggregate, oldest first, opened.
    ///
    /// # Errors
    /// The store is away, or a row cannot be read.
    pub async fn events<D: Decider>(&self, id: &str) -> Result<Vec<EventEnvelope<Decided<D>>>, StoreError> {
        let rows: Vec<(i64, String, String, Value, Value)> = sqlx::query_as(
            "SELECT sequence, event_type, event_version, payload, metadata FROM events \
             WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence",
        )
        .bind(D::TYPE)
        .bind(id)
        .fetch_all(&self.pool)
        .await?;
        let mut events = Vec::with_capacity(rows.len());
        for (sequence, event_type, version, payload, metadata) in rows {
            events.push(EventEnvelope {
                aggregate_id: id.to_owned(),
                sequence: usize::try_from(sequence).unwrap_or_default(),
                payload: self.open::<D>(id, sequence, (&event_type, &version), payload).await?,
                metadata: serde_json::from_value(metadata).map_err(|error| unreadable::<D>(id, sequence, &error))?,
            });
        }
        Ok(events)
    }

    /// The state that all events of one aggregate add up to.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub async fn load<D: Decider>(&self, id: &str) -> Result<Loaded<D>, StoreError> {
        let rows: Vec<(i64, String, String, Value)> = sqlx::query_as(
            "SELECT sequence, event_type, event_version, payload FROM events \
             WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence",
        )
        .bind(D::TYPE)
        .bind(id)
        .fetch_all(&self.pool)
        .await?;
        let mut loaded = Loaded { state: D::default(), sequence: 0 };
        for (sequence, event_type, version, payload) in rows {
            loaded.state.apply(self.open::<D>(id, sequence, (&event_type, &version), payload).await?);
            loaded.sequence = sequence;
        }
        Ok(loaded)
    }

    async fn open<D: Decider>(
        &self,
        id: &str,
        sequence: i64,
        (event_type, version): (&str, &str),
        mut payload: Value,
    ) -> Result<D::Event, StoreError> {
        self.vault.unseal(&Place { aggregate_type: D::TYPE, aggregate_id: id, sequence }, &mut payload).await?;
        let (_, payload) = domain::upcast::upcast(event_type, version, payload);
        serde_json::from_value(payload).map_err(|error| unreadable::<D>(id, sequence, &error))
    }

    /// Seals `event` for its place, ready to be stored. Before the transaction: a key that must be fetched or made takes
    /// a connection of its own, and whoever waits for a second connection while holding one waits for ever.
    ///
    /// # Errors
    /// The vault is away or refuses, or the event is too large.
    pub(crate) async fn seal(&self, stream: &Key, sequence: i64, payload: String) -> Result<String, StoreError> {
        if !vault::may_hold_sealed(&payload) {
            return Ok(payload);
        }
        let unreadable = |error: serde_json::Error| StoreError::Unreadable(error.to_string());
        let mut open: Value = serde_json::from_str(&payload).map_err(unreadable)?;
        let place = Place { aggregate_type: stream.0, aggregate_id: &stream.1, sequence };
        self.vault.seal(&place, &mut open).await?;
        let sealed = open.to_string();
        if sealed.len() > MAX_EVENT_BYTES {
            return Err(StoreError::EventTooLarge { size_bytes: sealed.len() });
        }
        Ok(sealed)
    }
}

fn unreadable<D: Decider>(id: &str, sequence: i64, error: &serde_json::Error) -> StoreError {
    StoreError::Unreadable(format!("{} {id} sequence {sequence}: {error}", D::TYPE))
}
