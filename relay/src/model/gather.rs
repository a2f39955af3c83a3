//! The steps of an answer put together again: for upstreams that only stream, and for readers that tell a whole answer
//! as its steps.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{Answer, Audio, Candidate, Delta, FinishReason, Opaque, Part};
use crate::Usage;

/// An answer so far. Give it the steps in their order; then take the answer.
#[derive(Default)]
pub struct Gathered {
    id: String,
    model: String,
    usage: Option<Usage>,
    candidates: BTreeMap<u32, Gathering>,
}

/// One candidate so far.
#[derive(Default)]
struct Gathering {
    parts: Vec<Part>,
    /// Where the calls are among the parts.
    calls: BTreeMap<u32, usize>,
    spoken: Option<Spoken>,
    finish: Option<FinishReason>,
    stop_sequence: Option<String>,
    logprobs: Option<Value>,
}

/// A spoken answer so far: each step is base64 of its own.
#[derive(Default)]
struct Spoken {
    id: Option<String>,
    transcript: String,
    bytes: Vec<u8>,
}

impl Gathered {
    /// Adds a step.
    pub fn take(&mut self, delta: Delta) {
        match delta {
            Delta::Begin { id, model, usage } => {
                (self.id, self.model) = (id, model);
                self.usage = usage.or(self.usage);
            }
            Delta::Usage(usage) => self.usage = Some(usage),
            Delta::Text { candidate, text } => self.at(candidate).text(text),
            Delta::Citation { candidate, citation } => self.at(candidate).citation(citation),
            Delta::Reasoning { candidate, text } => self.at(candidate).reasoning(text),
            Delta::ReasoningSignature { candidate, signature } => self.at(candidate).signature(signature),
            Delta::Refusal { candidate, text } => self.at(candidate).refusal(text),
            Delta::ToolCall { candidate, call, id, name, custom, signature } => {
                let gathering = self.at(candidate);
                gathering.calls.insert(call, gathering.parts.len());
                let part = Part::ToolCall { id, name, arguments: String::new(), custom, signature };
                gathering.parts.push(part);
            }
            Delta::ToolArguments { candidate, call, fragment } => self.at(candidate).arguments(call, &fragment),
            Delta::Audio { candidate, audio } => self.at(candidate).spoken.get_or_insert_default().take(&audio),
            Delta::Logprobs { candidate, logprobs } => self.at(candidate).logprobs(logprobs),
            Delta::Part { candidate, part } => self.at(candidate).parts.push(part),
            Delta::Finish { candidate, finish, stop_sequence } => {
                let gathering = self.at(candidate);
                gathering.finish = Some(finish);
                gathering.stop_sequence = stop_sequence;
            }
        }
    }

    fn at(&mut self, candidate: u32) -> &mut Gathering {
        self.candidates.entry(candidate).or_default()
    }

    /// The whole answer: at least one candidate, arguments of calls at least `{}`, [`FinishReason::Stop`] where no step
    /// said why a candidate ended.
    #[must_use]
    pub fn answer(mut self) -> Answer {
        self.at(0);
        Answer {
            id: self.id,
            model: self.model,
            created: 0,
            candidates: self.candidates.into_values().map(Gathering::candidate).collect(),
            usage: self.usage,
            extra: None,
        }
    }
}

impl Gathering {
    fn text(&mut self, more: String) {
        match self.parts.last_mut() {
            Some(Part::Text { text, citations, .. }) if citations.is_empty() => text.push_str(&more),
            _ => self.parts.push(Part::text(more)),
        }
    }

    fn citation(&mut self, citation: Opaque) {
        match self.parts.last_mut() {
            Some(Part::Text { citations, .. }) => citations.push(citation),
            _ => self.parts.push(Part::Text { text: String::new(), citations: vec![citation], cache: None }),
        }
    }

    fn reasoning(&mut self, more: String) {
        match self.parts.last_mut() {
            Some(Part::Reasoning { text, signature: None }) => text.push_str(&more),
            _ => self.parts.push(Part::Reasoning { text: more, signature: None }),
        }
    }

    fn signature(&mut self, signed: Opaque) {
        match self.parts.last_mut() {
            Some(Part::Reasoning { signature: signature @ None, .. }) => *signature = Some(signed),
            _ => self.parts.push(Part::Reasoning { text: String::new(), signature: Some(signed) }),
        }
    }

    fn refusal(&mut self, more: String) {
        match self.parts.last_mut() {
            Some(Part::Refusal(text)) => text.push_str(&more),
            _ => self.parts.push(Part::Refusal(more)),
        }
    }

    fn arguments(&mut self, call: u32, fragment: &str) {
        let part = self.calls.get(&call).and_then(|at| self.parts.get_mut(*at));
        if let Some(Part::ToolCall { arguments, .. }) = part {
            arguments.push_str(fragment);
        }
    }

