//! The envelope of a command, and what a command comes to.
//!
//! The subject is `cmd.<partition>.<capability>.<aggregate>.<verb>`; everything else but the body travels in headers, so
//! that a consumer can route, trace and bury a message without reading its body.

use std::fmt::Display;

use async_nats::HeaderMap;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    body::Body,
    event_ref::EventRef,
    headers::{self, InvalidHeader},
};

/// One command on its way to its aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandMessage {
    /// Minted by the caller; the same id means the same command, however often it is sent.
    pub command_id: Uuid,
    pub capability: String,
    /// The aggregate's type.
    pub aggregate: String,
    pub verb: String,
    pub aggregate_id: String,
    pub actor: String,
    pub tenant: String,
    pub correlation_id: Uuid,
    pub causation_id: Option<Uuid>,
    /// After this instant nobody waits for the answer any more.
    pub deadline: Option<DateTime<Utc>>,
    pub traceparent: Option<String>,
    /// What the caller's idempotency key stands for (hex SHA-256 of its request). Without it the body itself counts;
    /// with it the body may carry times and hashes that differ between two tries of the same request.
    pub fingerprint: Option<String>,
    pub body: Body,
}

/// What a command came to; stored with its events and sent to whoever waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// Decided and committed; `event` is the last event it appended, absent for a command that changed nothing, and
    /// `events` are the types of all that it appended, in order.
    Done {
        event: Option<EventRef>,
        #[serde(default)]
        events: Vec<String>,
    },
    /// A rule said no.
    Refused { code: String, message: String, details: Value },
    /// The command id was used before for something else.
    KeyReused,
    /// It failed for good and lies with the dead letters.
    Dead,
}

/// The message cannot be put on the bus, or what came from it is no command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCommand {
    #[error("`{0}` cannot be a token of a subject")]
    Token(String),
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    #[error("the body is not JSON")]
    Body,
}

/// The partition of an aggregate, the same on every node and in every release: `0..partitions`.
#[must_use]
pub fn partition_of(aggregate: &str, aggregate_id: &str, partitions: u16) -> u16 {
    let mut hash = Sha256::new();
    add_field(&mut hash, aggregate.as_bytes());
    add_field(&mut hash, aggregate_id.as_bytes());
    let digest = hash.finalize();
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    u16::try_from(number % u32::from(partitions.max(1))).unwrap_or(0)
}

/// The tenant of everything: there is one.
const TENANT: &str = "default";

impl CommandMessage {
    /// A command of nobody's request: a new id and a new correlation, no deadline, no fingerprint. What differs is set
    /// over it: `CommandMessage { command_id, ..CommandMessage::new(…) }`.
    #[must_use]
    pub fn new(
        (capability, aggregate, verb): (&str, &str, &str),
        aggregate_id: impl Display,
        actor: impl Into<String>,
        body: impl Into<Body>,
    ) -> Self {
        Self {
            command_id: Uuid::now_v7(),
            capability: capability.to_owned(),
            aggregate: aggregate.to_owned(),
            verb: verb.to_owned(),
            aggregate_id: aggregate_id.to_string(),
            actor: actor.into(),
            tenant: TENANT.to_owned(),
            correlation_id: Uuid::now_v7(),
            causation_id: None,
            deadline: None,
            traceparent: None,
            fingerprint: None,
            body: body.into(),
        }
    }

