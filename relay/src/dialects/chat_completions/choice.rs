//! One choice of an upstream's answer as it comes.
//!
//! Sources beside OpenAI: DeepSeek, Qwen and others (`reasoning_content`), vLLM, Groq and OpenRouter (`reasoning`,
//! `reasoning_details`, `images`), MiniMax (the whole message once more in the last chunk, `reasoning_details` that may
//! repeat what was said), Mistral (content as a list with `thinking`), Google (`extra_content`).

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::calls::Calls;
use super::parts::read_content;
use super::think::{Piece, Tags};
use super::thoughts;
use super::upstream::garbage;
use crate::model::{Delta, FinishReason, Opaque, Part};
use crate::{Dialect, RelayError};

/// A repetition of thoughts shorter than this may be chance.
const MIN_REPETITION_BYTES: usize = 8;
/// Letters of an id that is made here.
const ID_HEX: usize = 24;

/// What one choice said so far.
pub(super) struct Choice {
    candidate: u32,
    tags: Tags,
    numbers: Calls,
    calls: Vec<Call>,
    /// Items of `reasoning_details` whose signature was not told yet.
    details: Vec<Map<String, Value>>,
    /// Thoughts since the last signature.
    thought: String,
    has_said: bool,
    is_finished: bool,
}

/// A call, which begins once its name is known.
#[derive(Default)]
struct Call {
    id: Option<String>,
    name: Option<String>,
    custom: bool,
    signature: Option<Opaque>,
    /// Arguments that came before the name.
    early: String,
    has_begun: bool,
    has_arguments: bool,
}

