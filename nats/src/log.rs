//! The log of events in Postgres, page by page, in the one order.

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, types::Json};

use crate::{body::Body, event_ref::EventRef, reader::LogFault};

/// One event at its position.
#[derive(Debug, Clone, PartialEq)]
pub struct LoggedEvent {
    pub epoch: i64,
    pub position: i64,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: i64,
    pub event_type: String,
    pub event_version: String,
    /// As stored; nobody has read it yet.
    pub payload: Body,
    pub metadata: Metadata,
    pub recorded_at: DateTime<Utc>,
    pub tenant: String,
}

impl LoggedEvent {
    /// The name of this event.
    #[must_use]
    pub fn event_ref(&self) -> EventRef {
        EventRef {
            aggregate_type: self.aggregate_type.clone(),
            aggregate_id: self.aggregate_id.clone(),
            sequence: self.sequence,
        }
    }

    /// The payload as a tree.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn tree(&self) -> Result<serde_json::Value, LogError> {
        self.payload.read().map_err(|_| LogError::Payload { position: self.position })
    }
}

/// Where an event comes from; the JSON object in the column `metadata`, all strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// Positions are missing in the middle: the log is damaged and reading on would skip events.
    #[error("the log goes from position {after} to {found}, and no epoch begins there")]
    Gap { after: i64, found: i64 },
    #[error("the payload of position {position} is not JSON")]
    Payload { position: i64 },
    /// The order and the events do not belong together.
    #[error("{0}")]
    Damaged(LogFault),
}

/// A row of the log with the event's bytes as stored.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct LogRow {
    pub(crate) epoch: i64,
    pub(crate) epoch_start: i64,
    pub(crate) position: i64,
    pub(crate) aggregate_type: String,
    pub(crate) aggregate_id: String,
    pub(crate) sequence: i64,
    pub(crate) event_type: String,
    pub(crate) event_version: String,
    pub(crate) payload: String,
    pub(crate) metadata: Json<Metadata>,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) tenant: String,
}

// Before the first publication there is no epoch row; epoch 1 begins at position 1. The page is cut before anything is
// joined to it: as a plain join the planner reads the whole log for every page.
const PAGE: &str = "
    SELECT coalesce(x.epoch, 1) AS epoch, coalesce(x.first_position, 1) AS epoch_start,
           l.position, l.aggregate_type, l.aggregate_id, l.sequence,
           e.event_type, e.event_version, e.payload::text AS payload, e.metadata, e.recorded_at, e.tenant
    FROM (SELECT * FROM event_log WHERE position > $1 ORDER BY position LIMIT $2) l
    CROSS JOIN LATERAL (SELECT * FROM events WHERE events.aggregate_type = l.aggregate_type
                        AND events.aggregate_id = l.aggregate_id AND events.sequence = l.sequence LIMIT 1) e
    LEFT JOIN LATERAL (SELECT epoch, first_position FROM publication_epochs
                       WHERE first_position <= l.position ORDER BY epoch DESC LIMIT 1) x ON true
    ORDER BY l.position";

/// A page ends at this many bytes of payload, whatever number of events was asked for.
pub(crate) const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Up to `max` rows after a position, at least one if there is any, without gaps.
pub(crate) async fn rows(pool: &PgPool, after: i64, max: i64) -> Result<Vec<LogRow>, LogError> {
    let mut rows: Vec<LogRow> = Vec::new();
    let mut bytes = 0;
    let mut found = sqlx::query_as::<_, LogRow>(PAGE).bind(after).bind(max).fetch(pool);
    while let Some(row) = found.try_next().await? {
        let previous = rows.last().map_or(after, |row| row.position);
        if row.position != previous + 1 && row.position != row.epoch_start {
            return Err(LogError::Gap { after: previous, found: row.position });
        }
        bytes += row.payload.len();
        rows.push(row);
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(rows)
}

/// Up to `max` events after a position, in order, without gaps; fewer when they are large, none at the end of the log.
///
/// # Errors
/// The database is away, or the log is damaged.
pub async fn page_log(pool: &PgPool, after: i64, max: i64) -> Result<Vec<LoggedEvent>, LogError> {
    Ok(rows(pool, after, max).await?.into_iter().map(LogRow::into_event).collect())
}

/// The position of an event; `None` while it is not committed or not sequenced.
///
/// # Errors
/// The database is away.
pub async fn position_of(pool: &PgPool, event: &EventRef) -> Result<Option<i64>, sqlx::Error> {
    let query = "SELECT position FROM event_log WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = $3";
    let row = sqlx::query_scalar(query).bind(&event.aggregate_type).bind(&event.aggregate_id).bind(event.sequence);
    row.fetch_optional(pool).await
}

/// The last position given to an event; 0 before the first.
///
/// # Errors
/// The database is away.
pub async fn last_position(pool: &PgPool) -> Result<i64, sqlx::Error> {
    let query = "SELECT coalesce((SELECT position FROM event_log ORDER BY position DESC LIMIT 1), 0)";
    sqlx::query_scalar(query).fetch_one(pool).await
}

impl LogRow {
    pub(crate) fn into_event(self) -> LoggedEvent {
        LoggedEvent {
            payload: Body::known(self.payload),
            epoch: self.epoch,
            position: self.position,
            aggregate_type: self.aggregate_type,
            aggregate_id: self.aggregate_id,
            sequence: self.sequence,
            event_type: self.event_type,
            event_version: self.event_version,
            // One truth about the tenant: the column.
            metadata: Metadata { tenant: Some(self.tenant.clone()), ..self.metadata.0 },
            recorded_at: self.recorded_at,
            tenant: self.tenant,
        }
    }
}
