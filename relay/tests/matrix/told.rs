//! What a client of each dialect reads in an answer, as its SDK would put it together.

use relay::{Dialect, ServedEvent};
use serde_json::{Value, json};

/// What an answer says, whatever its dialect.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) thought: String,
    pub(crate) calls: Vec<(String, Value)>,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn arguments(value: &Value) -> Value {
    serde_json::from_str(text(value)).unwrap()
}

/// Reads a whole answer, and checks what every answer of its dialect has.
pub(crate) fn told(served: Dialect, body: &Value) -> Told {
    let mut told = Told::default();
    let has_calls = |told: &Told| !told.calls.is_empty();
    match served {
        Dialect::ChatCompletions => return of_completion(body),
        Dialect::Responses => {
            assert_eq!((&body["object"], &body["model"]), (&json!("response"), &json!("public")), "{body}");
            assert_eq!((&body["status"], &body["id"]), (&json!("completed"), &json!("our-id")), "{body}");
            for item in list(&body["output"]) {
                match text(&item["type"]) {
                    "message" => list(&item["content"]).for_each(|part| told.text += text(&part["text"])),
                    "reasoning" => list(&item["summary"]).for_each(|part| told.thought += text(&part["text"])),
                    "function_call" => told.calls.push((text(&item["name"]).to_owned(), arguments(&item["arguments"]))),
                    other => panic!("{other} in {body}"),
                }
            }
            assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["output_tokens"]), (&json!(20), &json!(10)));
        }
        Dialect::Messages => {
            assert_eq!((&body["type"], &body["model"]), (&json!("message"), &json!("public")), "{body}");
            for block in list(&body["content"]) {
                match text(&block["type"]) {
                    "text" => told.text += text(&block["text"]),
                    "thinking" => told.thought += text(&block["thinking"]),
                    "tool_use" => told.calls.push((text(&block["name"]).to_owned(), block["input"].clone())),
                    // A signature that the client shall bring back.
                    "redacted_thinking" => assert!(block["data"].is_string(), "{body}"),
                    other => panic!("{other} in {body}"),
                }
            }
            assert_eq!(body["stop_reason"], if has_calls(&told) { "tool_use" } else { "end_turn" }, "{body}");
            assert_eq!((&body["usage"]["input_tokens"], &body["usage"]["output_tokens"]), (&json!(20), &json!(10)));
        }
        Dialect::GenerateContent => {
            assert_eq!(body["modelVersion"], "public", "{body}");
            let candidate = &body["candidates"][0];
            for part in list(&candidate["content"]["parts"]) {
                if part["functionCall"].is_object() {
                    let call = &part["functionCall"];
                    told.calls.push((text(&call["name"]).to_owned(), call["args"].clone()));
                } else if part["thought"] == true {
                    told.thought += text(&part["text"]);
                } else {
                    told.text += text(&part["text"]);
                }
            }
            assert_eq!(candidate["finishReason"], "STOP", "{body}");
            let usage = &body["usageMetadata"];
            assert_eq!(
                (&usage["promptTokenCount"], &usage["candidatesTokenCount"]),
                (&json!(20), &json!(10)),
                "{body}"
            );
        }
        Dialect::Converse => panic!("nobody is served in it"),
    }
    told
}

fn of_completion(body: &Value) -> Told {
    let mut told = Told::default();
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("public")), "{body}");
    let choice = &body["choices"][0];
    let message = &choice["message"];
    told.text = text(&message["content"]).to_owned();
    told.thought = text(&message["reasoning_content"]).to_owned();
    for call in list(&message["tool_calls"]) {
        let function = &call["function"];
        told.calls.push((text(&function["name"]).to_owned(), arguments(&function["arguments"])));
    }
    assert_eq!(choice["finish_reason"], if !told.calls.is_empty() { "tool_calls" } else { "stop" }, "{body}");
    assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]), (&json!(20), &json!(10)));
    told
}

