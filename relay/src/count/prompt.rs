//! Counting of questions in the model of all dialects.

use serde_json::Value;

use super::{
    Counter, TOKENS_OF_PRIMING, TOKENS_PER_AUDIO, TOKENS_PER_FILE, TOKENS_PER_IMAGE, TOKENS_PER_MESSAGE,
    TOKENS_PER_SMALL_IMAGE, TOKENS_PER_TOOL,
};
use crate::model::{MediaSource, Message, OutputFormat, Part, Prompt, Tool};

impl Counter<'_> {
    /// A question in the model of all dialects, by the same rules as a request of chat completions.
    pub(super) fn prompt(&mut self, prompt: &Prompt) {
        self.tokens += TOKENS_OF_PRIMING;
        prompt.messages.iter().for_each(|message| self.said(message));
        for tool in &prompt.tools {
            self.tokens += TOKENS_PER_TOOL;
            match tool {
                Tool::Function { name, description, parameters, .. } => {
                    self.text(name);
                    self.text(description.as_deref().unwrap_or_default());
                    self.json(parameters.as_ref().unwrap_or(&Value::Null));
                }
                Tool::Custom { name, description, format } => {
                    self.text(name);
                    self.text(description.as_deref().unwrap_or_default());
                    self.json(format.as_ref().unwrap_or(&Value::Null));
                }
                Tool::Other(opaque) => self.json(&opaque.value),
            }
        }
        if let OutputFormat::Schema { name, schema, .. } = &prompt.format {
            self.text(name);
            self.json(schema);
        }
    }

    fn said(&mut self, message: &Message) {
        self.tokens += TOKENS_PER_MESSAGE;
        self.text(message.name.as_deref().unwrap_or_default());
        message.parts.iter().for_each(|part| self.in_message(part));
    }

    fn in_message(&mut self, part: &Part) {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) | Part::Reasoning { text, .. } => self.text(text),
            Part::Image { detail, .. } if detail.as_deref() == Some("low") => self.flat(TOKENS_PER_SMALL_IMAGE),
            Part::Image { .. } => self.flat(TOKENS_PER_IMAGE),
            Part::Audio(_) => self.flat(TOKENS_PER_AUDIO),
            Part::File { source: MediaSource::Text(text), .. } => self.text(text),
            Part::File { .. } => self.flat(TOKENS_PER_FILE),
            Part::ToolCall { name, arguments, .. } => {
                self.tokens += TOKENS_PER_TOOL;
                self.text(name);
                self.text(arguments);
            }
            Part::ToolResult(outcome) => {
                self.text(&outcome.call_id);
                outcome.content.iter().for_each(|part| self.in_message(part));
            }
            // Nobody knows what it is; it may well be data.
            Part::Other(_) => self.flat(TOKENS_PER_FILE),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::{Basis, Dialect, count_call, count_prompt, dialects};

    fn body(body: Value) -> Map<String, Value> {
        let Value::Object(body) = body else { panic!("a body is an object") };
        body
    }

    #[test]
    fn a_question_counts_the_same_read_as_written() {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let call = json!({"id": "call_1", "type": "function",
            "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}});
        let asked = body(json!({"model": "gpt-4o", "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How is the weather in Paris?"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "It rains."}],
            "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": schema}}]}));
        let written = count_call(Dialect::ChatCompletions, "gpt-4o", &asked).tokens;
        let prompt = dialects::served(Dialect::ChatCompletions).unwrap().read(asked).unwrap();
        let read = count_prompt(&prompt);
        assert_eq!(read.basis, Basis::Counted);
        assert!(read.tokens.abs_diff(written) <= 15, "{} read, {written} written", read.tokens);
    }

    #[test]
    fn pictures_have_their_flat_price_in_every_dialect_and_say_that_it_is_an_estimate() {
        let data = "aGVsbG8=".repeat(100_000);
        let claude = body(json!({"max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": data}}]}]}));
        let gemini = body(json!({"contents": [{"role": "user", "parts": [
            {"inlineData": {"mimeType": "image/png", "data": data}}]}]}));
        for (dialect, asked) in [(Dialect::Messages, claude), (Dialect::GenerateContent, gemini)] {
            let counted = count_call(dialect, "gpt-4o", &asked);
            let expected = TOKENS_PER_IMAGE + TOKENS_PER_MESSAGE + TOKENS_OF_PRIMING;
            assert_eq!((counted.tokens, counted.basis), (expected, Basis::Estimated), "{dialect:?}");
        }
    }

    #[test]
    fn what_is_no_request_of_its_dialect_is_counted_as_the_text_that_it_is() {
        let strange = body(json!({"messages": "Hello world", "max_tokens": 1}));
        assert!(count_call(Dialect::Messages, "gpt-4o", &strange).tokens >= 2);
    }
}
