//! OpenAI's responses.
//!
//! Sources: "Create a model response", "The response object" and "Streaming events" of OpenAI's API reference
//! (platform.openai.com/docs/api-reference/responses), and its guide "Reasoning models" (encrypted content comes back
//! unchanged; a call is given back with the thoughts before it). The words of refusals are those that users of the real
//! API report.

use serde_json::{Value, json};

use super::super::asking::{Asked, forced, list};
use super::super::script::{Refusal, Step, Told, Words};
use super::super::signature;
use super::super::telling::{Teller, Telling, Usage, Wire, named};
use super::openai_refusal;

/// The dialect.
pub(in super::super) struct Responses;

impl Wire for Responses {
    fn read(&self, body: &Value) -> Asked {
        let whole = [json!({"role": "user", "content": body["input"]})];
        let items = if body["input"].is_string() { &whole[..] } else { list(&body["input"]) };
        let person = items.iter().rev().find(|item| item["role"] == "user");
        let results = items.iter().rev().take_while(|item| item["type"] == "function_call_output");
        let mut results: Vec<String> = results.map(|item| text_of(&item["output"]).to_owned()).collect();
        results.reverse();
        let mut asked = Asked {
            prompt: person.map(|item| text_of(&item["content"])).unwrap_or_default().to_owned(),
            results,
            schema: Some(&body["text"]["format"]["schema"]).filter(|schema| schema.is_object()).cloned(),
            forced: forced(
                body["tool_choice"].is_object() || body["tool_choice"] == "required",
                body["tool_choice"]["name"].as_str(),
                list(&body["tools"]).iter().map(|tool| (&tool["name"], &tool["parameters"])),
            ),
            stream: body["stream"] == true,
            ..Asked::default()
        };
        asked.hear(body["instructions"].as_str().unwrap_or_default());
        for item in items {
            asked.hear(text_of(&item["content"]));
            let parts = list(&item["content"]).iter().chain(list(&item["output"]));
            parts.filter_map(|part| part["image_url"].as_str()).for_each(|url| asked.see_at(url));
        }
        for item in items {
            asked.refuse(fault_of_item(items, item));
        }
        asked
    }

    fn refusal(&self, refusal: &Refusal) -> String {
        openai_refusal(refusal)
    }

    fn document(&self, telling: &Telling<'_>) -> Value {
        let said = telling.said();
        let mut output = Vec::new();
        if !said.thoughts.is_empty() {
            output.push(reasoning(telling.request, &said.thoughts));
        }
        if !said.text.is_empty() || said.calls.is_empty() {
            output.push(message(&said.text, "completed"));
        }
        let calls = said.calls.iter().enumerate();
        output
            .extend(calls.map(|(index, (name, arguments))| call(telling.serial, index, name, arguments, "completed")));
        response(telling, status(telling), &output)
    }

    fn teller<'a>(&self, telling: &'a Telling<'a>) -> Box<dyn Teller + 'a> {
        Box::new(Events { telling, number: 0, output: Vec::new(), open: None })
    }
}

/// The first text of a content or an output, which may be a string or parts.
fn text_of(content: &Value) -> &str {
    match content {
        Value::String(text) => text,
        Value::Array(parts) => parts.iter().find_map(|part| part["text"].as_str()).unwrap_or_default(),
        _ => "",
    }
}

fn fault_of_item(items: &[Value], item: &Value) -> Option<Refusal> {
    let text = |key: &str| item[key].as_str().unwrap_or_default();
    let has = |kind: &str| items.iter().any(|other| other["type"] == kind && other["call_id"] == item["call_id"]);
    match text("type") {
        "reasoning" => {
            let encrypted = text("encrypted_content");
            let is_ours = encrypted.is_empty() || signature::is_of(encrypted, text_of(&item["summary"]));
            (!is_ours).then(|| {
                let told = Told {
                    message: "The encrypted content mock... could not be verified.".to_owned(),
                    code: Some("invalid_encrypted_content".to_owned()),
                    param: None,
                };
                Refusal { status: 400, words: Words::Told(told) }
            })
        }
        "function_call" if !has("function_call_output") => {
            Some(Refusal::told(400, format!("No tool output found for function call {}.", text("call_id"))))
        }
        "function_call_output" if !has("function_call") => {
            let id = text("call_id");
            Some(Refusal::told(400, format!("No tool call found for function call output with call_id {id}.")))
        }
        _ => None,
    }
}

