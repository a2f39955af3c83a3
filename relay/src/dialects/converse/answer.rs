//! A whole answer.

use serde_json::Value;

use super::{block, usage};
use crate::RelayError;
use crate::model::{Answer, Candidate, FinishReason, Part};

/// The answer of an upstream. It has no id and does not name the model.
pub(super) fn read(mut body: Value) -> Result<Answer, RelayError> {
    let garbage = |what: &str| RelayError::UpstreamGarbage(what.to_owned());
    let Some(Value::Array(content)) = body.pointer_mut("/output/message/content").map(Value::take) else {
        return Err(garbage("the answer has no content"));
    };
    let parts: Option<Vec<_>> = content.into_iter().map(block::read).collect();
    let parts = parts.ok_or_else(|| garbage("a block of the answer is malformed"))?;
    let called = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let finish = finish_reason(body.get("stopReason").and_then(Value::as_str), called);
    Ok(Answer {
        id: String::new(),
        model: String::new(),
        created: 0,
        candidates: vec![Candidate { parts, finish, stop_sequence: None, logprobs: None }],
        usage: usage::read(body.get("usage")),
        extra: None,
    })
}

/// Why the model ended.
pub(super) fn finish_reason(word: Option<&str>, called: bool) -> FinishReason {
    match word {
        None if called => FinishReason::ToolCalls,
        None | Some("end_turn") => FinishReason::Stop,
        Some("stop_sequence") => FinishReason::StopSequence,
        Some("max_tokens") => FinishReason::Length,
        Some("model_context_window_exceeded") => FinishReason::ContextWindow,
        Some("tool_use") => FinishReason::ToolCalls,
        Some("guardrail_intervened" | "content_filtered") => FinishReason::ContentFilter,
        Some(other) => FinishReason::Other(other.to_owned()),
    }
}
