//! `/v1/embeddings`, `/v1/images/…`, `/v1/audio/…`, `/v1/moderations`, `/v1/rerank`: what comes back, what it costs, and who
//! is asked when somebody fails.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, StatusCode},
    response::Response,
};
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use testkit::provider::{Outcome, Script};

use crate::app::{App, PATIENCE, Reply, Setup, User};

pub(crate) const GIFT: i64 = 1_000_000_000;
/// Ends the parts of a form.
pub(crate) const BOUNDARY: &str = "a-boundary";

/// A channel of the mock provider that is sold by the token and by the piece.
pub(crate) fn channel(app: &App, name: &str, more: &Value) -> Value {
    let models = ["embed", "draw", "tts-1", "whisper-1", "rank", "judge"];
    let prices = json!({
        "embed": { "input": "2", "output": 0 },
        "draw": { "input": 0, "output": 0, "per_image": "0.04" },
        "tts-1": { "input": 0, "output": 0, "per_character": "0.000015" },
        "whisper-1": { "input": 0, "output": 0, "per_second": "0.0001" },
        "rank": { "input": 0, "output": 0, "per_search": "0.002" },
        "judge": { "input": 0, "output": 0 },
    });
    let mut body = json!({
        "name": name, "provider": "openai", "base_url": app.provider.base_url(), "keys": ["sk-one"], "models": models,
        "prices": prices,
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

pub(crate) async fn add(operator: &User<'_>, channel: Value) {
    let added = operator.post("/api/v1/admin/channels", channel).await;
    assert_eq!(added.status, StatusCode::CREATED, "{:?}", added.body);
}

/// A house with such a channel.
pub(crate) async fn house() -> App {
    let app = App::start().await;
    add(&app.admin("olga").await, channel(&app, "Senses", &json!({}))).await;
    app
}

pub(crate) fn form(parts: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Vec<u8> {
    let mut bytes = vec![];
    if let Some((name, content)) = file {
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.wav\"\r\n\
             content-type: audio/wav\r\n\r\n"
        );
        bytes.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    for (name, value) in parts {
        let part = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        bytes.extend(part.as_bytes());
    }
    bytes.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    bytes
}

pub(crate) async fn send_form(user: &User<'_>, path: &str, body: impl Into<Body>) -> Response {
    let client = user.client().header("content-type", &format!("multipart/form-data; boundary={BOUNDARY}"));
    client.response(Method::POST, path, body.into()).await
}

/// The one charge of this account.
async fn charge(user: &User<'_>) -> Value {
    user.wait_until_settled().await;
    let page = user.get("/api/v1/charges").await;
    assert_eq!(page.body["items"].as_array().unwrap().len(), 1, "{:?}", page.body);
    page.body["items"][0].clone()
}

pub(crate) fn code(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), reply.body["error"]["code"].as_str().unwrap_or("no code"))
}

/// A recording of a second and a half.
pub(crate) fn wave() -> Vec<u8> {
    let mut bytes =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\0\0\0".to_vec();
    bytes.resize(48_000, 0);
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embeddings_have_the_form_that_was_asked_for_and_cost_their_tokens() {
    let app = house().await;
    let ann = app.user("ann").await;
    let body = json!({ "model": "embed", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 2 });
    let answer = ann.post("/v1/embeddings", body.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_eq!(answer.body["data"][0]["embedding"], "AAAAAAAAgD8=", "the numbers 0 and 1");
    assert_eq!((&answer.body["model"], answer.header("x-oblivious-tries")), (&json!("embed"), "1"));
    assert!(!answer.header("x-request-id").is_empty());
    assert_eq!(app.provider.requests()[0].body, body, "as it was sent");
    let charge = charge(&ann).await;
    assert_eq!((&charge["tokens"]["input"], &charge["basis"]), (&json!(1), &json!("reported")));
    let ids = ann.post("/v1/embeddings/", json!({ "model": "embed", "input": [[1, 2], [3]] })).await;
    assert_eq!(ids.body["data"][1]["embedding"], json!([1.0, 1.0, 0.0]), "{:?}", ids.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_nobody_reports_are_counted_here() {
    let app = house().await;
    let ann = app.user("ann").await;
    let answer = ann.post("/v1/embeddings", json!({ "model": "embed", "input": "one two three [[no-usage]]" })).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let charge = charge(&ann).await;
    let tokens = charge["tokens"]["input"].as_i64().unwrap();
    assert!(tokens >= 3 && charge["basis"] != "reported", "{charge}");
    assert_eq!(charge["charged_nanos"], (tokens * 2_000).to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_are_held_for_and_paid_by_the_piece() {
    let app = house().await;
    let (ann, operator) = (app.user("ann").await, app.admin("otto").await);
    let drawn = ann.post("/v1/images/generations", json!({ "model": "draw", "prompt": "a cat", "n": 3 })).await;
    assert_eq!((drawn.status, drawn.body["data"].as_array().unwrap().len()), (StatusCode::OK, 3), "{:?}", drawn.body);
    let charged = charge(&ann).await;
    assert_eq!((&charged["pieces"], &charged["charged_nanos"]), (&json!({ "images": 3 }), &json!("120000000")));
    assert_eq!(charged["basis"], "counted");
    assert_eq!(ann.nanos("available_nanos").await, GIFT - 120_000_000);
    // Enough for two.
    operator.move_money("adjustments", ann.id, "-790000000").await;
    let refused = ann.post("/v1/images/generations", json!({ "model": "draw", "prompt": "a cat", "n": 3 })).await;
    assert_eq!(code(&refused), (429, "insufficient_quota"));
    assert_eq!(app.provider.received(), 1, "nothing was asked");
    assert_eq!(ann.nanos("held_nanos").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_is_a_form_with_pictures_that_reaches_the_provider_whole() {
    let app = house().await;
    let ann = app.user("ann").await;
    let fields = [("prompt", "a hat"), ("model", "draw"), ("n", "2"), ("size", "1024x1024")];
    let answer = Reply::read(send_form(&ann, "/v1/images/edits", form(&fields, Some(("image[]", b"png")))).await).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let sent = &app.provider.requests()[0].body;
    assert_eq!(
        (&sent["size"], &sent["image[]"]["bytes"], &sent["model"]),
        (&json!("1024x1024"), &json!(3), &json!("draw"))
    );
    assert_eq!(charge(&ann).await["pieces"], json!({ "images": 2 }));
    for (fields, file, param) in [
        (&fields[..1], Some(("image", &b"x"[..])), "model"),
        (&fields[1..], Some(("image", b"x")), "prompt"),
        (&fields[..2], None, "image"),
    ] {
        let refused = Reply::read(send_form(&ann, "/v1/images/edits", form(fields, file)).await).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["error"]["param"]),
            (400, &json!(param)),
            "{:?}",
            refused.body
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_may_be_a_document_with_its_pictures_inside() {
    let app = house().await;
    let ann = app.user("ann").await;
    let images = json!([{ "image_url": "data:image/png;base64,cG5n" }]);
    let body = json!({ "prompt": "a hat", "model": "draw", "n": 2, "size": "1024x1024", "images": images });
    let answer = ann.post("/v1/images/edits", body).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let sent = &app.provider.requests()[0].body;
    assert_eq!(
        (&sent["size"], &sent["image[]"]["bytes"], &sent["model"]),
        (&json!("1024x1024"), &json!(3), &json!("draw"))
    );
    assert_eq!(charge(&ann).await["pieces"], json!({ "images": 2 }));
    let body = json!({ "prompt": "a hat", "model": "draw", "images": [{ "file_id": "file-1" }] });
    let refused = ann.post("/v1/images/edits", body).await;
    assert_eq!(code(&refused), (400, "unsupported_value"));
    assert_eq!(app.provider.received(), 1, "nothing was asked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speech_comes_as_it_is_made_and_costs_its_characters() {
    let app = house().await;
    let ann = app.user("ann").await;
    let body = json!({ "model": "tts-1", "input": "[[chunks 3]] [[delay 10]]", "voice": "alloy" });
    let client = ann.client().header("content-type", "application/json");
    let answer = client.response(Method::POST, "/v1/audio/speech", Body::from(body.to_string())).await;
    assert_eq!((answer.status(), &answer.headers()["content-type"]), (StatusCode::OK, &"audio/mpeg".parse().unwrap()));
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let mut pieces = answer.into_body().into_data_stream();
    let mut count = 0;
    while let Some(piece) = pieces.next().await {
        count += usize::from(!piece.unwrap().is_empty());
    }
    assert!(count >= 2, "piece by piece");
    let charge = charge(&ann).await;
    assert_eq!((&charge["pieces"], &charge["charged_nanos"]), (&json!({ "characters": 25 }), &json!("375000")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transcripts_cost_the_seconds_that_are_reported_and_else_those_of_the_recording() {
    let app = house().await;
    for (name, format, seconds_ms, basis) in [("ann", "json", 2_000, "reported"), ("bob", "text", 1_500, "counted")] {
        let user = app.user(name).await;
        let fields = [("model", "whisper-1"), ("response_format", format)];
        let response = send_form(&user, "/v1/audio/transcriptions", form(&fields, Some(("file", &wave())))).await;
        assert_eq!(response.status(), StatusCode::OK);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&text).contains("heard 48000 bytes"), "{text:?}");
        let charge = charge(&user).await;
        assert_eq!((&charge["pieces"]["sound_ms"], &charge["basis"]), (&json!(seconds_ms), &json!(basis)), "{charge}");
        assert_eq!(charge["charged_nanos"], (seconds_ms * 100).to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_transcript_passes_as_events_and_its_last_one_says_what_it_cost() {
    let app = house().await;
    let ann = app.user("ann").await;
    let fields = [("model", "whisper-1"), ("stream", "true"), ("prompt", "[[say hello there]]")];
    let response = send_form(&ann, "/v1/audio/translations", form(&fields, Some(("file", &wave())))).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let events = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(events.contains("transcript.text.delta") && events.trim_end().ends_with('}'), "{events}");
    assert_eq!(app.provider.requests()[0].path, "/v1/audio/translations");
    assert_eq!(charge(&ann).await["pieces"]["sound_ms"], 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rankings_cost_searches_and_judgements_nothing() {
    let app = house().await;
    let ann = app.user("ann").await;
    let judged = ann.post("/v1/moderations", json!({ "model": "judge", "input": ["peace", "harm"] })).await;
    assert_eq!(
        (&judged.body["results"][0]["flagged"], &judged.body["results"][1]["flagged"]),
        (&json!(false), &json!(true))
    );
    let unnamed = ann.post("/v1/moderations", json!({ "input": "peace" })).await;
    assert_eq!(code(&unnamed), (404, "model_not_found"), "the usual model is not offered here");
    let documents = vec!["a document"; 101];
    let ranked =
        ann.post("/v1/rerank", json!({ "model": "rank", "query": "q", "documents": documents, "top_n": 1 })).await;
    assert_eq!(ranked.status, StatusCode::OK, "{:?}", ranked.body);
    let results = ranked.body["results"].as_array().unwrap();
    assert_eq!(
        (results.len(), &results[0]["index"], &results[0]["document"]["text"]),
        (1, &json!(100), &json!("a document"))
    );
    // What cost nothing is listed moments after its end, and so in any order.
    let charged = loop {
        let charges = ann.get("/api/v1/charges").await.body["items"].as_array().unwrap().clone();
        if charges.len() >= 2 {
            break charges;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let mut told: Vec<_> =
        charged.iter().map(|charge| (charge["model"].as_str().unwrap(), charge["charged_nanos"].clone())).collect();
    told.sort_unstable_by_key(|(model, _)| *model);
    assert_eq!(told, [("judge", json!("0")), ("rank", json!("4000000"))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_fails_is_left_for_another_one_also_with_a_form_that_is_small() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    add(&operator, channel(&app, "First", &json!({ "priority": 9, "public_name": "first" }))).await;
    add(&operator, channel(&app, "Second", &json!({ "public_name": "second" }))).await;
    let fields = [("model", "whisper-1")];
    for failure in [Script::fails(500, "no"), Script::default().garbage()] {
        app.provider.enqueue(failure);
        let response = send_form(&ann, "/v1/audio/transcriptions", form(&fields, Some(("file", &wave())))).await;
        let answer = Reply::read(response).await;
        assert_eq!((answer.status, answer.header("x-oblivious-tries")), (StatusCode::OK, "2"), "{:?}", answer.body);
        assert_eq!(answer.header("x-oblivious-channel"), "second");
        assert_eq!(answer.body["text"], "heard 48000 bytes", "all of it was sent again");
    }
    app.provider.enqueue(Script::fails(503, "no"));
    let answer = ann.post("/v1/embeddings", json!({ "model": "embed", "input": "a" })).await;
    assert_eq!((answer.status, answer.header("x-oblivious-tries")), (StatusCode::OK, "2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_provider_can_answer_costs_nothing() {
    let app = house().await;
    let ann = app.user("ann").await;
    let body = json!({ "model": "embed", "input": "a" });
    app.provider
        .answer_with(|_| Script::fails(400, r#"{"error":{"message":"too long","code":"too_long","param":"input"}}"#));
    let refused = ann.post("/v1/embeddings", body.clone()).await;
    assert_eq!(code(&refused), (400, "too_long"));
    app.provider.answer_with(|_| Script::default().raw("{\"unexpected\": true}"));
    let garbage = ann.post("/v1/embeddings", body).await;
    assert_eq!(code(&garbage), (502, "upstream_error"), "{:?}", garbage.body);
    ann.wait_until_settled().await;
    assert_eq!(ann.nanos("available_nanos").await, GIFT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_ask_and_what_is_not_offered_is_said_before_anything_is_asked() {
    let app = house().await;
    let (ann, operator) = (app.user("ann").await, app.admin("otto").await);
    let claude = json!({ "name": "Claude", "provider": "anthropic", "base_url": app.provider.base_url(),
        "models": ["claude"], "prices": { "claude": { "input": 1, "output": 1 } } });
    add(&operator, claude).await;
    let key = ann.post("/api/v1/api-keys", json!({ "name": "k", "models": ["embed"] })).await.text("key");
    let limited = app.bearer(&key).post("/v1/images/generations", json!({ "model": "draw", "prompt": "a" })).await;
    assert_eq!(code(&limited), (403, "model_not_allowed"));
    let unknown = ann.post("/v1/embeddings", json!({ "model": "nothing", "input": "a" })).await;
    assert_eq!(code(&unknown), (404, "model_not_found"));
    let stranger = app.anyone().post("/v1/audio/speech", json!({})).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    let scope = ann.api_key(&["billing"]).await.text("key");
    let scoped = app.bearer(&scope).post("/v1/rerank", json!({})).await;
    assert_eq!(code(&scoped), (403, "scope_missing"));
    let no_form = ann.post("/v1/audio/transcriptions", json!({ "model": "whisper-1" })).await;
    assert_eq!(code(&no_form), (415, "unsupported_media_type"));
    assert_eq!(app.provider.received(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn speech_whose_client_leaves_is_read_on_and_charged() {
    let mut setup = Setup::default();
    setup.options.drain = Duration::from_millis(200);
    let app = App::start_with(setup).await;
    add(&app.admin("olga").await, channel(&app, "Senses", &json!({}))).await;
    let ann = app.user("ann").await;
    let body = json!({ "model": "tts-1", "input": "[[chunks 3]] [[stall 3]]", "voice": "alloy" });
    let client = ann.client().header("content-type", "application/json");
    let answer = client.response(Method::POST, "/v1/audio/speech", Body::from(body.to_string())).await;
    let mut pieces = answer.into_body().into_data_stream();
    assert!(pieces.next().await.unwrap().is_ok());
    drop(pieces);
    let charge = charge(&ann).await;
    assert_eq!(
        (&charge["charged_nanos"], &charge["basis"]),
        (&json!("360000"), &json!("counted")),
        "all of it was sent"
    );
    app.provider.wait_until(1, PATIENCE, |request| request.outcome == Outcome::Aborted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_that_breaks_off_breaks_the_connection_and_events_say_so() {
    let app = house().await;
    let ann = app.user("ann").await;
    let speak = async |body: Value| {
        let client = ann.client().header("content-type", "application/json");
        client.response(Method::POST, "/v1/audio/speech", Body::from(body.to_string())).await
    };
    let broken = speak(json!({ "model": "tts-1", "input": "[[chunks 3]] [[cut 2]]", "voice": "a" })).await;
    assert_eq!(broken.status(), StatusCode::OK);
    assert!(broken.into_body().collect().await.is_err(), "half of it is not taken for all of it");
    let input = "[[chunks 3]] [[cut 2]]";
    let events = speak(json!({ "model": "tts-1", "input": input, "voice": "a", "stream_format": "sse" })).await;
    let events = String::from_utf8(events.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    let last = events.trim_end().rsplit("data: ").next().unwrap();
    assert_eq!(serde_json::from_str::<Value>(last).unwrap()["error"]["code"], "upstream_error", "{events}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_besides_conversations_is_told_of_like_any_other() {
    let app = house().await;
    let (ann, operator) = (app.user("ann").await, app.admin("otto").await);
    ann.post("/v1/images/generations", json!({ "model": "draw", "prompt": "a cat" })).await;
    let told = async {
        loop {
            let page = operator.get("/api/v1/admin/calls").await;
            if let Some(call) = page.body["items"].as_array().and_then(|calls| calls.first()) {
                return call.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let call = tokio::time::timeout(PATIENCE, told).await.expect("the call is told of");
    assert_eq!(
        (&call["surface"], &call["model"], &call["outcome"]),
        (&json!("images"), &json!("draw"), &json!("completed"))
    );
}
