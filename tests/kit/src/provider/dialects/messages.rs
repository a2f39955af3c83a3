//! Anthropic's messages.
//!
//! Sources, all at platform.claude.com/docs: "Messages" and "Count tokens in a Message" (API reference), "Streaming
//! messages", "Errors", "Extended thinking" (blocks come back unchanged, their signatures are checked, a turn with tools
//! begins with its thoughts), "Structured outputs" (`output_config.format`), "Vision". The words of refusals are those
//! that users of the real API report, named where they are used.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::super::asking::{Asked, forced, list, unless};
use super::super::script::{Refusal, Step, Words};
use super::super::signature;
use super::super::telling::{Said, Teller, Telling, Usage, Wire, named};

/// The dialect.
pub(in super::super) struct Messages;

/// In the id of a call that followed thoughts: they must come back with it.
const AFTER_THOUGHTS: &str = "thought";
/// The smallest `budget_tokens`.
const MIN_BUDGET: u64 = 1_024;

impl Wire for Messages {
    fn read(&self, body: &Value) -> Asked {
        let messages = list(&body["messages"]);
        let is_person = |message: &&Value| message["role"] == "user" && text_of(&message["content"]).is_some();
        let person = messages.iter().rev().find(is_person);
        let last = messages.last().filter(|last| text_of(&last["content"]).is_none());
        let results = last.into_iter().flat_map(|last| list(&last["content"]));
        let results = results.filter(|block| block["type"] == "tool_result");
        let mut asked = Asked {
            prompt: person.and_then(|message| text_of(&message["content"])).unwrap_or_default().to_owned(),
            results: results.map(|block| text_of(&block["content"]).unwrap_or_default().to_owned()).collect(),
            schema: Some(&body["output_config"]["format"]["schema"]).filter(|schema| schema.is_object()).cloned(),
            forced: forced(
                body["tool_choice"]["type"] == "any" || body["tool_choice"]["type"] == "tool",
                body["tool_choice"]["name"].as_str(),
                list(&body["tools"]).iter().map(|tool| (&tool["name"], &tool["input_schema"])),
            ),
            stream: body["stream"] == true,
            ..Asked::default()
        };
        asked.hear(text_of(&body["system"]).unwrap_or_default());
        for message in messages {
            asked.hear(text_of(&message["content"]).unwrap_or_default());
            see(&mut asked, &message["content"]);
        }
        asked.refuse(fault_of_parameters(body));
        for (at, message) in messages.iter().enumerate() {
            asked.refuse(fault_of_message(messages, at, message));
        }
        asked.refuse(missing_thoughts(body));
        asked
    }

