//! Whatever comes in, the answer is a problem with a stable code and the request's id.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use chrono::{TimeDelta, Utc};
use insta::assert_json_snapshot;
use serde_json::json;

use crate::app::{App, Setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_limit_is_413() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let huge = json!({ "title": "x".repeat(1024 * 1024) });
    let reply = ann.post("/api/v1/sessions", huge).await;
    assert_eq!(reply.problem(), (413, "body_too_large"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_json_is_400_with_its_place_and_a_wrong_shape_422_with_its_field() {
    let app = App::start().await;
    let post = |body: &'static str| {
        let client = app.anyone().header("content-type", "application/json").header("x-request-id", "r-1");
        client.send(Method::POST, "/api/v1/auth/login", Body::from(body))
    };
    assert_json_snapshot!("malformed", post("{\"email\": \"a@b.c\",\n oops}").await.body);
    assert_json_snapshot!("wrong_shape", post("{\"email\": 7, \"password\": \"x\"}").await.body);
    assert_json_snapshot!("missing", post("{\"email\": \"a@b.c\"}").await.body);
    let form = app.anyone().header("content-type", "application/x-www-form-urlencoded");
    let reply = form.send(Method::POST, "/api/v1/auth/login", Body::from("email=x")).await;
    assert_eq!(reply.problem(), (415, "unsupported_media_type"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_route_is_404_and_a_wrong_method_405_with_what_is_allowed() {
    let app = App::start().await;
    for path in ["/api/v1/nothing", "/api", "/nothing.js"] {
        assert_eq!(app.anyone().header("accept", "text/html").get(path).await.problem(), (404, "route_not_found"));
    }
    let reply = app.anyone().delete("/api/v1/auth/login").await;
    assert_eq!(reply.problem(), (405, "method_not_allowed"));
    assert_eq!(reply.header("allow"), "POST");
    assert_eq!(app.anyone().post("/api/v1/nothing", json!({})).await.problem(), (404, "route_not_found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_token_is_401_and_says_so() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let token = app.token(ann.id, Utc::now() - TimeDelta::seconds(1));
    let reply = app.anyone().header("authorization", &format!("Bearer {token}")).get("/api/v1/me").await;
    assert_eq!(reply.problem(), (401, "token_expired"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_has_a_request_id_and_forbids_what_a_browser_might_do_with_it() {
    let app = App::start().await;
    let given = app.anyone().header("x-request-id", "my-id.1").get("/api/v1/me").await;
    assert_eq!((given.header("x-request-id"), given.body["request_id"].as_str()), ("my-id.1", Some("my-id.1")));
    assert_eq!(given.header("content-type"), "application/problem+json");
    let made = app.anyone().header("x-request-id", "not/well/formed").get("/healthz").await;
    assert_eq!(made.status, StatusCode::OK);
    assert!(made.header("x-request-id").parse::<uuid::Uuid>().is_ok());
    assert_eq!(made.header("x-content-type-options"), "nosniff");
    assert!(made.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(made.header("cache-control"), "no-store");
    assert_eq!(made.header("access-control-allow-origin"), "", "no other host may read it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_pages_of_named_hosts_may_read_answers() {
    let mut setup = Setup::default();
    setup.options.cors_origins = vec!["https://app.example.org".to_owned()];
    let app = App::start_with(setup).await;
    let ask = |origin: &'static str| app.anyone().header("origin", origin).get("/healthz");
    let named = ask("https://app.example.org").await;
    assert_eq!(named.header("access-control-allow-origin"), "https://app.example.org");
    assert_eq!(named.header("access-control-allow-credentials"), "", "cookies are not shared");
    assert_eq!(ask("https://evil.example.org").await.header("access-control-allow-origin"), "");
}
