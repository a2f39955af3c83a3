//! The same key with the same body answers the same.

use axum::http::StatusCode;
use serde_json::json;

use crate::app::App;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_message_is_said_once_and_answers_the_same_ids() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let path = format!("/api/v1/sessions/{session}/messages");
    let say = |content: &'static str| {
        ann.client().header("idempotency-key", "key 1").post(&path, json!({ "content": content }))
    };
    let (first, at_once) = tokio::join!(say("Hi"), say("Hi"));
    assert_eq!(first.status, StatusCode::CREATED, "{:?}", first.body);
    assert_eq!(first.body, at_once.body);
    assert_eq!(first.header("x-event"), at_once.header("x-event"));
    ann.wait_for_end(&first.text("run_id")).await;
    let later = say("Hi").await;
    assert_eq!((later.status, &later.body), (StatusCode::CREATED, &first.body));

    let other = say("something else").await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused"));
    assert_eq!(ann.get(&path).await.body["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_session_or_regeneration_is_one() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let create = || ann.client().header("idempotency-key", "s").post("/api/v1/sessions", json!({ "title": "t" }));
    let (first, second) = (create().await, create().await);
    assert_eq!(first.body, second.body);
    assert_eq!(ann.get("/api/v1/sessions").await.body["items"].as_array().unwrap().len(), 1);

    let sent = ann.say(&first.text("id"), "Hi").await;
    ann.wait_for_end(&sent.text("run_id")).await;
    let path = format!("/api/v1/messages/{}/regenerate", sent.text("reply_id"));
    let again = || ann.client().header("idempotency-key", "r").post(&path, json!({}));
    assert_eq!(again().await.body, again().await.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_needs_a_key_and_a_key_is_printable() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let path = format!("/api/v1/sessions/{}/messages", ann.session().await);
    let none = ann.post(&path, json!({ "content": "Hi" })).await;
    assert_eq!(none.problem(), (400, "idempotency_key_required"));
    for key in ["", &"k".repeat(129)] {
        let reply = ann.client().header("idempotency-key", key).post(&path, json!({ "content": "Hi" })).await;
        assert_eq!(reply.problem(), (400, "invalid_idempotency_key"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_persons_key_is_not_anothers() {
    let app = App::start().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let mut ids = vec![];
    for user in [&ann, &bob] {
        let client = user.client().header("idempotency-key", "same");
        ids.push(client.post("/api/v1/sessions", json!({})).await.text("id"));
    }
    assert_ne!(ids[0], ids[1]);
}
