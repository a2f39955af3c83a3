//! The `response` object and its items, as clients get them.
//!
//! Source: OpenAI's API reference, "The response object", and the types of its Python SDK 3.54. An item's id is the
//! response's id with the item's place, so that nothing has to be drawn, and whoever names an item names its response.

use serde_json::{Map, Value, json};

use super::asked::summary;
use super::{content, signature, usage};
use crate::model::{Audio, FinishReason, MediaSource, Opaque, Part};
use crate::{Dialect, Envelope, Usage};

/// Begins the id of a response.
const RESPONSE: &str = "resp_";
/// Parameters that the object repeats, with what counts where the client did not say, in JSON.
const REPEATED: [(&str, &str); 18] = [
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("prompt_cache_key", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("safety_identifier", "null"),
    ("service_tier", r#""default""#),
    ("store", "true"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
];
/// The same, at the end of the object.
const REPEATED_LAST: [(&str, &str); 2] = [("truncation", r#""disabled""#), ("user", "null")];
/// What a client entrusts us about a server of tools, and nobody must read again.
const SECRETS_OF_TOOLS: [&str; 2] = ["authorization", "headers"];

/// How far an answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

impl Status {
    /// OpenAI's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

/// How an answer ended: its status, and why it is not complete.
pub(super) fn ending(finish: &FinishReason) -> (Status, Option<&'static str>) {
    match finish {
        FinishReason::Length | FinishReason::ContextWindow => (Status::Incomplete, Some("max_output_tokens")),
        FinishReason::ContentFilter => (Status::Incomplete, Some("content_filter")),
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::ToolCalls
        | FinishReason::Refusal
        | FinishReason::Pause
        | FinishReason::Other(_) => (Status::Completed, None),
    }
}

/// What is told at one point of an answer.
pub(super) struct Told<'a> {
    pub(super) status: Status,
    /// Why it is not complete.
    pub(super) incomplete: Option<&'a str>,
    pub(super) output: Vec<Value>,
    pub(super) usage: Option<&'a Usage>,
}

/// The whole object.
pub(super) fn response(envelope: &Envelope, told: Told<'_>) -> Value {
    let mut object = Map::from_iter([
        ("id".to_owned(), json!(envelope.id)),
        ("object".to_owned(), json!("response")),
        ("created_at".to_owned(), json!(envelope.created)),
        ("status".to_owned(), json!(told.status.word())),
        // Whoever tells of a failure puts it here.
        ("error".to_owned(), Value::Null),
        ("incomplete_details".to_owned(), told.incomplete.map_or(Value::Null, |reason| json!({"reason": reason}))),
        ("model".to_owned(), json!(envelope.model)),
        ("output".to_owned(), Value::Array(told.output)),
    ]);
    repeat(&mut object, &REPEATED, envelope.request.tree());
    object.insert("usage".to_owned(), told.usage.map_or(Value::Null, usage::write));
    repeat(&mut object, &REPEATED_LAST, envelope.request.tree());
    Value::Object(object)
}

fn repeat(object: &mut Map<String, Value>, keys: &[(&str, &str)], request: &Map<String, Value>) {
    for (key, otherwise) in keys {
        let otherwise = serde_json::from_str(otherwise).unwrap_or(Value::Null);
        let value = match (request.get(*key), otherwise) {
            (None | Some(Value::Null), otherwise) => otherwise,
            (Some(Value::Object(asked)), Value::Object(mut whole)) => {
                whole.extend(asked.iter().map(|(key, value)| (key.clone(), value.clone())));
                Value::Object(whole)
            }
            (Some(Value::Array(tools)), _) if *key == "tools" => tools.iter().map(without_secrets).collect(),
            (Some(asked), _) => asked.clone(),
        };
        object.insert((*key).to_owned(), value);
    }
}

fn without_secrets(tool: &Value) -> Value {
    let mut tool = tool.clone();
    if let Some(fields) = tool.as_object_mut() {
        fields.retain(|key, _| !SECRETS_OF_TOOLS.contains(&key.as_str()));
    }
    tool
}

/// The id of the item at that place of the response with that id.
pub(super) fn item_id(prefix: &str, response: &str, place: impl std::fmt::Display) -> String {
    format!("{prefix}_{}_{place}", response.strip_prefix(RESPONSE).unwrap_or(response))
}

/// What an id begins with, which says of what kind its item is.
pub(super) fn prefix_of(id: &str) -> &str {
    id.split_once('_').map(|(prefix, _)| prefix).filter(|prefix| prefix.len() <= 8).unwrap_or("item")
}

/// The id of the response that has that item, if we made the item's id.
pub(super) fn response_of_item(item: &str) -> Option<String> {
    let (_, rest) = item.split_once('_')?;
    let (response, place) = rest.rsplit_once('_')?;
    let is_place = !place.is_empty() && place.strip_prefix('i').unwrap_or(place).bytes().all(|b| b.is_ascii_digit());
    (is_place && !response.is_empty()).then(|| format!("{RESPONSE}{response}"))
}

/// A message of the model.
pub(super) fn message(id: &str, content: &[Value], status: Status) -> Value {
    json!({"id": id, "type": "message", "status": status.word(), "role": "assistant", "content": content})
}

/// What the model thought. What others call thoughts is called a summary here, because that is what clients show.
pub(super) fn reasoning(id: &str, text: &str, encrypted: Option<&str>, status: Status) -> Value {
    json!({
        "id": id, "type": "reasoning", "status": status.word(), "summary": summary(text),
        "encrypted_content": encrypted,
    })
}

/// A call of a tool of the client.
pub(super) struct Call<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
    pub(super) custom: bool,
}

impl Call<'_> {
    /// Begins the id of the item.
    pub(super) fn prefix(custom: bool) -> &'static str {
        if custom { "ctc" } else { "fc" }
    }

    /// The item.
    pub(super) fn item(&self, item_id: &str, status: Status) -> Value {
        let (kind, key) = if self.custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
        json!({
            "id": item_id, "type": kind, "status": status.word(), "call_id": self.id, "name": self.name,
            key: self.arguments,
        })
    }
}

/// The items of a whole answer. The last one has `last` as its status if it is a message or a call.
pub(super) fn items(response: &str, first: usize, parts: &[Part], last: Status) -> Vec<Value> {
    let mut items = Items { response, first, items: vec![], content: vec![] };
    parts.iter().for_each(|part| items.part(part));
    items.flush();
    let mut items = items.items;
    if let Some(Value::Object(item)) = items.last_mut() {
        let kind = item.get("type").and_then(Value::as_str).unwrap_or_default();
        if ["message", "function_call", "custom_tool_call"].contains(&kind) {
            item.insert("status".to_owned(), json!(last.word()));
        }
    }
    items
}

/// Puts the probabilities of an answer, as chat completions have them, to its first text.
pub(super) fn put_logprobs(output: &mut [Value], logprobs: Option<Value>) {
    let entries = logprobs.and_then(|mut logprobs| logprobs.get_mut("content").map(Value::take));
    let content = output.iter_mut().filter_map(|item| item.get_mut("content")?.as_array_mut()).flatten();
    let text = content.filter_map(Value::as_object_mut).find(|piece| piece.contains_key("logprobs"));
    if let (Some(text), Some(entries @ Value::Array(_))) = (text, entries) {
        text.insert("logprobs".to_owned(), entries);
    }
}

struct Items<'a> {
    response: &'a str,
    /// The place of the first of them.
    first: usize,
    items: Vec<Value>,
    /// Of the message that is being gathered.
    content: Vec<Value>,
}

impl Items<'_> {
    fn part(&mut self, part: &Part) {
        if let Some(piece) = content::write_output(part) {
            self.content.push(piece);
            return;
        }
        match part {
            Part::ToolCall { id, name, arguments, custom, signature } => {
                if let Some(signature) = signature {
                    let encrypted = signature::of_call(signature, id);
                    self.push("rs", |item| reasoning(item, "", Some(&encrypted), Status::Completed));
                }
                let call = Call { id, name, arguments, custom: *custom };
                self.push(Call::prefix(*custom), |item| call.item(item, Status::Completed));
            }
            Part::Reasoning { text, signature } => {
                let encrypted = signature.as_ref().map(signature::of_thoughts);
                self.push("rs", |item| reasoning(item, text, encrypted.as_deref(), Status::Completed));
            }
            Part::Image { source: MediaSource::Inline { media_type, base64 }, .. } => {
                let format = media_type.strip_prefix("image/").unwrap_or("png");
                self.push("ig", |item| {
                    json!({
                        "id": item, "type": "image_generation_call", "status": "completed", "output_format": format,
                        "result": base64,
                    })
                });
            }
            Part::Other(opaque) => self.other(opaque),
            Part::Text { .. }
            | Part::Image { .. }
            | Part::Audio(Audio { .. })
            | Part::File { .. }
            | Part::ToolResult(_)
            | Part::Refusal(_) => {}
        }
    }

    /// An item that only OpenAI has, under an id of ours.
    fn other(&mut self, opaque: &Opaque) {
        let Some(Value::Object(item)) = opaque.in_dialect(Dialect::Responses) else { return };
        let prefix = item.get("id").and_then(Value::as_str).map_or("item", prefix_of);
        self.push(prefix, |id| {
            let mut item = item.clone();
            item.insert("id".to_owned(), json!(id));
            Value::Object(item)
        });
    }

    fn push(&mut self, prefix: &str, item: impl FnOnce(&str) -> Value) {
        self.flush();
        let id = item_id(prefix, self.response, self.first + self.items.len());
        self.items.push(item(&id));
    }

    /// What was gathered, as one message.
    fn flush(&mut self) {
        if !self.content.is_empty() {
            let id = item_id("msg", self.response, self.first + self.items.len());
            self.items.push(message(&id, &std::mem::take(&mut self.content), Status::Completed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_names_an_item_names_its_response() {
        let id = item_id("msg", "resp_01997b8e4c1a7f2e", 3);
        assert_eq!(id, "msg_01997b8e4c1a7f2e_3");
        assert_eq!(response_of_item(&id).as_deref(), Some("resp_01997b8e4c1a7f2e"));
        assert_eq!(response_of_item("msg_01997b8e_i0").as_deref(), Some("resp_01997b8e"));
        for foreign in ["msg_67ccd3acc8d48190a77525dc6de64b4104becb25c45c1d42", "msg", "msg__1", "msg_a_", "msg_a_x"] {
            assert_eq!(response_of_item(foreign), None, "{foreign}");
        }
    }
}
