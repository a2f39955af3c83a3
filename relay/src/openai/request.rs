//! What goes upstream: our own questions, and those of the compatible API with what is ours put in its place.

use serde_json::{Map, Value, json};

use crate::ChatRequest;

/// More choices than OpenAI allows are not waited for.
const MAX_CHOICES: u64 = 128;
/// The output bound's two names: OpenAI has renamed it, everybody else knows the old one.
const OLD_BOUND: &str = "max_tokens";
const NEW_BOUND: &str = "max_completion_tokens";

/// One request as it goes upstream. Kept to its end, because a missing usage is counted from it.
pub(super) struct Asked {
    pub(super) body: Map<String, Value>,
}

impl Asked {
    /// A question of our own, always streamed.
    pub(super) fn chat(request: &ChatRequest, is_openai: bool) -> Self {
        let messages = request.turns.iter().map(|turn| json!({"role": turn.role, "content": turn.content}));
        let mut body = Map::new();
        body.insert("messages".to_owned(), messages.collect());
        if let Some(temperature) = request.temperature {
            // By way of its text: 0.2 is to arrive as 0.2 and not as 0.20000000298023224.
            let temperature = temperature.to_string().parse::<f64>().unwrap_or(f64::from(temperature));
            body.insert("temperature".to_owned(), temperature.into());
        }
        if let Some(user) = &request.user_tag {
            body.insert("user".to_owned(), user.as_str().into());
        }
        let (model, max_output_tokens) = (request.model.clone(), request.max_output_tokens);
        Self::completion(model, body, max_output_tokens, true, is_openai)
    }

    /// A client's request with our model, bound and wish for usage.
    pub(super) fn completion(
        model: String,
        mut body: Map<String, Value>,
        max_output_tokens: Option<u32>,
        stream: bool,
        is_openai: bool,
    ) -> Self {
        body.insert("model".to_owned(), model.into());
        body.insert("stream".to_owned(), stream.into());
        let options = body.get_mut("stream_options").map(Value::take).filter(|_| stream);
        body.retain(|key, _| key != "stream_options");
        if stream {
            let mut options = match options {
                Some(Value::Object(options)) => options,
                _ => Map::new(),
            };
            options.insert("include_usage".to_owned(), true.into());
            body.insert("stream_options".to_owned(), options.into());
        }
        set_bound(&mut body, max_output_tokens, is_openai);
        Self { body }
    }

    /// Moves it out, for its last use.
    pub(super) fn take(&mut self) -> Self {
        Self { body: std::mem::take(&mut self.body) }
    }

    /// The upstream's id of the model.
    pub(super) fn model(&self) -> &str {
        self.body.get("model").and_then(Value::as_str).unwrap_or_default()
    }

    /// How many choices are asked for.
    pub(super) fn choices(&self) -> u64 {
        self.body.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, MAX_CHOICES)
    }

    /// Whether the model has no choice but to call a tool. Then OpenAI itself says `stop` at the end of the call.
    pub(super) fn forces_tool(&self) -> bool {
        match self.body.get("tool_choice") {
            Some(Value::String(choice)) => choice == "required",
            Some(choice) => choice.is_object(),
            None => false,
        }
    }
}

