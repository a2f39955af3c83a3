//! Ranking: documents by how well they answer a question.
//!
//! OpenAI has no form for it. What clients send and get is what Jina, SiliconFlow, vLLM and Cohere have in common; Cohere
//! and DashScope ask in forms of their own. Sources: docs.cohere.com/reference/rerank (v2), api.jina.ai/redoc (rerank),
//! docs.siliconflow.cn (rerank), help.aliyun.com/zh/model-studio (text rerank API), huggingface.co text-embeddings-inference
//! (`/rerank`), docs.voyageai.com (reranker).

use serde_json::{Map, Value, json};

use super::{Answered, Ask, Consumed, Mapping, Modality, Path, Request, Told, garbage, openai, unsupported};
use crate::dialects::common::Fields;
use crate::{Basis, InvalidRequest, RelayError, Usage};

/// Documents of one request at most: the greatest number that any of the providers takes.
const MAX_DOCUMENTS: usize = 10_000;

/// A request for a ranking.
#[derive(Clone, PartialEq)]
pub struct Rerank {
    /// The model by the name that the asked side knows.
    pub model: String,
    /// The question.
    pub query: Value,
    /// At least one: texts, or objects with a `text` or what else a model takes.
    pub documents: Vec<Value>,
    /// The best so many only.
    pub top_n: Option<usize>,
    /// Whether the answer repeats the documents; yes unless the client says no.
    pub return_documents: bool,
    /// Parameters that the common form does not have, such as `max_tokens_per_doc`.
    pub rest: Map<String, Value>,
}

impl std::fmt::Debug for Rerank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rerank")
            .field("model", &self.model)
            .field("documents", &self.documents.len())
            .field("top_n", &self.top_n)
            .finish_non_exhaustive()
    }
}

impl Rerank {
    /// What a client asks.
    ///
    /// # Errors
    /// It is malformed; the error names the parameter.
    pub fn read(body: Map<String, Value>) -> Result<Self, InvalidRequest> {
        let mut fields = Fields::new(body, "");
        let documents: Vec<Value> = fields.need("documents")?;
        let is_document = |document: &Value| document.is_string() || document.is_object();
        if documents.is_empty() || !documents.iter().all(is_document) {
            return Err(InvalidRequest::at("documents", "This must be a list of texts or objects, and not empty."));
        }
        if documents.len() > MAX_DOCUMENTS {
            return Err(InvalidRequest::at("documents", format!("These are more than {MAX_DOCUMENTS} documents.")));
        }
        let query: Value = fields.need("query")?;
        if !query.is_string() && !query.is_object() {
            return Err(InvalidRequest::at("query", "This must be a text."));
        }
        Ok(Self {
            model: fields.need("model")?,
            query,
            documents,
            top_n: fields.take("top_n")?.filter(|best| *best > 0),
            return_documents: fields.take("return_documents")?.unwrap_or(true),
            rest: fields.rest(),
        })
    }

    /// Question and documents as texts, for counting.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        std::iter::once(&self.query).chain(&self.documents).map(text).collect()
    }

    /// The answer in the common form: the best first, no more than asked for.
    fn told(&self, id: Option<&Value>, mut ranks: Vec<(usize, f64)>, consumed: &Consumed) -> Value {
        ranks.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        ranks.truncate(self.top_n.unwrap_or(usize::MAX));
        let results = ranks.into_iter().map(|(index, score)| {
            let mut result = Map::new();
            result.insert("index".to_owned(), json!(index));
            result.insert("relevance_score".to_owned(), json!(score));
            if let Some(document) = self.documents.get(index).filter(|_| self.return_documents) {
                let document = if document.is_string() { json!({ "text": document }) } else { document.clone() };
                result.insert("document".to_owned(), document);
            }
            Value::Object(result)
        });
        let tokens = consumed.usage.map_or(0, |usage| usage.input_tokens);
        let mut told = json!({
            "object": "list",
            "model": self.model,
            "results": results.collect::<Vec<_>>(),
            "usage": { "prompt_tokens": tokens, "total_tokens": tokens },
        });
        if let Some(fields) = told.as_object_mut() {
            fields.extend(id.map(|id| ("id".to_owned(), id.clone())));
            if consumed.searches > 0 {
                let meta = json!({ "billed_units": { "search_units": consumed.searches } });
                fields.insert("meta".to_owned(), meta);
            }
        }
        told
    }
}

