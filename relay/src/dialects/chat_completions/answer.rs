//! A whole answer, as clients get it.
//!
//! Source: OpenAI, "The chat completion object". `reasoning_content` and `reasoning_details` are described in
//! `thoughts`; `images` of a message are as OpenRouter has them.

use serde_json::{Map, Value, json};

use super::parts::write_image;
use super::thoughts;
use crate::model::{Answer, Audio, Candidate, FinishReason, Opaque, Part};
use crate::{Dialect, Envelope, Usage};

/// Fields of a provider's answer that clients get as they are.
pub(super) const PASSED: [&str; 2] = ["system_fingerprint", "service_tier"];

/// The object of a whole answer.
pub(super) fn write(envelope: &Envelope, answer: Answer, usage: &Usage) -> Value {
    let is_legacy = is_legacy(envelope);
    let choices: Vec<Value> = answer
        .candidates
        .into_iter()
        .enumerate()
        .map(|(index, candidate)| write_choice(index, candidate, is_legacy))
        .collect();
    let mut object = json!({
        "id": envelope.id,
        "object": "chat.completion",
        "created": envelope.created,
        "model": envelope.model,
        "choices": choices,
        "usage": usage.to_openai(),
    });
    let extra = answer.extra.as_ref().and_then(|extra| extra.in_dialect(Dialect::ChatCompletions));
    for (key, value) in PASSED.iter().filter_map(|key| Some((*key, extra?.get(key)?))) {
        object[key] = value.clone();
    }
    object
}

/// Whether the client speaks of functions instead of tools, as before November 2023.
pub(super) fn is_legacy(envelope: &Envelope) -> bool {
    let asked = |name: &str| envelope.request.get(name).is_some();
    asked("functions") && !asked("tools")
}

fn write_choice(index: usize, candidate: Candidate, is_legacy: bool) -> Value {
    let Candidate { parts, finish, logprobs, .. } = candidate;
    let has_calls = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let reason = finish_reason(&finish, has_calls, is_legacy);
    let message = write_message(parts, is_legacy);
    json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason})
}

/// OpenAI's word for why a candidate ended. Its clients know no others.
pub(super) fn finish_reason(finish: &FinishReason, has_calls: bool, is_legacy: bool) -> &'static str {
    match finish {
        FinishReason::ToolCalls | FinishReason::Stop if has_calls && is_legacy => "function_call",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Stop if has_calls => "tool_calls",
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::Pause | FinishReason::Other(_) => "stop",
    }
}

fn write_message(parts: Vec<Part>, is_legacy: bool) -> Map<String, Value> {
    let mut message = Map::from_iter([("role".to_owned(), Value::from("assistant"))]);
    let thought = thoughts::text(&parts);
    let details = if thoughts::is_signed(&parts, true) { thoughts::details(&parts, true) } else { vec![] };
    let (mut text, mut refusal) = (None::<String>, None::<String>);
    let (mut annotations, mut images, mut calls) = (vec![], vec![], vec![]);
    let mut audio = None;
    for part in parts {
        match part {
            Part::Text { text: more, citations, .. } => {
                text.get_or_insert_default().push_str(&more);
                annotations.extend(citations.iter().filter_map(annotation));
            }
            Part::Refusal(more) => refusal.get_or_insert_default().push_str(&more),
            Part::Image { source, .. } => images.extend(write_image(&source, None)),
            Part::Audio(spoken) => audio = Some(write_audio(spoken)),
            Part::ToolCall { id, name, arguments, custom, signature } => {
                let mut call = call_head(&id, &name, custom, signature.as_ref());
                let (kind, key) = if custom { ("custom", "input") } else { ("function", "arguments") };
                call[kind][key] = arguments.into();
                calls.push(call);
            }
            Part::File { .. } | Part::Reasoning { .. } | Part::ToolResult(_) | Part::Other(_) => {}
        }
    }
    message.insert("content".to_owned(), text.into());
    message.insert("refusal".to_owned(), refusal.into());
    let mut say = |key: &str, list: Vec<Value>| {
        if !list.is_empty() {
            message.insert(key.to_owned(), list.into());
        }
    };
    say("annotations", annotations);
    say("images", images);
    say("reasoning_details", details);
    if is_legacy {
        message.extend(calls.into_iter().next().map(|mut call| ("function_call".to_owned(), call["function"].take())));
    } else {
        say("tool_calls", calls);
    }
    message.extend(audio.map(|audio| ("audio".to_owned(), audio)));
    if !thought.is_empty() {
        message.insert("reasoning_content".to_owned(), thought.into());
    }
    message
}

/// A call without its arguments.
pub(super) fn call_head(id: &str, name: &str, custom: bool, signature: Option<&Opaque>) -> Value {
    let mut call = if custom {
        json!({"id": id, "type": "custom", "custom": {"name": name, "input": ""}})
    } else {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": ""}})
    };
    if let Some(extra) = signature.and_then(|signature| thoughts::of_call(signature, true)) {
        call["extra_content"] = extra;
    }
    call
}

/// A spoken answer. How long its id may stand for it is not known here; 0 says that it must not be relied on.
fn write_audio(audio: Audio) -> Value {
    json!({
        "id": audio.id.unwrap_or_default(),
        "data": audio.base64,
        "transcript": audio.transcript.unwrap_or_default(),
        "expires_at": 0,
    })
}

/// A citation as OpenAI has it: an address with its place in the text, where the other dialect says one.
pub(super) fn annotation(citation: &Opaque) -> Option<Value> {
    if let Some(own) = citation.in_dialect(Dialect::ChatCompletions) {
        return Some(own.clone());
    }
    let url = citation.value.get("url").filter(|url| url.is_string())?;
    let mut inner = Map::from_iter([("url".to_owned(), url.clone())]);
    for key in ["title", "start_index", "end_index"] {
        inner.extend(citation.value.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    Some(json!({"type": "url_citation", "url_citation": inner}))
}
