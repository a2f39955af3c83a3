//! What a client asks.

use serde_json::{Map, Value, json};

use super::{case, config, heard, tools};
use crate::dialects::common::Fields;
use crate::model::{Author, Message, Opaque, Prompt};
use crate::{Dialect, InvalidRequest};

/// The question in a client's body. The model and whether the answer comes in steps stand in the path, not here.
///
/// # Errors
/// It is malformed; the error names the place.
pub(super) fn read(body: Map<String, Value>) -> Result<Prompt, InvalidRequest> {
    let mut body = Fields::new(case::camel_cased(body), "");
    let mut prompt = Prompt::default();
    if let Some(model) = body.take::<String>("model")? {
        prompt.model = model.strip_prefix("models/").unwrap_or(&model).to_owned();
    }
    let contents: Vec<Value> = body.need("contents")?;
    if contents.is_empty() {
        return Err(InvalidRequest::at("contents", "This must not be empty."));
    }
    let mut calls = heard::Calls::of(contents.first().map(Value::to_string).unwrap_or_default());
    if let Some(instruction) = body.take::<Value>("systemInstruction")? {
        prompt.messages.extend(system(instruction, &mut calls)?);
    }
    for (at, content) in contents.into_iter().enumerate() {
        prompt.messages.extend(message(content, &format!("contents[{at}]"), &mut calls)?);
    }
    prompt.tools = tools::read(body.take("tools")?.unwrap_or_default())?;
    let mut rest_of_tools = Map::new();
    if let Some(mut config) = body.object("toolConfig")? {
        if let Some(mut calling) = config.object("functionCallingConfig")? {
            let (choice, mut kept) = tools::read_choice(&mut calling)?;
            prompt.tool_choice = choice;
            kept.extend(calling.rest());
            keep(&mut rest_of_tools, "functionCallingConfig", kept);
        }
        rest_of_tools.extend(config.rest());
    }
    let rest_of_config = match body.object("generationConfig")? {
        Some(generation) => config::read(generation, &mut prompt)?,
        None => Map::new(),
    };
    prompt.service_tier = body.take::<String>("serviceTier")?.map(|tier| service_tier(&tier));
    let mut extra = body.rest();
    keep(&mut extra, "toolConfig", rest_of_tools);
    keep(&mut extra, "generationConfig", rest_of_config);
    prompt.extra =
        (!extra.is_empty()).then(|| Opaque { dialect: Dialect::GenerateContent, value: Value::Object(extra) });
    Ok(prompt)
}

fn keep(extra: &mut Map<String, Value>, key: &str, rest: Map<String, Value>) {
    if !rest.is_empty() {
        extra.insert(key.to_owned(), rest.into());
    }
}

/// OpenAI's word for what Google calls the standard.
fn service_tier(tier: &str) -> String {
    match tier.to_ascii_lowercase().as_str() {
        "standard" | "unspecified" => "default".to_owned(),
        other => other.to_owned(),
    }
}

/// A content, one part or a bare text: the SDKs and old clients send each of them.
fn system(instruction: Value, calls: &mut heard::Calls) -> Result<Option<Message>, InvalidRequest> {
    let parts = match instruction {
        Value::String(text) => json!([{ "text": text }]),
        Value::Object(mut content) => match content.remove("parts") {
            Some(parts) => parts,
            None => json!([content]),
        },
        other => other,
    };
    let parts = read_parts(parts, "systemInstruction.parts", calls)?;
    Ok((!parts.is_empty()).then_some(Message { author: Author::System, name: None, parts }))
}

fn message(content: Value, place: &str, calls: &mut heard::Calls) -> Result<Option<Message>, InvalidRequest> {
    let mut content = Fields::of(content, place)?;
    let author = match content.take::<String>("role")?.as_deref() {
        None | Some("user" | "function" | "") => Author::User,
        Some("model") => Author::Assistant,
        Some(_) => return Err(InvalidRequest::at(content.place("role"), "Valid roles are `user` and `model`.")),
    };
    let at = content.place("parts");
    let parts = read_parts(content.take::<Value>("parts")?.unwrap_or_else(|| json!([])), &at, calls)?;
    Ok((!parts.is_empty()).then_some(Message { author, name: None, parts }))
}

/// Protocol buffers in JSON take a single value where a list is meant.
fn read_parts(parts: Value, place: &str, calls: &mut heard::Calls) -> Result<Vec<crate::model::Part>, InvalidRequest> {
    let parts = match parts {
        Value::Array(parts) => parts,
        one @ Value::Object(_) => vec![one],
        _ => return Err(InvalidRequest::at(place, "This must be a list of parts.")),
    };
    let mut read = vec![];
    for (at, part) in parts.into_iter().enumerate() {
        read.extend(heard::parts(part, &format!("{place}[{at}]"), calls)?);
    }
    Ok(heard::joined(read))
}
