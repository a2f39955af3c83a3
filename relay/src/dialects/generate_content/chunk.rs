//! One `GenerateContentResponse`: a whole answer, or one chunk of a streamed one.
//!
//! Source: ai.google.dev/api/generate-content#v1beta.GenerateContentResponse.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::heard::{self, Calls};
use super::{logprobs, usage};
use crate::dialects::common::Fields;
use crate::model::Part;
use crate::{InvalidRequest, RelayError, Usage};

/// Candidates of one answer at most, and so the greatest index; Google gives 8.
const MAX_CANDIDATES: u32 = 128;

/// What one response says.
pub(super) struct Chunk {
    pub(super) id: String,
    pub(super) model: String,
    /// In the order in which they came.
    pub(super) candidates: Vec<Piece>,
    pub(super) usage: Option<Usage>,
    /// The prompt was blocked, and no answer is coming.
    pub(super) blocked: bool,
    /// What else is said about the answer, such as why the prompt was blocked.
    pub(super) aside: Map<String, Value>,
}

/// What it says about one candidate.
pub(super) struct Piece {
    pub(super) index: u32,
    pub(super) parts: Vec<Part>,
    /// In Google's word.
    pub(super) finish: Option<String>,
    /// OpenAI's object.
    pub(super) logprobs: Option<Value>,
    /// Ratings, citations and the like.
    pub(super) aside: Map<String, Value>,
}

/// Calls of each candidate of one answer, by its index.
#[derive(Default)]
pub(super) struct Numbering {
    seed: Option<String>,
    candidates: Vec<(u32, Calls)>,
}

impl Numbering {
    /// Those of one candidate.
    pub(super) fn of(&mut self, index: u32) -> &mut Calls {
        let at = match self.candidates.iter().position(|(known, _)| *known == index) {
            Some(at) => at,
            None => {
                let seed = self.seed.as_deref().unwrap_or_default();
                self.candidates.push((index, Calls::of(format!("{seed}/{index}"))));
                self.candidates.len() - 1
            }
        };
        &mut self.candidates[at].1
    }
}

/// Reads a response.
///
/// # Errors
/// [`RelayError::UpstreamGarbage`] if it is none.
pub(super) fn read(body: Value, numbering: &mut Numbering) -> Result<Chunk, RelayError> {
    numbering.seed.get_or_insert_with(|| seed(&body));
    let mut fields = Fields::of(body, "").map_err(|_| garbage("a response is no object"))?;
    fields_of(&mut fields, numbering).map_err(|error| {
        let place = error.param.unwrap_or_default();
        garbage(&format!("`{place}` of a response is malformed"))
    })
}

fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}

/// What tells this answer from all others: its id, or else all that it says.
fn seed(body: &Value) -> String {
    match body.get("responseId").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        Some(id) => id.to_owned(),
        None => hex::encode(Sha256::digest(body.to_string())),
    }
}

fn fields_of(fields: &mut Fields, numbering: &mut Numbering) -> Result<Chunk, InvalidRequest> {
    let mut candidates = vec![];
    for (at, candidate) in fields.take::<Vec<Value>>("candidates")?.unwrap_or_default().into_iter().enumerate() {
        candidates.push(piece(Fields::of(candidate, format!("candidates[{at}]"))?, at, numbering)?);
    }
    let mut aside = Map::new();
    let feedback: Option<Map<String, Value>> = fields.take("promptFeedback")?;
    let blocked = feedback.as_ref().is_some_and(|feedback| feedback.contains_key("blockReason"));
    for (key, value) in [
        ("promptFeedback", feedback.map(Value::Object)),
        ("createTime", fields.take("createTime")?),
        ("modelStatus", fields.take("modelStatus")?),
    ] {
        aside.extend(value.map(|value| (key.to_owned(), value)));
    }
    Ok(Chunk {
        id: fields.take("responseId")?.unwrap_or_default(),
        model: fields.take("modelVersion")?.unwrap_or_default(),
        blocked: blocked && candidates.is_empty(),
        candidates,
        usage: fields.take::<Value>("usageMetadata")?.as_ref().and_then(usage::read),
        aside,
    })
}

fn piece(mut candidate: Fields, at: usize, numbering: &mut Numbering) -> Result<Piece, InvalidRequest> {
    let place = candidate.place("index");
    let index = candidate.take::<u32>("index")?.unwrap_or(u32::try_from(at).unwrap_or(u32::MAX));
    if index >= MAX_CANDIDATES {
        return Err(InvalidRequest::at(place, "There are not so many candidates."));
    }
    let mut parts = vec![];
    if let Some(mut content) = candidate.object("content")? {
        let place = content.place("parts");
        for (at, part) in content.take::<Vec<Value>>("parts")?.unwrap_or_default().into_iter().enumerate() {
            parts.extend(heard::parts(part, &format!("{place}[{at}]"), numbering.of(index))?);
        }
    }
    let finish = candidate.take::<String>("finishReason")?;
    let logprobs = candidate.take::<Value>("logprobsResult")?.as_ref().and_then(logprobs::read);
    // Repeats a part of the usage.
    candidate.take::<Value>("tokenCount")?;
    Ok(Piece {
        index,
        parts,
        finish: finish.filter(|word| !word.is_empty() && word != "FINISH_REASON_UNSPECIFIED"),
        logprobs,
        aside: candidate.rest(),
    })
}
