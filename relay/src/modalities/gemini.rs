//! Google's embeddings, pictures and speech.
//!
//! Sources: ai.google.dev/api/embeddings, the guides "Embeddings", "Imagen", "Image generation" and "Speech generation"
//! (ai.google.dev/gemini-api/docs). Models whose names begin with `imagen` have an endpoint of their own; all others draw
//! and speak as an answer of `generateContent`.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    Answered, Ask, Consumed, Embeddings, Images, Mapping, Modality, Path, Picture, Request, Speech, Told, embeddings,
    garbage, unsupported,
};
use crate::dialects::generate_content::GenerateContent;
use crate::model::{Answer, FinishReason, MediaSource, Part};
use crate::providers::segment;
use crate::{Basis, InvalidRequest, RelayError, Spoken, Usage};

/// Texts of one batch at most.
const MAX_BATCH: usize = 100;
/// Shapes that Imagen makes.
const SHAPES_OF_IMAGEN: [&str; 5] = ["1:1", "3:4", "4:3", "9:16", "16:9"];
/// Shapes that the other models make.
const SHAPES: [&str; 10] = ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"];
/// Google's voices for clients that know OpenAI's names only; any other name is taken as Google's own.
const VOICES: [(&str, &str); 11] = [
    ("alloy", "Kore"),
    ("ash", "Orus"),
    ("ballad", "Algieba"),
    ("coral", "Aoede"),
    ("echo", "Charon"),
    ("fable", "Fenrir"),
    ("nova", "Leda"),
    ("onyx", "Iapetus"),
    ("sage", "Zephyr"),
    ("shimmer", "Callirrhoe"),
    ("verse", "Puck"),
];

/// The Gemini API.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gemini;

impl Mapping for Gemini {
    fn offers(&self, modality: Modality) -> bool {
        use Modality::{Embeddings, ImageEdit, ImageGeneration, Speech};
        matches!(modality, Embeddings | ImageGeneration | ImageEdit | Speech)
    }

    fn ask(&self, request: &Request) -> Result<Vec<Ask>, InvalidRequest> {
        match request {
            Request::Embeddings(asked) => Ok(embed(asked)),
            Request::Images(asked) if is_imagen(&asked.model) => predict(asked).map(|ask| vec![ask]),
            Request::Images(asked) => Ok(draw(asked)),
            Request::Speech(asked) => speak(asked).map(|ask| vec![ask]),
            Request::Rerank(_) => Err(unsupported("model", "This model does not rank documents.")),
        }
    }

    fn read(&self, request: &Request, answers: Vec<Value>, created: i64) -> Result<Answered, RelayError> {
        match request {
            Request::Embeddings(asked) => embedded(asked, &answers),
            Request::Images(asked) if is_imagen(&asked.model) => predicted(asked, &answers, created),
            Request::Images(asked) => drawn(asked, answers, created),
            Request::Speech(asked) => spoken(asked, answers),
            Request::Rerank(_) => Err(garbage("there is no ranking")),
        }
    }
}

fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

fn is_imagen(model: &str) -> bool {
    bare(model).starts_with("imagen")
}

fn ask(model: &str, verb: &str, body: Value) -> Ask {
    Ask { path: Path::Behind(format!("/models/{}:{verb}", segment(bare(model), false))), body }
}