    fn refusal(&self, refusal: &Refusal) -> String {
        let told = match &refusal.words {
            Words::Exactly(body) => return body.clone(),
            Words::Told(told) => told,
        };
        let kind = match refusal.status {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        let message = match told.code.as_deref() {
            Some("context_length_exceeded") => "prompt is too long: 200001 tokens > 200000 maximum",
            _ => &told.message,
        };
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_mock"}).to_string()
    }

    fn document(&self, telling: &Telling<'_>) -> Value {
        let mut message = message(telling, telling.usage());
        message["content"] = content(telling.serial, &telling.said());
        message["stop_reason"] = json!(telling.script.finish.as_deref().map(stop_reason));
        message
    }

    fn teller<'a>(&self, telling: &'a Telling<'a>) -> Box<dyn Teller + 'a> {
        Box::new(Events { telling, blocks: 0, open: None, thoughts: String::new(), has_thought: false })
    }
}

/// The first text of a content, which may be a string or blocks; `None` if there is none.
fn text_of(content: &Value) -> Option<&str> {
    match content {
        Value::String(text) => Some(text),
        Value::Array(blocks) => blocks.iter().find_map(|block| block["text"].as_str()),
        _ => None,
    }
}

/// Pictures, also those in results of tools.
fn see(asked: &mut Asked, content: &Value) {
    for block in list(content) {
        let source = &block["source"];
        match (block["type"].as_str(), source["type"].as_str()) {
            (Some("image"), Some("base64")) => {
                asked.see(source["media_type"].as_str().unwrap_or("nothing"), source["data"].as_str().unwrap_or("?"));
            }
            (Some("image"), Some("url")) => asked.see_at(source["url"].as_str().unwrap_or_default()),
            (Some("tool_result"), _) => see(asked, &block["content"]),
            _ => {}
        }
    }
}

/// Why the headers of a request are refused.
pub(in super::super) fn fault_of_headers(headers: &HeaderMap) -> Option<Refusal> {
    let has = |name: &str| headers.contains_key(name);
    unless(has("anthropic-version"), 400, || "anthropic-version: header is required".to_owned())
        .or_else(|| unless(has("x-api-key"), 401, || "x-api-key header is required".to_owned()))
}

fn fault_of_parameters(body: &Value) -> Option<Refusal> {
    let most = body["max_tokens"].as_u64();
    let thinking = &body["thinking"];
    let budget = thinking["budget_tokens"].as_u64().filter(|_| thinking["type"] == "enabled");
    let is_hot = body["temperature"].as_f64().is_none_or(|heat| (heat - 1.0).abs() < f64::EPSILON);
    let invalid = |holds: bool, words: &str| unless(holds, 400, || words.to_owned());
    invalid(most.is_some(), "max_tokens: Field required")
        .or_else(|| invalid(!list(&body["messages"]).is_empty(), "messages: at least one message is required"))
        .or_else(|| {
            let holds = budget.is_none_or(|budget| budget >= MIN_BUDGET);
            invalid(holds, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        })
        .or_else(|| {
            let holds = budget.is_none_or(|budget| most.is_some_and(|most| most > budget));
            invalid(holds, "`max_tokens` must be greater than `thinking.budget_tokens`.")
        })
        .or_else(|| invalid(budget.is_none() || is_hot, "`temperature` may only be set to 1 when thinking is enabled."))
}

/// What is refused of one message, in the words that users report.
fn fault_of_message(messages: &[Value], at: usize, message: &Value) -> Option<Refusal> {
    let is_role = message["role"] == "user" || message["role"] == "assistant";
    let ids = |message: Option<&Value>, kind: &str, key: &str| -> Vec<String> {
        let blocks = message.map(|message| list(&message["content"])).unwrap_or_default();
        let blocks = blocks.iter().filter(|block| block["type"] == kind);
        blocks.filter_map(|block| block[key].as_str().map(str::to_owned)).collect()
    };
    let mut fault = unless(is_role, 400, || format!("messages.{at}.role: Input should be 'user' or 'assistant'"));
    let calls = ids(at.checked_sub(1).and_then(|before| messages.get(before)), "tool_use", "id");
    let results = ids(messages.get(at + 1), "tool_result", "tool_use_id");
    for (number, block) in list(&message["content"]).iter().enumerate() {
        let place = format!("messages.{at}.content.{number}");
        let id = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
        fault = fault.or_else(|| match block["type"].as_str().unwrap_or_default() {
            "text" => unless(block["text"].as_str().is_some_and(|text| !text.trim().is_empty()), 400, || {
                "messages: text content blocks must be non-empty".to_owned()
            }),
            "thinking" => {
                let of = signature::is_of(&id("signature"), &id("thinking"));
                unless(of, 400, || format!("{place}: Invalid `signature` in `thinking` block"))
            }
            "redacted_thinking" => unless(signature::is_of(&id("data"), ""), 400, || {
                format!("{place}: Invalid `data` in `redacted_thinking` block")
            }),
            "tool_use" => {
                let shape = |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
                unless(shape(&id("id")), 400, || {
                    format!("{place}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
                })
                .or_else(|| {
                    unless(results.contains(&id("id")), 400, || {
                        format!(
                            "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. \
                             Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
                            id("id")
                        )
                    })
                })
            }
            "tool_result" => unless(calls.contains(&id("tool_use_id")), 400, || {
                format!(
                    "{place}: unexpected `tool_use_id` found in `tool_result` blocks: {}. Each `tool_result` block must \
                     have a corresponding `tool_use` block in the previous message.",
                    id("tool_use_id")
                )
            }),
            _ => None,
        });
    }
    fault
}

/// A turn that goes on with results of tools must still begin with the thoughts that led to the calls.
fn missing_thoughts(body: &Value) -> Option<Refusal> {
    // A model that thinks as it likes does not insist ("Adaptive thinking": validation changes).
    if body["thinking"]["type"] != "enabled" {
        return None;
    }
    let messages = list(&body["messages"]);
    let at = messages.len().checked_sub(2)?;
    let blocks = list(&messages.get(at)?["content"]);
    let thought = |block: &Value| {
        block["type"] == "tool_use" && block["id"].as_str().is_some_and(|id| id.contains(AFTER_THOUGHTS))
    };
    let begins = matches!(blocks.first()?["type"].as_str(), Some("thinking" | "redacted_thinking"));
    let found = blocks.first()?["type"].as_str().unwrap_or_default().to_owned();
    unless(begins || !blocks.iter().any(thought), 400, || {
        format!(
            "messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. When `thinking` \
             is enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of \
             `tool_use` and `tool_result` blocks)."
        )
    })
}

fn stop_reason(finish: &str) -> &str {
    match finish {
        "stop" => "end_turn",
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        "content_filter" => "refusal",
        other => other,
    }
}

fn call_id(serial: u64, index: usize, has_thought: bool) -> String {
    format!("toolu_mock{serial}_{}{}", if has_thought { AFTER_THOUGHTS } else { "" }, index + 1)
}

/// Everything but the content.
fn message(telling: &Telling<'_>, told: Option<Usage>) -> Value {
    let mut message = json!({
        "id": "msg_mock", "type": "message", "role": "assistant", "model": telling.request["model"], "content": [],
        "stop_reason": null, "stop_sequence": null,
    });
    if let Some(told) = told {
        message["usage"] = usage(told);
    }
    message
}

/// Input does not contain what was cached; output contains the thoughts.
fn usage(told: Usage) -> Value {
    let cached = told.cached.unwrap_or(0);
    json!({
        "input_tokens": told.input.saturating_sub(cached), "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached, "output_tokens": told.output,
    })
}

fn content(serial: u64, said: &Said) -> Value {
    let mut blocks = Vec::new();
    let has_thought = !said.thoughts.is_empty();
    if has_thought {
        let thinking =
            json!({"type": "thinking", "thinking": said.thoughts, "signature": signature::sign(&said.thoughts)});
        blocks.push(thinking);
    }
    if !said.text.is_empty() {
        blocks.push(json!({"type": "text", "text": said.text}));
    }
    for (index, (name, arguments)) in said.calls.iter().enumerate() {
        let input: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
        blocks
            .push(json!({"type": "tool_use", "id": call_id(serial, index, has_thought), "name": name, "input": input}));
    }
    blocks.into()
}

/// Makes the events of one stream.
struct Events<'a> {
    telling: &'a Telling<'a>,
    /// How many have begun.
    blocks: u64,
    /// The kind of the one that is open.
    open: Option<&'static str>,
    thoughts: String,
    has_thought: bool,
}

impl Events<'_> {
    fn start(&mut self, kind: &'static str, block: &Value) -> String {
        let mut events = self.stop();
        events += &named(
            "content_block_start",
            &json!({"type": "content_block_start", "index": self.blocks, "content_block": block}),
        );
        self.blocks += 1;
        self.open = Some(kind);
        events
    }

    fn delta(&self, delta: &Value) -> String {
        let event = json!({"type": "content_block_delta", "index": self.blocks.saturating_sub(1), "delta": delta});
        named("content_block_delta", &event)
    }

    fn stop(&mut self) -> String {
        let Some(kind) = self.open.take() else { return String::new() };
        let mut events = String::new();
        if kind == "thinking" {
            let signature = signature::sign(&std::mem::take(&mut self.thoughts));
            events += &self.delta(&json!({"type": "signature_delta", "signature": signature}));
        }
        let index = self.blocks.saturating_sub(1);
        events + &named("content_block_stop", &json!({"type": "content_block_stop", "index": index}))
    }

    /// Opens a block of that kind unless one is open.
    fn within(&mut self, kind: &'static str, block: &Value) -> String {
        if self.open == Some(kind) { String::new() } else { self.start(kind, block) }
    }
}

impl Teller for Events<'_> {
    fn begin(&mut self) -> String {
        let begun = self.telling.usage().map(|usage| Usage { output: 1, ..usage });
        let start = json!({"type": "message_start", "message": message(self.telling, begun)});
        named("message_start", &start) + &named("ping", &json!({"type": "ping"}))
    }

