//! The log of all events as operators look through it.
//!
//! Promise: newest first by position, so an event that has none yet is not shown; sealed fields stay closed and only name
//! whose they are: nothing is opened here, whoever asks.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;

use crate::page::{Page, bounded};

/// Events that one page looks at, at most, so that a rare event cannot make it read the whole log.
const LOOKED_AT: i64 = 50_000;

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    pub aggregate_type: Option<String>,
    pub aggregate_id: Option<String>,
    /// As stored: `wallet.granted`.
    pub event_type: Option<String>,
    /// Only those before this position.
    pub before: Option<i64>,
}

/// An event with its sealed fields closed.
#[derive(Debug, Clone, PartialEq, Serialize, FromRow, ToSchema)]
pub struct LoggedEvent {
    pub position: i64,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: i64,
    pub event_type: String,
    pub event_version: String,
    pub recorded_at: DateTime<Utc>,
    /// Who asked for it.
    #[schema(required = true)]
    pub actor: Option<String>,
    #[schema(required = true)]
    pub command_id: Option<String>,
    /// Sealed fields read `{"$sealed": {"subject": id}}`.
    #[schema(value_type = Object)]
    pub payload: Value,
}

/// The places that a page looks at. The events of one type, or of one aggregate, come from their own index.
const PLACES: &str = "SELECT * FROM event_log WHERE position < $1 AND ($2::text IS NULL OR aggregate_type = $2) \
    AND ($3::text IS NULL OR aggregate_id = $3) ORDER BY position DESC LIMIT $4";

/// Up to `limit` events, newest first. The cursor of the page is the `before` of the next one. A page may hold fewer
/// events than asked for and still have a cursor: then it has looked at as many as one page does.
///
/// # Errors
/// The database is away.
pub async fn events(pool: &PgPool, filter: &EventFilter, limit: u32) -> sqlx::Result<Page<LoggedEvent>> {
    let limit = bounded(limit) as usize;
    let before = filter.before.unwrap_or(i64::MAX);
    let aggregate_type = filter.aggregate_type.as_deref().or_else(|| type_of(filter.event_type.as_deref()?));
    let sql = format!(
        "SELECT l.position, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, \
         e.recorded_at, e.metadata ->> 'actor' AS actor, e.command_id, e.payload FROM ({PLACES}) l \
         CROSS JOIN LATERAL (SELECT * FROM events WHERE events.aggregate_type = l.aggregate_type \
             AND events.aggregate_id = l.aggregate_id AND events.sequence = l.sequence \
             AND ($5::text IS NULL OR events.event_type = $5) LIMIT 1) e \
         ORDER BY l.position DESC LIMIT $6"
    );
    let query = sqlx::query_as(&sql).bind(before).bind(aggregate_type).bind(filter.aggregate_id.as_deref());
    let query = query.bind(LOOKED_AT).bind(filter.event_type.as_deref()).bind(limit as i64 + 1);
    let mut items: Vec<LoggedEvent> = query.fetch_all(pool).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    items.iter_mut().for_each(|event| close(&mut event.payload));
    let next = if more {
        items.last().map(|event| event.position)
    } else {
        end_of_look(pool, filter, before, aggregate_type).await?
    };
    Ok(Page { items, next_cursor: next.map(|position| position.to_string()) })
}

/// Where the look ended, if it did not come to the beginning of the log.
async fn end_of_look(
    pool: &PgPool,
    filter: &EventFilter,
    before: i64,
    aggregate_type: Option<&str>,
) -> sqlx::Result<Option<i64>> {
    let sql = format!("SELECT count(*), min(position) FROM ({PLACES}) l");
    let query = sqlx::query_as(&sql).bind(before).bind(aggregate_type).bind(filter.aggregate_id.as_deref());
    let (looked_at, last): (i64, Option<i64>) = query.bind(LOOKED_AT).fetch_one(pool).await?;
    Ok(last.filter(|_| looked_at == LOOKED_AT))
}

/// The aggregate of a stored event type: what stands before the point.
fn type_of(event_type: &str) -> Option<&str> {
    event_type.split_once('.').map(|(aggregate_type, _)| aggregate_type)
}

/// Reduces every sealed field to whose it is.
fn close(value: &mut Value) {
    match value {
        Value::Object(fields) => match fields.get_mut(domain::sealed::SEALED_KEY) {
            Some(content) => *content = json!({ "subject": content.get("subject") }),
            None => fields.values_mut().for_each(close),
        },
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_fields_name_their_person_and_nothing_else_wherever_they_stand() {
        let sealed = json!({"$sealed": {"subject": "ann", "key": 1, "nonce": "n", "data": "d"}});
        let mut payload = json!({"sent": {"content": sealed, "list": [sealed, {"$sealed": {"open": "x"}}], "n": 1}});
        close(&mut payload);
        let closed = json!({"$sealed": {"subject": "ann"}});
        assert_eq!(
            payload,
            json!({"sent": {"content": closed, "list": [closed, {"$sealed": {"subject": null}}], "n": 1}})
        );
    }
}
