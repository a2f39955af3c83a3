//! `POST /v1/rerank`: documents by how well they answer a question.
//!
//! OpenAI has no such API; the form is the one that Jina and Cohere have in common (see `relay::modalities`).

use axum::response::Response;
use domain::billing::Pieces;
use relay::modalities::{Modality, Rerank};
use serde_json::{Map, Value};

use crate::{
    problem::Problem,
    served::{Beside, Incoming, Sent, Worth, of_request},
};

/// Documents that are searched at once for the price of one search, as Cohere counts.
const DOCUMENTS_PER_SEARCH: usize = 100;

/// Ranks.
pub(super) async fn create(incoming: Incoming) -> Result<Response, Problem> {
    let Incoming { body, caller } = incoming;
    caller.beside(read(body.into_tree())?).await
}

fn read(body: Map<String, Value>) -> Result<Beside, Problem> {
    let asked = Rerank::read(body.clone()).map_err(of_request)?;
    let searches = u32::try_from(asked.documents.len().div_ceil(DOCUMENTS_PER_SEARCH)).unwrap_or(u32::MAX);
    let worth =
        Worth { texts: asked.texts(), tokens: 0, output_tokens: 0, pieces: Pieces { searches, ..Pieces::NONE } };
    Ok(Beside { modality: Modality::Rerank, model: asked.model, stream: false, worth, sent: Sent::document(body) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_search_is_a_question_with_up_to_a_hundred_documents() {
        let searches = |documents: usize| {
            let body = json!({ "model": "m", "query": "q", "documents": vec!["d"; documents] });
            read(body.as_object().unwrap().clone()).ok().unwrap().worth.pieces.searches
        };
        assert_eq!([1, 100, 101].map(searches), [1, 1, 2]);
        let body = json!({ "model": "m", "query": "q" });
        assert_eq!(read(body.as_object().unwrap().clone()).err().unwrap().first_field(), Some("documents"));
    }
}
