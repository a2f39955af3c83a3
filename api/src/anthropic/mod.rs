//! Anthropic's API: `/v1/messages`, and its form of the models.

mod error;
mod messages;
mod models;

use axum::{Router, response::IntoResponse};
pub(crate) use error::error;
pub(crate) use models::{list, model};

use crate::{
    served::{self, Document},
    state::App,
};

/// What is asked by one document.
pub(crate) const DOCUMENTS: [Document; 2] = [
    Document::new("/messages", |_, incoming| Box::pin(messages::create(incoming))),
    Document::new("/messages/count_tokens", |_, incoming| {
        Box::pin(async { messages::count_tokens(incoming).await.map(IntoResponse::into_response) })
    }),
];

/// The routes.
pub(crate) fn routes() -> Router<App> {
    served::documents(&DOCUMENTS)
}
