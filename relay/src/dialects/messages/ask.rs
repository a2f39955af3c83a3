//! What we ask an upstream.

use serde_json::{Map, Value, json};

use super::block::{self, Reader};
use crate::Dialect;
use crate::dialects::claude::{Generation, Thinking};
use crate::dialects::custom;
use crate::dialects::turns::alternate;
use crate::model::{OutputFormat, Prompt, Tool, ToolChoice};

/// The body of a request.
pub(super) fn write(prompt: &Prompt) -> Map<String, Value> {
    let generation = Generation::of(&prompt.model);
    let max_tokens = prompt.max_output_tokens.unwrap_or_else(|| generation.default_max_tokens());
    let is_outcome = |block: &Value| block["type"] == "tool_result";
    let (system, turns) =
        alternate(&prompt.messages, |part| block::write(part, Reader::Upstream).into_iter().collect(), is_outcome);
    let thinking = Thinking::of(prompt, generation, max_tokens);
    let mut body = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    set("model", Some(Value::from(prompt.model.as_str())));
    set("max_tokens", Some(Value::from(max_tokens)));
    set("system", (!system.is_empty()).then_some(Value::Array(system)));
    set("messages", Some(Value::Array(turns)));
    let tools: Vec<_> = prompt.tools.iter().filter_map(tool).collect();
    set("tool_choice", (!tools.is_empty()).then(|| tool_choice(prompt)).flatten());
    set("tools", (!tools.is_empty()).then_some(Value::Array(tools)));
    set("output_config", output_config(prompt, thinking));
    set("thinking", thinking.written(prompt.reasoning.as_ref()));
    let sampling = thinking.sampling(&prompt.sampling, generation);
    set("temperature", sampling.temperature.map(Value::from));
    set("top_p", sampling.top_p.map(Value::from));
    set("top_k", sampling.top_k.map(Value::from));
    let stop: Vec<_> = prompt.stop.iter().filter(|stop| !stop.trim().is_empty()).collect();
    set("stop_sequences", (!stop.is_empty()).then(|| json!(stop)));
    set("metadata", prompt.user_tag.as_ref().map(|tag| json!({"user_id": tag})));
    let tier = prompt.service_tier.as_deref().map(|tier| if tier == "default" { "standard_only" } else { "auto" });
    set("service_tier", tier.map(Value::from));
    set("stream", prompt.stream.then_some(Value::Bool(true)));
    if let Some(Value::Object(extra)) = prompt.extra.as_ref().and_then(|extra| extra.in_dialect(Dialect::Messages)) {
        for (key, value) in extra {
            body.entry(key.as_str()).or_insert_with(|| value.clone());
        }
    }
    body
}

fn tool(tool: &Tool) -> Option<Value> {
    match tool {
        Tool::Function { name, description, parameters, strict, cache } => {
            let mut written = json!({"name": name});
            let nothing = || json!({"type": "object", "properties": {}});
            let fields = [
                ("description", description.as_ref().map(|text| json!(text))),
                ("input_schema", Some(parameters.clone().unwrap_or_else(nothing))),
                ("strict", strict.map(Value::Bool)),
                ("cache_control", cache.clone()),
            ];
            for (key, value) in fields {
                if let Some(value) = value {
                    written[key] = value;
                }
            }
            Some(written)
        }
        Tool::Custom { name, description, .. } => {
            let text = description.as_deref().unwrap_or_default();
            Some(json!({"name": name, "description": text, "input_schema": custom::parameters()}))
        }
        Tool::Other(opaque) => opaque.in_dialect(Dialect::Messages).cloned(),
    }
}

fn tool_choice(prompt: &Prompt) -> Option<Value> {
    let parallel = prompt.parallel_tool_calls;
    let mut choice = match &prompt.tool_choice {
        None if parallel == Some(false) => json!({"type": "auto"}),
        None => return None,
        Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
        Some(ToolChoice::None) => return Some(json!({"type": "none"})),
    };
    if let Some(parallel) = parallel {
        choice["disable_parallel_tool_use"] = Value::Bool(!parallel);
    }
    Some(choice)
}

fn output_config(prompt: &Prompt, thinking: Thinking) -> Option<Value> {
    let mut config = Map::new();
    if let Some(effort) = thinking.effort() {
        config.insert("effort".to_owned(), Value::from(effort));
    }
    if let OutputFormat::Schema { schema, .. } = &prompt.format {
        config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
    }
    (!config.is_empty()).then_some(Value::Object(config))
}
