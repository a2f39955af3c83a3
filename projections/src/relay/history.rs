//! The history of a channel: who changed what and when, told from the log itself.
//!
//! Promise: a version is the number of an event, so it means the same for ever; no secret is told, only that there is
//! one.

use chrono::{DateTime, Utc};
use domain::{
    Decider as _,
    relay::{Channel, ChannelEvent, Settings},
    upcast::upcast,
};
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use sqlx::{PgPool, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    QueryError,
    page::{Page, bounded, decode},
};

/// One change of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ChannelChange)]
pub struct Change {
    /// Counts the changes of this channel from 1: what it can be returned to.
    pub version: i64,
    /// What kind of change: `renamed`, `prices_changed`.
    pub kind: String,
    /// What has been said, without what is secret.
    pub change: Value,
    /// Who said it, as it stands in events: `user:…`, `operator`.
    #[schema(required = true)]
    pub actor: Option<String>,
    pub at: DateTime<Utc>,
}

type Stored = (i64, String, String, Json<Value>, Option<String>, DateTime<Utc>);

/// A page of the changes of channel `id`, newest first; none of an unknown channel.
///
/// # Errors
/// A cursor of another list, or the database is away.
pub async fn history(pool: &PgPool, id: Uuid, cursor: Option<&str>, limit: u32) -> Result<Page<Change>, QueryError> {
    let limit = bounded(limit);
    let before: i64 = cursor.map(decode).transpose()?.unwrap_or(i64::MAX);
    let rows: Vec<Stored> = sqlx::query_as(
        "SELECT sequence, event_type, event_version, payload, metadata ->> 'actor', recorded_at FROM events \
         WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence < $3 ORDER BY sequence DESC LIMIT $4",
    )
    .bind(Channel::TYPE)
    .bind(id.to_string())
    .bind(before)
    .bind(i64::from(limit) + 1)
    .fetch_all(pool)
    .await?;
    let changes = rows.into_iter().map(|(version, event_type, event_version, payload, actor, at)| {
        let (_, payload) = upcast(&event_type, &event_version, payload.0);
        let (kind, mut change) = match payload {
            Value::Object(fields) => fields.into_iter().next().unwrap_or_default(),
            other => (event_type, other),
        };
        hide(&mut change);
        Change { version, kind, change, actor, at }
    });
    Ok(Page::cut(changes.collect(), limit, |change: &Change| change.version))
}

/// What channel `id` was after its event `version`; `None` if it was not there then, or was removed.
///
/// # Errors
/// The database is away, or an event is from the future of this program.
pub async fn settings_at(pool: &PgPool, id: Uuid, version: i64) -> sqlx::Result<Option<Settings>> {
    let rows: Vec<(i64, String, String, Json<Value>)> = sqlx::query_as(
        "SELECT sequence, event_type, event_version, payload FROM events \
         WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence <= $3 ORDER BY sequence",
    )
    .bind(Channel::TYPE)
    .bind(id.to_string())
    .bind(version)
    .fetch_all(pool)
    .await?;
    if rows.last().is_none_or(|(last, ..)| *last != version) {
        return Ok(None);
    }
    let mut channel = Channel::default();
    for (_, event_type, event_version, payload) in rows {
        let (_, payload) = upcast(&event_type, &event_version, payload.0);
        channel.apply(ChannelEvent::deserialize(payload).map_err(|error| sqlx::Error::Decode(Box::new(error)))?);
    }
    Ok(channel.settings().cloned())
}

/// What is encrypted for the server is nobody's to read.
fn hide(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("sealed").is_some_and(Value::is_string) {
                fields.remove("sealed");
            }
            fields.values_mut().for_each(hide);
        }
        Value::Array(items) => items.iter_mut().for_each(hide),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_history_tells_of_a_secret_only_that_it_is_there() {
        let mut change = json!({
            "keys": [{"hint": "x9Qz", "sealed": "c2VjcmV0"}],
            "overrides": {"headers": [{"name": "X-A", "sealed": {"hint": "", "sealed": "c2VjcmV0"}}]},
        });
        hide(&mut change);
        let shown = json!({
            "keys": [{"hint": "x9Qz"}],
            "overrides": {"headers": [{"name": "X-A", "sealed": {"hint": ""}}]},
        });
        assert_eq!(change, shown);
    }
}
