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
    extract::{DefaultBodyLimit, FromRef as _},
    routing::{get, post},
};
pub(crate) use error::error;
use kept::Keeping;
pub(crate) use kept::Kept;
pub(crate) use models::{list, model};
pub(crate) use told::Told;

use crate::{
    served::{self, Document, ROOTS},
    state::App,
};

/// What is asked by one document.
pub(crate) const DOCUMENTS: [Document; 8] = [
    Document::new("/chat/completions", |_, incoming| Box::pin(chat::complete(incoming))),
    Document::new("/responses", |app, incoming| Box::pin(responses::create(Keeping::from_ref(app), incoming))),
    Document::new("/embeddings", |_, incoming| Box::pin(embeddings::create(incoming))),
    Document::new("/completions", |_, incoming| Box::pin(completions::complete(incoming))),
    Document::new("/rerank", |_, incoming| Box::pin(rerank::create(incoming))),
    Document::new("/moderations", |_, incoming| Box::pin(moderations::create(incoming))),
    Document::new("/images/generations", |_, incoming| Box::pin(images::generate(incoming))),
    Document::new("/audio/speech", |_, incoming| Box::pin(audio::speak(incoming))),
];

/// The routes below each root of `/v1`; forms with files of up to `max_upload_bytes` are taken.
pub(crate) fn routes(max_upload_bytes: usize) -> Router<App> {
    let mut router = served::documents(&DOCUMENTS);
    let of_upload = || DefaultBodyLimit::max(max_upload_bytes);
    for root in ROOTS {
        for tail in ["", "/"] {
            router = router
                .route(&format!("{root}/responses/{{id}}{tail}"), get(responses::get).delete(responses::delete))
                .route(&format!("{root}/responses/{{id}}/input_items{tail}"), get(responses::input_items))
                .route(&format!("{root}/responses/{{id}}/cancel{tail}"), post(responses::cancel))
                .route(&format!("{root}/images/edits{tail}"), post(edits::edit).layer(of_upload()))
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
