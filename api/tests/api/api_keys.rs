//! `/api/v1/api-keys…`

use std::time::Duration;

use api::{Api, ApiOptions};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::{TimeDelta, Utc};
use insta::assert_json_snapshot;
use serde_json::json;
use tower::ServiceExt as _;
use uuid::Uuid;

use crate::app::{App, PATIENCE};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_shown_once_and_listed_by_its_end() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let body = json!({ "name": " laptop ", "scopes": ["chat", "billing"], "models": ["mock-1"], "expires_at": "2199-01-01T00:00:00Z" });
    let made = ann.post("/api/v1/api-keys", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    let key = made.text("key");
    let parts: Vec<&str> = key.splitn(4, '-').collect();
    assert_eq!((parts[0], parts[1], parts[2].len(), parts[3].len()), ("sk", "obl", 32, 43));
    assert_eq!(parts[2], made.text("id").parse::<Uuid>().unwrap().simple().to_string());
    assert!(key.ends_with(&made.text("hint")));
    assert_json_snapshot!("created", made.body, {
        ".id" => "[id]", ".key" => "[key]", ".hint" => "[hint]", ".created_at" => "[time]",
    });

    let listed = ann.get("/api/v1/api-keys").await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    assert!(!listed.body.to_string().contains(&key));
    let stored: Vec<String> =
        sqlx::query_scalar("SELECT payload::text FROM events").fetch_all(&app.database.pool).await.unwrap();
    assert!(stored.iter().all(|payload| !payload.contains(parts[3])), "the key itself is nowhere in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_request_answers_the_same_key() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let make = |name: &'static str| {
        ann.client().header("idempotency-key", "k").post("/api/v1/api-keys", json!({ "name": name }))
    };
    let (first, again) = (make("laptop").await, make("laptop").await);
    assert_eq!(first.status, StatusCode::CREATED, "{:?}", first.body);
    assert_eq!(first.body, again.body);
    assert_eq!(first.body["scopes"], json!(["chat", "models"]));
    assert_eq!(make("phone").await.problem(), (422, "idempotency_key_reused"));
    assert_eq!(ann.get("/api/v1/api-keys").await.body["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_from_the_next_request_on() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let made = ann.api_key(&["models"]).await;
    let (key, path) = (made.text("key"), format!("/api/v1/api-keys/{}", made.text("id")));
    assert_eq!(app.bearer(&key).get("/v1/models").await.status, StatusCode::OK);
    assert_eq!(ann.client().delete(&path).await.status, StatusCode::NO_CONTENT);
    let refused = app.bearer(&key).get("/v1/models").await;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]["code"]), (401, &json!("invalid_api_key")));
    assert_eq!(ann.client().delete(&path).await.status, StatusCode::NO_CONTENT, "revoked stays revoked");
}

/// A node that believes for so long what it saw of a key, and has seen this one.
async fn node_that_knows(app: &App, key: &str, belief: Duration) -> Api {
    let mut options = ApiOptions::default();
    options.limits.key_belief = belief;
    let node = app.node(options);
    assert_eq!(models_of(&node, key).await, StatusCode::OK);
    node
}

async fn models_of(node: &Api, key: &str) -> StatusCode {
    let request = Request::get("/v1/models").header("x-api-key", key).body(Body::empty()).unwrap();
    node.clone().oneshot(request).await.unwrap().status()
}

