//! `POST /v1/embeddings`: texts as vectors.
//!
//! Source: `createEmbedding` of OpenAI's API description. An input may be a text, the ids of its tokens, or many of either;
//! models that embed more than texts take objects.

use axum::response::Response;
use domain::billing::Pieces;
use relay::modalities::{Encoding, Modality};
use serde_json::{Map, Value};

use crate::{
    problem::Problem,
    served::{Beside, Fields, Incoming, Sent, Worth, invalid, of_request},
};

/// Inputs of one request, at most, as OpenAI has it.
const MAX_INPUTS: usize = 2_048;

/// Makes vectors.
pub(super) async fn create(incoming: Incoming) -> Result<Response, Problem> {
    let Incoming { body, caller } = incoming;
    caller.beside(read(body.into_tree())?).await
}

fn read(body: Map<String, Value>) -> Result<Beside, Problem> {
    let fields = Fields::of(&body);
    let model = fields.text("model")?;
    fields.number(&["dimensions"], u64::from(u32::MAX))?;
    Encoding::of(&body).map_err(of_request)?;
    let (texts, tokens) = inputs(&fields)?;
    let worth = Worth { texts, tokens, output_tokens: 0, pieces: Pieces::NONE };
    Ok(Beside { modality: Modality::Embeddings, model, stream: false, worth, sent: Sent::document(body) })
}

/// Texts, which are counted, and the number of tokens that were sent as such.
fn inputs(fields: &Fields<'_>) -> Result<(Vec<String>, u64), Problem> {
    let wrong = || {
        let detail = "Invalid 'input': a text, a list of texts, or lists of token ids are needed.";
        invalid("input", "invalid_type", detail)
    };
    let list = match fields.required("input")? {
        Value::String(text) if text.is_empty() => return Err(empty()),
        Value::String(text) => return Ok((vec![text.clone()], 0)),
        Value::Array(_) => fields.filled("input")?,
        Value::Object(_) => std::slice::from_ref(fields.required("input")?),
        _ => return Err(wrong()),
    };
    if list.iter().all(Value::is_number) {
        return Ok((vec![], list.len() as u64));
    }
    if list.len() > MAX_INPUTS {
        let detail = format!("Invalid 'input': at most {MAX_INPUTS} inputs are taken at once.");
        return Err(invalid("input", "invalid_value", detail));
    }
    let (mut texts, mut tokens) = (vec![], 0);
    for input in list {
        match input {
            Value::String(text) if text.is_empty() => return Err(empty()),
            Value::String(text) => texts.push(text.clone()),
            Value::Array(ids) if ids.is_empty() => return Err(empty()),
            Value::Array(ids) if ids.iter().all(Value::is_number) => tokens += ids.len() as u64,
            Value::Object(_) => texts.push(input.to_string()),
            _ => return Err(wrong()),
        }
    }
    Ok((texts, tokens))
}

fn empty() -> Problem {
    invalid("input", "invalid_value", "Invalid 'input': no input may be empty.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(input: &Value) -> Result<Beside, Problem> {
        read(json!({ "model": "m", "input": input }).as_object().unwrap().clone())
    }

    #[test]
    fn texts_are_counted_and_ids_of_tokens_are_known() {
        for (input, texts, tokens) in [
            (json!("hi"), 1, 0),
            (json!(["a", "b"]), 2, 0),
            (json!([1, 2, 3]), 0, 3),
            (json!([[1, 2], [3]]), 0, 3),
            (json!([{ "text": "a" }, "b"]), 2, 0),
        ] {
            let worth = asked(&input).ok().unwrap().worth;
            assert_eq!((worth.texts.len(), worth.tokens), (texts, tokens), "{input}");
        }
        let many = vec![7; MAX_INPUTS + 1];
        assert_eq!(asked(&json!(many)).ok().unwrap().worth.tokens, 2_049, "one text of many tokens");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_parameter() {
        let code = |input: Value| asked(&input).err().unwrap().code().to_owned();
        assert_eq!(code(json!(null)), "missing_required_parameter");
        assert_eq!(code(json!([])), "empty_array");
        assert_eq!(code(json!(7)), "invalid_type");
        assert_eq!(code(json!(["a", 7])), "invalid_type");
        for empty in [json!(""), json!(["a", ""]), json!([[]]), json!(vec!["a"; MAX_INPUTS + 1])] {
            assert_eq!(code(empty), "invalid_value");
        }
        let body = json!({ "model": "m", "input": "a", "encoding_format": "int8" });
        let problem = read(body.as_object().unwrap().clone()).err().unwrap();
        assert_eq!(problem.first_field(), Some("encoding_format"));
    }
}
