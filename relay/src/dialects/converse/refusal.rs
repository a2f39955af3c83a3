//! What an error of Bedrock means, as the answer or within a stream.
//!
//! Source: the errors of Converse and ConverseStream in the API reference, and "Common errors" there. The kind stands in a
//! header that is not seen here, so an answer is judged by its status; within a stream the kind is all there is.

use std::time::Duration;

use serde_json::Value;

use crate::RelayError;
use crate::dialects::refused::of_status;

/// The status that stands for a kind of exception, in lower case.
const KINDS: [(&str, u16); 9] = [
    ("validationexception", 400),
    ("accessdeniedexception", 403),
    ("resourcenotfoundexception", 404),
    ("modeltimeoutexception", 408),
    ("modelstreamerrorexception", 424),
    ("modelerrorexception", 424),
    ("throttlingexception", 429),
    ("internalserverexception", 500),
    ("serviceunavailableexception", 503),
];
/// How Bedrock says that a model was not granted to the account: no fault of the key.
const NOT_GRANTED: &str = "access to the model";

/// What an HTTP answer other than 200 means.
pub(super) fn of_response(status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
    let body = serde_json::from_str::<Value>(body).unwrap_or_default();
    let kind = body.get("__type").and_then(Value::as_str).unwrap_or_default();
    // The name of a type may bear its namespace.
    let kind = kind.rsplit('#').next().unwrap_or_default();
    meaning(status, kind, &body, retry_after, secret)
}

/// What an exception within a stream means.
pub(super) fn of_exception(kind: &str, body: &Value) -> RelayError {
    meaning(200, kind, body, None, None)
}

fn meaning(status: u16, kind: &str, body: &Value, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
    let message = ["message", "Message"].iter().find_map(|key| body.get(*key)).and_then(Value::as_str);
    let message = message.unwrap_or_default();
    let known = KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(kind));
    let status = match known {
        Some((_, meant)) => *meant,
        // An exception without a known kind is a failure over there.
        None if status == 200 => 500,
        None => status,
    };
    if status == 403 && message.to_lowercase().contains(NOT_GRANTED) {
        return RelayError::refused(status, "the account at the provider has no access to the model");
    }
    of_status(status, kind, message, retry_after, secret)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(status: u16, message: &str) -> RelayError {
        of_response(status, &json!({"message": message}).to_string(), Some(Duration::from_secs(3)), None)
    }

    #[test]
    fn statuses_become_the_errors_that_callers_act_on() {
        assert_eq!(answered(400, "Input is too long for requested model."), RelayError::ContextTooLong);
        let claude = "The model returned the following errors: prompt is too long: 227255 tokens > 200000 maximum";
        assert_eq!(answered(400, claude), RelayError::ContextTooLong);
        assert_eq!(answered(400, "Malformed input request"), RelayError::refused(400, "Malformed input request"));
        let limited = answered(429, "Too many requests, please wait before trying again.");
        assert_eq!(limited.retry_after(), Some(Duration::from_secs(3)));
        assert_eq!(answered(424, "The model failed").code(), "upstream_unavailable");
        assert_eq!(answered(503, "Service is unavailable").code(), "upstream_unavailable");
        assert_eq!(answered(403, "The security token included in the request is invalid.").code(), "upstream_refused");
    }

    #[test]
    fn a_model_that_was_not_granted_is_no_fault_of_the_key() {
        let error = answered(403, "You don't have access to the model with the specified model ID.");
        assert_eq!(error, RelayError::refused(403, "the account at the provider has no access to the model"));
    }

    #[test]
    fn an_exception_within_a_stream_is_judged_by_its_kind() {
        let code = |kind: &str| of_exception(kind, &json!({"message": "m"})).code();
        assert_eq!(code("throttlingException"), "upstream_rate_limited");
        assert_eq!(code("modelStreamErrorException"), "upstream_unavailable");
        assert_eq!(code("validationException"), "upstream_refused");
        assert_eq!(code("InternalFailure"), "upstream_unavailable");
    }

    #[test]
    fn the_kind_in_a_body_counts_more_than_the_status() {
        let body = json!({"__type": "com.amazon.coral.service#ThrottlingException", "message": "slow"});
        assert_eq!(of_response(400, &body.to_string(), None, None).code(), "upstream_rate_limited");
    }
}
