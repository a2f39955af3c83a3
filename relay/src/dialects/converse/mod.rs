//! The Converse API of AWS Bedrock, as we speak it with upstreams; nobody asks us in it.
//!
//! Promise: what it can say of a conversation it says, for every model on Bedrock; Claude is told to think by the rules
//! that Anthropic has for it, and its signatures are those of Anthropic's API. Left out by rule: seeds, penalties, biases,
//! probabilities, several answers, cache keys, labels, thinking of other models, files that are uploaded elsewhere, whether
//! calls may be parallel. A picture at an address that is not S3's is told by its address, because nothing fetches it.
//!
//! The transport needs three things besides: [`path`], [`frames`] for the binary framing of a stream, and [`signing`] for
//! the headers of a request.
//!
//! Source: the API reference of Amazon Bedrock Runtime (docs.aws.amazon.com/bedrock/latest/APIReference: Converse,
//! ConverseStream and their types; read November 2026) and the user guide's pages on tool use, prompt caching and reasoning.

mod answer;
mod ask;
mod block;
pub mod frames;
mod reader;
mod refusal;
pub mod signing;
mod usage;

#[cfg(test)]
mod tests;

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use crate::model::{Answer, Prompt};
use crate::{DeltaReader, Dialect, RelayError, Spoken};

/// What stays as it is in a path, RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The upstream's side of the dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct Converse;

impl Spoken for Converse {
    fn dialect(&self) -> Dialect {
        Dialect::Converse
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

/// The path of a request, which names the model: an id, an inference profile or an ARN.
#[must_use]
pub fn path(model: &str, stream: bool) -> String {
    let model = utf8_percent_encode(model, RESERVED);
    let operation = if stream { "converse-stream" } else { "converse" };
    format!("/model/{model}/{operation}")
}
