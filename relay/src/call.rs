//! One call of a served API: a client's request in its own dialect, and the answer in the same dialect.
//!
//! What a client sent reaches the upstream with as little change as possible where both speak the same dialect, and in
//! translation where they do not; the caller sees no difference. Whichever way, the answer bears the name of the model
//! that was asked for, tells the usage that is to be charged, and has a shape that every official SDK can read.

use std::fmt;
use std::sync::Arc;

use futures::stream::BoxStream;
use serde_json::Value;

use crate::{Basis, Dialect, Envelope, Memory, PassedEvent, RelayError, RequestBody, ServedEvent, Usage};

/// One call of a served API. Cheap to clone, because it may be tried at several upstreams.
#[derive(Clone, PartialEq)]
pub struct ServedCall {
    /// The dialect of the request and of the answer.
    pub dialect: Dialect,
    /// The upstream's id of the model; replaces the one in the body.
    pub model: String,
    /// What the client sent, unknown parameters included. People's own words, therefore absent from `Debug`.
    pub body: RequestBody,
    /// The bound that goes upstream, for each candidate; replaces the client's own. `None` leaves the client's.
    pub max_output_tokens: Option<u32>,
    /// Whether the answer comes in steps; replaces what the body says.
    pub stream: bool,
    /// What the answer says about itself.
    pub envelope: Envelope,
    /// Headers of the client that an upstream of the same dialect gets, names in lower case: `anthropic-version`,
    /// `anthropic-beta`. Never credentials.
    pub headers: Vec<(String, String)>,
    /// Which of the provider's keys is used; `None` leaves it to the provider. See [`crate::Provider::choose_key`].
    pub key: Option<KeyRef>,
    /// What the client may have dropped of earlier answers, and who keeps what this one adds.
    pub memory: Memory,
}

impl fmt::Debug for ServedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedCall")
            .field("dialect", &self.dialect)
            .field("model", &self.model)
            .field("max_output_tokens", &self.max_output_tokens)
            .field("stream", &self.stream)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The name of a key, by which its health is kept and told; never the key or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyRef(Arc<str>);

impl KeyRef {
    /// The key that its owner calls so.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// What its owner calls it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The answer to a [`ServedCall`].
pub enum ServedAnswer {
    /// The answer to a call without `stream`.
    Whole {
        /// What the client gets: the dialect's own object, with the model's public name and the usage below.
        body: Value,
        /// What it consumed: the upstream's numbers if they can be believed, else ours.
        usage: Usage,
    },
    /// The same, as the upstream wrote it but for the name.
    Passed {
        /// A JSON object.
        body: String,
        /// What the upstream says that it consumed, as it stands in the body.
        usage: Usage,
    },
    /// The answer to a call with `stream`.
    Stream(ServedStream),
}

impl ServedAnswer {
    /// The same with a body that is taken apart.
    #[must_use]
    pub fn read(self) -> Self {
        match self {
            // It was read once before it was passed on.
            Self::Passed { body, usage } => {
                Self::Whole { body: serde_json::from_str(&body).unwrap_or_default(), usage }
            }
            other => other,
        }
    }
}

impl fmt::Debug for ServedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole { usage, .. } => f.debug_struct("Whole").field("usage", usage).finish_non_exhaustive(),
            Self::Passed { usage, .. } => f.debug_struct("Passed").field("usage", usage).finish_non_exhaustive(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// The events as they are generated, then exactly one `Done` or `Failed`, which is the last. Dropping it stops the
/// generation and closes the upstream connection.
pub type ServedStream = BoxStream<'static, ServedFrame>;

/// One step of a streamed answer.
#[derive(Clone, PartialEq)]
pub enum ServedFrame {
    /// What the client gets next.
    Event(ServedEvent),
    /// The same, as its upstream wrote it.
    Passed(PassedEvent),
    /// The end, also of a cancelled answer.
    Done {
        /// The last that the client gets, the usage among them where the dialect has a place for it. Empty where the
        /// answer was cancelled. `[DONE]` is not among them.
        last: Vec<ServedEvent>,
        /// What is to be charged.
        usage: Usage,
    },
    /// The answer failed after it began.
    Failed {
        /// Why.
        error: RelayError,
        /// What was consumed until then, estimated; `None` where nothing was generated.
        usage: Option<Usage>,
    },
}

impl fmt::Debug for ServedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event(event) => write!(f, "{event:?}"),
            Self::Passed(event) => write!(f, "{event:?}"),
            Self::Done { last, usage } => f.debug_struct("Done").field("last", last).field("usage", usage).finish(),
            Self::Failed { error, usage } => {
                f.debug_struct("Failed").field("error", error).field("usage", usage).finish()
            }
        }
    }
}

/// A number of tokens, and how far it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub tokens: u64,
    /// By what they were counted.
    pub basis: Basis,
}
