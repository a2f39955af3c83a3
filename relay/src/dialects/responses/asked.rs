//! The body of a request to an upstream.
//!
//! State is kept here, not there: `store` is false, thoughts come back encrypted, and `previous_response_id` never
//! leaves. What the dialect cannot say is left out: `stop`, `top_k`, `seed`, penalties, biases, several candidates, a
//! spoken answer, names of speakers, and thoughts that another provider signed.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::ask::{EFFORTS, LOGPROBS};
use super::content;
use crate::Dialect;
use crate::model::{
    Author, Effort, MediaSource, Message, Opaque, OutputFormat, Part, Prompt, Reasoning, Tool, ToolChoice,
};

/// Parameters of clients that mean the state that we keep, or the stream that we write.
pub(super) const OURS: [&str; 4] = ["store", "previous_response_id", "background_options", "stream_options"];

/// Writes a body; see [`crate::Spoken::write`].
pub(super) fn write(prompt: &Prompt) -> Map<String, Value> {
    let mut body = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    let (instructions, messages) = instructions(&prompt.messages);
    set("model", Some(json!(prompt.model)));
    set("instructions", instructions.map(|text| json!(text)));
    set("input", Some(Value::Array(input(messages))));
    let tools: Vec<Value> = prompt.tools.iter().filter_map(tool).collect();
    set("tools", (!tools.is_empty()).then(|| Value::Array(tools)));
    set("tool_choice", prompt.tool_choice.as_ref().map(|choice| tool_choice(choice, &prompt.tools)));
    set("parallel_tool_calls", prompt.parallel_tool_calls.map(|may| json!(may)));
    set("temperature", prompt.sampling.temperature.map(|value| json!(value)));
    set("top_p", prompt.sampling.top_p.map(|value| json!(value)));
    set("max_output_tokens", prompt.max_output_tokens.map(|bound| json!(bound)));
    set("text", format(&prompt.format).map(|format| json!({"format": format})));
    set("reasoning", prompt.reasoning.as_ref().map(reasoning));
    set("top_logprobs", prompt.logprobs.filter(|top| *top > 0).map(|top| json!(top)));
    set("include", include(prompt));
    set("prompt_cache_key", prompt.cache_key.as_ref().map(|key| json!(key)));
    set("service_tier", prompt.service_tier.as_ref().map(|tier| json!(tier)));
    set("safety_identifier", prompt.user_tag.as_ref().map(|tag| json!(tag)));
    set("metadata", (!prompt.metadata.is_empty()).then(|| Value::Object(prompt.metadata.clone())));
    set("store", Some(json!(false)));
    set("stream", prompt.stream.then_some(json!(true)));
    if let Some(Value::Object(extra)) = prompt.extra.as_ref().and_then(|extra| extra.in_dialect(Dialect::Responses)) {
        extra
            .iter()
            .filter(|(key, _)| !OURS.contains(&key.as_str()))
            .for_each(|(key, value)| lay(&mut body, key, value));
    }
    body
}

/// Lays a parameter of the client over the body: objects and lists grow together, anything else is the client's.
fn lay(body: &mut Map<String, Value>, key: &str, value: &Value) {
    match (body.get_mut(key), value) {
        (Some(Value::Object(ours)), Value::Object(more)) => {
            ours.extend(more.iter().map(|(key, value)| (key.clone(), value.clone())));
        }
        (Some(Value::Array(ours)), Value::Array(more)) => ours.extend(more.iter().cloned()),
        _ => {
            body.insert(key.to_owned(), value.clone());
        }
    }
}

/// The first words of the operator, if they are one text, and the rest.
fn instructions(messages: &[Message]) -> (Option<&str>, &[Message]) {
    match messages.split_first() {
        Some((Message { author: Author::System, parts, .. }, rest)) => match parts.as_slice() {
            [Part::Text { text, .. }] => (Some(text), rest),
            _ => (None, messages),
        },
        _ => (None, messages),
    }
}

fn input(messages: &[Message]) -> Vec<Value> {
    let custom = messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::ToolCall { id, custom: true, .. } => Some(id.as_str()),
        _ => None,
    });
    let mut input = Input { custom: custom.collect(), items: vec![] };
    messages.iter().for_each(|message| input.message(message));
    input.items
}

struct Input<'a> {
    /// Calls of tools that take text.
    custom: HashSet<&'a str>,
    items: Vec<Value>,
}

