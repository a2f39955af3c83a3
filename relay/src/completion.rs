//! One call of the compatible API `chat/completions`: OpenAI's own words in, OpenAI's own words out.
//!
//! Unlike [`crate::ChatRequest`] this is a pass-through: what a client sent reaches the upstream, parameters that
//! nobody here knows included, and chunks come back as the upstream sent them. Only what bills or breaks clients is
//! ours: the model's id, the output bound, the usage, and a shape that every official SDK can read.

use std::fmt;

use futures::stream::BoxStream;
use serde_json::{Map, Value};

use crate::{RelayError, Usage};

/// One call of the compatible API, in OpenAI's words.
#[derive(Clone, PartialEq)]
pub struct CompletionRequest {
    /// The upstream's id of the model; replaces the one in the body.
    pub model: String,
    /// What the client sent, unknown parameters included. People's own words, therefore absent from `Debug`.
    pub body: Map<String, Value>,
    /// The bound that goes upstream, for each choice; replaces the client's `max_tokens` and `max_completion_tokens`.
    /// `None` leaves the client's own.
    pub max_output_tokens: Option<u32>,
    /// Whether the answer comes in chunks; replaces the `stream` in the body.
    pub stream: bool,
}

impl fmt::Debug for CompletionRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionRequest")
            .field("model", &self.model)
            .field("max_output_tokens", &self.max_output_tokens)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// The answer to a [`CompletionRequest`].
pub enum Completion {
    /// The answer to a request without `stream`.
    Whole {
        /// The upstream's `chat.completion` object, its own `usage` left inside.
        body: Value,
        /// What it consumed: the upstream's numbers if they can be believed, else ours. `None` only where nothing can
        /// be said at all.
        usage: Option<Usage>,
    },
    /// The answer to a request with `stream`.
    Stream(CompletionStream),
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { usage, .. } => f.debug_struct("Whole").field("usage", usage).finish_non_exhaustive(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// The chunks as they are generated, then one `Done`; or an error, which is the last. Dropping it stops the generation
/// and closes the upstream connection.
pub type CompletionStream = BoxStream<'static, Result<CompletionFrame, RelayError>>;

/// One step of a streamed answer.
#[derive(Clone, PartialEq)]
pub enum CompletionFrame {
    /// A `chat.completion.chunk` as the upstream sent it, with these promises: it has `choices`, each of them with a
    /// `delta`; tool calls have an integer `index` from 0 in order, their id and name once; it has no `usage` and is
    /// no frame that only carried one.
    Chunk(Value),
    /// The end, exactly once and last; also of a cancelled answer.
    Done {
        /// What it consumed; `None` only where nothing can be said at all.
        usage: Option<Usage>,
    },
}

impl fmt::Debug for CompletionFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chunk(_) => f.write_str("Chunk"),
            Self::Done { usage } => f.debug_struct("Done").field("usage", usage).finish(),
        }
    }
}
