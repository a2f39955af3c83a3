//! The steps of an answer as it is generated.

use std::fmt;

use serde_json::Value;

use super::{FinishReason, Opaque};
use crate::Usage;

/// One step. A reader of an upstream promises:
/// - `Begin` comes first, once; nothing follows `Finish` of a candidate but `Usage` and other candidates' steps;
/// - parts of a candidate do not overlap, except for fragments of parallel tool calls: text, reasoning and calls come in
///   the order in which a whole answer would list them;
/// - calls of a candidate are numbered from 0 in order of their begin; `ToolCall` of a number comes once and before its
///   arguments;
/// - texts are whole code points and never empty.
#[derive(Clone, PartialEq)]
pub enum Delta {
    /// The provider began to answer.
    Begin {
        /// As of [`super::Answer`].
        id: String,
        /// As of [`super::Answer`].
        model: String,
        /// What is known of the input at this point.
        usage: Option<Usage>,
    },
    /// The next piece of text of a candidate.
    Text { candidate: u32, text: String },
    /// Where the text so far is taken from.
    Citation { candidate: u32, citation: Opaque },
    /// The next piece of the model's thoughts.
    Reasoning { candidate: u32, text: String },
    /// The thoughts so far end here and are signed; alone where the thoughts are hidden.
    ReasoningSignature { candidate: u32, signature: Opaque },
    /// The next piece of a refusal.
    Refusal { candidate: u32, text: String },
    /// A call begins.
    ToolCall { candidate: u32, call: u32, id: String, name: String, custom: bool, signature: Option<Opaque> },
    /// The next piece of its arguments.
    ToolArguments { candidate: u32, call: u32, fragment: String },
    /// The next piece of a spoken answer: OpenAI's `audio` object of a chunk.
    Audio { candidate: u32, audio: Value },
    /// Probabilities of the last piece of text: OpenAI's `logprobs` object.
    Logprobs { candidate: u32, logprobs: Value },
    /// A whole part that comes in one piece: a picture, or what only one dialect has.
    Part { candidate: u32, part: super::Part },
    /// A candidate ends.
    Finish { candidate: u32, finish: FinishReason, stop_sequence: Option<String> },
    /// What was consumed so far, in all; a later one replaces an earlier one.
    Usage(Usage),
}

impl fmt::Debug for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { id, model, .. } => write!(f, "Begin({id}, {model})"),
            Self::Text { candidate, text } => write!(f, "Text({candidate}, {} bytes)", text.len()),
            Self::Citation { candidate, .. } => write!(f, "Citation({candidate})"),
            Self::Reasoning { candidate, text } => write!(f, "Reasoning({candidate}, {} bytes)", text.len()),
            Self::ReasoningSignature { candidate, .. } => write!(f, "ReasoningSignature({candidate})"),
            Self::Refusal { candidate, text } => write!(f, "Refusal({candidate}, {} bytes)", text.len()),
            Self::ToolCall { candidate, call, id, name, .. } => {
                write!(f, "ToolCall({candidate}, {call}, {id}, {name})")
            }
            Self::ToolArguments { candidate, call, fragment } => {
                write!(f, "ToolArguments({candidate}, {call}, {} bytes)", fragment.len())
            }
            Self::Audio { candidate, .. } => write!(f, "Audio({candidate})"),
            Self::Logprobs { candidate, .. } => write!(f, "Logprobs({candidate})"),
            Self::Part { candidate, part } => write!(f, "Part({candidate}, {part:?})"),
            Self::Finish { candidate, finish, .. } => write!(f, "Finish({candidate}, {finish:?})"),
            Self::Usage(usage) => write!(f, "{usage:?}"),
        }
    }
}