/// The whole answer that the events of a stream come to.
pub(crate) fn assembled(served: Dialect, events: &[ServedEvent]) -> Value {
    match served {
        Dialect::ChatCompletions => chat(events),
        Dialect::Responses => {
            let numbers: Vec<_> = events.iter().map(|event| event.data["sequence_number"].as_u64().unwrap()).collect();
            assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
            let names = events.iter().map(|event| event.name.as_deref().unwrap());
            assert!(names.eq(events.iter().map(|event| text(&event.data["type"]))));
            assert_eq!(events[0].name.as_deref(), Some("response.created"));
            let last = events.last().unwrap();
            assert_eq!(last.name.as_deref(), Some("response.completed"));
            last.data["response"].clone()
        }
        Dialect::Messages => message(events),
        Dialect::GenerateContent => {
            let mut whole = events.last().unwrap().data.clone();
            let parts = events.iter().flat_map(|event| list(&event.data["candidates"][0]["content"]["parts"]).cloned());
            whole["candidates"][0]["content"]["parts"] = parts.collect();
            whole
        }
        Dialect::Converse => panic!("nobody is served in it"),
    }
}

fn chat(events: &[ServedEvent]) -> Value {
    let (mut content, mut thought, mut calls, mut finish) = (String::new(), String::new(), vec![], Value::Null);
    let (usage, chunks) = events.split_last().unwrap();
    assert_eq!(usage.data["choices"], json!([]), "the usage was asked for");
    for event in chunks {
        assert!(event.name.is_none() && event.data.get("usage").is_none(), "{event:?}");
        assert_eq!((&event.data["model"], &event.data["object"]), (&json!("public"), &json!("chat.completion.chunk")));
        let choice = &event.data["choices"][0];
        let delta = &choice["delta"];
        content += text(&delta["content"]);
        thought += text(&delta["reasoning_content"]);
        for call in list(&delta["tool_calls"]) {
            let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if at == calls.len() {
                assert!(call["id"].is_string());
                calls.push(json!({"function": {"name": call["function"]["name"], "arguments": ""}}));
            }
            let arguments = &mut calls[at]["function"]["arguments"];
            *arguments = json!(text(arguments).to_owned() + text(&call["function"]["arguments"]));
        }
        if choice["finish_reason"].is_string() {
            finish = choice["finish_reason"].clone();
        }
    }
    json!({"object": "chat.completion", "model": "public", "usage": usage.data["usage"], "choices": [{
        "message": {"content": content, "reasoning_content": thought, "tool_calls": calls}, "finish_reason": finish}]})
}

fn message(events: &[ServedEvent]) -> Value {
    assert!(events.iter().all(|event| event.name.as_deref() == event.data["type"].as_str()));
    let events: Vec<_> = events.iter().filter(|event| event.name.as_deref() != Some("ping")).collect();
    let mut whole = events[0].data["message"].clone();
    assert_eq!(events[0].name.as_deref(), Some("message_start"));
    assert!(whole["usage"]["input_tokens"].as_u64().unwrap() >= 20, "agents account by it");
    let mut blocks: Vec<Value> = vec![];
    for event in &events[1..] {
        let data = &event.data;
        match event.name.as_deref().unwrap() {
            "content_block_start" => {
                assert_eq!(data["index"], blocks.len());
                blocks.push(data["content_block"].clone());
            }
            "content_block_delta" => {
                let block = blocks.last_mut().unwrap();
                let (field, piece) = match text(&data["delta"]["type"]) {
                    "text_delta" => ("text", &data["delta"]["text"]),
                    "thinking_delta" => ("thinking", &data["delta"]["thinking"]),
                    "input_json_delta" => ("partial", &data["delta"]["partial_json"]),
                    "signature_delta" => ("signature", &data["delta"]["signature"]),
                    other => panic!("{other}"),
                };
                block[field] = json!(text(&block[field]).to_owned() + text(piece));
            }
            "content_block_stop" => {
                let block = blocks.last_mut().unwrap();
                if block["type"] == "tool_use" {
                    block["input"] = arguments(&block["partial"]);
                }
            }
            "message_delta" => {
                whole["stop_reason"] = data["delta"]["stop_reason"].clone();
                whole["usage"]["output_tokens"] = data["usage"]["output_tokens"].clone();
                if data["usage"]["input_tokens"].is_u64() {
                    whole["usage"]["input_tokens"] = data["usage"]["input_tokens"].clone();
                }
            }
            "message_stop" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(events.last().unwrap().name.as_deref(), Some("message_stop"));
    whole["content"] = blocks.into();
    whole
}