impl Choice {
    pub(super) fn new(candidate: u32, think_tags: bool) -> Self {
        Self {
            candidate,
            tags: Tags::new(think_tags),
            numbers: Calls::default(),
            calls: vec![],
            details: vec![],
            thought: String::new(),
            has_said: false,
            is_finished: false,
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// The steps in one fragment of the choice.
    ///
    /// # Errors
    /// It is malformed, or says that the answer failed.
    pub(super) fn read(
        &mut self,
        mut choice: Map<String, Value>,
        answer_id: &str,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), RelayError> {
        if self.is_finished {
            return Ok(());
        }
        let message = choice.shift_remove("message").filter(|_| !self.has_said);
        let delta = match choice.shift_remove("delta").filter(|delta| !delta.is_null()).or(message) {
            Some(Value::Object(delta)) => delta,
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(garbage("a delta is no object")),
        };
        let before = deltas.len();
        self.delta(delta, answer_id, deltas)?;
        self.has_said |= deltas.len() > before;
        let candidate = self.candidate;
        if let Some(logprobs) = choice.shift_remove("logprobs").filter(Value::is_object) {
            deltas.push(Delta::Logprobs { candidate, logprobs });
        }
        match choice.get("finish_reason") {
            Some(Value::String(reason)) if !reason.is_empty() => self.finish(reason, &choice, deltas),
            Some(Value::String(_) | Value::Null) | None => Ok(()),
            Some(_) => Err(garbage("a finish reason is no word")),
        }
    }

    fn delta(
        &mut self,
        mut delta: Map<String, Value>,
        answer_id: &str,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), RelayError> {
        let candidate = self.candidate;
        self.thoughts(&mut delta, deltas);
        let content = delta.shift_remove("content").unwrap_or_default();
        for part in read_content(content, "content").map_err(|_| garbage("the content of a delta is no text"))? {
            self.part(part, deltas);
        }
        if let Some(Value::String(text)) = delta.shift_remove("refusal")
            && !text.is_empty()
        {
            deltas.push(Delta::Refusal { candidate, text });
        }
        for annotation in list(&mut delta, "annotations") {
            let citation = Opaque { dialect: Dialect::ChatCompletions, value: annotation };
            deltas.push(Delta::Citation { candidate, citation });
        }
        for image in list(&mut delta, "images") {
            let parts = read_content(vec![image].into(), "images").map_err(|_| garbage("a picture is malformed"))?;
            deltas.extend(parts.into_iter().map(|part| Delta::Part { candidate, part }));
        }
        if let Some(audio) = delta.shift_remove("audio").filter(Value::is_object) {
            deltas.push(Delta::Audio { candidate, audio });
        }
        let mut fragments = list(&mut delta, "tool_calls");
        if let Some(function) = delta.shift_remove("function_call").filter(Value::is_object) {
            fragments.push(serde_json::json!({"index": 0, "function": function}));
        }
        if !fragments.is_empty() {
            self.end_of_thoughts(deltas);
        }
        fragments.into_iter().try_for_each(|fragment| self.call(fragment, answer_id, deltas))
    }

    fn thoughts(&mut self, delta: &mut Map<String, Value>, deltas: &mut Vec<Delta>) {
        let mut text = |key: &str| match delta.shift_remove(key) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        };
        // Some servers send the same text under both names, and once more in the list.
        let (named, other) = (text("reasoning_content"), text("reasoning"));
        let mut said = if named.is_empty() { other } else { named };
        let items: Vec<Map<String, Value>> = list(delta, "reasoning_details").into_iter().filter_map(object).collect();
        let listed: String =
            items.iter().filter_map(|item| word(item, "text").or_else(|| word(item, "summary"))).collect();
        if said.is_empty() {
            said = self.fresh(&listed, items.iter().any(is_signed));
        }
        if !said.is_empty() {
            if self.details.iter().any(is_signed) {
                self.end_of_thoughts(deltas);
            }
            self.thought.push_str(&said);
            deltas.push(Delta::Reasoning { candidate: self.candidate, text: said });
        }
        items.into_iter().for_each(|item| self.keep(item));
    }

    /// What is new in a text of the list. It may tell all thoughts so far instead of the next ones: MiniMax has, and whoever
    /// tells them with their signature.
    fn fresh(&self, listed: &str, is_signed: bool) -> String {
        let is_likely = is_signed || self.thought.len() >= MIN_REPETITION_BYTES;
        listed.strip_prefix(self.thought.as_str()).filter(|_| is_likely).unwrap_or(listed).to_owned()
    }

    /// Joins a fragment of an item with what came of the same item.
    fn keep(&mut self, fragment: Map<String, Value>) {
        let same = |item: &&mut Map<String, Value>| {
            item.get("index") == fragment.get("index") && item.get("type") == fragment.get("type")
        };
        let Some(item) = self.details.iter_mut().rev().find(same) else { return self.details.push(fragment) };
        for (key, value) in fragment {
            match (item.get_mut(&key), value) {
                (Some(Value::String(so_far)), Value::String(more))
                    if matches!(key.as_str(), "text" | "summary" | "data") =>
                {
                    so_far.push_str(&more);
                }
                (Some(_), Value::Null) => {}
                (_, value) => drop(item.insert(key, value)),
            }
        }
    }

    /// Tells the signatures of the thoughts so far.
    fn end_of_thoughts(&mut self, deltas: &mut Vec<Delta>) {
        let candidate = self.candidate;
        self.thought.clear();
        for item in self.details.drain(..) {
            if let Some(Part::Reasoning { signature: Some(signature), .. }) = thoughts::part_of_detail(item.into()) {
                deltas.push(Delta::ReasoningSignature { candidate, signature });
            }
        }
    }

    fn part(&mut self, part: Part, deltas: &mut Vec<Delta>) {
        let candidate = self.candidate;
        match part {
            Part::Text { text, .. } => {
                for piece in self.tags.take(&text) {
                    self.piece(piece, deltas);
                }
            }
            Part::Reasoning { text, .. } if text.is_empty() => {}
            Part::Reasoning { text, .. } => deltas.push(Delta::Reasoning { candidate, text }),
            Part::Refusal(text) => deltas.push(Delta::Refusal { candidate, text }),
            part => deltas.push(Delta::Part { candidate, part }),
        }
    }

    fn piece(&mut self, piece: Piece, deltas: &mut Vec<Delta>) {
        let candidate = self.candidate;
        match piece {
            Piece::Thought(text) => deltas.push(Delta::Reasoning { candidate, text }),
            Piece::Said(text) => {
                self.end_of_thoughts(deltas);
                deltas.push(Delta::Text { candidate, text });
            }
        }
    }

    fn call(&mut self, mut fragment: Value, answer_id: &str, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        self.numbers.regulate(&mut fragment)?;
        let Value::Object(mut fragment) = fragment else { return Ok(()) };
        let number = fragment.get("index").and_then(Value::as_u64).unwrap_or_default();
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        if at >= self.calls.len() {
            self.calls.resize_with(at.saturating_add(1), Call::default);
        }
        let signature = thoughts::call_signature(&mut fragment);
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        call.signature = signature.or(call.signature.take());
        call.custom |= fragment.contains_key("custom");
        let (inner, key) = if call.custom { ("custom", "input") } else { ("function", "arguments") };
        let word = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        call.id = call.id.take().or(word(fragment.get("id")));
        let inner = fragment.get(inner);
        call.name = call.name.take().or(word(inner.and_then(|inner| inner.get("name"))));
        let arguments = match inner.and_then(|inner| inner.get(key)) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            // Some local servers send the object itself.
            Some(other) => other.to_string(),
        };
        call.tell(self.candidate, u32::try_from(number).unwrap_or(u32::MAX), &arguments, answer_id, deltas);
        Ok(())
    }

