//! The published form of an event: subject, headers, and back.
//!
//! The body is the stored payload, byte for byte. `Prev` holds the previous position of the same capability, so that a
//! subscriber to `evt.<capability>.>` can prove that it missed nothing.

use async_nats::{HeaderMap, Message};
use chrono::SecondsFormat;

use crate::{
    body::Body,
    command::is_token,
    event_ref::EventRef,
    headers::{self, InvalidHeader},
    log::{LogRow, LoggedEvent, Metadata},
};

/// The headers of a published event, each with whether it is always there. The server adds its own, `Nats-…`.
pub const EVENT_HEADERS: [(&str, bool); 14] = [
    (headers::EPOCH, true),
    (headers::POSITION, true),
    (headers::PREV, true),
    (headers::TYPE, true),
    (headers::VERSION, true),
    (headers::AGGREGATE, true),
    (headers::SEQUENCE, true),
    (headers::TENANT, true),
    (headers::RECORDED_AT, true),
    (headers::COMMAND_ID, false),
    (headers::ACTOR, false),
    (headers::CORRELATION_ID, false),
    (headers::CAUSATION_ID, false),
    (headers::TRACEPARENT, false),
];

/// Who an event in the stream is.
pub(crate) struct Published {
    pub(crate) epoch: i64,
    pub(crate) position: i64,
    pub(crate) event: EventRef,
}

impl Published {
    pub(crate) fn read(map: &HeaderMap) -> Result<Self, InvalidHeader> {
        let aggregate = headers::text(map, headers::AGGREGATE).ok_or(InvalidHeader(headers::AGGREGATE))?;
        let sequence: i64 = headers::parse(map, headers::SEQUENCE)?;
        let event = format!("{aggregate}:{sequence}").parse().map_err(|_| InvalidHeader(headers::AGGREGATE))?;
        Ok(Self {
            epoch: headers::parse(map, headers::EPOCH)?,
            position: headers::parse(map, headers::POSITION)?,
            event,
        })
    }
}

/// `evt.<capability>.<aggregate>.<event>`; the stored type `session.renamed` of aggregate `session` gives `renamed`.
/// `None` if one of them cannot be part of a subject.
#[must_use]
pub fn event_subject(capability: &str, aggregate_type: &str, event_type: &str) -> Option<String> {
    let own = event_type.strip_prefix(aggregate_type).and_then(|rest| rest.strip_prefix('.'));
    let event = own.unwrap_or(event_type).replace('.', "_");
    let tokens = [capability, aggregate_type, &event];
    tokens.iter().all(|token| is_token(token)).then(|| format!("evt.{}", tokens.join(".")))
}

pub(crate) fn headers(row: &LogRow, prev: i64) -> Result<HeaderMap, InvalidHeader> {
    let mut map = HeaderMap::new();
    let metadata = &row.metadata.0;
    headers::put(&mut map, headers::EPOCH, &row.epoch.to_string())?;
    headers::put(&mut map, headers::POSITION, &row.position.to_string())?;
    headers::put(&mut map, headers::PREV, &prev.to_string())?;
    headers::put(&mut map, headers::TYPE, &row.event_type)?;
    headers::put(&mut map, headers::VERSION, &row.event_version)?;
    headers::put(&mut map, headers::AGGREGATE, &format!("{}:{}", row.aggregate_type, row.aggregate_id))?;
    headers::put(&mut map, headers::SEQUENCE, &row.sequence.to_string())?;
    headers::put(&mut map, headers::TENANT, &row.tenant)?;
    headers::put(&mut map, headers::RECORDED_AT, &row.recorded_at.to_rfc3339_opts(SecondsFormat::Micros, true))?;
    headers::put_opt(&mut map, headers::COMMAND_ID, metadata.command_id.as_deref())?;
    headers::put_opt(&mut map, headers::ACTOR, metadata.actor.as_deref())?;
    headers::put_opt(&mut map, headers::CORRELATION_ID, metadata.correlation_id.as_deref())?;
    headers::put_opt(&mut map, headers::CAUSATION_ID, metadata.causation_id.as_deref())?;
    headers::put_opt(&mut map, headers::TRACEPARENT, metadata.traceparent.as_deref())?;
    Ok(map)
}

/// Reads a published event back.
pub(crate) fn read_event(message: &Message) -> Result<LoggedEvent, InvalidHeader> {
    let map = message.headers.as_ref().ok_or(InvalidHeader(headers::POSITION))?;
    let Published { epoch, position, event } = Published::read(map)?;
    let required = |name| headers::text(map, name).ok_or(InvalidHeader(name));
    let tenant = required(headers::TENANT)?;
    Ok(LoggedEvent {
        epoch,
        position,
        aggregate_type: event.aggregate_type,
        aggregate_id: event.aggregate_id,
        sequence: event.sequence,
        event_type: required(headers::TYPE)?,
        event_version: required(headers::VERSION)?,
        payload: Body::known(message.payload.clone()),
        metadata: Metadata {
            command_id: headers::text(map, headers::COMMAND_ID),
            actor: headers::text(map, headers::ACTOR),
            tenant: Some(tenant.clone()),
            correlation_id: headers::text(map, headers::CORRELATION_ID),
            causation_id: headers::text(map, headers::CAUSATION_ID),
            traceparent: headers::text(map, headers::TRACEPARENT),
        },
        recorded_at: headers::parse(map, headers::RECORDED_AT)?,
        tenant,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::DateTime;
    use sqlx::types::Json;

    use super::*;

    fn names_written(metadata: Metadata) -> BTreeSet<String> {
        let row = LogRow {
            epoch: 1,
            epoch_start: 1,
            position: 7,
            aggregate_type: "session".into(),
            aggregate_id: "1".into(),
            sequence: 1,
            event_type: "session.started".into(),
            event_version: "1".into(),
            payload: "{}".into(),
            metadata: Json(metadata),
            recorded_at: DateTime::UNIX_EPOCH,
            tenant: "default".into(),
        };
        headers(&row, 6).unwrap().iter().map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn the_list_of_headers_is_what_is_written() {
        let some = || Some("1".to_owned());
        let all = Metadata {
            command_id: some(),
            actor: some(),
            tenant: some(),
            correlation_id: some(),
            causation_id: some(),
            traceparent: some(),
        };
        let listed = |only_required: bool| {
            let names = EVENT_HEADERS.iter().filter(move |(_, required)| *required || !only_required);
            names.map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>()
        };
        assert_eq!(names_written(all), listed(false));
        assert_eq!(names_written(Metadata::default()), listed(true));
    }
}
