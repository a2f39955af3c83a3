//! Embeddings and rankings of AWS Bedrock: `InvokeModel` with each maker's own body.
//!
//! Sources: docs.aws.amazon.com/bedrock/latest/userguide, "Amazon Titan Embeddings Text", "Cohere Embed models" and
//! "Rerank with Amazon Bedrock". Signing and transport are those of the account.

use serde_json::{Map, Value, json};

use super::{
    Answered, Ask, Consumed, Embeddings, Mapping, Modality, Path, Request, Told, embeddings, garbage, rerank,
    unsupported,
};
use crate::providers::segment;
use crate::{Basis, InvalidRequest, RelayError, Usage};

/// Texts of one request at most, for a model that takes one at a time.
const MAX_ONE_BY_ONE: usize = 96;
/// Texts of one batch of Cohere's at most.
const MAX_BATCH: usize = 96;

/// Bedrock's runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bedrock;

impl Mapping for Bedrock {
    fn offers(&self, modality: Modality) -> bool {
        matches!(modality, Modality::Embeddings | Modality::Rerank)
    }

    fn ask(&self, request: &Request) -> Result<Vec<Ask>, InvalidRequest> {
        match request {
            Request::Embeddings(asked) if is_cohere(&asked.model) => Ok(embed_by_cohere(asked)),
            Request::Embeddings(asked) => embed_by_titan(asked),
            Request::Rerank(asked) => {
                let mut body =
                    json!({ "api_version": 2, "query": asked.query, "documents": asked.texts().split_off(1) });
                if let (Some(body), Some(best)) = (body.as_object_mut(), asked.top_n) {
                    body.insert("top_n".to_owned(), best.into());
                }
                Ok(vec![invoke(&asked.model, body)])
            }
            Request::Images(_) | Request::Speech(_) => {
                Err(unsupported("model", "This model embeds and ranks texts only."))
            }
        }
    }

    fn read(&self, request: &Request, answers: Vec<Value>, _created: i64) -> Result<Answered, RelayError> {
        match request {
            Request::Embeddings(asked) => embedded(asked, &answers),
            Request::Rerank(asked) => {
                rerank::read(asked, answers.first().ok_or_else(|| garbage("there is no ranking"))?)
            }
            Request::Images(_) | Request::Speech(_) => Err(garbage("there is no answer")),
        }
    }
}

/// Also of an inference profile, such as `eu.cohere.embed-v4:0`.
fn is_cohere(model: &str) -> bool {
    model.contains("cohere.")
}

fn invoke(model: &str, body: Value) -> Ask {
    Ask { path: Path::Behind(format!("/model/{}/invoke", segment(model, false))), body }
}

fn embed_by_titan(asked: &Embeddings) -> Result<Vec<Ask>, InvalidRequest> {
    if asked.input.len() > MAX_ONE_BY_ONE {
        let many = format!("This model takes one text at a time, and no more than {MAX_ONE_BY_ONE} of one request.");
        return Err(InvalidRequest::at("input", many));
    }
    let one = |text: String| {
        let mut body = Map::from_iter([("inputText".to_owned(), json!(text))]);
        body.extend(asked.dimensions.map(|dimensions| ("dimensions".to_owned(), json!(dimensions))));
        invoke(&asked.model, body.into())
    };
    Ok(asked.texts().into_iter().map(one).collect())
}

fn embed_by_cohere(asked: &Embeddings) -> Vec<Ask> {
    let kind = match (asked.are_questions(), asked.input_type.as_deref()) {
        (Some(true), _) => "search_query",
        (None, Some(own @ ("classification" | "clustering"))) => own,
        _ => "search_document",
    };
    let batch = |texts: &[String]| {
        let mut body = json!({ "texts": texts, "input_type": kind, "embedding_types": ["float"] });
        if let (Some(body), Some(dimensions)) = (body.as_object_mut(), asked.dimensions) {
            body.insert("output_dimension".to_owned(), dimensions.into());
        }
        invoke(&asked.model, body)
    };
    asked.texts().chunks(MAX_BATCH).map(batch).collect()
}

fn embedded(asked: &Embeddings, answers: &[Value]) -> Result<Answered, RelayError> {
    let mut vectors = vec![];
    let mut tokens = Some(0_u64);
    for answer in answers {
        let list = answer.pointer("/embeddings/float").or_else(|| answer.get("embeddings")).and_then(Value::as_array);
        let found: Option<Vec<Vec<f64>>> = match (answer.get("embedding"), list) {
            (Some(one), _) => embeddings::vector(one).map(|vector| vec![vector]),
            (None, Some(list)) => list.iter().map(embeddings::vector).collect(),
            (None, None) => None,
        };
        vectors.extend(found.ok_or_else(|| garbage("there are no vectors"))?);
        let told = answer.get("inputTextTokenCount").and_then(Value::as_u64);
        tokens = tokens.zip(told).map(|(sum, told)| sum.saturating_add(told));
    }
    if vectors.len() != asked.input.len() {
        return Err(garbage("there are not as many vectors as texts"));
    }
    let usage = tokens.map(|tokens| Usage::new(tokens, 0, Basis::Reported));
    let told = Told::Json(asked.told(&vectors, usage.as_ref()));
    Ok(Answered { told, consumed: Consumed { usage, ..Consumed::default() } })
}
