//! What a stream of the Responses API has told, put together as the response it is about.
//!
//! Promise: the newest whole object with the items that are complete; what broke off in the middle of an item is not
//! shown as if it were one.

use axum::http::StatusCode;
use relay::ServedEvent;
use serde_json::{Value, json};

use crate::problem::Problem;

/// A response as far as it was told.
#[derive(Default)]
pub(crate) struct Told {
    /// The newest whole object.
    object: Value,
    /// Items that are complete.
    items: Vec<Value>,
}

impl Told {
    /// Looks at one event.
    pub(crate) fn hear(&mut self, event: &ServedEvent) {
        if event.data["response"].is_object() {
            self.object = event.data["response"].clone();
        }
        if event.data["type"] == "response.output_item.done" {
            self.items.push(event.data["item"].clone());
        }
    }

    /// The newest object as it was told; null where nothing was.
    pub(super) const fn newest(&self) -> &Value {
        &self.object
    }

    /// The newest object with the items that are complete, changed by `change`; null where nothing was told.
    pub(super) fn so_far(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut object = self.object.clone();
        if object.is_object() {
            object["output"] = json!(self.items);
            change(&mut object);
        }
        object
    }

    /// The response as one that failed for this reason; null where nothing was told.
    pub(crate) fn failed(&self, problem: &Problem) -> Value {
        self.so_far(|object| fail(object, problem))
    }
}

/// Makes `object` a response that failed, in OpenAI's words: a code that its SDKs and coding agents know.
///
/// Source: "The response object", `error`, of OpenAI's API reference
/// (platform.openai.com/docs/api-reference/responses/object#responses/object-error).
fn fail(object: &mut Value, problem: &Problem) {
    let is_limit = problem.status() == StatusCode::TOO_MANY_REQUESTS;
    let code = if is_limit { "rate_limit_exceeded" } else { "server_error" };
    object["status"] = json!("failed");
    object["error"] = json!({ "code": code, "message": problem.detail() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &[Value]) -> Told {
        let mut told = Told::default();
        for data in events {
            told.hear(&ServedEvent { name: None, data: data.clone() });
        }
        told
    }

    #[test]
    fn a_response_that_fails_has_the_items_that_were_complete_and_says_why() {
        let told = told(&[
            json!({ "type": "response.created", "response": { "id": "resp_1", "status": "in_progress", "output": [] } }),
            json!({ "type": "response.output_item.done", "item": { "id": "msg_1" } }),
            json!({ "type": "response.output_item.added", "item": { "id": "msg_2" } }),
        ]);
        let problem = Problem::new(StatusCode::BAD_GATEWAY, "upstream_error", "it broke off");
        let failed = json!({
            "id": "resp_1", "status": "failed", "output": [{ "id": "msg_1" }],
            "error": { "code": "server_error", "message": "it broke off" },
        });
        assert_eq!(told.failed(&problem), failed);
        let busy = Problem::too_many("rate_limit_exceeded", "later", std::time::Duration::from_secs(1));
        assert_eq!(told.failed(&busy)["error"]["code"], "rate_limit_exceeded");
    }

    #[test]
    fn of_what_was_never_begun_there_is_nothing_to_tell() {
        assert_eq!(told(&[]).failed(&Problem::bug("x")), Value::Null);
    }
}
