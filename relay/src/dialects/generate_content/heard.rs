//! Parts of contents, as they are read: what a client says, and what a model says.
//!
//! Source: `Part` of google.ai.generativelanguage.v1beta (ai.google.dev/api/caching#Part). A part that only Google knows
//! (code that was executed, a tool that ran at the server, a video with its frames) stays as it is.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::signature;
use crate::dialects::common::Fields;
use crate::model::{Audio, MediaSource, Opaque, Part, ToolOutcome};
use crate::{Dialect, InvalidRequest};

/// Characters of an id that is made here.
const ID_CHARS: usize = 24;

/// Calls of tools and the names that match them with their results. Older models give no ids; those that are made here
/// are the same whenever the same conversation is read, and of different conversations differ.
pub(super) struct Calls {
    seed: String,
    made: u32,
    /// Calls without a result yet, as (id, name).
    open: Vec<(String, String)>,
}

impl Calls {
    /// For the conversation or the answer that `seed` tells from all others.
    pub(super) fn of(seed: impl Into<String>) -> Self {
        Self { seed: seed.into(), made: 0, open: vec![] }
    }

    /// How many have been read.
    pub(super) fn made(&self) -> u32 {
        self.made
    }

    fn call(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| self.make(name));
        self.made += 1;
        self.open.push((id.clone(), name.to_owned()));
        id
    }

    /// The id of the call that a result belongs to: the one it names, else the oldest open one of that tool.
    fn result(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty());
        let at = match &id {
            Some(id) => self.open.iter().position(|(open, _)| open == id),
            None => self.open.iter().position(|(_, open)| open == name),
        };
        let matched = at.map(|at| self.open.remove(at).0);
        id.or(matched).unwrap_or_else(|| self.make(name))
    }

    fn make(&self, name: &str) -> String {
        let hash = Sha256::new().chain_update(&self.seed).chain_update(self.made.to_be_bytes()).chain_update(name);
        let mut id = hex::encode(hash.finalize());
        id.truncate(ID_CHARS);
        format!("call_{id}")
    }
}

/// The parts of the model's that one of Google's parts is; usually one, none of an empty one.
///
/// # Errors
/// It is malformed; `place` says where it stands.
pub(super) fn parts(part: Value, place: &str, calls: &mut Calls) -> Result<Vec<Part>, InvalidRequest> {
    let Value::Object(part) = part else { return Err(InvalidRequest::at(place, "This must be an object.")) };
    let whole = part.clone();
    let mut fields = Fields::new(part, place);
    let signed: Option<String> = fields.take::<String>("thoughtSignature")?.filter(|signature| !signature.is_empty());
    let thought = fields.take::<bool>("thought")?.unwrap_or(false);
    if let Some(call) = fields.object("functionCall")? {
        return Ok(vec![tool_call(call, signed, calls)?]);
    }
    if let Some(response) = fields.object("functionResponse")? {
        return Ok(vec![Part::ToolResult(outcome(response, calls)?)]);
    }
    let text = fields.take::<String>("text")?;
    let data = match (fields.object("inlineData")?, fields.object("fileData")?) {
        (Some(inline), _) => Some(inline_data(inline)?),
        (None, Some(file)) => Some(file_data(file)?),
        (None, None) => None,
    };
    fields.take::<Value>("partMetadata")?;
    let is_plain = fields.rest().is_empty();
    Ok(match (text, data) {
        (Some(text), _) if thought => thoughts(text, signed),
        (Some(text), _) => texts(text, signed),
        (None, Some(data)) if is_plain => followed(data, signed.as_deref()),
        (None, None) if is_plain => thoughts(String::new(), signed),
        _ => vec![Part::Other(Opaque { dialect: Dialect::GenerateContent, value: whole.into() })],
    })
}

fn thoughts(text: String, signed: Option<String>) -> Vec<Part> {
    if text.is_empty() && signed.is_none() {
        return vec![];
    }
    vec![Part::Reasoning { text, signature: signed.map(signature::read) }]
}

fn texts(text: String, signed: Option<String>) -> Vec<Part> {
    if text.is_empty() { thoughts(text, signed) } else { followed(Part::text(text), signed.as_deref()) }
}

fn followed(part: Part, signed: Option<&str>) -> Vec<Part> {
    std::iter::once(part).chain(signed.map(signature::read_behind)).collect()
}

