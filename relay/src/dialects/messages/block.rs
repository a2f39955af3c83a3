//! One content block, both ways. What a block of a request says, a block of an answer says alike.

use serde_json::{Map, Value, json};

use super::carried;
use crate::dialects::claude::tool_id;
use crate::dialects::common::{Fields, arguments_object};
use crate::model::{MediaSource, Opaque, Part, ToolOutcome};
use crate::{Dialect, InvalidRequest};

/// Who reads the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// An upstream, which knows what users and models say, but no signatures of others.
    Upstream,
    /// A client, which knows what models say, and keeps every signature for us.
    Client,
}

/// Something in the words of this dialect.
pub(super) fn opaque(value: Value) -> Opaque {
    Opaque { dialect: Dialect::Messages, value }
}

/// The part that a block is. A kind that nobody else knows is kept as it is.
pub(super) fn read(block: Value, path: &str) -> Result<Part, InvalidRequest> {
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut fields = Fields::of(block, path)?;
    let part = match kind.as_str() {
        "text" => {
            let citations = fields.take::<Vec<Value>>("citations")?.unwrap_or_default();
            let citations = citations.into_iter().map(opaque).collect();
            Part::Text { text: fields.need("text")?, citations, cache: cache(&mut fields)? }
        }
        "image" => Part::Image { source: source(&mut fields)?, detail: None, cache: cache(&mut fields)? },
        "document" => {
            Part::File { name: fields.take("title")?, source: source(&mut fields)?, cache: cache(&mut fields)? }
        }
        "search_result" => {
            let texts = fields.need("content")?;
            Part::File {
                name: fields.take("title")?,
                source: MediaSource::Text(joined_texts(&texts).unwrap_or_default()),
                cache: cache(&mut fields)?,
            }
        }
        "thinking" => {
            let signature = fields.take::<String>("signature")?.unwrap_or_default();
            Part::Reasoning { text: fields.need("thinking")?, signature: carried::read_thoughts(&signature) }
        }
        "redacted_thinking" => {
            let data: String = fields.need("data")?;
            Part::Reasoning { text: String::new(), signature: Some(carried::read_redacted(&data)) }
        }
        "tool_use" => Part::ToolCall {
            id: fields.need("id")?,
            name: fields.need("name")?,
            arguments: Value::Object(fields.take::<Map<String, Value>>("input")?.unwrap_or_default()).to_string(),
            custom: false,
            signature: None,
        },
        "tool_result" => Part::ToolResult(outcome(fields)?),
        "" => return Err(InvalidRequest::at(fields.place("type"), "This is required.")),
        _ => Part::Other(opaque(Value::Object(fields.rest()))),
    };
    Ok(part)
}

fn cache(fields: &mut Fields) -> Result<Option<Value>, InvalidRequest> {
    fields.take("cache_control")
}

fn outcome(mut fields: Fields) -> Result<ToolOutcome, InvalidRequest> {
    let place = fields.place("content");
    let content = match fields.take::<Value>("content")? {
        Some(content) => contents(content, &place)?,
        None => vec![],
    };
    Ok(ToolOutcome {
        call_id: fields.need("tool_use_id")?,
        name: None,
        content,
        is_error: fields.take("is_error")?.unwrap_or(false),
        cache: cache(&mut fields)?,
    })
}

/// The parts of a `content`, which is a text or blocks.
pub(super) fn contents(content: Value, path: &str) -> Result<Vec<Part>, InvalidRequest> {
    match content {
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Array(blocks) => {
            blocks.into_iter().enumerate().map(|(at, block)| read(block, &format!("{path}.{at}"))).collect()
        }
        _ => Err(InvalidRequest::at(path, "This must be a string or an array of blocks.")),
    }
}

fn source(fields: &mut Fields) -> Result<MediaSource, InvalidRequest> {
    let Some(mut source) = fields.object("source")? else {
        return Err(InvalidRequest::at(fields.place("source"), "This is required."));
    };
    let kind: String = source.need("type")?;
    match kind.as_str() {
        "base64" => Ok(MediaSource::Inline { media_type: source.need("media_type")?, base64: source.need("data")? }),
        "url" => Ok(MediaSource::Url { url: source.need("url")?, media_type: None }),
        "file" => Ok(MediaSource::Uploaded(source.need("file_id")?)),
        "text" => Ok(MediaSource::Text(source.need("data")?)),
        "content" => {
            let texts = joined_texts(&source.need("content")?);
            let message = "Only text can be the content of a document here.";
            texts.map(MediaSource::Text).ok_or_else(|| InvalidRequest::at(source.place("content"), message))
        }
        _ => Err(InvalidRequest::at(source.place("type"), "This is none of base64, content, file, text and url.")),
    }
}

