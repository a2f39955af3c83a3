//! `/api/v1/sessions…`

use axum::http::StatusCode;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_created_renamed_deleted_and_restored() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let created = ann.post("/api/v1/sessions", json!({ "title": " Trip to Chengdu " })).await;
    assert_eq!(created.status, StatusCode::CREATED);
    assert_json_snapshot!("created", created.body, {
        ".id" => "[id]", ".created_at" => "[time]", ".updated_at" => "[time]",
    });
    let path = format!("/api/v1/sessions/{}", created.text("id"));
    assert_eq!(ann.get(&path).await.body, created.body);

    let renamed = ann.client().patch(&path, json!({ "title": "成都之行" })).await;
    assert_eq!((renamed.status, renamed.text("title").as_str()), (StatusCode::OK, "成都之行"));
    assert!(renamed.headers.get("x-stale").is_none());

    let deleted = ann.client().delete(&path).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let after = deleted.header("x-event");
    let list = |query: &'static str| ann.client().header("x-after", after).get(query);
    assert_eq!(list("/api/v1/sessions").await.body["items"], json!([]));
    assert_eq!(list("/api/v1/sessions?deleted=true").await.body["items"][0]["id"], created.body["id"]);

    let restored = ann.post(&format!("{path}/restore"), json!({})).await;
    assert_eq!((restored.status, &restored.body["deleted_at"]), (StatusCode::OK, &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_comes_in_pages_last_active_first() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let mut ids = vec![];
    for _ in 0..5 {
        ids.push(ann.session().await);
    }
    ids.reverse();
    let (mut seen, mut path) = (vec![], "/api/v1/sessions?limit=2".to_owned());
    loop {
        let page = ann.get(&path).await;
        let items = page.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
        seen.extend(items);
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/sessions?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_page_size_cursor_or_query_is_refused() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    for limit in ["0", "101", "-1"] {
        let reply = ann.get(&format!("/api/v1/sessions?limit={limit}")).await;
        assert_eq!(reply.problem(), (422, "invalid_limit"));
    }
    assert_eq!(ann.get("/api/v1/sessions?cursor=nonsense").await.problem(), (400, "invalid_cursor"));
    assert_eq!(ann.get("/api/v1/sessions?deleted=perhaps").await.problem(), (400, "invalid_query"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_somebody_else_is_as_absent_as_what_never_was() {
    let app = App::start().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let theirs = ann.session().await;
    for id in [theirs, Uuid::now_v7().to_string()] {
        let path = format!("/api/v1/sessions/{id}");
        assert_eq!(bob.get(&path).await.problem(), (404, "session_not_found"));
        assert_eq!(bob.client().patch(&path, json!({ "title": "x" })).await.problem(), (404, "session_not_found"));
        assert_eq!(bob.client().delete(&path).await.problem(), (404, "session_not_found"));
        assert_eq!(bob.post(&format!("{path}/restore"), json!({})).await.problem(), (404, "session_not_found"));
        assert_eq!(bob.get(&format!("{path}/messages")).await.problem(), (404, "session_not_found"));
        let say = bob.client().header("idempotency-key", &id);
        let said = say.post(&format!("{path}/messages"), json!({ "content": "x" })).await;
        assert_eq!(said.problem(), (404, "session_not_found"));
    }
    assert_eq!(bob.get("/api/v1/sessions/no-uuid").await.problem(), (404, "not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_title_has_one_to_two_hundred_characters() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let path = format!("/api/v1/sessions/{}", ann.session().await);
    for title in [" ", &"字".repeat(201)] {
        let reply = ann.client().patch(&path, json!({ "title": title })).await;
        assert_eq!(reply.problem(), (422, "invalid_title"));
        assert_eq!(reply.body["errors"][0]["field"], "title");
        assert_eq!(reply.body["data"]["limit"], 200);
    }
    assert_eq!(ann.client().patch(&path, json!({ "title": "字".repeat(200) })).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_names_ones_own_write_shows_it() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    for _ in 0..10 {
        let created = ann.post("/api/v1/sessions", json!({})).await;
        let after = created.header("x-event").to_owned();
        let list = ann.client().header("x-after", &after).get("/api/v1/sessions?limit=1").await;
        assert_eq!(list.body["items"][0]["id"], created.body["id"]);
        assert!(list.headers.get("x-stale").is_none());
    }
    // Whoever holds the checkpoint holds the projection up.
    let mut holding = app.database.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM checkpoints WHERE name = 'chat_v1' FOR UPDATE").execute(&mut *holding).await.unwrap();
    let created = ann.post("/api/v1/sessions", json!({})).await;
    let (id, after) = (created.body["id"].as_str().unwrap(), created.header("x-event"));
    let behind = ann.client().header("x-after", after).get("/api/v1/sessions?limit=1").await;
    assert_eq!(
        (behind.status, behind.header("x-stale")),
        (StatusCode::OK, "true"),
        "what is there, and that it is old"
    );
    for path in [format!("/api/v1/sessions/{id}"), format!("/api/v1/sessions/{id}/messages")] {
        assert_eq!(ann.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
        let behind = ann.client().header("x-after", after).get(&path).await;
        assert_eq!(behind.problem(), (503, "read_model_behind"), "{path}: nobody knows yet that it is not there");
    }
    holding.rollback().await.unwrap();
    let shown = ann.client().header("x-after", after).get(&format!("/api/v1/sessions/{id}")).await;
    assert_eq!(shown.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_names_a_write_that_never_was_waits_for_nothing() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let never_made = Uuid::now_v7();
    let never = format!("session:{never_made}:7");
    let list = ann.client().header("x-after", &never).get("/api/v1/sessions").await;
    assert!(list.status == StatusCode::OK && list.headers.get("x-stale").is_none());
    for path in [format!("sessions/{never_made}"), format!("runs/{never_made}")] {
        let reply = ann.client().header("x-after", &never).get(&format!("/api/v1/{path}")).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}: it never was");
    }
    let unknown = ann.client().header("x-after", "nonsense").get("/api/v1/sessions").await;
    assert_eq!(unknown.status, StatusCode::OK);
}
