//! What an error of an upstream means, as the answer or within a stream.
//!
//! Source: "Errors" and "Rate limits" at platform.claude.com/docs. The kind of an error says the same as its status, and
//! is the only word for it within a stream.

use std::time::Duration;

use serde_json::Value;

use crate::RelayError;
use crate::dialects::refused::of_status;

/// The status that stands for a kind of error.
const KINDS: [(&str, u16); 10] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("rate_limit_error", 429),
    ("api_error", 500),
    ("timeout_error", 504),
    ("overloaded_error", 529),
];
/// Sentences for an account that has no money left, which come as an `invalid_request_error` too.
const NO_MONEY: [&str; 2] = ["credit balance is too low", "reached your specified api usage limits"];

/// What an HTTP answer other than 200 means.
pub(super) fn of_response(status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
    let body = serde_json::from_str::<Value>(body).unwrap_or_default();
    meaning(status, body.get("error").unwrap_or(&Value::Null), retry_after, secret)
}

/// What the `error` object within a stream or a body with status 200 means.
pub(super) fn of_event(error: &Value) -> RelayError {
    meaning(200, error, None, None)
}

fn meaning(status: u16, error: &Value, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
    let text = |pointer: &str| error.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, message) = (text("/type"), text("/message"));
    let status = KINDS.iter().find(|(known, _)| *known == kind).map_or(status, |(_, status)| *status);
    let lower = message.to_lowercase();
    let is_poor = NO_MONEY.iter().any(|sentence| lower.contains(sentence));
    if is_poor || text("/details/error_code").contains("spend_limit") {
        return RelayError::refused(status, "the account at the provider has no quota left");
    }
    of_status(status, kind, message, retry_after, secret)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answered(status: u16, kind: &str, message: &str) -> RelayError {
        let body = json!({"type": "error", "error": {"type": kind, "message": message},
            "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"});
        of_response(status, &body.to_string(), Some(Duration::from_secs(7)), Some("topsecret"))
    }

    #[test]
    fn statuses_become_the_errors_that_callers_act_on() {
        for (status, kind) in
            [(529, "overloaded_error"), (500, "api_error"), (503, "api_error"), (504, "timeout_error")]
        {
            let away = answered(status, kind, "Overloaded");
            assert_eq!(away.code(), "upstream_unavailable");
            assert_eq!(away.retry_after(), Some(Duration::from_secs(7)), "{status}");
        }
        assert_eq!(answered(401, "authentication_error", "invalid x-api-key").code(), "upstream_refused");
        let limited = answered(429, "rate_limit_error", "This request would exceed your rate limit");
        assert_eq!(limited.retry_after(), Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_conversation_that_is_too_long_is_told_apart_from_other_bad_requests() {
        let long = "prompt is too long: 208310 tokens > 200000 maximum";
        assert_eq!(answered(400, "invalid_request_error", long), RelayError::ContextTooLong);
        let both = "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000";
        assert_eq!(answered(400, "invalid_request_error", both), RelayError::ContextTooLong);
        let other = answered(400, "invalid_request_error", "messages: topsecret at https://x.example is wrong");
        let expected = RelayError::UpstreamRefused {
            status: 400,
            message: "messages: [removed] at [removed] is wrong".to_owned(),
            code: Some("invalid_request_error".to_owned()),
            param: None,
        };
        assert_eq!(other, expected);
    }

    #[test]
    fn an_account_without_money_is_neither_retried_nor_quoted() {
        let poor = "Your credit balance is too low to access the Anthropic API.";
        let expected = |status| RelayError::refused(status, "the account at the provider has no quota left");
        assert_eq!(answered(400, "invalid_request_error", poor), expected(400));
        assert_eq!(answered(402, "billing_error", "Pay."), expected(402));
        let spent = json!({"error": {"type": "rate_limit_error", "message": "x",
            "details": {"error_code": "enforced_spend_limit_reached"}}});
        assert_eq!(of_response(429, &spent.to_string(), None, None), expected(429));
    }

    #[test]
    fn an_error_within_a_stream_is_judged_by_its_kind_and_a_page_of_a_proxy_by_its_status() {
        let event = |kind: &str| of_event(&json!({"type": kind, "message": "m"})).code();
        assert_eq!(event("overloaded_error"), "upstream_unavailable");
        assert_eq!(event("rate_limit_error"), "upstream_rate_limited");
        assert_eq!(event("something_new"), "upstream_refused");
        assert_eq!(of_response(502, "<html>", None, None).code(), "upstream_unavailable");
    }
}
