//! Chat completions that pass through in chunks: judged, made regular, and told under the name that was asked for.
//!
//! Everything that is not named here stays as the provider sent it. A chunk that reaches the client has `choices`, each
//! with a `delta`; tool calls have an integer `index` from 0 in order, their id and name once; it has no `usage` and is no
//! frame that only carried one. Nearly all chunks are like that already and pass as their bytes (`plain`). Source: "The chat completion chunk object" in OpenAI's API description, plus what
//! compatible servers do differently.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::plain;
use super::served::Ending;
use super::stream::{Heard, Listener};
use super::template::Template;
use crate::count::Generated;
use crate::dialects::chat_completions::{calls::Calls, refusal, regularize, usage};
use crate::{Envelope, PassedEvent, RelayError, ServedEvent, ServedFrame, Usage};

/// More choices than OpenAI allows are not waited for.
const MAX_CHOICES: u64 = 128;
pub(super) const KIND: &str = "chat.completion.chunk";
/// What the usage frame takes over from the chunks before it.
pub(super) const COMMON: [&str; 4] = ["id", "created", "system_fingerprint", "service_tier"];
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
    /// The name that was asked for, as it is written in JSON.
    model: String,
    /// What the last chunk said about the whole answer, under the names of [`COMMON`].
    common: Map<String, Value>,
    /// The same as the last chunk that passed as its bytes had it written.
    written: [Option<String>; 4],
    /// The last chunk that passed as its bytes; forgotten with every chunk that was corrected.
    template: Template,
    /// What stands before and behind its text where it is told.
    around: (String, String),
}

impl Chunks {
    pub(super) fn new(asked: &Asked, envelope: Envelope) -> Self {
        let forces_tool = match asked.parameter("tool_choice") {
            Some(Value::String(choice)) => choice == "required",
            Some(choice) => choice.is_object(),
            None => false,
        };
        let choices = asked.parameter("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, MAX_CHOICES);
        Self::of(choices, forces_tool, envelope)
    }

    fn of(choices: u64, forces_tool: bool, envelope: Envelope) -> Self {
        Self {
            choices,
            forces_tool,
            seen: BTreeMap::new(),
            finished: BTreeSet::new(),
            model: Value::from(envelope.model.as_str()).to_string(),
            envelope,
            common: Map::new(),
            written: Default::default(),
            template: Template::default(),
            around: Default::default(),
        }
    }

    /// Takes a chunk that differs in a piece of text from one that passed as its bytes.
    fn like_the_last(&self, data: &str, heard: &mut Heard<ServedFrame>) -> Option<()> {
        let fitting = self.template.fit(data)?;
        fitting.add_to(&mut heard.generated);
        let (before, after) = &self.around;
        let data = [before, fitting.written, after].concat();
        heard.steps.push_back(ServedFrame::Passed(PassedEvent { name: None, data }));
        Some(())
    }

    /// Learns what chunks look like that differ from this one, which is told so, in a piece of text.
    fn learn(&mut self, chunk: &plain::Chunk<'_>, data: &str, told: &str) -> Option<()> {
        self.template.forget();
        let (text, is_thought) = chunk.text()?;
        let begin = (text.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        let begin = chunk.moved(data, &self.model, begin)?;
        self.around = (told.get(..begin)?.to_owned(), told.get(begin + text.len()..)?.to_owned());
        self.template.learn(data, text, is_thought)
    }

    /// Takes a chunk that needs no correcting; `None`, and nothing taken, of any other.
    fn plain(&mut self, data: &str, heard: &mut Heard<ServedFrame>) -> Option<()> {
        let chunk = plain::Chunk::read(data)?;
        // Of a choice that nobody asked for there are no calls either.
        let calls = self.seen.get(&chunk.index())?;
        let told = chunk.told(data, &self.model)?;
        if !chunk.add_to(&mut heard.generated, calls) {
            return None;
        }
        if self.envelope.include_usage {
            let said = COMMON.into_iter().zip(chunk.common()).zip(&mut self.written);
            for ((name, now), before) in said.filter(|((_, now), before)| now.is_some() && *now != before.as_deref()) {
                *before = now.map(str::to_owned);
                let value = now.and_then(|now| serde_json::from_str(now).ok());
                self.common.extend(value.map(|value: Value| (name.to_owned(), value)));
            }
        }
        self.learn(&chunk, data, &told);
        heard.steps.push_back(ServedFrame::Passed(PassedEvent { name: None, data: told }));
        Some(())
    }

    /// The choice as a client may rely on it; `None` if nobody asked for it.
    fn choice(
        &mut self,
        choice: Value,
        usage: &mut Option<Usage>,
        generated: &mut Generated,
    ) -> Result<Option<Value>, RelayError> {
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
        *usage = usage.or(report.as_ref().and_then(usage::read));
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
        add(&delta, generated);
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
        self.written = Default::default();
        for name in COMMON {
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
    type Step = ServedFrame;

    fn hear(&mut self, _name: Option<&str>, data: &str, heard: &mut Heard<ServedFrame>) -> Result<(), RelayError> {
        let was_finished = self.is_finished();
        if !was_finished && (self.like_the_last(data, heard).is_some() || self.plain(data, heard).is_some()) {
            return Ok(());
        }
        self.template.forget();
        let Ok(Value::Object(mut chunk)) = serde_json::from_str(data) else {
            return Err(garbage("a chunk is not a chat completion"));
        };
        if let Some(error) = refusal::error_in(&mut chunk) {
            return Err(refusal::of_frame(error, None));
        }
        let mut usage = usage::of(&chunk);
        let report = chunk.remove("usage").filter(|usage| !usage.is_null());
        let choices = match chunk.get_mut("choices").map(Value::take) {
            Some(Value::Array(choices)) => choices,
            None | Some(Value::Null) if report.is_some() || chunk.get("object").is_some_and(|kind| kind == KIND) => {
                Vec::new()
            }
            None | Some(Value::Null) => return Err(garbage("a chunk has neither choices nor usage")),
            Some(_) => return Err(garbage("the choices of a chunk are no list")),
        };
        let mut regular = Vec::with_capacity(choices.len());
        for choice in choices {
            regular.extend(self.choice(choice, &mut usage, &mut heard.generated)?);
        }
        heard.usage = usage.or(heard.usage);
        let says_nothing =
            regular.is_empty() && (report.is_some() || chunk.keys().all(|key| ENVELOPE.contains(&key.as_str())));
        if !says_nothing && !was_finished {
            heard.steps.push_back(ServedFrame::Event(self.told(chunk, regular)));
        }
        Ok(())
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

/// Adds the text that was generated in a delta or a message.
fn add(message: &Map<String, Value>, generated: &mut Generated) {
    let text = |value: Option<&Value>| match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let Generated { said, thought } = generated;
    said.push_str(&text(message.get("content")));
    said.push_str(&text(message.get("refusal")));
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
    thought.push_str(&if named.is_empty() { text(message.get("reasoning")) } else { named });
}

fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}

#[cfg(test)]
mod tests;
