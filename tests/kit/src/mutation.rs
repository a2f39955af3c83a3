//! Requests that are almost right: a valid body with a few values exchanged, removed, doubled, or put where they do not
//! belong, and now and then bytes that are no JSON at all.
//!
//! Promise: the same seed gives the same requests for ever, so what a test found it finds again.

use serde_json::{Map, Value, json};

/// Values are exchanged in so many places of one body, at most.
const MAX_PLACES: usize = 3;
/// One body of so many is spoiled as text.
const SPOILED: u8 = 6;
/// As deep as JSON may be to be read, and far deeper.
const DEEP: usize = 100;
const TOO_DEEP: usize = 10_000;

/// Words that mean something in some dialect: of an item, of an author, of a choice, of an end.
const WORDS: [&str; 42] = [
    "text",
    "input_text",
    "output_text",
    "image",
    "image_url",
    "input_image",
    "input_audio",
    "file",
    "input_file",
    "document",
    "video_url",
    "refusal",
    "thinking",
    "redacted_thinking",
    "reasoning",
    "item_reference",
    "tool_use",
    "tool_result",
    "server_tool_use",
    "function",
    "function_call",
    "function_call_output",
    "custom",
    "custom_tool_call",
    "web_search",
    "mcp",
    "message",
    "system",
    "developer",
    "user",
    "assistant",
    "tool",
    "model",
    "auto",
    "none",
    "required",
    "any",
    "allowed_tools",
    "json_schema",
    "json_object",
    "enabled",
    "base64",
];

/// Makes requests of a valid one.
#[derive(Debug)]
pub struct Mutations(fastrand::Rng);

impl Mutations {
    /// Those of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// The next body like `valid`.
    #[must_use]
    pub fn body(&mut self, valid: &Value) -> Value {
        let mut body = valid.clone();
        for _ in 0..self.0.usize(1..=MAX_PLACES) {
            self.change(&mut body);
        }
        body
    }

    /// The bytes of the next body like `valid`; some are no JSON.
    #[must_use]
    pub fn bytes(&mut self, valid: &Value) -> Vec<u8> {
        let text = self.body(valid).to_string();
        if self.0.u8(..SPOILED) > 0 {
            return text.into_bytes();
        }
        self.spoiled(text)
    }

    fn change(&mut self, body: &mut Value) {
        let mut places = vec![];
        places_in(body, String::new(), &mut places);
        let (Some(at), Some(from)) = (self.0.choice(&places).cloned(), self.0.choice(&places).cloned()) else { return };
        let other = body.pointer(&from).cloned().unwrap_or_default();
        let (parent, key) = at.rsplit_once('/').unwrap_or_default();
        let odd = self.odd();
        match (self.0.u8(..6), body.pointer_mut(parent)) {
            (0, Some(Value::Object(object))) => drop(object.shift_remove(&unescaped(key))),
            (1, Some(Value::Array(items))) if !items.is_empty() => {
                items.extend_from_within(..1);
            }
            (2, Some(Value::Object(object))) => drop(object.insert("future".to_owned(), odd)),
            (3, _) => set(body, &at, other),
            _ => set(body, &at, odd),
        }
    }

    /// A value that nobody expects.
    fn odd(&mut self) -> Value {
        let odd = [
            Value::Null,
            json!(true),
            json!(false),
            json!(0),
            json!(-1),
            json!(0.5),
            json!(-1e308),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(4_294_967_296_u64),
            json!(""),
            json!(" \u{0}\u{feff}\u{202e}\u{fffd}"),
            json!("🦀".repeat(300)),
            json!("{\"a\":"),
            json!("data:image/png;base64,"),
            json!("data:;base64,%%%"),
            json!("http://[::1"),
            json!("carried-e30"),
            json!("[".repeat(TOO_DEEP)),
            json!([]),
            json!([null]),
            json!([[], {}, "", 7]),
            json!({}),
            json!({ "": null, "type": 7 }),
            json!({ "type": "future", "x": { "y": [1] } }),
            json!({ "$ref": "#" }),
            deep(DEEP),
        ];
        match self.0.bool() {
            true => json!(self.0.choice(WORDS).unwrap_or_default()),
            false => self.0.choice(odd).unwrap_or_default(),
        }
    }

