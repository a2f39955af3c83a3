//! `POST /v1/messages` and `POST /v1/messages/count_tokens`.
//!
//! Source: "Messages" and "Count tokens in a Message" of Anthropic's API documentation (platform.claude.com/docs/en/api).

use axum::{Json, response::Response};
use relay::{Dialect, RequestBody};
use serde_json::{Value, json};

use crate::{
    problem::Problem,
    served::{Ask, Fields, Incoming, Wire},
};

/// Answers a conversation.
pub(super) async fn create(incoming: Incoming) -> Result<Response, Problem> {
    incoming.caller.answer(read(incoming.body)?, Wire::Pinging).await
}

/// What the conversation would be in tokens; costs nothing.
pub(super) async fn count_tokens(incoming: Incoming) -> Result<Json<Value>, Problem> {
    let model = conversation(&Fields::of_body(&incoming.body))?;
    let tokens = incoming.caller.count(Dialect::Messages, &model, incoming.body).await?;
    Ok(Json(json!({ "input_tokens": tokens })))
}

fn read(body: RequestBody) -> Result<Ask, Problem> {
    let fields = Fields::of_body(&body);
    let model = conversation(&fields)?;
    let max_output_tokens = Some(fields.required_bound("max_tokens")?);
    let stream = fields.flag("stream")?;
    Ok(Ask { dialect: Dialect::Messages, model, stream, include_usage: false, choices: 1, max_output_tokens, body })
}

/// The model of a conversation that has messages.
fn conversation(fields: &Fields<'_>) -> Result<String, Problem> {
    let model = fields.text("model")?;
    fields.filled("messages")?;
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(extra: &Value) -> Result<Ask, Problem> {
        let body = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
        let mut body = body.as_object().unwrap().clone();
        body.extend(extra.as_object().unwrap().clone());
        read(RequestBody::read(Value::Object(body).to_string().into()).unwrap())
    }

    #[test]
    fn a_message_needs_a_bound_and_keeps_what_nobody_knows() {
        let ask = of(&json!({ "stream": true, "future": 1 })).ok().unwrap();
        assert_eq!((ask.stream, ask.max_output_tokens, &ask.body.tree()["future"]), (true, Some(9), &json!(1)));
        let wrong = [
            (json!({ "max_tokens": null }), "max_tokens", "missing_required_parameter"),
            (json!({ "max_tokens": 0 }), "max_tokens", "invalid_value"),
            (json!({ "max_tokens": "9" }), "max_tokens", "invalid_type"),
            (json!({ "model": 7 }), "model", "invalid_type"),
            (json!({ "messages": [] }), "messages", "empty_array"),
            (json!({ "messages": "hi" }), "messages", "invalid_type"),
            (json!({ "stream": "yes" }), "stream", "invalid_type"),
        ];
        for (extra, param, code) in wrong {
            let problem = of(&extra).err().unwrap();
            assert_eq!((problem.first_field(), problem.code()), (Some(param), code), "{extra}");
        }
    }
}
