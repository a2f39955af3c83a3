//! `/api/v1/sessions/{id}/messages` and `/api/v1/messages/{id}/regenerate`.

use axum::http::StatusCode;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use testkit::provider::Script;
use uuid::Uuid;

use crate::app::{App, Reply, User};

async fn list(user: &User<'_>, session: &str, query: &str) -> Vec<Value> {
    let page = user.get(&format!("/api/v1/sessions/{session}/messages{query}")).await;
    assert_eq!(page.status, StatusCode::OK, "{:?}", page.body);
    page.body["items"].as_array().unwrap().clone()
}

async fn try_to_say(user: &User<'_>, session: &str, body: Value) -> Reply {
    let key = Uuid::now_v7().to_string();
    user.client().header("idempotency-key", &key).post(&format!("/api/v1/sessions/{session}/messages"), body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_and_both_are_kept() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(Script::says("Hello Ann, 你好!").usage(7, 5));
    let session = ann.session().await;
    let sent = ann.say(&session, "Hi there").await;
    let run = ann.wait_for_end(&sent.text("run_id")).await;
    assert_json_snapshot!("run", run, { ".id" => "[id]", ".session_id" => "[id]", ".message_id" => "[id]" });

    let messages = list(&ann, &session, "").await;
    let redacted = json!(messages);
    assert_json_snapshot!("messages", redacted, {
        "[].id" => "[id]", "[].session_id" => "[id]", "[].parent_id" => "[id or null]", "[].run_id" => "[id or null]",
        "[].siblings" => "[ids]", "[].created_at" => "[time]", "[].completed_at" => "[time]",
    });
    assert_eq!(messages[0]["id"], sent.body["message_id"]);
    assert_eq!(messages[1]["id"], sent.body["reply_id"]);
    assert_eq!(messages[1]["parent_id"], sent.body["message_id"]);

    let session = ann.get(&format!("/api/v1/sessions/{session}")).await;
    assert_eq!((&session.body["preview"], &session.body["message_count"]), (&json!("Hi there"), &json!(2)));
    assert_eq!(session.body["active_run_id"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_regenerated_answer_is_a_sibling_of_the_first() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(Script::says("first"));
    app.provider.enqueue(Script::says("second"));
    let session = ann.session().await;
    let sent = ann.say(&session, "Hi").await;
    ann.wait_for_end(&sent.text("run_id")).await;
    let path = format!("/api/v1/messages/{}/regenerate", sent.text("reply_id"));
    let again = ann.post(&path, json!({ "model": "mock-2" })).await;
    assert_eq!(again.status, StatusCode::CREATED, "{:?}", again.body);
    ann.wait_for_end(&again.text("run_id")).await;

    let messages = list(&ann, &session, "?branch=latest").await;
    assert_eq!(messages[1]["content"], "second");
    assert_eq!(messages[1]["model"], "mock-2");
    assert_eq!(messages[1]["siblings"], json!([sent.body["reply_id"], again.body["message_id"]]));
    let first = list(&ann, &session, &format!("?branch={}&order=desc", sent.text("reply_id"))).await;
    assert_eq!(first[0]["content"], "first");
    assert_eq!(list(&ann, &session, "").await.len(), 3);

    let bob = app.user("bob").await;
    assert_eq!(bob.post(&path, json!({})).await.problem(), (404, "message_not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_can_follow_an_earlier_answer_or_begin_anew() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let first = ann.say(&session, "one [[say 1]]").await;
    ann.wait_for_end(&first.text("run_id")).await;
    let second = ann.say(&session, "two [[say 2]]").await;
    ann.wait_for_end(&second.text("run_id")).await;
    let branch =
        try_to_say(&ann, &session, json!({ "content": "other two", "parent_id": first.body["reply_id"] })).await;
    assert_eq!(branch.status, StatusCode::CREATED);
    ann.wait_for_end(&branch.text("run_id")).await;
    let root = try_to_say(&ann, &session, json!({ "content": "anew", "parent_id": null })).await;
    ann.wait_for_end(&root.text("run_id")).await;

    let parents: Vec<Value> = list(&ann, &session, "?limit=100")
        .await
        .iter()
        .filter(|message| message["role"] == "user")
        .map(|message| message["parent_id"].clone())
        .collect();
    let answer = first.body["reply_id"].clone();
    assert_eq!(parents, [Value::Null, answer.clone(), answer, Value::Null]);

    let after_question = json!({ "content": "x", "parent_id": first.body["message_id"] });
    assert_eq!(try_to_say(&ann, &session, after_question).await.problem(), (422, "parent_is_no_answer"));
    let after_nothing = json!({ "content": "x", "parent_id": Uuid::now_v7() });
    assert_eq!(try_to_say(&ann, &session, after_nothing).await.problem(), (404, "message_not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_and_too_long_messages_and_unknown_models_are_refused() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    assert_eq!(try_to_say(&ann, &session, json!({ "content": " \n" })).await.problem(), (422, "message_empty"));
    let long = try_to_say(&ann, &session, json!({ "content": "字".repeat(32_001) })).await;
    assert_eq!(long.problem(), (422, "message_too_long"));
    assert_eq!(long.body["data"], json!({ "chars": 32_001, "limit": 32_000 }));
    let model = try_to_say(&ann, &session, json!({ "content": "x", "model": "no-such" })).await;
    assert_eq!(model.problem(), (422, "unknown_model"));
    assert_eq!(model.body["errors"][0]["field"], "model");
    let longest = try_to_say(&ann, &session, json!({ "content": format!("[[say ok]]{}", "字".repeat(31_990)) })).await;
    assert_eq!(longest.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_question_waits_until_the_answer_is_written() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let sent = ann.say(&session, "Hi [[chunks 3]] [[stall 1]]").await;
    let second = try_to_say(&ann, &session, json!({ "content": "and?" })).await;
    assert_eq!(second.problem(), (422, "reply_in_progress"));
    ann.post(&format!("/api/v1/runs/{}/cancel", sent.text("run_id")), json!({})).await;
    ann.wait_for_end(&sent.text("run_id")).await;
    assert_eq!(try_to_say(&ann, &session, json!({ "content": "and?" })).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_models_are_listed_with_their_default() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    assert_json_snapshot!("models", ann.get("/api/v1/models").await.body);
    assert_eq!(app.anyone().get("/api/v1/models").await.problem(), (401, "unauthenticated"));
}
