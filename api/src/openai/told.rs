//! What a stream of the Responses API has told, put together as the response it is about.
//!
//! Promise: the newest whole object with the items that are complete; what broke off in the middle of an item is not
//! shown as if it were one.

use axum::http::StatusCode;
use relay::ServedEvent;
use serde_json::{Value, json};

use super::error::error;
use crate::problem::Problem;

/// A response as far as it was told.
#[derive(Default)]
pub(crate) struct Told {
    /// The newest whole object.
    object: Value,
    /// Items that are complete.
    items: Vec<Value>,
    /// The number of the event after the last one.
    next: u64,
}

impl Told {
    /// Looks at one event.
    pub(crate) fn hear(&mut self, event: &ServedEvent) {
        self.next = event.data["sequence_number"].as_u64().map_or(self.next, |number| number.saturating_add(1));
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
    pub(super) fn failed(&self, problem: &Problem) -> Value {
        self.so_far(|object| fail(object, problem))
    }

    /// The name and the data of the event with which the stream ends for this reason: the response that failed or, before
    /// there is one, the error alone. Whoever gets both takes them for two failures.
    ///
    /// Source: `response.failed` and `error` in "Streaming events" of OpenAI's API reference
    /// (platform.openai.com/docs/api-reference/responses-streaming).
    pub(crate) fn failure(&self, problem: &Problem) -> (&'static str, Value) {
        let response = self.failed(problem);
        if response.is_object() {
            let name = "response.failed";
            return (name, json!({ "type": name, "sequence_number": self.next, "response": response }));
        }
        let told = error(problem);
        let (code, message, param) = (&told["error"]["code"], &told["error"]["message"], &told["error"]["param"]);
        let data = json!({
            "type": "error", "code": code, "message": message, "param": param, "sequence_number": self.next,
        });
        ("error", data)
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
    fn a_stream_ends_with_the_response_that_failed_or_before_there_is_one_with_the_error() {
        let problem = Problem::new(StatusCode::BAD_GATEWAY, "upstream_error", "it broke off");
        assert_eq!(told(&[]).failed(&problem), Value::Null);
        let error = json!({ "type": "error", "code": "upstream_error", "message": "it broke off", "param": null,
            "sequence_number": 0 });
        assert_eq!(told(&[]).failure(&problem), ("error", error));
        let created = json!({ "type": "response.created", "sequence_number": 4, "response": { "id": "resp_1" } });
        let (name, data) = told(&[created]).failure(&problem);
        assert_eq!((name, &data["type"], &data["sequence_number"]), ("response.failed", &json!(name), &json!(5)));
        assert_eq!(data["response"]["status"], "failed");
    }
}
