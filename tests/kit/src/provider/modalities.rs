//! What the mock provider does besides conversations, in OpenAI's form (rankings: in Cohere's).
//!
//! Scripted as conversations are, by the text that is embedded, drawn, read aloud or judged, the question of a ranking, or
//! the `prompt` of a form. A stream breaks or stalls where a script says so, a document in its middle. Without a script the
//! answer follows from the request: a vector has the place of its text and its length, speech is the text itself, a
//! transcript says how many bytes were heard, and of a ranking the last document is the best.
//!
//! Source: OpenAI's API description; docs.cohere.com/reference/rerank for `meta.billed_units`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::asking::{Asked, list};
use super::connection::Packets;
use super::script::{Script, Step, UsageFrame, Words};
use super::{Recorded, Shared};

type Server = Arc<Shared>;

/// Forms and documents are read up to this size.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// A transcript of a model that is sold by the second lasts so long.
const SECONDS: u64 = 2;

pub(super) fn routes() -> Router<Server> {
    let mut router = Router::new();
    for path in [
        "embeddings",
        "moderations",
        "rerank",
        "images/generations",
        "images/edits",
        "audio/speech",
        "audio/transcriptions",
        "audio/translations",
    ] {
        router = router.route(&format!("/v1/{path}"), post(answer));
    }
    router
}