    fn step(&mut self, step: &Step) -> String {
        match step {
            Step::Say(text) => {
                let start = self.within("text", &json!({"type": "text", "text": ""}));
                start + &self.delta(&json!({"type": "text_delta", "text": text}))
            }
            Step::Think(text) => {
                self.has_thought = true;
                self.thoughts.push_str(text);
                let start = self.within("thinking", &json!({"type": "thinking", "thinking": "", "signature": ""}));
                start + &self.delta(&json!({"type": "thinking_delta", "thinking": text}))
            }
            Step::Call { index, name } => {
                let id = call_id(self.telling.serial, *index, self.has_thought);
                self.start("tool_use", &json!({"type": "tool_use", "id": id, "name": name, "input": {}}))
            }
            Step::Arguments { fragment, .. } => {
                self.delta(&json!({"type": "input_json_delta", "partial_json": fragment}))
            }
            Step::Raw(_) | Step::Wait(_) | Step::Stall | Step::Cut | Step::Fail => String::new(),
        }
    }

    fn fail(&mut self) -> String {
        let error = json!({"type": "overloaded_error", "message": "the mock provider gave up"});
        named("error", &json!({"type": "error", "error": error}))
    }

    fn end(&mut self) -> String {
        let Some(finish) = &self.telling.script.finish else { return String::new() };
        let mut events = self.stop();
        let mut delta = json!({
            "type": "message_delta", "delta": {"stop_reason": stop_reason(finish), "stop_sequence": null},
        });
        if let Some(told) = self.telling.usage() {
            delta["usage"] = usage(told);
        }
        events += &named("message_delta", &delta);
        if self.telling.script.done_marker {
            events += &named("message_stop", &json!({"type": "message_stop"}));
        }
        events
    }
}
