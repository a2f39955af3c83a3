//! A streamed answer for a client: one block after the other, in the order of their index.
//!
//! Fragments of parallel calls may come to us in turns; the dialect has no place for that. The first call that is not
//! complete is written as it comes, the others wait until it is.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{answer, carried, usage};
use crate::dialects::claude::tool_id;
use crate::model::{Delta, FinishReason, Opaque, Part};
use crate::{Basis, DeltaWriter, Dialect, Envelope, ServedEvent, Usage};

/// Writes one answer.
pub(super) struct Writer {
    envelope: Envelope,
    begun: bool,
    /// Of the next block.
    index: u32,
    open: Option<Open>,
    /// Calls that have begun and are not closed; the first is the open block.
    calls: VecDeque<Call>,
    called: bool,
    refused: bool,
    finish: FinishReason,
    stop_sequence: Option<String>,
}

/// The block that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// After a citation another text is another block.
    Text {
        cited: bool,
    },
    Thinking,
    Call,
}

struct Call {
    number: u32,
    id: String,
    name: String,
    /// The block that comes before it.
    signature: Option<Value>,
    /// As far as they came.
    arguments: String,
}

impl DeltaWriter for Writer {
    fn write(&mut self, delta: Delta) -> Vec<ServedEvent> {
        let mut events = Vec::new();
        match delta {
            Delta::Begin { usage, .. } => self.begin(usage, &mut events),
            Delta::Text { candidate: 0, text } => self.text(&text, &mut events),
            Delta::Refusal { candidate: 0, text } => {
                self.refused = true;
                self.text(&text, &mut events);
            }
            Delta::Citation { candidate: 0, citation } => self.citation(&citation, &mut events),
            Delta::Reasoning { candidate: 0, text } => {
                self.open_thinking(&mut events);
                self.delta(json!({"type": "thinking_delta", "thinking": text}), &mut events);
            }
            Delta::ReasoningSignature { candidate: 0, signature } => self.signature(&signature, &mut events),
            Delta::ToolCall { candidate: 0, call, id, name, signature, .. } => {
                self.called = true;
                let signature = carried::before_call(&id, signature.as_ref());
                self.calls.push_back(Call {
                    number: call,
                    id: tool_id(&id),
                    name,
                    signature,
                    arguments: String::new(),
                });
                self.advance(&mut events);
            }
            Delta::ToolArguments { candidate: 0, call, fragment } => self.arguments(call, &fragment, &mut events),
            Delta::Part { candidate: 0, part: Part::Other(opaque) } => {
                if let Some(block) = opaque.in_dialect(Dialect::Messages) {
                    self.close(&mut events);
                    self.start(block.clone(), &mut events);
                    self.stop(&mut events);
                }
            }
            Delta::Finish { candidate: 0, finish, stop_sequence } => {
                self.close(&mut events);
                (self.finish, self.stop_sequence) = (finish, stop_sequence);
            }
            _ => {}
        }
        events
    }

    fn end(&mut self, usage: &Usage) -> Vec<ServedEvent> {
        let mut events = Vec::new();
        self.begin(None, &mut events);
        self.close(&mut events);
        let delta = json!({
            "stop_reason": answer::stop_reason(&self.finish, self.called, self.refused),
            "stop_sequence": self.stop_sequence,
        });
        push(&mut events, "message_delta", [("delta", delta), ("usage", usage::write(usage))]);
        push(&mut events, "message_stop", []);
        events
    }
}

fn push<const N: usize>(events: &mut Vec<ServedEvent>, name: &'static str, fields: [(&str, Value); N]) {
    let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value));
    let data = Value::Object([("type".to_owned(), Value::from(name))].into_iter().chain(fields).collect());
    events.push(ServedEvent { name: Some(name.into()), data });
}

impl Writer {
    pub(super) fn new(envelope: Envelope) -> Self {
        Self {
            envelope,
            begun: false,
            index: 0,
            open: None,
            calls: VecDeque::new(),
            called: false,
            refused: false,
            finish: FinishReason::Stop,
            stop_sequence: None,
        }
    }

    /// Agents account for the input as soon as it is told, so it is never zero here for want of a report.
    fn begin(&mut self, reported: Option<Usage>, events: &mut Vec<ServedEvent>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        let counted = Usage::new(self.envelope.input_tokens, 0, Basis::Counted);
        let usage = reported.filter(|usage| usage.input_tokens > 0).unwrap_or(counted);
        let message = json!({
            "id": self.envelope.id,
            "type": "message",
            "role": "assistant",
            "model": self.envelope.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "usage": usage::write(&usage),
        });
        push(events, "message_start", [("message", message)]);
    }

