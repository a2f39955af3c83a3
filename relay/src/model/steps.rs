//! A whole answer told as its steps: for upstreams that answer at once where a stream was asked for.

use serde_json::{Value, json};

use super::{Answer, Candidate, Delta, Part};

impl Answer {
    /// The steps in which a stream would have told it, in the order that [`Delta`] promises.
    #[must_use]
    pub fn into_deltas(self) -> Vec<Delta> {
        let Self { id, model, candidates, usage, .. } = self;
        let mut deltas = vec![Delta::Begin { id, model, usage: None }];
        for (candidate, told) in (0_u32..).zip(candidates) {
            told.tell(candidate, &mut deltas);
        }
        deltas.extend(usage.map(Delta::Usage));
        deltas
    }
}

impl Candidate {
    fn tell(self, candidate: u32, deltas: &mut Vec<Delta>) {
        let mut calls = 0..;
        for part in self.parts {
            match part {
                Part::Text { text, citations, .. } => {
                    deltas.extend(not_empty(text).map(|text| Delta::Text { candidate, text }));
                    deltas.extend(citations.into_iter().map(|citation| Delta::Citation { candidate, citation }));
                }
                Part::Refusal(text) => deltas.extend(not_empty(text).map(|text| Delta::Refusal { candidate, text })),
                Part::Reasoning { text, signature } => {
                    deltas.extend(not_empty(text).map(|text| Delta::Reasoning { candidate, text }));
                    deltas.extend(signature.map(|signature| Delta::ReasoningSignature { candidate, signature }));
                }
                Part::ToolCall { id, name, arguments, custom, signature } => {
                    let call = calls.next().unwrap_or(u32::MAX);
                    deltas.push(Delta::ToolCall { candidate, call, id, name, custom, signature });
                    let fragment = not_empty(arguments);
                    deltas.extend(fragment.map(|fragment| Delta::ToolArguments { candidate, call, fragment }));
                }
                Part::Audio(audio) => {
                    let told = [("id", audio.id), ("transcript", audio.transcript), ("data", Some(audio.base64))];
                    let told = told.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text?))));
                    deltas.push(Delta::Audio { candidate, audio: Value::Object(told.collect()) });
                }
                part => deltas.push(Delta::Part { candidate, part }),
            }
        }
        deltas.extend(self.logprobs.map(|logprobs| Delta::Logprobs { candidate, logprobs }));
        deltas.push(Delta::Finish { candidate, finish: self.finish, stop_sequence: self.stop_sequence });
    }
}

fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FinishReason, Gathered, Opaque};
    use crate::{Basis, Dialect, Usage};

    #[test]
    fn an_answer_told_in_steps_and_gathered_again_is_the_same() {
        let signature = Some(Opaque { dialect: Dialect::Messages, value: json!("s") });
        let call = |id: &str, arguments: &str| Part::ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
            custom: false,
            signature: None,
        };
        let first = Candidate {
            parts: vec![
                Part::Reasoning { text: "Hm.".to_owned(), signature },
                Part::text("Look."),
                call("a", "{\"x\":1}"),
                call("b", "{}"),
            ],
            finish: FinishReason::ToolCalls,
            stop_sequence: None,
            logprobs: Some(json!({"content": []})),
        };
        let second = Candidate {
            parts: vec![Part::Refusal("No.".to_owned())],
            finish: FinishReason::StopSequence,
            stop_sequence: Some("END".to_owned()),
            logprobs: None,
        };
        let answer = Answer {
            id: "x".to_owned(),
            model: "m".to_owned(),
            created: 0,
            candidates: vec![first, second],
            usage: Some(Usage::new(3, 4, Basis::Reported)),
            extra: None,
        };
        let mut gathered = Gathered::default();
        answer.clone().into_deltas().into_iter().for_each(|delta| gathered.take(delta));
        assert!(gathered.answer() == answer);
    }
}
