//! Routes that take one JSON document by `POST`, at an address without parameters: the calls of every day.
//!
//! Promise: an API lists each of them once. The router has them, for the methods that they do not take and for pages on
//! other hosts; and a request finds them before it gets there (`front.rs`).

use axum::{Router, extract::State, response::Response, routing::post};
use futures::future::BoxFuture;

use super::{Incoming, ROOTS};
use crate::{anthropic, openai, problem::Problem, state::App};

/// One of them.
#[derive(Clone, Copy)]
pub(crate) struct Document {
    /// Below the root, such as `/chat/completions`.
    path: &'static str,
    answer: Answer,
}

/// Answers a document that came.
type Answer = fn(&App, Incoming) -> BoxFuture<'static, Result<Response, Problem>>;

impl Document {
    pub(crate) const fn new(path: &'static str, answer: Answer) -> Self {
        Self { path, answer }
    }

    pub(crate) fn answer(self, app: &App, incoming: Incoming) -> BoxFuture<'static, Result<Response, Problem>> {
        (self.answer)(app, incoming)
    }

    /// Everywhere that it is found.
    fn places(self) -> impl Iterator<Item = String> {
        ROOTS.into_iter().flat_map(move |root| ["", "/"].map(|tail| format!("{root}{}{tail}", self.path)))
    }
}

/// The routes of these documents.
pub(crate) fn routes(documents: &[Document]) -> Router<App> {
    documents.iter().flat_map(|document| document.places().map(move |place| (place, *document))).fold(
        Router::new(),
        |router, (place, document)| {
            let answer = async move |State(app): State<App>, incoming: Incoming| document.answer(&app, incoming).await;
            router.route(&place, post(answer))
        },
    )
}

/// The documents by their addresses, those that are asked for most at first.
#[derive(Default)]
pub(crate) struct Short(Vec<(String, Document)>);

/// All documents of all APIs.
pub(crate) fn short() -> Short {
    let documents = openai::DOCUMENTS.iter().chain(&anthropic::DOCUMENTS);
    let mut places: Vec<_> = documents.flat_map(|document| document.places().map(|place| (place, *document))).collect();
    places.sort_by_key(|(place, document)| place.len() - document.path.len());
    Short(places)
}

impl Short {
    /// The document that is taken here, and the pattern of its route.
    pub(crate) fn find(&self, path: &str) -> Option<(&str, Document)> {
        // A few lengths are compared; that is cheaper than to hash the path.
        self.0.iter().find(|(place, _)| place == path).map(|(place, document)| (place.as_str(), *document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_found_below_every_root_with_and_without_a_slash_and_nowhere_else() {
        let short = short();
        for path in ["/v1/chat/completions", "/v1/v1/chat/completions/", "/v1/messages", "/v1/messages/count_tokens/"] {
            assert_eq!(short.find(path).map(|(route, _)| route), Some(path));
        }
        for path in ["/v1/chat", "/v1/chat/completions//", "/v1/models", "/v2/chat/completions", "/v1/responses/r"] {
            assert!(short.find(path).is_none(), "{path}");
        }
    }
}