async fn becomes_refused(node: &Api, key: &str) {
    let refused = async {
        while models_of(node, key).await != StatusCode::UNAUTHORIZED {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, refused).await.expect("a revoked key is refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_hears_of_a_revocation_and_does_not_wait_until_its_belief_is_old() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let made = ann.api_key(&["models"]).await;
    let node = node_that_knows(&app, &made.text("key"), PATIENCE * 100).await;
    let path = format!("/api/v1/api-keys/{}", made.text("id"));
    assert_eq!(ann.client().delete(&path).await.status, StatusCode::NO_CONTENT);
    becomes_refused(&node, &made.text("key")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_event_a_revoked_key_is_refused_once_the_belief_is_old() {
    let mut app = App::start().await;
    let made = app.user("ann").await.api_key(&["models"]).await;
    let (key, id) = (made.text("key"), made.text("id"));
    app.nats.stop().await;
    let brief = node_that_knows(&app, &key, Duration::from_secs(1)).await;
    let revoked = "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
        VALUES ('api_key', $1, 2, 'api_key.revoked', '1', '{\"revoked\": {\"at\": \"2026-11-22T10:00:00Z\"}}', '{}')";
    sqlx::query(revoked).bind(&id).execute(&app.database.pool).await.unwrap();
    becomes_refused(&brief, &key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_believed_of_a_key_is_for_the_whole_key_and_needs_no_database() {
    let app = App::start().await;
    let key = app.user("ann").await.api_key(&["models"]).await.text("key");
    let node = node_that_knows(&app, &key, PATIENCE * 100).await;
    let other = if key.ends_with('A') { "B" } else { "A" };
    let forged = format!("{}{other}", &key[..key.len() - 1]);
    assert_eq!(models_of(&node, &forged).await, StatusCode::UNAUTHORIZED);
    app.reads.close().await;
    assert_eq!(models_of(&node, &key).await, StatusCode::OK);
    assert_eq!(models_of(&node, &forged).await, StatusCode::SERVICE_UNAVAILABLE, "nobody is a stranger unseen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_forged_or_foreign_key_is_refused() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let soon = Utc::now() + TimeDelta::milliseconds(1500);
    let made = ann.post("/api/v1/api-keys", json!({ "name": "brief", "expires_at": soon })).await;
    let key = made.text("key");
    assert_eq!(app.bearer(&key).get("/v1/models").await.status, StatusCode::OK);
    tokio::time::sleep(std::time::Duration::from_millis(1600)).await;
    let (id, secret) = (&key[7..39], &key[40..]);
    let other = if secret.starts_with('A') { "B" } else { "A" };
    let forged = format!("sk-obl-{id}-{other}{}", &secret[1..]);
    let unknown = format!("sk-obl-{}-{secret}", Uuid::now_v7().simple());
    for key in [key.as_str(), &forged, &unknown, "sk-obl-", "sk-proj-something", "nonsense"] {
        let refused = app.bearer(key).get("/v1/models").await;
        assert_eq!(
            (refused.status.as_u16(), &refused.body["error"]["code"]),
            (401, &json!("invalid_api_key")),
            "{key}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_keys_are_neither_seen_nor_revoked() {
    let app = App::start().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let made = ann.api_key(&["models"]).await;
    assert_eq!(bob.get("/api/v1/api-keys").await.body["items"], json!([]));
    let path = format!("/api/v1/api-keys/{}", made.text("id"));
    assert_eq!(bob.client().delete(&path).await.problem(), (404, "api_key_not_found"));
    assert_eq!(app.bearer(&made.text("key")).get("/v1/models").await.status, StatusCode::OK);
    let nothing = format!("/api/v1/api-keys/{}", Uuid::now_v7());
    assert_eq!(ann.client().delete(&nothing).await.problem(), (404, "api_key_not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_without_name_scope_or_future_is_refused_with_its_field() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let wrong = [
        (json!({ "name": " " }), "invalid_name", "name"),
        (json!({ "name": "x".repeat(81) }), "invalid_name", "name"),
        (json!({ "name": "x", "expires_at": "2020-01-01T00:00:00Z" }), "invalid_expiry", "expires_at"),
        (json!({ "name": "x", "scopes": [] }), "no_scopes", "scopes"),
        (json!({ "name": "x", "models": [] }), "invalid_models", "models"),
        (json!({ "name": "x", "scopes": ["admin"] }), "invalid_field", "scopes/0"),
        (json!({}), "missing_field", "name"),
    ];
    for (body, code, field) in wrong {
        let refused = ann.post("/api/v1/api-keys", body.clone()).await;
        assert_eq!((refused.problem(), &refused.body["errors"][0]["field"]), ((422, code), &json!(field)), "{body}");
    }
    let key = ann.api_key(&["chat", "models", "billing"]).await.text("key");
    let by_key = app.bearer(&key).post("/api/v1/api-keys", json!({ "name": "x" })).await;
    assert_eq!(by_key.problem().0, 401, "a key makes no keys");
}
