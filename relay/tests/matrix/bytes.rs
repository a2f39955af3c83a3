//! What each upstream answers, to the byte, as its maker documents it.

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use relay::Dialect;
use serde_json::{Value, json};

use crate::upstream::{Answer, End};

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// "It is sunny." for 20 tokens in, 10 out.
    Plain,
    /// The thought "Look it up.", then a call of `get_weather` for Paris, for the same tokens.
    Tool,
    /// As `Plain`, but the reported output is nothing.
    Lie,
    /// "It is", and then the stream is over.
    Cut,
    /// "It is", and then something that is no event.
    Garbage,
    /// "It is", and then the provider's word that it is overloaded.
    Failure,
    /// "It is", and then silence.
    Silence,
}

/// What `spoken` answers in that scene.
pub(crate) fn answer(spoken: Dialect, scene: Scene, stream: bool) -> Answer {
    if !stream {
        return Answer::document(whole(spoken, scene).to_string());
    }
    let mut events = events(spoken, scene);
    let is_half = matches!(scene, Scene::Cut | Scene::Garbage | Scene::Failure | Scene::Silence);
    if is_half {
        events.truncate(events.len() - tail(spoken));
    }
    let mut bytes: Vec<u8> = events.iter().flat_map(|(name, data)| framed(spoken, name, data)).collect();
    match scene {
        Scene::Failure => {
            let (name, data) = failure(spoken);
            bytes.extend(framed(spoken, name, &data));
        }
        Scene::Garbage if spoken == Dialect::Converse => bytes.extend([0xff; 64]),
        Scene::Garbage => bytes.extend(b"data: {\"oops\n\n"),
        _ if spoken == Dialect::ChatCompletions && !is_half => bytes.extend(b"data: [DONE]\n\n"),
        _ => {}
    }
    let kind = if spoken == Dialect::Converse { "application/vnd.amazon.eventstream" } else { "text/event-stream" };
    let end = if scene == Scene::Silence { End::Silent } else { End::Closed };
    Answer { kind, ..Answer::stream(bytes) }.then(end)
}

/// What an upstream refuses a request with: too many of them.
pub(crate) fn rate_limit(spoken: Dialect) -> Answer {
    let body = match spoken {
        Dialect::ChatCompletions | Dialect::Responses => json!({"error": {"message": "Rate limit reached",
            "type": "requests", "param": null, "code": "rate_limit_exceeded"}}),
        Dialect::Messages => json!({"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down"}}),
        Dialect::GenerateContent => json!({"error": {"code": 429, "message": "Resource has been exhausted",
            "status": "RESOURCE_EXHAUSTED"}}),
        Dialect::Converse => json!({"message": "Too many requests"}),
    };
    Answer { wait: Some(7), ..Answer::refusal(429, body.to_string()) }
}

/// Events from the first that a half answer does not have.
fn tail(spoken: Dialect) -> usize {
    match spoken {
        Dialect::ChatCompletions => 3,
        Dialect::Responses => 2,
        Dialect::Messages => 4,
        Dialect::GenerateContent => 1,
        Dialect::Converse => 4,
    }
}

pub(crate) fn framed(spoken: Dialect, name: &str, data: &Value) -> Vec<u8> {
    match spoken {
        Dialect::ChatCompletions | Dialect::GenerateContent => format!("data: {data}\n\n").into_bytes(),
        Dialect::Responses | Dialect::Messages => format!("event: {name}\ndata: {data}\n\n").into_bytes(),
        Dialect::Converse => {
            let (kind, key) = match name.strip_prefix("exception:") {
                Some(_) => ("exception", ":exception-type"),
                None => ("event", ":event-type"),
            };
            let text = |text: &str| HeaderValue::String(text.to_owned().into());
            let name = name.trim_start_matches("exception:");
            let message = Message::new(data.to_string())
                .add_header(Header::new(":message-type", text(kind)))
                .add_header(Header::new(key, text(name)))
                .add_header(Header::new(":content-type", text("application/json")));
            let mut bytes = vec![];
            write_message_to(&message, &mut bytes).unwrap();
            bytes
        }
    }
}

fn failure(spoken: Dialect) -> (&'static str, Value) {
    match spoken {
        Dialect::ChatCompletions => ("", json!({"error": {"message": "Overloaded", "code": 503}})),
        Dialect::Responses => (
            "error",
            json!({"type": "error", "sequence_number": 9, "code": "server_error", "message": "Overloaded", "param": null}),
        ),
        Dialect::Messages => {
            ("error", json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}))
        }
        Dialect::GenerateContent => {
            ("", json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}))
        }
        Dialect::Converse => ("exception:serviceUnavailableException", json!({"message": "Overloaded"})),
    }
}

/// The output that is reported.
fn output(scene: Scene) -> u64 {
    if scene == Scene::Lie { 0 } else { 10 }
}

