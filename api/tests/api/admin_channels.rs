//! `/api/v1/admin/channels…`

use axum::http::StatusCode;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;

fn channel(app: &App) -> Value {
    json!({
        "name": "Mock", "provider": "openai", "base_url": app.provider.base_url(), "keys": ["sk-upstream-0123456789"],
        "models": ["gpt", { "name": "fast", "upstream": "mock-fast", "max_output_tokens": 50 }],
        "prices": { "gpt": { "input": "2.50", "output": 10 }, "fast": { "input": 1, "output": "2", "cached_input": "0.5" } },
        "costs": { "gpt": { "input": "1.25", "output": "5" } },
    })
}

fn ask(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Hi" }] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_added_serves_the_next_request_with_its_own_key() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let added = operator.post("/api/v1/admin/channels", channel(&app)).await;
    assert_eq!(added.status, StatusCode::CREATED, "{:?}", added.body);
    assert_json_snapshot!("added", added.body, {
        ".id" => "[id]", ".base_url" => "[url]", ".created_at" => "[time]", ".updated_at" => "[time]",
        ".keys[].name" => "[name]",
    });
    let answer = app.bearer(&ann.token).post("/v1/chat/completions", ask("fast")).await;
    assert_eq!((answer.status, &answer.body["model"]), (StatusCode::OK, &json!("fast")), "{:?}", answer.body);
    let asked = app.provider.requests();
    assert_eq!(asked[0].authorization.as_deref(), Some("Bearer sk-upstream-0123456789"));
    assert_eq!(asked[0].body["model"], "mock-fast");
    assert_eq!(asked[0].body["max_tokens"].as_u64().or(asked[0].body["max_completion_tokens"].as_u64()), Some(50));

    let listed = operator.get("/api/v1/admin/channels").await;
    assert_eq!(listed.body["items"], json!([added.body]));
    for text in [listed.body.to_string(), all_events(&app).await] {
        assert!(!text.contains("sk-upstream"), "keys are sealed");
    }
}

async fn all_events(app: &App) -> String {
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT payload::text FROM events").fetch_all(&app.database.pool).await.unwrap();
    rows.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_switched_off_or_removed_serves_nobody() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let added = operator.post("/api/v1/admin/channels", channel(&app)).await;
    let path = format!("/api/v1/admin/channels/{}", added.text("id"));
    let status = async || ann.post("/v1/chat/completions", ask("gpt")).await.status.as_u16();
    assert_eq!(status().await, 200);
    let off = operator.client().patch(&path, json!({ "enabled": false })).await;
    assert_eq!((off.status, &off.body["enabled"]), (StatusCode::OK, &json!(false)));
    assert_eq!(status().await, 404);
    let dearer = operator
        .client()
        .patch(&path, json!({ "enabled": true, "prices": { "gpt": { "input": 3, "output": 9 } } }))
        .await;
    assert_eq!(dearer.body["models"][0]["price_version"], 2, "{:?}", dearer.body);
    assert_eq!(dearer.body["models"][0]["prices"], json!({ "input": "3", "output": "9" }));
    assert_eq!(status().await, 200);
    assert_eq!(operator.client().delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(status().await, 404);
    assert_eq!(operator.get(&path).await.problem(), (404, "channel_not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_tried_enabled_or_not_and_nobody_pays() {
    let app = App::start().await;
    let operator = app.admin("olga").await;
    let mut body = channel(&app);
    body["enabled"] = json!(false);
    let added = operator.post("/api/v1/admin/channels", body).await;
    let path = format!("/api/v1/admin/channels/{}/test", added.text("id"));
    let tried = operator.post(&path, json!({ "model": "fast" })).await;
    assert_eq!((tried.status, &tried.body["ok"], &tried.body["error"]), (StatusCode::OK, &json!(true), &Value::Null));
    assert!(!tried.text("reply").is_empty());
    assert_eq!(app.provider.requests()[0].body["model"], "mock-fast");

    app.provider.enqueue(testkit::provider::Script::fails(401, "{\"error\":{\"message\":\"no\"}}"));
    let refused = operator.post(&path, json!({})).await;
    assert_eq!((refused.status, &refused.body["ok"]), (StatusCode::OK, &json!(false)));
    assert_eq!((&refused.body["model"], &refused.body["error"]["code"]), (&json!("gpt"), &json!("upstream_refused")));
    assert_eq!(operator.post(&path, json!({ "model": "other" })).await.problem(), (422, "unknown_model"));
    let nowhere = format!("/api/v1/admin/channels/{}/test", Uuid::now_v7());
    assert_eq!(operator.post(&nowhere, json!({})).await.problem(), (404, "channel_not_found"));
    assert_eq!(operator.nanos("balance_nanos").await, 1_000_000_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_channel_is_told_by_its_field() {
    let app = App::start().await;
    let operator = app.admin("olga").await;
    let wrong = [
        (json!({ "name": " " }), "invalid_name", "name"),
        (json!({ "base_url": "ftp://example.org" }), "invalid_base_url", "base_url"),
        (json!({ "provider": "openai_compatible", "base_url": null }), "invalid_base_url", "base_url"),
        (json!({ "base_url": "http://169.254.169.254/v1" }), "address_not_allowed", "base_url"),
        (json!({ "keys": ["a b"] }), "invalid_key", "keys/0"),
        (json!({ "models": [] }), "no_models", "models"),
        (json!({ "models": ["gpt", "gpt"] }), "invalid_model", "models"),
        (json!({ "prices": { "gpt": { "input": 1, "output": 1 } } }), "price_missing", "prices"),
        (json!({ "prices": { "gpt": { "input": -1, "output": 1 } } }), "invalid_price", "prices/gpt"),
        (json!({ "costs": { "gpt": { "input": "1" } } }), "invalid_price", "costs/gpt"),
        (json!({ "headers": [{ "name": "Host", "value": "x" }] }), "invalid_override", "headers"),
        (json!({ "parameters": [{ "action": "remove", "path": "model" }] }), "invalid_override", "parameters"),
        (json!({ "proxy": "ftp://proxy.example" }), "invalid_override", "proxy"),
        (json!({ "note": "x".repeat(2001) }), "invalid_note", "note"),
    ];
    for (change, code, field) in wrong {
        let mut body = channel(&app);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let refused = operator.post("/api/v1/admin/channels", body).await;
        assert_eq!((refused.problem(), &refused.body["errors"][0]["field"]), ((422, code), &json!(field)), "{change}");
    }
    assert_eq!(operator.get("/api/v1/admin/channels").await.body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_is_added_or_taken_away_without_knowing_the_others() {
    let app = App::start().await;
    let operator = app.admin("olga").await;
    let added = operator.post("/api/v1/admin/channels", channel(&app)).await;
    let path = format!("/api/v1/admin/channels/{}", added.text("id"));
    let change = async |keys: Value| operator.client().patch(&path, json!({ "keys": keys })).await;
    let first = added.body["keys"][0]["name"].clone();
    let two = change(json!([{ "keep": first }, "sk-upstream-another-6789"])).await;
    assert_eq!((two.status, &two.body["keys"][0]["name"]), (StatusCode::OK, &first), "{:?}", two.body);
    let second = two.body["keys"][1]["name"].clone();
    let one = change(json!([{ "keep": second }])).await;
    assert_eq!(one.body["keys"], json!([{ "name": second, "hint": "6789", "suspended": null }]), "{:?}", one.body);
    assert_eq!(change(json!([{ "keep": first }])).await.problem(), (422, "unknown_key"));
}
