//! Calls are answered in front of the router, except where pages on other hosts may call: then by the router. Both ways
//! are to be one to whoever calls.

use api::{Api, ApiOptions};
use axum::{
    body::Body,
    http::{Method, Request},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::app::App;

const MAX_BODY: usize = 4096;

/// Two nodes that differ in nothing else.
fn ways(app: &App) -> [Api; 2] {
    let mut options = ApiOptions::default();
    options.limits.max_completion_body_bytes = MAX_BODY;
    let shared = ApiOptions { cors_origins: vec!["https://elsewhere.example".to_owned()], ..options.clone() };
    [app.node(options), app.node(shared)]
}

/// The answer without what no two answers have in common, and without what only pages on other hosts are told.
async fn answer(node: &Api, method: &Method, path: &str, key: Option<&str>, body: &str) -> (u16, Vec<String>, Value) {
    let mut request = Request::builder().method(method).uri(path).header("x-request-id", "one-of-two");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let request = request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap();
    let response = node.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let told = |name: &str| match name {
        "vary" => false,
        // What is left comes back with time.
        _ => !["access-control-", "-reset", "-remaining"].iter().any(|of| name.contains(of)),
    };
    let headers = response.headers().iter().filter(|(name, _)| told(name.as_str()));
    let mut headers: Vec<String> =
        headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    headers.retain(|header| !header.starts_with("content-length"));
    headers.sort();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let mut body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    for unique in ["id", "created"] {
        if let Some(map) = body.as_object_mut() {
            map.remove(unique);
        }
    }
    (status, headers, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_alike_in_front_of_the_router_and_behind_it() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let key = ann.api_key(&["chat"]).await.text("key");
    let restricted = ann.api_key(&["billing"]).await.text("key");
    let [front, behind] = ways(&app);
    let messages = json!([{ "role": "user", "content": "hi" }]);
    let chat = json!({ "model": "mock-1", "messages": messages }).to_string();
    let message = json!({ "model": "mock-1", "messages": messages, "max_tokens": 9 }).to_string();
    let (unknown, large) = (chat.replace("mock-1", "nobody"), chat.replace("hi", &"x".repeat(MAX_BODY)));
    let cases = [
        (200, "/v1/chat/completions", Some(&key), chat.as_str()),
        (200, "/v1/v1/chat/completions/", Some(&key), &chat),
        (200, "/v1/messages", Some(&key), &message),
        (200, "/v1/messages/count_tokens", Some(&key), &message),
        (400, "/v1/chat/completions", Some(&key), ""),
        (400, "/v1/messages", Some(&key), "{"),
        (400, "/v1/responses", Some(&key), "{}"),
        (401, "/v1/chat/completions", None, &chat),
        (401, "/v1/messages", Some(&"sk-obl-nothing".to_owned()), &message),
        (403, "/v1/embeddings", Some(&restricted), "{}"),
        (404, "/v1/chat/completions", Some(&key), &unknown),
        (413, "/v1/chat/completions", Some(&key), &large),
    ];
    for (status, path, key, body) in cases {
        let key = key.map(String::as_str);
        let first = answer(&front, &Method::POST, path, key, body).await;
        assert_eq!(first.0, status, "{path}: {}", first.2);
        assert_eq!(first, answer(&behind, &Method::POST, path, key, body).await, "{path}");
    }
    for method in [Method::GET, Method::DELETE] {
        let first = answer(&front, &method, "/v1/chat/completions", Some(&key), "").await;
        assert_eq!(first.0, 405);
        assert!(first.1.contains(&"allow: POST".to_owned()), "{:?}", first.1);
        assert_eq!(first, answer(&behind, &method, "/v1/chat/completions", Some(&key), "").await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_connects_is_answered_and_may_ask_again_until_the_server_goes_down() {
    let app = App::start().await;
    let key = app.user("ann").await.api_key(&["chat"]).await.text("key");
    let [front, _] = ways(&app);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn(api::serve(listener, front, cancel.clone()));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let body = json!({ "model": "mock-1", "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    for _ in 0..2 {
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        assert!(ask(&mut stream, &format!("{head}{body}")).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    cancel.cancel();
    // Nothing is under way, so nothing is waited for, and nobody else is let in.
    tokio::time::timeout(crate::app::PATIENCE, serving).await.expect("it ends").unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// Sends a request, and reads the answer as far as its length says.
async fn ask(stream: &mut tokio::net::TcpStream, request: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = String::new();
    loop {
        let mut piece = [0; 1024];
        let bytes = stream.read(&mut piece).await.unwrap();
        assert!(bytes > 0, "the connection was closed: {read}");
        read.push_str(std::str::from_utf8(&piece[..bytes]).unwrap());
        if let Some((head, body)) = read.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse::<usize>().unwrap() {
                return read;
            }
        }
    }
}
