//! The event store: the postgres-es table, read and appended by rules of our own.
//!
//! Promise: a stream has no holes, because an append is refused unless its base is the stream's last event; personal
//! fields are sealed for the very place where they are stored; all events of an append are in or none is. The same rows
//! can be read and appended by stock postgres-es as far as nothing in them is sealed (a test shows it); why its own
//! store is not used is told in docs/decisions.

use std::collections::HashMap;

use cqrs_es::{AggregateContext, AggregateError, EventEnvelope};
use domain::{Decided, Decider};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use vault::{Place, Vault, VaultError};

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
    pub payload: Value,
}

impl NewEvent {
    /// Encodes a domain event.
    ///
    /// # Errors
    /// [`StoreError::EventTooLarge`] if it would be once it is sealed, [`StoreError::Unreadable`] if it has no JSON form,
    /// which is a fault of its type.
    pub fn encode(event: &impl cqrs_es::DomainEvent) -> Result<Self, StoreError> {
        let payload = serde_json::to_value(event).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        // Sealing turns three bytes into four and adds key id, nonce and tag.
        let size_bytes = payload.to_string().len() / 3 * 4 + SEALING_OVERHEAD_BYTES;
        if size_bytes > MAX_EVENT_BYTES {
            return Err(StoreError::EventTooLarge { size_bytes });
        }
        Ok(Self { event_type: event.event_type(), event_version: event.event_version(), payload })
    }
}

/// Reads and appends the events of any aggregate. Cheap to clone.
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
        for (sequence, event_type, version, mut payload, metadata) in rows {
            let place = Place { aggregate_type: D::TYPE, aggregate_id: id, sequence };
            self.vault.unseal(&place, &mut payload).await?;
            let (_, payload) = domain::upcast::upcast(&event_type, &version, payload);
            let unreadable = |error: serde_json::Error| {
                StoreError::Unreadable(format!("{} {id} sequence {sequence}: {error}", D::TYPE))
            };
            events.push(EventEnvelope {
                aggregate_id: id.to_owned(),
                sequence: usize::try_from(sequence).unwrap_or_default(),
                payload: serde_json::from_value(payload).map_err(unreadable)?,
                metadata: serde_json::from_value(metadata).map_err(unreadable)?,
            });
        }
        Ok(events)
    }

    /// The state that all events of one aggregate add up to.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub async fn load<D: Decider>(&self, id: &str) -> Result<Loaded<D>, StoreError> {
        let mut loaded = Loaded { state: D::default(), sequence: 0 };
        for event in self.events::<D>(id).await? {
            loaded.sequence = i64::try_from(event.sequence).unwrap_or_default();
            loaded.state.apply(event.payload);
        }
        Ok(loaded)
    }

    /// Seals `events` for the places after sequence `base`. Before the transaction: a key that must be fetched or made
    /// takes a connection of its own, and whoever waits for a second connection while holding one waits for ever.
    ///
    /// # Errors
    /// The vault is away or refuses, or an event is too large.
    pub async fn seal(&self, stream: (&str, &str), base: i64, events: &[NewEvent]) -> Result<Rows, StoreError> {
        let (aggregate_type, aggregate_id) = stream;
        let mut rows = Rows { base, ..Rows::default() };
        for (sequence, event) in (base + 1..).zip(events) {
            let mut payload = event.payload.clone();
            self.vault.seal(&Place { aggregate_type, aggregate_id, sequence }, &mut payload).await?;
            rows.push(sequence, event, &payload)?;
        }
        Ok(rows)
    }

    /// Appends `rows` to `stream`, in the caller's transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] unless their base is the stream's last sequence.
    pub async fn append(
        &self,
        transaction: &mut PgConnection,
        stream: (&str, &str),
        rows: &Rows,
        metadata: &Value,
    ) -> Result<(), StoreError> {
        // The primary key keeps two writers apart; the look at `base` keeps holes out.
        let inserted = sqlx::query(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
             SELECT $1, $2, e.sequence, e.event_type, e.event_version, e.payload::json, $7 \
             FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[]) \
                  AS e (sequence, event_type, event_version, payload) \
             WHERE $8 = 0 OR EXISTS (SELECT FROM events \
                   WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = $8) \
             ORDER BY e.sequence",
        )
        .bind(stream.0)
        .bind(stream.1)
        .bind(&rows.sequences)
        .bind(&rows.types)
        .bind(&rows.versions)
        .bind(&rows.payloads)
        .bind(metadata)
        .bind(rows.base)
        .execute(transaction)
        .await?
        .rows_affected();
        if inserted == rows.sequences.len() as u64 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    /// Whether `base` is still the last sequence of the stream.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if it is not.
    pub async fn verify(
        &self,
        transaction: &mut PgConnection,
        stream: (&str, &str),
        base: i64,
    ) -> Result<(), StoreError> {
        let last: Option<i64> =
            sqlx::query_scalar("SELECT max(sequence) FROM events WHERE aggregate_type = $1 AND aggregate_id = $2")
                .bind(stream.0)
                .bind(stream.1)
                .fetch_one(transaction)
                .await?;
        if last.unwrap_or(0) == base { Ok(()) } else { Err(StoreError::Conflict) }
    }
}

