//! A whole answer.

use serde_json::{Map, Value, json};

use super::block::{self, Reader};
use super::carried;
use super::refusal;
use super::usage::{self, Counters};
use crate::model::{Answer, Candidate, FinishReason, Opaque, Part};
use crate::{Dialect, Envelope, RelayError, Usage};

/// Fields of an answer that only this dialect has, which are kept.
const KEPT: [&str; 3] = ["container", "context_management", "stop_details"];

/// The answer of an upstream.
pub(super) fn read(mut body: Value) -> Result<Answer, RelayError> {
    if let Some(error) = body.get("error") {
        return Err(refusal::of_event(error));
    }
    let garbage = |what: &str| RelayError::UpstreamGarbage(what.to_owned());
    let Some(Value::Array(content)) = body.get_mut("content").map(Value::take) else {
        return Err(garbage("the answer has no content"));
    };
    let parts: Result<Vec<_>, _> = content.into_iter().map(|block| block::read(block, "content")).collect();
    let parts = parts.map_err(|_| garbage("a block of the answer is malformed"))?;
    let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    let finish = finish_reason(text("stop_reason").as_deref(), parts.iter().any(is_call));
    let mut counters = Counters::default();
    counters.add(body.get("usage"));
    Ok(Answer {
        id: text("id").unwrap_or_default(),
        model: text("model").unwrap_or_default(),
        created: 0,
        candidates: vec![Candidate { parts, finish, stop_sequence: text("stop_sequence"), logprobs: None }],
        usage: counters.usage(),
        extra: kept(&body),
    })
}

fn is_call(part: &Part) -> bool {
    matches!(part, Part::ToolCall { .. })
}

fn kept(body: &Value) -> Option<Opaque> {
    let kept: Map<_, _> = KEPT
        .iter()
        .filter_map(|key| {
            body.get(*key).filter(|value| !value.is_null()).map(|value| ((*key).to_owned(), value.clone()))
        })
        .collect();
    (!kept.is_empty()).then(|| block::opaque(Value::Object(kept)))
}

/// The answer for a client.
pub(super) fn write(envelope: &Envelope, answer: Answer, usage: &Usage) -> Value {
    let Answer { candidates, extra, .. } = answer;
    let candidate = candidates.into_iter().next();
    let parts = candidate.as_ref().map(|candidate| candidate.parts.as_slice()).unwrap_or_default();
    let content: Vec<_> = parts.iter().flat_map(blocks).collect();
    let refused = parts.iter().any(|part| matches!(part, Part::Refusal(_)));
    let finish = candidate.as_ref().map_or(&FinishReason::Stop, |candidate| &candidate.finish);
    let mut written = json!({
        "id": envelope.id,
        "type": "message",
        "role": "assistant",
        "model": envelope.model,
        "content": content,
        "stop_reason": stop_reason(finish, parts.iter().any(is_call), refused),
        "stop_sequence": candidate.as_ref().and_then(|candidate| candidate.stop_sequence.as_ref()),
        "usage": usage::write(usage),
    });
    if let Some(Value::Object(extra)) = extra.as_ref().and_then(|extra| extra.in_dialect(Dialect::Messages)) {
        for (key, value) in extra {
            written[key] = value.clone();
        }
    }
    written
}

/// The blocks that say a part to a client.
fn blocks(part: &Part) -> impl Iterator<Item = Value> {
    let signature = match part {
        Part::ToolCall { id, signature, .. } => carried::before_call(id, signature.as_ref()),
        _ => None,
    };
    signature.into_iter().chain(block::write(part, Reader::Client))
}

/// Why the model ended. An upstream that gives no reason ended for the obvious one.
pub(super) fn finish_reason(word: Option<&str>, called: bool) -> FinishReason {
    match word {
        None if called => FinishReason::ToolCalls,
        None | Some("end_turn") => FinishReason::Stop,
        Some("stop_sequence") => FinishReason::StopSequence,
        Some("max_tokens") => FinishReason::Length,
        Some("model_context_window_exceeded") => FinishReason::ContextWindow,
        Some("tool_use") => FinishReason::ToolCalls,
        Some("refusal") => FinishReason::Refusal,
        Some("pause_turn") => FinishReason::Pause,
        Some(other) => FinishReason::Other(other.to_owned()),
    }
}

/// The word for it. Clients run tools only after `tool_use`, and other dialects do not always say that.
pub(super) fn stop_reason(finish: &FinishReason, called: bool, refused: bool) -> &'static str {
    match finish {
        FinishReason::Length => "max_tokens",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        FinishReason::ContentFilter | FinishReason::Refusal => "refusal",
        FinishReason::Pause => "pause_turn",
        FinishReason::ToolCalls => "tool_use",
        _ if called => "tool_use",
        _ if refused => "refusal",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::Stop | FinishReason::Other(_) => "end_turn",
    }
}
