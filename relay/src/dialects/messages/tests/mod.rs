//! What is read from and written to the documented wire. Sources of the fixtures: `relay/tests/fixtures/README.md`.

mod answers;
mod asking;
mod identity;
mod streams_read;
mod streams_written;

use serde_json::{Map, Value, json};

use super::Messages;
use crate::model::{Delta, Prompt};
use crate::{DeltaReader, Dialect, Envelope, RelayError, Served, Spoken};

/// The events of a stream as they are framed: name and data.
fn events(sse: &str) -> Vec<(String, String)> {
    let frame = |frame: &str| {
        let (name, data) = frame.split_once('\n').unwrap();
        (name.strip_prefix("event: ").unwrap().to_owned(), data.strip_prefix("data: ").unwrap().to_owned())
    };
    sse.split("\n\n").filter(|text| !text.is_empty()).map(frame).collect()
}

/// What a stream means, and whether it is complete.
fn read_stream(sse: &str) -> (Result<Vec<Delta>, RelayError>, bool) {
    let mut reader = Messages.reader();
    let deltas = read_all(reader.as_mut(), sse);
    (deltas, reader.is_finished())
}

fn read_all(reader: &mut dyn DeltaReader, sse: &str) -> Result<Vec<Delta>, RelayError> {
    let mut deltas = Vec::new();
    for (name, data) in events(sse) {
        deltas.extend(reader.read(Some(&name), &data)?);
    }
    Ok(deltas)
}

fn envelope() -> Envelope {
    Envelope {
        id: "msg_ours".to_owned(),
        model: "public-name".to_owned(),
        created: 0,
        input_tokens: 31,
        include_usage: false,
        request: Default::default(),
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("no object") };
    map
}

/// The prompt that a client's body is.
fn asked(body: Value) -> Prompt {
    Served::read(&Messages, object(body)).unwrap()
}

/// The same with one message, where only the parameters matter.
fn asked_with(model: &str, parameters: Value) -> Prompt {
    let mut body = object(json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]}));
    body.extend(object(parameters));
    asked(Value::Object(body))
}

/// What goes upstream.
fn written(prompt: &Prompt) -> Value {
    Value::Object(Spoken::write(&Messages, prompt))
}

#[test]
fn both_sides_are_the_same_dialect() {
    assert_eq!((Served::dialect(&Messages), Spoken::dialect(&Messages)), (Dialect::Messages, Dialect::Messages));
}
