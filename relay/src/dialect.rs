//! The wire dialects, and what it takes to speak one.
//!
//! A dialect is spoken on two sides: with clients, whom we serve ([`Served`]), and with upstreams, whom we ask
//! ([`Spoken`]). Both sides meet in [`crate::model`]. Implementations are pure: bytes of a side in, the model out, and
//! back; no clock, no randomness, no I/O. Where both sides speak the same dialect nothing is translated.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    RelayError, RequestBody, Usage,
    model::{Answer, Delta, Prompt},
};

/// A protocol between clients and models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI's `/v1/chat/completions`, which most of the world speaks.
    ChatCompletions,
    /// OpenAI's `/v1/responses`.
    Responses,
    /// Anthropic's `/v1/messages`.
    Messages,
    /// Google's `models/{model}:generateContent`.
    GenerateContent,
    /// The Converse API of AWS Bedrock; only asked, never served.
    Converse,
}

/// A request that cannot be what its dialect says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidRequest {
    /// A sentence for the developer; it quotes nothing that people said.
    pub message: String,
    /// Where, in the words of the dialect, such as `messages[2].content`.
    pub param: Option<String>,
}

impl InvalidRequest {
    /// What is wrong, and where.
    #[must_use]
    pub fn at(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: message.into(), param: Some(param.into()) }
    }
}

/// What a served answer says about itself, whoever gave it.
#[derive(Clone, PartialEq)]
pub struct Envelope {
    /// Our id of the answer, in the dialect's manner (`chatcmpl-…`, `resp_…`, `msg_…`).
    pub id: String,
    /// The model as the client named it.
    pub model: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Tokens of the input as counted before the call: Anthropic's stream begins with them.
    pub input_tokens: u64,
    /// The client asked for the usage in a stream of chat completions.
    pub include_usage: bool,
    /// What was asked, for dialects that repeat some of it in the answer.
    pub request: RequestBody,
}

/// A server-sent event of a served stream.
#[derive(Clone, PartialEq)]
pub struct ServedEvent {
    /// The `event:` field, where the dialect has one.
    pub name: Option<Cow<'static, str>>,
    /// The `data:` field.
    pub data: Value,
}

impl fmt::Debug for ServedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServedEvent({:?})", self.name)
    }
}

/// An event of a served stream that passes as its upstream wrote it. It always says something that was generated: what
/// only announces an answer, or ends it, is a [`ServedEvent`].
#[derive(Clone, PartialEq)]
pub struct PassedEvent {
    /// The `event:` field, where the dialect has one.
    pub name: Option<Cow<'static, str>>,
    /// The `data:` field: a JSON object in one line.
    pub data: String,
}

impl PassedEvent {
    /// The same taken apart.
    #[must_use]
    pub fn read(self) -> ServedEvent {
        // It was read once before it was passed on.
        ServedEvent { name: self.name, data: serde_json::from_str(&self.data).unwrap_or_default() }
    }
}

impl fmt::Debug for PassedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PassedEvent({:?}, {} bytes)", self.name, self.data.len())
    }
}

/// A dialect as clients speak it with us.
pub trait Served: Send + Sync {
    /// Which.
    fn dialect(&self) -> Dialect;

    /// What a client asks. Parameters that nobody knows are kept in [`Prompt::extra`]; `null` counts as absent.
    ///
    /// # Errors
    /// The request is malformed; the error names the parameter.
    fn read(&self, body: Map<String, Value>) -> Result<Prompt, InvalidRequest>;

    /// A whole answer. `usage` is what is billed, and replaces the answer's own.
    fn write(&self, envelope: &Envelope, answer: Answer, usage: &Usage) -> Value;

    /// A streamed answer.
    fn writer(&self, envelope: Envelope) -> Box<dyn DeltaWriter>;
}

/// Writes the steps of one served answer.
pub trait DeltaWriter: Send {
    /// The events of one step, in order; may be none.
    fn write(&mut self, delta: Delta) -> Vec<ServedEvent>;

    /// The last events of an answer that ended well, with what is billed. `[DONE]` is not among them.
    fn end(&mut self, usage: &Usage) -> Vec<ServedEvent>;
}

/// A dialect as we speak it with upstreams.
pub trait Spoken: Send + Sync {
    /// Which.
    fn dialect(&self) -> Dialect;

    /// The body of a request. What the dialect cannot say is left out by rule.
    fn write(&self, prompt: &Prompt) -> Map<String, Value>;

    /// A whole answer.
    ///
    /// # Errors
    /// [`RelayError::UpstreamGarbage`] if it is none; a refusal within it is the error that it means.
    fn read(&self, body: Value) -> Result<Answer, RelayError>;

    /// A streamed answer.
    fn reader(&self) -> Box<dyn DeltaReader>;

    /// What a refused request means: the status of the response, its body, and how long it asks us to wait. The sentence
    /// that users see contains neither addresses nor keys; `secret` is cut out wherever the provider quotes it.
    fn refusal(&self, status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError;
}

/// Reads the steps of one streamed answer.
pub trait DeltaReader: Send {
    /// The steps in one event of the stream: its `event:` field, if any, and its `data:`.
    ///
    /// # Errors
    /// The event is malformed, or is the provider's word that the answer failed.
    fn read(&mut self, name: Option<&str>, data: &str) -> Result<Vec<Delta>, RelayError>;

    /// Whether the provider has said that the answer is complete.
    fn is_finished(&self) -> bool;
}
