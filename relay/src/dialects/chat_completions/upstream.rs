//! An upstream's answer, whole or in chunks, as the steps of the model.
//!
//! Source: OpenAI, "The chat completion object" and "… chunk object", and what compatible servers do differently, each
//! named where it is read. A whole answer is read as one large step, so that both have the same tolerance.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::choice::Choice;
use super::{answer, refusal, usage};
use crate::model::{Answer, Delta, Gathered, Opaque};
use crate::{DeltaReader, Dialect, RelayError};

const KIND: &str = "chat.completion.chunk";
/// A choice beyond this is a mistake; OpenAI allows 128.
const MAX_CHOICES: u64 = 128;

/// Reads the chunks of one answer.
pub(super) struct Chunks {
    think_tags: bool,
    has_begun: bool,
    is_done: bool,
    choices: BTreeMap<u32, Choice>,
}

impl Chunks {
    pub(super) fn new(think_tags: bool) -> Self {
        Self { think_tags, has_begun: false, is_done: false, choices: BTreeMap::new() }
    }

    fn chunk(&mut self, mut chunk: Map<String, Value>) -> Result<Vec<Delta>, RelayError> {
        if let Some(error) = refusal::error_in(&mut chunk) {
            return Err(refusal::of_frame(error, None));
        }
        let mut reported = usage::of(&chunk);
        let choices = match chunk.get_mut("choices").map(Value::take) {
            Some(Value::Array(choices)) => choices,
            None | Some(Value::Null) if reported.is_some() || chunk.get("object").is_some_and(|kind| kind == KIND) => {
                Vec::new()
            }
            None | Some(Value::Null) => return Err(garbage("a chunk has neither choices nor usage")),
            Some(_) => return Err(garbage("the choices of a chunk are no list")),
        };
        let mut deltas = Vec::new();
        let word = |key: &str| chunk.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let answer_id = word("id");
        // Azure first tells of the prompt, in a chunk of nothing.
        let is_nothing = choices.is_empty() && reported.is_none() && answer_id.is_empty();
        if !self.has_begun && !is_nothing {
            self.has_begun = true;
            deltas.push(Delta::Begin { id: answer_id.clone(), model: word("model"), usage: None });
        }
        for choice in choices {
            let Value::Object(mut choice) = choice else { return Err(garbage("a choice is no object")) };
            // Moonshot reports here.
            reported = choice.shift_remove("usage").as_ref().and_then(usage::read).or(reported);
            self.choice(choice, &answer_id, &mut deltas)?;
        }
        deltas.extend(reported.map(Delta::Usage));
        Ok(deltas)
    }

    fn choice(
        &mut self,
        mut choice: Map<String, Value>,
        answer_id: &str,
        deltas: &mut Vec<Delta>,
    ) -> Result<(), RelayError> {
        if let Some(error) = refusal::error_in(&mut choice) {
            return Err(refusal::of_frame(error, None));
        }
        let index = match choice.get("index") {
            None | Some(Value::Null) => 0,
            Some(index) => index.as_u64().ok_or_else(|| garbage("the index of a choice is no number"))?,
        };
        let candidate = u32::try_from(index).ok().filter(|_| index < MAX_CHOICES);
        let candidate = candidate.ok_or_else(|| garbage("there are too many choices"))?;
        let think_tags = self.think_tags;
        let seen = self.choices.entry(candidate).or_insert_with(|| Choice::new(candidate, think_tags));
        seen.read(choice, answer_id, deltas)
    }
}

impl DeltaReader for Chunks {
    fn read(&mut self, _name: Option<&str>, data: &str) -> Result<Vec<Delta>, RelayError> {
        if data.trim() == "[DONE]" {
            self.is_done = true;
            return Ok(vec![]);
        }
        match serde_json::from_str(data) {
            Ok(Value::Object(chunk)) => self.chunk(chunk),
            _ => Err(garbage("a chunk is not a chat completion")),
        }
    }

    /// Every choice that was seen has its reason to end, or the stream said `[DONE]`. The usage may still follow.
    fn is_finished(&self) -> bool {
        self.is_done || (!self.choices.is_empty() && self.choices.values().all(Choice::is_finished))
    }
}

/// Reads a whole answer.
///
/// # Errors
/// What an error within it means, or [`RelayError::UpstreamGarbage`] if it is no chat completion.
pub(super) fn read_whole(body: Value, think_tags: bool) -> Result<Answer, RelayError> {
    let Value::Object(mut body) = body else { return Err(garbage("the answer is not a chat completion")) };
    if let Some(error) = refusal::error_in(&mut body) {
        return Err(refusal::of_frame(error, None));
    }
    let choices = body.get("choices").and_then(Value::as_array);
    let is_answer = choices.is_some_and(|choices| {
        !choices.is_empty() && choices.iter().all(|choice| choice.get("message").is_some_and(Value::is_object))
    });
    if !is_answer {
        return Err(garbage("the answer is not a chat completion"));
    }
    let passed = answer::PASSED.iter().filter_map(|key| Some(((*key).to_owned(), body.get(*key)?.clone())));
    let extra: Map<String, Value> = passed.filter(|(_, value)| !value.is_null()).collect();
    let created = body.get("created").and_then(Value::as_i64).unwrap_or_default();
    let mut gathered = Gathered::default();
    Chunks::new(think_tags).chunk(body)?.into_iter().for_each(|delta| gathered.take(delta));
    let extra = (!extra.is_empty()).then(|| Opaque { dialect: Dialect::ChatCompletions, value: extra.into() });
    Ok(Answer { created, extra, ..gathered.answer() })
}

pub(super) fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}
