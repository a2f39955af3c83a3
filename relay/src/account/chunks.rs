//! Chat completions that pass through in chunks: judged, made regular, and told under the name that was asked for.
//!
//! Everything that is not named here stays as the provider sent it. A chunk that reaches the client has `choices`, each
//! with a `delta`; tool calls have an integer `index` from 0 in order, their id and name once; it has no `usage` and is no
//! frame that only carried one. Source: "The chat completion chunk object" in OpenAI's API description, plus what
//! compatible servers do differently.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::served::Ending;
use super::stream::{Heard, Listener};
use crate::count::Generated;
use crate::dialects::chat_completions::{calls::Calls, refusal, regularize, usage};
use crate::{Envelope, RelayError, ServedEvent, Usage};

/// More choices than OpenAI allows are not waited for.
const MAX_CHOICES: u64 = 128;
const KIND: &str = "chat.completion.chunk";
/// What every chunk has; one that has nothing else and no choices says nothing.
const ENVELOPE: [&str; 8] =
    ["id", "object", "created", "model", "system_fingerprint", "service_tier", "obfuscation", "choices"];

/// Reads the chunks of one answer in their order.
pub(super) struct Chunks {
    choices: u64,
    forces_tool: bool,
    /// The calls of each choice that was seen.
    seen: BTreeMap<u64, Calls>,
    finished: BTreeSet<u64>,
    envelope: Envelope,
    /// What the last chunk said about the whole answer.
    common: Map<String, Value>,
}