    fn start(&mut self, block: Value, events: &mut Vec<ServedEvent>) {
        self.begin(None, events);
        push(events, "content_block_start", [("index", self.index.into()), ("content_block", block)]);
    }

    fn delta(&self, delta: Value, events: &mut Vec<ServedEvent>) {
        push(events, "content_block_delta", [("index", self.index.into()), ("delta", delta)]);
    }

    fn stop(&mut self, events: &mut Vec<ServedEvent>) {
        if self.open == Some(Open::Thinking) {
            return self.sign(&Value::from(carried::of_thoughts(None)), events);
        }
        push(events, "content_block_stop", [("index", self.index.into())]);
        self.index += 1;
        self.open = None;
    }

    /// Closes what is open, with all calls that wait.
    fn close(&mut self, events: &mut Vec<ServedEvent>) {
        if self.open.is_some() {
            self.stop(events);
            self.calls.pop_front();
        }
        while !self.calls.is_empty() {
            self.open_call(events);
            self.stop(events);
            self.calls.pop_front();
        }
    }

    fn text(&mut self, text: &str, events: &mut Vec<ServedEvent>) {
        if self.open != Some(Open::Text { cited: false }) {
            self.close(events);
            self.start(json!({"type": "text", "text": ""}), events);
            self.open = Some(Open::Text { cited: false });
        }
        self.delta(json!({"type": "text_delta", "text": text}), events);
    }

    fn citation(&mut self, citation: &Opaque, events: &mut Vec<ServedEvent>) {
        let own = citation.in_dialect(Dialect::Messages);
        if let (Some(citation), Some(Open::Text { .. })) = (own, self.open) {
            self.delta(json!({"type": "citations_delta", "citation": citation}), events);
            self.open = Some(Open::Text { cited: true });
        }
    }

    fn open_thinking(&mut self, events: &mut Vec<ServedEvent>) {
        if self.open != Some(Open::Thinking) {
            self.close(events);
            self.start(json!({"type": "thinking", "thinking": "", "signature": ""}), events);
            self.open = Some(Open::Thinking);
        }
    }

    fn signature(&mut self, signature: &Opaque, events: &mut Vec<ServedEvent>) {
        let own = signature.in_dialect(Dialect::Messages);
        if let Some(data) = own.and_then(|own| own.get("data")) {
            self.close(events);
            self.start(json!({"type": "redacted_thinking", "data": data}), events);
            self.stop(events);
            return;
        }
        let text = own.and_then(|own| own.get("signature")).cloned();
        let text = text.unwrap_or_else(|| Value::from(carried::of_thoughts(Some(signature))));
        self.open_thinking(events);
        self.sign(&text, events);
    }

    /// Ends a block of thoughts.
    fn sign(&mut self, signature: &Value, events: &mut Vec<ServedEvent>) {
        self.delta(json!({"type": "signature_delta", "signature": signature}), events);
        self.open = None;
        self.stop(events);
    }

    fn arguments(&mut self, number: u32, fragment: &str, events: &mut Vec<ServedEvent>) {
        let Some(at) = self.calls.iter().position(|call| call.number == number) else { return };
        if let Some(call) = self.calls.get_mut(at) {
            call.arguments.push_str(fragment);
        }
        if at == 0 && self.open == Some(Open::Call) {
            self.delta(json!({"type": "input_json_delta", "partial_json": fragment}), events);
        }
        self.advance(events);
    }

    /// Opens the first call if it is not, and goes on to the next while one waits and the first is complete.
    fn advance(&mut self, events: &mut Vec<ServedEvent>) {
        if self.open != Some(Open::Call) {
            if self.open.is_some() {
                self.stop(events);
            }
            self.open_call(events);
        }
        while self.calls.len() > 1 && self.calls.front().is_some_and(Call::is_complete) {
            self.stop(events);
            self.calls.pop_front();
            self.open_call(events);
        }
    }

    /// Opens the first call with the arguments that came for it.
    fn open_call(&mut self, events: &mut Vec<ServedEvent>) {
        let Some(call) = self.calls.front_mut() else { return };
        let block = json!({"type": "tool_use", "id": call.id, "name": call.name, "input": {}});
        let so_far = call.arguments.clone();
        if let Some(signature) = call.signature.take() {
            self.start(signature, events);
            self.stop(events);
        }
        self.start(block, events);
        self.open = Some(Open::Call);
        if !so_far.is_empty() {
            self.delta(json!({"type": "input_json_delta", "partial_json": so_far}), events);
        }
    }
}

impl Call {
    /// Whether the arguments are whole: nothing that means anything can follow.
    fn is_complete(&self) -> bool {
        self.arguments.trim_end().ends_with('}')
            && serde_json::from_str::<serde::de::IgnoredAny>(&self.arguments).is_ok()
    }
}
