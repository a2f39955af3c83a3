//! A script as bytes: chat completions with and without streaming.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};

use super::Watch;
use super::script::{Script, Step, UsageFrame};

/// The text of the last message by the user; content may be a string or parts.
pub(super) fn last_user_message(body: &Value) -> &str {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let content = messages.iter().rev().find(|message| message["role"] == "user").map(|message| &message["content"]);
    match content {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => parts.iter().find_map(|part| part["text"].as_str()).unwrap_or_default(),
        _ => "",
    }
}

pub(super) async fn answer(script: Script, request: &Value, mut watch: Watch) -> Response {
    tokio::time::sleep(script.first_byte_after).await;
    let headers = script.headers.clone();
    let mut response = if let Some((status, body)) = script.refusal {
        watch.finished = true;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    } else if request["stream"] == true {
        let packets = packets(&script, request);
        let body = Body::from_stream(stream::unfold((packets, watch), next_packet));
        ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], body).into_response()
    } else {
        let packets = VecDeque::from([Packet::Bytes(document(&script, request).into())]);
        let body = Body::from_stream(stream::unfold((packets, watch), next_packet));
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    for (name, value) in headers {
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

fn packets(script: &Script, request: &Value) -> VecDeque<Packet> {
    let with_usage = request["stream_options"]["include_usage"] == true;
    let frame = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": "chatcmpl-mock",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": request["model"],
            "choices": choices,
        });
        if with_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, finish: Option<&str>| {
        frame(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), Value::Null)
    };
    let mut packets = Packets { list: VecDeque::new(), packet_bytes: script.packet_bytes };
    packets.bytes(delta(json!({"role": "assistant", "content": ""}), None).as_bytes());
    for step in &script.steps {
        match step {
            Step::Say(text) => {
                if !script.pause_between_chunks.is_zero() {
                    packets.list.push_back(Packet::Wait(script.pause_between_chunks));
                }
                packets.bytes(delta(json!({"content": text}), None).as_bytes());
            }
            Step::Raw(bytes) => packets.bytes(bytes),
            Step::Wait(pause) => packets.list.push_back(Packet::Wait(*pause)),
            Step::Stall => packets.list.push_back(Packet::Stall),
            Step::Cut => packets.list.push_back(Packet::Cut),
        }
    }
    if let Some(finish) = &script.finish {
        packets.bytes(delta(json!({}), Some(finish)).as_bytes());
    }
    if let Some(usage) = usage(script, request).filter(|_| with_usage) {
        packets.bytes(frame(json!([]), usage).as_bytes());
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
}

fn usage(script: &Script, request: &Value) -> Option<Value> {
    let (input, output) = match script.usage {
        UsageFrame::Missing => return None,
        UsageFrame::Exactly { input, output } => (input, output),
        UsageFrame::Counted => {
            let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
            let words = |message: &Value| message["content"].as_str().unwrap_or_default().split_whitespace().count();
            let chunks = script.steps.iter().filter(|step| matches!(step, Step::Say(_))).count();
            (messages.iter().map(words).sum::<usize>().max(1) as u64, chunks as u64)
        }
    };
    Some(json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output}))
}

/// The whole answer as one document; steps that are no text have no meaning here.
fn document(script: &Script, request: &Value) -> String {
    let mut content = String::new();
    for step in &script.steps {
        if let Step::Say(text) = step {
            content.push_str(text);
        }
    }
    let document = json!({
        "id": "chatcmpl-mock",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request["model"],
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": content},
            "logprobs": null,
            "finish_reason": script.finish,
        }],
        "usage": usage(script, request),
    });
    document.to_string()
}
