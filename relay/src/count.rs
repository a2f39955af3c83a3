//! Token counts: before a call, to know what it may cost, and after one whose provider reports none.
//!
//! Models that the tokenizer library knows are counted exactly; others are estimated with the newest public
//! vocabulary. The conversation format adds a few tokens a message, as OpenAI's guide on counting describes. Images,
//! audio and files are flat estimates: what they cost is in their content, not in the length of their encoding.

mod prompt;

use serde_json::{Map, Value};
use tiktoken_rs::{CoreBPE, bpe_for_model, o200k_base_singleton};

use crate::model::Prompt;
use crate::{Basis, Counted, Dialect, Turn, Usage, dialects};

/// Tokens that the conversation format adds to each message, its role included.
const TOKENS_PER_MESSAGE: u64 = 4;
/// Tokens that open the answer.
const TOKENS_OF_PRIMING: u64 = 3;
/// Tokens that the format adds to a tool, and to a call of one.
const TOKENS_PER_TOOL: u64 = 8;
/// An image in full detail: the largest that OpenAI's guide on vision gives for gpt-4o.
const TOKENS_PER_IMAGE: u64 = 1_445;
/// An image whose `detail` is `low`, by the same guide.
const TOKENS_PER_SMALL_IMAGE: u64 = 85;
/// A recording of two minutes at OpenAI's ten tokens a second.
const TOKENS_PER_AUDIO: u64 = 1_200;
/// A document of about six pages.
const TOKENS_PER_FILE: u64 = 5_000;
/// Text beyond this is estimated by its length: counting 1 MiB takes about a tenth of a second.
const MAX_COUNTED_BYTES: usize = 4 * 1024 * 1024;
/// Bytes a token in running text, about the same for English and for Chinese in UTF-8.
const BYTES_PER_TOKEN: u64 = 4;

/// The input tokens of a request with this body: messages, tools and the answer's format.
///
/// An image counts as 1,445 tokens (85 in low detail), audio as 1,200, a file as 5,000. Never fails: what cannot be
/// read as its dialect is counted as the text that it is. Takes milliseconds for a long conversation, and some
/// hundred at the first call, when the vocabulary is built: call it off the async threads.
#[must_use]
pub fn count_call(dialect: Dialect, model: &str, body: &Map<String, Value>) -> Counted {
    let mut counter = Counter::of(model);
    counter.call(dialect, body);
    Counted { tokens: counter.tokens, basis: counter.basis }
}

/// The tokens of bare texts, without the form of a conversation. Call it off the async threads, as [`count_call`].
#[must_use]
pub fn count_texts(model: &str, texts: &[String]) -> Counted {
    let mut counter = Counter::of(model);
    texts.iter().for_each(|text| counter.text(text));
    Counted { tokens: counter.tokens, basis: counter.basis }
}

/// The input tokens of a conversation. Call it off the async threads, as [`count_call`].
#[must_use]
pub fn count_turns(model: &str, turns: &[Turn]) -> u64 {
    let mut counter = Counter::of(model);
    counter.tokens += turns.len() as u64 * TOKENS_PER_MESSAGE + TOKENS_OF_PRIMING;
    turns.iter().for_each(|turn| counter.text(&turn.content));
    counter.tokens
}

/// Everything that a model generated for one request, all choices together.
#[derive(Debug, Default, Clone)]
pub(crate) struct Generated {
    /// Text, refusals, names and arguments of tool calls.
    pub(crate) said: String,
    /// Reasoning.
    pub(crate) thought: String,
}