/// The output bound under the one name that the server knows: OpenAI refuses the old one for reasoning models.
fn set_bound(body: &mut Map<String, Value>, bound: Option<u32>, is_openai: bool) {
    let sent = |key: &str| body.get(key).filter(|value| !value.is_null()).cloned();
    let (new, old) = (sent(NEW_BOUND), sent(OLD_BOUND));
    let key = if is_openai || new.is_some() { NEW_BOUND } else { OLD_BOUND };
    let value = bound.map(Value::from).or(new).or(old);
    body.retain(|key, _| key != NEW_BOUND && key != OLD_BOUND);
    if let Some(value) = value {
        body.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Role, Turn};

    fn question() -> ChatRequest {
        ChatRequest {
            model: "gpt-4o-mini".to_owned(),
            turns: vec![
                Turn { role: Role::System, content: "Be brief.".to_owned() },
                Turn { role: Role::User, content: "Hello!".to_owned() },
            ],
            max_output_tokens: Some(7),
            temperature: None,
            user_tag: Some("u-1".to_owned()),
        }
    }

    fn completion(body: Value, bound: Option<u32>, stream: bool, is_openai: bool) -> Value {
        let Value::Object(body) = body else { panic!("a body is an object") };
        Asked::completion("up".to_owned(), body, bound, stream, is_openai).body.into()
    }

    #[test]
    fn a_question_asks_for_a_stream_with_usage_and_leaves_out_what_nobody_set() {
        let expected = json!({
            "model": "gpt-4o-mini",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": 7,
            "user": "u-1"
        });
        assert_eq!(Value::from(Asked::chat(&question(), false).body), expected);
    }

    #[test]
    fn a_temperature_arrives_as_it_was_written() {
        let asked = Asked::chat(&ChatRequest { temperature: Some(0.2), ..question() }, false);
        assert_eq!(asked.body["temperature"].to_string(), "0.2");
    }

    #[test]
    fn the_output_bound_has_one_name_and_it_is_the_one_that_the_server_knows() {
        let bound = |body: Value, bound, is_openai| {
            let sent = completion(body, bound, false, is_openai);
            (sent.get("max_tokens").cloned(), sent.get("max_completion_tokens").cloned())
        };
        assert_eq!(bound(json!({}), Some(7), true), (None, Some(json!(7))));
        assert_eq!(bound(json!({"max_tokens": 9}), Some(7), true), (None, Some(json!(7))));
        assert_eq!(bound(json!({"max_tokens": 9}), None, true), (None, Some(json!(9))));
        assert_eq!(bound(json!({}), Some(7), false), (Some(json!(7)), None));
        assert_eq!(bound(json!({"max_tokens": 9}), Some(7), false), (Some(json!(7)), None));
        assert_eq!(bound(json!({"max_completion_tokens": 9}), Some(7), false), (None, Some(json!(7))));
        let both = json!({"max_completion_tokens": 9, "max_tokens": 8});
        assert_eq!(bound(both, Some(7), false), (None, Some(json!(7))));
        assert_eq!(bound(json!({"max_completion_tokens": null, "max_tokens": 8}), None, false), (Some(json!(8)), None));
        assert_eq!(bound(json!({}), None, true), (None, None));
    }

    #[test]
    fn usage_is_always_asked_of_a_stream_and_options_of_a_stream_never_of_a_whole_answer() {
        for options in [json!(null), json!({"include_usage": false}), json!(3)] {
            let sent = completion(json!({"stream_options": options}), None, true, false);
            assert_eq!(sent["stream_options"], json!({"include_usage": true}));
        }
        let other = json!({"stream_options": {"include_obfuscation": false}});
        let sent = completion(other.clone(), None, true, false);
        assert_eq!(sent["stream_options"], json!({"include_obfuscation": false, "include_usage": true}));
        let sent = completion(other, None, false, false);
        assert_eq!((sent.get("stream_options"), &sent["stream"]), (None, &json!(false)));
    }

    #[test]
    fn everything_else_that_a_client_sent_goes_upstream_as_it_is() {
        let mut body = json!({"model": "public", "stream": true, "messages": [{"role": "developer", "content": []}],
            "seed": 9_007_199_254_740_993_u64, "logit_bias": {"50256": -100}, "tools": [{"type": "odd", "x": [1.0]}],
            "something_new": {"deep": [null, "你好"]}, "n": 2, "user": "u", "store": false});
        let sent = completion(body.clone(), None, false, false);
        body["model"] = json!("up");
        body["stream"] = json!(false);
        assert_eq!(sent, body);
    }
}
