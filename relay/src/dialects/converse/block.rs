//! One content block, both ways. A block is an object with one field, which says what it is.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::Dialect;
use crate::dialects::claude::{redacted, signed, tool_id};
use crate::dialects::common::arguments_object;
use crate::model::{MediaSource, Opaque, Part, ToolOutcome};

/// The API takes no longer ids of calls.
const MAX_TOOL_ID_CHARS: usize = 64;
/// Names of documents, to this many characters.
const MAX_NAME_CHARS: usize = 60;
/// Formats of documents by their media type; the ending of a name says the same.
const DOCUMENTS: [(&str, &str); 9] = [
    ("application/pdf", "pdf"),
    ("text/csv", "csv"),
    ("application/msword", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("text/html", "html"),
    ("text/plain", "txt"),
    ("text/markdown", "md"),
];

/// Something in the words of this dialect.
fn opaque(value: Value) -> Opaque {
    Opaque { dialect: Dialect::Converse, value }
}

/// A piece of evidence for a text.
pub(super) fn citation(value: Value) -> Opaque {
    opaque(value)
}

/// The blocks that say a part: none where the dialect cannot say it, and the mark after what may be cached.
pub(super) fn write(part: &Part) -> Vec<Value> {
    let (block, cache) = match part {
        Part::Text { text, cache, .. } => (said(text), cache.as_ref()),
        Part::Refusal(text) => (said(text), None),
        Part::Image { source, cache, .. } => (picture(source), cache.as_ref()),
        Part::File { name, source, cache } => (file(name.as_deref(), source), cache.as_ref()),
        Part::Audio(audio) => {
            let source = json!({"bytes": audio.base64});
            (Some(json!({"audio": {"format": audio.format, "source": source}})), None)
        }
        Part::ToolCall { id, name, arguments, .. } => {
            let call = json!({"toolUseId": call_id(id), "name": name, "input": arguments_object(arguments)});
            (Some(json!({"toolUse": call})), None)
        }
        Part::ToolResult(outcome) => (Some(tool_result(outcome)), outcome.cache.as_ref()),
        Part::Reasoning { text, signature } => (thinking(text, signature.as_ref()), None),
        Part::Other(opaque) => (opaque.in_dialect(Dialect::Converse).cloned(), None),
    };
    let mark = cache.filter(|_| block.is_some()).map(cache_point);
    block.into_iter().chain(mark).collect()
}

/// The mark after what may be cached.
pub(super) fn cache_point(cache: &Value) -> Value {
    let mut point = json!({"type": "default"});
    if let Some(ttl) = cache.get("ttl") {
        point["ttl"] = ttl.clone();
    }
    json!({"cachePoint": point})
}

/// The API refuses texts of nothing.
fn said(text: &str) -> Option<Value> {
    (!text.trim().is_empty()).then(|| json!({"text": text}))
}

fn picture(source: &MediaSource) -> Option<Value> {
    let block = |format: &str, source: Value| json!({"image": {"format": format, "source": source}});
    match source {
        MediaSource::Inline { media_type, base64 } => {
            let format = media_type.strip_prefix("image/").unwrap_or(media_type);
            Some(block(if format == "jpg" { "jpeg" } else { format }, json!({"bytes": base64})))
        }
        MediaSource::Url { url, .. } if url.starts_with("s3://") => {
            let format = ending(url).map_or("png", |ending| if ending == "jpg" { "jpeg" } else { ending });
            Some(block(format, s3(url)))
        }
        MediaSource::Url { url, .. } => said(url),
        MediaSource::Uploaded(_) | MediaSource::Text(_) => None,
    }
}

fn s3(url: &str) -> Value {
    json!({"s3Location": {"uri": url}})
}

fn file(name: Option<&str>, source: &MediaSource) -> Option<Value> {
    let document = |media_type: &str, source: Value| {
        let known = DOCUMENTS.iter().find(|(known, _)| *known == media_type).map(|(_, format)| *format);
        let format = known.or_else(|| name.and_then(ending)).unwrap_or("txt");
        json!({"document": {"format": format, "name": document_name(name), "source": source}})
    };
    match source {
        MediaSource::Inline { media_type, .. } if media_type.starts_with("image/") => picture(source),
        MediaSource::Inline { media_type, base64 } => match media_type.strip_prefix("video/") {
            Some(format) => Some(json!({"video": {"format": format, "source": {"bytes": base64}}})),
            None => Some(document(media_type, json!({"bytes": base64}))),
        },
        MediaSource::Text(text) => Some(document("text/plain", json!({"bytes": STANDARD.encode(text)}))),
        MediaSource::Url { url, media_type } if url.starts_with("s3://") => {
            let by_address = DOCUMENTS.iter().find(|(_, format)| ending(url) == Some(format)).map(|(kind, _)| *kind);
            Some(document(media_type.as_deref().or(by_address).unwrap_or_default(), s3(url)))
        }
        MediaSource::Url { url, .. } => said(url),
        MediaSource::Uploaded(_) => None,
    }
}

/// What follows the last dot of a name, if it can be the name of a format.
fn ending(name: &str) -> Option<&str> {
    let (_, ending) = name.rsplit_once('.')?;
    (!ending.is_empty() && ending.len() <= 5 && ending.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .then_some(ending)
}

/// A name as the API takes it: letters, digits, single spaces, `-`, `(`, `)`, `[` and `]`.
fn document_name(name: Option<&str>) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
    let clean: String = name.unwrap_or_default().chars().map(kept).take(MAX_NAME_CHARS).collect();
    let words: Vec<_> = clean.split_whitespace().collect();
    if words.is_empty() { "document".to_owned() } else { words.join(" ") }
}

/// The end of an id that is too long tells it apart from others.
fn call_id(id: &str) -> String {
    let id = tool_id(id);
    id.get(id.len().saturating_sub(MAX_TOOL_ID_CHARS)..).unwrap_or_default().to_owned()
}

fn tool_result(outcome: &ToolOutcome) -> Value {
    let is_mark = |block: &Value| block.get("cachePoint").is_some();
    let mut content: Vec<_> = outcome.content.iter().flat_map(write).filter(|block| !is_mark(block)).collect();
    if content.is_empty() {
        content.push(json!({"text": "(nothing)"}));
    }
    let mut result = json!({"toolUseId": call_id(&outcome.call_id), "content": content});
    if outcome.is_error {
        result["status"] = Value::from("error");
    }
    json!({"toolResult": result})
}

/// Thoughts that nobody signed are refused.
fn thinking(text: &str, signature: Option<&Opaque>) -> Option<Value> {
    let own = signature.and_then(|signature| signature.in_dialect(Dialect::Messages))?;
    if let Some(data) = own.get("data") {
        return Some(json!({"reasoningContent": {"redactedContent": data}}));
    }
    let signature = own.get("signature")?;
    Some(json!({"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}))
}

/// The part that a block of an answer is; `None` if it is no block.
pub(super) fn read(block: Value) -> Option<Part> {
    let Value::Object(fields) = block else { return None };
    let (kind, value) = fields.into_iter().next()?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let part = match kind.as_str() {
        "text" => Part::text(value.as_str()?),
        "toolUse" => Part::ToolCall {
            id: text("/toolUseId")?,
            name: text("/name")?,
            arguments: arguments(value.get("input")),
            custom: false,
            signature: None,
        },
        "reasoningContent" => match text("/redactedContent") {
            Some(data) => Part::Reasoning { text: String::new(), signature: Some(redacted(&data)) },
            None => Part::Reasoning {
                text: text("/reasoningText/text").unwrap_or_default(),
                signature: text("/reasoningText/signature").map(|signature| signed(&signature)),
            },
        },
        "citationsContent" => {
            let array = |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten();
            let said = array("content").filter_map(|said| said.get("text").and_then(Value::as_str)).collect();
            Part::Text { text: said, citations: array("citations").cloned().map(opaque).collect(), cache: None }
        }
        "image" => {
            let media_type = format!("image/{}", text("/format")?);
            let source = MediaSource::Inline { media_type, base64: text("/source/bytes")? };
            Part::Image { source, detail: None, cache: None }
        }
        _ => Part::Other(opaque(Value::Object(Map::from_iter([(kind, value)])))),
    };
    Some(part)
}

/// The arguments of a call as text; what is no object is none.
fn arguments(input: Option<&Value>) -> String {
    input.filter(|input| input.is_object()).map_or_else(|| "{}".to_owned(), Value::to_string)
}
