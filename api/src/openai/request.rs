//! What a client asks of `chat/completions`: only what concerns us is looked at, the rest is passed on as it is.

use serde_json::{Map, Value};

use super::error::invalid;
use crate::problem::Problem;

/// Choices of one answer, at most.
const MAX_CHOICES: u64 = 16;

/// A call as the client wants it.
pub(super) struct Ask {
    /// As users name it.
    pub(super) model: String,
    pub(super) stream: bool,
    /// The client can read a frame without choices.
    pub(super) include_usage: bool,
    /// How many answers to the same question.
    pub(super) choices: u32,
    /// The client's own bound for each of them.
    pub(super) max_output_tokens: Option<u32>,
    /// Everything that was sent.
    pub(super) body: Map<String, Value>,
}

impl Ask {
    /// Reads the body of a request.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let body: Value = serde_json::from_slice(bytes).map_err(|error| {
            let detail = format!("We could not parse the JSON body of your request: {error}");
            Problem::new(axum::http::StatusCode::BAD_REQUEST, "invalid_json", detail)
        })?;
        let Value::Object(body) = body else {
            let detail = "the body of the request must be a JSON object";
            return Err(Problem::new(axum::http::StatusCode::BAD_REQUEST, "invalid_json", detail));
        };
        let fields = Fields(&body);
        let model = fields.model()?;
        fields.require_messages()?;
        let stream = fields.flag("stream")?;
        let include_usage = stream && fields.include_usage()?;
        let choices = fields.choices()?;
        let bound = fields.bound("max_completion_tokens")?;
        let max_output_tokens = bound.or(fields.bound("max_tokens")?);
        Ok(Self { model, stream, include_usage, choices, max_output_tokens, body })
    }
}

/// Typed looks at a body; `null` counts as absent.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn model(&self) -> Result<String, Problem> {
        match self.get("model") {
            Some(Value::String(model)) if !model.is_empty() => Ok(model.clone()),
            Some(Value::String(_)) | None => Err(missing("model")),
            Some(other) => Err(wrong_type("model", "a string", other)),
        }
    }

    fn require_messages(&self) -> Result<(), Problem> {
        match self.get("messages") {
            Some(Value::Array(messages)) if !messages.is_empty() => Ok(()),
            Some(Value::Array(_)) => {
                Err(invalid("messages", "empty_array", "Invalid 'messages': at least one message is needed."))
            }
            Some(other) => Err(wrong_type("messages", "an array", other)),
            None => Err(missing("messages")),
        }
    }

    fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(wrong_type(name, "a boolean", other)),
        }
    }

    fn include_usage(&self) -> Result<bool, Problem> {
        match self.get("stream_options") {
            None => Ok(false),
            Some(Value::Object(options)) => match options.get("include_usage") {
                None | Some(Value::Null) => Ok(false),
                Some(Value::Bool(flag)) => Ok(*flag),
                Some(other) => Err(wrong_type("stream_options.include_usage", "a boolean", other)),
            },
            Some(other) => Err(wrong_type("stream_options", "an object", other)),
        }
    }

    fn choices(&self) -> Result<u32, Problem> {
        let Some(value) = self.get("n") else { return Ok(1) };
        let number = value.as_u64().filter(|number| (1..=MAX_CHOICES).contains(number));
        match number.and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Ok(number),
            None if value.is_number() => Err(invalid(
                "n",
                "invalid_value",
                format!("Invalid 'n': an integer from 1 to {MAX_CHOICES} is needed."),
            )),
            None => Err(wrong_type("n", "an integer", value)),
        }
    }

    fn bound(&self, name: &str) -> Result<Option<u32>, Problem> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_u64() {
            // More than any model gives is no bound at all.
            Some(tokens @ 1..) => Ok(Some(u32::try_from(tokens).unwrap_or(u32::MAX))),
            _ if value.is_number() => {
                Err(invalid(name, "invalid_value", format!("Invalid '{name}': an integer of at least 1 is needed.")))
            }
            _ => Err(wrong_type(name, "an integer", value)),
        }
    }
}

fn missing(param: &str) -> Problem {
    invalid(param, "missing_required_parameter", format!("Missing required parameter: '{param}'."))
}

fn wrong_type(param: &str, wanted: &str, found: &Value) -> Problem {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    invalid(param, "invalid_type", format!("Invalid type for '{param}': expected {wanted}, but got {found} instead."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<Ask, Problem> {
        Ask::read(body.to_string().as_bytes())
    }

    fn with(extra: &Value) -> Value {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    }

    #[test]
    fn unknown_parameters_are_kept_and_null_counts_as_absent() {
        let nothing =
            json!({ "stream": null, "n": null, "max_tokens": null, "stream_options": null, "future": { "x": 1 } });
        let ask = read(&with(&nothing)).ok().unwrap();
        assert_eq!((ask.stream, ask.include_usage, ask.choices, ask.max_output_tokens), (false, false, 1, None));
        assert_eq!(ask.body["future"], json!({ "x": 1 }));
    }

    #[test]
    fn the_newer_name_of_the_bound_counts_and_a_huge_one_is_none() {
        let ask = |extra: Value| read(&with(&extra)).ok().unwrap().max_output_tokens;
        assert_eq!(ask(json!({ "max_tokens": 5 })), Some(5));
        assert_eq!(ask(json!({ "max_tokens": 5, "max_completion_tokens": 7 })), Some(7));
        assert_eq!(ask(json!({ "max_tokens": u64::MAX })), Some(u32::MAX));
    }

    #[test]
    fn the_usage_frame_is_asked_for_by_streams_only() {
        let options = json!({ "include_usage": true });
        assert!(read(&with(&json!({ "stream": true, "stream_options": options }))).ok().unwrap().include_usage);
        assert!(!read(&with(&json!({ "stream_options": options }))).ok().unwrap().include_usage);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_parameter() {
        let wrong = [
            (json!({ "model": 7 }), "model", "invalid_type"),
            (json!({ "model": "" }), "model", "missing_required_parameter"),
            (json!({ "messages": [] }), "messages", "empty_array"),
            (json!({ "messages": "hi" }), "messages", "invalid_type"),
            (json!({ "messages": null }), "messages", "missing_required_parameter"),
            (json!({ "stream": "yes" }), "stream", "invalid_type"),
            (json!({ "stream": true, "stream_options": [] }), "stream_options", "invalid_type"),
            (json!({ "n": 0 }), "n", "invalid_value"),
            (json!({ "n": 17 }), "n", "invalid_value"),
            (json!({ "n": 1.5 }), "n", "invalid_value"),
            (json!({ "n": "2" }), "n", "invalid_type"),
            (json!({ "max_tokens": 0 }), "max_tokens", "invalid_value"),
            (json!({ "max_tokens": -1 }), "max_tokens", "invalid_value"),
            (json!({ "max_completion_tokens": "9" }), "max_completion_tokens", "invalid_type"),
        ];
        for (extra, param, code) in wrong {
            let problem = read(&with(&extra)).err().unwrap();
            assert_eq!((problem.first_field(), problem.code()), (Some(param), code), "{extra}");
        }
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for body in ["", "{", "[]", "null", "\"text\"", "{} tail"] {
            assert_eq!(Ask::read(body.as_bytes()).err().unwrap().code(), "invalid_json", "{body}");
        }
    }
}
