//! Errors under `/v1`: always in OpenAI's form.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use testkit::provider::Script;

use crate::{
    app::{App, Reply, Setup},
    sse::Sse,
};

fn call(question: &str) -> Value {
    json!({ "model": "mock-1", "messages": [{ "role": "user", "content": question }] })
}

/// Status and code; the form is checked by the way.
fn told(reply: &Reply) -> (u16, String) {
    let error = reply.body["error"].as_object().unwrap_or_else(|| panic!("not OpenAI's form: {:?}", reply.body));
    let mut names: Vec<&str> = error.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["code", "message", "param", "type"]);
    assert!(error["message"].is_string() && error["type"].is_string());
    assert_eq!(reply.header("content-type"), "application/json");
    assert!(!reply.header("x-request-id").is_empty());
    (reply.status.as_u16(), error["code"].as_str().unwrap_or("null").to_owned())
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_exist_is_told_in_openais_form() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/v1/nothing", "/v1/chat"] {
        let browser = ann.client().header("accept", "text/html,*/*").get(path).await;
        assert_eq!(told(&browser), is(404, "unknown_url"), "{path}");
        assert_eq!(told(&app.anyone().post(path, json!({})).await), is(404, "unknown_url"), "{path}");
    }
    assert_eq!(told(&ann.get("/v1/chat/completions").await), is(405, "method_not_allowed"));
    assert_eq!(told(&ann.client().delete("/v1/models").await), is(405, "method_not_allowed"));
    assert_eq!(told(&ann.get("/v1/models/unheard-of").await), is(404, "model_not_found"));
    let unknown = ann.post("/v1/chat/completions", json!({ "model": "unheard-of", "messages": [{}] })).await;
    assert_eq!(told(&unknown), is(404, "model_not_found"));
    assert_json_snapshot!("unknown_model", unknown.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_unknown_is_told_so() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let old = app.token(ann.id, chrono::Utc::now() - chrono::TimeDelta::minutes(1));
    for client in [app.anyone(), app.bearer(""), app.bearer("nonsense"), app.bearer(&old)] {
        let reply = client.post("/v1/chat/completions", call("Hi")).await;
        assert_eq!(told(&reply), is(401, "invalid_api_key"));
        assert_eq!(reply.body["error"]["type"], "invalid_request_error");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_call_is_told_by_its_parameter() {
    let mut setup = Setup::default();
    setup.options.limits.max_completion_body_bytes = 4096;
    let app = App::start_with(setup).await;
    let ann = app.user("ann").await;
    let send =
        async |body: &str| ann.client().send(Method::POST, "/v1/chat/completions", Body::from(body.to_owned())).await;
    assert_eq!(told(&send("{\"model\": oops}").await), is(400, "invalid_json"));
    assert_eq!(told(&send("").await), is(400, "invalid_json"));
    let mut without_messages = call("Hi");
    without_messages.as_object_mut().unwrap().remove("messages");
    let refused = send(&without_messages.to_string()).await;
    assert_eq!(told(&refused), is(400, "missing_required_parameter"));
    assert_json_snapshot!("missing_parameter", refused.body);
    assert_eq!(told(&send(&call(&"x".repeat(5000)).to_string()).await), is(413, "body_too_large"));
    assert_eq!(app.provider.received(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_provider_refuses_is_passed_on_and_its_own_trouble_is_not_blamed_on_the_client() {
    let cases = [
        ("[[error 400 unsupported_value temperature]]", is(400, "unsupported_value")),
        ("[[error 401]]", is(502, "upstream_error")),
        ("[[error 403]]", is(502, "upstream_error")),
        ("[[error 404]]", is(502, "upstream_error")),
        ("[[error 500]]", is(502, "upstream_error")),
    ];
    for (number, (question, expected)) in cases.iter().enumerate() {
        // A house each, because a channel that fails rests.
        let app = App::start().await;
        let ann = app.user("ann").await;
        let mut body = call(question);
        body["stream"] = json!(number % 2 == 0);
        let reply = ann.post("/v1/chat/completions", body).await;
        assert_eq!(told(&reply), *expected, "{question}");
        let text = reply.body.to_string();
        assert!(!text.contains("127.0.0.1") && !text.contains("http"), "no address: {text}");
        if reply.status == StatusCode::BAD_REQUEST {
            assert_eq!(reply.body["error"]["param"], "temperature");
        }
        assert_eq!(ann.nanos("available_nanos").await, 1_000_000_000, "nothing was delivered, nothing is charged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_rate_limit_is_told_and_then_the_channel_rests() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let limited = ann.post("/v1/chat/completions", call("[[error 429]] [[retry-after 20]]")).await;
    assert_eq!((told(&limited), limited.header("retry-after")), (is(429, "rate_limit_exceeded"), "20"));
    let refused = ann.post("/v1/chat/completions", call("Hi")).await;
    assert_eq!(told(&refused), is(503, "no_healthy_channel"), "the only channel rests");
    assert!(!refused.header("retry-after").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_ends_with_one_error_frame_and_is_paid_for_as_far_as_it_came() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(Script::says("one two three four five").cut());
    let mut body = call("Hi");
    body["stream"] = json!(true);
    let frames = Sse::completion(ann.client(), &body).await.frames().await;
    let (last, chunks) = frames.split_last().unwrap();
    assert_eq!(last.data["error"]["code"], "upstream_error", "{frames:?}");
    assert!(chunks.iter().all(|chunk| chunk.data["choices"].is_array()));
    ann.wait_until_settled().await;
    let charge = ann.get("/api/v1/charges").await.body["items"][0].clone();
    assert_eq!(charge["basis"], "estimated");
    assert!(charge["tokens"]["output"].as_i64().unwrap() >= 4, "{charge}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_that_cannot_hold_credit_asks_no_provider() {
    let mut setup = Setup { with_handlers: false, ..Setup::default() };
    setup.options.limits.command_wait = std::time::Duration::from_millis(300);
    let app = App::start_with(setup).await;
    let token = app.token(uuid::Uuid::now_v7(), chrono::Utc::now() + chrono::TimeDelta::minutes(5));
    let reply = app.bearer(&token).post("/v1/chat/completions", call("Hi")).await;
    assert_eq!(told(&reply), is(503, "overloaded"));
    assert!(!reply.header("retry-after").is_empty());
    assert_eq!(app.provider.received(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_that_is_full_says_so() {
    let mut setup = Setup::default();
    setup.options.limits.completion_bytes_under_way = 4096;
    let app = App::start_with(setup).await;
    let ann = app.user("ann").await;
    let large = ann.post("/v1/chat/completions", call(&"x".repeat(5000))).await;
    assert_eq!(told(&large), is(503, "overloaded"));
    assert_eq!(ann.post("/v1/chat/completions", call("Hi")).await.status, StatusCode::OK);

    let mut setup = Setup::default();
    setup.options.limits.concurrency = 0;
    let app = App::start_with(setup).await;
    assert_eq!(told(&app.anyone().get("/v1/models").await), is(503, "overloaded"));
}
