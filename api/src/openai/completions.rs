//! `POST /v1/completions`: OpenAI's first API, served in terms of chat completions.
//!
//! Source: "Completions (legacy)" of OpenAI's API reference (platform.openai.com/docs/api-reference/completions). The
//! prompt becomes one message of the user; what a chat cannot do, such as filling in before a suffix, is refused by name.

use axum::response::Response;
use relay::Dialect;
use serde_json::{Map, Value, json};

use super::request::MAX_CHOICES;
use crate::{
    problem::Problem,
    served::{Ask, Fields, Incoming, Rewrite, Wire, invalid},
};

/// OpenAI's own bound where the client names none.
const DEFAULT_BOUND: u32 = 16;
/// Alternatives of each token that OpenAI tells here, at most.
const MAX_ALTERNATIVES: u64 = 5;
/// What the request says in words that chat completions do not have.
const REPLACED: [&str; 5] = ["prompt", "echo", "suffix", "best_of", "logprobs"];

/// Goes on with a text.
pub(super) async fn complete(incoming: Incoming) -> Result<Response, Problem> {
    let (ask, texts) = read(incoming.body.into_tree())?;
    incoming.caller.answer(ask, Wire::Rewritten(Box::new(texts))).await
}

fn read(mut body: Map<String, Value>) -> Result<(Ask, Texts), Problem> {
    let fields = Fields::of(&body);
    let model = fields.text("model")?;
    let prompt = prompt(&fields)?;
    fields.refuse("suffix", "chat models do not fill in before a text")?;
    let choices = fields.number(&["n"], MAX_CHOICES)?.unwrap_or(1);
    if fields.number(&["best_of"], MAX_CHOICES)?.is_some_and(|best_of| best_of != choices) {
        return Err(invalid("best_of", "unsupported_parameter", "Unsupported parameter: 'best_of' other than 'n'."));
    }
    let alternatives = logprobs(&fields)?;
    let stream = fields.flag("stream")?;
    let include_usage = fields.object(&["stream_options"])?.flag("include_usage")? && stream;
    let max_output_tokens = Some(fields.bound(&["max_tokens"])?.unwrap_or(DEFAULT_BOUND));
    let echo = fields.flag("echo")?.then(|| prompt.clone());

    REPLACED.iter().for_each(|name| drop(body.remove(*name)));
    body.insert("messages".to_owned(), json!([{ "role": "user", "content": prompt }]));
    if let Some(alternatives) = alternatives {
        body.insert("logprobs".to_owned(), json!(true));
        body.insert("top_logprobs".to_owned(), json!(alternatives));
    }
    let dialect = Dialect::ChatCompletions;
    let body = body.into();
    let ask = Ask { dialect, model, stream, include_usage, choices, max_output_tokens, body };
    Ok((ask, Texts::new(echo, choices)))
}

/// A text, or an array of one.
fn prompt(fields: &Fields<'_>) -> Result<String, Problem> {
    match fields.required("prompt")? {
        Value::String(text) => Ok(text.clone()),
        Value::Array(_) => match fields.filled("prompt")? {
            [Value::String(text)] => Ok(text.clone()),
            [Value::String(_), ..] => Err(invalid(
                "prompt",
                "unsupported_value",
                "Invalid 'prompt': one text at a time is served here; send one request for each.",
            )),
            _ => Err(invalid(
                "prompt",
                "unsupported_value",
                "Invalid 'prompt': texts are served here, ids of tokens are not.",
            )),
        },
        other => Err(fields.wrong_type("prompt", "a string or an array of one string", other)),
    }
}

fn logprobs(fields: &Fields<'_>) -> Result<Option<u64>, Problem> {
    if !fields.has("logprobs") {
        return Ok(None);
    }
    match fields.required("logprobs")?.as_u64() {
        Some(number) if number <= MAX_ALTERNATIVES => Ok(Some(number)),
        _ => Err(invalid(
            "logprobs",
            "invalid_value",
            format!("Invalid 'logprobs': an integer from 0 to {MAX_ALTERNATIVES} is needed."),
        )),
    }
}