async fn answer(State(shared): State<Server>, uri: OriginalUri, headers: HeaderMap, request: Request) -> Response {
    let Some(body) = read(&headers, request).await else { return StatusCode::BAD_REQUEST.into_response() };
    let prompt = prompt_of(&body);
    let stream = [&json!(true), &json!("true")].contains(&&body["stream"]);
    let mut asked = Asked { prompt, stream, ..Asked::default() };
    asked.hear(&asked.prompt.clone());
    let script = shared.script_for(&asked);
    let mut watch = shared.record(Recorded::new(uri.path(), body.clone(), &headers, &script, &asked));
    tokio::time::sleep(script.first_byte_after).await;
    let mut response = match &script.refusal {
        Some(refusal) => {
            watch.finished = true;
            let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let body = match &refusal.words {
                Words::Exactly(body) => body.clone(),
                Words::Told(told) => {
                    let error =
                        json!({"message": told.message, "type": "error", "code": told.code, "param": told.param});
                    json!({"error": error}).to_string()
                }
            };
            (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        None => {
            let (kind, packets) = told(uri.path(), &body, &asked, &script);
            ([(header::CONTENT_TYPE, kind)], packets.into_body(watch)).into_response()
        }
    };
    for (name, value) in &script.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A document, or a form as one: its files by their names and sizes.
async fn read(headers: &HeaderMap, request: Request) -> Option<Value> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let Ok(boundary) = multer::parse_boundary(kind) else {
        let bytes = axum::body::to_bytes(request.into_body(), MAX_BYTES).await.ok()?;
        return serde_json::from_slice(&bytes).ok();
    };
    let mut form = multer::Multipart::new(Body::into_data_stream(request.into_body()), boundary);
    let mut fields = Map::new();
    while let Some(part) = form.next_field().await.ok()? {
        let (name, file) = (part.name()?.to_owned(), part.file_name().map(str::to_owned));
        let bytes = part.bytes().await.ok()?;
        let value = match file {
            Some(file) => json!({"name": file, "bytes": bytes.len()}),
            None => String::from_utf8_lossy(&bytes).into(),
        };
        fields.insert(name, value);
    }
    Some(fields.into())
}

/// The text that scripts an answer.
fn prompt_of(body: &Value) -> String {
    let places = [&body["prompt"], &body["query"], &body["input"], &body["input"][0], &body["input"][0]["text"]];
    places.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned()
}

/// What the connection does, and what it says that it is.
fn told(path: &str, body: &Value, asked: &Asked, script: &Script) -> (&'static str, Packets) {
    let kind = path.trim_start_matches("/v1/");
    let said: String = script
        .steps
        .iter()
        .filter_map(|step| if let Step::Say(text) = step { Some(text.as_str()) } else { None })
        .collect();
    let usage = Usage::of(script, asked, body);
    match kind {
        "audio/speech" if body["stream_format"] == "sse" => events(script, "speech.audio", "audio", &usage),
        "audio/speech" => ("audio/mpeg", steps(script)),
        "audio/transcriptions" | "audio/translations" if asked.stream => {
            events(script, "transcript.text", "delta", &usage)
        }
        "audio/transcriptions" | "audio/translations" => {
            let heard = format!("heard {} bytes", body["file"]["bytes"]);
            let text = if asked.prompt.is_empty() { heard } else { said };
            match body["response_format"].as_str() {
                Some("text" | "srt" | "vtt") => ("text/plain; charset=utf-8", whole(script, text)),
                _ => document(script, json!({"text": text}), &usage),
            }
        }
        "embeddings" => {
            let data = vectors(body);
            document(script, json!({"object": "list", "model": body["model"], "data": data}), &usage)
        }
        "moderations" => {
            let judge = |text: &str| json!({"flagged": text.contains("harm"), "categories": {"violence": text.contains("harm")}});
            let results: Vec<Value> = texts(&body["input"]).into_iter().map(judge).collect();
            document(script, json!({"id": "modr-1", "model": body["model"], "results": results}), &Usage::default())
        }
        "rerank" => {
            let documents = list(&body["documents"]).len();
            let results: Vec<Value> = (0..documents)
                .map(|index| json!({"index": index, "relevance_score": (index + 1) as f64 / 100.0}))
                .collect();
            let meta = json!({"billed_units": {"search_units": documents.div_ceil(100)}});
            document(script, json!({"id": "rank-1", "results": results, "meta": meta}), &Usage::default())
        }
        _ => {
            let count = body["n"].as_u64().or_else(|| body["n"].as_str()?.parse().ok()).unwrap_or(1);
            let one = json!({"b64_json": STANDARD.encode(asked.prompt.as_bytes())});
            let data = vec![one; usize::try_from(count).unwrap_or(1)];
            document(script, json!({"created": 1, "data": data}), &usage)
        }
    }
}

/// What is reported, in the form of who reports it.
#[derive(Default)]
struct Usage(Option<Value>);

impl Usage {
    fn of(script: &Script, asked: &Asked, body: &Value) -> Self {
        let by_second = body["model"].as_str().is_some_and(|model| model.contains("whisper"));
        Self(match script.usage {
            UsageFrame::Missing => None,
            _ if by_second => Some(json!({"type": "duration", "seconds": SECONDS})),
            UsageFrame::Counted if !body["input"].is_null() => {
                Some(json!({"prompt_tokens": asked.words.max(1), "total_tokens": asked.words.max(1)}))
            }
            UsageFrame::Counted => None,
            UsageFrame::Exactly { input, output } => Some(json!({
                "type": "tokens", "input_tokens": input, "output_tokens": output, "total_tokens": input + output,
            })),
        })
    }
}

fn document(script: &Script, mut document: Value, Usage(usage): &Usage) -> (&'static str, Packets) {
    if let Some(usage) = usage {
        document["usage"] = usage.clone();
    }
    ("application/json", whole(script, document.to_string()))
}

/// All at once, or as far as the script lets it come.
fn whole(script: &Script, text: String) -> Packets {
    let mut packets = Packets::new(script.packet_bytes);
    let happens = |step: &&Step| matches!(step, Step::Raw(_) | Step::Stall | Step::Cut);
    let Some(happening) = script.steps.iter().find(happens) else {
        packets.bytes(text);
        return packets;
    };
    if !matches!(happening, Step::Raw(_)) {
        packets.bytes(&text.as_bytes()[..text.len() / 2]);
    }
    packets.happening(happening);
    packets
}

/// What is said, as it is.
fn steps(script: &Script) -> Packets {
    let mut packets = Packets::new(script.packet_bytes);
    for step in &script.steps {
        if let Step::Say(text) = step {
            packets.wait(script.pause_between_chunks);
            packets.bytes(text);
        }
        packets.happening(step);
    }
    packets
}

/// What is said, as events of this kind; the last one has the usage.
fn events(script: &Script, kind: &str, field: &str, Usage(usage): &Usage) -> (&'static str, Packets) {
    let mut packets = Packets::new(script.packet_bytes);
    let event = |packets: &mut Packets, name: &str, mut data: Value| {
        data["type"] = format!("{kind}.{name}").into();
        packets.bytes(format!("data: {data}\n\n"));
    };
    for step in &script.steps {
        if let Step::Say(text) = step {
            packets.wait(script.pause_between_chunks);
            event(&mut packets, "delta", json!({field: text}));
        }
        packets.happening(step);
    }
    let usage = usage.clone().unwrap_or_default();
    event(&mut packets, "done", if usage.is_null() { json!({}) } else { json!({"usage": usage}) });
    ("text/event-stream", packets)
}

fn texts(input: &Value) -> Vec<&str> {
    match input {
        Value::String(text) => vec![text],
        input => {
            list(input).iter().map(|input| input.as_str().or(input["text"].as_str()).unwrap_or_default()).collect()
        }
    }
}

/// For each input its place and its length, then zeros.
fn vectors(body: &Value) -> Vec<Value> {
    let dimensions = body["dimensions"].as_u64().and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(3);
    let input = &body["input"];
    let lengths: Vec<usize> = match list(input).first() {
        None => vec![input.as_str().unwrap_or_default().len()],
        Some(first) if first.is_number() => vec![list(input).len()],
        Some(_) => list(input).iter().map(|one| one.as_str().map_or_else(|| list(one).len(), str::len)).collect(),
    };
    let vector = |(place, length): (usize, &usize)| {
        let mut vector = vec![place as f32, *length as f32];
        vector.resize(dimensions, 0.0);
        let embedding = match body["encoding_format"].as_str() {
            Some("base64") => {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                STANDARD.encode(bytes).into()
            }
            _ => json!(vector),
        };
        json!({"object": "embedding", "index": place, "embedding": embedding})
    };
    lengths.iter().enumerate().map(vector).collect()
}
