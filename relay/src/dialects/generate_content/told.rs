//! What a client gets: a whole answer, and the chunks of a streamed one.
//!
//! Google's chunks carry whole calls, so arguments are collected until a call is complete. Thoughts are told only to who
//! asked for them with `includeThoughts`: clients that join the texts of all parts would show them. The last chunk has
//! the ends of all candidates and the usage.

use serde_json::{Map, Value, json};

use super::aside::{self, Aside};
use super::said::{self, Reader};
use super::{finish, logprobs, signature, usage};
use crate::model::{Answer, Audio, Candidate, Delta, FinishReason, Opaque, Part};
use crate::{DeltaWriter, Envelope, RequestBody, ServedEvent, Usage};

/// A whole answer.
pub(super) fn whole(envelope: &Envelope, answer: &Answer, usage: &Usage) -> Value {
    let reader = Reader::Client { thoughts: asked_for_thoughts(&envelope.request) };
    let mut response = Map::new();
    let mut candidates = vec![];
    for (index, candidate) in answer.candidates.iter().enumerate() {
        candidates.extend(whole_candidate(index, candidate, reader, &mut response));
    }
    if !candidates.is_empty() {
        response.insert("candidates".to_owned(), candidates.into());
    }
    close(envelope, Some(usage), response)
}

/// `None` where the prompt was blocked and there is no candidate.
fn whole_candidate(
    index: usize,
    candidate: &Candidate,
    reader: Reader<'_>,
    response: &mut Map<String, Value>,
) -> Option<Value> {
    let mut parts = vec![];
    let mut fields = Map::new();
    for part in &candidate.parts {
        match aside::of_part(part) {
            Some(Aside::Candidate(more)) => fields.extend(more.clone()),
            Some(Aside::Response(more)) => response.extend(more.clone()),
            None => said::push(&mut parts, part, reader),
        }
    }
    if parts.is_empty() && candidate.finish == FinishReason::ContentFilter && is_blocked(response) {
        return None;
    }
    let word = finish::write(&candidate.finish);
    fields.entry("finishReason").or_insert_with(|| word.into());
    let logprobs = candidate.logprobs.as_ref().and_then(logprobs::write);
    fields.extend(logprobs.map(|logprobs| ("logprobsResult".to_owned(), logprobs)));
    Some(of_candidate(index as u64, parts, fields))
}

fn of_candidate(index: u64, parts: Vec<Value>, fields: Map<String, Value>) -> Value {
    let mut candidate = Map::new();
    let content = [("parts".to_owned(), parts.into()), ("role".to_owned(), "model".into())];
    candidate.insert("content".to_owned(), Map::from_iter(content).into());
    candidate.extend(fields);
    candidate.insert("index".to_owned(), index.into());
    candidate.into()
}

fn is_blocked(response: &Map<String, Value>) -> bool {
    response.get("promptFeedback").is_some_and(|feedback| feedback.get("blockReason").is_some())
}

fn asked_for_thoughts(request: &RequestBody) -> bool {
    let get = |map: &Value, camel: &str, snake: &str| map.get(camel).or_else(|| map.get(snake)).cloned();
    let config = request.get("generationConfig").or_else(|| request.get("generation_config"));
    let thinking = config.and_then(|config| get(config, "thinkingConfig", "thinking_config"));
    thinking.and_then(|thinking| get(&thinking, "includeThoughts", "include_thoughts")) == Some(Value::Bool(true))
}

/// A response with what all of them have.
fn close(envelope: &Envelope, usage: Option<&Usage>, mut response: Map<String, Value>) -> Value {
    response.extend(usage.map(|usage| ("usageMetadata".to_owned(), usage::write(usage))));
    response.insert("modelVersion".to_owned(), envelope.model.as_str().into());
    response.insert("responseId".to_owned(), envelope.id.as_str().into());
    response.into()
}

/// Writes a streamed answer.
pub(super) struct Writer {
    envelope: Envelope,
    thoughts: bool,
    candidates: Vec<Progress>,
    /// About the answer as a whole, for the last chunk.
    response: Map<String, Value>,
}

/// One candidate so far.
#[derive(Default)]
struct Progress {
    index: u32,
    /// Calls whose arguments are not complete, by their numbers.
    calls: Vec<(u32, Part)>,
    /// For the last chunk: ratings and the like, and why it ended.
    fields: Map<String, Value>,
    spoke: bool,
    /// The client does not get the words of the thought that is being given.
    hidden: bool,
}

impl Writer {
    pub(super) fn new(envelope: Envelope) -> Self {
        let thoughts = asked_for_thoughts(&envelope.request);
        Self { envelope, thoughts, candidates: vec![], response: Map::new() }
    }

    fn progress(&mut self, index: u32) -> &mut Progress {
        let at = match self.candidates.iter().position(|known| known.index == index) {
            Some(at) => at,
            None => {
                self.candidates.push(Progress { index, ..Progress::default() });
                self.candidates.len() - 1
            }
        };
        &mut self.candidates[at]
    }

