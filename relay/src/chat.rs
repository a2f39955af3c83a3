//! What a caller asks of a model and what it gets back, the same for every provider.

use std::fmt;

use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{KeyRef, RelayError, Usage};

/// Who said a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions of the operator.
    System,
    /// The person.
    User,
    /// The model, in an earlier answer.
    Assistant,
}

/// One turn of the conversation that is sent to the model.
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said: the user's own text, therefore absent from `Debug`.
    pub content: String,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({:?}, {} bytes)", self.role, self.content.len())
    }
}

/// One question to a model: the whole conversation, oldest turn first.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// The model id as the provider lists it, not empty: not the name by which users ask for it.
    pub model: String,
    /// Oldest first; the last one is normally the user's.
    pub turns: Vec<Turn>,
    /// The most tokens that the answer may have; `None` leaves it to the provider.
    pub max_output_tokens: Option<u32>,
    /// Sampling temperature, 0 to 2; `None` leaves it to the provider.
    pub temperature: Option<f32>,
    /// An opaque tag of the end user that is passed upstream for abuse reports; never an e-mail address or a name.
    pub user_tag: Option<String>,
    /// Which of the provider's keys is used; `None` leaves it to the provider.
    pub key: Option<KeyRef>,
}

/// Why an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finish {
    /// The model said all that it wanted to say.
    Stop,
    /// The output bound or the context window was reached.
    Length,
    /// The provider withheld the rest.
    ContentFilter,
    /// The caller cancelled; what came before is valid text.
    Cancelled,
    /// Another reason, in the provider's word.
    Other(String),
}

/// One step of an answer.
#[derive(Clone, PartialEq, Eq)]
pub enum ReplyDelta {
    /// The next piece of text: never empty, always whole code points.
    Text(String),
    /// The end, exactly once and last.
    Done {
        /// Why it ended.
        finish: Finish,
        /// `None` only where nothing can be said at all.
        usage: Option<Usage>,
    },
}

impl fmt::Debug for ReplyDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Done { finish, usage } => {
                f.debug_struct("Done").field("finish", finish).field("usage", usage).finish()
            }
        }
    }
}

/// The answer as it is generated. Dropping it stops the generation and closes the upstream connection.
pub type ReplyStream = BoxStream<'static, Result<ReplyDelta, RelayError>>;
