//! A streamed answer, as clients get it.
//!
//! Source: OpenAI, "The chat completion chunk object". What real clients depend on beyond it: the first chunk of a choice
//! has the role; every chunk has `choices`; calls are numbered from 0 without a gap, and have id and name once; the usage
//! is a chunk of its own with `choices: []`, and only comes if it was asked for.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::answer::{annotation, call_head, finish_reason, is_legacy};
use super::parts::write_image;
use super::thoughts::{self, Place};
use crate::model::{Delta, FinishReason, Part};
use crate::{DeltaWriter, Envelope, ServedEvent, Usage};

/// Writes the chunks of one answer.
pub(super) struct Chunks {
    envelope: Envelope,
    is_legacy: bool,
    choices: BTreeMap<u32, Choice>,
}

/// What was said of one choice.
#[derive(Default)]
struct Choice {
    /// Thoughts since the last signature.
    thought: String,
    /// Where the next item of `reasoning_details` stands.
    place: Place,
    calls: u32,
    custom: BTreeSet<u32>,
    is_finished: bool,
}

impl Chunks {
    pub(super) fn new(envelope: Envelope) -> Self {
        let is_legacy = is_legacy(&envelope);
        Self { envelope, is_legacy, choices: BTreeMap::new() }
    }

    fn chunk(&self, choices: Vec<Value>) -> ServedEvent {
        let data = object([
            ("id", self.envelope.id.as_str().into()),
            ("object", "chat.completion.chunk".into()),
            ("created", self.envelope.created.into()),
            ("model", self.envelope.model.as_str().into()),
            ("choices", choices.into()),
        ]);
        ServedEvent { name: None, data }
    }

    fn say(&mut self, candidate: u32, key: &str, value: Value, events: &mut Vec<ServedEvent>) {
        self.begin(candidate, events);
        events.push(self.chunk(vec![choice(candidate, object([(key, value)]), Value::Null)]));
    }

    /// The chunk with the role, unless the choice has begun.
    fn begin(&mut self, candidate: u32, events: &mut Vec<ServedEvent>) {
        if let Entry::Vacant(unseen) = self.choices.entry(candidate) {
            unseen.insert(Choice::default());
            let role = object([("role", "assistant".into()), ("content", "".into())]);
            events.push(self.chunk(vec![choice(candidate, role, Value::Null)]));
        }
    }

    fn choice(&mut self, candidate: u32) -> &mut Choice {
        self.choices.entry(candidate).or_default()
    }

    fn finish(&mut self, candidate: u32, finish: &FinishReason, events: &mut Vec<ServedEvent>) {
        self.begin(candidate, events);
        let is_legacy = self.is_legacy;
        let told = self.choice(candidate);
        if !std::mem::replace(&mut told.is_finished, true) {
            let reason = finish_reason(finish, told.calls > 0, is_legacy);
            events.push(self.chunk(vec![choice(candidate, object([]), reason.into())]));
        }
    }

    fn call(&mut self, candidate: u32, call: u32, mut head: Value, events: &mut Vec<ServedEvent>) {
        self.begin(candidate, events);
        let choice = self.choice(candidate);
        choice.calls = choice.calls.max(call.saturating_add(1));
        if head["type"] == "custom" {
            choice.custom.insert(call);
        }
        if !self.is_legacy {
            head["index"] = call.into();
            self.say(candidate, "tool_calls", vec![head].into(), events);
        } else if call == 0 {
            // The older form has one call and no number.
            self.say(candidate, "function_call", head["function"].take(), events);
        }
    }

    fn arguments(&mut self, candidate: u32, call: u32, fragment: String, events: &mut Vec<ServedEvent>) {
        let is_custom = self.choice(candidate).custom.contains(&call);
        let fragment = Value::from(fragment);
        if self.is_legacy {
            if call == 0 {
                self.say(candidate, "function_call", object([("arguments", fragment)]), events);
            }
            return;
        }
        let (kind, key) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
        let call = object([("index", call.into()), (kind, object([(key, fragment)]))]);
        self.say(candidate, "tool_calls", vec![call].into(), events);
    }