    /// A chunk of what one part is, after the calls that came before it.
    fn say(&mut self, candidate: u32, part: &Part) -> Vec<ServedEvent> {
        match aside::of_part(part) {
            Some(Aside::Candidate(fields)) => {
                self.progress(candidate).fields.extend(fields.clone());
                return vec![];
            }
            Some(Aside::Response(fields)) => {
                self.response.extend(fields.clone());
                return vec![];
            }
            None => {}
        }
        let reader = Reader::Client { thoughts: self.thoughts };
        let progress = self.progress(candidate);
        let mut parts = vec![];
        let calls = std::mem::take(&mut progress.calls);
        calls.iter().for_each(|(_, call)| said::push(&mut parts, call, reader));
        said::push(&mut parts, part, reader);
        progress.spoke |= !parts.is_empty();
        self.chunk(candidate, parts)
    }

    fn chunk(&self, candidate: u32, parts: Vec<Value>) -> Vec<ServedEvent> {
        if parts.is_empty() {
            return vec![];
        }
        let candidates = json!([of_candidate(candidate.into(), parts, Map::new())]);
        let response = Map::from_iter([("candidates".to_owned(), candidates)]);
        vec![ServedEvent { name: None, data: close(&self.envelope, None, response) }]
    }

    fn call(&mut self, candidate: u32, call: u32, part: Part) {
        self.progress(candidate).calls.push((call, part));
    }

    fn arguments(&mut self, candidate: u32, call: u32, fragment: &str) {
        let call = self.progress(candidate).calls.iter_mut().find(|(known, _)| *known == call);
        if let Some((_, Part::ToolCall { arguments, .. })) = call {
            arguments.push_str(fragment);
        }
    }

    /// What signs words that the client does not get is not for it either, unless it stands without them.
    fn thought(&mut self, candidate: u32, text: String, signature: Option<Opaque>) -> Vec<ServedEvent> {
        if !self.thoughts {
            let progress = self.progress(candidate);
            progress.hidden |= !text.is_empty();
            if let Some(signature) = &signature
                && std::mem::take(&mut progress.hidden)
                && !signature::stands_alone(signature)
            {
                return vec![];
            }
        }
        self.say(candidate, &Part::Reasoning { text, signature })
    }
}

impl DeltaWriter for Writer {
    fn write(&mut self, delta: Delta) -> Vec<ServedEvent> {
        match delta {
            Delta::Begin { .. } | Delta::Usage(_) | Delta::Citation { .. } => vec![],
            Delta::Text { candidate, text } => self.say(candidate, &Part::text(text)),
            Delta::Refusal { candidate, text } => self.say(candidate, &Part::Refusal(text)),
            Delta::Reasoning { candidate, text } => self.thought(candidate, text, None),
            Delta::ReasoningSignature { candidate, signature } => {
                self.thought(candidate, String::new(), Some(signature))
            }
            Delta::ToolCall { candidate, call, id, name, custom, signature } => {
                self.call(candidate, call, Part::ToolCall { id, name, arguments: String::new(), custom, signature });
                vec![]
            }
            Delta::ToolArguments { candidate, call, fragment } => {
                self.arguments(candidate, call, &fragment);
                vec![]
            }
            Delta::Audio { candidate, audio } => spoken(&audio).map_or(vec![], |part| self.say(candidate, &part)),
            Delta::Logprobs { candidate, logprobs } => {
                let Some(result) = logprobs::write(&logprobs) else { return vec![] };
                let fields = Map::from_iter([("logprobsResult".to_owned(), result)]);
                let candidates = json!([of_candidate(candidate.into(), vec![], fields)]);
                let response = Map::from_iter([("candidates".to_owned(), candidates)]);
                vec![ServedEvent { name: None, data: close(&self.envelope, None, response) }]
            }
            Delta::Part { candidate, part } => self.say(candidate, &part),
            Delta::Finish { candidate, finish, .. } => {
                let word = finish::write(&finish).to_owned();
                self.progress(candidate).fields.entry("finishReason").or_insert_with(|| word.into());
                // The calls that are complete now; the end itself waits for the usage.
                self.say(candidate, &Part::text(""))
            }
        }
    }

    fn end(&mut self, usage: &Usage) -> Vec<ServedEvent> {
        let mut response = std::mem::take(&mut self.response);
        let blocked = is_blocked(&response);
        let ends = std::mem::take(&mut self.candidates).into_iter().filter(|candidate| candidate.spoke || !blocked);
        let ends: Vec<Value> = ends
            .map(|Progress { index, mut fields, .. }| {
                fields.entry("finishReason").or_insert_with(|| "STOP".into());
                // As Google ends a stream itself: with an empty text.
                of_candidate(index.into(), vec![json!({ "text": "" })], fields)
            })
            .collect();
        if !ends.is_empty() {
            response.insert("candidates".to_owned(), ends.into());
        }
        vec![ServedEvent { name: None, data: close(&self.envelope, Some(usage), response) }]
    }
}

/// The bytes of OpenAI's piece of a spoken answer.
fn spoken(audio: &Value) -> Option<Part> {
    let base64 = audio.get("data")?.as_str()?.to_owned();
    Some(Part::Audio(Audio { format: "pcm16".to_owned(), base64, transcript: None, id: None }))
}
