//! A request as every dialect reads it: what the mock provider needs to know to answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::script::Refusal;

/// What was asked, whatever the dialect.
#[derive(Debug)]
pub(super) struct Asked {
    /// The text of the last message by the user.
    pub(super) prompt: String,
    /// The results of tools that the conversation ends with, oldest first.
    pub(super) results: Vec<String>,
    /// Of all texts.
    pub(super) words: u64,
    /// Every picture of the conversation: media type, size and fingerprint, or its address.
    pub(super) pictures: Vec<String>,
    /// The JSON Schema that the answer shall follow.
    pub(super) schema: Option<Value>,
    /// The tool that must be called, and the schema of its arguments.
    pub(super) forced: Option<(String, Value)>,
    /// How many answers to the same question.
    pub(super) choices: u64,
    pub(super) stream: bool,
    /// How the real provider would refuse this request.
    pub(super) fault: Option<Refusal>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            results: Vec::new(),
            words: 0,
            pictures: Vec::new(),
            schema: None,
            forced: None,
            choices: 1,
            stream: false,
            fault: None,
        }
    }
}

impl Asked {
    /// Notes one more text of the conversation.
    pub(super) fn hear(&mut self, text: &str) {
        self.words += text.split_whitespace().count() as u64;
    }

    /// Notes a picture whose bytes came along.
    pub(super) fn see(&mut self, media_type: &str, base64: &str) {
        self.pictures.push(match STANDARD.decode(base64) {
            Ok(bytes) => {
                let print = hex::encode(&Sha256::digest(&bytes)[..8]);
                format!("{media_type} of {} bytes, {print}", bytes.len())
            }
            Err(_) => format!("{media_type} that is no base64"),
        });
    }

    /// Notes a picture by its address, which may contain it.
    pub(super) fn see_at(&mut self, url: &str) {
        match url.strip_prefix("data:").and_then(|url| url.split_once(";base64,")) {
            Some((media_type, base64)) => self.see(media_type, base64),
            None => self.pictures.push(format!("at {url}")),
        }
    }

    /// The first reason to refuse counts.
    pub(super) fn refuse(&mut self, refusal: Option<Refusal>) {
        self.fault = self.fault.take().or(refusal);
    }
}

/// What must be true of a request, as a real provider words it.
pub(super) fn unless(holds: bool, status: u16, message: impl FnOnce() -> String) -> Option<Refusal> {
    (!holds).then(|| Refusal::told(status, message()))
}

/// The items of a list that is there.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The tool that must be called: the named one, else the first. `tools` are names and schemas.
pub(super) fn forced<'a>(
    must: bool,
    named: Option<&str>,
    mut tools: impl Iterator<Item = (&'a Value, &'a Value)>,
) -> Option<(String, Value)> {
    let tool = tools.find(|(name, _)| must && named.is_none_or(|named| **name == *named))?;
    Some((tool.0.as_str()?.to_owned(), tool.1.clone()))
}

/// The smallest document that follows a schema: what a model says when it is asked for nothing else.
pub(super) fn document_of(schema: &Value) -> Value {
    if let Some(first) = list(&schema["enum"]).first() {
        return first.clone();
    }
    if let Some(first) = list(&schema["anyOf"]).first() {
        return document_of(first);
    }
    // Google's own form of a schema has its types in capitals.
    match schema["type"].as_str().unwrap_or("object").to_ascii_lowercase().as_str() {
        "string" => "filled".into(),
        "integer" | "number" => 1.into(),
        "boolean" => true.into(),
        "null" => Value::Null,
        "array" => vec![document_of(&schema["items"])].into(),
        _ => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties
                .map(|(name, schema)| (name.clone(), document_of(schema)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
    }
}
