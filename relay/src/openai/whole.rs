//! Answers that are one JSON document: those that were asked for, and those of servers that do not stream.

use serde_json::{Map, Value, json};

use super::chunk::generated;
use super::{refusal, usage};
use crate::count::Generated;
use crate::{RelayError, Usage};

/// A `chat.completion` object that was judged.
pub(super) struct Document {
    pub(super) body: Map<String, Value>,
    pub(super) usage: Option<Usage>,
    pub(super) generated: Generated,
}

impl Document {
    /// Reads the text of a response.
    ///
    /// # Errors
    /// What an error object means, or [`RelayError::UpstreamGarbage`] if it is no chat completion; a stream where a
    /// document was asked for is none.
    pub(super) fn read(text: &str, secret: Option<&str>) -> Result<Self, RelayError> {
        let garbage = || RelayError::UpstreamGarbage("the answer is not a chat completion".to_owned());
        let Ok(Value::Object(mut body)) = serde_json::from_str(text) else { return Err(garbage()) };
        if let Some(error) = refusal::error_in(&mut body) {
            return Err(refusal::of_frame(error, secret));
        }
        let choices = body.get("choices").and_then(Value::as_array).ok_or_else(garbage)?;
        let mut all = Generated::default();
        for choice in choices {
            let message = choice.get("message").and_then(Value::as_object).ok_or_else(garbage)?;
            all.append(&generated(message));
        }
        let usage = body.get("usage").and_then(usage::read);
        Ok(Self { body, usage, generated: all })
    }

    /// The same answer as a stream tells it: what each choice says, how it ended, and the usage.
    pub(super) fn into_events(mut self) -> String {
        let choices = self.body.get_mut("choices").map(Value::take);
        let report = self.body.remove("usage").unwrap_or_default();
        let mut events = String::new();
        let mut tell = |key: &str, value: Value, envelope: &mut Map<String, Value>| {
            envelope.insert(key.to_owned(), value);
            events.push_str(&format!("data: {}\n\n", Value::Object(envelope.clone())));
        };
        for choice in choices.as_ref().and_then(Value::as_array).into_iter().flatten() {
            let mut said = choice.clone();
            said["finish_reason"] = Value::Null;
            let end = json!({"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]});
            tell("choices", json!([said]), &mut self.body);
            tell("choices", json!([end]), &mut self.body);
        }
        self.body.insert("choices".to_owned(), json!([]));
        tell("usage", report, &mut self.body);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Basis;

    #[test]
    fn everything_that_any_choice_generated_is_counted() {
        let text = json!({"choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Yes. ", "reasoning_content": "Hm."}},
            {"index": 1, "message": {"content": null, "refusal": "No. ", "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 9}});
        let document = Document::read(&text.to_string(), None).unwrap();
        assert_eq!((document.generated.said.as_str(), document.generated.thought.as_str()), ("Yes. No. f{}", "Hm."));
        assert_eq!(document.usage, Some(Usage::new(3, 9, Basis::Reported)));
    }

    #[test]
    fn what_is_no_chat_completion_is_garbage_and_an_error_is_an_error() {
        for text in ["", "data: {}\n\n", "[]", "{}", r#"{"choices": {}}"#, r#"{"choices": [{"text": "old"}]}"#] {
            assert_eq!(Document::read(text, None).err().map(|error| error.code()), Some("upstream_garbage"), "{text}");
        }
        let error = r#"{"object": "error", "message": "no such model", "code": 404}"#;
        assert_eq!(
            Document::read(error, None).err(),
            Some(RelayError::UpstreamRefused {
                status: 404,
                message: "no such model".to_owned(),
                code: Some("404".to_owned()),
                param: None
            })
        );
    }
}
