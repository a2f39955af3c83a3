//! The published form of an event: subject, headers, and back.
//!
//! The body is the stored payload, byte for byte. `Prev` holds the previous position of the same capability, so that a
//! subscriber to `evt.<capability>.>` can prove that it missed nothing.

use async_nats::{HeaderMap, Message};
use chrono::SecondsFormat;

use crate::{
    command::is_token,
    event_ref::EventRef,
    headers::{self, InvalidHeader},
    log::{LogRow, LoggedEvent, Metadata},
};

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
pub(crate) fn subject(capability: &str, row: &LogRow) -> Option<String> {
    let own = row.event_type.strip_prefix(row.aggregate_type.as_str()).and_then(|rest| rest.strip_prefix('.'));
    let event = own.unwrap_or(&row.event_type).replace('.', "_");
    let tokens = [capability, &row.aggregate_type, &event];
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
        payload: serde_json::from_slice(&message.payload).map_err(|_| InvalidHeader("body"))?,
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
