//! The dialect against OpenAI's documents, both sides. Where the fixtures come from: `fixtures/README.md`.

mod asks;
mod back;
mod reads;
mod states;
mod streams;

use serde_json::{Map, Value};

use super::Responses;
use crate::model::Delta;
use crate::{Dialect, Envelope, RelayError, Spoken};

/// An object of JSON.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => panic!("no object: {value}"),
    }
}

/// An envelope of an answer to that body.
fn envelope(request: Value) -> Envelope {
    Envelope {
        id: "resp_0199".to_owned(),
        model: "public-name".to_owned(),
        created: 1_741_476_542,
        input_tokens: 0,
        include_usage: false,
        request: object(request).into(),
    }
}

/// The steps in the events of a stream, and whether it was complete.
fn replay(sse: &str) -> (Result<Vec<Delta>, RelayError>, bool) {
    let mut reader = Responses.reader();
    let data = sse.lines().filter_map(|line| line.strip_prefix("data: "));
    let mut deltas = vec![];
    for event in data {
        match reader.read(None, event) {
            Ok(more) => deltas.extend(more),
            Err(error) => return (Err(error), reader.is_finished()),
        }
    }
    (Ok(deltas), reader.is_finished())
}

/// The steps of a stream that ends well.
fn steps(sse: &str) -> Vec<Delta> {
    let (deltas, is_finished) = replay(sse);
    assert!(is_finished);
    deltas.unwrap_or_else(|error| panic!("{error}"))
}

/// Compares without `Debug`, which shows no texts.
fn same<T: PartialEq + std::fmt::Debug>(found: &T, expected: &T) {
    assert!(found == expected, "{found:?} is not {expected:?}, or differs in its texts");
}

const OWN: Dialect = Dialect::Responses;
