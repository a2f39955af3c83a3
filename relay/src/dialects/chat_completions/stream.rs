//! A streamed answer, as clients get it.
//!
//! Source: OpenAI, "The chat completion chunk object". What real clients depend on beyond it: the first chunk of a choice
//! has the role; every chunk has `choices`; calls are numbered from 0 without a gap, and have id and name once; the usage
//! is a chunk of its own with `choices: []`, and only comes if it was asked for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::answer::{annotation, call_head, finish_reason, is_legacy};
use super::parts::write_image;
use super::thoughts;
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
    /// Items of `reasoning_details` so far.
    details: usize,
    calls: u32,
    custom: BTreeSet<u32>,
    is_finished: bool,
}

impl Chunks {
    pub(super) fn new(envelope: Envelope) -> Self {
        let is_legacy = is_legacy(&envelope);
        Self { envelope, is_legacy, choices: BTreeMap::new() }
    }

    fn chunk(&self, choices: Value) -> ServedEvent {
        let data = json!({
            "id": self.envelope.id,
            "object": "chat.completion.chunk",
            "created": self.envelope.created,
            "model": self.envelope.model,
            "choices": choices,
        });
        ServedEvent { name: None, data }
    }

    fn say(&mut self, candidate: u32, delta: Value, events: &mut Vec<ServedEvent>) {
        self.begin(candidate, events);
        events.push(self.chunk(json!([{"index": candidate, "delta": delta, "finish_reason": null}])));
    }

    /// The chunk with the role, unless the choice has begun.
    fn begin(&mut self, candidate: u32, events: &mut Vec<ServedEvent>) {
        if !self.choices.contains_key(&candidate) {
            self.choices.insert(candidate, Choice::default());
            let role = json!({"role": "assistant", "content": ""});
            events.push(self.chunk(json!([{"index": candidate, "delta": role, "finish_reason": null}])));
        }
    }

    fn choice(&mut self, candidate: u32) -> &mut Choice {
        self.choices.entry(candidate).or_default()
    }

    fn finish(&mut self, candidate: u32, finish: &FinishReason, events: &mut Vec<ServedEvent>) {
        self.begin(candidate, events);
        let is_legacy = self.is_legacy;
        let choice = self.choice(candidate);
        if !std::mem::replace(&mut choice.is_finished, true) {
            let reason = finish_reason(finish, choice.calls > 0, is_legacy);
            events.push(self.chunk(json!([{"index": candidate, "delta": {}, "finish_reason": reason}])));
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
            self.say(candidate, json!({"tool_calls": [head]}), events);
        } else if call == 0 {
            // The older form has one call and no number.
            self.say(candidate, json!({"function_call": head["function"].take()}), events);
        }
    }

    fn arguments(&mut self, candidate: u32, call: u32, fragment: String, events: &mut Vec<ServedEvent>) {
        let is_custom = self.choice(candidate).custom.contains(&call);
        let delta = match (self.is_legacy, is_custom) {
            (true, _) if call > 0 => return,
            (true, _) => json!({"function_call": {"arguments": fragment}}),
            (false, true) => json!({"tool_calls": [{"index": call, "custom": {"input": fragment}}]}),
            (false, false) => json!({"tool_calls": [{"index": call, "function": {"arguments": fragment}}]}),
        };
        self.say(candidate, delta, events);
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
                    self.say(candidate, json!({"images": [image]}), &mut events);
                }
            }
            Part::Audio(audio) => {
                let told = json!({"id": audio.id, "data": audio.base64, "transcript": audio.transcript});
                self.say(candidate, json!({"audio": told}), &mut events);
            }
            Part::File { .. } | Part::ToolResult(_) | Part::Other(_) => {}
        }
        events
    }
}

impl DeltaWriter for Chunks {
    fn write(&mut self, delta: Delta) -> Vec<ServedEvent> {
        let mut events = Vec::new();
        match delta {
            Delta::Begin { .. } => self.begin(0, &mut events),
            Delta::Text { text, .. } | Delta::Reasoning { text, .. } | Delta::Refusal { text, .. }
                if text.is_empty() => {}
            Delta::Text { candidate, text } => self.say(candidate, json!({"content": text}), &mut events),
            Delta::Refusal { candidate, text } => self.say(candidate, json!({"refusal": text}), &mut events),
            Delta::Reasoning { candidate, text } => {
                self.begin(candidate, &mut events);
                self.choice(candidate).thought.push_str(&text);
                self.say(candidate, json!({"reasoning_content": text}), &mut events);
            }
            Delta::ReasoningSignature { candidate, signature } => {
                self.begin(candidate, &mut events);
                let choice = self.choice(candidate);
                let (thought, index) = (std::mem::take(&mut choice.thought), choice.details);
                if let Some(item) = thoughts::detail(&thought, Some(&signature), index, true) {
                    choice.details += 1;
                    self.say(candidate, json!({"reasoning_details": [item]}), &mut events);
                }
            }
            Delta::Citation { candidate, citation } => {
                if let Some(annotation) = annotation(&citation) {
                    self.say(candidate, json!({"annotations": [annotation]}), &mut events);
                }
            }
            Delta::ToolCall { candidate, call, id, name, custom, signature } => {
                self.call(candidate, call, call_head(&id, &name, custom, signature.as_ref()), &mut events);
            }
            Delta::ToolArguments { candidate, call, fragment } => {
                self.arguments(candidate, call, fragment, &mut events);
            }
            Delta::Audio { candidate, audio } => self.say(candidate, json!({"audio": audio}), &mut events),
            Delta::Logprobs { candidate, logprobs } => {
                self.begin(candidate, &mut events);
                let choice = json!({"index": candidate, "delta": {}, "logprobs": logprobs, "finish_reason": null});
                events.push(self.chunk(json!([choice])));
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
            let mut last = self.chunk(json!([]));
            last.data["usage"] = usage.to_openai();
            events.push(last);
        }
        events
    }
}
