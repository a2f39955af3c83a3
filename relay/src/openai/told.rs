//! A chat completion as our client gets it: under the name of the model that it asked for, with the usage that is
//! charged.

use serde_json::{Map, Value, json};

use crate::{Basis, Envelope, ServedEvent, Usage};

/// What the chunks of one answer have in common.
pub(crate) struct Told {
    envelope: Envelope,
    /// What the last chunk said about the whole answer.
    common: Map<String, Value>,
}

impl Told {
    pub(crate) fn new(envelope: Envelope) -> Self {
        Self { envelope, common: Map::new() }
    }

    pub(crate) fn chunk(&mut self, mut chunk: Value) -> ServedEvent {
        if let Some(fields) = chunk.as_object_mut() {
            fields.insert("model".to_owned(), self.envelope.model.clone().into());
            for name in ["id", "created", "system_fingerprint", "service_tier"] {
                if let Some(value) = fields.get(name).filter(|value| !value.is_null()) {
                    self.common.insert(name.to_owned(), value.clone());
                }
            }
        }
        ServedEvent { name: None, data: chunk }
    }

    /// The frame after the last chunk, only if the client asked for it: clients that read `choices[0]` break on it.
    pub(crate) fn usage(&self, usage: &Usage) -> Option<ServedEvent> {
        if !self.envelope.include_usage {
            return None;
        }
        let mut frame = json!({
            // Of an answer without a single chunk.
            "id": self.envelope.id,
            "object": "chat.completion.chunk",
            "created": self.envelope.created,
            "model": self.envelope.model,
            "choices": [],
            "usage": usage.to_openai(),
        });
        if let Some(fields) = frame.as_object_mut() {
            fields.extend(self.common.clone());
        }
        Some(ServedEvent { name: None, data: frame })
    }
}

/// A whole answer.
pub(crate) fn whole(mut body: Map<String, Value>, envelope: &Envelope, usage: &Usage) -> Value {
    body.insert("model".to_owned(), envelope.model.clone().into());
    // A report that was believed keeps its further details; any other is not what is charged.
    if usage.basis != Basis::Reported || body.get("usage").is_none_or(Value::is_null) {
        body.insert("usage".to_owned(), usage.to_openai());
    }
    body.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(include_usage: bool) -> Envelope {
        Envelope {
            id: "chatcmpl-ours".to_owned(),
            model: "public".to_owned(),
            created: 5,
            input_tokens: 3,
            include_usage,
            request: Map::new(),
        }
    }

    #[test]
    fn every_chunk_bears_the_name_that_was_asked_for_and_the_usage_frame_the_id_of_the_answer() {
        let mut told = Told::new(envelope(true));
        let chunk =
            json!({ "id": "c-1", "created": 7, "model": "upstream-2026", "choices": [], "system_fingerprint": "fp" });
        let chunk = told.chunk(chunk).data;
        assert_eq!((&chunk["model"], &chunk["id"]), (&json!("public"), &json!("c-1")));
        let frame = told.usage(&Usage::new(3, 4, Basis::Reported)).unwrap().data;
        assert_eq!(frame["id"], "c-1");
        assert_eq!(frame["created"], 7);
        assert_eq!(frame["system_fingerprint"], "fp");
        assert_eq!((&frame["model"], &frame["choices"]), (&json!("public"), &json!([])));
        assert_eq!(frame["usage"]["total_tokens"], 7);
    }

    #[test]
    fn the_usage_frame_comes_only_if_it_was_asked_for() {
        assert!(Told::new(envelope(false)).usage(&Usage::new(3, 4, Basis::Reported)).is_none());
        let empty = Told::new(envelope(true)).usage(&Usage::new(3, 0, Basis::Counted)).unwrap().data;
        assert_eq!((&empty["id"], &empty["created"]), (&json!("chatcmpl-ours"), &json!(5)));
    }

    #[test]
    fn a_whole_answer_tells_the_usage_that_is_charged() {
        let report = json!({ "prompt_tokens": 0, "completion_tokens": 7, "extra": true });
        for (basis, told) in
            [(Basis::Reported, report.clone()), (Basis::Counted, Usage::new(3, 4, Basis::Counted).to_openai())]
        {
            let body = json!({ "model": "upstream", "choices": [], "usage": report });
            let body = whole(body.as_object().unwrap().clone(), &envelope(false), &Usage::new(3, 4, basis));
            assert_eq!((&body["model"], &body["usage"]), (&json!("public"), &told));
        }
    }
}
