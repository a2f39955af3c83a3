//! What a message consists of: text, pictures, documents, sound and refusals.
//!
//! Source: OpenAI's API reference, "Responses", parameter `input` of "Create a model response".

use serde_json::{Map, Value, json};

use crate::dialects::common::{Fields, data_url, media_of_url};
use crate::model::{Audio, MediaSource, Opaque, Part};
use crate::{Dialect, InvalidRequest};

/// The parts of a content, which is a text or a list. Empty texts of the model are left out.
pub(super) fn read(content: Value, place: &str) -> Result<Vec<Part>, InvalidRequest> {
    match content {
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Null => Ok(vec![]),
        Value::Array(list) => {
            let parts = list.into_iter().enumerate();
            let parts = parts.map(|(index, part)| read_part(Fields::of(part, format!("{place}[{index}]"))?));
            parts.filter_map(Result::transpose).collect()
        }
        _ => Err(InvalidRequest::at(place, "This must be a text or a list of parts.")),
    }
}

fn read_part(mut part: Fields) -> Result<Option<Part>, InvalidRequest> {
    let kind: String = part.need("type")?;
    let read = match kind.as_str() {
        "input_text" | "text" => Part::Text { text: part.need("text")?, citations: vec![], cache: cache(&mut part)? },
        "output_text" => {
            let text: String = part.need("text")?;
            if text.is_empty() {
                return Ok(None);
            }
            let annotations = part.take::<Vec<Value>>("annotations")?.unwrap_or_default();
            let own = |value| Opaque { dialect: Dialect::Responses, value };
            Part::Text { text, citations: annotations.into_iter().map(own).collect(), cache: None }
        }
        "refusal" => Part::Refusal(part.need("refusal")?),
        "input_image" => image(part)?,
        "input_file" => file(part)?,
        "input_audio" => {
            let place = part.place("input_audio");
            let mut audio = part.object("input_audio")?.ok_or_else(|| missing(place))?;
            Part::Audio(Audio {
                format: audio.need("format")?,
                base64: audio.need("data")?,
                transcript: None,
                id: None,
            })
        }
        _ => return Err(InvalidRequest::at(part.place("type"), "Parts of this type are not known here.")),
    };
    Ok(Some(read))
}

/// An explicit breakpoint of OpenAI's cache, in the words of the dialect that had it first.
fn cache(part: &mut Fields) -> Result<Option<Value>, InvalidRequest> {
    let breakpoint = part.take::<Map<String, Value>>("prompt_cache_breakpoint")?;
    Ok(breakpoint.map(|_| json!({"type": "ephemeral"})))
}

fn image(mut part: Fields) -> Result<Part, InvalidRequest> {
    let cache = cache(&mut part)?;
    let detail = part.take("detail")?;
    let url = match part.take::<Value>("image_url")? {
        Some(Value::String(url)) => Some(url),
        // As chat completions have it.
        Some(Value::Object(object)) => object.get("url").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    let source = match (url, part.take("file_id")?) {
        (Some(url), _) => media_of_url(url),
        (None, Some(id)) => MediaSource::Uploaded(id),
        (None, None) => return Err(missing(part.place("image_url"))),
    };
    Ok(Part::Image { source, detail, cache })
}

fn file(mut part: Fields) -> Result<Part, InvalidRequest> {
    let cache = cache(&mut part)?;
    let name: Option<String> = part.take("filename")?;
    let source = match (part.take::<String>("file_data")?, part.take("file_url")?, part.take("file_id")?) {
        (Some(data), ..) if data.starts_with("data:") => media_of_url(data),
        (Some(base64), ..) => MediaSource::Inline { media_type: media_type_of(name.as_deref()).to_owned(), base64 },
        (None, Some(url), _) => MediaSource::Url { url, media_type: None },
        (None, None, Some(id)) => MediaSource::Uploaded(id),
        (None, None, None) => return Err(missing(part.place("file_data"))),
    };
    Ok(Part::File { name, source, cache })
}

/// The type of bytes of which only the name is known.
fn media_type_of(name: Option<&str>) -> &'static str {
    let ending = name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
    match ending.as_deref() {
        Some("pdf") | None => "application/pdf",
        Some("txt" | "md") => "text/plain",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some(_) => "application/octet-stream",
    }
}

