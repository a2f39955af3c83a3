//! Google's Gemini API: `/v1beta/models/…`, and its form of the models.

mod error;
mod generate;
mod models;

use axum::{
    Router,
    routing::{get, post},
};
pub(crate) use error::error;
pub(crate) use models::{list, model};

use crate::{served, state::App};

/// The routes. Below `/v1` stand those of Google's stable version, as far as nobody else has them.
pub(crate) fn routes() -> Router<App> {
    let mut router = Router::new();
    for root in ["/v1beta", "/v1beta/v1beta", "/v1/v1beta"] {
        for tail in ["", "/"] {
            router = router.route(&format!("{root}/models{tail}"), get(served::list_models));
        }
        router = router.route(&format!("{root}/models/{{*call}}"), get(served::get_model).post(generate::call));
    }
    for root in served::ROOTS {
        router = router.route(&format!("{root}/models/{{*call}}"), post(generate::call));
    }
    router
}
