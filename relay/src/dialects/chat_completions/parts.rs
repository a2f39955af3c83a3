//! The parts of a message's content, to and from the wire.
//!
//! Sources: OpenAI, "Create chat completion: messages" (text, image_url, input_audio, file, refusal); Moonshot and
//! DashScope for `video_url`; Mistral for `thinking`; Anthropic's `cache_control` as OpenRouter and DashScope take it.

use serde_json::{Map, Value, json};

use super::quirks::Quirks;
use crate::dialects::common::{Fields, data_url, media_of_url};
use crate::model::{Audio, MediaSource, Opaque, Part};
use crate::{Dialect, InvalidRequest};

/// What a video is called where its address does not say.
const VIDEO: &str = "video/mp4";

/// Reads `content`: a string, a list of parts, or nothing. Texts of nothing are left out.
///
/// # Errors
/// It is anything else, or a part lacks what its type demands.
pub(super) fn read_content(content: Value, place: &str) -> Result<Vec<Part>, InvalidRequest> {
    match content {
        Value::Null => Ok(vec![]),
        Value::String(text) if text.is_empty() => Ok(vec![]),
        Value::String(text) => Ok(vec![Part::text(text)]),
        Value::Array(parts) => {
            let mut read = Vec::with_capacity(parts.len());
            for (index, part) in parts.into_iter().enumerate() {
                read.extend(read_part(part, format!("{place}[{index}]"))?);
            }
            Ok(read)
        }
        _ => Err(InvalidRequest::at(place, "This must be a string or an array of parts.")),
    }
}

fn read_part(part: Value, place: String) -> Result<Option<Part>, InvalidRequest> {
    if let Value::String(text) = part {
        return Ok((!text.is_empty()).then(|| Part::text(text)));
    }
    let kind = part.get("type").and_then(Value::as_str).unwrap_or("text").to_owned();
    let is_known = ["text", "refusal", "image_url", "video_url", "input_audio", "file", "thinking"].contains(&&*kind);
    if !is_known {
        return Ok(Some(Part::Other(Opaque { dialect: Dialect::ChatCompletions, value: part })));
    }
    let mut fields = Fields::of(part, place)?;
    let cache = fields.take::<Map<String, Value>>("cache_control")?.map(Value::Object);
    Ok(Some(match &*kind {
        "text" => match fields.need::<String>("text")? {
            text if text.is_empty() => return Ok(None),
            text => Part::Text { text, citations: vec![], cache },
        },
        "refusal" => Part::Refusal(fields.need("refusal")?),
        "image_url" => {
            let (url, detail) = read_address(&mut fields, "image_url")?;
            Part::Image { source: media_of_url(url), detail, cache }
        }
        "video_url" => {
            let source = match media_of_url(read_address(&mut fields, "video_url")?.0) {
                MediaSource::Url { url, .. } => MediaSource::Url { url, media_type: Some(VIDEO.to_owned()) },
                inline => inline,
            };
            Part::File { name: None, source, cache }
        }
        "input_audio" => {
            let mut audio = fields.object("input_audio")?.ok_or_else(|| required(&fields, "input_audio"))?;
            let (format, base64) = (audio.need("format")?, audio.need("data")?);
            Part::Audio(Audio { format, base64, transcript: None, id: None })
        }
        "file" => read_file(&mut fields, cache)?,
        _ => {
            let thoughts = read_content(fields.take("thinking")?.unwrap_or_default(), &fields.place("thinking"))?;
            let text = thoughts.iter().filter_map(plain_text).collect();
            Part::Reasoning { text, signature: None }
        }
    }))
}

fn required(fields: &Fields, key: &str) -> InvalidRequest {
    InvalidRequest::at(fields.place(key), "This is required.")
}

/// An address that is given as an object with `url`, or as a string by clients that save a step.
fn read_address(fields: &mut Fields, key: &str) -> Result<(String, Option<String>), InvalidRequest> {
    match fields.need::<Value>(key)? {
        Value::String(url) => Ok((url, None)),
        object => {
            let mut object = Fields::of(object, fields.place(key))?;
            Ok((object.need("url")?, object.take("detail")?))
        }
    }
}

fn read_file(fields: &mut Fields, cache: Option<Value>) -> Result<Part, InvalidRequest> {
    let mut file = fields.object("file")?.ok_or_else(|| required(fields, "file"))?;
    let name = file.take("filename")?;
    let source = match file.take::<String>("file_id")? {
        Some(id) => MediaSource::Uploaded(id),
        None => media_of_url(file.need("file_data")?),
    };
    Ok(Part::File { name, source, cache })
}

fn plain_text(part: &Part) -> Option<&str> {
    match part {
        Part::Text { text, .. } => Some(text),
        _ => None,
    }
}

/// The `content` of a message of those parts: one string where they are one plain text, or must be.
pub(super) fn write_content<'a>(parts: impl IntoIterator<Item = &'a Part>, quirks: &Quirks) -> Value {
    let parts: Vec<&Part> = parts.into_iter().collect();
    let is_plain = |part: &&Part| match part {
        Part::Text { cache, .. } => cache.is_none() || !quirks.cache_control,
        _ => false,
    };
    let text = || parts.iter().filter_map(|part| plain_text(part));
    match parts.as_slice() {
        [one] if is_plain(one) => text().collect::<String>().into(),
        all if quirks.flat_text && all.iter().all(is_plain) => text().collect::<Vec<_>>().join("\n\n").into(),
        all => all.iter().filter_map(|part| write_part(part, quirks)).collect(),
    }
}

