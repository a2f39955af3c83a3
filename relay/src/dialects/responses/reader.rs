//! A streamed answer of an upstream, event by event.
//!
//! Source: OpenAI's API reference, "Streaming events" of Responses. Events of types that are not named here add nothing
//! to an answer and are passed over, as are those that repeat what came before. An item that only its `done` event
//! tells in full is taken from there, because some servers send nothing else.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::answer::{self, ending};
use super::usage;
use crate::dialects::chat_completions::refusal;
use crate::model::{Delta, FinishReason, Opaque, Part};
use crate::{DeltaReader, Dialect, RelayError};

/// Reads one answer.
#[derive(Default)]
pub(super) struct Reader {
    has_begun: bool,
    is_finished: bool,
    /// Items whose events have been seen, by their place.
    items: HashMap<u64, Seen>,
    calls: u32,
}

/// What has come of an item.
#[derive(Default)]
struct Seen {
    /// The number of the call that it is.
    call: Option<u32>,
    /// Some of its text or arguments has come.
    has_said: bool,
    /// Its thoughts come as this event; another kind would say them again.
    thoughts: Option<Thoughts>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Thoughts {
    Whole,
    Summary,
}

impl DeltaReader for Reader {
    fn read(&mut self, _name: Option<&str>, data: &str) -> Result<Vec<Delta>, RelayError> {
        if self.is_finished || data == "[DONE]" {
            return Ok(vec![]);
        }
        let event = serde_json::from_str::<Map<String, Value>>(data);
        let event = Event(event.map_err(|_| RelayError::UpstreamGarbage("an event is not a JSON object".to_owned()))?);
        let mut deltas = vec![];
        if !self.has_begun {
            deltas.extend(self.begin(&event));
        }
        self.event(event, &mut deltas)?;
        Ok(deltas)
    }

    fn is_finished(&self) -> bool {
        self.is_finished
    }
}

impl Reader {
    /// The first step, with the first event that tells of the answer, whichever it is.
    fn begin(&mut self, event: &Event) -> Option<Delta> {
        let kind = event.text("type");
        if !kind.starts_with("response.") || kind == "response.failed" {
            return None;
        }
        self.has_begun = true;
        let response = event.0.get("response");
        let text = |key: &str| response.and_then(|response| response.get(key)?.as_str()).unwrap_or_default().to_owned();
        Some(Delta::Begin { id: text("id"), model: text("model"), usage: None })
    }

    fn event(&mut self, event: Event, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        match event.text("type") {
            "response.output_item.added" => self.added(&event, deltas)?,
            "response.output_text.delta" => self.text(&event, deltas)?,
            "response.output_text.annotation.added" => {
                if let Some(value) = event.0.get("annotation").filter(|value| !value.is_null()) {
                    let citation = Opaque { dialect: Dialect::Responses, value: value.clone() };
                    deltas.push(Delta::Citation { candidate: 0, citation });
                }
            }
            "response.refusal.delta" => {
                self.seen(&event)?.has_said = true;
                deltas.extend(not_empty(event.need("delta")?).map(|text| Delta::Refusal { candidate: 0, text }));
            }
            "response.reasoning_summary_part.added" => self.paragraph(&event, deltas)?,
            "response.reasoning_summary_text.delta" => {
                self.thought(&event, Thoughts::Summary, event.need("delta")?, deltas)?;
            }
            "response.reasoning_text.delta" => self.thought(&event, Thoughts::Whole, event.need("delta")?, deltas)?,
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                let fragment = event.need("delta")?;
                self.arguments(&event, fragment, deltas)?;
            }
            "response.output_item.done" => self.done(event, deltas)?,
            "response.completed" | "response.incomplete" => self.end(&event, deltas)?,
            "response.failed" => {
                let error = event.0.get("response").and_then(|response| response.get("error")).cloned();
                return Err(refusal::of_frame(error.unwrap_or(Value::Null), None));
            }
            "response.cancelled" => return Err(answer::cancelled()),
            "error" => {
                // The reference has its fields on top; the service puts them one level deeper.
                let nested = event.0.get("error").filter(|error| error.is_object()).cloned();
                return Err(refusal::of_frame(nested.unwrap_or(Value::Object(event.0)), None));
            }
            _ => {}
        }
        Ok(())
    }

    fn seen(&mut self, event: &Event) -> Result<&mut Seen, RelayError> {
        let place = event.number("output_index").ok_or_else(|| garbage("an event names no item"))?;
        Ok(self.items.entry(place).or_default())
    }

    fn added(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        let item = event.0.get("item").and_then(Value::as_object).ok_or_else(|| garbage("an item is none"))?;
        self.call(event, item, deltas)
    }

