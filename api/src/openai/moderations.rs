//! `POST /v1/moderations`: whether a text or a picture is harmful.
//!
//! Source: `createModeration` of OpenAI's API description, whose `model` may be left out.

use axum::response::Response;
use relay::modalities::Modality;
use serde_json::{Map, Value};

use crate::{
    problem::Problem,
    served::{Beside, Fields, Incoming, Sent, Worth, invalid},
};

/// Asked where the client names no model.
const USUAL_MODEL: &str = "omni-moderation-latest";
/// Inputs of one request, at most.
const MAX_INPUTS: usize = 2_048;

/// Judges.
pub(super) async fn create(incoming: Incoming) -> Result<Response, Problem> {
    let Incoming { body, caller } = incoming;
    caller.beside(read(body.into_tree())?).await
}

fn read(body: Map<String, Value>) -> Result<Beside, Problem> {
    let fields = Fields::of(&body);
    let model = if fields.has("model") { fields.text("model")? } else { USUAL_MODEL.to_owned() };
    let texts = match fields.required("input")? {
        Value::String(text) => vec![text.clone()],
        Value::Array(_) => {
            let inputs = fields.filled("input")?;
            if inputs.len() > MAX_INPUTS {
                let detail = format!("Invalid 'input': at most {MAX_INPUTS} inputs are taken at once.");
                return Err(invalid("input", "invalid_value", detail));
            }
            inputs.iter().filter_map(text).collect()
        }
        other => return Err(fields.wrong_type("input", "a string or an array", other)),
    };
    let worth = Worth { texts, ..Worth::default() };
    Ok(Beside { modality: Modality::Moderation, model, stream: false, worth, sent: Sent::document(body) })
}

/// What is read of an input; a picture has no text.
fn text(input: &Value) -> Option<String> {
    input.as_str().or_else(|| input.get("text").and_then(Value::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_model_may_be_left_out_and_pictures_stand_among_texts() {
        let picture = json!({ "type": "image_url", "image_url": { "url": "https://x" } });
        let body = json!({ "input": ["a", { "type": "text", "text": "b" }, picture] });
        let asked = read(body.as_object().unwrap().clone()).ok().unwrap();
        assert_eq!((asked.model.as_str(), asked.worth.texts), (USUAL_MODEL, vec!["a".to_owned(), "b".to_owned()]));
        for (body, code) in [
            (json!({}), "missing_required_parameter"),
            (json!({ "input": [] }), "empty_array"),
            (json!({ "input": 7 }), "invalid_type"),
            (json!({ "input": "a", "model": 7 }), "invalid_type"),
        ] {
            assert_eq!(read(body.as_object().unwrap().clone()).err().unwrap().code(), code);
        }
    }
}
