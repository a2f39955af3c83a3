//! `/api/v1/commands/{id}`

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::app::{App, PATIENCE, Setup};

fn without_handlers() -> Setup {
    let mut setup = Setup { with_handlers: false, ..Setup::default() };
    setup.options.limits.command_wait = Duration::from_millis(300);
    setup
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_takes_long_is_202_and_its_outcome_can_be_asked_for() {
    let app = App::start_with(without_handlers()).await;
    let registration = json!({ "email": "ann@example.org", "username": "ann", "password": "correct horse battery" });
    let pending = app.anyone().post("/api/v1/auth/register", registration).await;
    assert_eq!(pending.status, StatusCode::ACCEPTED, "{:?}", pending.body);
    assert_eq!(pending.body["status"], "pending");
    assert_eq!(pending.header("location"), format!("/api/v1/commands/{}", pending.text("command_id")));

    app.start_handlers();
    let login = json!({ "email": "ann@example.org", "password": "correct horse battery" });
    let signed_in = async {
        loop {
            let reply = app.anyone().post("/api/v1/auth/login", login.clone()).await;
            if reply.status == StatusCode::OK {
                return reply.text("access_token");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let token = tokio::time::timeout(PATIENCE, signed_in).await.expect("the queued registration is carried out");

    let bearer = format!("Bearer {token}");
    let get = |path: &str| {
        let path = path.to_owned();
        let client = app.anyone().header("authorization", &bearer);
        async move { client.get(&path).await }
    };
    let outcome = get(pending.header("location")).await;
    assert_eq!((outcome.status, outcome.body["status"].as_str()), (StatusCode::OK, Some("done")));
    assert!(outcome.text("event").contains(':'));
    let unknown = get(&format!("/api/v1/commands/{}", Uuid::new_v4())).await;
    assert_eq!(unknown.problem(), (404, "command_not_found"));
    let not_yet = get(&format!("/api/v1/commands/{}", Uuid::now_v7())).await;
    assert_eq!(not_yet.body["status"], "pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_what_came_of_anothers_command() {
    let app = App::start().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    ann.session().await;
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT command_id FROM command_outcomes WHERE actor = $1")
        .bind(format!("user:{}", ann.id))
        .fetch_all(&app.database.pool)
        .await
        .unwrap();
    assert!(!ids.is_empty());
    for id in ids {
        let path = format!("/api/v1/commands/{id}");
        assert_eq!(ann.get(&path).await.body["status"], "done");
        assert_eq!(bob.get(&path).await.problem(), (404, "command_not_found"));
    }
}
