//! `/api/v1/admin/events` and `/api/v1/admin/projections`.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::app::App;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_looked_through_with_its_seals_closed() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    operator.move_money("grants", ann.id, "5").await;
    let of_wallet = format!("/api/v1/admin/events?aggregate_type=wallet&aggregate_id={}", ann.id);
    let page = operator.get(&of_wallet).await;
    let newest = &page.body["items"][0];
    assert_eq!(newest["payload"]["granted"]["note"], json!({ "$sealed": { "subject": ann.id } }));
    assert_json_snapshot!("granted", newest, {
        ".position" => "[position]", ".aggregate_id" => "[id]", ".actor" => "[actor]", ".command_id" => "[id]",
        ".recorded_at" => "[time]", ".payload.granted.reference" => "[id]", ".payload.granted.at" => "[time]",
        ".payload.granted.note" => "[sealed]", ".payload.granted.source.operator.by" => "[id]",
    });
    assert_eq!(page.body["items"].as_array().unwrap().len(), 2, "the gift, too");

    let all = operator.get("/api/v1/admin/events?limit=100").await;
    let text = all.body.to_string();
    assert!(!text.contains("ann@example.org") && !text.contains("nonce"), "{text}");
    let first = operator.get("/api/v1/admin/events?limit=2").await;
    let cursor = first.text("next_cursor");
    let by_cursor = operator.get(&format!("/api/v1/admin/events?limit=2&cursor={cursor}")).await;
    let by_position = operator.get(&format!("/api/v1/admin/events?limit=2&before={cursor}")).await;
    assert_eq!(by_cursor.body, by_position.body);
    assert_eq!(by_cursor.body["items"][0], all.body["items"][2]);
    let registered = operator.get("/api/v1/admin/events?event_type=user.registered&aggregate_id=").await;
    assert_eq!(registered.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(operator.get("/api/v1/admin/events?cursor=x").await.problem(), (400, "invalid_cursor"));
    assert_eq!(operator.get("/api/v1/admin/events?before=x").await.problem(), (400, "invalid_query"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_how_far_every_read_model_is() {
    let app = App::start().await;
    let operator = app.admin("olga").await;
    let state = operator.get("/api/v1/admin/projections").await;
    let items = state.body["items"].as_array().unwrap();
    let names: Vec<&str> = items.iter().map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["billing_v1", "chat_v1", "relay_v1", "statistics_v1", "users_v1"]);
    assert!(state.body["last_position"].as_i64().unwrap() > 0);
    for item in items {
        assert!(item["position"].is_i64() && item["lag"].is_i64(), "{item}");
        assert_eq!((&item["parked"], &item["last_error"]), (&json!(0), &Value::Null), "{item}");
    }
}
