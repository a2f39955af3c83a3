//! `/api/v1/admin/channels/{id}/{prices,history,revert}`, `/api/v1/admin/prices…` and `/api/v1/admin/groups…`

use std::time::Duration;

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::{App, Reply, User, command_options};

/// A channel with the models `gpt` at 2.5 and 10, and `gpt-4o` at nothing.
async fn channel(app: &App, operator: &User<'_>, more: Value) -> Reply {
    let mut body = json!({
        "name": "Mock", "provider": "openai", "base_url": app.provider.base_url(), "models": ["gpt", "gpt-4o"],
        "prices": { "gpt": { "input": "2.50", "output": 10 }, "gpt-4o": { "input": 0, "output": 0 } },
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let added = operator.post("/api/v1/admin/channels", body).await;
    assert_eq!(added.status, StatusCode::CREATED, "{:?}", added.body);
    added
}

fn path(channel: &Reply, rest: &str) -> String {
    format!("/api/v1/admin/channels/{}{rest}", channel.text("id"))
}

async fn assign(operator: &User<'_>, user: Uuid, group: &str) -> Reply {
    let client = operator.client().header("content-type", "application/json");
    let body = Body::from(json!({ "group": group }).to_string());
    client.send(Method::PUT, &format!("/api/v1/admin/users/{user}/group"), body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_suspended_is_shown_and_resumed_by_an_operator() {
    let app = App::start().await;
    let operator = app.admin("olga").await;
    let added = channel(&app, &operator, json!({ "keys": ["sk-a-key-of-some-length"] })).await;
    let (id, key) = (added.text("id"), added.body["keys"][0]["name"].clone());
    assert_eq!(added.body["keys"][0]["suspended"], Value::Null);
    let suspend = json!({ "suspend_key": {
        "channel": id, "key": key, "code": "invalid_api_key", "at": "2026-11-22T10:00:00Z",
    }});
    let message = nats::CommandMessage::new(("relay", "channel", "suspend_key"), &id, "router", suspend);
    let commands = nats::CommandClient::new(app.nats.client.clone(), app.database.pool.clone(), command_options());
    let sent = commands.send(message, Duration::from_secs(10)).await.unwrap();
    let nats::Sent::Outcome(nats::Outcome::Done { events, .. }) = sent else { panic!("{sent:?}") };
    assert_eq!(events, ["channel.key_suspended"]);

    let resume = format!("/keys/{}/resume", key.as_str().unwrap());
    let history = operator.get(&path(&added, "/history")).await;
    let newest = &history.body["items"][0];
    assert_eq!((&newest["kind"], &newest["actor"]), (&json!("key_suspended"), &json!("router")), "{newest}");
    let after = format!("channel:{id}:{}", newest["version"]);
    let shown = operator.client().header("x-after", &after).get(&path(&added, "")).await;
    assert_eq!(shown.body["keys"][0]["suspended"]["code"], "invalid_api_key", "{:?}", shown.body);
    let resumed = operator.post(&path(&added, &resume), json!({})).await;
    assert_eq!((resumed.status, &resumed.body["keys"][0]["suspended"]), (StatusCode::OK, &Value::Null));
    let nobodys = operator.post(&path(&added, "/keys/no-id/resume"), json!({})).await;
    assert_eq!(nobodys.status, StatusCode::NOT_FOUND, "{:?}", nobodys.body);
    let stranger = app.user("ann").await.post(&path(&added, &resume), json!({})).await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_told_of_a_channel_what_its_operator_wants_them_to_know() {
    let app = App::start().await;
    let operator = app.admin("olga").await;
    let added = channel(&app, &operator, json!({ "name": "Cheap reseller" })).await;
    let ann = app.user("ann").await;
    let body = json!({ "model": "gpt", "messages": [{ "role": "user", "content": "[[say hi]]" }], "max_tokens": 10 });
    let told = async || {
        let answer = ann.post("/v1/chat/completions", body.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        answer.headers["x-oblivious-channel"].to_str().unwrap().to_owned()
    };
    assert_eq!(told().await, added.text("id"));
    let named = operator.client().patch(&path(&added, ""), json!({ "public_name": "europe", "probe": "chat" })).await;
    assert_eq!((&named.body["public_name"], &named.body["probe"]), (&json!("europe"), &json!("chat")));
    assert_eq!(told().await, "europe");
    let unnamed = operator.client().patch(&path(&added, ""), json!({ "public_name": null })).await;
    assert_eq!((&unnamed.body["public_name"], &unnamed.body["probe"]), (&Value::Null, &json!("chat")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_about_a_channel_is_shown_without_its_secrets_and_changed_piece_by_piece() {
    let app = App::start().await;
    let operator = app.admin("olga").await;
    let added = channel(
        &app,
        &operator,
        json!({
            "priority": 3, "limits": { "parallel": 2 }, "tags": ["eu"], "drain": { "seconds": 5, "tokens": 100 },
            "headers": [{ "name": "X-Token", "value": "top-secret" }, { "name": "X-Team", "value": "a", "secret": false }],
            "proxy": "http://user:top-secret@127.0.0.1:9",
            "parameters": [{ "action": "default", "path": "temperature", "value": 0.2 }],
        }),
    )
    .await;
    let shown = &added.body;
    assert_eq!((&shown["priority"], &shown["weight"], &shown["tags"]), (&json!(3), &json!(1), &json!(["eu"])));
    assert_eq!(shown["proxy"], "http://127.0.0.1:9");
    let secret = json!({ "name": "X-Token", "value": null, "secret": true });
    assert_eq!(shown["headers"], json!([secret, { "name": "X-Team", "value": "a", "secret": false }]));
    let change = json!({ "drain": null, "proxy": null, "headers": [{ "name": "x-token" }], "weight": 7 });
    let changed = operator.client().patch(&path(&added, ""), change).await;
    assert_eq!(changed.status, StatusCode::OK, "{:?}", changed.body);
    let shown = &changed.body;
    assert_eq!((&shown["drain"], &shown["proxy"], &shown["headers"]), (&Value::Null, &Value::Null, &json!([secret])));
    assert_eq!((&shown["priority"], &shown["weight"], &shown["limits"]["parallel"]), (&json!(3), &json!(7), &json!(2)));
    let wrong = operator.client().patch(&path(&added, ""), json!({ "priority": 5000 })).await;
    assert_eq!(wrong.problem(), (422, "invalid_routing"));
    let history = operator.get(&path(&added, "/history")).await.body.to_string();
    assert!(history.contains("X-Token") && !history.contains("top-secret") && !history.contains("\"sealed\":\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_is_returned_to_what_it_was_and_its_history_says_who_did() {
    let app = App::start().await;
    let operator = app.admin("olga").await;
    let added = channel(&app, &operator, json!({})).await;
    let change = json!({ "name": "Other", "enabled": false, "prices": { "gpt": { "input": 9, "output": 9 } } });
    operator.client().patch(&path(&added, ""), change).await;
    let before = added.body["version"].as_i64().unwrap();
    let back = operator.post(&path(&added, "/revert"), json!({ "version": before })).await;
    assert_eq!(back.status, StatusCode::OK, "{:?}", back.body);
    assert_eq!((&back.body["name"], &back.body["enabled"]), (&json!("Mock"), &json!(true)));
    let model = &back.body["models"][0];
    assert_eq!((&model["prices"]["input"], &model["price_version"]), (&json!("2.5"), &json!(3)));
    let history = operator.get(&path(&added, "/history?limit=3")).await;
    let kinds: Vec<&str> =
        history.body["items"].as_array().unwrap().iter().map(|change| change["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["enabled", "prices_changed", "renamed"]);
    assert_eq!(history.body["items"][0]["actor"], format!("user:{}", operator.id));
    let future = operator.post(&path(&added, "/revert"), json!({ "version": 1000 })).await;
    assert_eq!(future.problem(), (422, "unknown_version"));
    let nowhere = format!("/api/v1/admin/channels/{}/history", Uuid::now_v7());
    assert_eq!(operator.get(&nowhere).await.problem(), (404, "channel_not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prices_begin_when_they_are_said_to_and_come_from_lists() {
    let app = App::start().await;
    let operator = app.admin("olga").await;
    let added = channel(&app, &operator, json!({})).await;
    let later = json!({ "prices": [
        { "model": "gpt", "prices": { "input": 3, "output": 12 }, "from": "2126-01-01T00:00:00Z" },
        { "model": "gpt", "costs": { "input": 1, "output": 2, "per_request": "0.01" } },
    ] });
    let set = operator.post(&path(&added, "/prices"), later).await;
    assert_eq!(set.status, StatusCode::OK, "{:?}", set.body);
    let model = &set.body["models"][0];
    assert_eq!((&model["prices"]["input"], &model["upcoming"][0]["prices"]["input"]), (&json!("2.5"), &json!("3")));
    assert_eq!(model["costs"], json!({ "input": "1", "output": "2", "per_request": "0.01" }));
    let factor = json!({ "prices": [{ "model": "gpt", "prices": { "input": 3, "output": 1, "factor": "2" } }] });
    assert_eq!(operator.post(&path(&added, "/prices"), factor).await.problem(), (422, "invalid_price"));

    let public = operator.get("/api/v1/admin/prices").await;
    assert!(public.text("licence").starts_with("MIT") && !public.text("date").is_empty());
    let wanted = json!({ "models": ["gpt-4o"], "factor": "1.2", "dry_run": true });
    let dry = operator.post("/api/v1/admin/prices/import", wanted).await;
    assert_eq!(dry.body["models"][0]["prices"]["input"], "3", "{:?}", dry.body);
    let unchanged = operator.get(&path(&added, "")).await;
    assert_eq!(unchanged.body["models"][1]["costs"]["input"], "0");
    let imported = operator.post("/api/v1/admin/prices/import", json!({ "factor": "1.2" })).await;
    assert_eq!(imported.body["unknown"], json!([{ "channel_id": added.body["id"], "model": "gpt" }]));
    let model = operator.get(&path(&added, "")).await.body["models"][1].clone();
    assert_eq!((&model["costs"]["input"], &model["prices"]["input"]), (&json!("2.5"), &json!("3")));
    let history = operator.get(&path(&added, "/history?limit=1")).await;
    assert_eq!(history.body["items"][0]["change"]["source"], imported.body["source"]);
    let list = json!({ "source": "me", "date": "2026-11-22", "currency": "CNY", "models": [] });
    let foreign = operator.post("/api/v1/admin/prices/import", json!({ "list": list })).await;
    assert_eq!(foreign.problem(), (422, "currency_mismatch"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_use_what_their_group_may_and_pay_what_it_pays() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    channel(&app, &operator, json!({ "groups": ["staff"] })).await;
    let ask = json!({ "model": "gpt", "messages": [{ "role": "user", "content": "Hi" }] });
    let sees = async || ann.get("/v1/models").await.body.to_string().contains("\"gpt\"");
    assert_eq!(ann.post("/v1/chat/completions", ask.clone()).await.status, StatusCode::NOT_FOUND);
    assert!(!sees().await);

    assert_eq!(assign(&operator, ann.id, "staff").await.problem(), (404, "group_not_found"));
    let group = json!({ "name": "staff", "title": "Our people", "factor": "0.5" });
    let added = operator.post("/api/v1/admin/groups", group.clone()).await;
    assert_eq!((added.status, &added.body["factor"]), (StatusCode::CREATED, &json!("0.5")), "{:?}", added.body);
    assert_eq!(operator.post("/api/v1/admin/groups", group).await.problem(), (409, "group_already_added"));
    assert_eq!(assign(&operator, Uuid::now_v7(), "staff").await.problem(), (404, "user_not_found"));
    let assigned = assign(&operator, ann.id, "staff").await;
    assert_eq!((assigned.status, &assigned.body["group"]), (StatusCode::OK, &json!("staff")), "{:?}", assigned.body);

    assert!(sees().await);
    assert_eq!(ann.post("/v1/chat/completions", ask.clone()).await.status, StatusCode::OK);
    ann.wait_until_settled().await;
    let charges = ann.get("/api/v1/charges").await;
    let charge = &charges.body["items"][0];
    assert_eq!(charge["prices"]["factor"], "0.5", "{charge}");
    let count = |tier: &str| charge["tokens"][tier].as_i64().unwrap();
    // Half of 2,500 and 10,000 nano-units.
    let expected = count("input") * 1_250 + count("output") * 5_000;
    assert_eq!(charge["charged_nanos"], expected.to_string(), "{charge}");
    let dearer = operator.client().patch("/api/v1/admin/groups/staff", json!({ "factor": "3" })).await;
    assert_eq!((&dearer.body["factor"], &dearer.body["users"]), (&json!("3"), &json!(1)), "{:?}", dearer.body);
    let unknown = operator.client().patch("/api/v1/admin/groups/nobody", json!({ "title": "x" })).await;
    assert_eq!(unknown.problem(), (404, "group_not_found"));
    let back = assign(&operator, ann.id, "default").await;
    assert_eq!(back.status, StatusCode::OK);
    assert!(!sees().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_removed_only_where_nobody_is_in_it_and_no_channel_names_it() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let named = channel(&app, &operator, json!({ "groups": ["staff"] })).await;
    let group = json!({ "name": "staff", "title": "Our people" });
    assert_eq!(operator.post("/api/v1/admin/groups", group.clone()).await.status, StatusCode::CREATED);
    assert_eq!(assign(&operator, ann.id, "staff").await.status, StatusCode::OK);
    let remove = async || operator.client().delete("/api/v1/admin/groups/staff").await;

    let refused = remove().await;
    assert_eq!(refused.problem(), (409, "group_in_use"));
    assert_eq!(refused.body["data"], json!({ "users": 1, "channels": ["Mock"] }));
    assign(&operator, ann.id, "default").await;
    assert_eq!(remove().await.body["data"], json!({ "users": 0, "channels": ["Mock"] }));
    operator.client().patch(&path(&named, ""), json!({ "groups": [] })).await;
    assert_eq!(remove().await.status, StatusCode::NO_CONTENT);

    assert_eq!(remove().await.problem(), (404, "group_not_found"));
    assert_eq!(assign(&operator, ann.id, "staff").await.problem(), (404, "group_not_found"));
    assert_eq!(operator.get("/api/v1/admin/groups").await.body["items"], json!([]));
    assert_eq!(operator.post("/api/v1/admin/groups", group).await.status, StatusCode::CREATED, "it can be added again");
    let stranger = ann.client().delete("/api/v1/admin/groups/staff").await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_what_rests_of_a_channel_until_when_and_why() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let added = channel(&app, &operator, json!({ "keys": ["sk-a-key-of-some-length"] })).await;
    let health = async || operator.get("/api/v1/admin/channels/health").await;
    assert_eq!(health().await.body["items"], json!([]), "all is well");

    let messages = json!([{ "role": "user", "content": "[[error 429]] [[retry-after 600]]" }]);
    ann.post("/v1/chat/completions", json!({ "model": "gpt", "messages": messages, "max_tokens": 10 })).await;
    let items = health().await.body["items"].clone();
    let [key] = items.as_array().unwrap().as_slice() else { panic!("{items}") };
    // As the tests' own account names it; of a real one it is the `name` of the channel's key.
    assert_eq!((&key["channel_id"], &key["name"]), (&json!(added.text("id")), &json!("test")));
    assert_eq!(
        (&key["part"], &key["state"], &key["cause"]),
        (&json!("key"), &json!("open"), &json!("upstream_rate_limited"))
    );
    assert_eq!((&key["seen_here"], &key["times"]), (&json!(true), &json!(1)));
    let instant = |field: &str| key[field].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(instant("until") - instant("since") > chrono::TimeDelta::minutes(5), "{key}");
    assert_eq!(ann.get("/api/v1/admin/channels/health").await.status, StatusCode::FORBIDDEN);
}
