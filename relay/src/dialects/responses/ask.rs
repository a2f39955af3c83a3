//! What a client asks: the body of `POST /v1/responses`.
//!
//! Source: OpenAI's API reference, "Responses", "Create a model response", and the types of its Python SDK 3.54. What
//! has no place in the model of all dialects stays in [`Prompt::extra`], in the same place as in the body.

use serde_json::{Map, Value, json};

use super::items::Conversation;
use crate::dialects::common::Fields;
use crate::model::{Author, Effort, Message, Opaque, OutputFormat, Prompt, Reasoning, Sampling, Tool, ToolChoice};
use crate::{Dialect, InvalidRequest};

/// Parameters that ask for state or work that is not here. A client that sent one must not believe that it worked.
const NOT_HERE: [(&str, &str); 2] = [
    ("conversation", "Conversations are not kept here; use `previous_response_id`."),
    ("prompt", "Prompt templates are not kept here; send `instructions` and `input`."),
];
/// Thoughts are always given with their signature.
const ENCRYPTED: &str = "reasoning.encrypted_content";
/// Asks for probabilities.
pub(super) const LOGPROBS: &str = "message.output_text.logprobs";

/// Reads a body; see [`crate::Served::read`].
pub(super) fn read(body: Map<String, Value>) -> Result<Prompt, InvalidRequest> {
    let mut fields = Fields::new(body, "");
    for (key, message) in NOT_HERE {
        if fields.take::<Value>(key)?.is_some() {
            return Err(InvalidRequest::at(key, message));
        }
    }
    if fields.take::<bool>("background")? == Some(true) {
        return Err(InvalidRequest::at("background", "Answers in the background are not served here."));
    }
    let mut extra = Map::new();
    let (format, verbosity) = text(&mut fields)?;
    insert_object(&mut extra, "text", verbosity);
    let (reasoning, more) = reasoning(&mut fields)?;
    insert_object(&mut extra, "reasoning", more);
    let tools = tools(&mut fields)?;
    let (tool_choice, tools) = tool_choice(&mut fields, tools, &mut extra)?;
    let logprobs = logprobs(&mut fields, &mut extra)?;
    let user_tag = user_tag(&mut fields, &mut extra)?;
    let sampling =
        Sampling { temperature: fields.take("temperature")?, top_p: fields.take("top_p")?, ..Sampling::default() };
    let mut prompt = Prompt {
        model: fields.need("model")?,
        messages: messages(&mut fields)?,
        tools,
        tool_choice,
        parallel_tool_calls: fields.take("parallel_tool_calls")?,
        sampling,
        max_output_tokens: fields.bound("max_output_tokens")?,
        format,
        reasoning,
        logprobs,
        cache_key: fields.take("prompt_cache_key")?,
        service_tier: fields.take("service_tier")?,
        user_tag,
        metadata: fields.take("metadata")?.unwrap_or_default(),
        stream: fields.take("stream")?.unwrap_or_default(),
        ..Prompt::default()
    };
    extra.extend(fields.rest());
    prompt.extra = (!extra.is_empty()).then(|| Opaque { dialect: Dialect::Responses, value: Value::Object(extra) });
    Ok(prompt)
}

fn insert_object(extra: &mut Map<String, Value>, key: &str, object: Map<String, Value>) {
    if !object.is_empty() {
        extra.insert(key.to_owned(), Value::Object(object));
    }
}

fn messages(fields: &mut Fields) -> Result<Vec<Message>, InvalidRequest> {
    let mut conversation = Conversation::default();
    match fields.take("instructions")? {
        None => {}
        Some(Value::String(text)) => conversation.push(Message::text(Author::System, text)),
        Some(Value::Array(items)) => conversation.read(items, "instructions")?,
        Some(_) => return Err(InvalidRequest::at("instructions", "This must be a text.")),
    }
    match fields.need("input")? {
        Value::String(text) => conversation.push(Message::text(Author::User, text)),
        Value::Array(items) => conversation.read(items, "input")?,
        _ => return Err(InvalidRequest::at("input", "This must be a text or a list of items.")),
    }
    Ok(conversation.into_messages())
}

/// `text`, and what of it nobody knows.
fn text(fields: &mut Fields) -> Result<(OutputFormat, Map<String, Value>), InvalidRequest> {
    let Some(mut text) = fields.object("text")? else { return Ok((OutputFormat::Text, Map::new())) };
    let Some(mut format) = text.object("format")? else { return Ok((OutputFormat::Text, text.rest())) };
    let kind: String = format.need("type")?;
    let format = match kind.as_str() {
        "text" => OutputFormat::Text,
        "json_object" => OutputFormat::Json,
        "json_schema" => OutputFormat::Schema {
            name: format.need("name")?,
            description: format.take("description")?,
            schema: format.need("schema")?,
            strict: format.take("strict")?,
        },
        _ => return Err(InvalidRequest::at(format.place("type"), "This format is not known.")),
    };
    Ok((format, text.rest()))
}

/// `reasoning`, and what of it nobody knows; also the words that are finer than ours.
fn reasoning(fields: &mut Fields) -> Result<(Option<Reasoning>, Map<String, Value>), InvalidRequest> {
    let Some(mut reasoning) = fields.object("reasoning")? else { return Ok((None, Map::new())) };
    let (word, place) = (reasoning.take::<String>("effort")?, reasoning.place("effort"));
    let summary: Option<String> = reasoning.take("summary")?;
    let mut more = reasoning.rest();
    let effort = match word.as_deref() {
        None => None,
        Some("max") => {
            more.insert("effort".to_owned(), json!("max"));
            Some(Effort::Max)
        }
        Some(word) => {
            Some(EFFORTS.iter().find(|(_, known)| *known == word).map(|(effort, _)| *effort).ok_or_else(|| {
                InvalidRequest::at(place, "This must be one of none, minimal, low, medium, high, xhigh and max.")
            })?)
        }
    };
    if let Some(summary) = summary.as_ref().filter(|summary| *summary != "auto") {
        more.insert("summary".to_owned(), json!(summary));
    }
    let visible = summary.map(|_| true);
    let asked = effort.is_some() || visible.is_some();
    Ok((asked.then_some(Reasoning { effort, budget_tokens: None, visible }), more))
}

