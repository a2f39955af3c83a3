//! Parts of contents, as they are written: to a model, and to a client.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::family::Family;
use super::signature;
use crate::Dialect;
use crate::dialects::common::arguments_object;
use crate::model::{Audio, MediaSource, Message, Part, ToolOutcome};

/// Who reads what is written.
#[derive(Clone, Copy)]
pub(super) enum Reader<'a> {
    /// A model: it gets what it can use again.
    Model {
        family: Family,
        /// Names of tools by the ids of their calls.
        names: &'a HashMap<&'a str, &'a str>,
    },
    /// A client: it gets everything, thoughts only if it asked for them.
    Client { thoughts: bool },
}

/// The names of tools by the ids of their calls.
pub(super) fn names(messages: &[Message]) -> HashMap<&str, &str> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    let calls = parts.filter_map(|part| match part {
        Part::ToolCall { id, name, .. } => Some((id.as_str(), name.as_str())),
        _ => None,
    });
    calls.collect()
}

/// Appends what one part is in this dialect; nothing where it cannot be said.
pub(super) fn push(parts: &mut Vec<Value>, part: &Part, reader: Reader<'_>) {
    match part {
        Part::Text { text, .. } | Part::Refusal(text) if !text.is_empty() => parts.push(json!({ "text": text })),
        Part::Text { .. } | Part::Refusal(_) => {}
        Part::Image { source, .. } => parts.extend(media(source, "image/jpeg")),
        Part::File { source, .. } => parts.extend(media(source, "application/pdf")),
        Part::Audio(audio) => parts.extend(sound(audio)),
        Part::ToolCall { id, name, arguments, signature, .. } => {
            let mut call = json!({ "functionCall": { "id": id, "name": name, "args": arguments_object(arguments) } });
            let signature = signature.as_ref().and_then(|signature| match reader {
                Reader::Model { .. } => signature::of_google(signature).map(str::to_owned),
                Reader::Client { .. } => Some(signature::for_client(signature)),
            });
            if let (Some(signature), Some(call)) = (signature, call.as_object_mut()) {
                call.insert("thoughtSignature".to_owned(), signature.into());
            }
            parts.push(call);
        }
        Part::ToolResult(outcome) => result(parts, outcome, reader),
        Part::Reasoning { text, signature } => {
            let Some(signature) = signature else {
                return parts.extend(unsigned(text, reader));
            };
            match signature::of_previous(signature) {
                Some(previous) => sign_previous(parts, previous),
                None => parts.extend(signed(text, signature, reader)),
            }
        }
        Part::Other(opaque) => parts.extend(
            opaque.in_dialect(Dialect::GenerateContent).filter(|value| super::aside::of(value).is_none()).cloned(),
        ),
    }
}

/// A model makes nothing of thoughts that nobody signed.
fn unsigned(text: &str, reader: Reader<'_>) -> Option<Value> {
    let wanted = matches!(reader, Reader::Client { thoughts: true }) && !text.is_empty();
    wanted.then(|| json!({ "text": text, "thought": true }))
}

fn signed(text: &str, signature: &crate::model::Opaque, reader: Reader<'_>) -> Option<Value> {
    let (text, signature) = match reader {
        Reader::Model { .. } => (text, signature::of_google(signature)?.to_owned()),
        Reader::Client { thoughts: true } => (text, signature::for_client(signature)),
        // Google's signature stands without the words; others sign them.
        Reader::Client { thoughts: false } if text.is_empty() => (text, signature::for_client(signature)),
        Reader::Client { thoughts: false } => ("", signature::of_google(signature)?.to_owned()),
    };
    Some(match text {
        "" => json!({ "text": "", "thoughtSignature": signature }),
        text => json!({ "text": text, "thought": true, "thoughtSignature": signature }),
    })
}

fn sign_previous(parts: &mut Vec<Value>, signature: &str) {
    match parts.last_mut().and_then(Value::as_object_mut) {
        Some(last) if !last.contains_key("thoughtSignature") && !last.contains_key("functionCall") => {
            last.insert("thoughtSignature".to_owned(), signature.into());
        }
        _ => parts.push(json!({ "text": "", "thoughtSignature": signature })),
    }
}

/// Bytes or an address; `likely` is the media type of an address whose name does not tell.
fn media(source: &MediaSource, likely: &str) -> Option<Value> {
    Some(match source {
        MediaSource::Inline { media_type, base64 } => inline(media_type, base64),
        MediaSource::Url { url, media_type } => {
            let mut file = Map::from_iter([("fileUri".to_owned(), json!(url))]);
            // Google tells the type of what it keeps and of films by itself.
            let known = media_type.as_deref().or_else(|| by_ending(url));
            let guessed = known.or_else(|| (!is_googles(url)).then_some(likely));
            file.extend(guessed.map(|kind| ("mimeType".to_owned(), json!(kind))));
            json!({ "fileData": file })
        }
        MediaSource::Text(text) => json!({ "text": text }),
        // An id that only another provider knows.
        MediaSource::Uploaded(_) => return None,
    })
}

fn is_googles(url: &str) -> bool {
    let host = url.split("://").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
    ["youtube.com", "www.youtube.com", "youtu.be", "generativelanguage.googleapis.com"].contains(&host)
}

fn by_ending(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next()?;
    Some(match path.rsplit('.').next()?.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        _ => return None,
    })
}

fn inline(media_type: &str, base64: &str) -> Value {
    json!({ "inlineData": { "mimeType": media_type, "data": base64 } })
}

