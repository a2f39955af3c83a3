//! Anthropic's API: `/v1/messages`, and its form of the models.

mod error;
mod messages;
mod models;

use axum::{Router, routing::post};
pub(crate) use error::error;
pub(crate) use models::{list, model};

use crate::{served::ROOTS, state::App};

/// The routes below each root of `/v1`.
pub(crate) fn routes() -> Router<App> {
    let mut router = Router::new();
    for root in ROOTS {
        for tail in ["", "/"] {
            router = router
                .route(&format!("{root}/messages{tail}"), post(messages::create))
                .route(&format!("{root}/messages/count_tokens{tail}"), post(messages::count_tokens));
        }
    }
    router
}
