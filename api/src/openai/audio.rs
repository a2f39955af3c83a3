//! `POST /v1/audio/speech`, `/v1/audio/transcriptions` and `/v1/audio/translations`: sound from texts, and texts from sound.
//!
//! Source: `createSpeech`, `createTranscription` and `createTranslation` of OpenAI's API description.

use axum::response::Response;
use domain::billing::Pieces;
use relay::modalities::Modality;
use serde_json::{Map, Value};

use crate::{
    problem::Problem,
    served::{Beside, Fields, FormRequest, Incoming, Sent, Upload, Worth, invalid, written_tokens},
};

/// Characters of a text that is read aloud, at most; OpenAI takes 4,096.
const MAX_CHARACTERS: usize = 100_000;
/// Tokens of speech that a character becomes at most: twice what is usual at 900 characters and 1,250 tokens a minute.
const TOKENS_PER_CHARACTER: u32 = 3;

/// Reads aloud.
pub(super) async fn speak(incoming: Incoming) -> Result<Response, Problem> {
    let Incoming { body, caller } = incoming;
    caller.beside(read(body.into_tree())?).await
}

/// Writes down what is said.
pub(super) async fn transcribe(request: FormRequest) -> Result<Response, Problem> {
    let (caller, upload) = request.read(&["model"]).await?;
    caller.beside(read_form(upload, Modality::Transcription)?).await
}

/// Writes down in English what is said.
pub(super) async fn translate(request: FormRequest) -> Result<Response, Problem> {
    let (caller, upload) = request.read(&["model"]).await?;
    caller.beside(read_form(upload, Modality::Translation)?).await
}

fn read(body: Map<String, Value>) -> Result<Beside, Problem> {
    let fields = Fields::of(&body);
    let model = fields.text("model")?;
    let input = fields.text("input")?;
    let characters = input.chars().count();
    let Some(characters) = u32::try_from(characters).ok().filter(|_| characters <= MAX_CHARACTERS) else {
        let detail = format!("Invalid 'input': at most {MAX_CHARACTERS} characters are taken at once.");
        return Err(invalid("input", "string_above_max_length", detail));
    };
    let instructions = body.get("instructions").and_then(Value::as_str).map(str::to_owned);
    let worth = Worth {
        texts: std::iter::once(input).chain(instructions).collect(),
        tokens: 0,
        output_tokens: characters * TOKENS_PER_CHARACTER,
        pieces: Pieces { characters, ..Pieces::NONE },
    };
    Ok(Beside { modality: Modality::Speech, model, stream: true, worth, sent: Sent::document(body) })
}

fn read_form(upload: Upload, modality: Modality) -> Result<Beside, Problem> {
    let missing =
        |name: &str| invalid(name, "missing_required_parameter", format!("Missing required parameter: '{name}'."));
    let model = upload.text("model").filter(|model| !model.is_empty()).ok_or_else(|| missing("model"))?.to_owned();
    if !upload.has_file(&["file"]) {
        return Err(missing("file"));
    }
    let sound_ms = upload.sound_at_most_ms();
    let worth = Worth {
        texts: upload.text("prompt").map(str::to_owned).into_iter().collect(),
        tokens: 0,
        output_tokens: written_tokens(sound_ms),
        pieces: Pieces { sound_ms, ..Pieces::NONE },
    };
    let stream = upload.text("stream") == Some("true");
    Ok(Beside { modality, model, stream, worth, sent: Sent::Form(upload) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn speech_is_worth_its_characters_however_many_bytes_they_have() {
        let asked = |input: &str| read(json!({ "model": "m", "input": input }).as_object().unwrap().clone());
        let worth = asked("你好！").ok().unwrap().worth;
        assert_eq!((worth.pieces.characters, worth.output_tokens), (3, 9));
        assert_eq!(asked("").err().unwrap().code(), "missing_required_parameter");
        assert_eq!(asked(&"a".repeat(MAX_CHARACTERS + 1)).err().unwrap().code(), "string_above_max_length");
    }
}