fn sound(audio: &Audio) -> Option<Value> {
    if audio.base64.is_empty() {
        return audio.transcript.as_ref().filter(|text| !text.is_empty()).map(|text| json!({ "text": text }));
    }
    let media_type = match audio.format.as_str() {
        // 24 kHz is what OpenAI's and Google's models both say and hear.
        "pcm16" => "audio/L16;rate=24000".to_owned(),
        format => format!("audio/{format}"),
    };
    Some(inline(&media_type, &audio.base64))
}

/// A result, with pictures inside where the model takes them there, else behind it.
fn result(parts: &mut Vec<Value>, outcome: &ToolOutcome, reader: Reader<'_>) {
    let mut texts = vec![];
    let mut pictures = vec![];
    for part in &outcome.content {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => texts.push(text.as_str()),
            other => push(&mut pictures, other, reader),
        }
    }
    let (inside, name) = match reader {
        Reader::Model { family, names } => {
            (family.takes_media_in_results(), names.get(outcome.call_id.as_str()).copied())
        }
        Reader::Client { .. } => (true, None),
    };
    let mut response = Map::new();
    response.insert("id".to_owned(), json!(outcome.call_id));
    // Google refuses a result without a name; an id is better than none.
    response.insert("name".to_owned(), json!(outcome.name.as_deref().or(name).unwrap_or(&outcome.call_id)));
    response.insert("response".to_owned(), told(&texts.join("\n"), outcome.is_error));
    let (within, behind): (Vec<Value>, Vec<Value>) =
        pictures.into_iter().partition(|part| inside && part.get("inlineData").is_some());
    if !within.is_empty() {
        response.insert("parts".to_owned(), within.into());
    }
    parts.push(json!({ "functionResponse": response }));
    parts.extend(behind);
}

/// An object is the result itself, unless it would be read as a result within a result.
fn told(text: &str, is_error: bool) -> Value {
    if is_error {
        return json!({ "error": text });
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map))
            if !map.is_empty() && (map.len() > 1 || !(map.contains_key("output") || map.contains_key("error"))) =>
        {
            map.into()
        }
        _ => json!({ "output": text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Author, Opaque};

    fn for_model(model: &str, part: &Part) -> Vec<Value> {
        let mut parts = vec![];
        push(&mut parts, part, Reader::Model { family: Family::of(model), names: &HashMap::new() });
        parts
    }

    fn outcome(content: Vec<Part>, is_error: bool) -> Part {
        Part::ToolResult(ToolOutcome { call_id: "c1".to_owned(), name: None, content, is_error, cache: None })
    }

    #[test]
    fn a_result_gets_the_name_of_its_call_and_is_an_object() {
        let call = Part::ToolCall {
            id: "c1".to_owned(),
            name: "weather".to_owned(),
            arguments: String::new(),
            custom: false,
            signature: None,
        };
        let messages = [Message { author: Author::Assistant, name: None, parts: vec![call] }];
        let names = names(&messages);
        let mut parts = vec![];
        let reader = Reader::Model { family: Family::Unknown, names: &names };
        for text in ["18 °C", r#"{"t":18}"#, r#"{"output":1}"#, "[1]"] {
            push(&mut parts, &outcome(vec![Part::text(text)], false), reader);
        }
        push(&mut parts, &outcome(vec![Part::text("no")], true), reader);
        let responses: Vec<&Value> = parts.iter().map(|part| &part["functionResponse"]["response"]).collect();
        assert_eq!(parts[0]["functionResponse"]["name"], "weather");
        let expected = [
            json!({ "output": "18 °C" }),
            json!({ "t": 18 }),
            json!({ "output": r#"{"output":1}"# }),
            json!({ "output": "[1]" }),
            json!({ "error": "no" }),
        ];
        assert_eq!(responses, expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_picture_in_a_result_is_inside_it_for_models_that_take_it_there_and_behind_it_for_others() {
        let source = MediaSource::Inline { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() };
        let part = outcome(vec![Part::Image { source, detail: None, cache: None }], false);
        let [one] = &for_model("gemini-3-flash", &part)[..] else { panic!("one part") };
        assert_eq!(one["functionResponse"]["parts"][0]["inlineData"]["data"], "aGk=");
        let [result, picture] = &for_model("gemini-2.5-flash", &part)[..] else { panic!("two parts") };
        assert!(result["functionResponse"].get("parts").is_none());
        assert_eq!(picture["inlineData"]["mimeType"], "image/png");
    }

    #[test]
    fn thoughts_of_others_and_those_that_nobody_signed_go_to_no_model() {
        let theirs = Opaque { dialect: Dialect::Messages, value: "EqQB".into() };
        for signature in [None, Some(theirs)] {
            assert!(for_model("gemini-3-pro", &Part::Reasoning { text: "hm".to_owned(), signature }).is_empty());
        }
    }

    #[test]
    fn an_address_has_the_type_that_its_name_tells_and_a_film_of_youtube_none() {
        let url = |url: &str| Part::Image {
            source: MediaSource::Url { url: url.to_owned(), media_type: None },
            detail: None,
            cache: None,
        };
        let kind = |at: &str| for_model("gemini-2.5-pro", &url(at))[0]["fileData"].get("mimeType").cloned();
        assert_eq!(kind("https://x.example/a.PNG?size=2"), Some("image/png".into()));
        assert_eq!(kind("https://x.example/a"), Some("image/jpeg".into()));
        assert_eq!(kind("https://youtu.be/9hE5-98ZeCg"), None);
    }
}