fn status(telling: &Telling<'_>) -> &'static str {
    if telling.script.finish.as_deref() == Some("length") { "incomplete" } else { "completed" }
}

fn response(telling: &Telling<'_>, status: &str, output: &[Value]) -> Value {
    let reason = (status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
    let is_over = matches!(status, "completed" | "incomplete");
    json!({
        "id": "resp_mock", "object": "response", "created_at": 1_700_000_000, "status": status, "error": null,
        "incomplete_details": reason, "instructions": telling.request["instructions"], "metadata": {},
        "model": telling.request["model"], "output": output, "parallel_tool_calls": true, "temperature": 1.0,
        "tool_choice": "auto", "tools": telling.request.get("tools").unwrap_or(&json!([])), "top_p": 1.0,
        "usage": telling.usage().filter(|_| is_over).map(usage),
    })
}

fn usage(told: Usage) -> Value {
    json!({
        "input_tokens": told.input, "input_tokens_details": {"cached_tokens": told.cached.unwrap_or(0)},
        "output_tokens": told.output, "output_tokens_details": {"reasoning_tokens": told.reasoning.unwrap_or(0)},
        "total_tokens": told.input + told.output,
    })
}

/// Encrypted only where that was asked for.
fn reasoning(request: &Value, thoughts: &str) -> Value {
    let mut item = json!({
        "id": "rs_mock", "type": "reasoning", "summary": [{"type": "summary_text", "text": thoughts}],
    });
    if list(&request["include"]).iter().any(|wish| wish == "reasoning.encrypted_content") {
        item["encrypted_content"] = signature::sign(thoughts).into();
    }
    item
}

fn message(text: &str, status: &str) -> Value {
    let content = if status == "completed" { vec![part(text)] } else { vec![] };
    json!({"id": "msg_mock", "type": "message", "role": "assistant", "status": status, "content": content})
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

fn call(serial: u64, index: usize, name: &str, arguments: &str, status: &str) -> Value {
    json!({
        "id": format!("fc_mock_{index}"), "type": "function_call", "call_id": format!("call_{serial}_{}", index + 1), "name": name,
        "arguments": arguments, "status": status,
    })
}

/// The item that is being told.
enum Open {
    Thoughts(String),
    Text(String),
    Call(usize, String, String),
}

/// Makes the events of one stream.
struct Events<'a> {
    telling: &'a Telling<'a>,
    number: u64,
    /// The items that are complete.
    output: Vec<Value>,
    open: Option<Open>,
}

impl Events<'_> {
    fn event(&mut self, kind: &str, mut data: Value) -> String {
        data["type"] = kind.into();
        data["sequence_number"] = self.number.into();
        self.number += 1;
        named(kind, &data)
    }

    /// An event about the item that is open.
    fn of_item(&mut self, kind: &str, mut data: Value) -> String {
        data["output_index"] = self.output.len().into();
        self.event(kind, data)
    }

    fn of_text(&mut self, kind: &str, mut data: Value) -> String {
        data["item_id"] = "msg_mock".into();
        data["content_index"] = 0.into();
        self.of_item(kind, data)
    }

    /// Completes the item that is open.
    fn close(&mut self) -> String {
        let (mut events, item) = match self.open.take() {
            None => return String::new(),
            Some(Open::Thoughts(thoughts)) => {
                let place = json!({"item_id": "rs_mock", "summary_index": 0});
                let mut done = place.clone();
                done["text"] = thoughts.as_str().into();
                let mut part = place;
                part["part"] = json!({"type": "summary_text", "text": thoughts});
                let events = self.of_item("response.reasoning_summary_text.done", done)
                    + &self.of_item("response.reasoning_summary_part.done", part);
                (events, reasoning(self.telling.request, &thoughts))
            }
            Some(Open::Text(text)) => {
                let events = self.of_text("response.output_text.done", json!({"text": text, "logprobs": []}))
                    + &self.of_text("response.content_part.done", json!({"part": part(&text)}));
                (events, message(&text, "completed"))
            }
            Some(Open::Call(index, name, arguments)) => {
                let done = json!({"item_id": format!("fc_mock_{index}"), "arguments": arguments, "name": name});
                let events = self.of_item("response.function_call_arguments.done", done);
                (events, call(self.telling.serial, index, &name, &arguments, "completed"))
            }
        };
        events += &self.of_item("response.output_item.done", json!({"item": item}));
        self.output.push(item);
        events
    }

    fn begin_thoughts(&mut self) -> String {
        let events = self.close();
        self.open = Some(Open::Thoughts(String::new()));
        let item = json!({"id": "rs_mock", "type": "reasoning", "summary": []});
        let part = json!({"item_id": "rs_mock", "summary_index": 0, "part": {"type": "summary_text", "text": ""}});
        events
            + &self.of_item("response.output_item.added", json!({"item": item}))
            + &self.of_item("response.reasoning_summary_part.added", part)
    }

    fn begin_text(&mut self) -> String {
        let events = self.close();
        self.open = Some(Open::Text(String::new()));
        events
            + &self.of_item("response.output_item.added", json!({"item": message("", "in_progress")}))
            + &self.of_text("response.content_part.added", json!({"part": part("")}))
    }
}

impl Teller for Events<'_> {
    fn begin(&mut self) -> String {
        let begun = response(self.telling, "in_progress", &[]);
        self.event("response.created", json!({"response": begun}))
            + &self.event("response.in_progress", json!({"response": begun}))
    }

    fn step(&mut self, step: &Step) -> String {
        match step {
            Step::Think(more) => {
                let mut events = String::new();
                if !matches!(self.open, Some(Open::Thoughts(_))) {
                    events += &self.begin_thoughts();
                }
                if let Some(Open::Thoughts(thoughts)) = &mut self.open {
                    thoughts.push_str(more);
                }
                let delta = json!({"item_id": "rs_mock", "summary_index": 0, "delta": more});
                events + &self.of_item("response.reasoning_summary_text.delta", delta)
            }
            Step::Say(more) => {
                let mut events = String::new();
                if !matches!(self.open, Some(Open::Text(_))) {
                    events += &self.begin_text();
                }
                if let Some(Open::Text(text)) = &mut self.open {
                    text.push_str(more);
                }
                events + &self.of_text("response.output_text.delta", json!({"delta": more, "logprobs": []}))
            }
            Step::Call { index, name } => {
                let events = self.close();
                self.open = Some(Open::Call(*index, name.clone(), String::new()));
                let item = call(self.telling.serial, *index, name, "", "in_progress");
                events + &self.of_item("response.output_item.added", json!({"item": item}))
            }
            Step::Arguments { index, fragment } => {
                if let Some(Open::Call(_, _, arguments)) = &mut self.open {
                    arguments.push_str(fragment);
                }
                let delta = json!({"item_id": format!("fc_mock_{index}"), "delta": fragment});
                self.of_item("response.function_call_arguments.delta", delta)
            }
            Step::Raw(_) | Step::Wait(_) | Step::Stall | Step::Cut | Step::Fail => String::new(),
        }
    }

    fn fail(&mut self) -> String {
        self.event("error", json!({"code": "server_error", "message": "the mock provider gave up", "param": null}))
    }

    fn end(&mut self) -> String {
        if self.telling.script.finish.is_none() {
            return String::new();
        }
        let events = self.close();
        let status = status(self.telling);
        let whole = response(self.telling, status, &self.output);
        events + &self.event(&format!("response.{status}"), json!({"response": whole}))
    }
}
