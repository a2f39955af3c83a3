//! Answers that pass through in the dialect in which they were asked, whole or event by event: as the provider sent them
//! but for the name of the model, which is the one that was asked for, and for the usage, which is what is billed.
//!
//! Chat completions in chunks have a listener of their own, because their servers need correcting. Everything else is
//! read beside by its dialect's reader for what it costs and when it ends. The events that tell the usage at the end are
//! kept until it is known whether the provider can be believed.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::plain;
use super::served::Ending;
use super::stream::{Heard, Listener};
use super::template::Template;
use crate::count::Generated;
use crate::dialects::chat_completions::regularize;
use crate::dialects::{generate_content, messages, responses};
use crate::{Basis, DeltaReader, Dialect, Envelope, PassedEvent, RelayError, ServedEvent, ServedFrame, Usage};

/// One answer in events.
pub(super) struct Passing {
    dialect: Dialect,
    reader: Box<dyn DeltaReader>,
    envelope: Envelope,
    /// The last events, kept until the usage is known.
    kept: Vec<ServedEvent>,
    /// Of the last piece of a message that was read.
    template: Template,
}

impl Passing {
    pub(super) fn new(dialect: Dialect, reader: Box<dyn DeltaReader>, envelope: Envelope) -> Self {
        Self { dialect, reader, envelope, kept: vec![], template: Template::default() }
    }

    /// Takes note of an event that says a piece of a message and passes as it is; false, and nothing noted, of any other.
    fn is_piece(&mut self, data: &str, generated: &mut Generated) -> bool {
        if let Some(fitting) = self.template.fit(data) {
            fitting.add_to(generated);
            return true;
        }
        let Some((text, is_thought)) = plain::block(data) else { return false };
        generated.add(&text, is_thought);
        if let Cow::Borrowed(text) = text {
            self.template.learn(data, text, is_thought);
        }
        true
    }

    /// Whether an event belongs to the end of the answer.
    fn is_last(&self, data: &Value) -> bool {
        let kind = data.get("type").and_then(Value::as_str).unwrap_or_default();
        match self.dialect {
            Dialect::Messages => matches!(kind, "message_delta" | "message_stop"),
            Dialect::Responses => matches!(kind, "response.completed" | "response.incomplete"),
            _ => self.reader.is_finished(),
        }
    }
}

impl Listener for Passing {
    type Step = ServedFrame;

    fn hear(&mut self, name: Option<&str>, data: &str, heard: &mut Heard<ServedFrame>) -> Result<(), RelayError> {
        let is_told = self.kept.is_empty() && !self.reader.is_finished();
        if is_told && self.dialect == Dialect::Messages && self.is_piece(data, &mut heard.generated) {
            let name = Some(Cow::Borrowed(plain::BLOCK_DELTA));
            heard.steps.push_back(ServedFrame::Passed(PassedEvent { name, data: data.to_owned() }));
            return Ok(());
        }
        for delta in self.reader.read(name, data)? {
            heard.watch(&delta);
        }
        let Ok(Value::Object(mut body)) = serde_json::from_str(data) else {
            return Err(RelayError::UpstreamGarbage("an event is not a JSON object".to_owned()));
        };
        rename(self.dialect, &mut body, &self.envelope);
        // Both name their events by their type; the name may be missing where a server leaves it out.
        let name = match self.dialect {
            Dialect::Messages | Dialect::Responses => body.get("type").and_then(Value::as_str),
            _ => None,
        };
        let name = name.map(|name| Cow::Owned(name.to_owned()));
        let event = ServedEvent { name, data: body.into() };
        if !self.kept.is_empty() || self.is_last(&event.data) {
            self.kept.push(event);
        } else {
            heard.steps.push_back(ServedFrame::Event(event));
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.reader.is_finished()
    }
}

impl Ending for Passing {
    fn last(&mut self, usage: &Usage) -> Vec<ServedEvent> {
        let mut last = std::mem::take(&mut self.kept);
        for event in &mut last {
            let place = match (self.dialect, event.name.as_deref()) {
                (Dialect::Messages, Some("message_delta")) | (Dialect::GenerateContent, _) => Some(&mut event.data),
                (Dialect::Responses, _) => event.data.get_mut("response"),
                _ => None,
            };
            if let Some(Value::Object(body)) = place {
                bill(self.dialect, body, usage);
            }
        }
        last
    }
}

/// A whole answer.
pub(super) fn whole(dialect: Dialect, mut body: Map<String, Value>, envelope: &Envelope, usage: &Usage) -> Value {
    rename_answer(dialect, &mut body, envelope);
    if dialect == Dialect::ChatCompletions {
        let choices = body.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten();
        choices.filter_map(|choice| choice.get_mut("message")?.as_object_mut()).for_each(regularize);
    }
    bill(dialect, &mut body, usage);
    body.into()
}

/// Puts the name that was asked for into an event.
fn rename(dialect: Dialect, event: &mut Map<String, Value>, envelope: &Envelope) {
    let answer = match dialect {
        Dialect::Messages => event.get_mut("message").and_then(Value::as_object_mut),
        Dialect::Responses => return responses::passing::event(event, envelope),
        _ => Some(event),
    };
    let Some(answer) = answer else { return };
    rename_answer(dialect, answer, envelope);
    if dialect == Dialect::Messages {
        let usage = answer.entry("usage").or_insert_with(|| json!({"output_tokens": 0}));
        if let Value::Object(usage) = usage
            && is_empty_report(usage)
        {
            // Agents account by this number, and some servers only know it at the end, or never.
            usage.insert("input_tokens".to_owned(), envelope.input_tokens.into());
        }
    }
}

/// Whether the input of a message is told as nothing.
fn is_empty_report(usage: &Map<String, Value>) -> bool {
    ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
        .iter()
        .all(|key| usage.get(*key).and_then(Value::as_u64).unwrap_or(0) == 0)
}

fn rename_answer(dialect: Dialect, answer: &mut Map<String, Value>, envelope: &Envelope) {
    if dialect == Dialect::Responses {
        // It is kept here under our own ids, where the client will look for it.
        return responses::passing::answer(answer, envelope);
    }
    let key = if dialect == Dialect::GenerateContent { "modelVersion" } else { "model" };
    answer.insert(key.to_owned(), envelope.model.as_str().into());
}

/// Puts what is billed into an answer. A report that was believed keeps its further details; any other is not what is
/// charged.
fn bill(dialect: Dialect, answer: &mut Map<String, Value>, usage: &Usage) {
    let (key, told) = match dialect {
        Dialect::ChatCompletions => ("usage", usage.to_openai()),
        Dialect::Responses => ("usage", responses::usage::write(usage)),
        Dialect::Messages => ("usage", messages::usage::write(usage)),
        Dialect::GenerateContent => ("usageMetadata", generate_content::usage::write(usage)),
        // Never served.
        Dialect::Converse => return,
    };
    if usage.basis != Basis::Reported || answer.get(key).is_none_or(Value::is_null) {
        answer.insert(key.to_owned(), told);
    }
}
