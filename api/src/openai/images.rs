//! `POST /v1/images/generations`, and what pictures are worth: from words, and from pictures and words.
//!
//! Source: `createImage` and `createImageEdit` of OpenAI's API description; the tokens of a picture by its quality from the
//! guide "Image generation", the largest of the three sizes.

use axum::response::Response;
use domain::billing::Pieces;
use relay::modalities::Modality;
use serde_json::{Map, Value};

use crate::{
    problem::Problem,
    served::{Beside, Fields, Incoming, Sent, Upload, Worth, invalid},
};

/// Pictures of one request, at most, as OpenAI has it.
const MAX_IMAGES: u32 = 10;
/// Output tokens of a picture by its quality; models that are sold by the picture have none.
const TOKENS: [(&str, u32); 3] = [("low", 408), ("medium", 1_584), ("high", 6_240)];
/// Input tokens of a picture to begin from, in high fidelity.
const TOKENS_OF_INPUT: u64 = 6_240;
/// Output tokens of a picture that is shown before it is done, and how many of them there are at most.
const TOKENS_OF_PARTIAL: u32 = 100;
const MAX_PARTIAL: u32 = 3;

/// Draws.
pub(super) async fn generate(incoming: Incoming) -> Result<Response, Problem> {
    let Incoming { body, caller } = incoming;
    caller.beside(read(body.into_tree())?).await
}

fn read(body: Map<String, Value>) -> Result<Beside, Problem> {
    let fields = Fields::of(&body);
    let model = fields.text("model")?;
    let prompt = fields.text("prompt")?;
    let images = fields.number(&["n"], u64::from(MAX_IMAGES))?.unwrap_or(1);
    let stream = fields.flag("stream")?;
    let worth = worth(prompt, images, body.get("quality").and_then(Value::as_str), stream);
    Ok(Beside { modality: Modality::ImageGeneration, model, stream, worth, sent: Sent::document(body) })
}

/// What a form with pictures to begin from asks.
pub(super) fn read_form(upload: Upload) -> Result<Beside, Problem> {
    let texts: Map<String, Value> =
        ["model", "prompt"].into_iter().filter_map(|name| Some((name.to_owned(), upload.text(name)?.into()))).collect();
    let fields = Fields::of(&texts);
    let (model, prompt) = (fields.text("model")?, fields.text("prompt")?);
    let wrong = || {
        let detail = format!("Invalid 'n': an integer from 1 to {MAX_IMAGES} is needed.");
        invalid("n", "invalid_value", detail)
    };
    let images = match upload.text("n") {
        None | Some("") => 1,
        Some(number) => number.parse().ok().filter(|n| (1..=MAX_IMAGES).contains(n)).ok_or_else(wrong)?,
    };
    if !upload.has_file(&["image", "image[]"]) {
        return Err(invalid("image", "missing_required_parameter", "Missing required parameter: 'image'."));
    }
    let stream = upload.text("stream") == Some("true");
    let worth = worth(prompt, images, upload.text("quality"), stream);
    let worth = Worth { tokens: TOKENS_OF_INPUT, ..worth };
    Ok(Beside { modality: Modality::ImageEdit, model, stream, worth, sent: Sent::Form(upload) })
}

fn worth(prompt: String, images: u32, quality: Option<&str>, stream: bool) -> Worth {
    let known = TOKENS.into_iter().find(|(name, _)| Some(*name) == quality);
    let each = known.map_or(6_240, |(_, tokens)| tokens);
    let partial = if stream { TOKENS_OF_PARTIAL * MAX_PARTIAL } else { 0 };
    let output_tokens = (each + partial) * images;
    Worth { texts: vec![prompt], tokens: 0, output_tokens, pieces: Pieces { images, ..Pieces::NONE } }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(more: &Value) -> Result<Beside, Problem> {
        let mut body = json!({ "model": "m", "prompt": "a cat" }).as_object().unwrap().clone();
        body.extend(more.as_object().unwrap().clone());
        read(body)
    }

    #[test]
    fn a_call_is_worth_its_pictures_at_their_quality() {
        let worth = |more| asked(&more).ok().unwrap().worth;
        assert_eq!((worth(json!({})).pieces.images, worth(json!({})).output_tokens), (1, 6_240));
        let low = worth(json!({ "n": 2, "quality": "low", "stream": true }));
        assert_eq!((low.pieces.images, low.output_tokens), (2, 2 * (408 + 300)));
        assert_eq!(worth(json!({ "quality": "hd" })).output_tokens, 6_240);
    }

    #[test]
    fn the_number_of_pictures_is_bounded_and_the_prompt_needed() {
        for (more, param) in [(json!({ "n": 11 }), "n"), (json!({ "n": 0 }), "n"), (json!({ "prompt": "" }), "prompt")]
        {
            assert_eq!(asked(&more).err().unwrap().first_field(), Some(param));
        }
    }
}