/// A document for a model that takes texts only.
fn text(document: &Value) -> String {
    match document {
        Value::String(text) => text.clone(),
        other => match other.get("text") {
            Some(Value::String(text)) => text.clone(),
            _ => other.to_string(),
        },
    }
}

/// How an upstream is asked for a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RerankForm {
    /// The common form at `/rerank`: Jina, SiliconFlow, vLLM, Xinference, LocalAI, OpenRouter.
    Common,
    /// Cohere's `/v2/rerank`: texts only, documents are not repeated.
    Cohere,
    /// DashScope's own API, which lies beside the compatible one.
    DashScope,
}

impl Mapping for RerankForm {
    fn offers(&self, modality: Modality) -> bool {
        modality == Modality::Rerank
    }

    fn ask(&self, request: &Request) -> Result<Vec<Ask>, InvalidRequest> {
        let Request::Rerank(asked) = request else {
            return Err(unsupported("model", "This model ranks documents and does nothing else."));
        };
        let texts: Vec<String> = asked.documents.iter().map(text).collect();
        let mut body = asked.rest.clone();
        let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
        let path = match self {
            Self::Common => {
                put("query", asked.query.clone());
                put("documents", asked.documents.clone().into());
                // The documents are put in here; they need not travel back.
                put("return_documents", false.into());
                Path::Behind("/rerank".to_owned())
            }
            Self::Cohere => {
                put("query", text(&asked.query).into());
                put("documents", texts.into());
                Path::OfHost("/v2/rerank")
            }
            Self::DashScope => {
                let mut parameters = std::mem::take(&mut body);
                parameters.insert("return_documents".to_owned(), false.into());
                parameters.extend(asked.top_n.map(|best| ("top_n".to_owned(), json!(best))));
                let input = json!({ "query": asked.query, "documents": asked.documents });
                let body = json!({ "model": asked.model, "input": input, "parameters": parameters });
                return Ok(vec![Ask { path: Path::OfHost("/api/v1/services/rerank/text-rerank/text-rerank"), body }]);
            }
        };
        put("model", asked.model.as_str().into());
        if let Some(best) = asked.top_n {
            put("top_n", best.into());
        }
        Ok(vec![Ask { path, body: body.into() }])
    }

    fn read(&self, request: &Request, answers: Vec<Value>, _created: i64) -> Result<Answered, RelayError> {
        let (Request::Rerank(asked), Some(answer)) = (request, answers.first()) else {
            return Err(garbage("there is no ranking"));
        };
        read(asked, answer)
    }
}