fn embed(asked: &Embeddings) -> Vec<Ask> {
    let model = format!("models/{}", bare(&asked.model));
    let task = asked.are_questions().map(|is| if is { "RETRIEVAL_QUERY" } else { "RETRIEVAL_DOCUMENT" });
    // Google's own words, such as `CLUSTERING`, as they are.
    let own = asked.input_type.as_deref().filter(|kind| kind.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    let one = |text: &String| {
        let mut one = Map::new();
        one.insert("model".to_owned(), json!(model));
        one.insert("content".to_owned(), json!({ "parts": [{ "text": text }] }));
        one.extend(own.or(task).map(|task| ("taskType".to_owned(), json!(task))));
        one.extend(asked.dimensions.map(|dimensions| ("outputDimensionality".to_owned(), json!(dimensions))));
        Value::Object(one)
    };
    let batch = |texts: &[String]| {
        let requests: Vec<Value> = texts.iter().map(one).collect();
        ask(&asked.model, "batchEmbedContents", json!({ "requests": requests }))
    };
    asked.texts().chunks(MAX_BATCH).map(batch).collect()
}

fn embedded(asked: &Embeddings, answers: &[Value]) -> Result<Answered, RelayError> {
    let lists = answers.iter().map(|answer| answer.get("embeddings").and_then(Value::as_array));
    let lists: Option<Vec<&Vec<Value>>> = lists.collect();
    let entries = lists.ok_or_else(|| garbage("there are no vectors"))?.into_iter().flatten();
    let vectors: Option<Vec<Vec<f64>>> = entries.map(|entry| embeddings::vector(entry.get("values")?)).collect();
    let mut vectors = vectors.ok_or_else(|| garbage("a vector has another form"))?;
    if vectors.len() != asked.input.len() {
        return Err(garbage("there are not as many vectors as texts"));
    }
    if asked.dimensions.is_some() {
        // Google cuts vectors without making them as long as before, which clients of OpenAI's form rely on.
        vectors.iter_mut().for_each(|vector| normalise(vector));
    }
    let tokens = |answer: &Value| answer.pointer("/usageMetadata/promptTokenCount").and_then(Value::as_u64);
    let tokens: Option<u64> = answers.iter().map(tokens).sum();
    let usage = tokens.map(|tokens| Usage::new(tokens, 0, Basis::Reported));
    let told = Told::Json(asked.told(&vectors, usage.as_ref()));
    Ok(Answered { told, consumed: Consumed { usage, ..Consumed::default() } })
}

fn normalise(vector: &mut [f64]) {
    let length = vector.iter().map(|number| number * number).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|number| *number /= length);
    }
}

fn predict(asked: &Images) -> Result<Ask, InvalidRequest> {
    if !asked.from.is_empty() {
        return Err(unsupported("image", "This model makes pictures from descriptions only."));
    }
    let mut parameters = Map::from_iter([("sampleCount".to_owned(), json!(asked.count))]);
    parameters.extend(asked.shape(&SHAPES_OF_IMAGEN).map(|shape| ("aspectRatio".to_owned(), json!(shape))));
    parameters.extend(asked.resolution().map(|_| ("sampleImageSize".to_owned(), json!("2K"))));
    let body = json!({ "instances": [{ "prompt": asked.prompt }], "parameters": parameters });
    Ok(ask(&asked.model, "predict", body))
}

fn predicted(asked: &Images, answers: &[Value], created: i64) -> Result<Answered, RelayError> {
    let predictions = answers.iter().filter_map(|answer| answer.get("predictions")?.as_array()).flatten();
    let picture = |prediction: &Value| {
        let text = |key: &str| prediction.get(key).and_then(Value::as_str).map(str::to_owned);
        let media_type = text("mimeType").unwrap_or_else(|| "image/png".to_owned());
        Some(Picture { media_type, base64: text("bytesBase64Encoded")? })
    };
    let pictures: Vec<Picture> = predictions.filter_map(picture).collect();
    if pictures.is_empty() {
        // An empty answer is how this endpoint says that its filter took all of them.
        return Err(filtered());
    }
    Ok(pictured(asked, &pictures, None, created))
}

fn filtered() -> RelayError {
    RelayError::UpstreamRefused {
        status: 400,
        message: "the provider's filter took what was made".to_owned(),
        code: Some("content_filter".to_owned()),
        param: Some("prompt".to_owned()),
    }
}

fn pictured(asked: &Images, pictures: &[Picture], usage: Option<Usage>, created: i64) -> Answered {
    let images = u32::try_from(pictures.len()).unwrap_or(u32::MAX);
    let told = Told::Json(asked.told(pictures, usage.as_ref(), created));
    Answered { told, consumed: Consumed { usage, images, ..Consumed::default() } }
}

/// These models make one picture at a time.
fn draw(asked: &Images) -> Vec<Ask> {
    let pictures = asked
        .from
        .iter()
        .map(|Picture { media_type, base64 }| json!({ "inlineData": { "mimeType": media_type, "data": base64 } }));
    let parts: Vec<Value> = std::iter::once(json!({ "text": asked.prompt })).chain(pictures).collect();
    let mut shape = Map::new();
    shape.extend(asked.shape(&SHAPES).map(|shape| ("aspectRatio".to_owned(), json!(shape))));
    // Version 2.5 has one resolution and refuses to be told.
    let is_early = bare(&asked.model).starts_with("gemini-2");
    let resolution = asked.resolution().filter(|_| !is_early);
    shape.extend(resolution.map(|size| ("imageSize".to_owned(), json!(size))));
    let mut config = json!({ "responseModalities": ["TEXT", "IMAGE"] });
    if let (Some(config), false) = (config.as_object_mut(), shape.is_empty()) {
        config.insert("imageConfig".to_owned(), shape.into());
    }
    let body = json!({ "contents": [{ "role": "user", "parts": parts }], "generationConfig": config });
    (0..asked.count).map(|_| ask(&asked.model, "generateContent", body.clone())).collect()
}

