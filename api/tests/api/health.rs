//! `/healthz`, `/readyz`, `/metrics`, `/openapi.json`, the page.

use axum::http::StatusCode;
use serde_json::json;

use crate::app::App;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_that_runs_is_alive_and_ready() {
    let app = App::start().await;
    assert_eq!(app.anyone().get("/healthz").await.status, StatusCode::OK);
    let ready = app.anyone().get("/readyz").await;
    assert_eq!(ready.status, StatusCode::OK);
    assert_eq!((&ready.body["postgres"], &ready.body["nats"]), (&json!(true), &json!(true)));
    for projection in ["chat_v1", "users_v1"] {
        assert!(ready.body["projections"][projection]["lag"].is_i64(), "{:?}", ready.body);
    }
    let metrics = app.anyone().get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_names_every_route_and_the_page_is_there_for_browsers() {
    let app = App::start().await;
    let document = app.anyone().get("/openapi.json").await.body;
    assert_eq!(document, serde_json::to_value(api::openapi()).unwrap());
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    insta::assert_json_snapshot!("routes", paths);
    for path in ["/", "/chat/0197", "/login"] {
        let page = app.anyone().header("accept", "text/html,*/*").get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.header("content-security-policy").contains("script-src 'self'"), "{path}");
    }
}
