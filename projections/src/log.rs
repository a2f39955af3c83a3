//! The log of all events as operators look through it.
//!
//! Promise: newest first by position, so an event that has none yet is not shown; sealed fields stay closed and only name
//! whose they are: nothing is opened here, whoever asks.

use chrono::{DateTime, Utc};
use domain::sealed::SEALED_KEY;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
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

/// Up to `limit` events, newest first. The cursor of the page is the `before` of the next one. A page may hold fewer
/// events than asked for and still have a cursor: then it has looked at as many as one page does.
///
/// # Errors
/// The database is away.
pub async fn events(pool: &PgPool, filter: &EventFilter, limit: u32) -> sqlx::Result<Page<LoggedEvent>> {
    let limit = bounded(limit) as usize;
    let mut query = QueryBuilder::new(
        "SELECT l.position, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, \
         e.recorded_at, e.metadata ->> 'actor' AS actor, e.command_id, e.payload FROM ",
    );
    push_places(&mut query, filter);
    query.push(
        " CROSS JOIN LATERAL (SELECT * FROM events WHERE events.aggregate_type = l.aggregate_type \
         AND events.aggregate_id = l.aggregate_id AND events.sequence = l.sequence",
    );
    if let Some(event_type) = &filter.event_type {
        query.push(" AND events.event_type = ").push_bind(event_type);
    }
    query.push(" LIMIT 1) e ORDER BY l.position DESC LIMIT ").push_bind(limit as i64 + 1);
    let mut items: Vec<LoggedEvent> = query.build_query_as().fetch_all(pool).await?;
    let more = items.len() > limit;
    items.truncate(limit);
    items.iter_mut().for_each(|event| close(&mut event.payload));
    let next = match items.last() {
        Some(last) if more => Some(last.position),
        _ => end_of_look(pool, filter).await?,
    };
    Ok(Page { items, next_cursor: next.map(|position| position.to_string()) })
}

/// Adds the places `l` that a page looks at. Only conditions that are asked for are written down, so that the events of
/// one type, or of one aggregate, come from their own index.
fn push_places<'f>(query: &mut QueryBuilder<'f, Postgres>, filter: &'f EventFilter) {
    let before = filter.before.unwrap_or(i64::MAX);
    query.push("(SELECT * FROM event_log WHERE position < ").push_bind(before);
    let of_event = || type_of(filter.event_type.as_deref()?);
    if let Some(aggregate_type) = filter.aggregate_type.as_deref().or_else(of_event) {
        query.push(" AND aggregate_type = ").push_bind(aggregate_type);
    }
    if let Some(aggregate_id) = &filter.aggregate_id {
        query.push(" AND aggregate_id = ").push_bind(aggregate_id);
    }
    query.push(" ORDER BY position DESC LIMIT ").push_bind(LOOKED_AT).push(") l");
}

/// Where the look ended, if it did not come to the beginning of the log.
async fn end_of_look(pool: &PgPool, filter: &EventFilter) -> sqlx::Result<Option<i64>> {
    let mut query = QueryBuilder::new("SELECT count(*), min(position) FROM ");
    push_places(&mut query, filter);
    let (looked_at, last): (i64, Option<i64>) = query.build_query_as().fetch_one(pool).await?;
    Ok(last.filter(|_| looked_at == LOOKED_AT))
}

/// The aggregate of a stored event type: what stands before the point.
fn type_of(event_type: &str) -> Option<&str> {
    event_type.split_once('.').map(|(aggregate_type, _)| aggregate_type)
}

/// Reduces every sealed field to whose it is, and a provider's key to its hint.
fn close(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(content) = fields.get_mut(SEALED_KEY) {
                *content = json!({ "subject": content.get("subject") });
                return;
            }
            if fields.contains_key("hint") {
                fields.remove("sealed");
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_provider_s_key_only_the_hint_is_shown() {
        let mut payload = json!({"keys_replaced": {"keys": [{"hint": "wxyz", "sealed": "AAAA"}]}});
        close(&mut payload);
        assert_eq!(payload, json!({"keys_replaced": {"keys": [{"hint": "wxyz"}]}}));
    }

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