    fn spoiled(&mut self, text: String) -> Vec<u8> {
        let mut bytes = text.into_bytes();
        let at = self.0.usize(..bytes.len().max(1));
        match self.0.u8(..7) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, self.0.u8(..)),
            2 => drop(bytes.splice(at..at, *b"\xff\xfe")),
            3 => bytes = String::from_utf8_lossy(&bytes).replacen(':', ":1e400,\"x\":", 1).into_bytes(),
            4 => bytes = String::from_utf8_lossy(&bytes).replacen(':', ":NaN,\"x\":", 1).into_bytes(),
            5 => bytes = ["[".repeat(TOO_DEEP), "]".repeat(TOO_DEEP)].concat().into_bytes(),
            // The same name twice.
            _ => bytes = String::from_utf8_lossy(&bytes).replacen('{', "{\"model\":7,\"model\":null,", 1).into_bytes(),
        }
        bytes
    }
}

/// Lists within lists.
fn deep(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |within, _| Value::Array(vec![within]))
}

/// The places of all values, as JSON pointers.
fn places_in(value: &Value, at: String, places: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            places_in(value, format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), places);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| places_in(value, format!("{at}/{index}"), places));
        }
        _ => {}
    }
    if !at.is_empty() {
        places.push(at);
    }
}

fn unescaped(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

fn set(body: &mut Value, at: &str, value: Value) {
    if let Some(place) = body.pointer_mut(at) {
        *place = value;
    }
}

/// A valid request of each served address that takes JSON, as rich as its documentation; the model is `model`.
///
/// Sources: the API references of OpenAI (platform.openai.com/docs/api-reference), Anthropic (platform.claude.com/docs)
/// and Google (ai.google.dev/api); `rerank` is Cohere's (docs.cohere.com/reference/rerank).
#[must_use]
pub fn valid_requests(model: &str) -> Vec<(String, Value)> {
    let generate = |verb: &str| format!("/v1beta/models/{model}:{verb}");
    vec![
        ("/v1/chat/completions".to_owned(), chat(model)),
        ("/v1/responses".to_owned(), responses(model)),
        ("/v1/completions".to_owned(), completions(model)),
        ("/v1/messages".to_owned(), messages(model)),
        ("/v1/messages/count_tokens".to_owned(), messages(model)),
        (generate("generateContent"), contents()),
        (generate("streamGenerateContent?alt=sse"), contents()),
        (generate("streamGenerateContent"), contents()),
        (generate("countTokens"), contents()),
        (
            "/v1/embeddings".to_owned(),
            json!({ "model": model, "input": ["a", "b"], "encoding_format": "base64", "dimensions": 4, "user": "u" }),
        ),
        ("/v1/moderations".to_owned(), json!({ "model": model, "input": [{ "type": "text", "text": "a" }] })),
        (
            "/v1/rerank".to_owned(),
            json!({ "model": model, "query": "q", "documents": ["a", { "text": "b" }], "top_n": 1 }),
        ),
        (
            "/v1/images/generations".to_owned(),
            json!({ "model": model, "prompt": "p", "n": 1, "size": "1024x1024", "quality": "low" }),
        ),
        (
            "/v1/audio/speech".to_owned(),
            json!({ "model": model, "input": "hi", "voice": "alloy", "speed": 1.5, "response_format": "mp3" }),
        ),
    ]
}

fn schema() -> Value {
    json!({ "type": "object", "properties": { "city": { "type": "string", "enum": ["Paris"] } }, "required": ["city"] })
}

fn chat(model: &str) -> Value {
    let function = json!({ "name": "weather", "description": "d", "parameters": schema(), "strict": true });
    json!({
        "model": model,
        "messages": [
            { "role": "developer", "content": "Be kind.", "name": "n" },
            { "role": "user", "content": [
                { "type": "text", "text": "Hi" },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,aGk=", "detail": "low" } },
                { "type": "input_audio", "input_audio": { "data": "aGk=", "format": "wav" } },
                { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk=" } }] },
            { "role": "assistant", "content": null, "reasoning_content": "hm", "refusal": null, "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "weather", "arguments": "{\"city\":\"Paris\"}" } }] },
            { "role": "tool", "tool_call_id": "c1", "content": [{ "type": "text", "text": "rain" }] },
            { "role": "user", "content": "And now?" }],
        "tools": [{ "type": "function", "function": function },
            { "type": "custom", "custom": { "name": "shell", "format": { "type": "text" } } }],
        "tool_choice": { "type": "function", "function": { "name": "weather" } },
        "parallel_tool_calls": false,
        "response_format": { "type": "json_schema", "json_schema": { "name": "s", "schema": schema(), "strict": true } },
        "stream": true,
        "stream_options": { "include_usage": true },
        "max_completion_tokens": 40,
        "temperature": 0.5, "top_p": 0.9, "n": 1, "seed": 7, "stop": ["x"], "logit_bias": { "50256": -100 },
        "logprobs": true, "top_logprobs": 2, "presence_penalty": 0.1, "frequency_penalty": 0.1,
        "reasoning_effort": "low", "service_tier": "auto", "metadata": { "k": "v" }, "user": "u",
        "prompt_cache_key": "p", "modalities": ["text"], "prediction": { "type": "content", "content": "x" },
    })
}

fn responses(model: &str) -> Value {
    json!({
        "model": model,
        "instructions": "Be kind.",
        "input": [
            { "role": "user", "content": [
                { "type": "input_text", "text": "Hi" },
                { "type": "input_image", "image_url": "data:image/png;base64,aGk=", "detail": "low" },
                { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk=" }] },
            { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "hm" }], "encrypted_content": "e" },
            { "type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{\"city\":\"Paris\"}" },
            { "type": "function_call_output", "call_id": "c1", "output": "rain" },
            { "type": "message", "role": "user", "content": "And now?" }],
        "tools": [{ "type": "function", "name": "weather", "parameters": schema(), "strict": true }, { "type": "web_search" }],
        "tool_choice": { "type": "function", "name": "weather" },
        "text": { "format": { "type": "json_schema", "name": "s", "schema": schema() }, "verbosity": "low" },
        "reasoning": { "effort": "low", "summary": "auto" },
        "include": ["reasoning.encrypted_content"], "store": false, "stream": true, "max_output_tokens": 40,
        "temperature": 0.5, "top_p": 0.9, "parallel_tool_calls": true, "truncation": "auto", "metadata": { "k": "v" },
        "previous_response_id": null, "user": "u", "max_tool_calls": 3, "top_logprobs": 1,
    })
}

fn completions(model: &str) -> Value {
    json!({
        "model": model, "prompt": ["Once"], "max_tokens": 9, "n": 1, "best_of": 1, "echo": true, "logprobs": 2,
        "stream": true, "stream_options": { "include_usage": true }, "stop": "x", "suffix": null, "temperature": 0.5,
    })
}

fn messages(model: &str) -> Value {
    json!({
        "model": model, "max_tokens": 40,
        "system": [{ "type": "text", "text": "Be kind.", "cache_control": { "type": "ephemeral" } }],
        "messages": [
            { "role": "user", "content": [
                { "type": "text", "text": "Hi", "citations": null },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "aGk=" } },
                { "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": "d" }, "title": "t" }] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "hm", "signature": "s" },
                { "type": "redacted_thinking", "data": "d" },
                { "type": "tool_use", "id": "toolu_1", "name": "weather", "input": { "city": "Paris" } }] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "text", "text": "rain" }], "is_error": false }] }],
        "tools": [{ "name": "weather", "description": "d", "input_schema": schema() }, { "type": "web_search_20250305", "name": "web_search" }],
        "tool_choice": { "type": "tool", "name": "weather", "disable_parallel_tool_use": true },
        "thinking": { "type": "enabled", "budget_tokens": 1024 },
        "stream": true, "stop_sequences": ["x"], "temperature": 1, "top_k": 5, "top_p": 0.9,
        "metadata": { "user_id": "u" }, "service_tier": "auto",
    })
}