    fn part(&mut self, candidate: u32, part: Part) -> Vec<ServedEvent> {
        let mut events = Vec::new();
        let mut also = |delta: Delta| events.extend(self.write(delta));
        match part {
            Part::Text { text, citations, .. } => {
                also(Delta::Text { candidate, text });
                citations.into_iter().for_each(|citation| also(Delta::Citation { candidate, citation }));
            }
            Part::Refusal(text) => also(Delta::Refusal { candidate, text }),
            Part::Reasoning { text, signature } => {
                also(Delta::Reasoning { candidate, text });
                signature.into_iter().for_each(|signature| also(Delta::ReasoningSignature { candidate, signature }));
            }
            Part::ToolCall { id, name, arguments, custom, signature } => {
                let call = self.choice(candidate).calls;
                events.extend(self.write(Delta::ToolCall { candidate, call, id, name, custom, signature }));
                events.extend(self.write(Delta::ToolArguments { candidate, call, fragment: arguments }));
            }
            Part::Image { source, .. } => {
                if let Some(image) = write_image(&source, None) {
                    self.say(candidate, "images", vec![image].into(), &mut events);
                }
            }
            Part::Audio(audio) => {
                let told = json!({"id": audio.id, "data": audio.base64, "transcript": audio.transcript});
                self.say(candidate, "audio", told, &mut events);
            }
            Part::File { .. } | Part::ToolResult(_) | Part::Other(_) => {}
        }
        events
    }
}

/// A choice of a chunk.
fn choice(index: u32, delta: Value, finish_reason: Value) -> Value {
    object([("index", index.into()), ("delta", delta), ("finish_reason", finish_reason)])
}

/// An object of fields that are moved: a macro would copy them, and this is done for every token.
fn object<const FIELDS: usize>(fields: [(&str, Value); FIELDS]) -> Value {
    fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>().into()
}

impl DeltaWriter for Chunks {
    fn write(&mut self, delta: Delta) -> Vec<ServedEvent> {
        let mut events = Vec::new();
        match delta {
            Delta::Begin { .. } => self.begin(0, &mut events),
            Delta::Text { text, .. } | Delta::Reasoning { text, .. } | Delta::Refusal { text, .. }
                if text.is_empty() => {}
            Delta::Text { candidate, text } => {
                self.say(candidate, "content", text.into(), &mut events);
                self.choice(candidate).place.is_behind = true;
            }
            Delta::Refusal { candidate, text } => self.say(candidate, "refusal", text.into(), &mut events),
            Delta::Reasoning { candidate, text } => {
                self.begin(candidate, &mut events);
                self.choice(candidate).thought.push_str(&text);
                self.say(candidate, "reasoning_content", text.into(), &mut events);
            }
            Delta::ReasoningSignature { candidate, signature } => {
                self.begin(candidate, &mut events);
                let choice = self.choice(candidate);
                let (thought, place) = (std::mem::take(&mut choice.thought), choice.place);
                if let Some(item) = thoughts::detail(&thought, Some(&signature), place, true) {
                    choice.place.index += 1;
                    self.say(candidate, "reasoning_details", vec![item].into(), &mut events);
                }
            }
            Delta::Citation { candidate, citation } => {
                if let Some(annotation) = annotation(&citation) {
                    self.say(candidate, "annotations", vec![annotation].into(), &mut events);
                }
            }
            Delta::ToolCall { candidate, call, id, name, custom, signature } => {
                self.call(candidate, call, call_head(&id, &name, custom, signature.as_ref()), &mut events);
            }
            Delta::ToolArguments { candidate, call, fragment } => {
                self.arguments(candidate, call, fragment, &mut events);
            }
            Delta::Audio { candidate, audio } => self.say(candidate, "audio", audio, &mut events),
            Delta::Logprobs { candidate, logprobs } => {
                self.begin(candidate, &mut events);
                let mut choice = choice(candidate, object([]), Value::Null);
                choice["logprobs"] = logprobs;
                events.push(self.chunk(vec![choice]));
            }
            Delta::Part { candidate, part } => return self.part(candidate, part),
            Delta::Finish { candidate, finish, .. } => self.finish(candidate, &finish, &mut events),
            // What is billed comes at the end.
            Delta::Usage(_) => {}
        }
        events
    }

    fn end(&mut self, usage: &Usage) -> Vec<ServedEvent> {
        let mut events = Vec::new();
        self.begin(0, &mut events);
        let open: Vec<u32> = self.choices.iter().filter(|(_, choice)| !choice.is_finished).map(|(at, _)| *at).collect();
        open.into_iter().for_each(|candidate| self.finish(candidate, &FinishReason::Stop, &mut events));
        if self.envelope.include_usage {
            let mut last = self.chunk(vec![]);
            last.data["usage"] = usage.to_openai();
            events.push(last);
        }
        events
    }
}
