//! A question to an upstream, written as OpenAI documents it and then put into the server's own terms.
//!
//! What the dialect cannot say is left out by rule: signatures and citations of other dialects, tools that another
//! provider runs itself, pictures in an earlier answer, the mark that a tool failed (its text says so).

use serde_json::{Map, Value, json};

use super::parts::write_content;
use super::quirks::{Quirks, Thoughts};
use super::{reasoning, thoughts, tools};
use crate::Dialect;
use crate::dialects::common::arguments_object;
use crate::model::{Author, Message, OutputFormat, Part, Prompt, Sampling, ToolOutcome};

/// Stands in a tool's result whose pictures or documents follow as a message of their own.
const SEE_BELOW: &str = "See the next message.";

/// The body of a request.
pub(super) fn write(prompt: &Prompt, quirks: &Quirks) -> Map<String, Value> {
    let mut body = Map::new();
    let mut say = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    say("model", Some(prompt.model.as_str().into()));
    let messages = prompt.messages.iter().flat_map(|message| write_message(message, quirks)).collect();
    say("messages", Some(messages));
    let tools = tools::write_tools(&prompt.tools, quirks);
    let has_tools = !tools.is_empty();
    say("tools", has_tools.then(|| tools.into()));
    let choice = prompt.tool_choice.as_ref().filter(|_| has_tools);
    say("tool_choice", choice.map(|choice| tools::write_choice(choice, prompt, quirks)));
    say("parallel_tool_calls", prompt.parallel_tool_calls.filter(|_| has_tools).map(Value::from));
    say("max_completion_tokens", prompt.max_output_tokens.map(Value::from));
    say("stop", (!prompt.stop.is_empty()).then(|| prompt.stop.as_slice().into()));
    say("n", prompt.candidates.map(Value::from));
    say("response_format", write_format(&prompt.format));
    say("logprobs", prompt.logprobs.map(|_| true.into()));
    say("top_logprobs", prompt.logprobs.filter(|alternatives| *alternatives > 0).map(Value::from));
    say("modalities", prompt.audio.as_ref().map(|_| json!(["text", "audio"])));
    say("audio", prompt.audio.clone());
    say("prompt_cache_key", prompt.cache_key.as_deref().map(Value::from));
    say("service_tier", prompt.service_tier.as_deref().map(Value::from));
    say("user", prompt.user_tag.as_deref().map(Value::from));
    say("metadata", (!prompt.metadata.is_empty()).then(|| prompt.metadata.clone().into()));
    say("stream", Some(prompt.stream.into()));
    write_sampling(&prompt.sampling, &mut body);
    if let Some(reasoning) = &prompt.reasoning {
        reasoning::write(reasoning, quirks.thinking, &mut body);
    }
    let extra = prompt.extra.as_ref().and_then(|extra| extra.in_dialect(Dialect::ChatCompletions)?.as_object());
    for (key, value) in extra.into_iter().flatten() {
        body.entry(key.as_str()).or_insert_with(|| value.clone());
    }
    quirks.adapt(&mut body);
    body
}

fn write_sampling(sampling: &Sampling, body: &mut Map<String, Value>) {
    let Sampling { temperature, top_p, top_k, seed, presence_penalty, frequency_penalty, logit_bias } = sampling;
    for (key, value) in [
        ("temperature", temperature.map(Value::from)),
        ("top_p", top_p.map(Value::from)),
        ("top_k", top_k.map(Value::from)),
        ("seed", seed.map(Value::from)),
        ("presence_penalty", presence_penalty.map(Value::from)),
        ("frequency_penalty", frequency_penalty.map(Value::from)),
        ("logit_bias", (!logit_bias.is_empty()).then(|| logit_bias.clone().into())),
    ] {
        body.extend(value.map(|value| (key.to_owned(), value)));
    }
}

fn write_format(format: &OutputFormat) -> Option<Value> {
    match format {
        OutputFormat::Text => None,
        OutputFormat::Json => Some(json!({"type": "json_object"})),
        OutputFormat::Schema { name, description, schema, strict } => {
            let mut inner = Map::from_iter([("name".to_owned(), Value::from(name.as_str()))]);
            inner.extend(description.iter().map(|text| ("description".to_owned(), Value::from(text.as_str()))));
            inner.insert("schema".to_owned(), schema.clone());
            inner.extend(strict.map(|strict| ("strict".to_owned(), strict.into())));
            Some(json!({"type": "json_schema", "json_schema": inner}))
        }
    }
}

/// The messages that one message is: each result of a tool is its own.
fn write_message(message: &Message, quirks: &Quirks) -> Vec<Value> {
    let role = match message.author {
        Author::System => "system",
        Author::User => return write_user(message, quirks),
        Author::Assistant => return vec![write_answer(message, quirks)],
    };
    vec![named(json!({"role": role, "content": write_content(&message.parts, quirks)}), message)]
}

