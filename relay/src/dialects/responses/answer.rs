//! A whole answer of an upstream, and what its parts and its end mean.

use serde_json::{Value, json};

use super::items::Conversation;
use super::usage;
use crate::RelayError;
use crate::dialects::chat_completions::refusal;
use crate::model::{Answer, Candidate, FinishReason, Part};

/// Reads a response; see [`crate::Spoken::read`].
pub(super) fn read(mut body: Value) -> Result<Answer, RelayError> {
    let garbage = |what: &str| RelayError::UpstreamGarbage(what.to_owned());
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    if let Some(error) = body.get("error").filter(|error| !error.is_null()) {
        return Err(refusal::of_frame(error.clone(), None));
    }
    match text("status").as_str() {
        "completed" | "incomplete" | "" => {}
        "failed" => return Err(refusal::of_frame(Value::Null, None)),
        "cancelled" => return Err(cancelled()),
        _ => return Err(garbage("the answer is not complete and does not say why")),
    }
    let (id, model) = (text("id"), text("model"));
    let Some(Value::Array(output)) = body.get_mut("output").map(Value::take) else {
        return Err(garbage("the response has no output"));
    };
    let logprobs: Vec<Value> = output.iter().flat_map(item_logprobs).cloned().collect();
    let parts = parts(output)?;
    let calls = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let candidate = Candidate {
        parts,
        finish: ending(&body, calls),
        stop_sequence: None,
        logprobs: (!logprobs.is_empty()).then(|| self::logprobs(&logprobs)),
    };
    Ok(Answer {
        id,
        model,
        // Some servers give a number with a fraction.
        created: body.get("created_at").and_then(Value::as_f64).map_or(0, |seconds| seconds as i64),
        candidates: vec![candidate],
        usage: body.get("usage").and_then(usage::read),
        extra: None,
    })
}

/// What the items of an answer are.
pub(super) fn parts(output: Vec<Value>) -> Result<Vec<Part>, RelayError> {
    let mut conversation = Conversation::default();
    // Our error names the place, and quotes nothing.
    let read = conversation.read(output, "output");
    read.map_err(|error| {
        RelayError::UpstreamGarbage(format!("{}: {error}", error.param.as_deref().unwrap_or_default()))
    })?;
    Ok(conversation.into_messages().into_iter().flat_map(|message| message.parts).collect())
}

/// Why a response ended.
pub(super) fn ending(response: &Value, calls: bool) -> FinishReason {
    let reason = response.pointer("/incomplete_details/reason").and_then(Value::as_str);
    match reason {
        Some("max_output_tokens") => FinishReason::Length,
        Some("content_filter") => FinishReason::ContentFilter,
        Some(other) => FinishReason::Other(other.to_owned()),
        None if response.get("status").is_some_and(|status| status == "incomplete") => FinishReason::Length,
        None if calls => FinishReason::ToolCalls,
        None => FinishReason::Stop,
    }
}

/// The error that a cancelled response is: nobody here asked for that.
pub(super) fn cancelled() -> RelayError {
    RelayError::unavailable("it cancelled the answer")
}

/// Chat completions' `logprobs` object of these entries.
pub(super) fn logprobs(entries: &[Value]) -> Value {
    json!({"content": entries, "refusal": null})
}

fn item_logprobs(item: &Value) -> impl Iterator<Item = &Value> {
    let content = item.get("content").and_then(Value::as_array).into_iter().flatten();
    content.filter_map(|piece| piece.get("logprobs")?.as_array()).flatten()
}