/// Writes chat completions as completions of a text.
struct Texts {
    /// What each choice begins with, and how many are still to begin; `None` without `echo`.
    echo: Option<String>,
    /// Which choices of a stream have begun, by their index.
    begun: Vec<bool>,
}

impl Texts {
    fn new(echo: Option<String>, choices: u32) -> Self {
        Self { echo, begun: vec![false; choices as usize] }
    }

    /// What stands before the first text of this choice.
    fn before(&mut self, index: u64) -> &str {
        let begun = usize::try_from(index).ok().and_then(|index| self.begun.get_mut(index));
        let is_first = begun.is_some_and(|begun| !std::mem::replace(begun, true));
        self.echo.as_deref().filter(|_| is_first).unwrap_or_default()
    }

    /// `None` where it says nothing that this API can say.
    fn choice(&mut self, choice: &Value, said: &Value) -> Option<Value> {
        let index = choice["index"].as_u64().unwrap_or_default();
        let text = said["content"].as_str().or_else(|| said["refusal"].as_str()).unwrap_or_default();
        let finish = &choice["finish_reason"];
        if text.is_empty() && finish.is_null() {
            return None;
        }
        let text = format!("{}{text}", self.before(index));
        let logprobs = legacy_logprobs(&choice["logprobs"]["content"]);
        Some(json!({ "index": index, "text": text, "logprobs": logprobs, "finish_reason": finish }))
    }

    fn object(&mut self, mut body: Value, said: &str) -> (Value, bool) {
        let given = body["choices"].take();
        let given = given.as_array().map(Vec::as_slice).unwrap_or_default();
        let choices: Vec<Value> = given.iter().filter_map(|choice| self.choice(choice, &choice[said])).collect();
        // A frame that only tells the usage has no choices.
        let says_something = !choices.is_empty() || given.is_empty();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("object".to_owned(), json!("text_completion"));
            fields.insert("choices".to_owned(), choices.into());
        }
        (body, says_something)
    }
}

impl Rewrite for Texts {
    fn whole(&mut self, body: Value) -> Value {
        self.object(body, "message").0
    }

    fn event(&mut self, data: Value) -> Vec<Value> {
        let (body, says_something) = self.object(data, "delta");
        if says_something { vec![body] } else { vec![] }
    }
}