    /// The lists within OpenAI's object grow; everything else is as last said.
    fn logprobs(&mut self, more: Value) {
        let (Some(Value::Object(so_far)), Value::Object(more)) = (&mut self.logprobs, &more) else {
            self.logprobs = Some(more);
            return;
        };
        for (key, value) in more {
            match (so_far.get_mut(key), value) {
                (Some(Value::Array(list)), Value::Array(more)) => list.extend(more.iter().cloned()),
                (Some(Value::Array(_)), _) => {}
                _ => drop(so_far.insert(key.clone(), value.clone())),
            }
        }
    }

    fn candidate(mut self) -> Candidate {
        for part in &mut self.parts {
            if let Part::ToolCall { arguments, custom: false, .. } = part
                && arguments.trim().is_empty()
            {
                "{}".clone_into(arguments);
            }
        }
        self.parts.extend(self.spoken.map(Spoken::part));
        Candidate {
            parts: self.parts,
            finish: self.finish.unwrap_or(FinishReason::Stop),
            stop_sequence: self.stop_sequence,
            logprobs: self.logprobs,
        }
    }
}

impl Spoken {
    fn take(&mut self, audio: &Value) {
        let text = |key: &str| audio.get(key).and_then(Value::as_str);
        if let Some(id) = text("id") {
            self.id = Some(id.to_owned());
        }
        self.transcript.push_str(text("transcript").unwrap_or_default());
        self.bytes.extend(STANDARD.decode(text("data").unwrap_or_default()).unwrap_or_default());
    }

    fn part(self) -> Part {
        Part::Audio(Audio {
            format: String::new(),
            base64: STANDARD.encode(self.bytes),
            transcript: Some(self.transcript).filter(|text| !text.is_empty()),
            id: self.id,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Basis, Dialect};

    fn gathered(deltas: impl IntoIterator<Item = Delta>) -> Answer {
        let mut gathered = Gathered::default();
        deltas.into_iter().for_each(|delta| gathered.take(delta));
        gathered.answer()
    }

    fn signature(text: &str) -> Opaque {
        Opaque { dialect: Dialect::Messages, value: json!(text) }
    }

    #[test]
    fn fragments_become_the_parts_that_a_whole_answer_has() {
        let reasoning = |text: &str| Delta::Reasoning { candidate: 0, text: text.to_owned() };
        let text = |text: &str| Delta::Text { candidate: 0, text: text.to_owned() };
        let call = |call, id: &str| Delta::ToolCall {
            candidate: 0,
            call,
            id: id.to_owned(),
            name: "f".to_owned(),
            custom: false,
            signature: None,
        };
        let fragment = |call, text: &str| Delta::ToolArguments { candidate: 0, call, fragment: text.to_owned() };
        let answer = gathered([
            Delta::Begin { id: "a".to_owned(), model: "m".to_owned(), usage: None },
            reasoning("Hm"),
            reasoning("."),
            Delta::ReasoningSignature { candidate: 0, signature: signature("s1") },
            Delta::ReasoningSignature { candidate: 0, signature: signature("s2") },
            text("He"),
            text("llo"),
            call(0, "x"),
            fragment(0, "{\"a\""),
            call(1, "y"),
            fragment(0, ":1}"),
            Delta::Finish { candidate: 0, finish: FinishReason::ToolCalls, stop_sequence: None },
            Delta::Usage(Usage::new(3, 4, Basis::Reported)),
        ]);
        let tool = |id: &str, arguments: &str| Part::ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
            custom: false,
            signature: None,
        };
        let parts = vec![
            Part::Reasoning { text: "Hm.".to_owned(), signature: Some(signature("s1")) },
            Part::Reasoning { text: String::new(), signature: Some(signature("s2")) },
            Part::text("Hello"),
            tool("x", "{\"a\":1}"),
            tool("y", "{}"),
        ];
        assert!(answer.candidates.len() == 1 && answer.candidates[0].parts == parts);
        assert_eq!((answer.id.as_str(), answer.candidates[0].finish.clone()), ("a", FinishReason::ToolCalls));
        assert_eq!(answer.usage, Some(Usage::new(3, 4, Basis::Reported)));
    }

    #[test]
    fn spoken_pieces_are_decoded_one_by_one_and_probabilities_grow() {
        let audio = |audio: Value| Delta::Audio { candidate: 0, audio };
        let logprobs = |token: &str| Delta::Logprobs { candidate: 0, logprobs: json!({"content": [{"token": token}]}) };
        let answer = gathered([
            audio(json!({"id": "audio_1", "transcript": "Hi"})),
            audio(json!({"data": "aA=="})),
            audio(json!({"data": "aQ==", "transcript": "!"})),
            logprobs("a"),
            logprobs("b"),
        ]);
        let spoken = Audio {
            format: String::new(),
            base64: "aGk=".to_owned(),
            transcript: Some("Hi!".to_owned()),
            id: Some("audio_1".to_owned()),
        };
        assert!(answer.candidates[0].parts == [Part::Audio(spoken)]);
        assert_eq!(answer.candidates[0].logprobs, Some(json!({"content": [{"token": "a"}, {"token": "b"}]})));
    }

    #[test]
    fn an_answer_of_nothing_has_one_candidate() {
        let answer = gathered([]);
        assert!(answer.candidates.len() == 1 && answer.candidates[0].parts.is_empty());
    }
}
