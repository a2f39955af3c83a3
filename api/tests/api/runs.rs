//! `/api/v1/runs/{id}` and its `cancel`.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::app::{App, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_keeps_the_text_so_far() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let sent = ann.say(&session, "Hi [[chunks 20]] [[stall 4]]").await;
    let run = sent.text("run_id");
    ann.wait_for_run(&run, |run| run["status"] == "streaming").await;
    app.provider.wait_until(1, PATIENCE, |_| true).await;
    tokio::time::sleep(Duration::from_millis(300)).await;

    let cancelled = ann.post(&format!("/api/v1/runs/{run}/cancel"), json!({})).await;
    assert_eq!(cancelled.status, StatusCode::OK);
    assert_eq!(cancelled.body["run_id"], json!(run));
    assert_eq!(ann.wait_for_end(&run).await["status"], "stopped");
    let messages = ann.get(&format!("/api/v1/sessions/{session}/messages")).await;
    let answer = &messages.body["items"][1];
    assert_eq!((&answer["status"], &answer["finish_reason"]), (&json!("stopped"), &json!("stopped")));
    assert!(!answer["content"].as_str().unwrap().is_empty());

    let again = ann.post(&format!("/api/v1/runs/{run}/cancel"), json!({})).await;
    assert_eq!((again.status, &again.body["status"]), (StatusCode::OK, &json!("stopped")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_can_be_cancelled_before_the_read_model_has_heard_of_it() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let sent = ann.say(&session, "Hi [[stall 1]]").await;
    let cancelled = ann.post(&format!("/api/v1/runs/{}/cancel", sent.text("run_id")), json!({})).await;
    assert_eq!(cancelled.status, StatusCode::OK);
    assert_eq!(ann.wait_for_end(&sent.text("run_id")).await["status"], "stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_run_is_not_found() {
    let app = App::start().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let session = ann.session().await;
    let theirs = ann.say(&session, "Hi").await.text("run_id");
    ann.wait_for_end(&theirs).await;
    for run in [theirs, Uuid::now_v7().to_string()] {
        assert_eq!(bob.get(&format!("/api/v1/runs/{run}")).await.problem(), (404, "run_not_found"));
        assert_eq!(bob.get(&format!("/api/v1/runs/{run}/events")).await.problem(), (404, "run_not_found"));
        assert_eq!(bob.post(&format!("/api/v1/runs/{run}/cancel"), json!({})).await.problem(), (404, "run_not_found"));
    }
}