/// The text of a string, or of blocks of text, which stand on lines of their own.
fn joined_texts(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) => {
            let texts: Option<Vec<_>> = blocks.iter().map(|block| block.get("text").and_then(Value::as_str)).collect();
            texts.map(|texts| texts.join("\n"))
        }
        _ => None,
    }
}

/// The block that says a part; `None` where the dialect cannot say it to that reader.
pub(super) fn write(part: &Part, reader: Reader) -> Option<Value> {
    let is_upstream = reader == Reader::Upstream;
    let block = match part {
        Part::Text { text, citations, cache } => {
            if text.trim().is_empty() && is_upstream {
                return None;
            }
            let mut block = json!({"type": "text", "text": text});
            let own: Vec<_> = citations.iter().filter_map(|citation| citation.in_dialect(Dialect::Messages)).collect();
            if !own.is_empty() {
                block["citations"] = json!(own);
            }
            with_cache(block, cache)
        }
        Part::Refusal(text) => json!({"type": "text", "text": text}),
        Part::Image { source, cache, .. } if is_upstream => {
            with_cache(json!({"type": "image", "source": media(source)}), cache)
        }
        Part::Audio(audio) if is_upstream => json!({"type": "text", "text": audio.transcript.as_ref()?}),
        Part::File { name, source, cache } if is_upstream => with_cache(document(name.as_deref(), source), cache),
        Part::ToolCall { id, name, arguments, .. } => {
            json!({"type": "tool_use", "id": tool_id(id), "name": name, "input": arguments_object(arguments)})
        }
        Part::ToolResult(outcome) if is_upstream => tool_result(outcome),
        Part::Reasoning { text, signature } => return thinking(text, signature.as_ref(), reader),
        Part::Other(opaque) => opaque.in_dialect(Dialect::Messages)?.clone(),
        Part::Image { .. } | Part::Audio(_) | Part::File { .. } | Part::ToolResult(_) => return None,
    };
    Some(block)
}

fn with_cache(mut block: Value, cache: &Option<Value>) -> Value {
    if let Some(cache) = cache {
        block["cache_control"] = cache.clone();
    }
    block
}

/// Upstreams refuse thoughts that they did not sign; clients keep whatever there is.
fn thinking(text: &str, signature: Option<&Opaque>, reader: Reader) -> Option<Value> {
    let own = signature.and_then(|signature| signature.in_dialect(Dialect::Messages));
    if let Some(data) = own.and_then(|own| own.get("data")) {
        return Some(json!({"type": "redacted_thinking", "data": data}));
    }
    let signature = match (own.and_then(|own| own.get("signature")), reader) {
        (Some(own), _) => own.clone(),
        (None, Reader::Client) => Value::from(carried::of_thoughts(signature)),
        (None, Reader::Upstream) => return None,
    };
    Some(json!({"type": "thinking", "thinking": text, "signature": signature}))
}

fn media(source: &MediaSource) -> Value {
    match source {
        MediaSource::Inline { media_type, base64 } => {
            // What browsers and people call a JPEG, and the API refuses.
            let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
            json!({"type": "base64", "media_type": media_type, "data": base64})
        }
        MediaSource::Url { url, .. } => json!({"type": "url", "url": url}),
        MediaSource::Uploaded(id) => json!({"type": "file", "file_id": id}),
        MediaSource::Text(text) => json!({"type": "text", "media_type": "text/plain", "data": text}),
    }
}

fn document(name: Option<&str>, source: &MediaSource) -> Value {
    if matches!(source, MediaSource::Inline { media_type, .. } if media_type.starts_with("image/")) {
        return json!({"type": "image", "source": media(source)});
    }
    let mut block = json!({"type": "document", "source": media(&plain_text(source))});
    if let Some(name) = name {
        block["title"] = Value::from(name);
    }
    block
}

/// Bytes that are plain text as text, because the API takes only PDF as bytes.
fn plain_text(source: &MediaSource) -> MediaSource {
    use base64::{Engine, engine::general_purpose::STANDARD};

    let text = match source {
        MediaSource::Inline { media_type, base64 } if media_type.starts_with("text/") => {
            STANDARD.decode(base64).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        }
        _ => None,
    };
    text.map_or_else(|| source.clone(), MediaSource::Text)
}

fn tool_result(outcome: &ToolOutcome) -> Value {
    let content: Vec<_> = outcome.content.iter().filter_map(|part| write(part, Reader::Upstream)).collect();
    let mut block = json!({"type": "tool_result", "tool_use_id": tool_id(&outcome.call_id)});
    if !content.is_empty() {
        block["content"] = Value::Array(content);
    }
    if outcome.is_error {
        block["is_error"] = Value::Bool(true);
    }
    with_cache(block, &outcome.cache)
}
