//! Items as clients and upstreams say them: messages, calls, outcomes and thoughts, flat and in order.
//!
//! What a model said in one turn comes in several items and is one message here; so are outcomes of tools that follow
//! each other. Items that only OpenAI has stay as they are, and go back where this dialect is spoken.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{content, signature};
use crate::dialects::common::Fields;
use crate::model::{Author, MediaSource, Message, Opaque, Part, ToolOutcome};
use crate::{Dialect, InvalidRequest};

/// Items that are made here at most from one body; beyond that a request is no conversation.
const MAX_ITEMS: usize = 10_000;

/// The messages that items are.
#[derive(Default)]
pub(super) struct Conversation {
    messages: Vec<Message>,
    /// Names of the tools by the ids of their calls.
    names: HashMap<String, String>,
    /// Signatures of calls that are still to come.
    signatures: HashMap<String, Opaque>,
}

impl Conversation {
    /// A message of another origin.
    pub(super) fn push(&mut self, message: Message) {
        self.messages.push(message);
    }

    /// The items that stand at `place`.
    pub(super) fn read(&mut self, items: Vec<Value>, place: &str) -> Result<(), InvalidRequest> {
        if items.len() > MAX_ITEMS {
            return Err(InvalidRequest::at(place, format!("There may be at most {MAX_ITEMS} items.")));
        }
        items.into_iter().enumerate().try_for_each(|(index, item)| self.item(item, format!("{place}[{index}]")))
    }

    /// All of them, oldest first.
    pub(super) fn into_messages(self) -> Vec<Message> {
        self.messages
    }

    fn item(&mut self, item: Value, place: String) -> Result<(), InvalidRequest> {
        let Value::Object(map) = item else { return Err(InvalidRequest::at(place, "This must be an object.")) };
        let kind = match map.get("type").and_then(Value::as_str) {
            Some(kind) => kind.to_owned(),
            None if map.contains_key("role") => "message".to_owned(),
            None => "item_reference".to_owned(),
        };
        match kind.as_str() {
            "message" => self.message(Fields::new(map, place)),
            "function_call" => self.call(Fields::new(map, place), "arguments", false),
            "custom_tool_call" => self.call(Fields::new(map, place), "input", true),
            "function_call_output" | "custom_tool_call_output" => self.outcome(Fields::new(map, place)),
            "reasoning" => self.reasoning(Fields::new(map, place)),
            "image_generation_call" if has_picture(&map) => self.picture(Fields::new(map, place)),
            "item_reference" => Err(InvalidRequest::at(place, "No item with this id is kept here.")),
            kind => {
                let part = Part::Other(Opaque { dialect: Dialect::Responses, value: Value::Object(map) });
                if is_of_client(kind) {
                    self.brought(part);
                } else {
                    self.said(vec![part]);
                }
                Ok(())
            }
        }
    }

    fn picture(&mut self, mut fields: Fields) -> Result<(), InvalidRequest> {
        let format = fields.take::<String>("output_format")?.unwrap_or_else(|| "png".to_owned());
        let source = MediaSource::Inline { media_type: format!("image/{format}"), base64: fields.need("result")? };
        self.said(vec![Part::Image { source, detail: None, cache: None }]);
        Ok(())
    }

    fn message(&mut self, mut fields: Fields) -> Result<(), InvalidRequest> {
        let role: String = fields.need("role")?;
        let author = match role.as_str() {
            "user" => Author::User,
            "assistant" => Author::Assistant,
            "system" | "developer" => Author::System,
            _ => return Err(InvalidRequest::at(fields.place("role"), "This role is not known.")),
        };
        let place = fields.place("content");
        let parts = content::read(fields.need("content")?, &place)?;
        match author {
            Author::Assistant => self.said(parts),
            Author::User | Author::System => self.messages.push(Message { author, name: None, parts }),
        }
        Ok(())
    }

    fn call(&mut self, mut fields: Fields, key: &str, custom: bool) -> Result<(), InvalidRequest> {
        let (id, name): (String, String) = (fields.need("call_id")?, fields.need("name")?);
        let mut arguments: String = fields.take(key)?.unwrap_or_default();
        if arguments.trim().is_empty() && !custom {
            arguments = "{}".to_owned();
        }
        self.names.insert(id.clone(), name.clone());
        let signature = self.signatures.remove(&id);
        self.said(vec![Part::ToolCall { id, name, arguments, custom, signature }]);
        Ok(())
    }

    fn outcome(&mut self, mut fields: Fields) -> Result<(), InvalidRequest> {
        let call_id: String = fields.need("call_id")?;
        let place = fields.place("output");
        let content = content::read(fields.need("output")?, &place)?;
        let name = self.names.get(&call_id).cloned().or(fields.take("name")?);
        self.brought(Part::ToolResult(ToolOutcome { call_id, name, content, is_error: false, cache: None }));
        Ok(())
    }

    fn reasoning(&mut self, mut fields: Fields) -> Result<(), InvalidRequest> {
        let mut texts = joined(&fields.take::<Vec<Map<String, Value>>>("content")?.unwrap_or_default());
        let summary = joined(&fields.take::<Vec<Map<String, Value>>>("summary")?.unwrap_or_default());
        if texts.is_empty() {
            texts = summary;
        }
        let encrypted: Option<String> = fields.take("encrypted_content")?;
        let id = fields.take("id")?;
        let signature = match encrypted.map(|encrypted| signature::read(&encrypted, id)) {
            Some(signed) => match signed.call {
                Some(call) => {
                    self.signatures.insert(call, signed.signature);
                    None
                }
                None => Some(signed.signature),
            },
            None => None,
        };
        if !texts.is_empty() || signature.is_some() {
            self.said(vec![Part::Reasoning { text: texts, signature }]);
        }
        Ok(())
    }

    /// More of what the model says in this turn.
    fn said(&mut self, parts: Vec<Part>) {
        match self.messages.last_mut() {
            Some(last) if last.author == Author::Assistant => last.parts.extend(parts),
            _ => self.messages.push(Message { author: Author::Assistant, name: None, parts }),
        }
    }

    /// More of what tools of the client came to.
    fn brought(&mut self, part: Part) {
        let is_outcome = |part: &Part| matches!(part, Part::ToolResult(_) | Part::Other(_));
        match self.messages.last_mut() {
            Some(last) if last.author == Author::User && last.parts.iter().all(is_outcome) => last.parts.push(part),
            _ => self.messages.push(Message { author: Author::User, name: None, parts: vec![part] }),
        }
    }
}

fn has_picture(map: &Map<String, Value>) -> bool {
    map.get("result").and_then(Value::as_str).is_some_and(|result| !result.is_empty())
}

/// Whether the client, not the model, says items of that type.
fn is_of_client(kind: &str) -> bool {
    kind.ends_with("_output") || kind == "mcp_approval_response"
}

/// Texts of a reasoning item; its pieces are paragraphs.
fn joined(pieces: &[Map<String, Value>]) -> String {
    let texts = pieces.iter().filter_map(|piece| piece.get("text").and_then(Value::as_str));
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}
