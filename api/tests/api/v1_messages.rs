//! `/v1/messages` and `/v1/messages/count_tokens`, answered by a provider that speaks another dialect.

use std::time::Duration;

use insta::assert_json_snapshot;
use serde_json::{Value, json};
use testkit::provider::Script;

use crate::{
    app::{App, Reply},
    sse::{Event, Sse},
};

const GIFT: i64 = 1_000_000_000;

fn call(question: &str, more: &Value) -> Value {
    let mut body =
        json!({ "model": "mock-1", "max_tokens": 500, "messages": [{ "role": "user", "content": question }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn streaming(question: &str) -> Value {
    call(question, &json!({ "stream": true }))
}

/// Status and type; the form is checked by the way.
fn told(reply: &Reply) -> (u16, String) {
    assert_eq!(reply.body["type"], "error", "{:?}", reply.body);
    assert_eq!(reply.body["request_id"], reply.header("request-id"));
    assert!(reply.body["error"]["message"].is_string() && reply.body["error"]["code"].is_string());
    (reply.status.as_u16(), reply.body["error"]["type"].as_str().unwrap().to_owned())
}

fn is(status: u16, kind: &str) -> (u16, String) {
    (status, kind.to_owned())
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_is_anthropics_message_and_is_charged() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let key = ann.api_key(&["chat"]).await.text("key");
    let question = call("[[say Hello]] [[usage 9 3]]", &json!({ "system": "Be kind.", "top_k": 5, "future": 1 }));
    let answer = app.anyone().header("x-api-key", &key).post("/v1/messages", question).await;
    assert_eq!(answer.status.as_u16(), 200, "{:?}", answer.body);
    assert_json_snapshot!("whole", answer.body, { ".id" => "[id]" });
    assert!(answer.text("id").starts_with("msg_"));
    let asked = &app.provider.requests()[0].body;
    assert_eq!(asked["messages"][0]["content"], "Be kind.");
    assert_eq!(ann.nanos("available_nanos").await, GIFT - 22_500 - 30_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_anthropics_events_in_their_order() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let events =
        Sse::post(ann.client(), "/v1/messages", &streaming("[[say Hello there]] [[usage 9 3]]")).await.frames().await;
    let names = names(&events);
    assert_eq!((names[0], names[1]), ("message_start", "content_block_start"));
    let end = names.len() - 3;
    assert_eq!(&names[end..], ["content_block_stop", "message_delta", "message_stop"]);
    assert!(names[2..end].iter().all(|name| *name == "content_block_delta"), "{names:?}");
    assert!(events.iter().all(|event| event.data["type"] == event.name), "{events:?}");
    let start = &events[0].data["message"];
    assert!(start["usage"]["input_tokens"].as_u64().unwrap() > 0, "agents reckon with it: {start}");
    assert_eq!(start["model"], "mock-1");
    let text: String = events.iter().filter_map(|event| event.data["delta"]["text"].as_str()).collect();
    assert_eq!(text, "Hello there");
    let delta = &events[end + 1].data;
    assert_eq!((&delta["delta"]["stop_reason"], &delta["usage"]["output_tokens"]), (&json!("end_turn"), &json!(3)));
    assert_eq!(ann.nanos("available_nanos").await, GIFT - 22_500 - 30_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_pass_in_both_directions() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let tool = json!({ "name": "weather", "input_schema": { "type": "object" } });
    let body = call("[[call weather {\"city\":\"Chengdu\"}]]", &json!({ "stream": true, "tools": [tool] }));
    let events = Sse::post(ann.client(), "/v1/messages", &body).await.frames().await;
    let block = events.iter().find(|event| event.data["content_block"]["type"] == "tool_use").unwrap();
    assert_eq!(block.data["content_block"]["name"], "weather");
    let input: String = events.iter().filter_map(|event| event.data["delta"]["partial_json"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&input).unwrap(), json!({ "city": "Chengdu" }));
    assert!(events.iter().any(|event| event.data["delta"]["stop_reason"] == "tool_use"));
    assert_eq!(app.provider.requests()[0].body["tools"][0]["function"]["name"], "weather");

    let id = &block.data["content_block"]["id"];
    let mut next = body;
    next["stream"] = json!(false);
    next["messages"].as_array_mut().unwrap().extend([
        json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": id, "name": "weather", "input": { "city": "Chengdu" } }] }),
        json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": id, "content": "rain" }] }),
    ]);
    let answer = ann.post("/v1/messages", next).await;
    assert!(answer.body["content"][0]["text"].as_str().is_some_and(|text| text.contains("rain")), "{:?}", answer.body);
    let messages = app.provider.requests()[1].body["messages"].clone();
    assert_eq!((&messages[2]["role"], &messages[2]["tool_call_id"]), (&json!("tool"), id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_of_a_conversation_are_counted_without_cost_for_any_model() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let mut body = call(
        "How many tokens are these?",
        &json!({ "tools": [{ "name": "weather", "input_schema": { "type": "object" } }] }),
    );
    body.as_object_mut().unwrap().remove("max_tokens");
    for path in ["/v1/messages/count_tokens", "/v1/messages/count_tokens?beta=true", "/v1/v1/messages/count_tokens/"] {
        let counted = ann.post(path, body.clone()).await;
        assert!(counted.body["input_tokens"].as_u64().unwrap() > 10, "{path}: {:?}", counted.body);
    }
    let unknown = ann.post("/v1/messages/count_tokens", json!({ "model": "unheard-of", "messages": [{}] })).await;
    assert_eq!(told(&unknown), is(404, "not_found_error"));
    assert_eq!(app.provider.received(), 0);
    assert_eq!((ann.nanos("available_nanos").await, ann.nanos("held_nanos").await), (GIFT, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_anthropics_form_and_words() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    for (question, expected) in [
        ("[[error 400 unsupported_value temperature]]", is(400, "invalid_request_error")),
        ("[[error 401]]", is(502, "api_error")),
        ("[[error 500]]", is(502, "api_error")),
    ] {
        // Failures only once: a channel that fails rests.
        let bodies = [call(question, &json!({})), streaming(question)];
        for body in bodies.into_iter().take(if expected.0 == 400 { 2 } else { 1 }) {
            let reply = ann.post("/v1/messages", body).await;
            assert_eq!(told(&reply), expected, "{question}");
            assert!(!reply.body.to_string().contains("127.0.0.1"), "no address: {:?}", reply.body);
        }
    }
    let missing =
        ann.post("/v1/messages", json!({ "model": "mock-1", "messages": [{ "role": "user", "content": "Hi" }] })).await;
    assert_eq!(told(&missing), is(400, "invalid_request_error"));
    assert!(missing.body["error"]["message"].as_str().unwrap().contains("max_tokens"));
    let unknown = ann.post("/v1/messages", call("Hi", &json!({ "model": "unheard-of" }))).await;
    assert_eq!(told(&unknown), is(404, "not_found_error"));
    let one = ann.post("/api/v1/api-keys", json!({ "name": "one", "models": ["mock-2"] })).await.text("key");
    let refused = app.anyone().header("x-api-key", &one).post("/v1/messages", call("Hi", &json!({}))).await;
    assert_eq!(told(&refused), is(403, "permission_error"));
    let limited = ann.post("/v1/messages", call("[[error 429]] [[retry-after 20]]", &json!({}))).await;
    assert_eq!(told(&limited), is(429, "rate_limit_error"));
    // The only channel rests now.
    let refused = ann.post("/v1/messages", streaming("Hi")).await;
    assert_eq!(told(&refused), is(503, "overloaded_error"));
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(ann.nanos("available_nanos").await, GIFT, "nothing was delivered, nothing is charged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lack_of_credit_is_anthropics_billing_error() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    operator.move_money("adjustments", ann.id, "-999999000").await;
    let refused = ann.post("/v1/messages", call("Hi", &json!({}))).await;
    assert_eq!(told(&refused), is(402, "billing_error"));
    assert_eq!(
        (&refused.body["error"]["code"], refused.header("x-should-retry")),
        (&json!("insufficient_quota"), "false")
    );
    assert_eq!(app.provider.received(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_ends_with_an_error_event_and_is_paid_for_as_far_as_it_came() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(Script::says("one two three four five").cut());
    let events = Sse::post(ann.client(), "/v1/messages", &streaming("Hi")).await.frames().await;
    let last = events.last().unwrap();
    assert_eq!((last.name.as_str(), &last.data["error"]["type"]), ("error", &json!("api_error")), "{events:?}");
    assert!(last.data["request_id"].is_string());
    ann.wait_until_settled().await;
    let charge = ann.get("/api/v1/charges").await.body["items"][0].clone();
    assert_eq!(charge["basis"], "estimated");
    assert!(charge["tokens"]["output"].as_i64().unwrap() >= 4, "{charge}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_slow_to_begin_is_waited_for_with_anthropics_pings() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(Script::says("at last").first_byte_after(Duration::from_secs(11)));
    let mut stream = Sse::post(ann.client(), "/v1/messages", &streaming("Hi")).await;
    let ping = stream.next().await.unwrap();
    assert_eq!((ping.name.as_str(), &ping.data), ("ping", &json!({ "type": "ping" })));
    assert_eq!(names(&stream.frames().await).last(), Some(&"message_stop"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_client_leaves_is_settled() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let mut stream =
        Sse::post(ann.client(), "/v1/messages", &streaming("[[chunks 10]] [[delay 50]] [[usage 100 10]]")).await;
    stream.next().await.unwrap();
    drop(stream);
    ann.wait_until_settled().await;
    let charges = ann.get("/api/v1/charges").await.body["items"].clone();
    assert_eq!((charges.as_array().unwrap().len(), &charges[0]["charged_nanos"]), (1, &json!("350000")));
}
