//! What a read model promises to the machinery that feeds it.
//!
//! A projector gets events and a transaction, and nothing else: no client, no clock, no HTTP. So replaying all events has
//! no effect but the same rows again. The rows of one aggregate must follow from the events of that aggregate alone,
//! because a failing aggregate is parked while the others flow on.

use std::{borrow::Cow, collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use sqlx::PgConnection;
use uuid::Uuid;
use vault::{Place, Vault, VaultError};

use crate::payload::Payload;

/// Turns events into the rows of one schema.
///
/// Its statements name tables without the schema: the caller's transaction says where they are found, in the live rows or
/// in those of a rebuild beside them.
#[async_trait]
pub trait Projector: Send + Sync + 'static {
    /// The schema that it owns, generation included: `chat_v1`. Also the name of its checkpoint.
    fn name(&self) -> &'static str;

    /// Whether events of this aggregate type mean anything here; others only move the checkpoint.
    fn handles(&self, aggregate_type: &str) -> bool;

    /// How long an event may wait for others, to be written with them: not at all where somebody looks at what they have
    /// just done.
    fn company(&self) -> Duration {
        Duration::ZERO
    }

    /// Writes what follows from `events`, which come in order and belong to any aggregates. Between two resets every
    /// event is handed over once, unless the transaction of that time was rolled back.
    ///
    /// # Errors
    /// Which event cannot be applied and why, or that the database is away; the caller then rolls everything back.
    async fn apply(&self, tx: &mut PgConnection, events: &[&ProjectedEvent]) -> Result<Touched, ProjectionError>;

    /// Removes all rows, before a replay from the beginning.
    ///
    /// # Errors
    /// The database is away.
    async fn reset(&self, tx: &mut PgConnection) -> sqlx::Result<()>;
}

/// An event as a projector gets it: opened, and at its place in the order of all.
#[derive(Clone)]
pub struct ProjectedEvent {
    pub position: i64,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: i64,
    pub event_type: String,
    pub event_version: String,
    /// When it was committed, by the database's clock.
    pub recorded_at: DateTime<Utc>,
    /// With all `$sealed` fields open, or without value where their person was erased.
    pub(crate) payload: Payload,
}

impl From<nats::LoggedEvent> for ProjectedEvent {
    fn from(event: nats::LoggedEvent) -> Self {
        Self {
            position: event.position,
            aggregate_type: event.aggregate_type,
            aggregate_id: event.aggregate_id,
            sequence: event.sequence,
            event_type: event.event_type,
            event_version: event.event_version,
            recorded_at: event.recorded_at,
            payload: Payload::Text(event.payload),
        }
    }
}

/// Never prints the payload, which is open here.
impl std::fmt::Debug for ProjectedEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} at {} ({}:{}:{})",
            self.event_type, self.position, self.aggregate_type, self.aggregate_id, self.sequence
        )
    }
}

impl ProjectedEvent {
    /// The payload as the domain's event, raised from its old version; a version from the future is an error, never a
    /// guess.
    ///
    /// # Errors
    /// [`ProjectionError::Undecodable`].
    pub fn decode<E: DomainEvent>(&self) -> Result<E, ProjectionError> {
        // What serde would say may quote the payload, which is personal.
        let undecodable = || ProjectionError::Undecodable {
            event_type: self.event_type.clone(),
            version: self.event_version.clone(),
        };
        let is = |event: &E, version: &str| event.event_type() == self.event_type && event.event_version() == version;
        if let Some(event) = self.payload.decode::<E>().filter(|event| is(event, &self.event_version)) {
            return Ok(event);
        }
        let (version, payload) = domain::upcast::upcast(&self.event_type, &self.event_version, self.payload.parsed());
        E::deserialize(payload).ok().filter(|event| is(event, version)).ok_or_else(undecodable)
    }

    /// Opens all `$sealed` fields of the payload.
    ///
    /// # Errors
    /// The key store is away, or a field was altered or moved.
    pub async fn open(&mut self, vault: &Vault) -> Result<(), VaultError> {
        let place =
            Place { aggregate_type: &self.aggregate_type, aggregate_id: &self.aggregate_id, sequence: self.sequence };
        self.payload.open(vault, &place).await
    }

    /// The aggregate's id where it is a UUID.
    ///
    /// # Errors
    /// [`ProjectionError::NoUuid`].
    pub fn uuid(&self) -> Result<Uuid, ProjectionError> {
        self.aggregate_id.parse().map_err(|_| ProjectionError::NoUuid)
    }
}

/// Why an event was not applied. Never carries payloads: it is logged and stored.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    #[error("{event_type} version {version} is not known to this release")]
    Undecodable { event_type: String, version: String },
    #[error("the aggregate's id is no UUID")]
    NoUuid,
    #[error("the row that this event changes does not exist")]
    MissingRow,
    #[error("the row that this event makes exists already")]
    RowExists,
    #[error("the rows contain sequence {contained}, so sequence {found} cannot follow")]
    OutOfOrder { contained: i64, found: i64 },
    #[error(transparent)]
    Unbookable(#[from] crate::billing::Unbookable),
    #[error("the payload could not be opened: {0}")]
    Sealed(vault::VaultError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl ProjectionError {
    /// Whether the event itself is at fault. Otherwise something it needs is away, and all events wait for that.
    #[must_use]
    pub fn is_of_the_event(&self) -> bool {
        match self {
            Self::Undecodable { .. }
            | Self::NoUuid
            | Self::MissingRow
            | Self::RowExists
            | Self::OutOfOrder { .. }
            | Self::Unbookable(_) => true,
            Self::Sealed(error) => matches!(error, vault::VaultError::Damaged { .. }),
            Self::Database(error) => is_of_the_data(error),
        }
    }
}

/// Classes 22 (data), 23 (integrity), 54 (a value too large) and the encoding of a value. Not broken connections,
/// conflicts, full disks and shut-downs; and not a statement that does not fit the schema, which would park everybody.
fn is_of_the_data(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
        }
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => true,
        _ => false,
    }
}

/// What a browser should fetch again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    Sessions,
    Messages,
    Me,
    Wallet,
    ApiKeys,
}

impl Topic {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Messages => "messages",
            Self::Me => "me",
            Self::Wallet => "wallet",
            Self::ApiKeys => "api_keys",
        }
    }
}

/// Something changed that `user` may be looking at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touch {
    pub user: Uuid,
    pub topic: Topic,
    pub session_id: Option<Uuid>,
}

/// All screens that a batch changed, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched(BTreeSet<Touch>);

impl Touched {
    pub fn add(&mut self, user: Uuid, topic: Topic, session_id: Option<Uuid>) {
        self.0.insert(Touch { user, topic, session_id });
    }

    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Touch> {
        self.0.iter()
    }
}

/// Text as Postgres can store it: it knows no NUL, which JSON and users do.
pub(crate) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}
