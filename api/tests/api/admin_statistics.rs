//! `/api/v1/admin/statistics`, `/api/v1/admin/statistics.csv`, `/api/v1/admin/calls…` and `/api/v1/statistics`

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    http::{Method, StatusCode, header},
};
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    app::{App, PATIENCE, User},
    sse::Sse,
};

fn asking(question: &str) -> Value {
    json!({ "model": "mock-1", "messages": [{ "role": "user", "content": question }] })
}

/// The calls that this path lists, the last to end first, once there are so many.
async fn calls(operator: &User<'_>, path: &str, count: usize) -> Vec<Value> {
    let listing = async {
        loop {
            let page = operator.get(path).await;
            assert_eq!(page.status, StatusCode::OK, "{:?}", page.body);
            let items = page.body["items"].as_array().unwrap();
            // The price of a call comes with another event.
            let settled = |call: &Value| call["outcome"] != "completed" || call["charged_nanos"].is_string();
            if items.len() >= count && items.iter().all(settled) {
                return items.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let items = tokio::time::timeout(PATIENCE, listing).await.expect("the calls are told of");
    assert_eq!(items.len(), count, "{items:?}");
    items
}

/// What differs from run to run, as what it is.
fn without_chance(call: &Value) -> Value {
    let mut call = call.clone();
    for field in
        ["id", "user_id", "api_key_id", "channel_id", "started_at", "ended_at", "duration_ms", "first_output_ms"]
    {
        if !call[field].is_null() {
            call[field] = json!(format!("[{field}]"));
        }
    }
    for one in call["tries"].as_array_mut().into_iter().flatten() {
        for field in ["channel_id", "key", "duration_ms"] {
            one[field] = json!(format!("[{field}]"));
        }
    }
    call
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamed_call_is_told_with_its_story_and_its_price() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let key = ann.api_key(&["chat"]).await;
    let mut question = asking("[[say Hello there]] [[usage 9 3]]");
    question["stream"] = json!(true);
    Sse::completion(app.bearer(&key.text("key")), &question).await.frames().await;
    let told = calls(&operator, "/api/v1/admin/calls", 1).await.remove(0);
    assert_json_snapshot!("streamed_call", without_chance(&told));
    assert_eq!((&told["user_id"], &told["api_key_id"]), (&json!(ann.id), &key.body["id"]));
    assert!(told["first_output_ms"].as_i64() <= told["duration_ms"].as_i64());
    let path = format!("/api/v1/admin/calls/{}", told["id"].as_str().unwrap());
    assert_eq!(operator.get(&path).await.body, told);
    let nowhere = format!("/api/v1/admin/calls/{}", Uuid::now_v7());
    assert_eq!(operator.get(&nowhere).await.problem(), (404, "call_not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_was_refused_or_was_asked_on_the_page_is_told_too() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let ask = async |body: Value| ann.post("/v1/chat/completions", body).await.status.as_u16();
    assert_eq!(ask(asking("[[error 400 bad_tool]]")).await, 400);
    assert_eq!(ask(json!({ "model": "my secret plan", "messages": [{ "role": "user", "content": "Hi" }] })).await, 404);
    let balance = ann.nanos("available_nanos").await;
    operator.move_money("adjustments", ann.id, &format!("-{}", balance - 1)).await;
    assert_eq!(ask(asking("too dear")).await, 429);
    let told = calls(&operator, "/api/v1/admin/calls", 3).await;
    let brief = |call: &Value| json!([call["outcome"], call["code"], call["model"], call["tries"][0]["outcome"]]);
    assert_eq!(
        told.iter().map(brief).collect::<Vec<_>>(),
        [
            json!(["refused", "insufficient_credit", "mock-1", null]),
            json!(["refused", "unknown_model", null, null]),
            json!(["failed", "upstream_refused", "mock-1", "upstream_refused"]),
        ]
    );
    assert!(!format!("{told:?}").contains("secret plan"), "a name that is no model's is anybody's text");
    operator.move_money("top-ups", ann.id, "1000000000").await;
    let session = ann.session().await;
    let sent = ann.say(&session, "[[say Hello]]").await;
    ann.wait_for_end(&sent.text("run_id")).await;
    let told = calls(&operator, "/api/v1/admin/calls?outcome=completed", 1).await.remove(0);
    assert_eq!((&told["surface"], &told["session_id"]), (&json!("conversation"), &json!(session)));
    assert_eq!((&told["run_id"], &told["id"]), (&sent.body["run_id"], &sent.body["run_id"]));
    assert_eq!(calls(&operator, "/api/v1/admin/calls?code=unknown_model", 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_add_calls_up_for_operators_and_for_their_owners_without_the_costs_of_the_house() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    for _ in 0..2 {
        let answer = ann.post("/v1/chat/completions", asking("[[say Hi]] [[usage 100 10]]")).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    }
    ann.post("/v1/chat/completions", asking("[[error 400]]")).await;
    calls(&operator, "/api/v1/admin/calls", 3).await;
    let path = format!("/api/v1/admin/statistics?group_by=user&user={}", ann.id);
    let statistics = operator.get(&path).await;
    let mut row = statistics.body["rows"][0].clone();
    assert_eq!((&row["group"], &row["name"]), (&json!(ann.id), &json!("ann")));
    assert_eq!(row["duration"]["p50_ms"].as_u64().map(|_| ()), Some(()), "{row}");
    row["group"] = json!("[group]");
    row["duration"] = json!("[duration]");
    assert_json_snapshot!("row", row);
    assert_eq!(statistics.body["total"]["requests"], 3);
    let own = ann.get("/api/v1/statistics").await;
    assert_eq!((&own.body["group_by"], &own.body["rows"][0]["group"]), (&json!("model"), &json!("mock-1")));
    assert_eq!(own.body["total"]["charged_nanos"], statistics.body["total"]["charged_nanos"]);
    assert!(!own.body.to_string().contains("cost"), "{}", own.body);
    let other = app.user("bob").await;
    assert_eq!(other.get(&format!("/api/v1/statistics?user={}", ann.id)).await.body["total"]["requests"], 0);
    assert_eq!(other.get("/api/v1/statistics?group_by=channel").await.problem(), (422, "invalid_group"));
    for path in ["statistics", "statistics.csv", "calls"] {
        assert_eq!(ann.get(&format!("/api/v1/admin/{path}")).await.problem(), (403, "forbidden"), "{path}");
    }
    let wrong = operator.get("/api/v1/admin/statistics?from=2026-01-01&to=2026-12-01&group_by=hour").await;
    assert_eq!(wrong.problem(), (422, "invalid_period"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_are_a_file_for_spreadsheets() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    ann.post("/v1/chat/completions", asking("[[say Hi]] [[usage 100 10]]")).await;
    calls(&operator, "/api/v1/admin/calls", 1).await;
    let path = "/api/v1/admin/statistics.csv?group_by=model";
    let file = operator.client().response(Method::GET, path, Body::empty()).await;
    assert_eq!(file.status(), StatusCode::OK);
    let header = |name| file.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header(header::CONTENT_TYPE), "text/csv; charset=utf-8");
    assert_eq!(header(header::CONTENT_DISPOSITION), "attachment; filename=\"statistics-by-model.csv\"");
    let text = String::from_utf8(to_bytes(file.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    let lines: Vec<&str> = text.trim_start_matches('\u{FEFF}').split("\r\n").collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[1].starts_with("mock-1,,1,1,0,0,0,,1,0,0,100,"), "{text}");
}
