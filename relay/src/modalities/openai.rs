//! Answers of upstreams that speak OpenAI's form: what they consumed, and vectors in the form that was asked for.
//!
//! Sources: OpenAI's API description (`CreateEmbeddingResponse`, `ImagesResponse`, `TranscriptTextUsageTokens`,
//! `TranscriptTextUsageDuration`) and the references of Jina, SiliconFlow and Cohere for rankings.

use serde_json::Value;

use super::embeddings::{self, Encoding};
use super::{Consumed, Modality, garbage};
use crate::{Basis, RelayError, Usage};

/// What an answer says that it consumed.
#[must_use]
pub fn consumed(modality: Modality, body: &Value) -> Consumed {
    let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_u64);
    let first = |pointers: &[&str]| pointers.iter().find_map(|pointer| number(pointer));
    let output = first(&["/usage/output_tokens", "/usage/completion_tokens", "/meta/tokens/output_tokens"]);
    // Some say nothing but the total.
    let total = first(&["/usage/total_tokens"]).map(|total| total.saturating_sub(output.unwrap_or(0)));
    let input = first(&[
        "/usage/input_tokens",
        "/usage/prompt_tokens",
        "/meta/tokens/input_tokens",
        "/meta/billed_units/input_tokens",
    ]);
    let usage = input.filter(|input| *input > 0).or(total).map(|input| {
        let usage = Usage {
            cached_input_tokens: number("/usage/input_tokens_details/cached_tokens").unwrap_or(0),
            image_input_tokens: number("/usage/input_tokens_details/image_tokens").unwrap_or(0),
            audio_input_tokens: number("/usage/input_token_details/audio_tokens").unwrap_or(0),
            // A picture model says nothing but pictures, unless it says otherwise.
            image_output_tokens: match modality {
                Modality::ImageGeneration | Modality::ImageEdit => {
                    number("/usage/output_tokens_details/image_tokens").or(output).unwrap_or(0)
                }
                _ => 0,
            },
            ..Usage::new(input, output.unwrap_or(0), Basis::Reported)
        };
        usage.fitted()
    });
    let count = |list: &str| body.get(list).and_then(Value::as_array).map_or(0, |list| saturated(list.len() as u64));
    Consumed {
        usage,
        images: match modality {
            Modality::ImageGeneration | Modality::ImageEdit => count("data"),
            _ => 0,
        },
        searches: match modality {
            Modality::Rerank => number("/meta/billed_units/search_units").map_or(0, saturated),
            _ => 0,
        },
        seconds: ["/usage/seconds", "/duration"]
            .iter()
            .find_map(|pointer| match body.pointer(pointer)? {
                Value::String(text) => text.parse().ok(),
                number => number.as_f64(),
            })
            .filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)
            .unwrap_or(0.0),
    }
}

fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The same answer with its vectors in the form that was asked for: many servers know one only.
///
/// # Errors
/// [`RelayError::UpstreamGarbage`] if a vector is none.
pub fn embedded(body: &mut Value, encoding: Encoding) -> Result<(), RelayError> {
    let list = body.get_mut("data").and_then(Value::as_array_mut).ok_or_else(|| garbage("there are no vectors"))?;
    for embedding in list.iter_mut().map(|entry| entry.get_mut("embedding")) {
        let embedding = embedding.ok_or_else(|| garbage("a vector is missing"))?;
        let is_asked = match encoding {
            Encoding::Float => embedding.is_array(),
            Encoding::Base64 => embedding.is_string(),
        };
        if !is_asked {
            let vector = embeddings::vector(embedding).ok_or_else(|| garbage("a vector has another form"))?;
            *embedding = encoding.write(&vector);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_answer_says_what_it_consumed_in_its_own_place() {
        let embeddings = json!({ "data": [{}], "usage": { "prompt_tokens": 8, "total_tokens": 8 } });
        let read = consumed(Modality::Embeddings, &embeddings);
        assert_eq!((read.usage, read.images), (Some(Usage::new(8, 0, Basis::Reported)), 0));

        let images = json!({ "created": 1, "data": [{ "b64_json": "" }, { "b64_json": "" }], "usage": {
            "total_tokens": 4_210, "input_tokens": 50, "output_tokens": 4_160,
            "input_tokens_details": { "text_tokens": 10, "image_tokens": 40 } } });
        let read = consumed(Modality::ImageEdit, &images);
        let usage = read.usage.unwrap();
        assert_eq!((usage.image_input_tokens, usage.image_output_tokens, read.images), (40, 4_160, 2));

        let transcript = json!({ "text": "", "usage": { "type": "tokens", "input_tokens": 14, "output_tokens": 101,
            "total_tokens": 115, "input_token_details": { "text_tokens": 0, "audio_tokens": 14 } } });
        assert_eq!(consumed(Modality::Transcription, &transcript).usage.unwrap().audio_input_tokens, 14);
        let whisper = json!({ "text": "", "usage": { "type": "duration", "seconds": 9 } });
        let read = consumed(Modality::Transcription, &whisper);
        assert_eq!((read.usage, read.seconds), (None, 9.0));
        assert_eq!(consumed(Modality::Transcription, &json!({ "duration": "8.47" })).seconds, 8.47);
        assert_eq!(consumed(Modality::Moderation, &json!({ "results": [] })), Consumed::default());
    }

    #[test]
    fn rankings_say_tokens_or_searches() {
        let jina = json!({ "results": [], "usage": { "total_tokens": 815 } });
        assert_eq!(consumed(Modality::Rerank, &jina).usage.unwrap().input_tokens, 815);
        let siliconflow = json!({ "results": [], "meta": { "tokens": { "input_tokens": 30, "output_tokens": 0 } } });
        assert_eq!(consumed(Modality::Rerank, &siliconflow).usage.unwrap().input_tokens, 30);
        let cohere = json!({ "results": [], "meta": { "billed_units": { "search_units": 1 } } });
        let read = consumed(Modality::Rerank, &cohere);
        assert_eq!((read.usage, read.searches), (None, 1));
    }

    #[test]
    fn vectors_have_the_form_that_was_asked_for_whatever_the_upstream_gives() {
        let numbers = json!({ "data": [{ "embedding": [0.5, -2.0] }] });
        let base64 = json!({ "data": [{ "embedding": "AAAAPwAAAMA=" }] });
        for given in [&numbers, &base64] {
            for (encoding, expected) in [(Encoding::Float, &numbers), (Encoding::Base64, &base64)] {
                let mut body = given.clone();
                embedded(&mut body, encoding).unwrap();
                assert_eq!(body, *expected);
            }
        }
        for bad in [json!({}), json!({ "data": [{}] }), json!({ "data": [{ "embedding": {} }] })] {
            assert_eq!(embedded(&mut bad.clone(), Encoding::Float).unwrap_err().code(), "upstream_garbage");
        }
    }
}
