//! A script as bytes: chat completions with and without streaming.
//!
//! Promise: what a script says is what arrives, and the usage that it reports is the one that its bytes amount to (a
//! token a chunk for the answer, a word for the question, times `n`), unless it was told to report something else.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};

use super::script::{Script, Step, UsageFrame, UsagePlace};
use super::{Watch, text};

/// More choices than this are not made, whatever a client asks for.
const MAX_CHOICES: u64 = 8;
/// Long enough for the server to write everything that it has.
const BEFORE_A_CUT: Duration = Duration::from_millis(50);

/// The text of the last message by the user; content may be a string or parts.
pub(super) fn last_user_message(body: &Value) -> &str {
    let content = messages(body).iter().rev().find(|message| message["role"] == "user");
    content.map(|message| text_of(&message["content"])).unwrap_or_default()
}

/// The results of tools that the conversation ends with, oldest first.
pub(super) fn tool_results(body: &Value) -> Vec<&str> {
    let results = messages(body).iter().rev().take_while(|message| message["role"] == "tool");
    let mut results: Vec<&str> = results.map(|message| text_of(&message["content"])).collect();
    results.reverse();
    results
}

fn messages(body: &Value) -> &[Value] {
    body["messages"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The first text of a message's content.
fn text_of(content: &Value) -> &str {
    match content {
        Value::String(text) => text,
        Value::Array(parts) => parts.iter().find_map(|part| part["text"].as_str()).unwrap_or_default(),
        _ => "",
    }
}

pub(super) async fn answer(mut script: Script, request: &Value, mut watch: Watch) -> Response {
    if script.echo {
        let mut parameters = request.clone();
        parameters.as_object_mut().map(|parameters| parameters.remove("messages"));
        script.steps = text::pieces(&parameters.to_string()).map(Step::Say).collect();
    }
    tokio::time::sleep(script.first_byte_after).await;
    let mut response = if let Some((status, body)) = &script.refusal {
        watch.finished = true;
        let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/json")], body.clone()).into_response()
    } else if request["stream"] == true {
        let body = Body::from_stream(stream::unfold((packets(&script, request), watch), next_packet));
        ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], body).into_response()
    } else {
        let body = Body::from_stream(stream::unfold((document_packets(&script, request), watch), next_packet));
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    for (name, value) in script.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// What the connection does next.
enum Packet {
    Bytes(Bytes),
    Wait(Duration),
    Stall,
    Cut,
}

async fn next_packet(
    (mut packets, mut watch): (VecDeque<Packet>, Watch),
) -> Option<(Result<Bytes, std::io::Error>, (VecDeque<Packet>, Watch))> {
    loop {
        match packets.pop_front() {
            Some(Packet::Bytes(bytes)) => return Some((Ok(bytes), (packets, watch))),
            Some(Packet::Wait(pause)) => tokio::time::sleep(pause).await,
            Some(Packet::Stall) => std::future::pending().await,
            Some(Packet::Cut) => {
                watch.finished = true;
                // An error from the body makes the server close the connection without the final chunk.
                return Some((Err(std::io::Error::other("cut as scripted")), (VecDeque::new(), watch)));
            }
            None => {
                watch.finished = true;
                return None;
            }
        }
    }
}

/// Makes the chunks of one stream.
struct Chunks<'a> {
    request: &'a Value,
    choices: u64,
    with_usage: bool,
}

impl Chunks<'_> {
    fn chunk(&self, choices: &Value, usage: &Value) -> Value {
        let mut chunk = json!({
            "id": "chatcmpl-mock",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": self.request["model"],
            "system_fingerprint": "fp_mock",
            "choices": choices,
        });
        if self.with_usage {
            chunk["usage"] = usage.clone();
        }
        chunk
    }

    /// The same delta for each choice.
    fn deltas(&self, delta: &Value, finish: Option<&str>, usage: &Value) -> String {
        let frame = |index: u64| {
            let choice = json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": finish}]);
            let last = index + 1 == self.choices;
            frame(&self.chunk(&choice, if last { usage } else { &Value::Null }))
        };
        (0..self.choices).map(frame).collect()
    }

    fn delta(&self, delta: &Value) -> String {
        self.deltas(delta, None, &Value::Null)
    }
}

