//! What the mock provider remembers of its requests, for tests in its process and, as JSON, for those outside.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use serde::Serialize;
use serde_json::{Value, json};

use super::Script;
use super::asking::Asked;

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
    /// Where it was asked, without the query.
    pub path: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The last characters of the key, in whichever header it came.
    key_end: Option<String>,
    /// The text of the last message by the user.
    prompt: String,
    /// What the real provider would have said against it.
    fault: bool,
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
    pub(super) fn new(path: &str, body: Value, headers: &HeaderMap, script: &Script, asked: &Asked) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let authorization = text(AUTHORIZATION.as_str());
        let key = authorization.clone().or_else(|| text("x-api-key")).or_else(|| text("x-goog-api-key"));
        let mut names: Vec<String> = headers.keys().map(ToString::to_string).collect();
        names.sort_unstable();
        Self {
            body,
            path: path.to_owned(),
            authorization,
            key_end: key.map(|key| key[key.len().saturating_sub(4)..].to_owned()),
            prompt: asked.prompt.clone(),
            fault: asked.fault.is_some(),
            headers: names,
            refused: script.refusal.is_some() || asked.fault.is_some(),
            reported: script.reported(),
            outcome: Outcome::InFlight,
        }
    }

    /// The text of the last message by the user.
    #[must_use]
    pub fn last_message(&self) -> &str {
        &self.prompt
    }

    /// For `GET /asked`: everything but the key, of which the end is enough to tell two apart.
    pub(super) fn public(&self) -> Value {
        json!({
            "body": self.body, "path": self.path, "key_end": self.key_end, "headers": self.headers,
            "fault": self.fault, "outcome": self.outcome,
        })
    }
}
