//! OpenAI's API: `/v1/chat/completions`, `/v1/responses`, `/v1/models`.

mod chat;
mod completions;
mod dashboard;
mod error;
mod kept;
mod models;
mod request;
mod responses;
mod told;

use axum::{
    Router,
    routing::{get, post},
};
pub(crate) use error::error;
pub(crate) use kept::Kept;
pub(crate) use models::{list, model};
pub(crate) use told::Told;

use crate::{
    served::{self, ROOTS},
    state::App,
};

/// The routes below each root of `/v1`.
pub(crate) fn routes() -> Router<App> {
    let mut router = Router::new();
    for root in ROOTS {
        for tail in ["", "/"] {
            router = router
                .route(&format!("{root}/chat/completions{tail}"), post(chat::complete))
                .route(&format!("{root}/completions{tail}"), post(completions::complete))
                .route(&format!("{root}/responses{tail}"), post(responses::create))
                .route(&format!("{root}/responses/{{id}}{tail}"), get(responses::get).delete(responses::delete))
                .route(&format!("{root}/responses/{{id}}/input_items{tail}"), get(responses::input_items))
                .route(&format!("{root}/responses/{{id}}/cancel{tail}"), post(responses::cancel))
                .route(&format!("{root}/dashboard/billing/subscription{tail}"), get(dashboard::subscription))
                .route(&format!("{root}/dashboard/billing/usage{tail}"), get(dashboard::usage))
                .route(&format!("{root}/models{tail}"), get(served::list_models));
        }
        // Names of models contain slashes.
        router = router.route(&format!("{root}/models/{{*call}}"), get(served::get_model));
    }
    router
}