impl Input<'_> {
    fn message(&mut self, message: &Message) {
        let is_model = message.author == Author::Assistant;
        let role = match message.author {
            Author::System => "system",
            Author::User => "user",
            Author::Assistant => "assistant",
        };
        let mut content = vec![];
        for part in &message.parts {
            let piece = if is_model { piece_of_model(part) } else { content::write_input(part) };
            if let Some(piece) = piece {
                content.push(piece);
                continue;
            }
            let item = if is_model { self.said(part) } else { self.brought(part) };
            if let Some(item) = item {
                self.say(role, &mut content);
                self.items.push(item);
            }
        }
        self.say(role, &mut content);
    }

    /// What was gathered, as one message.
    fn say(&mut self, role: &str, content: &mut Vec<Value>) {
        if !content.is_empty() {
            self.items.push(json!({"type": "message", "role": role, "content": std::mem::take(content)}));
        }
    }

    fn said(&self, part: &Part) -> Option<Value> {
        match part {
            Part::ToolCall { id, name, arguments, custom: false, .. } => {
                Some(json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments}))
            }
            Part::ToolCall { id, name, arguments, custom: true, .. } => {
                Some(json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": arguments}))
            }
            Part::Reasoning { text, signature: Some(signature) } => {
                let mut item = signature.in_dialect(Dialect::Responses)?.as_object()?.clone();
                item.insert("type".to_owned(), json!("reasoning"));
                item.insert("summary".to_owned(), summary(text));
                Some(Value::Object(item))
            }
            Part::Image { source: MediaSource::Inline { base64, .. }, .. } => {
                let id = format!("ig_{}", self.items.len());
                Some(json!({"type": "image_generation_call", "id": id, "status": "completed", "result": base64}))
            }
            Part::Other(opaque) => opaque.in_dialect(Dialect::Responses).cloned(),
            _ => None,
        }
    }

    fn brought(&self, part: &Part) -> Option<Value> {
        match part {
            Part::ToolResult(outcome) => {
                let is_custom = self.custom.contains(outcome.call_id.as_str());
                let kind = if is_custom { "custom_tool_call_output" } else { "function_call_output" };
                let output = match outcome.content.as_slice() {
                    [Part::Text { text, .. }] => json!(text),
                    content => content.iter().filter_map(content::write_input).collect(),
                };
                Some(json!({"type": kind, "call_id": outcome.call_id, "output": output}))
            }
            Part::Other(opaque) => opaque.in_dialect(Dialect::Responses).cloned(),
            _ => None,
        }
    }
}

/// A text or a refusal of the model, as it is given back: without what only an answer has.
fn piece_of_model(part: &Part) -> Option<Value> {
    let mut piece = content::write_output(part)?;
    if let Some(map) = piece.as_object_mut() {
        map.shift_remove("logprobs");
        // Citations of others would be invented ones here.
        let own = |citations: &[Opaque]| citations.iter().all(|citation| citation.dialect == Dialect::Responses);
        if !matches!(part, Part::Text { citations, .. } if !citations.is_empty() && own(citations)) {
            map.shift_remove("annotations");
        }
    }
    Some(piece)
}

/// The `summary` of a reasoning item.
pub(super) fn summary(text: &str) -> Value {
    if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) }
}

fn tool(tool: &Tool) -> Option<Value> {
    let (mut value, description) = match tool {
        // Absent means strict here and not strict everywhere else.
        Tool::Function { name, description, parameters, strict, .. } => (
            json!({
                "type": "function", "name": name, "parameters": parameters, "strict": strict.unwrap_or(false),
            }),
            description,
        ),
        Tool::Custom { name, description, format } => {
            let mut tool = json!({"type": "custom", "name": name});
            if let Some(format) = format {
                tool["format"] = flat(format);
            }
            (tool, description)
        }
        Tool::Other(opaque) => return opaque.in_dialect(Dialect::Responses).cloned(),
    };
    if let Some(description) = description {
        value["description"] = json!(description);
    }
    Some(value)
}

/// A grammar as this dialect has it.
fn flat(format: &Value) -> Value {
    match format.get("grammar").and_then(Value::as_object) {
        Some(grammar) => {
            let mut map = grammar.clone();
            map.insert("type".to_owned(), json!("grammar"));
            Value::Object(map)
        }
        None => format.clone(),
    }
}

fn tool_choice(choice: &ToolChoice, tools: &[Tool]) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(named) => {
            let is_custom = tools.iter().any(|tool| matches!(tool, Tool::Custom { name, .. } if name == named));
            json!({"type": if is_custom { "custom" } else { "function" }, "name": named})
        }
    }
}

fn format(format: &OutputFormat) -> Option<Value> {
    match format {
        OutputFormat::Text => None,
        OutputFormat::Json => Some(json!({"type": "json_object"})),
        OutputFormat::Schema { name, description, schema, strict } => {
            let mut format = json!({"type": "json_schema", "name": name, "schema": schema});
            if let Some(description) = description {
                format["description"] = json!(description);
            }
            if let Some(strict) = strict {
                format["strict"] = json!(strict);
            }
            Some(format)
        }
    }
}

fn reasoning(reasoning: &Reasoning) -> Value {
    let effort = reasoning.effort.or(reasoning.budget_tokens.map(Effort::of_budget));
    let word = effort.and_then(|effort| EFFORTS.iter().find(|(known, _)| *known == effort)).map(|(_, word)| *word);
    let mut value = Map::new();
    if let Some(word) = word {
        value.insert("effort".to_owned(), json!(word));
    }
    if reasoning.visible == Some(true) {
        value.insert("summary".to_owned(), json!("auto"));
    }
    Value::Object(value)
}

/// What is to be in the answer. Models that do not think refuse to encrypt their thoughts.
fn include(prompt: &Prompt) -> Option<Value> {
    let thinks = thinks(&prompt.model) || prompt.reasoning.is_some();
    let wanted = [("reasoning.encrypted_content", thinks), (LOGPROBS, prompt.logprobs.is_some())];
    let include: Vec<&str> = wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(what, _)| what).collect();
    (!include.is_empty()).then(|| json!(include))
}

/// OpenAI's models that think: the o series, and GPT-5 and later without those made for chatting.
pub(super) fn thinks(model: &str) -> bool {
    let digit = |prefix: &str| model.strip_prefix(prefix).and_then(|rest| rest.chars().next()?.to_digit(10));
    digit("o").is_some() || (digit("gpt-").is_some_and(|generation| generation >= 5) && !model.contains("chat"))
}
