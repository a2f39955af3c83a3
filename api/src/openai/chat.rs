//! `POST /v1/chat/completions` and `POST /v1/responses`.

use axum::response::Response;

use super::request;
use crate::{
    problem::Problem,
    served::{Incoming, Wire},
};

/// Answers a conversation.
pub(super) async fn complete(incoming: Incoming) -> Result<Response, Problem> {
    incoming.caller.answer(request::chat(incoming.body)?, Wire::Done).await
}

/// The same in OpenAI's newer words.
pub(super) async fn respond(incoming: Incoming) -> Result<Response, Problem> {
    incoming.caller.answer(request::responses(incoming.body)?, Wire::Numbered).await
}
