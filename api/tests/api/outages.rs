//! What is answered while something is away.

use std::time::Duration;

use axum::http::StatusCode;
use chrono::{TimeDelta, Utc};
use nats::StreamOptions;
use serde_json::json;
use uuid::Uuid;

use crate::app::{App, Client, Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nats_is_away_writes_are_503_and_reads_work() {
    let mut app = App::start().await;
    let (token, session) = {
        let ann = app.user("ann").await;
        let session = ann.session().await;
        (ann.token.clone(), session)
    };
    app.nats.stop().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let bearer = format!("Bearer {token}");
    fn client<'a>(app: &'a App, bearer: &str) -> Client<'a> {
        app.anyone().header("authorization", bearer)
    }

    let write = client(&app, &bearer).post("/api/v1/sessions", json!({})).await;
    assert_eq!(write.problem(), (503, "bus_unavailable"));
    assert!(!write.header("retry-after").is_empty());
    assert_eq!(client(&app, &bearer).get(&format!("/api/v1/sessions/{session}")).await.status, StatusCode::OK);
    let ready = app.anyone().get("/readyz").await;
    assert_eq!((ready.status, &ready.body["nats"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)));
    assert_eq!(ready.body["postgres"], json!(true));
    assert_eq!(app.anyone().get("/healthz").await.status, StatusCode::OK);

    app.nats.start_again().await;
    for _ in 0..100 {
        if client(&app, &bearer).post("/api/v1/sessions", json!({})).await.status == StatusCode::CREATED {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("writes work again after NATS came back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_postgres_is_away_reads_are_503_and_commands_are_taken() {
    let mut setup = Setup { with_handlers: false, ..Setup::default() };
    setup.options.limits.command_wait = Duration::from_secs(3);
    let app = App::start_with(setup).await;
    app.start_handlers();
    let ann = app.user("ann").await;
    let session = ann.session().await;
    app.reads.close().await;

    let read = ann.get("/api/v1/sessions").await;
    assert_eq!(read.problem(), (503, "database_unavailable"));
    assert!(!read.header("retry-after").is_empty());
    assert_eq!(ann.get("/api/v1/commands/0197a000-0000-7000-8000-000000000000").await.problem().0, 503);
    assert_eq!(app.anyone().get("/readyz").await.body["postgres"], json!(false));

    // Authentication and sending need no database of their own.
    let sent = ann.say(&session, "Hi").await;
    let stopped = ann.post(&format!("/api/v1/runs/{}/cancel", sent.text("run_id")), json!({})).await;
    assert_eq!(stopped.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_nobody_can_commit_now_is_202_once_it_is_queued() {
    let mut setup = Setup { with_handlers: false, ..Setup::default() };
    setup.options.limits.command_wait = Duration::from_millis(200);
    let app = App::start_with(setup).await;
    app.reads.close().await;
    let bearer = format!("Bearer {}", app.token(Uuid::now_v7(), Utc::now() + TimeDelta::seconds(60)));
    let client = || app.anyone().header("authorization", &bearer).header("idempotency-key", "k");
    let path = format!("/api/v1/sessions/{}/messages", Uuid::now_v7());
    for (path, body) in [("/api/v1/sessions", json!({})), (&path, json!({ "content": "Hi" }))] {
        let pending = client().post(path, body.clone()).await;
        assert_eq!((pending.status, pending.body["status"].as_str()), (StatusCode::ACCEPTED, Some("pending")));
        assert_eq!(client().post(path, body).await.body, pending.body, "the same again is the same command");
        let outcome = app.anyone().header("authorization", &bearer).get(pending.header("location")).await;
        assert_eq!(outcome.problem(), (503, "database_unavailable"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_is_503_with_the_time_to_come_back() {
    let streams = StreamOptions { commands_max_messages: 1, ..StreamOptions::default() };
    let mut setup = Setup { with_handlers: false, streams, ..Setup::default() };
    setup.options.limits.command_wait = Duration::from_millis(200);
    let app = App::start_with(setup).await;
    let register = |name: &str| {
        let body =
            json!({ "email": format!("{name}@example.org"), "username": name, "password": "correct horse battery" });
        app.anyone().post("/api/v1/auth/register", body)
    };
    assert_eq!(register("ann").await.status, StatusCode::ACCEPTED);
    let refused = register("bob").await;
    assert_eq!(refused.problem(), (503, "queue_full"));
    assert_eq!(refused.header("retry-after"), "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_there_is_room_for_are_turned_away() {
    let mut setup = Setup::default();
    setup.options.limits.concurrency = 0;
    let app = App::start_with(setup).await;
    let reply = app.anyone().get("/healthz").await;
    assert_eq!(reply.problem(), (503, "overloaded"));
}
