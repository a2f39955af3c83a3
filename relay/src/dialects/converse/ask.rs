//! What we ask an upstream. The model stands in the path, and whether the answer comes in steps too.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::block;
use crate::Dialect;
use crate::dialects::claude::{Generation, Thinking};
use crate::dialects::custom;
use crate::dialects::turns::alternate;
use crate::model::{OutputFormat, Part, Prompt, Sampling, Tool, ToolChoice};

/// The body of a request.
pub(super) fn write(prompt: &Prompt) -> Map<String, Value> {
    let generation = Generation::of(&prompt.model);
    let is_claude = prompt.model.contains("claude");
    let most = prompt.max_output_tokens.unwrap_or_else(|| generation.default_max_tokens());
    let thinking = if is_claude { Thinking::of(prompt, generation, most) } else { Thinking::Unsaid };
    let sampling = sampling(prompt, thinking, is_claude, generation);
    let (system, mut turns) = alternate(&prompt.messages, block::write, |block| block.get("toolResult").is_some());
    tell_documents_apart(&mut turns);
    let mut body = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    set("messages", Some(Value::Array(turns)));
    set("system", (!system.is_empty()).then_some(Value::Array(system)));
    // A budget of thinking is bound by the tokens of the answer, so they must be said with it.
    let bound = prompt.max_output_tokens.or_else(|| thinking.is_on().then_some(most));
    set("inferenceConfig", inference(prompt, &sampling, bound));
    set("toolConfig", tools(prompt));
    set("additionalModelRequestFields", additional(prompt, thinking, &sampling, is_claude));
    set("outputConfig", output(prompt, thinking));
    let tier = prompt.service_tier.as_deref().filter(|tier| *tier != "auto");
    set("serviceTier", tier.map(|tier| json!({"type": tier})));
    if let Some(Value::Object(extra)) = prompt.extra.as_ref().and_then(|extra| extra.in_dialect(Dialect::Converse)) {
        for (key, value) in extra {
            body.entry(key.as_str()).or_insert_with(|| value.clone());
        }
    }
    body
}

fn sampling(prompt: &Prompt, thinking: Thinking, is_claude: bool, generation: Generation) -> Sampling {
    if is_claude {
        return thinking.sampling(&prompt.sampling, generation);
    }
    let temperature = prompt.sampling.temperature.map(|temperature| temperature.clamp(0.0, 1.0));
    Sampling { temperature, top_p: prompt.sampling.top_p, ..Sampling::default() }
}

fn inference(prompt: &Prompt, sampling: &Sampling, bound: Option<u32>) -> Option<Value> {
    let stop: Vec<_> = prompt.stop.iter().filter(|stop| !stop.is_empty()).collect();
    let fields = [
        ("maxTokens", bound.map(Value::from)),
        ("temperature", sampling.temperature.map(Value::from)),
        ("topP", sampling.top_p.map(Value::from)),
        ("stopSequences", (!stop.is_empty()).then(|| json!(stop))),
    ];
    said(fields)
}

/// What only Claude takes, in Anthropic's words.
fn additional(prompt: &Prompt, thinking: Thinking, sampling: &Sampling, is_claude: bool) -> Option<Value> {
    let fields = [
        ("thinking", thinking.written(prompt.reasoning.as_ref())),
        ("top_k", sampling.top_k.filter(|_| is_claude).map(Value::from)),
    ];
    said(fields)
}

fn output(prompt: &Prompt, thinking: Thinking) -> Option<Value> {
    let format = match &prompt.format {
        OutputFormat::Schema { name, description, schema, .. } => {
            let mut definition = json!({"schema": schema.to_string(), "name": name});
            if let Some(description) = description {
                definition["description"] = Value::from(description.as_str());
            }
            Some(json!({"type": "json_schema", "structure": {"jsonSchema": definition}}))
        }
        OutputFormat::Text | OutputFormat::Json => None,
    };
    said([("textFormat", format), ("effort", thinking.effort().map(Value::from))])
}

/// The fields that have something to say, if any.
fn said<const N: usize>(fields: [(&str, Option<Value>); N]) -> Option<Value> {
    let fields: Map<_, _> =
        fields.into_iter().filter_map(|(key, value)| value.map(|value| (key.to_owned(), value))).collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// Tools and the choice among them. The dialect has no word for "none of them": then they are not told, unless the
/// conversation has calls, with which the API wants tools; and where the client tells none, those of the calls.
fn tools(prompt: &Prompt) -> Option<Value> {
    let called = called(prompt);
    let is_none = prompt.tool_choice == Some(ToolChoice::None);
    if is_none && called.is_empty() {
        return None;
    }
    let mut told: Vec<Value> = prompt.tools.iter().flat_map(tool).collect();
    let are_callable = !told.is_empty() && !is_none;
    if told.is_empty() {
        told = called.into_iter().map(|name| spec(name, None, None, None)).collect();
    }
    if told.is_empty() {
        return None;
    }
    let mut config = json!({"tools": told});
    let choice = match &prompt.tool_choice {
        Some(ToolChoice::Auto) => Some(json!({"auto": {}})),
        Some(ToolChoice::Required) => Some(json!({"any": {}})),
        Some(ToolChoice::Named(name)) => Some(json!({"tool": {"name": name}})),
        Some(ToolChoice::None) | None => None,
    };
    if let Some(choice) = choice.filter(|_| are_callable) {
        config["toolChoice"] = choice;
    }
    Some(config)
}

/// The names of the tools that were called so far.
fn called(prompt: &Prompt) -> BTreeSet<&str> {
    let parts = prompt.messages.iter().flat_map(|message| &message.parts);
    parts.filter_map(|part| if let Part::ToolCall { name, .. } = part { Some(name.as_str()) } else { None }).collect()
}

fn tool(tool: &Tool) -> Vec<Value> {
    match tool {
        Tool::Function { name, description, parameters, strict, cache } => {
            let spec = spec(name, description.as_deref(), parameters.as_ref(), *strict);
            [spec].into_iter().chain(cache.as_ref().map(block::cache_point)).collect()
        }
        Tool::Custom { name, description, .. } => {
            vec![spec(name, description.as_deref(), Some(&custom::parameters()), None)]
        }
        Tool::Other(opaque) => opaque.in_dialect(Dialect::Converse).cloned().into_iter().collect(),
    }
}

fn spec(name: &str, description: Option<&str>, schema: Option<&Value>, strict: Option<bool>) -> Value {
    let nothing = || json!({"type": "object", "properties": {}});
    let mut spec = json!({"name": name, "inputSchema": {"json": schema.cloned().unwrap_or_else(nothing)}});
    // An empty description is refused.
    if let Some(description) = description.filter(|description| !description.is_empty()) {
        spec["description"] = Value::from(description);
    }
    if let Some(strict) = strict {
        spec["strict"] = Value::Bool(strict);
    }
    json!({"toolSpec": spec})
}

/// No two documents of a request may have the same name.
fn tell_documents_apart(turns: &mut [Value]) {
    let mut names = BTreeSet::new();
    let blocks = turns.iter_mut().filter_map(|turn| turn.get_mut("content")?.as_array_mut()).flatten();
    for name in blocks.filter_map(|block| block.pointer_mut("/document/name")) {
        let first = name.as_str().unwrap_or_default().to_owned();
        let mut told = first.clone();
        let mut number = 1;
        while !names.insert(told.clone()) {
            number += 1;
            told = format!("{first} {number}");
        }
        *name = Value::from(told);
    }
}
