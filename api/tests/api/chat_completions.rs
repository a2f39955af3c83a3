//! `/v1/chat/completions` and `/v1/models`: what goes through, and in which form.

use axum::http::StatusCode;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use testkit::provider::Script;

use crate::{
    app::{App, Setup},
    sse::Sse,
};

/// A call with this question and these further parameters.
fn call(question: &str, more: &Value) -> Value {
    let mut body = json!({ "model": "mock-1", "messages": [{ "role": "user", "content": question }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn streaming(question: &str) -> Value {
    call(question, &json!({ "stream": true }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_is_openais_own() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let key = ann.api_key(&["chat"]).await.text("key");
    let question = call("[[say Hello]] [[usage 9 3]]", &json!({ "seed": 7, "future": { "x": [1] }, "user": "u" }));
    let answer = app.bearer(&key).header("x-request-id", "mine-1").post("/v1/chat/completions", question).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    assert_json_snapshot!("whole", answer.body);
    assert_eq!(answer.header("x-request-id"), "mine-1");
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "600");
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "599");
    assert!(!answer.header("x-ratelimit-reset-requests").is_empty());
    let asked = &app.provider.requests()[0].body;
    assert_eq!((&asked["seed"], &asked["future"], &asked["user"]), (&json!(7), &json!({ "x": [1] }), &json!("u")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_the_usage_frame_only_if_it_was_asked_for() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let frames = Sse::completion(ann.client(), &streaming("[[say Hello there]] [[usage 9 3]]")).await.frames().await;
    let (done, chunks) = frames.split_last().unwrap();
    assert_eq!(done.raw, "[DONE]");
    let text: String =
        chunks.iter().filter_map(|chunk| chunk.data["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "Hello there");
    for chunk in chunks {
        assert!(chunk.data["choices"][0].is_object() && chunk.data.get("usage").is_none(), "{:?}", chunk.data);
        assert_eq!(chunk.data["model"], "mock-1");
    }
    // 9 tokens at 2.50 and 3 at 10 per million, and charged when the stream is over.
    assert_eq!(ann.nanos("available_nanos").await, 1_000_000_000 - 22_500 - 30_000);

    let mut body = streaming("[[say Hi]] [[usage 9 3]]");
    body["stream_options"] = json!({ "include_usage": true });
    let frames = Sse::completion(ann.client(), &body).await.frames().await;
    let usage = &frames[frames.len() - 2].data;
    assert_json_snapshot!("usage_frame", usage);
    assert!(frames[..frames.len() - 2].iter().all(|chunk| chunk.data["choices"][0].is_object()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_and_reasoning_pass_in_both_directions() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let tool = json!({ "type": "function", "function": { "name": "weather", "parameters": { "type": "object" } } });
    let question = "[[think hm]] [[call weather {\"city\":\"Chengdu\"}]]";
    let body = call(question, &json!({ "stream": true, "tools": [tool], "tool_choice": "auto" }));
    let frames = Sse::completion(ann.client(), &body).await.frames().await;
    let deltas: Vec<&Value> = frames.iter().map(|frame| &frame.data["choices"][0]["delta"]).collect();
    let calls: Vec<&Value> = deltas.iter().filter_map(|delta| delta["tool_calls"].as_array()).flatten().collect();
    assert_eq!((&calls[0]["index"], &calls[0]["function"]["name"]), (&json!(0), &json!("weather")));
    let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
    assert_eq!(arguments, "{\"city\":\"Chengdu\"}");
    assert!(deltas.iter().any(|delta| delta["reasoning_content"].is_string()));
    assert!(frames.iter().any(|frame| frame.data["choices"][0]["finish_reason"] == "tool_calls"));
    assert_eq!(app.provider.requests()[0].body["tools"], json!([tool]));

    let mut messages = body["messages"].clone();
    let call =
        json!({ "id": calls[0]["id"], "type": "function", "function": { "name": "weather", "arguments": arguments } });
    let list = messages.as_array_mut().unwrap();
    list.push(json!({ "role": "assistant", "content": null, "tool_calls": [call] }));
    list.push(json!({ "role": "tool", "tool_call_id": calls[0]["id"], "content": "rain" }));
    let answer = ann.post("/v1/chat/completions", json!({ "model": "mock-1", "messages": messages })).await;
    assert!(answer.body["choices"][0]["message"]["content"].as_str().unwrap().contains("rain"), "{:?}", answer.body);
    assert_eq!(app.provider.requests()[1].body["messages"], messages);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bound_that_goes_upstream_is_what_credit_covers_for_each_choice() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let bound = |at: usize| {
        let body = app.provider.requests()[at].body.clone();
        body["max_tokens"].as_u64().or(body["max_completion_tokens"].as_u64()).unwrap()
    };
    let ask = async |more: Value| {
        let answer = ann.post("/v1/chat/completions", call("[[say ok]]", &more)).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    };
    ask(json!({})).await;
    assert_eq!(bound(0), 1000, "the model's own");
    ask(json!({ "max_tokens": 70, "n": 3 })).await;
    assert_eq!((bound(1), &app.provider.requests()[1].body["n"]), (70, &json!(3)));

    // Enough for about three hundred tokens at 10 per million.
    let leave = async |nanos: i64| {
        let change = nanos - ann.nanos("available_nanos").await;
        operator.move_money("adjustments", ann.id, &change.to_string()).await;
    };
    leave(3_100_000).await;
    ask(json!({})).await;
    assert!((250..=310).contains(&bound(2)), "{}", bound(2));
    leave(3_100_000).await;
    ask(json!({ "n": 3 })).await;
    assert!((80..=104).contains(&bound(3)), "{}", bound(3));
    assert!(ann.nanos("available_nanos").await >= 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credit_nothing_is_asked_of_the_provider() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    operator.move_money("adjustments", ann.id, "-999999000").await;
    for stream in [false, true] {
        let refused = ann.post("/v1/chat/completions", call("Hi", &json!({ "stream": stream }))).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{:?}", refused.body);
        assert_eq!(refused.body["error"]["code"], "insufficient_quota");
        assert_eq!(refused.header("x-should-retry"), "false");
    }
    assert_eq!(app.provider.received(), 0);
    assert_eq!((ann.nanos("available_nanos").await, ann.nanos("held_nanos").await), (1000, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_models_are_those_that_the_key_may_use() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let made = ann.post("/api/v1/api-keys", json!({ "name": "one", "models": ["mock-2"] })).await.text("key");
    assert_json_snapshot!("models", app.bearer(&made).get("/v1/models").await.body, { ".data[].created" => "[time]" });
    let all = ann.get("/v1/models").await;
    assert_eq!(all.body["data"].as_array().unwrap().len(), 2);
    let one = app.bearer(&made).get("/v1/models/mock-2").await;
    assert_eq!(one.body["id"], "mock-2");
    let hidden = app.bearer(&made).get("/v1/models/mock-1").await;
    assert_eq!((hidden.status.as_u16(), &hidden.body["error"]["code"]), (404, &json!("model_not_found")));

    let refused = app.bearer(&made).post("/v1/chat/completions", call("Hi", &json!({}))).await;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]["code"]), (403, &json!("model_not_allowed")));
    let chat_only = ann.api_key(&["chat"]).await.text("key");
    let refused = app.bearer(&chat_only).get("/v1/models").await;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]["code"]), (403, &json!("scope_missing")));
    let models_only = ann.api_key(&["models"]).await.text("key");
    let refused = app.bearer(&models_only).post("/v1/chat/completions", call("Hi", &json!({}))).await;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]["code"]), (403, &json!("scope_missing")));
    assert_eq!(app.provider.received(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trailing_slash_a_doubled_prefix_and_another_header_change_nothing() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let key = ann.api_key(&["chat", "models"]).await.text("key");
    for path in
        ["/v1/models", "/v1/models/", "/v1/v1/models", "/v1/v1/models/", "/v1/models/mock-1", "/v1/v1/models/mock-1/"]
    {
        assert_eq!(app.anyone().header("x-api-key", &key).get(path).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/v1/chat/completions/", "/v1/v1/chat/completions"] {
        assert_eq!(app.bearer(&key).post(path, call("Hi", &json!({}))).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_account_calls_so_often_and_another_is_not_held_up_by_it() {
    let mut setup = Setup::default();
    setup.options.limits.api_requests = api::Quota { burst: 2, per: std::time::Duration::from_secs(60) };
    let app = App::start_with(setup).await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    assert_eq!(ann.get("/v1/models").await.header("x-ratelimit-remaining-requests"), "1");
    assert_eq!(ann.get("/v1/models").await.header("x-ratelimit-remaining-requests"), "0");
    let refused = ann.get("/v1/models").await;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]["code"]), (429, &json!("rate_limit_exceeded")));
    assert_eq!((refused.header("retry-after"), refused.header("x-should-retry")), ("30", ""));
    assert_eq!(bob.get("/v1/models").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_may_pass_is_asked_again_before_the_first_byte() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(Script::fails(503, "{\"error\":{\"message\":\"busy\"}}"));
    app.provider.enqueue(Script::says("at last").usage(9, 3));
    let frames = Sse::completion(ann.client(), &streaming("Hi")).await.frames().await;
    assert_eq!(frames.last().unwrap().raw, "[DONE]");
    assert_eq!(app.provider.received(), 2);
    assert_eq!(ann.nanos("available_nanos").await, 1_000_000_000 - 52_500, "charged once");
}