impl Chunks {
    pub(super) fn new(asked: &Asked, envelope: Envelope) -> Self {
        let forces_tool = match asked.body.get("tool_choice") {
            Some(Value::String(choice)) => choice == "required",
            Some(choice) => choice.is_object(),
            None => false,
        };
        Self {
            choices: asked.body.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, MAX_CHOICES),
            forces_tool,
            seen: BTreeMap::new(),
            finished: BTreeSet::new(),
            envelope,
            common: Map::new(),
        }
    }

    /// The choice as a client may rely on it; `None` if nobody asked for it.
    fn choice(&mut self, choice: Value, heard: &mut Heard<ServedEvent>) -> Result<Option<Value>, RelayError> {
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
        heard.usage = heard.usage.or(report.as_ref().and_then(usage::read));
        // MiniMax repeats the whole message in its last chunk.
        let message = choice.remove("message").filter(|_| !self.seen.contains_key(&index));
        let mut delta = match choice.remove("delta").or(message) {
            Some(Value::Object(delta)) => delta,
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(garbage("a delta is no object")),
        };
        let calls = self.seen.entry(index).or_default();
        for call in delta.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            calls.regulate(call)?;
        }
        regularize(&mut delta);
        heard.generated.append(&generated(&delta));
        let finish = match choice.get("finish_reason") {
            Some(Value::String(reason)) if !reason.is_empty() => {
                self.finished.insert(index);
                // With a forced tool OpenAI itself says `stop` at the end of the call.
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

    /// The chunk as our client gets it.
    fn told(&mut self, mut chunk: Map<String, Value>, choices: Vec<Value>) -> ServedEvent {
        for name in ["id", "created", "system_fingerprint", "service_tier"] {
            match chunk.get(name) {
                Some(value) if !value.is_null() && self.common.get(name) != Some(value) => {
                    self.common.insert(name.to_owned(), value.clone());
                }
                _ => {}
            }
        }
        chunk.insert("object".to_owned(), KIND.into());
        chunk.insert("model".to_owned(), self.envelope.model.as_str().into());
        chunk.insert("choices".to_owned(), choices.into());
        ServedEvent { name: None, data: chunk.into() }
    }
}

impl Listener for Chunks {
    type Step = ServedEvent;

    fn hear(&mut self, _name: Option<&str>, data: &str) -> Result<Heard<ServedEvent>, RelayError> {
        let was_finished = self.is_finished();
        let Ok(Value::Object(mut chunk)) = serde_json::from_str(data) else {
            return Err(garbage("a chunk is not a chat completion"));
        };
        if let Some(error) = refusal::error_in(&mut chunk) {
            return Err(refusal::of_frame(error, None));
        }
        let usage = usage::of(&chunk);
        let report = chunk.remove("usage").filter(|usage| !usage.is_null());
        let choices = match chunk.get_mut("choices").map(Value::take) {
            Some(Value::Array(choices)) => choices,
            None | Some(Value::Null) if report.is_some() || chunk.get("object").is_some_and(|kind| kind == KIND) => {
                Vec::new()
            }
            None | Some(Value::Null) => return Err(garbage("a chunk has neither choices nor usage")),
            Some(_) => return Err(garbage("the choices of a chunk are no list")),
        };
        let mut heard = Heard { usage, ..Heard::default() };
        let mut regular = Vec::with_capacity(choices.len());
        for choice in choices {
            regular.extend(self.choice(choice, &mut heard)?);
        }
        let says_nothing =
            regular.is_empty() && (report.is_some() || chunk.keys().all(|key| ENVELOPE.contains(&key.as_str())));
        if !says_nothing && !was_finished {
            heard.steps.push(self.told(chunk, regular));
        }
        Ok(heard)
    }

    /// Whether every choice that was asked for has its finish reason.
    fn is_finished(&self) -> bool {
        self.finished.len() as u64 >= self.choices
    }

    /// Servers that know no `n` give one choice, whatever was asked.
    fn may_end(&self) -> bool {
        !self.seen.is_empty() && self.seen.keys().all(|index| self.finished.contains(index))
    }
}

impl Ending for Chunks {
    /// The frame after the last chunk, only if the client asked for it: clients that read `choices[0]` break on it.
    fn last(&mut self, usage: &Usage) -> Vec<ServedEvent> {
        if !self.envelope.include_usage {
            return vec![];
        }
        let mut frame = json!({
            // Of an answer without a single chunk.
            "id": self.envelope.id,
            "object": KIND,
            "created": self.envelope.created,
            "model": self.envelope.model,
            "choices": [],
            "usage": usage.to_openai(),
        });
        if let Some(fields) = frame.as_object_mut() {
            fields.extend(std::mem::take(&mut self.common));
        }
        vec![ServedEvent { name: None, data: frame }]
    }
}

/// The text that was generated in a delta or a message.
fn generated(message: &Map<String, Value>) -> Generated {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Basis;

    fn chunks(include_usage: bool) -> Chunks {
        let envelope = Envelope {
            id: "chatcmpl-ours".to_owned(),
            model: "public".to_owned(),
            created: 5,
            input_tokens: 3,
            include_usage,
            request: Map::new(),
        };
        Chunks {
            choices: 1,
            forces_tool: false,
            seen: BTreeMap::new(),
            finished: BTreeSet::new(),
            envelope,
            common: Map::new(),
        }
    }

    #[test]
    fn every_chunk_bears_the_name_that_was_asked_for_and_the_usage_frame_the_id_of_the_answer() {
        let mut chunks = chunks(true);
        let chunk = json!({"id": "c-1", "created": 7, "model": "upstream-2026", "system_fingerprint": "fp",
            "choices": [{"index": 0, "delta": {"content": "x"}}]});
        let told = chunks.hear(None, &chunk.to_string()).unwrap().steps.remove(0).data;
        assert_eq!((&told["model"], &told["id"]), (&json!("public"), &json!("c-1")));
        let frame = chunks.last(&Usage::new(3, 4, Basis::Reported)).remove(0).data;
        assert_eq!(
            (&frame["id"], &frame["created"], &frame["system_fingerprint"]),
            (&json!("c-1"), &json!(7), &json!("fp"))
        );
        assert_eq!((&frame["model"], &frame["choices"]), (&json!("public"), &json!([])));
        assert_eq!(frame["usage"]["total_tokens"], 7);
    }

    #[test]
    fn the_usage_frame_comes_only_if_it_was_asked_for() {
        assert!(chunks(false).last(&Usage::new(3, 4, Basis::Reported)).is_empty());
        let empty = chunks(true).last(&Usage::new(3, 0, Basis::Counted)).remove(0).data;
        assert_eq!((&empty["id"], &empty["created"]), (&json!("chatcmpl-ours"), &json!(5)));
    }
}