impl Generated {
    /// Adds a piece.
    pub(crate) fn add(&mut self, text: &str, is_thought: bool) {
        if is_thought { &mut self.thought } else { &mut self.said }.push_str(text);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.said.len() + self.thought.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// How far it has come; see [`Self::cut`].
    pub(crate) fn lengths(&self) -> (usize, usize) {
        (self.said.len(), self.thought.len())
    }

    /// Forgets what came after [`Self::lengths`] were these.
    pub(crate) fn cut(&mut self, (said, thought): (usize, usize)) {
        self.said.truncate(said);
        self.thought.truncate(thought);
    }
}

/// What a request and its answer would be in tokens of `model`. Call it off the async threads.
pub(crate) fn count(dialect: Dialect, model: &str, body: &Map<String, Value>, generated: &Generated) -> Usage {
    Counter::of(model).usage(generated, |counter| counter.call(dialect, body))
}

/// The same for a question in the model of all dialects.
pub(crate) fn count_prompt_and_answer(prompt: &Prompt, generated: &Generated) -> Usage {
    Counter::of(&prompt.model).usage(generated, |counter| counter.prompt(prompt))
}

/// The input tokens of a question. Call it off the async threads, as [`count_call`].
#[must_use]
pub fn count_prompt(prompt: &Prompt) -> Counted {
    let mut counter = Counter::of(&prompt.model);
    counter.prompt(prompt);
    Counted { tokens: counter.tokens, basis: counter.basis }
}

/// A request in the model of all dialects, if it can be read.
pub(crate) fn read_prompt(dialect: Dialect, model: &str, body: &Map<String, Value>) -> Option<Prompt> {
    let mut body = body.clone();
    body.insert("model".to_owned(), model.into());
    dialects::served(dialect).ok()?.read(body).ok()
}

/// A sum of tokens.
struct Counter<'m> {
    model: &'m str,
    vocabulary: &'static CoreBPE,
    basis: Basis,
    /// Bytes that may still be counted one by one.
    budget: usize,
    tokens: u64,
}

impl<'m> Counter<'m> {
    fn of(model: &'m str) -> Self {
        let (vocabulary, basis) = match bpe_for_model(model) {
            Ok(vocabulary) => (vocabulary, Basis::Counted),
            Err(_) => (o200k_base_singleton(), Basis::Estimated),
        };
        Self { model, vocabulary, basis, budget: MAX_COUNTED_BYTES, tokens: 0 }
    }

    fn usage(mut self, generated: &Generated, question: impl FnOnce(&mut Self)) -> Usage {
        // The answer first: where there is too much to count, the estimate falls on the input.
        self.text(&generated.thought);
        let reasoning = self.tokens;
        self.text(&generated.said);
        let output = std::mem::take(&mut self.tokens);
        question(&mut self);
        Usage::new(self.tokens, output, self.basis).with_parts(0, reasoning)
    }

    /// A request in any dialect; what cannot be read is counted as the text that it is.
    fn call(&mut self, dialect: Dialect, body: &Map<String, Value>) {
        if dialect == Dialect::ChatCompletions {
            return self.request(body);
        }
        match read_prompt(dialect, self.model, body) {
            Some(prompt) => self.prompt(&prompt),
            None => body.values().for_each(|value| self.json(value)),
        }
    }

    fn text(&mut self, text: &str) {
        self.tokens += match self.budget.checked_sub(text.len()) {
            Some(rest) => {
                self.budget = rest;
                self.vocabulary.count_ordinary(text) as u64
            }
            None => {
                self.basis = Basis::Estimated;
                (text.len() as u64).div_ceil(BYTES_PER_TOKEN)
            }
        };
    }

    fn flat(&mut self, tokens: u64) {
        self.basis = Basis::Estimated;
        self.tokens += tokens;
    }

    fn request(&mut self, body: &Map<String, Value>) {
        self.tokens += TOKENS_OF_PRIMING;
        items(body.get("messages")).for_each(|message| self.message(message));
        for tool in items(body.get("tools")).chain(items(body.get("functions"))) {
            self.tokens += TOKENS_PER_TOOL;
            self.json(tool.get("function").unwrap_or(tool));
        }
        if let Some(format) = body.get("response_format").and_then(|format| format.get("json_schema")) {
            self.json(format);
        }
    }

    fn message(&mut self, message: &Value) {
        self.tokens += TOKENS_PER_MESSAGE;
        let Value::Object(message) = message else { return self.json(message) };
        match message.get("content") {
            Some(Value::Array(parts)) => parts.iter().for_each(|part| self.part(part)),
            Some(content) => self.json(content),
            None => {}
        }
        for key in ["name", "tool_call_id", "refusal", "reasoning_content", "reasoning"] {
            self.json(message.get(key).unwrap_or(&Value::Null));
        }
        for call in items(message.get("tool_calls")).chain(message.get("function_call")) {
            self.tokens += TOKENS_PER_TOOL;
            self.json(call.get("function").or_else(|| call.get("custom")).unwrap_or(call));
        }
    }