fn whole(spoken: Dialect, scene: Scene) -> Value {
    let is_tool = scene == Scene::Tool;
    let output = output(scene);
    match spoken {
        Dialect::ChatCompletions => {
            let call = json!([{"id": "call_1", "type": "function",
                "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}}]);
            let message = match is_tool {
                true => json!({"role": "assistant", "content": null, "reasoning_content": "Look it up.",
                    "tool_calls": call}),
                false => json!({"role": "assistant", "content": "It is sunny."}),
            };
            json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "up", "choices": [
                {"index": 0, "message": message, "finish_reason": if is_tool { "tool_calls" } else { "stop" }}],
                "usage": {"prompt_tokens": 20, "completion_tokens": output, "total_tokens": 20 + output}})
        }
        Dialect::Responses => response("completed", &items(is_tool), output),
        Dialect::Messages => {
            let content = match is_tool {
                true => json!([{"type": "thinking", "thinking": "Look it up.", "signature": "sig"},
                    {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}]),
                false => json!([{"type": "text", "text": "It is sunny."}]),
            };
            json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "up", "content": content,
                "stop_reason": if is_tool { "tool_use" } else { "end_turn" }, "stop_sequence": null,
                "usage": {"input_tokens": 20, "output_tokens": output}})
        }
        Dialect::GenerateContent => gemini(&gemini_parts(is_tool), true, output),
        Dialect::Converse => {
            let content = match is_tool {
                true => json!([{"reasoningContent": {"reasoningText": {"text": "Look it up.", "signature": "sig"}}},
                    {"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {"city": "Paris"}}}]),
                false => json!([{"text": "It is sunny."}]),
            };
            json!({"output": {"message": {"role": "assistant", "content": content}},
                "stopReason": if is_tool { "tool_use" } else { "end_turn" },
                "usage": {"inputTokens": 20, "outputTokens": output, "totalTokens": 20 + output},
                "metrics": {"latencyMs": 1}})
        }
    }
}

fn items(is_tool: bool) -> Value {
    match is_tool {
        true => json!([
            {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Look it up."}]},
            {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "get_weather",
                "arguments": "{\"city\":\"Paris\"}"}]),
        false => json!([{"id": "msg_1", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": "It is sunny.", "annotations": []}]}]),
    }
}

fn response(status: &str, output: &Value, tokens: u64) -> Value {
    let usage = json!({"input_tokens": 20, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 20 + tokens});
    json!({"id": "resp_1", "object": "response", "created_at": 7, "status": status, "model": "up", "output": output,
        "usage": if status == "completed" { usage } else { Value::Null }})
}

fn gemini_parts(is_tool: bool) -> Value {
    match is_tool {
        true => json!([{"text": "Look it up.", "thought": true},
            {"functionCall": {"name": "get_weather", "args": {"city": "Paris"}}, "thoughtSignature": "c2ln"}]),
        false => json!([{"text": "It is sunny."}]),
    }
}

fn gemini(parts: &Value, is_last: bool, output: u64) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    if is_last {
        candidate["finishReason"] = json!("STOP");
    }
    json!({"candidates": [candidate], "modelVersion": "up", "responseId": "r1",
        "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": output, "totalTokenCount": 20 + output}})
}

fn events(spoken: Dialect, scene: Scene) -> Vec<(&'static str, Value)> {
    let is_tool = scene == Scene::Tool;
    match spoken {
        Dialect::ChatCompletions => chat_events(is_tool, output(scene)),
        Dialect::Responses => response_events(is_tool, output(scene)),
        Dialect::Messages => message_events(is_tool, output(scene)),
        Dialect::GenerateContent if is_tool => vec![("", gemini(&gemini_parts(true), true, output(scene)))],
        Dialect::GenerateContent => vec![
            ("", gemini(&json!([{"text": "It is"}]), false, 1)),
            ("", gemini(&json!([{"text": " sunny."}]), true, output(scene))),
        ],
        Dialect::Converse => converse_events(is_tool, output(scene)),
    }
}

fn chat_events(is_tool: bool, output: u64) -> Vec<(&'static str, Value)> {
    let chunk = |delta: Value, finish: Value| {
        (
            "",
            json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "up",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}),
        )
    };
    let call = |call: Value| json!({"tool_calls": [call]});
    let usage = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "up", "choices": [],
        "usage": {"prompt_tokens": 20, "completion_tokens": output, "total_tokens": 20 + output}});
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    if is_tool {
        events.push(chunk(json!({"reasoning_content": "Look it up."}), Value::Null));
        events.push(chunk(
            call(json!({"index": 0, "id": "call_1", "type": "function",
                "function": {"name": "get_weather", "arguments": ""}})),
            Value::Null,
        ));
        for fragment in ["{\"city\":", "\"Paris\"}"] {
            let fragment = json!({"index": 0, "function": {"arguments": fragment}});
            events.push(chunk(call(fragment), Value::Null));
        }
        events.push(chunk(json!({}), json!("tool_calls")));
    } else {
        events.push(chunk(json!({"content": "It is"}), Value::Null));
        events.push(chunk(json!({"content": " sunny."}), Value::Null));
        events.push(chunk(json!({}), json!("stop")));
    }
    events.push(("", usage));
    events
}

