//! What a model answers, whole.

use super::{Opaque, Part};
use crate::Usage;

/// One answer, with all its candidates.
#[derive(Clone, PartialEq)]
pub struct Answer {
    /// The provider's id of the answer; empty where it gives none.
    pub id: String,
    /// The model as the provider calls what answered.
    pub model: String,
    /// Seconds since 1970; 0 where the provider does not say.
    pub created: i64,
    /// In order of their index; at least one.
    pub candidates: Vec<Candidate>,
    /// As the provider reports it.
    pub usage: Option<Usage>,
    /// What only the provider's dialect has, such as safety ratings or a fingerprint.
    pub extra: Option<Opaque>,
}

/// One of the answers to the same question.
#[derive(Clone, PartialEq)]
pub struct Candidate {
    /// In the order in which the model said them.
    pub parts: Vec<Part>,
    /// Why it ended.
    pub finish: FinishReason,
    /// Which of the client's texts ended it.
    pub stop_sequence: Option<String>,
    /// OpenAI's `logprobs` object.
    pub logprobs: Option<serde_json::Value>,
}

/// Why a candidate ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The model said all that it wanted to say.
    Stop,
    /// One of the client's texts came.
    StopSequence,
    /// The output bound was reached.
    Length,
    /// The context window was reached.
    ContextWindow,
    /// It waits for the outcome of a tool.
    ToolCalls,
    /// The provider withheld the rest.
    ContentFilter,
    /// The model declined: Anthropic's `refusal`.
    Refusal,
    /// The provider paused a long turn, which the client may continue: Anthropic's `pause_turn`.
    Pause,
    /// Another reason, in the provider's word.
    Other(String),
}