    fn part(&mut self, part: &Value) {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        let low = || part.pointer("/image_url/detail").and_then(Value::as_str) == Some("low");
        match kind {
            "image_url" if low() => self.flat(TOKENS_PER_SMALL_IMAGE),
            "image_url" | "input_image" => self.flat(TOKENS_PER_IMAGE),
            "input_audio" | "audio" => self.flat(TOKENS_PER_AUDIO),
            "file" | "input_file" => self.flat(TOKENS_PER_FILE),
            _ => match part.get("text").or_else(|| part.get("refusal")) {
                Some(text) => self.json(text),
                // Nobody knows what it is; it may well be data.
                None if !part.is_string() => self.flat(TOKENS_PER_FILE),
                None => self.json(part),
            },
        }
    }

    /// A string as its text, anything else as it is written.
    fn json(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::String(text) => self.text(text),
            other => self.text(&other.to_string()),
        }
    }
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;
    use crate::Role;

    fn count_request(model: &str, body: &Map<String, Value>) -> u64 {
        count_call(Dialect::ChatCompletions, model, body).tokens
    }

    fn body(body: Value) -> Map<String, Value> {
        let Value::Object(body) = body else { panic!("a body is an object") };
        body
    }

    fn asks(content: Value) -> Map<String, Value> {
        let message = Map::from_iter([("role".to_owned(), "user".into()), ("content".to_owned(), content)]);
        Map::from_iter([("messages".to_owned(), vec![Value::Object(message)].into())])
    }

    fn says(said: &str) -> Generated {
        Generated { said: said.to_owned(), thought: String::new() }
    }

    #[test]
    fn a_known_model_is_counted_with_its_own_vocabulary() {
        let usage =
            count(Dialect::ChatCompletions, "gpt-4o-mini", &asks(json!("Hello world")), &says("Hello world, hello"));
        assert_eq!(usage, Usage::new(2 + 7, 4, Basis::Counted));
    }

    /// What OpenAI reports for the examples in its own API description.
    #[test]
    fn the_examples_of_openai_cost_what_openai_says() {
        let hello = json!({"messages": [{"role": "developer", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Hello!"}]});
        assert_eq!(count_request("gpt-4o", &body(hello)), 19);
        let tools = serde_json::from_str(include_str!("../tests/fixtures/openai_tools_request.json")).unwrap();
        let counted = count_request("gpt-4o-mini", &tools);
        assert!((82..=110).contains(&counted), "{counted} where OpenAI reports 82");
    }

    #[test]
    fn an_unknown_model_is_an_estimate() {
        let usage = count(Dialect::ChatCompletions, "someone/elses-model", &asks(json!("Hello world")), &says("你好"));
        assert_eq!((usage.basis, usage.input_tokens), (Basis::Estimated, 9));
        assert!((1..=4).contains(&usage.output_tokens));
    }

    #[test]
    fn turns_and_the_same_messages_count_the_same() {
        let turns = [Turn { role: Role::User, content: "Hello world".to_owned() }];
        assert_eq!(count_turns("gpt-4o", &turns), count_request("gpt-4o", &asks(json!("Hello world"))));
    }

    #[test]
    fn reasoning_is_a_part_of_the_output() {
        let generated = Generated { said: "Hello world".to_owned(), thought: "Hello world, hello".to_owned() };
        let usage = count(Dialect::ChatCompletions, "gpt-4o", &Map::new(), &generated);
        assert_eq!((usage.output_tokens, usage.reasoning_tokens), (6, 4));
    }

    #[test]
    fn text_parts_count_as_the_text_that_they_hold() {
        let parts = asks(json!([{"type": "text", "text": "Hello"}, {"type": "text", "text": " world"}]));
        assert_eq!(count_request("gpt-4o", &parts), count_request("gpt-4o", &asks(json!("Hello world"))));
    }

    #[test]
    fn images_audio_and_files_have_flat_prices_and_their_data_is_not_read() {
        let data = format!("data:image/png;base64,{}", "iVBORw0K".repeat(1_000_000));
        let image = json!({"type": "image_url", "image_url": {"url": data}});
        let started = Instant::now();
        assert_eq!(count_request("gpt-4o", &asks(json!([image]))), 7 + TOKENS_PER_IMAGE);
        let small = json!({"type": "image_url", "image_url": {"url": data, "detail": "low"}});
        assert_eq!(count_request("gpt-4o", &asks(json!([small]))), 7 + TOKENS_PER_SMALL_IMAGE);
        let audio = json!({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}});
        assert_eq!(count_request("gpt-4o", &asks(json!([audio]))), 7 + TOKENS_PER_AUDIO);
        let file = json!({"type": "file", "file": {"file_data": data}});
        assert_eq!(count_request("gpt-4o", &asks(json!([file]))), 7 + TOKENS_PER_FILE);
        assert!(started.elapsed() < Duration::from_secs(5), "the data was tokenized");
        let usage = count(Dialect::ChatCompletions, "gpt-4o", &asks(json!([small])), &says("x"));
        assert_eq!(usage.basis, Basis::Estimated, "a flat price is no count");
    }

    #[test]
    fn tools_their_calls_and_the_format_of_the_answer_are_input() {
        let plain = body(json!({"messages": []}));
        let tool = json!({"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}});
        let with = |key: &str, value: Value| {
            let mut body = plain.clone();
            body.insert(key.to_owned(), value);
            count_request("gpt-4o", &body)
        };
        let nothing = count_request("gpt-4o", &plain);
        assert!(with("tools", json!([tool])) > nothing + TOKENS_PER_TOOL + 5);
        assert!(with("functions", json!([tool["function"]])) > nothing + TOKENS_PER_TOOL + 5);
        let schema = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}});
        assert!(with("response_format", schema) > nothing + 5);
        let call = json!({"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}});
        let said = json!([{"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "It rains in Oslo"}]);
        assert!(with("messages", said) > nothing + 2 * TOKENS_PER_MESSAGE + TOKENS_PER_TOOL + 8);
    }

    #[test]
    fn a_body_that_is_no_request_is_counted_without_a_complaint() {
        for strange in [json!({"messages": 7}), json!({"messages": [7, null, ["x"]], "tools": [null, 3]}), json!({})] {
            assert!(count_request("gpt-4o", &body(strange)) >= TOKENS_OF_PRIMING);
        }
        assert!(count_request("gpt-4o", &asks(json!({"odd": "text"}))) > 7);
        assert!(count_request("gpt-4o", &asks(json!(["text", {"type": "odd"}]))) > 7);
    }

    #[test]
    fn a_text_that_looks_like_a_control_token_is_counted_as_text() {
        assert!(count_request("gpt-4o", &asks(json!("<|endoftext|>"))) > 1 + 7);
    }

    #[test]
    fn bare_texts_are_counted_without_any_form() {
        let counted = count_texts("text-embedding-3-small", &["hello world".to_owned(), "hello".to_owned()]);
        assert_eq!((counted.tokens, counted.basis), (3, Basis::Counted));
        assert_eq!(count_texts("jina-embeddings-v4", &[]).basis, Basis::Estimated);
    }

    #[test]
    fn a_huge_text_is_estimated_by_its_length() {
        let usage =
            count(Dialect::ChatCompletions, "gpt-4o", &asks(json!("a".repeat(MAX_COUNTED_BYTES))), &says("four"));
        assert_eq!((usage.basis, usage.output_tokens), (Basis::Estimated, 1));
        assert_eq!(usage.input_tokens, 7 + MAX_COUNTED_BYTES as u64 / BYTES_PER_TOKEN);
    }

    #[test]
    fn a_text_without_any_space_takes_no_longer_than_others() {
        let started = Instant::now();
        assert!(count_request("gpt-4o", &asks(json!("a".repeat(1_000_000)))) > 1_000);
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