fn response_events(is_tool: bool, output: u64) -> Vec<(&'static str, Value)> {
    let items = items(is_tool);
    let mut events = vec![("response.created", json!({"response": response("in_progress", &json!([]), 0)}))];
    let mut say = |name, data| events.push((name, data));
    if is_tool {
        let thoughts = json!({"item_id": "rs_1", "output_index": 0, "summary_index": 0});
        let with = |more: Value| {
            let mut event = thoughts.clone();
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        say(
            "response.output_item.added",
            json!({"output_index": 0,
            "item": {"id": "rs_1", "type": "reasoning", "summary": []}}),
        );
        say("response.reasoning_summary_part.added", with(json!({"part": {"type": "summary_text", "text": ""}})));
        say("response.reasoning_summary_text.delta", with(json!({"delta": "Look it up."})));
        say("response.output_item.done", json!({"output_index": 0, "item": items[0]}));
        say(
            "response.output_item.added",
            json!({"output_index": 1, "item": {"id": "fc_1", "type": "function_call",
            "status": "in_progress", "call_id": "call_1", "name": "get_weather", "arguments": ""}}),
        );
        for fragment in ["{\"city\":", "\"Paris\"}"] {
            say(
                "response.function_call_arguments.delta",
                json!({"item_id": "fc_1", "output_index": 1, "delta": fragment}),
            );
        }
        say("response.output_item.done", json!({"output_index": 1, "item": items[1]}));
    } else {
        say(
            "response.output_item.added",
            json!({"output_index": 0, "item": {"id": "msg_1", "type": "message",
            "status": "in_progress", "role": "assistant", "content": []}}),
        );
        for piece in ["It is", " sunny."] {
            say(
                "response.output_text.delta",
                json!({"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": piece}),
            );
        }
    }
    say("response.completed", json!({"response": response("completed", &items, output)}));
    for (number, (name, data)) in events.iter_mut().enumerate() {
        data["type"] = json!(name);
        data["sequence_number"] = json!(number);
    }
    events
}

fn message_events(is_tool: bool, output: u64) -> Vec<(&'static str, Value)> {
    let mut events = vec![(
        "message_start",
        json!({"message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "up", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 20, "output_tokens": 1}}}),
    )];
    let mut block = |index: u64, begin: Value, deltas: Vec<Value>| {
        events.push(("content_block_start", json!({"index": index, "content_block": begin})));
        let deltas = deltas.into_iter().map(|delta| ("content_block_delta", json!({"index": index, "delta": delta})));
        events.extend(deltas);
        events.push(("content_block_stop", json!({"index": index})));
    };
    if is_tool {
        block(
            0,
            json!({"type": "thinking", "thinking": "", "signature": ""}),
            vec![
                json!({"type": "thinking_delta", "thinking": "Look it up."}),
                json!({"type": "signature_delta", "signature": "sig"}),
            ],
        );
        block(
            1,
            json!({"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}),
            vec![
                json!({"type": "input_json_delta", "partial_json": "{\"city\":"}),
                json!({"type": "input_json_delta", "partial_json": "\"Paris\"}"}),
            ],
        );
    } else {
        let text = |text: &str| json!({"type": "text_delta", "text": text});
        block(0, json!({"type": "text", "text": ""}), vec![text("It is"), text(" sunny.")]);
    }
    let reason = if is_tool { "tool_use" } else { "end_turn" };
    events.push((
        "message_delta",
        json!({"delta": {"stop_reason": reason, "stop_sequence": null},
        "usage": {"output_tokens": output}}),
    ));
    events.push(("message_stop", json!({})));
    for (name, data) in &mut events {
        data["type"] = json!(name);
    }
    events
}

fn converse_events(is_tool: bool, output: u64) -> Vec<(&'static str, Value)> {
    let mut events = vec![("messageStart", json!({"role": "assistant"}))];
    let delta = |index: u64, delta: Value| ("contentBlockDelta", json!({"contentBlockIndex": index, "delta": delta}));
    if is_tool {
        events.push(delta(0, json!({"reasoningContent": {"text": "Look it up."}})));
        events.push(delta(0, json!({"reasoningContent": {"signature": "sig"}})));
        events.push(("contentBlockStop", json!({"contentBlockIndex": 0})));
        events.push((
            "contentBlockStart",
            json!({"contentBlockIndex": 1,
            "start": {"toolUse": {"toolUseId": "t1", "name": "get_weather"}}}),
        ));
        for fragment in ["{\"city\":", "\"Paris\"}"] {
            events.push(delta(1, json!({"toolUse": {"input": fragment}})));
        }
        events.push(("contentBlockStop", json!({"contentBlockIndex": 1})));
    } else {
        events.push(delta(0, json!({"text": "It is"})));
        events.push(delta(0, json!({"text": " sunny."})));
        events.push(("contentBlockStop", json!({"contentBlockIndex": 0})));
    }
    events.push(("messageStop", json!({"stopReason": if is_tool { "tool_use" } else { "end_turn" }})));
    events.push((
        "metadata",
        json!({"usage": {"inputTokens": 20, "outputTokens": output, "totalTokens": 20 + output},
        "metrics": {"latencyMs": 1}}),
    ));
    events
}