/// The probabilities of tokens as this API tells them: four lists side by side.
fn legacy_logprobs(tokens: &Value) -> Value {
    let Some(tokens) = tokens.as_array() else { return Value::Null };
    let mut offset = 0;
    let offsets: Vec<usize> = tokens
        .iter()
        .map(|token| {
            let at = offset;
            offset += token["token"].as_str().unwrap_or_default().chars().count();
            at
        })
        .collect();
    let each = |name: &str| tokens.iter().map(|token| token[name].clone()).collect::<Vec<_>>();
    let top = |token: &Value| {
        let alternatives = token["top_logprobs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let named =
            alternatives.iter().filter_map(|other| Some((other["token"].as_str()?.to_owned(), &other["logprob"])));
        named.map(|(name, logprob)| (name, logprob.clone())).collect::<Map<String, Value>>()
    };
    json!({
        "tokens": each("token"),
        "token_logprobs": each("logprob"),
        "top_logprobs": tokens.iter().map(top).collect::<Vec<_>>(),
        "text_offset": offsets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(extra: &Value) -> Result<(Ask, Texts), Problem> {
        let mut body = json!({ "model": "m", "prompt": "Once" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        read(body.as_object().unwrap().clone())
    }

    #[test]
    fn a_prompt_becomes_a_message_and_what_chat_knows_is_passed_on() {
        let (ask, _) =
            of(&json!({ "prompt": ["Once"], "temperature": 0.5, "logprobs": 2, "echo": true })).ok().unwrap();
        assert_eq!(ask.max_output_tokens, Some(16), "OpenAI's own default");
        let body = json!({
            "model": "m", "temperature": 0.5, "logprobs": true, "top_logprobs": 2,
            "messages": [{ "role": "user", "content": "Once" }],
        });
        assert_eq!(Value::Object(ask.body.into_tree()), body);
    }

    #[test]
    fn what_a_chat_cannot_do_is_refused_by_name() {
        let wrong = [
            (json!({ "prompt": null }), "prompt", "missing_required_parameter"),
            (json!({ "prompt": [] }), "prompt", "empty_array"),
            (json!({ "prompt": ["a", "b"] }), "prompt", "unsupported_value"),
            (json!({ "prompt": [1, 2] }), "prompt", "unsupported_value"),
            (json!({ "prompt": [[1, 2]] }), "prompt", "unsupported_value"),
            (json!({ "prompt": {} }), "prompt", "invalid_type"),
            (json!({ "suffix": "end" }), "suffix", "unsupported_parameter"),
            (json!({ "best_of": 3 }), "best_of", "unsupported_parameter"),
            (json!({ "logprobs": 6 }), "logprobs", "invalid_value"),
            (json!({ "max_tokens": 0 }), "max_tokens", "invalid_value"),
            (json!({ "echo": "yes" }), "echo", "invalid_type"),
        ];
        for (extra, param, code) in wrong {
            let problem = of(&extra).err().unwrap();
            assert_eq!((problem.first_field(), problem.code()), (Some(param), code), "{extra}");
        }
        assert!(of(&json!({ "best_of": 2, "n": 2 })).is_ok());
    }

    #[test]
    fn a_whole_answer_is_a_text_after_its_echo() {
        let logprobs = json!({ "content": [
            { "token": " up", "logprob": -0.1, "top_logprobs": [{ "token": " up", "logprob": -0.1 }] },
            { "token": "on", "logprob": -0.2, "top_logprobs": [] },
        ]});
        let choice = |index: u64| {
            json!({ "index": index, "message": { "role": "assistant", "content": " upon" }, "finish_reason": "stop",
                "logprobs": logprobs })
        };
        let body = json!({ "id": "c", "object": "chat.completion", "model": "m", "choices": [choice(0), choice(1)], "usage": {} });
        let told = Texts::new(Some("Once".to_owned()), 2).whole(body);
        assert_eq!(
            (&told["object"], &told["id"], &told["usage"]),
            (&json!("text_completion"), &json!("c"), &json!({}))
        );
        for index in 0..2 {
            let choice = &told["choices"][index];
            assert_eq!((&choice["text"], &choice["finish_reason"]), (&json!("Once upon"), &json!("stop")));
            assert_eq!(choice["logprobs"]["text_offset"], json!([0, 3]));
            assert_eq!(choice["logprobs"]["top_logprobs"], json!([{ " up": -0.1 }, {}]));
        }
    }

    #[test]
    fn a_stream_echoes_once_and_leaves_out_frames_that_say_nothing() {
        let mut texts = Texts::new(Some("Once".to_owned()), 1);
        let chunk = |delta: Value, finish: Value| json!({ "object": "chat.completion.chunk", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] });
        assert!(texts.event(chunk(json!({ "role": "assistant", "content": "" }), Value::Null)).is_empty());
        let told = texts.event(chunk(json!({ "content": " upon" }), Value::Null));
        assert_eq!(told[0]["choices"][0]["text"], "Once upon");
        let told = texts.event(chunk(json!({ "content": " a" }), Value::Null));
        assert_eq!((&told[0]["object"], &told[0]["choices"][0]["text"]), (&json!("text_completion"), &json!(" a")));
        let told = texts.event(chunk(json!({}), json!("stop")));
        assert_eq!(told[0]["choices"][0]["finish_reason"], "stop");
        assert_eq!(
            texts.event(json!({ "choices": [], "usage": { "total_tokens": 3 } }))[0]["usage"]["total_tokens"],
            3
        );
    }
}
