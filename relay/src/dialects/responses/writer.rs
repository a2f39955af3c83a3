//! A streamed answer for a client, event by event.
//!
//! Source: OpenAI's API reference, "Streaming events" of Responses. Promise: `response.created`, `response.in_progress`,
//! then each item from `output_item.added` to `output_item.done` with everything of it between, then one of
//! `response.completed`, `response.incomplete` and `response.failed`, numbered from 0 without a gap. Items that are not
//! calls do not overlap. Calls stay open until the model says something else, because their fragments may alternate.

use serde_json::{Map, Value, json};

use super::message::OpenMessage;
use super::object::{self, Call, Status, Told, ending, item_id};
use super::signature;
use super::thoughts::OpenThoughts;
use crate::model::{Delta, FinishReason, Opaque, Part};
use crate::{DeltaWriter, Envelope, ServedEvent, Usage};

/// Writes one answer.
pub(super) struct Writer {
    envelope: Envelope,
    events: Events,
    /// Every item by its place; an open one is `Null` here.
    output: Vec<Value>,
    open: Open,
    /// By the number that the model of all dialects gives them.
    calls: Vec<OpenCall>,
    has_begun: bool,
    finish: FinishReason,
    /// A text that waits for its probabilities, if the client wants them.
    held: Option<String>,
    wants_logprobs: bool,
}

/// The events of one step, and their numbers.
#[derive(Default)]
pub(super) struct Events {
    next: u64,
    list: Vec<ServedEvent>,
}

impl Events {
    /// Adds an event with these fields, which are an object.
    pub(super) fn push(&mut self, name: &'static str, fields: Value) {
        let mut data =
            Map::from_iter([("type".to_owned(), json!(name)), ("sequence_number".to_owned(), json!(self.next))]);
        if let Value::Object(fields) = fields {
            data.extend(fields);
        }
        self.next += 1;
        self.list.push(ServedEvent { name: Some(name.into()), data: Value::Object(data) });
    }
}

/// What is being said.
enum Open {
    Nothing,
    Message(OpenMessage),
    Thoughts(OpenThoughts),
}

struct OpenCall {
    place: usize,
    item_id: String,
    id: String,
    name: String,
    custom: bool,
    arguments: String,
    is_done: bool,
}

impl OpenCall {
    fn item(&self, status: Status) -> Value {
        let call = Call { id: &self.id, name: &self.name, arguments: &self.arguments, custom: self.custom };
        call.item(&self.item_id, status)
    }
}

impl DeltaWriter for Writer {
    fn write(&mut self, delta: Delta) -> Vec<ServedEvent> {
        self.begin();
        if let Some(text) = self.held.take() {
            let (logprobs, used) = match &delta {
                Delta::Logprobs { candidate: 0, logprobs } => (entries(logprobs), true),
                _ => (vec![], false),
            };
            self.text(&text, logprobs);
            if used {
                return std::mem::take(&mut self.events.list);
            }
        }
        self.step(delta);
        std::mem::take(&mut self.events.list)
    }

    fn end(&mut self, usage: &Usage) -> Vec<ServedEvent> {
        self.begin();
        let (status, incomplete) = ending(&self.finish);
        self.close_all(status);
        let name = if status == Status::Incomplete { "response.incomplete" } else { "response.completed" };
        let output = std::mem::take(&mut self.output);
        self.tell(name, Told { status, incomplete, output, usage: Some(usage) });
        std::mem::take(&mut self.events.list)
    }
}

impl Writer {
    /// A writer of the answer with that envelope.
    pub(super) fn new(envelope: Envelope) -> Self {
        let includes = |what: &str| {
            let include = envelope.request.get("include").and_then(Value::as_array);
            include.is_some_and(|include| include.iter().any(|entry| entry == what))
        };
        let top = envelope.request.get("top_logprobs").and_then(Value::as_u64).unwrap_or(0);
        let wants_logprobs = top > 0 || includes(super::ask::LOGPROBS);
        Self {
            envelope,
            events: Events::default(),
            output: vec![],
            open: Open::Nothing,
            calls: vec![],
            has_begun: false,
            finish: FinishReason::Stop,
            held: None,
            wants_logprobs,
        }
    }

    fn begin(&mut self) {
        if !self.has_begun {
            self.has_begun = true;
            for name in ["response.created", "response.in_progress"] {
                let status = Status::InProgress;
                self.tell(name, Told { status, incomplete: None, output: vec![], usage: None });
            }
        }
    }

    fn tell(&mut self, name: &'static str, told: Told<'_>) {
        let response = object::response(&self.envelope, told);
        self.events.push(name, json!({"response": response}));
    }

    /// One answer is served; other candidates have no place.
    fn step(&mut self, delta: Delta) {
        match delta {
            Delta::Text { candidate: 0, text } if self.wants_logprobs => self.held = Some(text),
            Delta::Text { candidate: 0, text } => self.text(&text, vec![]),
            Delta::Citation { candidate: 0, citation } => {
                self.in_message(|message, events| message.cite(&citation, events));
            }
            Delta::Refusal { candidate: 0, text } => {
                self.in_message(|message, events| message.refuse(&text, events));
            }
            Delta::Reasoning { candidate: 0, text } => {
                self.in_thoughts(|thoughts, events| thoughts.think(&text, events));
            }
            Delta::ReasoningSignature { candidate: 0, signature } => self.sign(&signature),
            Delta::ToolCall { candidate: 0, id, name, custom, signature, .. } => {
                self.call(id, name, custom, signature.as_ref());
            }
            Delta::ToolArguments { candidate: 0, call, fragment } => self.arguments(call, &fragment),
            Delta::Audio { candidate: 0, audio } => {
                let transcript = audio.get("transcript").and_then(Value::as_str).unwrap_or_default();
                if !transcript.is_empty() {
                    self.text(transcript, vec![]);
                }
            }
            Delta::Part { candidate: 0, part } => self.part(&part),
            Delta::Finish { candidate: 0, finish, .. } => {
                self.close_all(ending(&finish).0);
                self.finish = finish;
            }
            // Begin has been told, usage comes with the end, and probabilities without a text have no place.
            _ => {}
        }
    }

