//! An event as one line of JSON.
//!
//! Promise: every line has every key, in this order, absent values as `null`; the payload is the stored one, personal
//! fields sealed. This is a contract with whoever reads exports: a key may be added, none changes or goes.

use chrono::{DateTime, SecondsFormat, Utc};
use nats::{Envelope, LogError, LoggedEvent};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// What is written about an event.
#[derive(Debug, Serialize)]
pub(super) struct EventLine {
    pub(super) epoch: i64,
    pub(super) position: i64,
    /// The position of the event before it in its capability; 0 for the first.
    pub(super) prev: i64,
    pub(super) capability: String,
    #[serde(rename = "type")]
    pub(super) event_type: String,
    pub(super) version: String,
    pub(super) aggregate_type: String,
    pub(super) aggregate_id: String,
    pub(super) sequence: i64,
    pub(super) tenant: String,
    pub(super) actor: Option<String>,
    pub(super) command_id: Option<String>,
    pub(super) correlation_id: Option<String>,
    pub(super) causation_id: Option<String>,
    pub(super) traceparent: Option<String>,
    /// RFC 3339 in UTC, with microseconds.
    #[serde(serialize_with = "with_micros")]
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) payload: Value,
}

impl EventLine {
    /// The line of an event.
    ///
    /// # Errors
    /// Its payload is not JSON.
    pub(super) fn of(envelope: &Envelope) -> Result<Self, LogError> {
        let event: LoggedEvent = envelope.event();
        let payload = event.tree()?;
        Ok(Self {
            epoch: event.epoch,
            position: event.position,
            prev: envelope.prev,
            capability: envelope.capability.clone(),
            event_type: event.event_type,
            version: event.event_version,
            aggregate_type: event.aggregate_type,
            aggregate_id: event.aggregate_id,
            sequence: event.sequence,
            tenant: event.tenant,
            actor: event.metadata.actor,
            command_id: event.metadata.command_id,
            correlation_id: event.metadata.correlation_id,
            causation_id: event.metadata.causation_id,
            traceparent: event.metadata.traceparent,
            recorded_at: event.recorded_at,
            payload,
        })
    }

    /// With the line's end.
    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

fn with_micros<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Micros, true))
}
