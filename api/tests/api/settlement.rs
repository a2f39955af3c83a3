//! Calls whose client goes away, or whose server goes down: each is settled once and nothing stays held.

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, StatusCode},
    response::Response,
};
use serde_json::{Value, json};
use testkit::provider::{Outcome, Script};

use crate::{
    app::{App, PATIENCE, Setup, User},
    sse::Sse,
};

const GIFT: i64 = 1_000_000_000;

fn streaming(question: &str) -> Value {
    json!({ "model": "mock-1", "stream": true, "messages": [{ "role": "user", "content": question }] })
}

async fn house(drain: Duration) -> App {
    let mut setup = Setup::default();
    setup.options.drain = drain;
    App::start_with(setup).await
}

/// Reads the first chunk of a stream and goes away.
async fn leave_after_the_first_chunk(user: &User<'_>, question: &str) {
    let mut stream = Sse::completion(user.client(), &streaming(question)).await;
    stream.next().await.unwrap();
}

/// Goes away when the provider has the call, and before it answers.
async fn leave_once_asked(app: &App, answer: impl Future<Output = Response>) {
    tokio::select! {
        _ = answer => panic!("it is not answered yet"),
        _ = app.provider.wait_until(1, PATIENCE, |_| true) => {}
    }
}

/// The one charge of this account.
async fn charge(user: &User<'_>) -> Value {
    user.wait_until_settled().await;
    let page = user.get("/api/v1/charges").await;
    assert_eq!(page.body["items"].as_array().unwrap().len(), 1, "{:?}", page.body);
    page.body["items"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_client_leaves_is_read_to_its_end_and_charged_as_reported() {
    let app = house(Duration::from_secs(20)).await;
    let ann = app.user("ann").await;
    leave_after_the_first_chunk(&ann, "[[chunks 10]] [[delay 50]] [[usage 100 10]]").await;
    let charge = charge(&ann).await;
    assert_eq!((&charge["basis"], &charge["charged_nanos"]), (&json!("reported"), &json!("350000")));
    assert_eq!(ann.nanos("available_nanos").await, GIFT - 350_000);
    assert_eq!(app.provider.requests()[0].outcome, Outcome::Finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_goes_on_too_long_without_its_client_is_stopped_and_charged_as_counted() {
    let app = house(Duration::from_millis(300)).await;
    let ann = app.user("ann").await;
    leave_after_the_first_chunk(&ann, "Hi [[chunks 3]] [[stall 3]]").await;
    let charge = charge(&ann).await;
    assert_ne!(charge["basis"], "reported");
    assert!(charge["tokens"]["output"].as_i64().unwrap() > 0, "{charge}");
    app.provider.wait_until(1, PATIENCE, |request| request.outcome == Outcome::Aborted).await;
    assert_eq!(
        ann.nanos("available_nanos").await + charge["charged_nanos"].as_str().unwrap().parse::<i64>().unwrap(),
        GIFT
    );
}

/// Adds a channel that drains like this, asks it and goes away; what became of the upstream's stream.
async fn left_by_its_client(drain: Value) -> Outcome {
    let app = house(Duration::from_secs(3600)).await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let channel = json!({
        "name": "Drained", "provider": "openai", "base_url": app.provider.base_url(), "models": ["drained"],
        "prices": { "drained": { "input": 1, "output": 1 } }, "drain": drain,
    });
    assert_eq!(operator.post("/api/v1/admin/channels", channel).await.status, StatusCode::CREATED);
    let body = json!({ "model": "drained", "stream": true,
        "messages": [{ "role": "user", "content": "[[chunks 40]] [[delay 100]] [[usage 100 40]]" }] });
    let mut stream = Sse::completion(ann.client(), &body).await;
    stream.next().await.unwrap();
    drop(stream);
    charge(&ann).await;
    app.provider.wait_until(1, PATIENCE, |request| request.outcome != Outcome::InFlight).await;
    app.provider.requests()[0].outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_says_itself_how_long_and_how_far_it_is_read_for_nobody() {
    assert_eq!(left_by_its_client(json!({ "seconds": 0, "tokens": 1000 })).await, Outcome::Aborted, "no time");
    assert_eq!(left_by_its_client(json!({ "seconds": 3600, "tokens": 3 })).await, Outcome::Aborted, "few tokens");
    assert_eq!(left_by_its_client(json!({ "seconds": 3600, "tokens": 1000 })).await, Outcome::Finished, "enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_answer_whose_client_leaves_is_let_finish_and_charged() {
    let app = house(Duration::ZERO).await;
    let ann = app.user("ann").await;
    let mut body = streaming("[[slow 600]] [[say ok]] [[usage 100 10]]");
    body["stream"] = json!(false);
    let client = ann.client().header("content-type", "application/json");
    leave_once_asked(&app, client.response(Method::POST, "/v1/chat/completions", Body::from(body.to_string()))).await;
    assert_eq!(charge(&ann).await["charged_nanos"], "350000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_left_before_the_first_byte_costs_nothing() {
    let app = house(Duration::from_millis(100)).await;
    let ann = app.user("ann").await;
    let client = ann.client().header("content-type", "application/json");
    let body = streaming("[[slow 60000]]").to_string();
    leave_once_asked(&app, client.response(Method::POST, "/v1/chat/completions", Body::from(body))).await;
    ann.wait_until_settled().await;
    assert_eq!(ann.nanos("available_nanos").await, GIFT);
    assert_eq!(ann.get("/api/v1/charges").await.body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_slow_to_begin_is_waited_for_with_pings_and_its_failure_is_a_frame() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(
        Script::fails(400, "{\"error\":{\"message\":\"no\",\"code\":\"nope\"}}")
            .first_byte_after(Duration::from_secs(11)),
    );
    let mut stream = Sse::completion(ann.client(), &streaming("Hi")).await;
    assert_eq!(stream.next().await.unwrap().comment, "ping");
    let frames = stream.frames().await;
    assert_eq!((frames.len(), &frames[0].data["error"]["code"]), (1, &json!("nope")));
    ann.wait_until_settled().await;
    assert_eq!(ann.nanos("available_nanos").await, GIFT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_down_stops_its_streams_settles_them_and_says_so() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let mut stream = Sse::completion(ann.client(), &streaming("Hi [[chunks 3]] [[stall 3]]")).await;
    // The first frame has no text yet.
    while stream.next().await.unwrap().data["choices"][0]["delta"]["content"].as_str().is_none_or(str::is_empty) {}
    app.shutdown.cancel();
    let frames = stream.frames().await;
    assert_eq!(frames.last().unwrap().data["error"]["code"], "overloaded");
    app.calls.close();
    tokio::time::timeout(PATIENCE, app.calls.wait()).await.expect("every call ends");
    assert_eq!(ann.nanos("held_nanos").await, 0);
    assert!(charge(&ann).await["tokens"]["output"].as_i64().unwrap() > 0);
    let refused = ann.post("/v1/chat/completions", streaming("Hi")).await;
    assert_eq!(
        (refused.status, &refused.body["error"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("overloaded"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_at_once_spend_no_more_than_there_is() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    // Each call holds its input and 100 tokens of output at 10 per million, and there is room for a few of them.
    operator.move_money("adjustments", ann.id, "-994000000").await;
    let ask = async || {
        let mut body = streaming("[[slow 300]] [[say ok]] [[usage 10 100]]");
        body["stream"] = json!(false);
        body["max_tokens"] = json!(100);
        ann.post("/v1/chat/completions", body).await.status.as_u16()
    };
    let statuses = futures::future::join_all((0..20).map(|_| ask())).await;
    let succeeded = statuses.iter().filter(|status| **status == 200).count();
    assert!((1..=6).contains(&succeeded), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    ann.wait_until_settled().await;
    assert_eq!(ann.nanos("available_nanos").await, 6_000_000 - i64::try_from(succeeded).unwrap() * 1_025_000);
}