    /// SHA-256 over aggregate, id, verb and the fingerprint or else the canonical body: tells a repeated command from a
    /// reused id.
    #[must_use]
    pub fn request_hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for field in [&self.aggregate, &self.aggregate_id, &self.verb] {
            add_field(&mut hash, field.as_bytes());
        }
        if let Some(fingerprint) = &self.fingerprint {
            add_field(&mut hash, fingerprint.as_bytes());
        } else {
            let mut body = Vec::with_capacity(self.body.bytes().len());
            // A body is JSON, so it can be read.
            write_canonical(&self.body.read().unwrap_or_default(), &mut body);
            add_field(&mut hash, &body);
        }
        hash.finalize().into()
    }

    /// The subject it is published on.
    ///
    /// # Errors
    /// Capability, aggregate or verb is not made of ASCII letters, digits, `_` and `-`.
    pub fn subject(&self, partitions: u16) -> Result<String, InvalidCommand> {
        for token in [&self.capability, &self.aggregate, &self.verb] {
            if !is_token(token) {
                return Err(InvalidCommand::Token(token.clone()));
            }
        }
        let partition = partition_of(&self.aggregate, &self.aggregate_id, partitions);
        Ok(format!("cmd.{partition:02}.{}.{}.{}", self.capability, self.aggregate, self.verb))
    }

    /// Everything but subject and body.
    ///
    /// # Errors
    /// A field holds a line break.
    pub fn headers(&self) -> Result<HeaderMap, InvalidCommand> {
        let mut map = HeaderMap::new();
        headers::put_id(&mut map, headers::COMMAND_ID, self.command_id)?;
        headers::put(&mut map, headers::AGGREGATE_ID, &self.aggregate_id)?;
        headers::put(&mut map, headers::ACTOR, &self.actor)?;
        headers::put(&mut map, headers::TENANT, &self.tenant)?;
        headers::put_id(&mut map, headers::CORRELATION_ID, self.correlation_id)?;
        headers::put_opt(&mut map, headers::CAUSATION_ID, self.causation_id.map(|id| id.to_string()).as_deref())?;
        let deadline = self.deadline.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true));
        headers::put_opt(&mut map, headers::DEADLINE, deadline.as_deref())?;
        headers::put_opt(&mut map, headers::TRACEPARENT, self.traceparent.as_deref())?;
        headers::put_opt(&mut map, headers::FINGERPRINT, self.fingerprint.as_deref())?;
        Ok(map)
    }

    /// Reads what `subject`, `headers` and the body's bytes wrote.
    ///
    /// # Errors
    /// The message was not written by this type.
    pub fn from_parts(subject: &str, map: &HeaderMap, body: &Bytes) -> Result<Self, InvalidCommand> {
        let (capability, aggregate, verb) = names(subject).ok_or_else(|| InvalidCommand::Token(subject.to_owned()))?;
        let required = |name| headers::text(map, name).ok_or(InvalidHeader(name));
        Ok(Self {
            command_id: headers::parse(map, headers::COMMAND_ID)?,
            capability,
            aggregate,
            verb,
            aggregate_id: required(headers::AGGREGATE_ID)?,
            actor: required(headers::ACTOR)?,
            tenant: required(headers::TENANT)?,
            correlation_id: headers::parse(map, headers::CORRELATION_ID)?,
            causation_id: headers::parse_opt(map, headers::CAUSATION_ID)?,
            deadline: headers::parse_opt(map, headers::DEADLINE)?,
            traceparent: headers::text(map, headers::TRACEPARENT),
            fingerprint: headers::text(map, headers::FINGERPRINT),
            body: Body::read_from(body.clone()).map_err(|_| InvalidCommand::Body)?,
        })
    }

    /// What can be kept of a message that is no command, for the dead letters: unreadable parts are empty, the body
    /// becomes `{"unreadable": "<text>"}`.
    pub(crate) fn salvage(subject: &str, map: &HeaderMap, body: &Bytes) -> Self {
        let (capability, aggregate, verb) = names(subject).unwrap_or_default();
        let text = |name| headers::text(map, name).unwrap_or_default();
        Self {
            command_id: headers::parse(map, headers::COMMAND_ID).unwrap_or_default(),
            capability,
            aggregate,
            verb,
            aggregate_id: text(headers::AGGREGATE_ID),
            actor: text(headers::ACTOR),
            tenant: text(headers::TENANT),
            correlation_id: headers::parse(map, headers::CORRELATION_ID).unwrap_or_default(),
            causation_id: None,
            deadline: None,
            traceparent: headers::text(map, headers::TRACEPARENT),
            fingerprint: headers::text(map, headers::FINGERPRINT),
            body: Body::read_from(body.clone())
                .unwrap_or_else(|_| serde_json::json!({ "unreadable": String::from_utf8_lossy(body) }).into()),
        }
    }
}

