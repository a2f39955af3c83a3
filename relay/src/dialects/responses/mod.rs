//! OpenAI's Responses, for clients that we serve and for upstreams that we ask.
//!
//! Promise: state is kept here and never at an upstream, so any model can answer a conversation that another one began.
//! Built-in tools of OpenAI travel as they are and reach only upstreams that speak this dialect.

mod answer;
mod ask;
mod asked;
mod content;
mod items;
mod message;
mod object;
pub(crate) mod passing;
mod reader;
mod signature;
#[cfg(test)]
mod spec;
pub mod state;
mod thoughts;
pub(crate) mod usage;
mod writer;

use std::time::Duration;

use serde_json::{Map, Value};

use self::object::Told;
use self::reader::Reader;
use self::writer::Writer;
use crate::dialects::chat_completions::refusal;
use crate::model::{Answer, Prompt};
use crate::{DeltaReader, DeltaWriter, Dialect, Envelope, InvalidRequest, RelayError, Served, Spoken, Usage};

/// The dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Responses;

impl Served for Responses {
    fn dialect(&self) -> Dialect {
        Dialect::Responses
    }

    fn read(&self, body: Map<String, Value>) -> Result<Prompt, InvalidRequest> {
        ask::read(body)
    }

    fn write(&self, envelope: &Envelope, answer: Answer, usage: &Usage) -> Value {
        let candidate = answer.candidates.into_iter().next();
        let (parts, logprobs, (status, incomplete)) = match candidate {
            Some(candidate) => (candidate.parts, candidate.logprobs, object::ending(&candidate.finish)),
            None => (vec![], None, (object::Status::Completed, None)),
        };
        let mut output = object::items(&envelope.id, 0, &parts, status);
        object::put_logprobs(&mut output, logprobs);
        object::response(envelope, Told { status, incomplete, output, usage: Some(usage) })
    }

    fn writer(&self, envelope: Envelope) -> Box<dyn DeltaWriter> {
        Box::new(Writer::new(envelope))
    }
}

impl Spoken for Responses {
    fn dialect(&self) -> Dialect {
        Dialect::Responses
    }

    fn write(&self, prompt: &Prompt) -> Map<String, Value> {
        asked::write(prompt)
    }

    fn read(&self, body: Value) -> Result<Answer, RelayError> {
        answer::read(body)
    }

    fn reader(&self) -> Box<dyn DeltaReader> {
        Box::new(Reader::default())
    }

    fn refusal(&self, status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
        refusal::of_response(status, body, retry_after, secret)
    }
}
