//! `POST /v1beta/models/{model}:generateContent`, `:streamGenerateContent` and `:countTokens`.
//!
//! Source: "Generating content" and "Counting tokens" of the Gemini API reference (ai.google.dev/api). Names of fields
//! are taken in both of the spellings that protocol buffers have in JSON.

use axum::{
    Json,
    http::Uri,
    response::{IntoResponse as _, Response},
};
use relay::{Dialect, RequestBody};
use serde_json::{Map, Value, json};

use super::models::public_name;
use crate::{
    extract::Name,
    observe,
    problem::Problem,
    served::{Ask, Fields, Incoming, Wire},
};

/// Candidates of one answer, at most.
const MAX_CANDIDATES: u64 = 8;

/// What `model:verb` asks for.
pub(super) async fn call(Name(call): Name, uri: Uri, incoming: Incoming) -> Result<Response, Problem> {
    // Names of models contain colons and slashes.
    let Some((model, verb)) = call.trim_end_matches('/').rsplit_once(':') else {
        return Err(observe::not_found().await);
    };
    let model = public_name(model);
    let Incoming { body, caller } = incoming;
    match verb {
        "generateContent" => caller.answer(read(model, false, body)?, Wire::Plain).await,
        "streamGenerateContent" => {
            let wire = if wants_events(&uri) { Wire::Plain } else { Wire::Array };
            caller.answer(read(model, true, body)?, wire).await
        }
        "countTokens" => {
            let body = RequestBody::from(counted(body.into_tree())?);
            Fields::of_body(&body).filled("contents")?;
            let tokens = caller.count(Dialect::GenerateContent, model, body).await?;
            Ok(Json(json!({ "totalTokens": tokens })).into_response())
        }
        _ => Err(observe::not_found().await),
    }
}

fn read(model: &str, stream: bool, body: RequestBody) -> Result<Ask, Problem> {
    let fields = Fields::of_body(&body);
    fields.filled("contents")?;
    let config = fields.object(&["generationConfig", "generation_config"])?;
    let max_output_tokens = config.bound(&["maxOutputTokens", "max_output_tokens"])?;
    let choices = config.number(&["candidateCount", "candidate_count"], MAX_CANDIDATES)?.unwrap_or(1);
    let (dialect, model) = (Dialect::GenerateContent, model.to_owned());
    Ok(Ask { dialect, model, stream, include_usage: false, choices, max_output_tokens, body })
}

/// A request to count is a conversation, or holds a whole request.
fn counted(mut body: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let names = ["generateContentRequest", "generate_content_request"];
    Fields::of(&body).object(&names)?;
    match names.iter().find_map(|name| body.remove(*name)) {
        Some(Value::Object(request)) => Ok(request),
        _ => Ok(body),
    }
}

/// Server-sent events are wanted, instead of one array.
fn wants_events(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse" | "%24alt=sse")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(config: &Value) -> Result<Ask, Problem> {
        let mut body = json!({ "contents": [{ "parts": [{ "text": "hi" }] }] });
        body.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        read("m", true, RequestBody::read(body.to_string().into()).unwrap())
    }

    #[test]
    fn bounds_are_read_in_both_spellings() {
        for config in [
            json!({ "generationConfig": { "maxOutputTokens": 9, "candidateCount": 2 } }),
            json!({ "generation_config": { "max_output_tokens": 9, "candidate_count": 2 } }),
        ] {
            let ask = of(&config).ok().unwrap();
            assert_eq!((ask.max_output_tokens, ask.choices, ask.stream), (Some(9), 2, true), "{config}");
        }
        assert_eq!(of(&json!({})).ok().unwrap().choices, 1);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_path() {
        let wrong = [
            (json!({ "contents": [] }), "contents", "empty_array"),
            (json!({ "contents": null }), "contents", "missing_required_parameter"),
            (json!({ "contents": "hi" }), "contents", "invalid_type"),
            (json!({ "generationConfig": [] }), "generationConfig", "invalid_type"),
            (
                json!({ "generationConfig": { "maxOutputTokens": 0 } }),
                "generationConfig.maxOutputTokens",
                "invalid_value",
            ),
            (
                json!({ "generationConfig": { "candidateCount": 9 } }),
                "generationConfig.candidateCount",
                "invalid_value",
            ),
        ];
        for (extra, param, code) in wrong {
            let problem = of(&extra).err().unwrap();
            assert_eq!((problem.first_field(), problem.code()), (Some(param), code), "{extra}");
        }
    }

    #[test]
    fn only_alt_sse_asks_for_events() {
        let wants = |uri: &str| wants_events(&uri.parse().unwrap());
        assert!(wants("/x?alt=sse") && wants("/x?key=k&$alt=sse"));
        assert!(!wants("/x") && !wants("/x?alt=json") && !wants("/x?salt=sse"));
    }
}
