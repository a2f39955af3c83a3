//! What a client asks of OpenAI's APIs, as far as it concerns the price and the form of the answer.

use relay::{Dialect, RequestBody};
use serde_json::Value;

use crate::{
    problem::Problem,
    served::{Ask, Fields},
};

/// Choices of one answer, at most.
pub(super) const MAX_CHOICES: u64 = 16;

/// A call of `chat/completions`.
pub(super) fn chat(body: RequestBody) -> Result<Ask, Problem> {
    let fields = Fields::of_body(&body);
    let model = fields.text("model")?;
    fields.filled("messages")?;
    let stream = fields.flag("stream")?;
    let options = fields.object(&["stream_options"])?;
    let include_usage = options.flag("include_usage")? && stream;
    let choices = fields.number(&["n"], MAX_CHOICES)?.unwrap_or(1);
    let max_output_tokens = fields.bound(&["max_completion_tokens"])?.or(fields.bound(&["max_tokens"])?);
    Ok(Ask { dialect: Dialect::ChatCompletions, model, stream, include_usage, choices, max_output_tokens, body })
}

/// A call of `responses`.
pub(super) fn responses(body: RequestBody) -> Result<Ask, Problem> {
    let fields = Fields::of_body(&body);
    let model = fields.text("model")?;
    match fields.required("input")? {
        Value::String(_) => {}
        Value::Array(_) => drop(fields.filled("input")?),
        other => return Err(fields.wrong_type("input", "a string or an array", other)),
    }
    fields.refuse("conversation", "conversations are not kept here; go on with `previous_response_id`")?;
    fields.refuse("background", "answers are made while the client waits; use `stream`")?;
    fields.refuse("prompt", "stored prompts are not kept here; send the text as `instructions` and `input`")?;
    let stream = fields.flag("stream")?;
    let max_output_tokens = fields.bound(&["max_output_tokens"])?;
    let dialect = Dialect::Responses;
    Ok(Ask { dialect, model, stream, include_usage: false, choices: 1, max_output_tokens, body })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Read = fn(RequestBody) -> Result<Ask, Problem>;

    fn read(read: Read, base: &Value, extra: &Value) -> Result<Ask, Problem> {
        let mut body = base.as_object().unwrap().clone();
        body.extend(extra.as_object().unwrap().clone());
        read(RequestBody::read(Value::Object(body).to_string().into()).unwrap())
    }

    fn of_chat(extra: &Value) -> Result<Ask, Problem> {
        read(chat, &json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] }), extra)
    }

    fn of_responses(extra: &Value) -> Result<Ask, Problem> {
        read(responses, &json!({ "model": "m", "input": "hi" }), extra)
    }

    fn told(problem: &Problem) -> (Option<&str>, &str) {
        (problem.first_field(), problem.code())
    }

    #[test]
    fn unknown_parameters_are_kept_and_null_counts_as_absent() {
        let nothing =
            json!({ "stream": null, "n": null, "max_tokens": null, "stream_options": null, "future": { "x": 1 } });
        let ask = of_chat(&nothing).ok().unwrap();
        assert_eq!((ask.stream, ask.include_usage, ask.choices, ask.max_output_tokens), (false, false, 1, None));
        assert_eq!(ask.body.tree()["future"], json!({ "x": 1 }));
    }

    #[test]
    fn the_newer_name_of_the_bound_counts_and_a_huge_one_is_none() {
        let bound = |extra: Value| of_chat(&extra).ok().unwrap().max_output_tokens;
        assert_eq!(bound(json!({ "max_tokens": 5 })), Some(5));
        assert_eq!(bound(json!({ "max_tokens": 5, "max_completion_tokens": 7 })), Some(7));
        assert_eq!(bound(json!({ "max_tokens": u64::MAX })), Some(u32::MAX));
    }

    #[test]
    fn the_usage_frame_is_asked_for_by_streams_only() {
        let options = json!({ "include_usage": true });
        assert!(of_chat(&json!({ "stream": true, "stream_options": options })).ok().unwrap().include_usage);
        assert!(!of_chat(&json!({ "stream_options": options })).ok().unwrap().include_usage);
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
            (json!({ "stream_options": { "include_usage": 1 } }), "stream_options.include_usage", "invalid_type"),
            (json!({ "n": 0 }), "n", "invalid_value"),
            (json!({ "n": 17 }), "n", "invalid_value"),
            (json!({ "n": 1.5 }), "n", "invalid_value"),
            (json!({ "n": "2" }), "n", "invalid_type"),
            (json!({ "max_tokens": 0 }), "max_tokens", "invalid_value"),
            (json!({ "max_tokens": -1 }), "max_tokens", "invalid_value"),
            (json!({ "max_completion_tokens": "9" }), "max_completion_tokens", "invalid_type"),
        ];
        for (extra, param, code) in wrong {
            assert_eq!(told(&of_chat(&extra).err().unwrap()), (Some(param), code), "{extra}");
        }
    }

    #[test]
    fn a_response_takes_a_text_or_items_and_no_conversation_that_is_kept_elsewhere() {
        let ask = of_responses(&json!({ "stream": true, "max_output_tokens": 9, "store": false })).ok().unwrap();
        assert_eq!((ask.stream, ask.choices, ask.max_output_tokens), (true, 1, Some(9)));
        assert!(of_responses(&json!({ "input": [{ "role": "user", "content": "hi" }], "background": false })).is_ok());
        let wrong = [
            (json!({ "input": null }), "input", "missing_required_parameter"),
            (json!({ "input": [] }), "input", "empty_array"),
            (json!({ "input": 7 }), "input", "invalid_type"),
            (json!({ "conversation": { "id": "c" } }), "conversation", "unsupported_parameter"),
            (json!({ "background": true }), "background", "unsupported_parameter"),
            (json!({ "max_output_tokens": 0 }), "max_output_tokens", "invalid_value"),
        ];
        for (extra, param, code) in wrong {
            assert_eq!(told(&of_responses(&extra).err().unwrap()), (Some(param), code), "{extra}");
        }
    }
}
