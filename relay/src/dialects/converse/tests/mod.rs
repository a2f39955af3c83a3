//! What is read from and written to the documented wire. Sources of the fixtures: `relay/tests/fixtures/README.md`.

mod answers;
mod asking;
mod framing;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::Value;

use super::frames::{Frame, Frames};
use super::{Converse, path};
use crate::model::{Delta, Prompt};
use crate::{Dialect, RelayError, Spoken};

/// A frame of type `kind` as AWS sends it.
fn frame(kind: &'static str, name: &str, payload: &str) -> Vec<u8> {
    let text = |text: &str| HeaderValue::String(text.to_owned().into());
    let named = if kind == "exception" { ":exception-type" } else { ":event-type" };
    let message = Message::new(payload.to_owned())
        .add_header(Header::new(named, text(name)))
        .add_header(Header::new(":content-type", text("application/json")))
        .add_header(Header::new(":message-type", text(kind)));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).unwrap();
    bytes
}

/// The body of a stream with those events.
fn body(events: &str) -> Vec<u8> {
    let framed = events.lines().map(|line| line.split_once(' ').unwrap());
    framed.flat_map(|(name, payload)| frame("event", name, payload)).collect()
}

/// The frames of a body that arrives in pieces of `size`.
fn unframed(body: &[u8], size: usize) -> Result<Vec<Frame>, RelayError> {
    let mut frames = Frames::new(1 << 20);
    let mut read = Vec::new();
    for piece in body.chunks(size) {
        frames.push(piece);
        while let Some(frame) = frames.next_frame()? {
            read.push(frame);
        }
    }
    Ok(read)
}

/// What a body means, and whether it is complete.
fn read_stream(body: &[u8]) -> (Result<Vec<Delta>, RelayError>, bool) {
    let mut reader = Converse.reader();
    let mut deltas = Vec::new();
    for frame in unframed(body, 7).unwrap() {
        match reader.read(Some(&frame.name), &frame.data) {
            Ok(more) => deltas.extend(more),
            Err(error) => return (Err(error), reader.is_finished()),
        }
    }
    (Ok(deltas), reader.is_finished())
}

fn written(prompt: &Prompt) -> Value {
    Value::Object(Converse.write(prompt))
}

#[test]
fn the_model_is_named_in_the_path_whatever_its_name_is() {
    assert_eq!(Converse.dialect(), Dialect::Converse);
    assert_eq!(path("anthropic.claude-v2:1", false), "/model/anthropic.claude-v2%3A1/converse");
    let arn = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/x";
    let encoded = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fx";
    assert_eq!(path(arn, true), format!("/model/{encoded}/converse-stream"));
}
