//! Answers of models, whole and as they are generated.

use serde_json::{Map, Value};

use super::chunk::{self, Chunk, Numbering, Piece};
use super::{aside, finish, refusal};
use crate::model::{Answer, Candidate, Delta, FinishReason, Part};
use crate::{DeltaReader, RelayError, Usage};

/// Reads a whole answer.
///
/// # Errors
/// It is none, or is the provider's word that there is none.
pub(super) fn whole(body: Value) -> Result<Answer, RelayError> {
    let body = refusal::unwrapped(body);
    if let Some(error) = body.get("error") {
        return Err(refusal::of_frame(error));
    }
    let mut numbering = Numbering::default();
    let chunk = chunk::read(body, &mut numbering)?;
    let Chunk { id, model, candidates, usage, blocked, aside } = chunk;
    let mut candidates: Vec<(u32, Candidate)> =
        candidates.into_iter().map(|piece| (piece.index, candidate(piece, &mut numbering))).collect();
    candidates.sort_by_key(|(index, _)| *index);
    let mut candidates: Vec<Candidate> = candidates.into_iter().map(|(_, candidate)| candidate).collect();
    if blocked {
        candidates.push(Candidate {
            parts: vec![],
            finish: FinishReason::ContentFilter,
            stop_sequence: None,
            logprobs: None,
        });
    }
    match candidates.first_mut() {
        Some(first) => first.parts.extend(aside::of_response(aside)),
        None => return Err(RelayError::UpstreamGarbage("an answer has no candidate".to_owned())),
    }
    Ok(Answer { id, model, created: 0, candidates, usage, extra: None })
}

fn candidate(piece: Piece, numbering: &mut Numbering) -> Candidate {
    let calls = numbering.of(piece.index).made() > 0;
    let mut parts = piece.parts;
    let word = piece.finish.as_deref().unwrap_or("STOP");
    parts.extend(aside::of_candidate(said_beside(piece.aside, word, calls)));
    Candidate { parts, finish: finish::read(word, calls), stop_sequence: None, logprobs: piece.logprobs }
}

/// With Google's own word for the end where ours says less.
fn said_beside(mut aside: Map<String, Value>, word: &str, calls: bool) -> Map<String, Value> {
    if !finish::is_canonical(word, calls) {
        aside.insert("finishReason".to_owned(), word.into());
    }
    aside
}

/// Reads a streamed answer.
#[derive(Default)]
pub(super) struct Reader {
    begun: bool,
    numbering: Numbering,
    candidates: Vec<Progress>,
    blocked: bool,
    usage: Option<Usage>,
}

/// One candidate so far.
#[derive(Default)]
struct Progress {
    index: u32,
    /// Calls that began.
    calls: u32,
    aside: Map<String, Value>,
    finished: bool,
}

impl DeltaReader for Reader {
    fn read(&mut self, _name: Option<&str>, data: &str) -> Result<Vec<Delta>, RelayError> {
        let body: Value =
            serde_json::from_str(data).map_err(|_| RelayError::UpstreamGarbage("an event is no JSON".to_owned()))?;
        let body = refusal::unwrapped(body);
        if let Some(error) = body.get("error") {
            return Err(refusal::of_frame(error));
        }
        if body.as_object().is_some_and(Map::is_empty) {
            return Ok(vec![]);
        }
        let chunk = chunk::read(body, &mut self.numbering)?;
        let mut deltas = vec![];
        if !self.begun {
            self.begun = true;
            deltas.push(Delta::Begin { id: chunk.id, model: chunk.model, usage: chunk.usage });
        }
        let beside = aside::of_response(chunk.aside.into_iter().filter(|(key, _)| key == "promptFeedback").collect());
        if chunk.blocked && !self.blocked {
            self.blocked = true;
            let finish = FinishReason::ContentFilter;
            deltas.extend(beside.map(|part| Delta::Part { candidate: 0, part }));
            deltas.push(Delta::Finish { candidate: 0, finish, stop_sequence: None });
        }
        for piece in chunk.candidates {
            self.piece(piece, &mut deltas);
        }
        if chunk.usage.is_some() && chunk.usage != self.usage {
            self.usage = chunk.usage;
            deltas.extend(chunk.usage.map(Delta::Usage));
        }
        Ok(deltas)
    }

    fn is_finished(&self) -> bool {
        self.blocked || (!self.candidates.is_empty() && self.candidates.iter().all(|candidate| candidate.finished))
    }
}

impl Reader {
    fn piece(&mut self, piece: Piece, deltas: &mut Vec<Delta>) {
        let at = match self.candidates.iter().position(|known| known.index == piece.index) {
            Some(at) => at,
            None => {
                self.candidates.push(Progress { index: piece.index, ..Progress::default() });
                self.candidates.len() - 1
            }
        };
        let progress = &mut self.candidates[at];
        // Nothing that follows an end can spoil it.
        if progress.finished {
            return;
        }
        let candidate = piece.index;
        piece.parts.into_iter().for_each(|part| progress.part(candidate, part, deltas));
        deltas.extend(piece.logprobs.map(|logprobs| Delta::Logprobs { candidate, logprobs }));
        progress.aside.extend(piece.aside);
        if let Some(word) = piece.finish {
            progress.finished = true;
            let calls = progress.calls > 0;
            let beside = aside::of_candidate(said_beside(std::mem::take(&mut progress.aside), &word, calls));
            deltas.extend(beside.map(|part| Delta::Part { candidate, part }));
            deltas.push(Delta::Finish { candidate, finish: finish::read(&word, calls), stop_sequence: None });
        }
    }
}

impl Progress {
    fn part(&mut self, candidate: u32, part: Part, deltas: &mut Vec<Delta>) {
        match part {
            Part::Text { text, .. } => deltas.push(Delta::Text { candidate, text }),
            Part::Reasoning { text, signature } => {
                deltas.extend((!text.is_empty()).then_some(Delta::Reasoning { candidate, text }));
                deltas.extend(signature.map(|signature| Delta::ReasoningSignature { candidate, signature }));
            }
            Part::ToolCall { id, name, arguments, custom, signature } => {
                let call = self.calls;
                self.calls += 1;
                deltas.push(Delta::ToolCall { candidate, call, id, name, custom, signature });
                deltas.push(Delta::ToolArguments { candidate, call, fragment: arguments });
            }
            part => deltas.push(Delta::Part { candidate, part }),
        }
    }
}
