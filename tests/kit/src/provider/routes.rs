//! Where the mock provider is asked: the paths of each dialect, the lists of models, and what it was asked.

use std::sync::Arc;

use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::asking::Asked;
use super::dialects::chat_completions::ChatCompletions;
use super::dialects::generate_content::GenerateContent;
use super::dialects::messages::{Messages, fault_of_headers};
use super::dialects::responses::Responses;
use super::script::Refusal;
use super::telling::{self, Wire};
use super::{Recorded, Shared, lock};

type Server = Arc<Shared>;

pub(super) fn routes() -> Router<Server> {
    Router::new()
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/responses", post(responses))
        .route("/v1/messages", post(messages))
        .route("/v1/messages/count_tokens", post(count_tokens))
        .route("/v1/models", get(models))
        .route("/v1beta/models", get(gemini_models))
        .route("/v1beta/models/{call}", post(generate_content))
        .route("/asked", get(asked))
}

/// One request of a dialect, whose body is JSON.
struct Incoming {
    path: String,
    headers: HeaderMap,
    body: Value,
}

impl Incoming {
    fn new(uri: &OriginalUri, headers: HeaderMap, body: &str) -> Self {
        Self { path: uri.path().to_owned(), headers, body: serde_json::from_str(body).unwrap_or_default() }
    }

    async fn answer(self, shared: &Server, wire: &dyn Wire, asked: Asked) -> Response {
        let script = shared.script_for(&asked);
        let recorded = Recorded::new(&self.path, self.body.clone(), &self.headers, &script, &asked);
        let watch = shared.record(recorded);
        telling::answer(script, (&self.body, &asked), wire, watch).await
    }
}

async fn chat_completions(
    State(shared): State<Server>,
    uri: OriginalUri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let incoming = Incoming::new(&uri, headers, &body);
    let asked = ChatCompletions.read(&incoming.body);
    incoming.answer(&shared, &ChatCompletions, asked).await
}

async fn responses(State(shared): State<Server>, uri: OriginalUri, headers: HeaderMap, body: String) -> Response {
    let incoming = Incoming::new(&uri, headers, &body);
    let asked = Responses.read(&incoming.body);
    incoming.answer(&shared, &Responses, asked).await
}

async fn messages(State(shared): State<Server>, uri: OriginalUri, headers: HeaderMap, body: String) -> Response {
    let incoming = Incoming::new(&uri, headers, &body);
    let mut asked = Messages.read(&incoming.body);
    asked.fault = fault_of_headers(&incoming.headers).or(asked.fault);
    incoming.answer(&shared, &Messages, asked).await
}

async fn count_tokens(body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    Json(json!({"input_tokens": Messages.read(&body).words.max(1)})).into_response()
}

#[derive(Deserialize)]
struct Alternative {
    alt: Option<String>,
}

async fn generate_content(
    State(shared): State<Server>,
    Path(call): Path<String>,
    Query(alternative): Query<Alternative>,
    uri: OriginalUri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let (model, verb) = call.rsplit_once(':').unwrap_or((&call, ""));
    let wire = GenerateContent {
        model: model.to_owned(),
        stream: verb == "streamGenerateContent",
        sse: alternative.alt.as_deref() == Some("sse"),
    };
    let incoming = Incoming::new(&uri, headers, &body);
    let asked = wire.read(&incoming.body);
    match verb {
        "generateContent" | "streamGenerateContent" => incoming.answer(&shared, &wire, asked).await,
        "countTokens" => Json(json!({"totalTokens": asked.words.max(1)})).into_response(),
        _ => {
            let refusal = Refusal::told(404, format!("models/{call} is not found for API version v1beta"));
            (StatusCode::NOT_FOUND, wire.refusal(&refusal)).into_response()
        }
    }
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    containing: String,
}

/// What was asked so far, oldest first; keys stay here.
async fn asked(State(shared): State<Server>, Query(wanted): Query<Wanted>) -> Response {
    let recorded = lock(&shared.recorded);
    let wanted = recorded.iter().filter(|request| request.last_message().contains(&wanted.containing));
    let requests: Vec<Value> = wanted.map(Recorded::public).collect();
    Json(json!({"received": *shared.received.borrow(), "requests": requests})).into_response()
}

const MODELS: [&str; 2] = ["mock-1", "mock-2"];

/// In the form of whom the headers belong to.
async fn models(headers: HeaderMap) -> Response {
    let openai = |id: &str| json!({"id": id, "object": "model", "created": 0, "owned_by": "mock"});
    let anthropic =
        |id: &str| json!({"id": id, "type": "model", "display_name": id, "created_at": "2026-01-01T00:00:00Z"});
    let list = if headers.contains_key("anthropic-version") {
        json!({"data": MODELS.map(anthropic), "has_more": false, "first_id": MODELS[0], "last_id": MODELS[1]})
    } else {
        json!({"object": "list", "data": MODELS.map(openai)})
    };
    Json(list).into_response()
}

async fn gemini_models() -> Response {
    let model = |id: &str| json!({"name": format!("models/{id}"), "supportedGenerationMethods": ["generateContent"]});
    Json(json!({"models": MODELS.map(model)})).into_response()
}