fn tool_call(mut call: Fields, signed: Option<String>, calls: &mut Calls) -> Result<Part, InvalidRequest> {
    let name: String = call.need("name")?;
    let id = calls.call(call.take("id")?, &name);
    let arguments = call.take::<Map<String, Value>>("args")?.unwrap_or_default();
    Ok(Part::ToolCall {
        id,
        name,
        arguments: Value::Object(arguments).to_string(),
        custom: false,
        signature: signed.map(signature::read),
    })
}

/// The guide's convention: `output` or `error` alone is the result; any other object is the result as a whole.
fn outcome(mut response: Fields, calls: &mut Calls) -> Result<ToolOutcome, InvalidRequest> {
    let name: String = response.need("name")?;
    let call_id = calls.result(response.take("id")?, &name);
    let mut told = response.take::<Map<String, Value>>("response")?.unwrap_or_default();
    let alone = told.len() == 1;
    let (result, is_error) = match (told.get_mut("output"), alone) {
        (Some(output), true) => (output.take(), false),
        _ => match told.get_mut("error") {
            Some(error) if alone => (error.take(), true),
            _ => (if told.is_empty() { Value::Null } else { Value::Object(told) }, false),
        },
    };
    let text = match result {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut content: Vec<Part> = (!text.is_empty()).then(|| Part::text(text)).into_iter().collect();
    let place = response.place("parts");
    for (at, part) in response.take::<Vec<Value>>("parts")?.unwrap_or_default().into_iter().enumerate() {
        content.extend(parts(part, &format!("{place}[{at}]"), calls)?);
    }
    Ok(ToolOutcome { call_id, name: Some(name), content, is_error, cache: None })
}

fn inline_data(mut blob: Fields) -> Result<Part, InvalidRequest> {
    let media_type: String = blob.need("mimeType")?;
    let base64 = standard(blob.need("data")?);
    let name = blob.take("displayName")?;
    let source = |media_type| MediaSource::Inline { media_type, base64: base64.clone() };
    Ok(match media_type.split_once('/') {
        Some(("image", _)) => Part::Image { source: source(media_type), detail: None, cache: None },
        Some(("audio", format)) => {
            Part::Audio(Audio { format: audio_format(format), base64, transcript: None, id: None })
        }
        _ => Part::File { name, source: source(media_type), cache: None },
    })
}

/// Bytes in the alphabet of everybody else: Google's SDKs write the one for addresses, and both may lack their padding.
fn standard(base64: String) -> String {
    let is_standard = base64.len().is_multiple_of(4) && !base64.contains(['-', '_']);
    if is_standard {
        return base64;
    }
    let mut standard = base64.trim_end_matches('=').replace('-', "+").replace('_', "/");
    standard.extend(std::iter::repeat_n('=', (4 - standard.len() % 4) % 4));
    standard
}

/// Puts together what a client kept of a stream, piece by piece: thoughts that follow each other are one thought, up to
/// their signature.
pub(super) fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut whole: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        match (whole.last_mut(), part) {
            (
                Some(Part::Reasoning { text, signature: signature @ None }),
                Part::Reasoning { text: more, signature: end },
            ) if end.as_ref().is_none_or(|end| end.dialect != Dialect::GenerateContent) => {
                text.push_str(&more);
                *signature = end;
            }
            (_, part) => whole.push(part),
        }
    }
    whole
}

fn file_data(mut file: Fields) -> Result<Part, InvalidRequest> {
    let url: String = file.need("fileUri")?;
    let media_type: Option<String> = file.take("mimeType")?;
    let name = file.take("displayName")?;
    let is_image = media_type.as_deref().is_some_and(|kind| kind.starts_with("image/"));
    let source = MediaSource::Url { url, media_type };
    Ok(if is_image {
        Part::Image { source, detail: None, cache: None }
    } else {
        Part::File { name, source, cache: None }
    })
}

