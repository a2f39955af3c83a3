//! Who may call the served APIs, by which credentials, and the models in the form of each API.

use axum::http::{Method, StatusCode};
use insta::assert_json_snapshot;
use serde_json::json;

use crate::app::{App, Reply};

/// What is named in the list, whichever form it has.
fn names(reply: &Reply) -> Vec<&str> {
    let list = reply.body["data"].as_array().or_else(|| reply.body["models"].as_array()).unwrap();
    list.iter().map(|model| model["id"].as_str().or_else(|| model["baseModelId"].as_str()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_has_the_form_of_the_api_whose_credentials_are_used() {
    let app = App::start().await;
    let key = app.user("ann").await.api_key(&["models"]).await.text("key");
    let openai = app.bearer(&key).get("/v1/models").await;
    assert_eq!((&openai.body["object"], names(&openai)), (&json!("list"), vec!["mock-1", "mock-2"]));

    let anthropic = app.anyone().header("x-api-key", &key).get("/v1/models").await;
    assert_json_snapshot!("anthropic", anthropic.body, { ".data[].created_at" => "[time]" });
    assert!(!anthropic.header("anthropic-ratelimit-requests-remaining").is_empty());
    assert_eq!(anthropic.header("request-id"), anthropic.header("x-request-id"));
    let version = app.bearer(&key).header("anthropic-version", "2023-06-01").get("/v1/models").await;
    assert_eq!(version.body, anthropic.body);

    let gemini = app.anyone().header("x-goog-api-key", &key).get("/v1beta/models").await;
    assert_json_snapshot!("gemini", gemini.body);
    for path in
        [format!("/v1beta/models?key={key}"), format!("/v1/models?key={key}"), format!("/v1/v1beta/models?key={key}")]
    {
        assert_eq!(app.anyone().get(&path).await.body, gemini.body);
    }
    for path in ["/v1beta/models/", "/v1beta/v1beta/models"] {
        assert_eq!(app.bearer(&key).get(path).await.body, gemini.body, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_model_has_the_same_form() {
    let app = App::start().await;
    let key = app.user("ann").await.api_key(&["models"]).await.text("key");
    assert_eq!(app.bearer(&key).get("/v1/models/mock-1").await.body["object"], "model");
    assert_eq!(app.anyone().header("x-api-key", &key).get("/v1/models/mock-1/").await.body["type"], "model");
    let gemini = app.anyone().header("x-goog-api-key", &key).get("/v1beta/models/mock-1").await;
    assert_eq!(gemini.body["name"], "models/mock-1");
    let missing = app.anyone().header("x-goog-api-key", &key).get("/v1beta/models/unheard-of").await;
    assert_eq!((missing.status.as_u16(), &missing.body["error"]["status"]), (404, &json!("NOT_FOUND")));
    let missing = app.anyone().header("x-api-key", &key).get("/v1/models/unheard-of").await;
    assert_eq!((missing.status.as_u16(), &missing.body["error"]["type"]), (404, &json!("not_found_error")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_of_anthropic_and_google_have_pages() {
    let app = App::start().await;
    let key = app.user("ann").await.api_key(&["models"]).await.text("key");
    let anthropic = async |query: &str| app.anyone().header("x-api-key", &key).get(&format!("/v1/models{query}")).await;
    let first = anthropic("?limit=1").await;
    assert_eq!(
        (names(&first), &first.body["has_more"], &first.body["last_id"]),
        (vec!["mock-1"], &json!(true), &json!("mock-1"))
    );
    let second = anthropic("?limit=1&after_id=mock-1").await;
    assert_eq!((names(&second), &second.body["has_more"]), (vec!["mock-2"], &json!(false)));
    assert_eq!(names(&anthropic("?limit=1&before_id=mock-2").await), ["mock-1"]);
    assert_eq!(
        anthropic("?after_id=mock-2").await.body,
        json!({ "data": [], "has_more": false, "first_id": null, "last_id": null })
    );
    for (query, param) in [("?limit=0", "limit"), ("?limit=1001", "limit"), ("?after_id=nobody", "after_id")] {
        let refused = anthropic(query).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(refused.body["error"]["message"].as_str().unwrap().contains(param), "{:?}", refused.body);
    }

    let gemini =
        async |query: &str| app.anyone().header("x-goog-api-key", &key).get(&format!("/v1beta/models{query}")).await;
    let first = gemini("?pageSize=1").await;
    assert_eq!((names(&first), &first.body["nextPageToken"]), (vec!["mock-1"], &json!("mock-1")));
    let second = gemini("?pageSize=1&pageToken=mock-1").await;
    assert_eq!((names(&second), second.body.get("nextPageToken")), (vec!["mock-2"], None));
    assert_eq!(gemini("?pageSize=many").await.body["error"]["status"], "INVALID_ARGUMENT");
    assert_eq!(
        gemini("?pageToken=nobody").await.body["error"]["details"][2]["fieldViolations"][0]["field"],
        "pageToken"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_unknown_is_told_so_in_the_form_of_the_api() {
    let app = App::start().await;
    let openai = app.anyone().get("/v1/models").await;
    assert_eq!((openai.status.as_u16(), &openai.body["error"]["code"]), (401, &json!("invalid_api_key")));
    let anthropic = app.anyone().header("x-api-key", "sk-nonsense").post("/v1/messages", json!({})).await;
    assert_eq!((anthropic.status.as_u16(), &anthropic.body["type"]), (401, &json!("error")));
    assert_eq!(anthropic.body["error"]["type"], "authentication_error");
    assert_eq!(anthropic.body["request_id"], anthropic.header("request-id"));
    let gemini = app.anyone().get("/v1beta/models?key=sk-nonsense").await;
    assert_eq!((gemini.status.as_u16(), &gemini.body["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    assert_eq!(gemini.body["error"]["code"], 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_exist_is_told_in_the_form_of_the_api() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    for path in ["/v1beta", "/v1beta/nothing", "/v1beta/models/mock-1:embedContent", "/v1beta/models/mock-1"] {
        let reply = ann.post(path, json!({})).await;
        assert_eq!(reply.body["error"]["code"], reply.status.as_u16(), "{path}: {:?}", reply.body);
        assert_eq!((reply.status.as_u16(), &reply.body["error"]["status"]), (404, &json!("NOT_FOUND")), "{path}");
    }
    let reply = ann.post("/v1/messages/batches", json!({})).await;
    assert_eq!((reply.status.as_u16(), &reply.body["error"]["type"]), (404, &json!("not_found_error")));
    let reply = ann.get("/v1/messages").await;
    assert_eq!((reply.status.as_u16(), &reply.body["error"]["type"]), (405, &json!("invalid_request_error")));
    let reply = ann.client().send(Method::DELETE, "/v1beta/models", axum::body::Body::empty()).await;
    assert_eq!((reply.status.as_u16(), &reply.body["error"]["status"]), (405, &json!("UNIMPLEMENTED")));
}

/// Collects what is logged on this thread, spans with their fields included.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_in_an_address_or_a_header_is_in_no_log() {
    let app = App::start().await;
    let key = app.user("ann").await.api_key(&["models"]).await.text("key");
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    assert_eq!(app.anyone().get(&format!("/v1beta/models?key={key}")).await.status, StatusCode::OK);
    assert_eq!(app.anyone().get(&format!("/v1beta/nothing?key={key}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.anyone().header("x-goog-api-key", &key).get("/v1/models").await.status, StatusCode::OK);
    drop(guard);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("answered"), "requests are logged: {text}");
    assert!(!text.contains(&key) && !text.contains("key=sk-"), "{text}");
}
