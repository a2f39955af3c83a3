//! `/api/v1/admin/users…`: accounts, and money given, paid and corrected.

use axum::http::StatusCode;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{App, Reply, User};

async fn book(operator: &User<'_>, kind: &str, user: Uuid, key: &str, body: Value) -> Reply {
    let path = format!("/api/v1/admin/users/{user}/{kind}");
    operator.client().header("idempotency-key", key).post(&path, body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_a_top_up_and_an_adjustment_are_in_the_wallet_when_they_are_answered() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let granted = operator.move_money("grants", ann.id, "5").await;
    assert_json_snapshot!("granted", granted.body, { ".id" => "[id]", ".user_id" => "[id]" });
    operator.move_money("top-ups", ann.id, "20").await;
    let corrected = operator.move_money("adjustments", ann.id, "-7").await;
    assert_eq!(corrected.body["wallet"]["balance_nanos"], "1000000018");
    assert_eq!(ann.nanos("balance_nanos").await, 1_000_000_018);

    let ledger = operator.get(&format!("/api/v1/admin/users/{}/ledger?limit=100", ann.id)).await;
    let kinds: Vec<&str> =
        ledger.body["items"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    for kind in ["grant", "top_up", "adjustment"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let reasons = ann.get("/api/v1/ledger/entries?limit=100").await;
    assert!(reasons.body.to_string().contains("a test"), "the owner reads why: {:?}", reasons.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_movement_moves_nothing_more() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let body = json!({ "amount_nanos": "5", "reason": "welcome" });
    let first = book(&operator, "grants", ann.id, "once", body.clone()).await;
    let again = book(&operator, "grants", ann.id, "once", body.clone()).await;
    assert_eq!((first.status, &first.body), (StatusCode::CREATED, &again.body));
    let other = json!({ "amount_nanos": "6", "reason": "welcome" });
    assert_eq!(book(&operator, "grants", ann.id, "once", other).await.problem(), (422, "idempotency_key_reused"));
    assert_eq!(
        book(&operator, "top-ups", ann.id, "once", body).await.problem(),
        (422, "idempotency_key_reused"),
        "a key belongs to one address"
    );
    assert_eq!(ann.nanos("balance_nanos").await, 1_000_000_005);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_amount_and_what_has_no_reason_is_refused() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let amounts = [
        (json!("0"), "invalid_amount"),
        (json!("-5"), "invalid_amount"),
        (json!("1.5"), "invalid_amount"),
        (json!(1.5), "invalid_amount"),
        (json!(""), "invalid_amount"),
        (json!(null), "invalid_amount"),
        (json!("99999999999999999999"), "invalid_amount"),
        (json!("1000000000000001"), "amount_too_large"),
        (json!(i64::MAX), "amount_too_large"),
    ];
    for kind in ["grants", "top-ups"] {
        for (place, (amount, code)) in amounts.iter().enumerate() {
            let body = json!({ "amount_nanos": amount, "reason": "a test" });
            let refused = book(&operator, kind, ann.id, &format!("{kind} {place}"), body).await;
            assert_eq!(refused.problem(), (422, *code), "{kind} {amount}");
            assert_eq!(refused.body["errors"][0]["field"], "amount_nanos");
        }
    }
    let nothing = json!({ "amount_nanos": "0", "reason": "a test" });
    assert_eq!(book(&operator, "adjustments", ann.id, "zero", nothing).await.problem(), (422, "invalid_amount"));
    for (place, body) in
        [json!({ "amount_nanos": "5" }), json!({ "amount_nanos": "5", "reason": " " })].into_iter().enumerate()
    {
        let refused = book(&operator, "grants", ann.id, &format!("reason {place}"), body).await;
        assert_eq!(refused.problem(), (422, "reason_missing"));
    }
    let path = format!("/api/v1/admin/users/{}/grants", ann.id);
    let keyless = operator.post(&path, json!({ "amount_nanos": "5", "reason": "a test" })).await;
    assert_eq!(keyless.problem(), (400, "idempotency_key_required"));
    let stranger =
        book(&operator, "grants", Uuid::now_v7(), "stranger", json!({ "amount_nanos": "5", "reason": "x" })).await;
    assert_eq!(stranger.problem(), (404, "user_not_found"));
    assert_eq!(ann.nanos("balance_nanos").await, 1_000_000_000, "nothing was moved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_are_found_by_the_beginning_of_their_names() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    app.user("anton").await;
    app.user("bob").await;
    let find = async |query: &str| {
        let page = operator.get(&format!("/api/v1/admin/users?{query}")).await;
        let names =
            page.body["items"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(find("").await, ["bob", "anton", "olga", "ann"], "newest first");
    assert_eq!(find("query=AN").await, ["anton", "ann"]);
    assert_eq!(find("query=bob@").await, ["bob"]);
    assert_eq!(find("query=%25").await, Vec::<String>::new(), "signs of patterns mean themselves");
    assert_eq!(find("query=").await.len(), 4);
    let account = operator.get(&format!("/api/v1/admin/users/{}", ann.id)).await;
    assert_json_snapshot!("account", account.body, { ".id" => "[id]", ".created_at" => "[time]" });
    let nobody = operator.get(&format!("/api/v1/admin/users/{}", Uuid::now_v7())).await;
    assert_eq!(nobody.problem(), (404, "user_not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_of_operators_refuses_everybody_else() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let key = ann.api_key(&["chat", "models", "billing"]).await.text("key");
    let document = serde_json::to_value(api::openapi()).unwrap();
    let mut count = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !path.starts_with("/api/v1/admin/") {
            continue;
        }
        let path = path.replace("{id}", &ann.id.to_string()).replace("{key}", &ann.id.to_string());
        for method in methods.as_object().unwrap().keys().filter(|name| *name != "parameters") {
            count += 1;
            let send = async |client: crate::app::Client<'_>| {
                let client = client.header("content-type", "application/json").header("idempotency-key", "k");
                let method = method.to_uppercase().parse().unwrap();
                client.send(method, &path, axum::body::Body::from("{}")).await
            };
            assert_eq!(send(ann.client()).await.problem(), (403, "forbidden"), "{method} {path}");
            assert_eq!(send(app.anyone()).await.problem(), (401, "unauthenticated"), "{method} {path}");
            assert_eq!(send(app.bearer(&key)).await.problem(), (401, "invalid_token"), "{method} {path}");
        }
    }
    assert_eq!(count, 30, "every route of operators was tried");
    assert_eq!(ann.nanos("balance_nanos").await, 1_000_000_000);
}