/// OpenAI's name of a format, of what follows `audio/`.
fn audio_format(subtype: &str) -> String {
    match subtype.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "mpeg" | "mp3" => "mp3".to_owned(),
        "wav" | "x-wav" | "wave" => "wav".to_owned(),
        "l16" | "pcm" => "pcm16".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(part: Value) -> Vec<Part> {
        parts(part, "contents[0].parts[0]", &mut Calls::of("seed")).unwrap()
    }

    #[test]
    fn a_part_that_only_google_knows_stays_as_it_is() {
        for part in [
            json!({ "executableCode": { "language": "PYTHON", "code": "1" } }),
            json!({ "fileData": { "fileUri": "https://youtu.be/x" }, "videoMetadata": { "fps": 5 } }),
            json!({ "toolCall": { "id": "1", "toolType": "GOOGLE_SEARCH_WEB" }, "thoughtSignature": "c2ln" }),
        ] {
            assert!(read(part.clone()) == [Part::Other(Opaque { dialect: Dialect::GenerateContent, value: part })]);
        }
    }

    #[test]
    fn an_empty_part_is_none_and_an_empty_text_with_a_signature_is_a_hidden_thought() {
        assert!(read(json!({})).is_empty());
        assert!(read(json!({ "text": "" })).is_empty());
        let signature = Some(Opaque { dialect: Dialect::GenerateContent, value: "c2ln".into() });
        let hidden = [Part::Reasoning { text: String::new(), signature }];
        assert!(read(json!({ "text": "", "thoughtSignature": "c2ln" })) == hidden);
    }

    #[test]
    fn results_without_ids_belong_to_the_oldest_open_call_of_their_tool() {
        let mut calls = Calls::of("seed");
        let first = calls.call(None, "f");
        let other = calls.call(None, "g");
        let second = calls.call(None, "f");
        assert!(first != second && first.starts_with("call_"));
        assert_eq!(calls.result(None, "g"), other);
        assert_eq!(calls.result(None, "f"), first);
        assert_eq!(calls.result(Some(String::new()), "f"), second);
        assert_eq!(Calls::of("seed").call(None, "f"), first, "the same whenever it is read");
        assert_ne!(Calls::of("another").call(None, "f"), first);
    }

    #[test]
    fn a_result_is_its_output_its_error_or_the_whole_object() {
        let told = |response: Value| {
            let part = json!({ "functionResponse": { "name": "f", "id": "1", "response": response } });
            let Some(Part::ToolResult(outcome)) = read(part).pop() else { panic!("no result") };
            let text = match outcome.content.first() {
                Some(Part::Text { text, .. }) => text.clone(),
                _ => String::new(),
            };
            (text, outcome.is_error)
        };
        assert_eq!(told(json!({ "output": "18 °C" })), ("18 °C".to_owned(), false));
        assert_eq!(told(json!({ "error": "no such city" })), ("no such city".to_owned(), true));
        assert_eq!(told(json!({ "t": 18, "output": "x" })), (r#"{"t":18,"output":"x"}"#.to_owned(), false));
        assert_eq!(told(json!({})), (String::new(), false));
    }

    #[test]
    fn bytes_are_told_in_the_standard_alphabet_whatever_the_sdk_wrote() {
        for (sent, told) in [("-_-_", "+/+/"), ("aGk", "aGk="), ("aGk=", "aGk="), ("_w", "/w==")] {
            let part = json!({ "inlineData": { "mimeType": "image/png", "data": sent } });
            let source = MediaSource::Inline { media_type: "image/png".to_owned(), base64: told.to_owned() };
            assert!(read(part) == [Part::Image { source, detail: None, cache: None }], "{sent}");
        }
    }

    #[test]
    fn pieces_of_thoughts_are_one_thought_up_to_their_signature() {
        let thought = |text: &str, signature: Option<&str>| Part::Reasoning {
            text: text.to_owned(),
            signature: signature.map(|value| Opaque { dialect: Dialect::Messages, value: value.into() }),
        };
        let pieces = vec![thought("It ", None), thought("rains.", None), thought("", Some("s1")), thought("So", None)];
        assert!(joined(pieces) == [thought("It rains.", Some("s1")), thought("So", None)]);
        let googles = Opaque { dialect: Dialect::GenerateContent, value: "sig".into() };
        let apart = vec![thought("Hm", None), Part::Reasoning { text: String::new(), signature: Some(googles) }];
        assert!(joined(apart.clone()) == apart, "Google's own stays on its part");
    }

    #[test]
    fn a_malformed_part_is_named_and_not_quoted() {
        let error = parts(json!({ "text": ["secret"] }), "contents[1].parts[2]", &mut Calls::of("")).err().unwrap();
        assert_eq!(error.param.as_deref(), Some("contents[1].parts[2].text"));
        assert!(!error.message.contains("secret"));
    }
}