fn named(mut value: Value, message: &Message) -> Value {
    if let Some(name) = &message.name {
        value["name"] = name.as_str().into();
    }
    value
}

fn write_user(message: &Message, quirks: &Quirks) -> Vec<Value> {
    let mut written = Vec::new();
    let mut said: Vec<&Part> = Vec::new();
    for part in &message.parts {
        match part {
            Part::ToolResult(outcome) => written.push(write_result(outcome, &mut said, quirks)),
            other => said.push(other),
        }
    }
    if !said.is_empty() || written.is_empty() {
        let content = if said.is_empty() { "".into() } else { write_content(said, quirks) };
        written.push(named(json!({"role": "user", "content": content}), message));
    }
    written
}

/// A result as the dialect has it, which is text; what else there is goes to `said`, the person's own message.
fn write_result<'a>(outcome: &'a ToolOutcome, said: &mut Vec<&'a Part>, quirks: &Quirks) -> Value {
    let (texts, others): (Vec<&Part>, Vec<&Part>) =
        outcome.content.iter().partition(|part| matches!(part, Part::Text { .. }));
    let content = match (texts.is_empty(), others.is_empty()) {
        (true, true) => "".into(),
        (true, false) => SEE_BELOW.into(),
        (false, _) => write_content(texts, quirks),
    };
    said.extend(others);
    let mut result = json!({"role": "tool", "tool_call_id": outcome.call_id, "content": content});
    if let (Some(cache), true) = (&outcome.cache, quirks.cache_control) {
        result["cache_control"] = cache.clone();
    }
    result
}

fn write_answer(message: &Message, quirks: &Quirks) -> Value {
    let said = message.parts.iter().filter(|part| matches!(part, Part::Text { .. } | Part::Other(_)));
    let calls: Vec<Value> = message.parts.iter().filter_map(|part| write_call(part, quirks)).collect();
    let said: Vec<&Part> = said.collect();
    let content = match (said.is_empty(), calls.is_empty()) {
        (true, true) => "".into(),
        (true, false) => Value::Null,
        (false, _) => write_content(said, quirks),
    };
    let mut answer = named(json!({"role": "assistant", "content": content}), message);
    for part in &message.parts {
        match part {
            Part::Refusal(text) => answer["refusal"] = text.as_str().into(),
            Part::Audio(audio) if audio.id.is_some() => answer["audio"] = json!({"id": audio.id}),
            _ => {}
        }
    }
    if !calls.is_empty() {
        answer["tool_calls"] = calls.into();
    }
    write_thoughts(&message.parts, quirks.thoughts, &mut answer);
    answer
}

/// Puts thoughts where a server has a place for them.
pub(super) fn write_thoughts(parts: &[Part], way: Thoughts, answer: &mut Value) {
    let text = thoughts::text(parts);
    match way {
        Thoughts::Never => return,
        Thoughts::ReasoningContent if !text.is_empty() => answer["reasoning_content"] = text.into(),
        Thoughts::Reasoning if !text.is_empty() => answer["reasoning"] = text.into(),
        Thoughts::Parts if !text.is_empty() => {
            let mut content = vec![json!({"type": "thinking", "thinking": [{"type": "text", "text": text}]})];
            match answer["content"].take() {
                Value::String(said) if !said.is_empty() => content.push(json!({"type": "text", "text": said})),
                Value::Array(parts) => content.extend(parts),
                _ => {}
            }
            answer["content"] = content.into();
            return;
        }
        Thoughts::Parts => return,
        _ => {}
    }
    // Whoever signed them in this dialect wants them as they were, whatever else it takes.
    let details = thoughts::details(parts, false);
    if !details.is_empty() && (way == Thoughts::Details || thoughts::is_signed(parts, false)) {
        answer["reasoning_details"] = details.into();
    }
}

fn write_call(part: &Part, quirks: &Quirks) -> Option<Value> {
    let Part::ToolCall { id, name, arguments, custom, signature } = part else { return None };
    let mut call = match (*custom, quirks.custom_tools) {
        (true, true) => json!({"id": id, "type": "custom", "custom": {"name": name, "input": arguments}}),
        (is_text, _) => {
            let arguments = if is_text { arguments_object(arguments).to_string() } else { arguments.clone() };
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
        }
    };
    if let Some(extra) =
        signature.as_ref().filter(|_| quirks.call_signatures).and_then(|mark| thoughts::of_call(mark, false))
    {
        call["extra_content"] = extra;
    }
    Some(call)
}
