//! Thin HTTP: parse, authorise, send a command or read a row, answer.
//!
//! Promise: no rule lives here. A write becomes a command and is answered by what it came to; a read is a row of a read
//! model; every error is a problem with a stable code. docs/API.md is the contract, `/openapi.json` its exact form.
//!
//! This page mounts every route; each capability's own `routes()` lists them.

mod anthropic;
mod arriving;
mod auth;
mod billing;
mod chat;
mod commands;
mod extract;
mod front;
mod gemini;
mod health;
mod holder;
mod idempotency;
mod lately;
mod listen;
mod observe;
mod openai;
mod openapi;
mod operations;
mod page;
mod problem;
mod read;
mod relay;
mod request_id;
mod served;
mod state;
mod tally;
mod users;

use std::sync::Arc;

use axum::{http::HeaderValue, middleware};
pub use front::Api;
pub use listen::serve;
use observe::Around;
pub use state::{ApiDeps, ApiLimits, ApiOptions};
use tower_http::cors::CorsLayer;
pub use users::{PasswordCost, Quota, hash_password};
use utoipa_axum::router::OpenApiRouter;

/// Every route of the API with its description.
fn api() -> OpenApiRouter<state::App> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(health::routes())
        .merge(users::routes())
        .merge(chat::routes())
        .merge(billing::routes())
        .merge(relay::routes())
        .merge(operations::routes())
        .merge(commands::routes())
}

/// The OpenAPI document, as served at `/openapi.json`.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    api().into_openapi()
}

/// The whole HTTP service: API, page, and what is around them. Call it where tasks can be started: revocations of keys are
/// heard of until `deps.shutdown`.
pub fn service(deps: ApiDeps) -> Api {
    let (options, nats, shutdown) = (deps.options.clone(), deps.nats.clone(), deps.shutdown.clone());
    let app = state::App::new(deps);
    tokio::spawn(app.keys.clone().follow(nats, shutdown));
    let (routes, document) = api().split_for_parts();
    let routes = routes
        .merge(openapi::route(&document))
        .merge(served::routes(app.clone(), options.limits.max_completion_body_bytes, options.limits.max_upload_bytes))
        .method_not_allowed_fallback(observe::method_not_allowed)
        .fallback_service(page::fallback());
    let cors = cors(&options.cors_origins);
    let is_shared = cors.is_some();
    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    let around = Around::new(options.limits);
    let routes = routes.layer(middleware::from_fn_with_state(Arc::clone(&around), observe::observe));
    Api::new(app.clone(), around, routes.with_state(app), is_shared)
}

/// Lets the pages of `origins` read answers; without any there is no layer. Cookies are never shared with them.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    use axum::http::{Method, header};
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let own = ["idempotency-key", "last-event-id", "x-after", "x-api-key", "x-goog-api-key", "x-request-id"]
        .map(axum::http::HeaderName::from_static);
    let told = [
        "anthropic-ratelimit-requests-limit",
        "anthropic-ratelimit-requests-remaining",
        "anthropic-ratelimit-requests-reset",
        "anthropic-ratelimit-tokens-limit",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
        "request-id",
        "x-oblivious-channel",
        "x-oblivious-model",
        "x-oblivious-tries",
        "x-ratelimit-limit-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens",
        "x-should-retry",
    ];
    let layer = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE].into_iter().chain(own).collect::<Vec<_>>())
        .expose_headers(
            [commands::X_EVENT, commands::X_STALE, request_id::X_REQUEST_ID, header::LOCATION, header::RETRY_AFTER]
                .into_iter()
                .chain(told.map(axum::http::HeaderName::from_static))
                .collect::<Vec<_>>(),
        );
    Some(layer)
}
