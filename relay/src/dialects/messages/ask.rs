//! What we ask an upstream.

use serde_json::{Map, Value, json};

use super::block::{self, Reader};
use super::models::Generation;
use crate::Dialect;
use crate::model::{Author, Effort, Message, OutputFormat, Prompt, Reasoning, Tool, ToolChoice};

/// The API refuses a smaller budget of thinking.
const MIN_BUDGET_TOKENS: u32 = 1_024;
/// With thinking, `top_p` may not be below this.
const MIN_TOP_P_WITH_THINKING: f64 = 0.95;

/// The body of a request.
pub(super) fn write(prompt: &Prompt) -> Map<String, Value> {
    let generation = Generation::of(&prompt.model);
    let max_tokens = prompt.max_output_tokens.unwrap_or_else(|| generation.default_max_tokens());
    let (system, messages) = conversation(&prompt.messages);
    let thinking = Thinking::of(prompt, &messages, generation, max_tokens);
    let mut body = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    set("model", Some(Value::from(prompt.model.as_str())));
    set("max_tokens", Some(Value::from(max_tokens)));
    set("system", system);
    set("messages", Some(Value::Array(messages)));
    let tools: Vec<_> = prompt.tools.iter().filter_map(tool).collect();
    set("tool_choice", (!tools.is_empty()).then(|| tool_choice(prompt)).flatten());
    set("tools", (!tools.is_empty()).then_some(Value::Array(tools)));
    set("output_config", output_config(prompt, &thinking));
    set("thinking", thinking.written(prompt.reasoning.as_ref().and_then(|reasoning| reasoning.visible)));
    let sampled = sampling(prompt, &thinking, generation);
    for (key, value) in sampled {
        set(key, value);
    }
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

/// The operator's words, gathered, and the turns of the others: one turn each, outcomes of tools first, as the API wants
/// them. Where nobody but the operator speaks, his words are asked.
fn conversation(messages: &[Message]) -> (Option<Value>, Vec<Value>) {
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let blocks = message.parts.iter().filter_map(|part| block::write(part, Reader::Upstream));
        let role = match message.author {
            Author::System => {
                system.extend(blocks);
                continue;
            }
            Author::User => "user",
            Author::Assistant => "assistant",
        };
        let blocks: Vec<_> = blocks.collect();
        match turns.last_mut() {
            Some((last, gathered)) if *last == role => gathered.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => turns.push((role, blocks)),
        }
    }
    if turns.is_empty() && !system.is_empty() {
        turns.push(("user", std::mem::take(&mut system)));
    }
    for (_, blocks) in &mut turns {
        // The sort is stable.
        blocks.sort_by_key(|block| block["type"] != "tool_result");
    }
    let turns = turns.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
    ((!system.is_empty()).then_some(Value::Array(system)), turns)
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
            let schema = json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]});
            Some(
                json!({"name": name, "description": description.as_deref().unwrap_or_default(), "input_schema": schema}),
            )
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

fn output_config(prompt: &Prompt, thinking: &Thinking) -> Option<Value> {
    let mut config = Map::new();
    if let Thinking::Adaptive(Some(effort)) = thinking {
        let word = match effort {
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Max => "max",
        };
        config.insert("effort".to_owned(), Value::from(word));
    }
    if let OutputFormat::Schema { schema, .. } = &prompt.format {
        config.insert("format".to_owned(), json!({"type": "json_schema", "schema": schema}));
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

/// The parameters of sampling that may be sent.
fn sampling(prompt: &Prompt, thinking: &Thinking, generation: Generation) -> [(&'static str, Option<Value>); 3] {
    let sampling = &prompt.sampling;
    let thinks = thinking.is_on();
    let temperature = sampling.temperature.filter(|_| !thinks).map(|temperature| temperature.clamp(0.0, 1.0));
    let top_p = sampling.top_p.filter(|top_p| !thinks || *top_p >= MIN_TOP_P_WITH_THINKING);
    let top_p = top_p.filter(|_| temperature.is_none() || !generation.takes_one_way_of_sampling());
    let top_k = sampling.top_k.filter(|_| !thinks);
    let sent = |value: Option<Value>| value.filter(|_| !generation.refuses_sampling());
    [
        ("temperature", sent(temperature.map(Value::from))),
        ("top_p", sent(top_p.map(Value::from))),
        ("top_k", sent(top_k.map(Value::from))),
    ]
}

/// How much the model shall think, within what the API allows.
#[derive(Debug, PartialEq, Eq)]
enum Thinking {
    /// Nothing is said about it.
    Unsaid,
    Disabled,
    /// So many tokens.
    Budget(u32),
    /// As the model likes, guided by the effort.
    Adaptive(Option<Effort>),
}

impl Thinking {
    fn of(prompt: &Prompt, turns: &[Value], generation: Generation, max_tokens: u32) -> Self {
        let Some(Reasoning { effort, budget_tokens, .. }) = prompt.reasoning.as_ref() else { return Self::Unsaid };
        // A call that must be made and thinking exclude each other; clients rely on the call.
        let is_forced = matches!(prompt.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
        if !generation.thinks() || is_forced && !prompt.tools.is_empty() {
            return Self::Unsaid;
        }
        if *budget_tokens == Some(0) || budget_tokens.is_none() && *effort == Some(Effort::None) {
            return Self::Disabled;
        }
        if generation.is_adaptive() {
            return Self::Adaptive(effort.or(budget_tokens.map(Effort::of_budget)));
        }
        let wanted = budget_tokens.or(effort.and_then(Effort::budget_tokens)).or(Effort::Medium.budget_tokens());
        let wanted = wanted.unwrap_or_default().max(MIN_BUDGET_TOKENS);
        // The budget is part of `max_tokens`; one that does not fit leaves a quarter for the answer.
        let budget = if wanted < max_tokens { wanted } else { max_tokens / 4 * 3 };
        if budget < MIN_BUDGET_TOKENS || continues_unsigned(turns) { Self::Unsaid } else { Self::Budget(budget) }
    }

    fn is_on(&self) -> bool {
        matches!(self, Self::Budget(_) | Self::Adaptive(_))
    }

    fn written(&self, visible: Option<bool>) -> Option<Value> {
        let mut thinking = match self {
            Self::Unsaid => return None,
            Self::Disabled => return Some(json!({"type": "disabled"})),
            Self::Budget(tokens) => json!({"type": "enabled", "budget_tokens": tokens}),
            Self::Adaptive(_) => json!({"type": "adaptive"}),
        };
        if let Some(visible) = visible {
            thinking["display"] = Value::from(if visible { "summarized" } else { "omitted" });
        }
        Some(thinking)
    }
}

/// Whether the model goes on after calls whose thoughts are lost, which the API refuses while it is told a budget.
fn continues_unsigned(turns: &[Value]) -> bool {
    let kinds = |turn: &Value| -> Vec<String> {
        let blocks = turn["content"].as_array().into_iter().flatten();
        blocks.filter_map(|block| block["type"].as_str()).map(str::to_owned).collect()
    };
    let Some(last) = turns.iter().rfind(|turn| turn["role"] == "assistant").map(kinds) else { return false };
    let calls = last.iter().any(|kind| kind == "tool_use");
    calls && !last.iter().any(|kind| kind == "thinking" || kind == "redacted_thinking")
}