fn drawn(asked: &Images, answers: Vec<Value>, created: i64) -> Result<Answered, RelayError> {
    let (answers, usage) = read(answers)?;
    let picture = |part: &Part| match part {
        Part::Image { source: MediaSource::Inline { media_type, base64 }, .. } => {
            Some(Picture { media_type: media_type.clone(), base64: base64.clone() })
        }
        _ => None,
    };
    let pictures: Vec<Picture> = parts(&answers).filter_map(picture).collect();
    if pictures.is_empty() {
        return Err(nothing(&answers, "no picture was made"));
    }
    Ok(pictured(asked, &pictures, usage, created))
}

fn read(answers: Vec<Value>) -> Result<(Vec<Answer>, Option<Usage>), RelayError> {
    let answers: Result<Vec<Answer>, RelayError> =
        answers.into_iter().map(|answer| Spoken::read(&GenerateContent, answer)).collect();
    let answers = answers?;
    let usages = answers.iter().filter_map(|answer| answer.usage);
    let usage = usages.reduce(|sum, more| Usage {
        input_tokens: sum.input_tokens.saturating_add(more.input_tokens),
        cached_input_tokens: sum.cached_input_tokens.saturating_add(more.cached_input_tokens),
        audio_input_tokens: sum.audio_input_tokens.saturating_add(more.audio_input_tokens),
        image_input_tokens: sum.image_input_tokens.saturating_add(more.image_input_tokens),
        output_tokens: sum.output_tokens.saturating_add(more.output_tokens),
        reasoning_tokens: sum.reasoning_tokens.saturating_add(more.reasoning_tokens),
        audio_output_tokens: sum.audio_output_tokens.saturating_add(more.audio_output_tokens),
        image_output_tokens: sum.image_output_tokens.saturating_add(more.image_output_tokens),
        ..sum
    });
    Ok((answers, usage))
}

fn parts(answers: &[Answer]) -> impl Iterator<Item = &Part> {
    answers.iter().flat_map(|answer| &answer.candidates).flat_map(|candidate| &candidate.parts)
}

/// Why there is nothing in the answers.
fn nothing(answers: &[Answer], what: &str) -> RelayError {
    let mut ends = answers.iter().flat_map(|answer| &answer.candidates).map(|candidate| &candidate.finish);
    if ends.any(|finish| *finish == FinishReason::ContentFilter) { filtered() } else { garbage(what) }
}

fn speak(asked: &Speech) -> Result<Ask, InvalidRequest> {
    asked.check_uncompressed()?;
    let voice = VOICES.iter().find(|(theirs, _)| *theirs == asked.voice).map_or(asked.voice.as_str(), |(_, own)| own);
    // The manner is a part of the text there: "Say cheerfully: Have a wonderful day!"
    let text = match asked.instructions.as_deref().map(str::trim).filter(|manner| !manner.is_empty()) {
        Some(manner) => format!("{}:\n{}", manner.trim_end_matches(['.', ':']), asked.input),
        None => asked.input.clone(),
    };
    let body = json!({
        "contents": [{ "role": "user", "parts": [{ "text": text }] }],
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "speechConfig": { "voiceConfig": { "prebuiltVoiceConfig": { "voiceName": voice } } },
        },
    });
    Ok(ask(&asked.model, "generateContent", body))
}

fn spoken(asked: &Speech, answers: Vec<Value>) -> Result<Answered, RelayError> {
    let (answers, usage) = read(answers)?;
    let mut samples = vec![];
    for part in parts(&answers) {
        if let Part::Audio(audio) = part {
            samples.extend(STANDARD.decode(&audio.base64).map_err(|_| garbage("the sound is no base64"))?);
        }
    }
    if samples.is_empty() {
        return Err(nothing(&answers, "nothing was said"));
    }
    Ok(Answered { told: asked.told(samples), consumed: Consumed { usage, ..Consumed::default() } })
}
