//! Google's dialect on both sides, against bytes from its documentation (`relay/tests/fixtures/README.md`).
#![expect(clippy::expect_used, clippy::panic, reason = "a panic is a test's failure report")]

mod identity;
mod served;
mod streams;
mod upstream;

use relay::dialects::generate_content::GenerateContent;
use relay::model::{Answer, Delta, Opaque, Part, Prompt};
use relay::{Dialect, Envelope, RelayError, Served, ServedEvent, Spoken, Usage};
use serde_json::{Map, Value};

/// The text of a fixture.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../fixtures/", $name))
    };
}
pub(crate) use fixture;

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("a fixture is JSON")
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("no object") };
    map
}

fn answer(text: &str) -> Result<Answer, RelayError> {
    Spoken::read(&GenerateContent, json(text))
}

fn prompt(value: Value) -> Prompt {
    Served::read(&GenerateContent, object(value)).expect("the request is well-formed")
}

fn envelope(request: Value) -> Envelope {
    Envelope {
        id: "ours-1".to_owned(),
        model: "public".to_owned(),
        created: 5,
        input_tokens: 3,
        include_usage: false,
        request: object(request).into(),
    }
}

/// All steps of a stream, whether it was said to be complete, and how it failed.
fn deltas(stream: &str) -> (Vec<Delta>, bool, Option<RelayError>) {
    let mut reader = GenerateContent.reader();
    let mut all = vec![];
    for data in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
        match reader.read(None, data) {
            Ok(deltas) => all.extend(deltas),
            Err(error) => return (all, reader.is_finished(), Some(error)),
        }
    }
    (all, reader.is_finished(), None)
}

/// What a client gets of those steps.
fn served(deltas: Vec<Delta>, request: Value, usage: &Usage) -> Vec<Value> {
    let mut writer = GenerateContent.writer(envelope(request));
    let mut events: Vec<ServedEvent> = deltas.into_iter().flat_map(|delta| writer.write(delta)).collect();
    events.extend(writer.end(usage));
    assert!(events.iter().all(|event| event.name.is_none()), "this dialect names no events");
    events.into_iter().map(|event| event.data).collect()
}

fn google(value: impl Into<Value>) -> Opaque {
    Opaque { dialect: Dialect::GenerateContent, value: value.into() }
}

fn call(id: &str, name: &str, arguments: &str, signature: Option<&str>) -> Part {
    Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
        signature: signature.map(google),
    }
}

/// The parts of a candidate without what is said beside it.
fn spoken(parts: &[Part]) -> Vec<Part> {
    parts.iter().filter(|part| !matches!(part, Part::Other(_))).cloned().collect()
}
