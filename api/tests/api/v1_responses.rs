//! `/v1/responses`, answered by a provider that speaks another dialect.

use insta::assert_json_snapshot;
use serde_json::{Value, json};
use testkit::provider::Script;

use crate::{app::App, sse::Sse};

fn call(question: &str, more: &Value) -> Value {
    let mut body = json!({ "model": "mock-1", "input": question });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_is_a_response_and_is_charged() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let question = call("[[say Hello]] [[usage 9 3]]", &json!({ "instructions": "Be kind.", "max_output_tokens": 70 }));
    let answer = ann.post("/v1/responses", question).await;
    assert_eq!(answer.status.as_u16(), 200, "{:?}", answer.body);
    assert!(answer.text("id").starts_with("resp_"));
    let message = &answer.body["output"][0];
    assert_eq!(
        (&message["type"], &message["status"], &message["role"]),
        (&json!("message"), &json!("completed"), &json!("assistant"))
    );
    assert_eq!(message["content"][0]["text"], "Hello");
    assert_json_snapshot!("usage", answer.body["usage"]);
    assert_eq!((&answer.body["status"], &answer.body["model"]), (&json!("completed"), &json!("mock-1")));
    assert_eq!(app.provider.requests()[0].body["messages"][0]["content"], "Be kind.");
    assert_eq!(ann.nanos("available_nanos").await, 1_000_000_000 - 22_500 - 30_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_numbers_its_events_and_ends_with_the_whole_response() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let body = call("[[say Hello there]] [[usage 9 3]]", &json!({ "stream": true }));
    let events = Sse::post(ann.client(), "/v1/responses", &body).await.frames().await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        &names[..4],
        ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"]
    );
    assert_eq!(names.last(), Some(&"response.completed"));
    for (number, event) in events.iter().enumerate() {
        assert_eq!((&event.data["sequence_number"], &event.data["type"]), (&json!(number), &json!(event.name)));
    }
    let text: String = events.iter().filter_map(|event| event.data["delta"].as_str()).collect();
    assert_eq!(text, "Hello there");
    let response = &events.last().unwrap().data["response"];
    assert_eq!(response["output"][0]["content"][0]["text"], "Hello there");
    assert_eq!(response["usage"]["total_tokens"], 12);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tools_pass_in_both_directions() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let tool = json!({ "type": "function", "name": "weather", "parameters": { "type": "object" } });
    let answer =
        ann.post("/v1/responses", call("[[call weather {\"city\":\"Chengdu\"}]]", &json!({ "tools": [tool] }))).await;
    let called = &answer.body["output"][0];
    assert_eq!((&called["type"], &called["name"]), (&json!("function_call"), &json!("weather")), "{:?}", answer.body);
    let input = json!([
        { "role": "user", "content": "What is the weather?" },
        called,
        { "type": "function_call_output", "call_id": called["call_id"], "output": "rain" },
    ]);
    let answer = ann.post("/v1/responses", call("", &json!({ "input": input, "tools": [tool] }))).await;
    assert!(
        answer.body["output"][0]["content"][0]["text"].as_str().is_some_and(|text| text.contains("rain")),
        "{:?}",
        answer.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_breaks_tells_it_in_a_numbered_event() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(Script::says("one two three four five").cut());
    let events = Sse::post(ann.client(), "/v1/responses", &call("Hi", &json!({ "stream": true }))).await.frames().await;
    let last = events.last().unwrap();
    assert!(["error", "response.failed"].contains(&last.name.as_str()), "{events:?}");
    assert_eq!(last.data["sequence_number"], events.len() - 1);
    // Within a response OpenAI knows few words.
    let (error, code) = match last.name.as_str() {
        "error" => (&last.data, "upstream_error"),
        _ => (&last.data["response"]["error"], "server_error"),
    };
    assert_eq!(error["code"], code, "{last:?}");
    ann.wait_until_settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_openais_form() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    for (question, more, status, code) in [
        ("[[error 400 unsupported_value temperature]]", json!({}), 400, "unsupported_value"),
        ("[[error 401]]", json!({ "stream": true }), 502, "upstream_error"),
        ("Hi", json!({ "model": "unheard-of" }), 404, "model_not_found"),
        ("Hi", json!({ "input": 7 }), 400, "invalid_type"),
    ] {
        let reply = ann.post("/v1/responses", call(question, &more)).await;
        assert_eq!((reply.status.as_u16(), &reply.body["error"]["code"]), (status, &json!(code)), "{:?}", reply.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_response_is_read_continued_and_deleted_by_its_owner_alone() {
    let app = App::start().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let first = ann.post("/v1/responses", call("[[say one]]", &json!({ "store": true }))).await;
    assert_eq!(first.body["store"], true, "{:?}", first.body);
    let path = format!("/v1/responses/{}", first.text("id"));
    assert_eq!(ann.get(&path).await.body, first.body);
    let items = ann.get(&format!("{path}/input_items?limit=5")).await;
    assert_eq!(items.body["data"][0]["content"][0]["text"], "[[say one]]", "{:?}", items.body);
    for stranger in [bob.get(&path).await, bob.client().delete(&path).await] {
        assert_eq!((stranger.status.as_u16(), &stranger.body["error"]["code"]), (404, &json!("response_not_found")));
    }

    let cancelled = ann.post(&format!("{path}/cancel"), json!({})).await;
    let refusal = (cancelled.status.as_u16(), &cancelled.body["error"]["code"]);
    assert_eq!(refusal, (400, &json!("response_not_in_background")), "{:?}", cancelled.body);
    assert_eq!(bob.post(&format!("{path}/cancel"), json!({})).await.status.as_u16(), 404);
    let again = ann.get(&format!("{path}?stream=true&starting_after=3")).await;
    assert_eq!((again.status.as_u16(), &again.body["error"]["param"]), (400, &json!("stream")));

    let going_on = json!({ "previous_response_id": first.body["id"], "stream": true });
    let events = Sse::post(ann.client(), "/v1/responses", &call("[[say two]]", &going_on)).await.frames().await;
    let second = &events.last().unwrap().data["response"];
    let asked = app.provider.requests()[1].body["messages"].clone();
    assert_eq!((asked.as_array().unwrap().len(), &asked[1]["role"]), (3, &json!("assistant")), "{asked}");
    let kept = ann.get(&format!("/v1/responses/{}", second["id"].as_str().unwrap())).await;
    assert_eq!(&kept.body, second, "a stream is kept as its last event tells it");

    let deleted = ann.client().delete(&path).await;
    assert_eq!(deleted.body, json!({ "id": first.body["id"], "object": "response", "deleted": true }));
    assert_eq!(ann.get(&path).await.status.as_u16(), 404);
    let refused = ann.post("/v1/responses", call("Hi", &json!({ "previous_response_id": first.body["id"] }))).await;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]["code"]), (400, &json!("previous_response_not_found")));
    assert_eq!(ann.nanos("held_nanos").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_to_be_kept_is_not_and_what_breaks_is_kept_as_far_as_it_came() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let forgotten = ann.post("/v1/responses", call("[[say one]]", &json!({ "store": false }))).await;
    assert_eq!(ann.get(&format!("/v1/responses/{}", forgotten.text("id"))).await.status.as_u16(), 404);
    let large = ann.post("/v1/responses", call(&"x".repeat(400 * 1024), &json!({ "max_output_tokens": 10 }))).await;
    assert_eq!((large.status.as_u16(), &large.body["store"]), (200, &json!(false)), "{:?}", large.body);

    app.provider.enqueue(Script::says("one two three four five").cut());
    let events = Sse::post(ann.client(), "/v1/responses", &call("Hi", &json!({ "stream": true }))).await.frames().await;
    let id = events[0].data["response"]["id"].as_str().unwrap();
    let kept = ann.get(&format!("/v1/responses/{id}")).await;
    assert_eq!((kept.status.as_u16(), &kept.body["status"]), (200, &json!("failed")), "{:?}", kept.body);
}