fn contents() -> Value {
    let call: Map<String, Value> =
        [("functionCall".to_owned(), json!({ "name": "weather", "args": { "city": "Paris" } }))].into_iter().collect();
    json!({
        "systemInstruction": { "parts": [{ "text": "Be kind." }] },
        "contents": [
            { "role": "user", "parts": [{ "text": "Hi" }, { "inlineData": { "mimeType": "image/png", "data": "aGk=" } },
                { "inlineData": { "mimeType": "application/pdf", "data": "aGk=" } }] },
            { "role": "model", "parts": [{ "text": "hm", "thought": true, "thoughtSignature": "cw==" }, call] },
            { "role": "user", "parts": [{ "functionResponse": { "name": "weather", "response": { "result": "rain" } } }] }],
        "tools": [{ "functionDeclarations": [{ "name": "weather", "description": "d", "parameters": schema() }] }, { "googleSearch": {} }],
        "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["weather"] } },
        "safetySettings": [{ "category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE" }],
        "generationConfig": { "maxOutputTokens": 40, "candidateCount": 1, "temperature": 0.5, "topP": 0.9, "topK": 3,
            "stopSequences": ["x"], "responseMimeType": "application/json", "responseSchema": schema(), "seed": 7,
            "thinkingConfig": { "includeThoughts": true, "thinkingBudget": 128 }, "responseLogprobs": true, "logprobs": 2 },
        "cachedContent": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_requests_and_they_differ_from_each_other() {
        let of = |seed| {
            let mut mutations = Mutations::new(seed);
            (0..50).map(|_| mutations.bytes(&chat("m"))).collect::<Vec<_>>()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let different: std::collections::BTreeSet<_> = of(1).into_iter().collect();
        assert!(different.len() > 40, "{}", different.len());
    }
}
