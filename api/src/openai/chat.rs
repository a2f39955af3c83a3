//! `POST /v1/chat/completions`.

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