    /// Begins a call, if the item is one that has not begun.
    fn call(&mut self, event: &Event, item: &Map<String, Value>, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let custom = match text("type") {
            Some("function_call") => false,
            Some("custom_tool_call") => true,
            _ => return Ok(()),
        };
        let number = self.calls;
        let seen = self.seen(event)?;
        if seen.call.is_some() {
            return Ok(());
        }
        seen.call = Some(number);
        self.calls += 1;
        let (Some(id), Some(name)) = (text("call_id"), text("name")) else {
            return Err(garbage("a call has no id or no name"));
        };
        let (id, name) = (id.to_owned(), name.to_owned());
        deltas.push(Delta::ToolCall { candidate: 0, call: number, id, name, custom, signature: None });
        Ok(())
    }

    fn text(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        let Some(text) = not_empty(event.need("delta")?) else { return Ok(()) };
        self.seen(event)?.has_said = true;
        deltas.push(Delta::Text { candidate: 0, text });
        if let Some(entries) = event.0.get("logprobs").and_then(Value::as_array).filter(|entries| !entries.is_empty()) {
            let logprobs = answer::logprobs(entries);
            deltas.push(Delta::Logprobs { candidate: 0, logprobs });
        }
        Ok(())
    }

    /// Sets a further part of a summary apart from what came before.
    fn paragraph(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        if self.seen(event)?.has_said && event.number("summary_index").unwrap_or(0) > 0 {
            self.thought(event, Thoughts::Summary, "\n\n", deltas)?;
        }
        Ok(())
    }

    fn thought(
        &mut self,
        event: &Event,
        kind: Thoughts,
        text: &str,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), RelayError> {
        let seen = self.seen(event)?;
        if *seen.thoughts.get_or_insert(kind) == kind && !text.is_empty() {
            seen.has_said = true;
            deltas.push(Delta::Reasoning { candidate: 0, text: text.to_owned() });
        }
        Ok(())
    }

    fn arguments(&mut self, event: &Event, fragment: &str, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        let seen = self.seen(event)?;
        let call = seen.call.ok_or_else(|| garbage("arguments came before their call"))?;
        if !fragment.is_empty() {
            seen.has_said = true;
            deltas.push(Delta::ToolArguments { candidate: 0, call, fragment: fragment.to_owned() });
        }
        Ok(())
    }

    /// An item is complete: what of it has not come yet.
    fn done(&mut self, mut event: Event, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        let item = event.0.shift_remove("item").ok_or_else(|| garbage("an item is none"))?;
        let map = item.as_object().ok_or_else(|| garbage("an item is none"))?;
        self.call(&event, map, deltas)?;
        let seen = self.seen(&event)?;
        let (has_said, call) = (seen.has_said, seen.call);
        for part in answer::parts(vec![item])? {
            match part {
                Part::Text { text, citations, .. } if !has_said => {
                    deltas.push(Delta::Text { candidate: 0, text });
                    deltas.extend(citations.into_iter().map(|citation| Delta::Citation { candidate: 0, citation }));
                }
                Part::Refusal(text) if !has_said => deltas.push(Delta::Refusal { candidate: 0, text }),
                Part::Text { .. } | Part::Refusal(_) => {}
                Part::ToolCall { arguments, .. } => {
                    if let Some(call) = call.filter(|_| !has_said && !arguments.is_empty()) {
                        deltas.push(Delta::ToolArguments { candidate: 0, call, fragment: arguments });
                    }
                }
                Part::Reasoning { text, signature } => {
                    if !has_said && !text.is_empty() {
                        deltas.push(Delta::Reasoning { candidate: 0, text });
                    }
                    deltas.extend(signature.map(|signature| Delta::ReasoningSignature { candidate: 0, signature }));
                }
                part => deltas.push(Delta::Part { candidate: 0, part }),
            }
        }
        Ok(())
    }

    fn end(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), RelayError> {
        let response = event.0.get("response").ok_or_else(|| garbage("the end has no response"))?;
        let finish: FinishReason = ending(response, self.calls > 0);
        self.is_finished = true;
        deltas.push(Delta::Finish { candidate: 0, finish, stop_sequence: None });
        deltas.extend(response.get("usage").and_then(usage::read).map(Delta::Usage));
        Ok(())
    }
}

/// An event's fields.
struct Event(Map<String, Value>);

impl Event {
    fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.0.get(key).and_then(Value::as_u64)
    }

    fn need(&self, key: &str) -> Result<&str, RelayError> {
        self.0.get(key).and_then(Value::as_str).ok_or_else(|| garbage("an event lacks its text"))
    }
}

fn not_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}
