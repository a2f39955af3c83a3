//! A reader of event streams.

use axum::{
    body::{Body, BodyDataStream},
    http::{Method, StatusCode, header},
    response::Response,
};
use futures::StreamExt as _;
use serde_json::Value;

use crate::app::{Client, PATIENCE};

/// One event; comments have no name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
    /// The data as it came: `[DONE]` is no JSON.
    pub(crate) raw: String,
    pub(crate) comment: String,
}

/// An open stream.
pub(crate) struct Sse {
    body: BodyDataStream,
    buffer: String,
    /// The text of all deltas, as a reader that obeys `reset` has it.
    pub(crate) text: String,
    pub(crate) last_id: String,
}

impl Sse {
    pub(crate) async fn open(client: Client<'_>, path: &str) -> Self {
        Self::of(client.response(Method::GET, path, Body::empty()).await)
    }

    /// A streamed answer of `/v1/chat/completions`.
    pub(crate) async fn completion(client: Client<'_>, body: &Value) -> Self {
        Self::post(client, "/v1/chat/completions", body).await
    }

    /// A streamed answer of a served API.
    pub(crate) async fn post(client: Client<'_>, path: &str, body: &Value) -> Self {
        let client = client.header("content-type", "application/json");
        Self::of(client.response(Method::POST, path, Body::from(body.to_string())).await)
    }

    fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers().contains_key("x-request-id"));
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let body = response.into_body().into_data_stream();
        Self { body, buffer: String::new(), text: String::new(), last_id: String::new() }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("the stream goes on")
    }

    /// The next event with one of these names.
    pub(crate) async fn next_of(&mut self, names: &[&str]) -> Option<Event> {
        loop {
            let event = self.next().await?;
            if names.contains(&event.name.as_str()) {
                return Some(event);
            }
        }
    }

    /// Reads until a `done`, which it returns.
    pub(crate) async fn until_done(&mut self) -> Event {
        self.next_of(&["done"]).await.expect("done comes before the end")
    }

    /// Every frame with data until the server ends the stream.
    pub(crate) async fn frames(&mut self) -> Vec<Event> {
        let mut frames = vec![];
        while let Some(event) = self.next().await {
            if event.comment.is_empty() {
                frames.push(event);
            }
        }
        frames
    }

    /// Reads until the server ends the stream.
    pub(crate) async fn until_end(&mut self) {
        while self.next().await.is_some() {}
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                let event = parse(&block);
                self.apply(&event);
                return Some(event);
            }
            let chunk = self.body.next().await?.expect("the stream does not break");
            self.buffer.push_str(std::str::from_utf8(&chunk).expect("no character is split"));
        }
    }

    fn apply(&mut self, event: &Event) {
        if !event.id.is_empty() {
            self.last_id.clone_from(&event.id);
        }
        match event.name.as_str() {
            "reset" => self.text.clear(),
            "delta" => {
                let have = self.text.chars().count() as u64;
                assert_eq!(event.data["offset"].as_u64(), Some(have), "exactly what is missing: {event:?}");
                self.text.push_str(event.data["text"].as_str().unwrap());
                let length = self.text.chars().count();
                assert!(
                    event.id.ends_with(&format!(":{length}")),
                    "the id names the length after the frame: {event:?}"
                );
            }
            _ => {}
        }
    }
}

fn parse(block: &str) -> Event {
    let field = |name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    let raw = field("data");
    Event {
        name: field("event"),
        id: field("id"),
        data: serde_json::from_str(&raw).unwrap_or_default(),
        raw,
        comment: field(""),
    }
}