    /// Does something with the message that is open, or with a new one.
    fn in_message(&mut self, act: impl FnOnce(&mut OpenMessage, &mut Events)) {
        let mut message = match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Message(message) => message,
            other => {
                self.open = other;
                self.close_all(Status::Completed);
                let place = self.place();
                OpenMessage::begin(item_id("msg", &self.envelope.id, place), place, &mut self.events)
            }
        };
        act(&mut message, &mut self.events);
        self.open = Open::Message(message);
    }

    fn text(&mut self, text: &str, logprobs: Vec<Value>) {
        self.in_message(|message, events| message.say(text, logprobs, events));
    }

    fn say_held(&mut self) {
        if let Some(text) = self.held.take() {
            self.text(&text, vec![]);
        }
    }

    /// Does something with the thoughts that are open, or with new ones.
    fn in_thoughts(&mut self, act: impl FnOnce(&mut OpenThoughts, &mut Events)) {
        let mut thoughts = match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Thoughts(thoughts) => thoughts,
            other => {
                self.open = other;
                self.close_all(Status::Completed);
                self.new_thoughts()
            }
        };
        act(&mut thoughts, &mut self.events);
        self.open = Open::Thoughts(thoughts);
    }

    fn new_thoughts(&mut self) -> OpenThoughts {
        let place = self.place();
        OpenThoughts::begin(item_id("rs", &self.envelope.id, place), place, &mut self.events)
    }

    fn sign(&mut self, signature: &Opaque) {
        self.in_thoughts(|thoughts, _| thoughts.sign(signature::of_thoughts(signature)));
        self.close_said(Status::Completed);
    }

    fn call(&mut self, id: String, name: String, custom: bool, signature: Option<&Opaque>) {
        self.say_held();
        self.close_said(Status::Completed);
        if let Some(signature) = signature {
            let mut thoughts = self.new_thoughts();
            thoughts.sign(signature::of_call(signature, &id));
            self.open = Open::Thoughts(thoughts);
            self.close_said(Status::Completed);
        }
        let place = self.place();
        let item_id = item_id(Call::prefix(custom), &self.envelope.id, place);
        let call = OpenCall { place, item_id, id, name, custom, arguments: String::new(), is_done: false };
        let item = call.item(Status::InProgress);
        self.events.push("response.output_item.added", json!({"output_index": place, "item": item}));
        self.calls.push(call);
    }

    fn arguments(&mut self, call: u32, fragment: &str) {
        let Some(call) = self.calls.get_mut(call as usize).filter(|call| !call.is_done) else { return };
        call.arguments.push_str(fragment);
        let name = if call.custom {
            "response.custom_tool_call_input.delta"
        } else {
            "response.function_call_arguments.delta"
        };
        self.events.push(name, json!({"item_id": call.item_id, "output_index": call.place, "delta": fragment}));
    }

    /// A part that comes in one piece.
    fn part(&mut self, part: &Part) {
        self.close_all(Status::Completed);
        for item in object::items(&self.envelope.id, self.output.len(), std::slice::from_ref(part), Status::Completed) {
            let place = self.place();
            let mut added = item.clone();
            // The picture itself comes once.
            for (key, begun) in [("status", json!(Status::InProgress.word())), ("result", Value::Null)] {
                added.get_mut(key).into_iter().for_each(|field| *field = begun.clone());
            }
            self.events.push("response.output_item.added", json!({"output_index": place, "item": added}));
            self.events.push("response.output_item.done", json!({"output_index": place, "item": item}));
            put(&mut self.output, place, item);
        }
    }

    /// The place of a new item.
    fn place(&mut self) -> usize {
        self.output.push(Value::Null);
        self.output.len() - 1
    }

    /// Ends everything that is open; the last item of all has `last` as its status.
    fn close_all(&mut self, last: Status) {
        self.say_held();
        let last_place = self.output.len().wrapping_sub(1);
        self.close_said(last);
        for call in self.calls.iter_mut().filter(|call| !call.is_done) {
            call.is_done = true;
            let status = if call.place == last_place { last } else { Status::Completed };
            if call.arguments.is_empty() && !call.custom {
                call.arguments = "{}".to_owned();
            }
            let (name, key) = if call.custom {
                ("response.custom_tool_call_input.done", "input")
            } else {
                ("response.function_call_arguments.done", "arguments")
            };
            let (id, place) = (&call.item_id, call.place);
            self.events.push(name, json!({"item_id": id, "output_index": place, key: call.arguments}));
            let item = call.item(status);
            self.events.push("response.output_item.done", json!({"output_index": place, "item": item}));
            put(&mut self.output, place, item);
        }
    }

    /// Ends the message or the thoughts that are open.
    fn close_said(&mut self, status: Status) {
        let (place, item) = match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => return,
            Open::Message(message) => (message.place(), message.end(status, &mut self.events)),
            Open::Thoughts(thoughts) => (thoughts.place(), thoughts.end(&mut self.events)),
        };
        put(&mut self.output, place, item);
    }
}

fn put(output: &mut [Value], place: usize, item: Value) {
    if let Some(slot) = output.get_mut(place) {
        *slot = item;
    }
}

/// The entries of chat completions' `logprobs` object, which are the same here.
fn entries(logprobs: &Value) -> Vec<Value> {
    logprobs.get("content").and_then(Value::as_array).cloned().unwrap_or_default()
}
