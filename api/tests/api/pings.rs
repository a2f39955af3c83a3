//! What every served stream has in common on the wire: it says that it lives before its first event, is whole event by
//! event, has no carriage returns, and is compressed for nobody.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
    response::Response,
};
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::app::{App, PATIENCE};

/// Longer than an answer is waited for in silence.
const QUESTION: &str = "[[slow 11000]] [[say 你好 👋 there]] [[packets 3]]";

/// Each streamed address with its ping, and what ends it.
fn streams() -> [(&'static str, Value, &'static str, &'static str); 6] {
    let messages = json!([{ "role": "user", "content": QUESTION }]);
    let contents = json!({ "contents": [{ "parts": [{ "text": QUESTION }] }] });
    [
        (
            "/v1/chat/completions",
            json!({ "model": "mock-1", "messages": messages, "stream": true }),
            ": ping\n\n",
            "data: [DONE]\n\n",
        ),
        (
            "/v1/completions",
            json!({ "model": "mock-1", "prompt": QUESTION, "max_tokens": 99, "stream": true }),
            ": ping\n\n",
            "data: [DONE]\n\n",
        ),
        (
            "/v1/responses",
            json!({ "model": "mock-1", "input": QUESTION, "stream": true, "store": false }),
            ": ping\n\n",
            "}\n\n",
        ),
        (
            "/v1/messages",
            json!({ "model": "mock-1", "messages": messages, "max_tokens": 99, "stream": true }),
            "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
        // Google's own SDK for Python takes a comment for an answer.
        ("/v1beta/models/mock-1:streamGenerateContent?alt=sse", contents.clone(), "\n", "}\n\n"),
        ("/v1beta/models/mock-1:streamGenerateContent", contents, "\n", "]"),
    ]
}

/// The pieces in which a body comes.
async fn pieces(response: Response) -> Vec<String> {
    let mut body = response.into_body().into_data_stream();
    let mut pieces = vec![];
    while let Some(piece) = tokio::time::timeout(PATIENCE, body.next()).await.expect("the stream goes on") {
        pieces.push(String::from_utf8(piece.unwrap().to_vec()).expect("no character is split"));
    }
    pieces
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_stream_lives_before_its_first_event_and_comes_whole_event_by_event() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let one = async |(path, body, ping, end): (&str, Value, &str, &str)| {
        let client =
            ann.client().header("accept-encoding", "gzip, br, zstd").header("content-type", "application/json");
        let response = client.response(Method::POST, path, Body::from(body.to_string())).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let is_array = end == "]";
        let kind = if is_array { "application/json" } else { "text/event-stream" };
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_TYPE], kind, "{path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache", "{path}");
        assert_eq!(headers["x-accel-buffering"], "no", "{path}");
        assert!(!headers.contains_key(header::CONTENT_ENCODING) && headers.contains_key("x-request-id"), "{path}");
        let pieces = pieces(response).await;
        assert_eq!(pieces[0], ping, "{path}: {pieces:?}");
        assert!(pieces.last().unwrap().ends_with(end), "{path}: {pieces:?}");
        assert!(pieces.iter().all(|piece| !piece.contains('\r')), "{path}: {pieces:?}");
        assert!(is_array || pieces.iter().all(|piece| piece.ends_with('\n')), "{path}: {pieces:?}");
        let text = pieces.concat();
        assert!(['你', '好', '👋'].iter().all(|character| text.contains(*character)), "{path}: {text}");
        assert_eq!(text.matches("[DONE]").count(), usize::from(end.contains("DONE")), "{path}: {text}");
        if is_array {
            assert!(serde_json::from_str::<Vec<Value>>(&text).is_ok(), "{text}");
        }
    };
    futures::future::join_all(streams().map(one)).await;
    ann.wait_until_settled().await;
}