/// A ranking in any of the forms: the list stands in `results`, `data`, within `output`, or alone.
pub(super) fn read(asked: &Rerank, answer: &Value) -> Result<Answered, RelayError> {
    let places = [answer.get("results"), answer.pointer("/output/results"), answer.get("data"), Some(answer)];
    let list = places.into_iter().flatten().find_map(Value::as_array).ok_or_else(|| garbage("there is no ranking"))?;
    let rank = |result: &Value| {
        let index = usize::try_from(result.get("index")?.as_u64()?).ok()?;
        let score = result.get("relevance_score").or_else(|| result.get("score"))?.as_f64()?;
        (index < asked.documents.len()).then_some((index, score))
    };
    let ranks: Option<Vec<(usize, f64)>> = list.iter().map(rank).collect();
    let ranks = ranks.ok_or_else(|| garbage("a rank has another form"))?;
    let mut consumed = openai::consumed(Modality::Rerank, answer);
    if consumed.usage.is_none() {
        let tokens = answer.pointer("/usage/total_tokens").and_then(Value::as_u64);
        consumed.usage = tokens.map(|tokens| Usage::new(tokens, 0, Basis::Reported));
    }
    let id = answer.get("id").or_else(|| answer.get("request_id"));
    Ok(Answered { told: Told::Json(asked.told(id, ranks, &consumed)), consumed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(more: Value) -> Request {
        let mut body = json!({ "model": "m", "query": "what is a panda?",
            "documents": ["hi", { "text": "a bear" }, "it is an animal"] });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        let Value::Object(body) = body else { panic!("no object") };
        Request::Rerank(Rerank::read(body).unwrap())
    }

    fn told(form: RerankForm, request: &Request, answer: Value) -> (Value, Consumed) {
        let Answered { told, consumed } = form.read(request, vec![answer], 0).unwrap();
        let Told::Json(body) = told else { panic!("no object") };
        (body, consumed)
    }

    #[test]
    fn each_provider_is_asked_in_its_own_form() {
        let request = asked(json!({ "top_n": 2, "max_tokens_per_doc": 512 }));
        let ask = |form: RerankForm| form.ask(&request).unwrap().remove(0);
        let cohere = ask(RerankForm::Cohere);
        assert_eq!(cohere.path, Path::OfHost("/v2/rerank"));
        let expected = json!({ "model": "m", "query": "what is a panda?", "top_n": 2, "max_tokens_per_doc": 512,
            "documents": ["hi", "a bear", "it is an animal"] });
        assert_eq!(cohere.body, expected);
        let dashscope = ask(RerankForm::DashScope).body;
        assert_eq!(dashscope["input"]["documents"][1], json!({ "text": "a bear" }));
        let parameters = json!({ "max_tokens_per_doc": 512, "return_documents": false, "top_n": 2 });
        assert_eq!(dashscope["parameters"], parameters);
        assert_eq!(ask(RerankForm::Common).body["return_documents"], false);
    }

    #[test]
    fn the_best_come_first_with_their_documents_and_no_more_than_asked_for() {
        let request = asked(json!({ "top_n": 2 }));
        let cohere = json!({ "id": "c-1", "results": [{ "index": 0, "relevance_score": 0.1 },
            { "index": 2, "relevance_score": 0.9 }, { "index": 1, "relevance_score": 0.5 }],
            "meta": { "api_version": { "version": "2" }, "billed_units": { "search_units": 1 } } });
        let (body, consumed) = told(RerankForm::Cohere, &request, cohere);
        let expected = json!([
            { "index": 2, "relevance_score": 0.9, "document": { "text": "it is an animal" } },
            { "index": 1, "relevance_score": 0.5, "document": { "text": "a bear" } },
        ]);
        assert_eq!((&body["results"], &body["id"], consumed.searches), (&expected, &json!("c-1"), 1));
    }

    #[test]
    fn rankings_of_dashscope_voyage_and_a_bare_list_are_understood() {
        let request = asked(json!({ "return_documents": false }));
        let dashscope = json!({ "output": { "results": [{ "index": 1, "relevance_score": 0.7 }] },
            "usage": { "total_tokens": 79 }, "request_id": "d-1" });
        let (body, consumed) = told(RerankForm::DashScope, &request, dashscope);
        assert_eq!(body["results"], json!([{ "index": 1, "relevance_score": 0.7 }]));
        assert_eq!((consumed.usage.unwrap().input_tokens, &body["id"]), (79, &json!("d-1")));
        let voyage = json!({ "object": "list", "data": [{ "index": 0, "relevance_score": 0.4 }] });
        assert_eq!(told(RerankForm::Common, &request, voyage).0["results"][0]["index"], 0);
        let tei = json!([{ "index": 2, "score": 0.99 }]);
        assert_eq!(told(RerankForm::Common, &request, tei).0["results"][0]["relevance_score"], 0.99);
    }

    #[test]
    fn a_rank_of_a_document_that_nobody_sent_is_garbage() {
        let request = asked(json!({}));
        for bad in [json!({}), json!({ "results": [{ "index": 3, "relevance_score": 1 }] }), json!({ "results": [{}] })]
        {
            let error = RerankForm::Common.read(&request, vec![bad], 0).unwrap_err();
            assert_eq!(error.code(), "upstream_garbage");
        }
    }

    #[test]
    fn a_malformed_request_is_refused_with_its_place() {
        for (body, place) in [
            (json!({ "model": "m", "query": "q" }), "documents"),
            (json!({ "model": "m", "query": "q", "documents": [] }), "documents"),
            (json!({ "model": "m", "query": "q", "documents": [1] }), "documents"),
            (json!({ "model": "m", "query": 1, "documents": ["a"] }), "query"),
            (json!({ "query": "q", "documents": ["a"] }), "model"),
        ] {
            let Value::Object(body) = body else { panic!("no object") };
            assert_eq!(Rerank::read(body).unwrap_err().param.as_deref(), Some(place));
        }
    }
}