    fn finish(&mut self, word: &str, choice: &Map<String, Value>, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        let candidate = self.candidate;
        for piece in self.tags.end() {
            self.piece(piece, deltas);
        }
        self.end_of_thoughts(deltas);
        for (call, state) in (0_u32..).zip(&self.calls) {
            if state.has_begun && !state.has_arguments && !state.custom {
                deltas.push(Delta::ToolArguments { candidate, call, fragment: "{}".to_owned() });
            }
        }
        let finish = finish(word, self.calls.iter().any(|call| call.has_begun))?;
        // vLLM says which text it was.
        let stop_sequence = choice.get("stop_reason").and_then(Value::as_str).map(str::to_owned);
        let finish =
            if stop_sequence.is_some() && finish == FinishReason::Stop { FinishReason::StopSequence } else { finish };
        self.is_finished = true;
        deltas.push(Delta::Finish { candidate, finish, stop_sequence });
        Ok(())
    }
}

impl Call {
    fn tell(&mut self, candidate: u32, call: u32, arguments: &str, answer_id: &str, deltas: &mut Vec<Delta>) {
        self.early.push_str(arguments);
        let Some(name) = self.name.clone() else { return };
        if !self.has_begun {
            self.has_begun = true;
            let id = self.id.clone().unwrap_or_else(|| made_id(answer_id, candidate, call));
            let signature = self.signature.take();
            deltas.push(Delta::ToolCall { candidate, call, id, name, custom: self.custom, signature });
        }
        let fragment = std::mem::take(&mut self.early);
        if !fragment.is_empty() {
            self.has_arguments = true;
            deltas.push(Delta::ToolArguments { candidate, call, fragment });
        }
    }
}

/// An id for a call whose provider gives none: as unique as that of the answer, and short enough for every provider.
fn made_id(answer_id: &str, candidate: u32, call: u32) -> String {
    let hash = hex::encode(Sha256::digest(format!("{answer_id}/{candidate}/{call}")));
    format!("call_{}", hash.get(..ID_HEX).unwrap_or_default())
}

/// What a provider's word for the end means.
///
/// # Errors
/// The word says that the answer failed.
fn finish(word: &str, has_calls: bool) -> Result<FinishReason, RelayError> {
    Ok(match word {
        "stop" | "eos" | "end_turn" if has_calls => FinishReason::ToolCalls,
        "stop" | "eos" | "end_turn" => FinishReason::Stop,
        "stop_sequence" => FinishReason::StopSequence,
        "length" | "max_tokens" | "max_output" => FinishReason::Length,
        // GLM and Mistral.
        "model_context_window_exceeded" | "model_length" => FinishReason::ContextWindow,
        "tool_calls" | "function_call" | "tool_use" => FinishReason::ToolCalls,
        // `sensitive` is GLM's.
        "content_filter" | "sensitive" => FinishReason::ContentFilter,
        "refusal" => FinishReason::Refusal,
        // OpenRouter and Mistral, GLM, DeepSeek.
        "error" | "network_error" | "insufficient_system_resource" => {
            return Err(RelayError::unavailable("it reported a failure of its own during the answer"));
        }
        other => FinishReason::Other(other.chars().take(64).collect()),
    })
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

fn word<'a>(item: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    item.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn is_signed(item: &Map<String, Value>) -> bool {
    word(item, "signature").or_else(|| word(item, "data")).is_some()
}

fn list(object: &mut Map<String, Value>, key: &str) -> Vec<Value> {
    match object.shift_remove(key) {
        Some(Value::Array(list)) => list,
        _ => vec![],
    }
}