fn names(subject: &str) -> Option<(String, String, String)> {
    let mut tokens = subject.split('.');
    match (tokens.next(), tokens.next(), tokens.next(), tokens.next(), tokens.next(), tokens.next()) {
        (Some("cmd"), Some(_), Some(capability), Some(aggregate), Some(verb), None) => {
            Some((capability.to_owned(), aggregate.to_owned(), verb.to_owned()))
        }
        _ => None,
    }
}

/// Whether `text` can stand between two dots of a subject.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

// The length before each field keeps ("ab", "c") apart from ("a", "bc").
fn add_field(hash: &mut Sha256, field: &[u8]) {
    hash.update((field.len() as u64).to_be_bytes());
    hash.update(field);
}

// Sorted keys, no spaces. Not left to serde_json: its map keeps insertion order as soon as any crate of the build asks
// for that.
fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push(b'{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_json(key, out);
                out.push(b':');
                write_canonical(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        scalar => write_json(scalar, out),
    }
}

/// A text or a scalar.
fn write_json(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    // Neither these values nor this writer can fail.
    if serde_json::to_writer(out, value).is_err() {
        tracing::error!("a scalar has no JSON");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message() -> CommandMessage {
        CommandMessage {
            command_id: Uuid::now_v7(),
            capability: "chat".into(),
            aggregate: "session".into(),
            verb: "send_message".into(),
            aggregate_id: "0197-abc".into(),
            actor: "user:1".into(),
            tenant: "default".into(),
            correlation_id: Uuid::now_v7(),
            causation_id: Some(Uuid::now_v7()),
            deadline: DateTime::from_timestamp_micros(1_700_000_000_123_456),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            fingerprint: None,
            body: json!({ "content": "你好\n", "n": [1, { "b": 2, "a": null }] }).into(),
        }
    }

    #[test]
    fn a_command_survives_its_journey_over_the_bus() {
        let sent = message();
        let subject = sent.subject(32).unwrap();
        let (headers, body) = (sent.headers().unwrap(), sent.body.bytes().clone());
        assert_eq!(CommandMessage::from_parts(&subject, &headers, &body), Ok(sent));
    }

    #[test]
    fn the_request_hash_ignores_who_and_when_and_the_order_of_keys_but_nothing_else() {
        let first = message();
        let mut again = message();
        again.body = Body::read_from(r#"{"n": [1,{"a":null,"b":2}],"content":"你好\n"}"#).unwrap();
        assert_eq!(first.request_hash(), again.request_hash());
        again.verb = "rename".into();
        assert_ne!(first.request_hash(), again.request_hash());
        let mut other = message();
        other.body = json!({ "content": "bye", "n": [1, { "b": 2, "a": null }] }).into();
        assert_ne!(first.request_hash(), other.request_hash());
        let keyed = |body: Value| CommandMessage { fingerprint: Some("ab12".into()), body: body.into(), ..message() };
        assert_eq!(keyed(json!({ "at": 1 })).request_hash(), keyed(json!({ "at": 2 })).request_hash());
    }

    #[test]
    fn a_partition_never_changes_for_an_aggregate() {
        assert_eq!(partition_of("session", "0197", 32), partition_of("session", "0197", 32));
        let used: std::collections::HashSet<_> =
            (0..1_000).map(|id| partition_of("session", &id.to_string(), 32)).collect();
        assert_eq!(used.len(), 32, "a thousand aggregates leave no partition empty");
        assert_eq!(partition_of("session", "0197", 32), 7, "fixed by stored queues: a change strands messages");
    }

    #[test]
    fn names_that_would_change_the_subject_are_refused() {
        for verb in ["", "a.b", "a b", ">", "*"] {
            assert!(matches!(
                CommandMessage { verb: verb.into(), ..message() }.subject(32),
                Err(InvalidCommand::Token(_))
            ));
        }
        let broken = CommandMessage { actor: "a\r\nTenant: other".into(), ..message() };
        assert_eq!(broken.headers(), Err(InvalidCommand::Header(InvalidHeader("Actor"))));
    }
}
