//! The OpenAI-compatible API under `/v1`: what OpenAI's own SDKs can call instead of OpenAI.
//!
//! Promise: a call is paid for before it is made and settled by what it consumed, whoever goes away in between; every
//! answer of these addresses, also to what does not exist, is in OpenAI's form. A trailing slash and a doubled `/v1`,
//! which some clients add, change nothing.

mod call;
mod chat;
mod entrance;
mod error;
mod frames;
mod models;
mod request;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
pub(crate) use call::Calls;
pub(crate) use entrance::ApiRate;
pub(crate) use error::{render, speaks};

use crate::state::App;

/// The routes; bodies of up to `max_body_bytes` are taken.
pub(crate) fn routes(app: App, max_body_bytes: usize) -> Router<App> {
    let mut router = Router::new();
    for root in ["/v1", "/v1/v1"] {
        for tail in ["", "/"] {
            router = router
                .route(&format!("{root}/chat/completions{tail}"), post(chat::complete))
                .route(&format!("{root}/models{tail}"), get(models::list));
        }
        // Names of models contain slashes.
        router = router.route(&format!("{root}/models/{{*id}}"), get(models::get));
    }
    router
        .layer(DefaultBodyLimit::max(max_body_bytes))
        .route_layer(middleware::from_fn_with_state(app, entrance::enter))
}
