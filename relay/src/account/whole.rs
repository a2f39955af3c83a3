//! Answers that are one document.

use serde_json::Value;

use crate::count::Generated;
use crate::model::{Answer, Part};
use crate::{RelayError, Spoken};

/// The document and what it says.
pub(super) struct Document {
    pub(super) body: Value,
    pub(super) answer: Answer,
    pub(super) generated: Generated,
}

impl Document {
    /// Reads the text of a response.
    ///
    /// # Errors
    /// What an error object means, or [`RelayError::UpstreamGarbage`] if it is no answer in that dialect; a stream where
    /// a document was asked for is none.
    pub(super) fn read(text: &str, spoken: &dyn Spoken) -> Result<Self, RelayError> {
        let garbage = |_| RelayError::UpstreamGarbage("the answer is not a JSON document".to_owned());
        let body: Value = serde_json::from_str(text).map_err(garbage)?;
        let answer = spoken.read(body.clone())?;
        let generated = generated(&answer);
        Ok(Self { body, answer, generated })
    }
}

/// Everything that any candidate generated.
pub(super) fn generated(answer: &Answer) -> Generated {
    let mut all = Generated::default();
    for part in answer.candidates.iter().flat_map(|candidate| &candidate.parts) {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => all.said.push_str(text),
            Part::ToolCall { name, arguments, .. } => {
                all.said.push_str(name);
                all.said.push_str(arguments);
            }
            Part::Reasoning { text, .. } => all.thought.push_str(text),
            Part::Audio(audio) => all.said.push_str(audio.transcript.as_deref().unwrap_or_default()),
            _ => {}
        }
    }
    all
}