fn frame(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// The part of a step that a model generates; `None` for what happens to the connection.
fn delta_of(step: &Step) -> Option<Value> {
    let call = |call: Value| json!({"tool_calls": [call]});
    Some(match step {
        Step::Say(text) => json!({"content": text}),
        Step::Think(text) => json!({"reasoning_content": text}),
        Step::Call { index, name } => call(json!({
            "index": index, "id": call_id(*index), "type": "function", "function": {"name": name, "arguments": ""},
        })),
        Step::Arguments { index, fragment } => call(json!({"index": index, "function": {"arguments": fragment}})),
        Step::Raw(_) | Step::Wait(_) | Step::Stall | Step::Cut => return None,
    })
}

fn call_id(index: usize) -> String {
    format!("call_{}", index + 1)
}

fn packets(script: &Script, request: &Value) -> VecDeque<Packet> {
    let with_usage = request["stream_options"]["include_usage"] == true;
    let chunks = Chunks { request, choices: choices(request), with_usage };
    let usage = usage(script, request).filter(|_| with_usage);
    let mut packets = Packets { list: VecDeque::new(), packet_bytes: script.packet_bytes };
    packets.bytes(chunks.delta(&json!({"role": "assistant", "content": ""})).as_bytes());
    for step in &script.steps {
        if let Some(delta) = delta_of(step) {
            if !script.pause_between_chunks.is_zero() {
                packets.list.push_back(Packet::Wait(script.pause_between_chunks));
            }
            packets.bytes(chunks.delta(&delta).as_bytes());
        } else {
            packets.happening(step);
        }
    }
    let merged = usage.as_ref().filter(|_| script.usage_place == UsagePlace::FinishChunk).cloned();
    if let Some(finish) = &script.finish {
        packets.bytes(chunks.deltas(&json!({}), Some(finish), &merged.unwrap_or_default()).as_bytes());
    }
    match (usage, script.usage_place) {
        (Some(usage), UsagePlace::OwnFrame) => packets.bytes(frame(&chunks.chunk(&json!([]), &usage)).as_bytes()),
        (Some(usage), UsagePlace::BareFrame) => packets.bytes(frame(&json!({"usage": usage})).as_bytes()),
        (_, UsagePlace::FinishChunk) | (None, _) => {}
    }
    if script.done_marker {
        packets.bytes(b"data: [DONE]\n\n");
    }
    packets.list
}

struct Packets {
    list: VecDeque<Packet>,
    packet_bytes: Option<usize>,
}

impl Packets {
    fn bytes(&mut self, bytes: &[u8]) {
        let size = self.packet_bytes.unwrap_or(bytes.len()).max(1);
        for packet in bytes.chunks(size) {
            self.list.push_back(Packet::Bytes(Bytes::copy_from_slice(packet)));
            if self.packet_bytes.is_some() {
                // Long enough for the packet to leave alone; the server would merge what is ready at once.
                self.list.push_back(Packet::Wait(Duration::from_millis(1)));
            }
        }
    }

    fn happening(&mut self, step: &Step) {
        match step {
            Step::Raw(bytes) => self.bytes(bytes),
            Step::Wait(pause) => self.list.push_back(Packet::Wait(*pause)),
            Step::Stall => self.list.push_back(Packet::Stall),
            // The server drops what it has not written yet; what was said before the cut must arrive.
            Step::Cut => self.list.extend([Packet::Wait(BEFORE_A_CUT), Packet::Cut]),
            Step::Say(_) | Step::Think(_) | Step::Call { .. } | Step::Arguments { .. } => {}
        }
    }
}

fn choices(request: &Value) -> u64 {
    request["n"].as_u64().unwrap_or(1).clamp(1, MAX_CHOICES)
}

fn usage(script: &Script, request: &Value) -> Option<Value> {
    let count = |wanted: fn(&Step) -> bool| script.steps.iter().filter(|step| wanted(step)).count() as u64;
    let thoughts = count(|step| matches!(step, Step::Think(_))) * choices(request);
    let (input, output) = match script.usage {
        UsageFrame::Missing => return None,
        UsageFrame::Exactly { input, output } => (input, output),
        UsageFrame::Counted => {
            let words = |message: &Value| text_of(&message["content"]).split_whitespace().count();
            let said = count(|step| delta_of(step).is_some()) * choices(request);
            (messages(request).iter().map(words).sum::<usize>().max(1) as u64, said)
        }
    };
    let mut usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
    if let Some(cached) = script.cached_tokens {
        usage["prompt_tokens_details"] = json!({"cached_tokens": cached, "audio_tokens": 0});
    }
    if let Some(reasoning) = script.reasoning_tokens.or((thoughts > 0).then_some(thoughts)) {
        usage["completion_tokens_details"] = json!({"reasoning_tokens": reasoning, "audio_tokens": 0});
    }
    Some(usage)
}

/// The whole answer as one document. Where the script has a mishap, half of the document is sent before it.
fn document_packets(script: &Script, request: &Value) -> VecDeque<Packet> {
    let document = document(script, request).into_bytes();
    let mut packets = Packets { list: VecDeque::new(), packet_bytes: script.packet_bytes };
    let generated = script.steps.iter().filter(|step| delta_of(step).is_some()).count();
    // It takes as long as the stream would.
    let pause = script.pause_between_chunks.saturating_mul(u32::try_from(generated).unwrap_or(u32::MAX));
    packets.list.push_back(Packet::Wait(pause));
    let is_mishap = |step: &&Step| delta_of(step).is_none() && !matches!(step, Step::Wait(_));
    if let Some(mishap) = script.steps.iter().find(is_mishap) {
        packets.bytes(&document[..document.len() / 2]);
        packets.happening(mishap);
    } else {
        packets.bytes(&document);
    }
    packets.list
}

fn document(script: &Script, request: &Value) -> String {
    let message = message(script);
    let choice =
        |index: u64| json!({"index": index, "message": message, "logprobs": null, "finish_reason": script.finish});
    let mut document = json!({
        "id": "chatcmpl-mock",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request["model"],
        "system_fingerprint": "fp_mock",
        "choices": (0..choices(request)).map(choice).collect::<Vec<_>>(),
        "usage": usage(script, request),
    });
    if request["service_tier"].is_string() {
        document["service_tier"] = request["service_tier"].clone();
    }
    document.to_string()
}

/// What all generated steps amount to.
fn message(script: &Script) -> Value {
    let (mut content, mut reasoning, mut calls) = (String::new(), String::new(), Vec::<(String, String)>::new());
    for step in &script.steps {
        match step {
            Step::Say(text) => content.push_str(text),
            Step::Think(text) => reasoning.push_str(text),
            Step::Call { name, .. } => calls.push((name.clone(), String::new())),
            Step::Arguments { index, fragment } => {
                if let Some((_, arguments)) = calls.get_mut(*index) {
                    arguments.push_str(fragment);
                }
            }
            Step::Raw(_) | Step::Wait(_) | Step::Stall | Step::Cut => {}
        }
    }
    let mut message = json!({"role": "assistant", "content": content, "refusal": null});
    if !reasoning.is_empty() {
        message["reasoning_content"] = reasoning.into();
    }
    if !calls.is_empty() {
        let call = |(index, (name, arguments)): (usize, &(String, String))| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"id": call_id(index), "type": "function", "function": function})
        };
        message["content"] = Value::Null;
        message["tool_calls"] = calls.iter().enumerate().map(call).collect();
    }
    message
}
