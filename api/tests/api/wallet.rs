//! `/api/v1/wallet`, `/api/v1/ledger/entries`, `/api/v1/charges`.

use axum::http::StatusCode;
use chrono::Utc;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::app::{App, User};

fn call() -> Value {
    json!({ "model": "mock-1", "messages": [{ "role": "user", "content": "[[say Hello]] [[usage 1000 7]]" }] })
}

async fn ask(app: &App, key: &str) {
    let answer = app.bearer(key).post("/v1/chat/completions", call()).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_account_has_its_gift_and_its_ledger_says_so() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let wallet = ann.get("/api/v1/wallet").await;
    assert!(wallet.headers.get("x-stale").is_none());
    assert_json_snapshot!("gift", wallet.body);
    let entries = ann.get("/api/v1/ledger/entries").await;
    assert_json_snapshot!("gift_entries", entries.body, { ".items[].position" => "[position]", ".items[].at" => "[time]" });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_charged_to_the_nano_and_is_in_the_wallet_when_it_is_answered() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let key = ann.api_key(&["chat"]).await;
    ask(&app, &key.text("key")).await;
    // 1000 tokens at 2.50 and 7 at 10 per million.
    let charged = 2_500_000 + 70_000;
    assert_eq!(ann.nanos("available_nanos").await, 1_000_000_000 - charged);
    assert_eq!(ann.nanos("held_nanos").await, 0);

    let charges = ann.get("/api/v1/charges").await;
    assert_eq!(charges.body["items"][0]["api_key_id"], key.body["id"]);
    assert_json_snapshot!("charges", charges.body, {
        ".items[].hold_id" => "[id]", ".items[].api_key_id" => "[id]", ".items[].at" => "[time]",
    });
    let entries = ann.get("/api/v1/ledger/entries?limit=100").await.body["items"].as_array().unwrap().clone();
    let amount = |entry: &Value| entry["amount_nanos"].as_str().unwrap().parse::<i64>().unwrap();
    let mut sums = std::collections::BTreeMap::<i64, i64>::new();
    for entry in &entries {
        *sums.entry(entry["position"].as_i64().unwrap()).or_default() += amount(entry);
        assert!(!entry["account"].as_str().unwrap().starts_with("upstream"), "what it costs us is not shown: {entry}");
    }
    assert!(sums.values().all(|sum| *sum == 0), "{entries:?}");
    let used = ann.get("/api/v1/api-keys").await;
    assert!(used.body["items"][0]["last_used_at"].is_string(), "{:?}", used.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_adds_up() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let key = ann.api_key(&["chat"]).await.text("key");
    ask(&app, &key).await;
    ask(&app, &key).await;
    let today = Utc::now().date_naive();
    let from = today - chrono::Days::new(1);
    let statement = ann.get(&format!("/api/v1/wallet/statement?from={from}&to={today}")).await;
    assert_eq!(statement.status, StatusCode::OK, "{:?}", statement.body);
    assert_json_snapshot!("statement", statement.body, {
        ".from" => "[day]", ".to" => "[day]", ".days[].date" => "[day]", ".api_keys[].api_key_id" => "[id]",
    });
    for query in ["", "?from=2026-11-02", "?from=2026-11-02&to=2026-11-01", "?from=2026-01-01&to=2028-01-01"] {
        let refused = ann.get(&format!("/api/v1/wallet/statement{query}")).await;
        assert!(["invalid_period", "invalid_query"].contains(&refused.problem().1), "{query}: {:?}", refused.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_anothers_money() {
    let app = App::start().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let operator = app.admin("olga").await;
    operator.move_money("grants", ann.id, "5").await;
    ask(&app, &ann.api_key(&["chat"]).await.text("key")).await;
    assert_eq!(bob.nanos("available_nanos").await, 1_000_000_000);
    assert_eq!(bob.get("/api/v1/charges").await.body["items"], json!([]));
    let entries = bob.get("/api/v1/ledger/entries?limit=100").await;
    assert!(
        entries.body["items"].as_array().unwrap().iter().all(|entry| entry["kind"] == "grant"),
        "{:?}",
        entries.body
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_reads_the_wallet_only_with_the_scope_for_it() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let (plain, billing) = (ann.api_key(&["chat"]).await.text("key"), ann.api_key(&["billing"]).await.text("key"));
    for path in ["/api/v1/wallet", "/api/v1/ledger/entries", "/api/v1/charges"] {
        assert_eq!(app.bearer(&plain).get(path).await.problem(), (403, "scope_missing"), "{path}");
        assert_eq!(app.bearer(&billing).get(path).await.status, StatusCode::OK, "{path}");
        assert_eq!(app.anyone().get(path).await.problem(), (401, "unauthenticated"), "{path}");
    }
    assert_eq!(app.bearer(&billing).get("/api/v1/sessions").await.problem().0, 401, "a key is no sign-in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_the_ledger_follow_each_other() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    for _ in 0..3 {
        operator.move_money("grants", ann.id, "7").await;
    }
    let all = ann.get("/api/v1/ledger/entries?limit=100").await.body["items"].clone();
    let (mut seen, mut path) = (vec![], "/api/v1/ledger/entries?limit=3".to_owned());
    loop {
        let page = ann.get(&path).await;
        seen.extend(page.body["items"].as_array().unwrap().clone());
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/ledger/entries?limit=3&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(json!(seen), all);
    assert_eq!(ann.get("/api/v1/charges?cursor=nonsense").await.problem(), (400, "invalid_cursor"));
}

/// A person's view of a wallet that the database does not give.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_503_for_keys_and_people_alike() {
    let app = App::start().await;
    let ann: User<'_> = app.user("ann").await;
    let key = ann.api_key(&["billing", "chat", "models"]).await.text("key");
    app.reads.close().await;
    assert_eq!(ann.get("/api/v1/wallet").await.problem(), (503, "database_unavailable"));
    assert_eq!(app.bearer(&key).get("/api/v1/wallet").await.problem(), (503, "database_unavailable"));
    let models = app.bearer(&key).get("/v1/models").await;
    assert_eq!((models.status.as_u16(), &models.body["error"]["code"]), (503, &json!("database_unavailable")));
}