fn missing(place: String) -> InvalidRequest {
    InvalidRequest::at(place, "This is required.")
}

/// A part of what people and tools say, as an upstream wants it; `None` where the dialect has no word for it.
pub(super) fn write_input(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text, .. } => Some(json!({"type": "input_text", "text": text})),
        Part::Image { source, detail, .. } => {
            let detail = detail.as_deref().unwrap_or("auto");
            let (key, value) = match source {
                MediaSource::Inline { media_type, base64 } => ("image_url", data_url(media_type, base64)),
                MediaSource::Url { url, .. } => ("image_url", url.clone()),
                MediaSource::Uploaded(id) => ("file_id", id.clone()),
                MediaSource::Text(_) => return None,
            };
            Some(json!({"type": "input_image", key: value, "detail": detail}))
        }
        Part::File { name, source, .. } => {
            let (key, value) = match source {
                MediaSource::Inline { media_type, base64 } => ("file_data", data_url(media_type, base64)),
                MediaSource::Url { url, .. } => ("file_url", url.clone()),
                MediaSource::Uploaded(id) => ("file_id", id.clone()),
                MediaSource::Text(text) => return Some(json!({"type": "input_text", "text": text})),
            };
            let mut file = Map::from_iter([("type".to_owned(), json!("input_file")), (key.to_owned(), json!(value))]);
            // OpenAI wants a name with bytes, and refuses one with an id or an address.
            if key == "file_data" {
                file.insert("filename".to_owned(), json!(name.as_deref().unwrap_or("document")));
            }
            Some(Value::Object(file))
        }
        Part::Audio(audio) if !audio.base64.is_empty() => {
            Some(json!({"type": "input_audio", "input_audio": {"data": audio.base64, "format": audio.format}}))
        }
        Part::Audio(Audio { transcript: Some(text), .. }) => Some(json!({"type": "input_text", "text": text})),
        Part::Audio(_)
        | Part::ToolCall { .. }
        | Part::ToolResult(_)
        | Part::Reasoning { .. }
        | Part::Refusal(_)
        | Part::Other(_) => None,
    }
}

/// A piece of a message of the model; what it spoke is said by its transcript.
pub(super) fn write_output(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text, citations, .. } => Some(output_text(text, &annotations(citations, text), &[])),
        Part::Refusal(refusal) => Some(refused(refusal)),
        Part::Audio(Audio { transcript: Some(text), .. }) => Some(output_text(text, &[], &[])),
        // A picture that lies elsewhere has no item; its address is said.
        Part::Image { source: MediaSource::Url { url, .. }, .. } => {
            Some(output_text(&format!("![image]({url})"), &[], &[]))
        }
        _ => None,
    }
}

/// A text of the model.
pub(super) fn output_text(text: &str, annotations: &[Value], logprobs: &[Value]) -> Value {
    json!({"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": text})
}

/// A refusal of the model.
pub(super) fn refused(refusal: &str) -> Value {
    json!({"type": "refusal", "refusal": refusal})
}

/// Citations in this dialect's words; those that name no address are left out.
pub(super) fn annotations(citations: &[Opaque], text: &str) -> Vec<Value> {
    citations.iter().filter_map(|citation| annotation(citation, text.chars().count())).collect()
}

/// One citation of a text of so many characters.
pub(super) fn annotation(citation: &Opaque, chars: usize) -> Option<Value> {
    if let Some(own) = citation.in_dialect(Dialect::Responses) {
        return Some(own.clone());
    }
    // Chat completions put the same fields one level deeper; others cite a whole text.
    let fields = citation.value.get("url_citation").unwrap_or(&citation.value);
    let url = fields.get("url").and_then(Value::as_str)?;
    let number = |key: &str, otherwise: usize| fields.get(key).and_then(Value::as_u64).unwrap_or(otherwise as u64);
    Some(json!({
        "type": "url_citation",
        "start_index": number("start_index", 0),
        "end_index": number("end_index", chars),
        "url": url,
        "title": fields.get("title").and_then(Value::as_str).unwrap_or_default(),
    }))
}
