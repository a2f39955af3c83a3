//! The log as one projection needs it: every position, but only the events that it handles.
//!
//! Promise: nothing is skipped: positions come from the log without a hole, or the batch is refused where it is applied;
//! an event that the log names and that is not there is an error.

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use sqlx::PgPool;

use crate::{
    checkpoint::Checkpoint,
    error::RunError,
    payload::Payload,
    projector::{ProjectedEvent, Projector},
};

/// A page ends at this many bytes of payload, whatever number of events was asked for.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// Reads the log up to a position that it had when this was made.
pub(super) struct Pages {
    pool: PgPool,
    /// Handled aggregate types.
    types: Vec<String>,
    /// Epochs and where they begin, in order.
    epochs: Vec<(i64, i64)>,
}

/// Consecutive places, and the handled events among them.
pub(super) struct Page {
    pub(super) places: Vec<Checkpoint>,
    pub(super) events: Vec<ProjectedEvent>,
}

#[derive(sqlx::FromRow)]
struct Row {
    position: i64,
    aggregate_type: String,
    aggregate_id: String,
    sequence: i64,
    event_type: Option<String>,
    event_version: Option<String>,
    recorded_at: Option<DateTime<Utc>>,
    payload: Option<String>,
}

impl Pages {
    /// # Errors
    /// The database is away.
    pub(super) async fn of(pool: &PgPool, projector: &dyn Projector) -> sqlx::Result<Self> {
        // One look into the index a type, not one an event.
        let types: Vec<Option<String>> = sqlx::query_scalar(
            "WITH RECURSIVE t AS (SELECT min(aggregate_type) AS of FROM event_log UNION ALL \
             SELECT (SELECT min(aggregate_type) FROM event_log WHERE aggregate_type > t.of) FROM t WHERE t.of IS NOT NULL) \
             SELECT of FROM t",
        )
        .fetch_all(pool)
        .await?;
        let types = types.into_iter().flatten().filter(|of| projector.handles(of)).collect();
        let sql = "SELECT epoch, first_position FROM publication_epochs ORDER BY first_position";
        let epochs = sqlx::query_as(sql).fetch_all(pool).await?;
        Ok(Self { pool: pool.clone(), types, epochs })
    }

    /// Up to `max` places of `(after, until]`.
    ///
    /// # Errors
    /// The database is away, or an event is missing.
    pub(super) async fn next(&self, (after, until): (i64, i64), max: i64) -> Result<Page, RunError> {
        let positions: Vec<i64> = sqlx::query_scalar(
            "SELECT position FROM event_log WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3",
        )
        .bind(after)
        .bind(until)
        .bind(max)
        .fetch_all(&self.pool)
        .await?;
        let mut places: Vec<Checkpoint> = positions.into_iter().map(|position| self.place(position)).collect();
        let Some(last) = places.last().map(|place| place.position) else { return Ok(Page { places, events: vec![] }) };
        let mut events = vec![];
        let mut bytes = 0;
        let mut rows = sqlx::query_as::<_, Row>(
            "SELECT l.*, e.event_type, e.event_version, e.recorded_at, e.payload::text AS payload \
             FROM (SELECT * FROM event_log WHERE position > $1 AND position <= $2 AND aggregate_type = ANY ($3) \
                   ORDER BY position LIMIT $4) l \
             LEFT JOIN LATERAL (SELECT * FROM events WHERE events.aggregate_type = l.aggregate_type \
                 AND events.aggregate_id = l.aggregate_id AND events.sequence = l.sequence LIMIT 1) e ON true \
             ORDER BY l.position",
        )
        .bind(after)
        .bind(last)
        .bind(&self.types)
        .bind(max)
        .fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            let event = row.into_event()?;
            if let Payload::Text(text) = &event.payload {
                bytes += text.bytes().len();
            }
            events.push(event);
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        if bytes >= PAGE_BYTES {
            let end = events.last().map_or(last, |event| event.position);
            places.retain(|place| place.position <= end);
        }
        Ok(Page { places, events })
    }

    /// Before the first publication there is no epoch; the first one begins with the log.
    fn place(&self, position: i64) -> Checkpoint {
        let begun = self.epochs.partition_point(|(_, first)| *first <= position);
        let epoch = begun.checked_sub(1).map_or(1, |index| self.epochs[index].0);
        Checkpoint { epoch, position }
    }
}

impl Row {
    fn into_event(self) -> Result<ProjectedEvent, RunError> {
        let position = self.position;
        let missing = || RunError::Missing { position };
        Ok(ProjectedEvent {
            position,
            aggregate_type: self.aggregate_type,
            aggregate_id: self.aggregate_id,
            sequence: self.sequence,
            event_type: self.event_type.ok_or_else(missing)?,
            event_version: self.event_version.ok_or_else(missing)?,
            recorded_at: self.recorded_at.ok_or_else(missing)?,
            payload: Payload::Text(nats::Body::known(self.payload.ok_or_else(missing)?)),
        })
    }
}
