//! OpenAI's chat completions, for clients that we serve and for upstreams that we ask.
//!
//! [`ChatCompletions`] is the dialect as OpenAI documents it, for clients. [`Upstream`] is the same as a server speaks it
//! that has [`Quirks`]; the table of those servers is `providers/compatible`. Beyond OpenAI's own description clients get,
//! and may give back, the model's thoughts: see `thoughts`.

mod adapt;
mod answer;
pub(crate) mod calls;
mod choice;
mod parts;
mod quirks;
mod read;
mod reasoning;
pub(crate) mod refusal;
mod regular;
#[cfg(test)]
mod spec;
mod stream;
mod think;
mod thoughts;
mod tools;
mod upstream;
pub(crate) mod usage;
mod write;

use std::time::Duration;

use serde_json::{Map, Value};

pub(crate) use adapt::Ours;
pub(crate) use regular::regularize;

pub use quirks::{Bound, Quirks, Thinking, Thoughts, ToolChoices};

use crate::model::{Answer, Prompt};
use crate::{DeltaReader, DeltaWriter, Dialect, Envelope, InvalidRequest, RelayError, Served, Spoken, Usage};

/// The dialect as our clients speak it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChatCompletions;

impl Served for ChatCompletions {
    fn dialect(&self) -> Dialect {
        Dialect::ChatCompletions
    }

    fn read(&self, body: Map<String, Value>) -> Result<Prompt, InvalidRequest> {
        read::read(body)
    }

    fn write(&self, envelope: &Envelope, answer: Answer, usage: &Usage) -> Value {
        answer::write(envelope, answer, usage)
    }

    fn writer(&self, envelope: Envelope) -> Box<dyn DeltaWriter> {
        Box::new(stream::Chunks::new(envelope))
    }
}

/// The dialect as an upstream speaks it.
#[derive(Debug, Clone)]
pub struct Upstream {
    quirks: Quirks,
}

impl Upstream {
    /// A server that does these things in its own way.
    #[must_use]
    pub const fn new(quirks: Quirks) -> Self {
        Self { quirks }
    }

    /// What it does in its own way.
    #[must_use]
    pub const fn quirks(&self) -> &Quirks {
        &self.quirks
    }
}

impl Spoken for Upstream {
    fn dialect(&self) -> Dialect {
        Dialect::ChatCompletions
    }

    fn write(&self, prompt: &Prompt) -> Map<String, Value> {
        write::write(prompt, &self.quirks)
    }

    fn read(&self, body: Value) -> Result<Answer, RelayError> {
        upstream::read_whole(body, self.quirks.think_tags)
    }

    fn reader(&self) -> Box<dyn DeltaReader> {
        Box::new(upstream::Chunks::new(self.quirks.think_tags))
    }

    fn refusal(&self, status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
        refusal::of_response(status, body, retry_after, secret)
    }
}
