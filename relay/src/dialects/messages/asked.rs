//! What a client asks.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{block, carried};
use crate::dialects::common::Fields;
use crate::model::{
    Author, Effort, Message, Opaque, OutputFormat, Part, Prompt, Reasoning, Sampling, Tool, ToolChoice,
};
use crate::{Dialect, InvalidRequest};

/// The name of a schema of an answer, which the dialect does not give and others want.
pub(super) const FORMAT_NAME: &str = "answer";

/// The prompt that a body is. `max_tokens` may be absent, because requests that only count tokens have none.
pub(super) fn read(body: Map<String, Value>) -> Result<Prompt, InvalidRequest> {
    let mut body = Fields::new(body, "");
    let model = body.need("model")?;
    let (tool_choice, parallel_tool_calls) = tool_choice(&mut body)?;
    let (format, effort) = output_config(&mut body)?;
    let metadata = body.object("metadata")?;
    let prompt = Prompt {
        model,
        messages: messages(&mut body)?,
        tools: tools(&mut body)?,
        tool_choice,
        parallel_tool_calls,
        sampling: Sampling {
            temperature: body.take("temperature")?,
            top_p: body.take("top_p")?,
            top_k: body.take("top_k")?,
            ..Sampling::default()
        },
        max_output_tokens: body.bound("max_tokens")?,
        stop: body.take("stop_sequences")?.unwrap_or_default(),
        format,
        reasoning: reasoning(&mut body, effort)?,
        service_tier: service_tier(&mut body)?,
        user_tag: metadata.map(|mut metadata| metadata.take("user_id")).transpose()?.flatten(),
        stream: body.take("stream")?.unwrap_or(false),
        ..Prompt::default()
    };
    let rest = body.rest();
    let extra = (!rest.is_empty()).then(|| Opaque { dialect: Dialect::Messages, value: Value::Object(rest) });
    Ok(Prompt { extra, ..prompt })
}

fn messages(body: &mut Fields) -> Result<Vec<Message>, InvalidRequest> {
    let mut messages = Vec::new();
    if let Some(system) = body.take::<Value>("system")? {
        let parts = block::contents(system, "system")?;
        messages.push(Message { author: Author::System, name: None, parts });
    }
    let given: Vec<Value> = body.need("messages")?;
    if given.is_empty() {
        return Err(InvalidRequest::at("messages", "At least one message is required."));
    }
    for (at, message) in given.into_iter().enumerate() {
        let mut fields = Fields::of(message, format!("messages.{at}"))?;
        let author = match fields.need::<String>("role")?.as_str() {
            "user" => Author::User,
            "assistant" => Author::Assistant,
            "system" => Author::System,
            _ => return Err(InvalidRequest::at(fields.place("role"), "This is neither user nor assistant.")),
        };
        let place = fields.place("content");
        let mut parts = block::contents(fields.need("content")?, &place)?;
        carried::sign_calls(&mut parts);
        messages.push(Message { author, name: None, parts });
    }
    name_outcomes(&mut messages);
    Ok(messages)
}

/// Outcomes say only which call they are of; other dialects want the tool.
fn name_outcomes(messages: &mut [Message]) {
    let mut names = HashMap::new();
    for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
        match part {
            Part::ToolCall { id, name, .. } => {
                names.insert(id.clone(), name.clone());
            }
            Part::ToolResult(outcome) => outcome.name = names.get(&outcome.call_id).cloned(),
            _ => {}
        }
    }
}

fn tools(body: &mut Fields) -> Result<Vec<Tool>, InvalidRequest> {
    let tools = body.take::<Vec<Value>>("tools")?.unwrap_or_default();
    tools.into_iter().enumerate().map(|(at, tool)| read_tool(tool, format!("tools.{at}"))).collect()
}

fn read_tool(tool: Value, place: String) -> Result<Tool, InvalidRequest> {
    let kind = tool.get("type").and_then(Value::as_str);
    if kind.is_some_and(|kind| kind != "custom") {
        return Ok(Tool::Other(block::opaque(tool)));
    }
    let mut fields = Fields::of(tool, place)?;
    Ok(Tool::Function {
        name: fields.need("name")?,
        description: fields.take("description")?,
        parameters: fields.take::<Map<String, Value>>("input_schema")?.map(Value::Object),
        strict: fields.take("strict")?,
        cache: fields.take("cache_control")?,
    })
}

/// Which tools may be called, and whether several at once.
fn tool_choice(body: &mut Fields) -> Result<(Option<ToolChoice>, Option<bool>), InvalidRequest> {
    let Some(mut fields) = body.object("tool_choice")? else { return Ok((None, None)) };
    let choice = match fields.need::<String>("type")?.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(fields.need("name")?),
        _ => return Err(InvalidRequest::at(fields.place("type"), "This is none of any, auto, none and tool.")),
    };
    let one_at_a_time: Option<bool> = fields.take("disable_parallel_tool_use")?;
    Ok((Some(choice), one_at_a_time.map(|disabled| !disabled)))
}

fn output_config(body: &mut Fields) -> Result<(OutputFormat, Option<Effort>), InvalidRequest> {
    let Some(mut config) = body.object("output_config")? else { return Ok((OutputFormat::Text, None)) };
    let effort = match config.take::<String>("effort")?.as_deref() {
        None => None,
        Some("low") => Some(Effort::Low),
        Some("medium") => Some(Effort::Medium),
        Some("high") => Some(Effort::High),
        Some("xhigh" | "max") => Some(Effort::Max),
        Some(_) => {
            return Err(InvalidRequest::at(
                config.place("effort"),
                "This is none of low, medium, high, xhigh and max.",
            ));
        }
    };
    let format = match config.object("format")? {
        None => OutputFormat::Text,
        Some(mut format) => OutputFormat::Schema {
            name: FORMAT_NAME.to_owned(),
            description: None,
            schema: format.need("schema")?,
            strict: Some(true),
        },
    };
    Ok((format, effort))
}

fn reasoning(body: &mut Fields, effort: Option<Effort>) -> Result<Option<Reasoning>, InvalidRequest> {
    let Some(mut thinking) = body.object("thinking")? else {
        return Ok(effort.map(|effort| Reasoning { effort: Some(effort), ..Reasoning::default() }));
    };
    let budget_tokens = match thinking.need::<String>("type")?.as_str() {
        "adaptive" => None,
        "disabled" => Some(0),
        "enabled" => Some(thinking.need("budget_tokens")?),
        _ => {
            return Err(InvalidRequest::at(thinking.place("type"), "This is none of adaptive, disabled and enabled."));
        }
    };
    let visible = thinking.take::<String>("display")?.map(|display| display != "omitted");
    Ok(Some(Reasoning { effort, budget_tokens, visible }))
}

/// In the model's words, which are OpenAI's.
fn service_tier(body: &mut Fields) -> Result<Option<String>, InvalidRequest> {
    let tier: Option<String> = body.take("service_tier")?;
    Ok(tier.map(|tier| if tier == "standard_only" { "default".to_owned() } else { tier }))
}
