//! One chunk of an answer: judged, made regular, and read for what it costs and when it ends.
//!
//! Source: "The chat completion chunk object" in OpenAI's API description, plus what compatible servers do differently.
//! Everything that is not named here stays as the provider sent it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::calls::Calls;
use super::request::Asked;
use super::{refusal, usage};
use crate::count::Generated;
use crate::{RelayError, Usage};

const KIND: &str = "chat.completion.chunk";
/// What every chunk has; one that has nothing else and no choices says nothing.
const ENVELOPE: [&str; 8] =
    ["id", "object", "created", "model", "system_fingerprint", "service_tier", "obfuscation", "choices"];

/// What one chunk contributes to the answer.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// What a client gets of it, if anything: `choices` with a `delta` each, and no `usage`.
    pub(super) value: Option<Value>,
    pub(super) usage: Option<Usage>,
    pub(super) generated: Generated,
}

/// Reads the chunks of one answer in their order.
pub(super) struct ChunkReader {
    choices: u64,
    forces_tool: bool,
    /// The calls of each choice that was seen.
    seen: BTreeMap<u64, Calls>,
    finished: BTreeSet<u64>,
}

impl ChunkReader {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            choices: asked.choices(),
            forces_tool: asked.forces_tool(),
            seen: BTreeMap::new(),
            finished: BTreeSet::new(),
        }
    }

    /// Whether every choice that was asked for has its finish reason.
    pub(super) fn is_finished(&self) -> bool {
        self.finished.len() as u64 >= self.choices
    }

    /// Whether an end here is no cut: servers that know no `n` give one choice, whatever was asked.
    pub(super) fn may_end(&self) -> bool {
        !self.seen.is_empty() && self.seen.keys().all(|index| self.finished.contains(index))
    }

    /// Reads one chunk.
    ///
    /// # Errors
    /// What an error frame means, or [`RelayError::UpstreamGarbage`] if it is no chunk.
    pub(super) fn read(&mut self, data: &str, secret: Option<&str>) -> Result<Chunk, RelayError> {
        let Ok(Value::Object(mut chunk)) = serde_json::from_str(data) else {
            return Err(garbage("a chunk is not a chat completion"));
        };
        if let Some(error) = refusal::error_in(&mut chunk) {
            return Err(refusal::of_frame(error, secret));
        }
        let report = chunk.remove("usage").filter(|usage| !usage.is_null());
        let choices = match chunk.get_mut("choices").map(Value::take) {
            Some(Value::Array(choices)) => choices,
            None | Some(Value::Null) if report.is_some() || chunk.get("object").is_some_and(|kind| kind == KIND) => {
                Vec::new()
            }
            None | Some(Value::Null) => return Err(garbage("a chunk has neither choices nor usage")),
            Some(_) => return Err(garbage("the choices of a chunk are no list")),
        };
        let mut read = Chunk { usage: report.as_ref().and_then(usage::read), ..Chunk::default() };
        let mut regular = Vec::with_capacity(choices.len());
        for choice in choices {
            regular.extend(self.choice(choice, &mut read)?);
        }
        let says_nothing =
            regular.is_empty() && (report.is_some() || chunk.keys().all(|key| ENVELOPE.contains(&key.as_str())));
        chunk.insert("object".to_owned(), KIND.into());
        chunk.insert("choices".to_owned(), regular.into());
        read.value = (!says_nothing).then_some(Value::Object(chunk));
        Ok(read)
    }

    /// The choice as a client may rely on it; `None` if nobody asked for it.
    fn choice(&mut self, choice: Value, read: &mut Chunk) -> Result<Option<Value>, RelayError> {
        let Value::Object(mut choice) = choice else { return Err(garbage("a choice is no object")) };
        let index = match choice.get("index") {
            None | Some(Value::Null) => 0,
            Some(index) => index.as_u64().ok_or_else(|| garbage("the index of a choice is no number"))?,
        };
        if index >= self.choices {
            return Ok(None);
        }
        // Moonshot reports here.
        let report = choice.remove("usage");
        read.usage = read.usage.or(report.as_ref().and_then(usage::read));
        let delta = choice.remove("delta").or_else(|| choice.remove("message"));
        let mut delta = match delta {
            Some(Value::Object(delta)) => delta,
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(garbage("a delta is no object")),
        };
        let calls = self.seen.entry(index).or_default();
        for call in delta.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            calls.regulate(call)?;
        }
        read.generated.append(&generated(&delta));
        let finish = match choice.get("finish_reason") {
            Some(Value::String(reason)) if !reason.is_empty() => {
                self.finished.insert(index);
                let omits_calls = reason == "stop" && !calls.is_empty() && !self.forces_tool;
                Value::from(if omits_calls { "tool_calls" } else { reason })
            }
            Some(Value::String(_) | Value::Null) | None => Value::Null,
            Some(_) => return Err(garbage("a finish reason is no word")),
        };
        choice.insert("index".to_owned(), index.into());
        choice.insert("delta".to_owned(), delta.into());
        choice.insert("finish_reason".to_owned(), finish);
        Ok(Some(choice.into()))
    }
}

/// The text that was generated in a delta or a message.
pub(super) fn generated(message: &Map<String, Value>) -> Generated {
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let mut said = text(message.get("content")) + &text(message.get("refusal"));
    said.push_str(&text(message.get("audio").and_then(|audio| audio.get("transcript"))));
    let calls = message.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
    let calls = calls.filter_map(|call| call.get("function").or_else(|| call.get("custom")));
    for call in calls.chain(message.get("function_call")) {
        for part in ["name", "arguments", "input"] {
            said.push_str(&text(call.get(part)));
        }
    }
    // Some servers send the same reasoning under both names.
    let named = text(message.get("reasoning_content"));
    let thought = if named.is_empty() { text(message.get("reasoning")) } else { named };
    Generated { said, thought }
}

fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}
