//! OpenAI's API: `/v1/chat/completions`, `/v1/responses`, `/v1/models`, and what models do besides conversations.

mod audio;
mod chat;
mod completions;
mod dashboard;
mod edits;
mod embeddings;
mod error;
mod images;
mod kept;
mod models;
mod moderations;
mod request;
mod rerank;
mod responses;
mod told;

use axum::{
    Router,
    extract::DefaultBodyLimit,
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

/// The routes below each root of `/v1`; forms with files of up to `max_upload_bytes` are taken.
pub(crate) fn routes(max_upload_bytes: usize) -> Router<App> {
    let mut router = Router::new();
    let of_upload = || DefaultBodyLimit::max(max_upload_bytes);
    for root in ROOTS {
        for tail in ["", "/"] {
            router = router
                .route(&format!("{root}/chat/completions{tail}"), post(chat::complete))
                .route(&format!("{root}/completions{tail}"), post(completions::complete))
                .route(&format!("{root}/responses{tail}"), post(responses::create))
                .route(&format!("{root}/responses/{{id}}{tail}"), get(responses::get).delete(responses::delete))
                .route(&format!("{root}/responses/{{id}}/input_items{tail}"), get(responses::input_items))
                .route(&format!("{root}/responses/{{id}}/cancel{tail}"), post(responses::cancel))
                .route(&format!("{root}/embeddings{tail}"), post(embeddings::create))
                .route(&format!("{root}/rerank{tail}"), post(rerank::create))
                .route(&format!("{root}/moderations{tail}"), post(moderations::create))
                .route(&format!("{root}/images/generations{tail}"), post(images::generate))
                .route(&format!("{root}/images/edits{tail}"), post(edits::edit).layer(of_upload()))
                .route(&format!("{root}/audio/speech{tail}"), post(audio::speak))
                .route(&format!("{root}/audio/transcriptions{tail}"), post(audio::transcribe).layer(of_upload()))
                .route(&format!("{root}/audio/translations{tail}"), post(audio::translate).layer(of_upload()))
                .route(&format!("{root}/dashboard/billing/subscription{tail}"), get(dashboard::subscription))
                .route(&format!("{root}/dashboard/billing/usage{tail}"), get(dashboard::usage))
                .route(&format!("{root}/models{tail}"), get(served::list_models));
        }
        // Names of models contain slashes.
        router = router.route(&format!("{root}/models/{{*call}}"), get(served::get_model));
    }
    router
}
