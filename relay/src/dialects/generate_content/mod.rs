//! Google's `generateContent` and `streamGenerateContent`, as clients speak it with us and as we speak it with Gemini.
//!
//! Promise: what a conversation says in this dialect it says after the way through [`crate::model`] and back; signatures
//! of thoughts come back unchanged, on calls, thoughts, texts and pictures, also those of other providers, which travel
//! inside `thoughtSignature`. What the dialect cannot say is left out by rule:
//! - asked: biases, cache keys and cache marks, tags and labels of users, spoken answers in OpenAI's form, names of
//!   speakers, files that were uploaded to another provider, thoughts that Google did not sign, whether calls may come at
//!   once; a custom tool becomes a function with the one argument `input`;
//! - answered: which of the texts to stop at it was.
//!
//! Ratings, citations and grounding go through as they are. Sources: google.ai.generativelanguage.v1beta
//! (ai.google.dev/api and github.com/googleapis/googleapis, Apache-2.0), the guides at ai.google.dev/gemini-api/docs, and
//! the types of google-genai 3.4 for Python; read November 2026.

mod aside;
mod ask;
mod asked;
mod case;
mod chunk;
mod config;
mod family;
mod finish;
mod heard;
mod logprobs;
pub(crate) mod passing;
mod reader;
mod refusal;
mod said;
mod schema;
mod signature;
mod told;
mod tools;
pub(crate) mod usage;

use std::time::Duration;

use serde_json::{Map, Value};

pub use self::signature::{sign_calls, unsigned_calls};
use crate::model::{Answer, Prompt};
use crate::{DeltaReader, DeltaWriter, Dialect, Envelope, InvalidRequest, RelayError, Served, Spoken, Usage};

/// Both sides of the dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct GenerateContent;

impl Served for GenerateContent {
    fn dialect(&self) -> Dialect {
        Dialect::GenerateContent
    }

    fn read(&self, body: Map<String, Value>) -> Result<Prompt, InvalidRequest> {
        asked::read(body)
    }

    fn write(&self, envelope: &Envelope, answer: Answer, usage: &Usage) -> Value {
        told::whole(envelope, &answer, usage)
    }

    fn writer(&self, envelope: Envelope) -> Box<dyn DeltaWriter> {
        Box::new(told::Writer::new(envelope))
    }
}

impl Spoken for GenerateContent {
    fn dialect(&self) -> Dialect {
        Dialect::GenerateContent
    }

    fn write(&self, prompt: &Prompt) -> Map<String, Value> {
        ask::body(prompt)
    }

    fn read(&self, body: Value) -> Result<Answer, RelayError> {
        reader::whole(body)
    }

    fn reader(&self) -> Box<dyn DeltaReader> {
        Box::new(reader::Reader::default())
    }

    fn refusal(&self, status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
        refusal::of_response(status, body, retry_after, secret)
    }
}