/// A part, if the dialect can say it.
fn write_part(part: &Part, quirks: &Quirks) -> Option<Value> {
    let (mut value, cache) = match part {
        Part::Text { text, cache, .. } => (json!({"type": "text", "text": text}), cache),
        Part::Image { source, detail, cache } => (write_image(source, detail.as_deref())?, cache),
        Part::File { name, source, cache } => (write_file(name.as_deref(), source), cache),
        Part::Audio(audio) if !audio.base64.is_empty() => {
            (json!({"type": "input_audio", "input_audio": {"data": audio.base64, "format": audio.format}}), &None)
        }
        Part::Refusal(text) => (json!({"type": "refusal", "refusal": text}), &None),
        Part::Other(opaque) => (opaque.in_dialect(Dialect::ChatCompletions)?.clone(), &None),
        Part::Audio(_) | Part::ToolCall { .. } | Part::ToolResult(_) | Part::Reasoning { .. } => return None,
    };
    if let (Some(cache), Some(fields), true) = (cache, value.as_object_mut(), quirks.cache_control) {
        fields.insert("cache_control".to_owned(), cache.clone());
    }
    Some(value)
}

/// A picture as a part; what was uploaded elsewhere has no place here.
pub(super) fn write_image(source: &MediaSource, detail: Option<&str>) -> Option<Value> {
    let url = match source {
        MediaSource::Inline { media_type, base64 } => data_url(media_type, base64),
        MediaSource::Url { url, .. } => url.clone(),
        MediaSource::Text(text) => return Some(json!({"type": "text", "text": text})),
        MediaSource::Uploaded(_) => return None,
    };
    let mut image = json!({"type": "image_url", "image_url": {"url": url}});
    if let Some(detail) = detail {
        image["image_url"]["detail"] = detail.into();
    }
    Some(image)
}

fn write_file(name: Option<&str>, source: &MediaSource) -> Value {
    let mut file = Map::new();
    if let Some(name) = name {
        file.insert("filename".to_owned(), name.into());
    }
    let data = match source {
        MediaSource::Text(text) => return json!({"type": "text", "text": text}),
        MediaSource::Uploaded(id) => {
            file.insert("file_id".to_owned(), id.as_str().into());
            return json!({"type": "file", "file": file});
        }
        MediaSource::Inline { media_type, base64 } => (data_url(media_type, base64), media_type.as_str()),
        MediaSource::Url { url, media_type } => (url.clone(), media_type.as_deref().unwrap_or_default()),
    };
    if data.1.starts_with("video/") {
        return json!({"type": "video_url", "video_url": {"url": data.0}});
    }
    file.insert("file_data".to_owned(), data.0.into());
    json!({"type": "file", "file": file})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: Value) -> Result<Vec<Part>, InvalidRequest> {
        read_content(content, "messages[0].content")
    }

    #[test]
    fn every_part_of_openai_is_read_and_written_again() {
        let content = json!([
            {"type": "text", "text": "Look", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk=", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "video_url", "video_url": {"url": "https://x.example/a.mp4"}},
            {"type": "refusal", "refusal": "No."},
            {"type": "something_new", "x": 1},
        ]);
        let parts = read(content.clone()).unwrap();
        let quirks = Quirks { cache_control: true, ..Quirks::OPENAI };
        assert_eq!(write_content(&parts, &quirks), content);
        let without = write_content(&parts, &Quirks::OPENAI);
        assert_eq!(without[0], json!({"type": "text", "text": "Look"}));
    }

    #[test]
    fn one_plain_text_is_a_string_and_several_are_where_a_server_wants_it() {
        let parts = [Part::text("a"), Part::text("b")];
        assert_eq!(write_content(&parts[..1], &Quirks::OPENAI), json!("a"));
        assert_eq!(write_content(&parts, &Quirks::OPENAI).as_array().map(Vec::len), Some(2));
        assert_eq!(write_content(&parts, &Quirks { flat_text: true, ..Quirks::OPENAI }), json!("a\n\nb"));
    }

    #[test]
    fn short_forms_are_taken_and_nothing_is_nothing() {
        assert!(read(json!("")).unwrap().is_empty() && read(json!(null)).unwrap().is_empty());
        assert!(read(json!(["a", {"text": "b"}])).unwrap() == [Part::text("a"), Part::text("b")]);
        let short = read(json!([{"type": "image_url", "image_url": "https://x.example/a.png"}])).unwrap();
        assert!(matches!(&short[0], Part::Image { source: MediaSource::Url { .. }, .. }));
        let mistral = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]);
        assert!(read(mistral).unwrap() == [Part::Reasoning { text: "Hm.".to_owned(), signature: None }]);
    }

    #[test]
    fn a_part_that_lacks_something_is_named() {
        for (part, place) in [
            (json!({"type": "text"}), "messages[0].content[0].text"),
            (json!({"type": "image_url"}), "messages[0].content[0].image_url"),
            (json!({"type": "image_url", "image_url": {}}), "messages[0].content[0].image_url.url"),
            (json!({"type": "input_audio", "input_audio": {"data": ""}}), "messages[0].content[0].input_audio.format"),
            (json!({"type": "file", "file": {}}), "messages[0].content[0].file.file_data"),
        ] {
            assert_eq!(read(json!([part])).unwrap_err().param.as_deref(), Some(place));
        }
        assert_eq!(read(json!(7)).unwrap_err().param.as_deref(), Some("messages[0].content"));
    }
}
