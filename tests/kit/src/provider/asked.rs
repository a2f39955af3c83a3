//! What the mock provider remembers of its requests, for tests in its process and, as JSON, for those outside.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Script, wire};

/// How a request went, seen from the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer is being sent.
    InFlight,
    /// Everything that the script holds was taken by the client.
    Finished,
    /// The client closed the connection before the script's end.
    Aborted,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The body; `null` if it was not JSON.
    pub body: Value,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The names of all headers, sorted: what the caller lets through is seen without its values.
    pub headers: Vec<String>,
    /// Whether it was answered with an error status instead of an answer.
    pub refused: bool,
    /// The input and output tokens that the answer reports at its end, where they were given as numbers.
    pub reported: Option<(u64, u64)>,
    /// How it went so far.
    pub outcome: Outcome,
}

impl Recorded {
    pub(super) fn new(body: Value, headers: &HeaderMap, script: &Script) -> Self {
        let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        let (refused, reported) = (script.refusal.is_some(), script.reported());
        Self { body, authorization, headers: names, refused, reported, outcome: Outcome::InFlight }
    }

    /// The text of the last message by the user.
    #[must_use]
    pub fn last_message(&self) -> &str {
        wire::last_user_message(&self.body)
    }

    /// For `GET /asked`: everything but the key, of which the end is enough to tell two apart.
    pub(super) fn public(&self) -> Value {
        let key_end = self.authorization.as_deref().map(|key| &key[key.len().saturating_sub(4)..]);
        json!({"body": self.body, "key_end": key_end, "headers": self.headers, "outcome": self.outcome})
    }
}
