//! `/v1/completions`: the legacy API, served in terms of chat completions.

use axum::http::StatusCode;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::{app::App, sse::Sse};

fn call(prompt: &str, more: &Value) -> Value {
    let mut body = json!({ "model": "mock-1", "prompt": prompt });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_text_is_openais_legacy_object_and_is_charged() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let question = call("[[say upon a time]] [[usage 9 3]]", &json!({ "seed": 7, "max_tokens": 50 }));
    let answer = ann.post("/v1/completions", question).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_json_snapshot!("whole", answer.body, { ".id" => "[id]", ".created" => "[time]" });
    assert_eq!(answer.header("x-oblivious-tries"), "1");
    let asked = &app.provider.requests()[0].body;
    assert_eq!((&asked["seed"], &asked["messages"][0]["role"]), (&json!(7), &json!("user")));
    assert!(asked.get("prompt").is_none());
    assert_eq!(ann.nanos("available_nanos").await, 1_000_000_000 - 22_500 - 30_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_echoes_its_prompt_once_and_ends_with_done() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let options =
        json!({ "stream": true, "echo": true, "max_tokens": 50, "stream_options": { "include_usage": true } });
    let question = "[[say upon a time]] [[usage 9 3]]";
    let frames = Sse::post(ann.client(), "/v1/completions", &call(question, &options)).await.frames().await;
    let (done, frames) = frames.split_last().unwrap();
    assert_eq!(done.raw, "[DONE]");
    let (usage, chunks) = frames.split_last().unwrap();
    assert_eq!((&usage.data["choices"], &usage.data["usage"]["total_tokens"]), (&json!([]), &json!(12)));
    assert!(chunks.iter().all(|chunk| chunk.data["object"] == "text_completion"), "{chunks:?}");
    let text: String = chunks.iter().map(|chunk| chunk.data["choices"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(text, format!("{question}upon a time"));
    assert_eq!(chunks.last().unwrap().data["choices"][0]["finish_reason"], "stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_chat_cannot_do_is_refused_before_anything_is_asked() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    for (more, param) in [
        (json!({ "suffix": "end" }), "suffix"),
        (json!({ "prompt": ["a", "b"] }), "prompt"),
        (json!({ "prompt": [[1, 2]] }), "prompt"),
        (json!({ "best_of": 4 }), "best_of"),
    ] {
        let refused = ann.post("/v1/completions", call("Hi", &more)).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["error"]["param"]),
            (400, &json!(param)),
            "{:?}",
            refused.body
        );
    }
    assert_eq!(app.provider.received(), 0);
}
