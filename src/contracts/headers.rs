//! The headers of a published event, explained.

use std::collections::BTreeSet;

use anyhow::ensure;
use serde_json::{Map, Value, json};

use super::events::{Aggregate, Event, Version};

/// One header.
pub(super) struct Header {
    pub(super) name: &'static str,
    /// Whether every event has it.
    pub(super) required: bool,
    pub(super) meaning: &'static str,
    /// What its text looks like.
    form: Form,
    example: &'static str,
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Integer,
    Uuid,
    Time,
}

impl Header {
    pub(super) fn schema(&self) -> Value {
        let form = match self.form {
            Form::Text => json!({}),
            Form::Integer => json!({ "pattern": "^[0-9]{1,19}$" }),
            Form::Uuid => json!({ "format": "uuid" }),
            Form::Time => json!({ "format": "date-time" }),
        };
        let mut schema = json!({ "type": "string", "description": self.meaning });
        if let (Value::Object(schema), Value::Object(form)) = (&mut schema, form) {
            schema.extend(form);
        }
        schema
    }
}

/// All of them, in the order in which they are explained.
///
/// # Errors
/// The publisher writes a header that is not explained, or the other way round.
pub(super) fn all() -> anyhow::Result<Vec<Header>> {
    let explained: BTreeSet<&str> = EXPLAINED.iter().map(|(name, ..)| *name).collect();
    let written: BTreeSet<&str> = nats::EVENT_HEADERS.iter().map(|(name, _)| *name).collect();
    ensure!(explained == written, "src/contracts/headers.rs explains {explained:?}, the publisher writes {written:?}");
    let required = |name| nats::EVENT_HEADERS.contains(&(name, true));
    let header = |(name, form, example, meaning)| Header { name, required: required(name), meaning, form, example };
    Ok(EXPLAINED.into_iter().map(header).collect())
}

/// The headers of one event as they could be.
pub(super) fn example(headers: &[Header], aggregate: &Aggregate, event: &Event, version: &Version) -> Value {
    let value = |header: &Header| match header.name {
        "Type" => event.name.clone(),
        "Version" => version.number.to_string(),
        "Aggregate" => format!("{}:{}", aggregate.name, aggregate.example_id),
        _ => header.example.to_owned(),
    };
    let fields = headers.iter().map(|header| (header.name.to_owned(), Value::String(value(header))));
    Value::Object(fields.collect::<Map<_, _>>())
}

const EXPLAINED: [(&str, Form, &str, &str); 14] = [
    (
        "Epoch",
        Form::Integer,
        "1",
        "Counts how often an operator declared that the log goes on from another database. It begins with 1 and only \
         grows; positions are never used twice, in any epoch.",
    ),
    (
        "Position",
        Form::Integer,
        "4711",
        "The event's place in the one order of all events; also its sequence in the stream.",
    ),
    (
        "Prev",
        Form::Integer,
        "4698",
        "The position of the event before it of the same capability, 0 before the first: whoever reads \
         `evt.<capability>.>` and finds here what came last has missed nothing.",
    ),
    ("Type", Form::Text, "session.renamed", "What happened: the aggregate's name, a dot, the event's."),
    ("Version", Form::Integer, "1", "The version of the payload's form."),
    (
        "Aggregate",
        Form::Text,
        "session:0197a0c0-0000-7000-8000-000000000005",
        "To what it happened: the aggregate's name, a colon, its id.",
    ),
    ("Sequence", Form::Integer, "12", "Counts the events of this aggregate from 1, without holes."),
    ("Tenant", Form::Text, "default", "Whose house it is; `default` until there are several."),
    ("Recorded-At", Form::Time, "2026-11-21T10:00:00.000000Z", "When it was committed, by the clock of the database."),
    (
        "Command-Id",
        Form::Uuid,
        "0197a0c0-0000-7000-8000-0000000000c1",
        "The command that it was decided for; all events of one command share it.",
    ),
    (
        "Actor",
        Form::Text,
        "user:0197a0c0-0000-7000-8000-000000000001",
        "Who wanted it: `user:<id>`, `device:<id>`, `worker:<name>` or `operator`.",
    ),
    (
        "Correlation-Id",
        Form::Uuid,
        "0197a0c0-0000-7000-8000-0000000000c0",
        "The same in everything that follows from one request.",
    ),
    (
        "Causation-Id",
        Form::Uuid,
        "0197a0c0-0000-7000-8000-0000000000c2",
        "The command that led to this one, where one did.",
    ),
    (
        "traceparent",
        Form::Text,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "The trace that it belongs to (W3C Trace Context), where the client sent one.",
    ),
];