/// Events sealed for one place in one stream, column by column.
#[derive(Default)]
pub struct Rows {
    base: i64,
    sequences: Vec<i64>,
    types: Vec<String>,
    versions: Vec<String>,
    payloads: Vec<String>,
}

impl Rows {
    /// Whether there is nothing to append.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    fn push(&mut self, sequence: i64, event: &NewEvent, payload: &Value) -> Result<(), StoreError> {
        let payload = payload.to_string();
        if payload.len() > MAX_EVENT_BYTES {
            return Err(StoreError::EventTooLarge { size_bytes: payload.len() });
        }
        self.sequences.push(sequence);
        self.types.push(event.event_type.clone());
        self.versions.push(event.event_version.clone());
        self.payloads.push(payload);
        Ok(())
    }
}

/// What cqrs-es hands from `load_aggregate` to `commit`.
pub struct Context<D> {
    aggregate_id: String,
    aggregate: Decided<D>,
    sequence: i64,
}

impl<D: Decider> AggregateContext<Decided<D>> for Context<D> {
    fn aggregate(&mut self) -> &mut Decided<D> {
        &mut self.aggregate
    }
}

/// The contract of cqrs-es, so that its framework, and a faster store later, stand behind the same trait.
impl<D: Decider> cqrs_es::EventStore<Decided<D>> for PgEventStore {
    type AC = Context<D>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<Decided<D>>>, AggregateError<D::Refusal>> {
        self.events::<D>(aggregate_id).await.map_err(into_aggregate_error)
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Context<D>, AggregateError<D::Refusal>> {
        let loaded = self.load::<D>(aggregate_id).await.map_err(into_aggregate_error)?;
        Ok(Context {
            aggregate_id: aggregate_id.to_owned(),
            aggregate: Decided(loaded.state),
            sequence: loaded.sequence,
        })
    }

    async fn commit(
        &self,
        events: Vec<D::Event>,
        context: Context<D>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Decided<D>>>, AggregateError<D::Refusal>> {
        let new = events.iter().map(NewEvent::encode).collect::<Result<Vec<_>, _>>().map_err(into_aggregate_error)?;
        let stream = (D::TYPE, context.aggregate_id.as_str());
        let attempt = async {
            let rows = self.seal(stream, context.sequence, &new).await?;
            let mut transaction = self.pool.begin().await?;
            let stored = serde_json::to_value(&metadata).map_err(|error| StoreError::Unreadable(error.to_string()))?;
            self.append(&mut transaction, stream, &rows, &stored).await?;
            transaction.commit().await.map_err(StoreError::from)
        };
        attempt.await.map_err(into_aggregate_error)?;
        let first = usize::try_from(context.sequence).unwrap_or_default() + 1;
        let envelope = |(sequence, payload)| EventEnvelope {
            aggregate_id: context.aggregate_id.clone(),
            sequence,
            payload,
            metadata: metadata.clone(),
        };
        Ok((first..).zip(events).map(envelope).collect())
    }
}

fn into_aggregate_error<E: std::error::Error>(error: StoreError) -> AggregateError<E> {
    match error {
        StoreError::Conflict => AggregateError::AggregateConflict,
        StoreError::Unavailable(error) => AggregateError::DatabaseConnectionError(Box::new(error)),
        StoreError::Unreadable(_) => AggregateError::DeserializationError(Box::new(error)),
        StoreError::EventTooLarge { .. } | StoreError::Vault(_) => AggregateError::UnexpectedError(Box::new(error)),
    }
}