/// OpenAI's words for how much to think.
pub(super) const EFFORTS: [(Effort, &str); 6] = [
    (Effort::None, "none"),
    (Effort::Minimal, "minimal"),
    (Effort::Low, "low"),
    (Effort::Medium, "medium"),
    (Effort::High, "high"),
    (Effort::Max, "xhigh"),
];

fn tools(fields: &mut Fields) -> Result<Vec<Tool>, InvalidRequest> {
    let list = fields.take::<Vec<Value>>("tools")?.unwrap_or_default();
    list.into_iter().enumerate().map(|(index, tool)| self::tool(tool, format!("tools[{index}]"))).collect()
}

fn tool(tool: Value, place: String) -> Result<Tool, InvalidRequest> {
    let kind = tool.get("type").and_then(Value::as_str).map(str::to_owned);
    let kind = kind.ok_or_else(|| InvalidRequest::at(format!("{place}.type"), "This is required."))?;
    if kind != "function" && kind != "custom" {
        return Ok(Tool::Other(Opaque { dialect: Dialect::Responses, value: tool }));
    }
    let mut fields = Fields::of(tool, place)?;
    let (name, description) = (fields.need("name")?, fields.take("description")?);
    if kind == "custom" {
        return Ok(Tool::Custom { name, description, format: fields.take("format")?.map(nested) });
    }
    let parameters = fields.take::<Map<String, Value>>("parameters")?.map(Value::Object);
    Ok(Tool::Function { name, description, parameters, strict: fields.take("strict")?, cache: None })
}

/// A grammar as the model of all dialects has it, which is how chat completions say it.
fn nested(format: Value) -> Value {
    match format {
        Value::Object(mut map)
            if map.get("type").is_some_and(|kind| kind == "grammar") && !map.contains_key("grammar") =>
        {
            map.shift_remove("type");
            json!({"type": "grammar", "grammar": map})
        }
        format => format,
    }
}

/// `tool_choice`, and the tools that are left to choose from.
fn tool_choice(
    fields: &mut Fields,
    mut tools: Vec<Tool>,
    extra: &mut Map<String, Value>,
) -> Result<(Option<ToolChoice>, Vec<Tool>), InvalidRequest> {
    let mut choice = match fields.take::<Value>("tool_choice")? {
        None => return Ok((None, tools)),
        Some(Value::String(word)) => return Ok((Some(mode(&word, "tool_choice")?), tools)),
        Some(choice) => Fields::of(choice, "tool_choice")?,
    };
    let kind: String = choice.need("type")?;
    let choice = match kind.as_str() {
        "function" | "custom" => Some(ToolChoice::Named(choice.need("name")?)),
        "allowed_tools" => {
            let allowed: Vec<Map<String, Value>> = choice.need("tools")?;
            tools.retain(|tool| allowed.iter().any(|allowed| is_meant(tool, allowed)));
            Some(mode(&choice.take::<String>("mode")?.unwrap_or_else(|| "auto".to_owned()), "tool_choice.mode")?)
        }
        // A tool of the provider's own.
        _ => {
            let mut choice = choice.rest();
            choice.insert("type".to_owned(), json!(kind));
            extra.insert("tool_choice".to_owned(), Value::Object(choice));
            None
        }
    };
    Ok((choice, tools))
}

fn mode(word: &str, place: &str) -> Result<ToolChoice, InvalidRequest> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        _ => Err(InvalidRequest::at(place, "This must be one of auto, none and required.")),
    }
}

/// Whether an entry of `allowed_tools` means that tool.
fn is_meant(tool: &Tool, allowed: &Map<String, Value>) -> bool {
    let same = |key: &str, value: Option<&str>| allowed.get(key).and_then(Value::as_str) == value;
    match tool {
        Tool::Function { name, .. } => same("type", Some("function")) && same("name", Some(name)),
        Tool::Custom { name, .. } => same("type", Some("custom")) && same("name", Some(name)),
        Tool::Other(opaque) => {
            let word = |key: &str| opaque.value.get(key).and_then(Value::as_str);
            same("type", word("type")) && same("server_label", word("server_label"))
        }
    }
}

/// `include` and `top_logprobs`: whether probabilities are wanted. The rest of `include` stays.
fn logprobs(fields: &mut Fields, extra: &mut Map<String, Value>) -> Result<Option<u8>, InvalidRequest> {
    let top: Option<u8> = fields.take("top_logprobs")?;
    let mut include = fields.take::<Vec<String>>("include")?.unwrap_or_default();
    let wanted = include.iter().any(|what| what == LOGPROBS);
    include.retain(|what| what != LOGPROBS && what != ENCRYPTED);
    if !include.is_empty() {
        extra.insert("include".to_owned(), json!(include));
    }
    Ok(top.filter(|top| *top > 0).or(wanted.then_some(0)))
}

/// `safety_identifier`, or what it was called before.
fn user_tag(fields: &mut Fields, extra: &mut Map<String, Value>) -> Result<Option<String>, InvalidRequest> {
    let (tag, user) = (fields.take::<String>("safety_identifier")?, fields.take::<String>("user")?);
    if let (Some(_), Some(user)) = (&tag, &user) {
        extra.insert("user".to_owned(), json!(user));
    }
    Ok(tag.or(user))
}
