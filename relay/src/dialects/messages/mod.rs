//! Anthropic's Messages API, as clients speak it with us and as we speak it with upstreams.
//!
//! Promise: what a conversation says in this dialect it says after the way through [`crate::model`] and back; signatures
//! of thinking, redacted thinking included, come back unchanged, also those of other providers, which travel inside the
//! `signature` of a thinking block, and those of calls, which travel in a block of redacted thinking before the call.
//! What the dialect cannot say is left out by rule:
//! - asked: seeds, penalties, biases, probabilities, several answers, cache keys, spoken answers, thoughts that nobody
//!   signed; a custom tool becomes a function with the one argument `input`;
//! - answered: all candidates but the first, pictures and sound, citations of other providers.
//!
//! Source: the API reference at platform.claude.com/docs (Messages, Streaming, Extended thinking, Tool use, Prompt
//! caching, Errors; read November 2026) and the types of github.com/anthropics/anthropic-sdk-typescript (MIT).

mod answer;
mod ask;
mod asked;
mod block;
mod carried;
pub(crate) mod passing;
mod reader;
mod refusal;
pub(crate) mod usage;
mod writer;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Map, Value};

use crate::model::{Answer, Prompt};
use crate::{DeltaReader, DeltaWriter, Dialect, Envelope, InvalidRequest, RelayError, Served, Spoken, Usage};

/// Both sides of the dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Messages;

impl Served for Messages {
    fn dialect(&self) -> Dialect {
        Dialect::Messages
    }

    fn read(&self, body: Map<String, Value>) -> Result<Prompt, InvalidRequest> {
        asked::read(body)
    }

    fn write(&self, envelope: &Envelope, answer: Answer, usage: &Usage) -> Value {
        answer::write(envelope, answer, usage)
    }

    fn writer(&self, envelope: Envelope) -> Box<dyn DeltaWriter> {
        Box::new(writer::Writer::new(envelope))
    }
}

impl Spoken for Messages {
    fn dialect(&self) -> Dialect {
        Dialect::Messages
    }

    fn write(&self, prompt: &Prompt) -> Map<String, Value> {
        ask::write(prompt)
    }

    fn read(&self, body: Value) -> Result<Answer, RelayError> {
        answer::read(body)
    }

    fn reader(&self) -> Box<dyn DeltaReader> {
        Box::new(reader::Reader::default())
    }

    fn refusal(&self, status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
        refusal::of_response(status, body, retry_after, secret)
    }
}
