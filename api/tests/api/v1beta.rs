//! `/v1beta/models/{model}:…`, answered by a provider that speaks another dialect.

use axum::{body::Body, http::Method};
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use testkit::provider::Script;

use crate::{
    app::{App, Reply},
    sse::Sse,
};

const GIFT: i64 = 1_000_000_000;
const WHOLE: &str = "/v1beta/models/mock-1:generateContent";
const EVENTS: &str = "/v1beta/models/mock-1:streamGenerateContent?alt=sse";
const ARRAY: &str = "/v1beta/models/mock-1:streamGenerateContent";

fn call(question: &str) -> Value {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": question }] }] })
}

/// Status and Google's word for it; the form is checked by the way.
fn told(reply: &Reply) -> (u16, String) {
    let error = &reply.body["error"];
    assert_eq!(error["code"], reply.status.as_u16(), "{:?}", reply.body);
    assert_eq!(error["details"][1]["requestId"], reply.header("x-request-id"));
    (reply.status.as_u16(), error["status"].as_str().unwrap().to_owned())
}

fn is(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

fn text_of<'a>(answers: impl IntoIterator<Item = &'a Value>) -> String {
    answers.into_iter().filter_map(|answer| answer["candidates"][0]["content"]["parts"][0]["text"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_is_googles_and_is_charged() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let key = ann.api_key(&["chat"]).await.text("key");
    let mut body = call("[[say Hello]] [[usage 9 3]]");
    body["systemInstruction"] = json!({ "parts": [{ "text": "Be kind." }] });
    body["generationConfig"] = json!({ "maxOutputTokens": 70, "temperature": 0.5 });
    body["safetySettings"] = json!([]);
    let answer = app.anyone().header("x-goog-api-key", &key).post(WHOLE, body).await;
    assert_eq!(answer.status.as_u16(), 200, "{:?}", answer.body);
    assert_json_snapshot!("whole", answer.body, { ".responseId" => "[id]" });
    let asked = &app.provider.requests()[0].body;
    assert_eq!((&asked["messages"][0]["content"], &asked["temperature"]), (&json!("Be kind."), &json!(0.5)));
    assert_eq!(ann.nanos("available_nanos").await, GIFT - 22_500 - 30_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_comes_as_events_or_as_one_array() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let body = call("[[say Hello there]] [[usage 9 3]]");
    let frames = Sse::post(ann.client(), EVENTS, &body).await.frames().await;
    let answers: Vec<Value> = frames.into_iter().map(|frame| frame.data).collect();
    assert!(answers.iter().all(Value::is_object), "there is no [DONE]: {answers:?}");
    let array = ann.post(ARRAY, body).await;
    assert_eq!((array.header("content-type"), array.header("x-accel-buffering")), ("application/json", "no"));
    for answers in [&answers, array.body.as_array().unwrap()] {
        assert_eq!(text_of(answers), "Hello there");
        let last = answers.last().unwrap();
        assert_eq!(last["candidates"][0]["finishReason"], "STOP", "{answers:?}");
        assert_eq!(
            (&last["usageMetadata"]["promptTokenCount"], &last["usageMetadata"]["candidatesTokenCount"]),
            (&json!(9), &json!(3))
        );
    }
    assert_eq!(ann.nanos("available_nanos").await, GIFT - 2 * 52_500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_pass_in_both_directions() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let mut body = call("[[call weather {\"city\":\"Chengdu\"}]]");
    body["tools"] = json!([{ "functionDeclarations": [{ "name": "weather", "parameters": { "type": "OBJECT" } }] }]);
    let answer = ann.post(WHOLE, body.clone()).await;
    let said = answer.body["candidates"][0]["content"].clone();
    let asked = &said["parts"][0]["functionCall"];
    assert_eq!(
        (&asked["name"], &asked["args"]),
        (&json!("weather"), &json!({ "city": "Chengdu" })),
        "{:?}",
        answer.body
    );
    assert_eq!(app.provider.requests()[0].body["tools"][0]["function"]["parameters"]["type"], "object");

    let result = json!({ "functionResponse": { "name": "weather", "response": { "result": "rain" } } });
    body["contents"].as_array_mut().unwrap().extend([said, json!({ "role": "user", "parts": [result] })]);
    let answer = ann.post(WHOLE, body).await;
    assert!(text_of([&answer.body]).contains("rain"), "{:?}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_counted_without_cost() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let path = "/v1beta/models/mock-1:countTokens";
    let plain = ann.post(path, call("How many tokens are these?")).await;
    assert!(plain.body["totalTokens"].as_u64().unwrap() > 5, "{:?}", plain.body);
    let mut request = call("How many tokens are these?");
    request["model"] = json!("models/mock-1");
    let nested = ann.post(path, json!({ "generateContentRequest": request })).await;
    assert_eq!(nested.body["totalTokens"], plain.body["totalTokens"]);
    assert_eq!(told(&ann.post(path, json!({})).await), is(400, "INVALID_ARGUMENT"));
    assert_eq!((app.provider.received(), ann.nanos("held_nanos").await), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_googles_form_and_words() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    for (question, expected) in [
        ("[[error 400 unsupported_value temperature]]", is(400, "INVALID_ARGUMENT")),
        ("[[error 403]]", is(502, "UNAVAILABLE")),
        ("[[error 500]]", is(502, "UNAVAILABLE")),
    ] {
        // Failures only once: a channel that fails rests.
        for path in [WHOLE, EVENTS, ARRAY].into_iter().take(if expected.0 == 400 { 3 } else { 1 }) {
            let reply = ann.post(path, call(question)).await;
            assert_eq!(told(&reply), expected, "{question}");
            assert!(!reply.body.to_string().contains("127.0.0.1"), "no address: {:?}", reply.body);
        }
    }
    assert_eq!(told(&ann.post("/v1beta/models/unheard-of:generateContent", call("Hi")).await), is(404, "NOT_FOUND"));
    let malformed = ann.client().send(Method::POST, WHOLE, Body::from("{")).await;
    assert_eq!(told(&malformed), is(400, "INVALID_ARGUMENT"));
    let limited = ann.post(WHOLE, call("[[error 429]] [[retry-after 20]]")).await;
    assert_eq!(told(&limited), is(429, "RESOURCE_EXHAUSTED"));
    let refused = ann.post(EVENTS, call("Hi")).await;
    assert_eq!(told(&refused), is(503, "UNAVAILABLE"), "the only channel rests");
    let bob = app.user("bob").await;
    operator.move_money("adjustments", bob.id, "-999999000").await;
    let refused = bob.post(WHOLE, call("Hi")).await;
    assert_eq!(told(&refused), is(429, "RESOURCE_EXHAUSTED"));
    assert_eq!(refused.body["error"]["details"][0]["reason"], "INSUFFICIENT_QUOTA");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_ends_with_an_error_in_googles_form() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(Script::says("one two three four five").cut());
    let frames = Sse::post(ann.client(), EVENTS, &call("Hi")).await.frames().await;
    assert_eq!(frames.last().unwrap().data["error"]["status"], "UNAVAILABLE", "{frames:?}");
    app.provider.enqueue(Script::says("one two three four five").cut());
    let array = ann.post(ARRAY, call("Hi")).await;
    assert_eq!(array.body.as_array().unwrap().last().unwrap()["error"]["code"], 502, "{:?}", array.body);
    ann.wait_until_settled().await;
    assert_eq!(ann.get("/api/v1/charges").await.body["items"][0]["basis"], "estimated");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_models_and_verbs_are_told_apart() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    for path in [
        "/v1beta/models/mock-1%3AgenerateContent",
        "/v1beta/models/models/mock-1:generateContent",
        "/v1/models/mock-1:generateContent",
        "/v1/v1beta/models/mock-1:generateContent/",
    ] {
        let answer = ann.post(path, call("[[say ok]]")).await;
        assert_eq!(text_of([&answer.body]), "ok", "{path}: {:?}", answer.body);
    }
}
