//! What an error of Google's means, before an answer and within one.
//!
//! Sources: AIP-193 "Errors" (google.aip.dev/193), google/rpc/code.proto and error_details.proto, and the guides
//! "Troubleshooting" and "Rate limits" (ai.google.dev/gemini-api/docs). A wrong key is a 400 there, not a 401; some
//! errors come wrapped in a list.

use std::time::Duration;

use serde_json::Value;

use crate::RelayError;
use crate::dialects::common::{safe_message, safe_word};

/// Reasons of `ErrorInfo` that are about our key or our account there, whatever the status.
const OF_THE_KEY: [&str; 8] = [
    "API_KEY_INVALID",
    "API_KEY_EXPIRED",
    "API_KEY_SERVICE_BLOCKED",
    "API_KEY_HTTP_REFERRER_BLOCKED",
    "API_KEY_IP_ADDRESS_BLOCKED",
    "SERVICE_DISABLED",
    "CONSUMER_SUSPENDED",
    "BILLING_DISABLED",
];
/// A wait that is longer than this is no rate limit that anybody waits for.
const MAX_WAIT_SECONDS: f64 = 86_400.0;

/// The one object within a list of one, which is how some errors come.
pub(super) fn unwrapped(body: Value) -> Value {
    match body {
        Value::Array(mut list) if !list.is_empty() => list.swap_remove(0),
        other => other,
    }
}

/// What an HTTP answer other than 200 means.
pub(super) fn of_response(status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
    let body = serde_json::from_str(body).map_or(Value::Null, unwrapped);
    meaning(status, body.get("error").unwrap_or(&Value::Null), retry_after, secret)
}

/// What an error within an answer with status 200 means; its own code is the status.
pub(super) fn of_frame(error: &Value) -> RelayError {
    meaning(200, error, None, None)
}

fn meaning(status: u16, error: &Value, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let (message, word) = (text("message"), text("status"));
    let inner = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    let status = if status == 200 { inner.unwrap_or(of_word(word)) } else { status };
    if OF_THE_KEY.contains(&reason(error)) || message.starts_with("API key not valid") {
        return RelayError::refused(401, "the provider does not accept the configured key");
    }
    if is_too_long(message) {
        return RelayError::ContextTooLong;
    }
    match status {
        401 | 403 => RelayError::refused(status, "the provider does not accept the configured key"),
        429 => RelayError::UpstreamRateLimited { retry_after: retry_after.or_else(|| wait(error, message)) },
        408 | 409 | 425 | 499 | 500.. => RelayError::unavailable_by_status(status, retry_after),
        300..=399 => {
            RelayError::refused(status, "the address redirects, which is not followed; configure the final address")
        }
        _ => RelayError::UpstreamRefused {
            status,
            message: safe_message(message, secret),
            code: error.get("status").and_then(|word| safe_word(word, secret)),
            param: field(error).and_then(|field| safe_word(field, secret)),
        },
    }
}

/// The status that a canonical code stands for, by google/rpc/code.proto.
fn of_word(word: &str) -> u16 {
    match word {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => 400,
        "UNAUTHENTICATED" => 401,
        "PERMISSION_DENIED" => 403,
        "NOT_FOUND" => 404,
        "RESOURCE_EXHAUSTED" => 429,
        "CANCELLED" => 499,
        "UNAVAILABLE" => 503,
        "DEADLINE_EXCEEDED" => 504,
        _ => 500,
    }
}

/// The details of one kind.
fn details<'a>(error: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    let all = error.get("details").and_then(Value::as_array).into_iter().flatten();
    all.filter(move |detail| detail.get("@type").and_then(Value::as_str).is_some_and(|name| name.ends_with(kind)))
}

fn reason(error: &Value) -> &str {
    let reason = details(error, "google.rpc.ErrorInfo").find_map(|info| info.get("reason")?.as_str());
    reason.unwrap_or_default()
}

fn field(error: &Value) -> Option<&Value> {
    details(error, "google.rpc.BadRequest").find_map(|bad| bad.pointer("/fieldViolations/0/field"))
}

/// `RetryInfo`, or else what the sentence says: "Please retry in 36.429760048s."
fn wait(error: &Value, message: &str) -> Option<Duration> {
    let told = details(error, "google.rpc.RetryInfo").find_map(|info| info.get("retryDelay")?.as_str());
    let said = || message.split_once("retry in ").map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default());
    let seconds = told.or_else(said)?.trim_end_matches('.').strip_suffix('s')?.parse::<f64>().ok()?;
    (0.0..=MAX_WAIT_SECONDS).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576)."
fn is_too_long(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("input token count") && message.contains("exceeds")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wait_is_read_from_the_details_or_else_from_the_sentence() {
        let told = json!({ "error": { "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your quota",
            "details": [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36.5s" }] } });
        let said = json!([{ "error": { "code": 429, "message": "Quota exceeded.\nPlease retry in 12s." } }]);
        let bare = json!({ "error": { "code": 429, "message": "Resource has been exhausted (e.g. check quota)." } });
        let wait = |body: &Value| of_response(429, &body.to_string(), None, None).retry_after();
        assert_eq!(wait(&told), Some(Duration::from_millis(36_500)));
        assert_eq!(wait(&said), Some(Duration::from_secs(12)));
        assert_eq!(wait(&bare), None);
        let header = Some(Duration::from_secs(3));
        assert_eq!(of_response(429, &told.to_string(), header, None).retry_after(), header);
    }

    #[test]
    fn a_wrong_key_is_told_as_such_although_its_status_is_400() {
        let body = json!({ "error": { "code": 400, "message": "API key not valid. Please pass a valid API key.",
            "status": "INVALID_ARGUMENT", "details": [
                { "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID" }] } });
        let error = of_response(400, &body.to_string(), None, None);
        assert_eq!(error, RelayError::refused(401, "the provider does not accept the configured key"));
    }

    #[test]
    fn a_refusal_names_the_field_and_never_a_key_or_an_address() {
        let body = json!({ "error": { "code": 400, "status": "INVALID_ARGUMENT",
            "message": "Bad AIzaSyA-123 or topsecret, see https://x.example/k", "details": [
                { "@type": "type.googleapis.com/google.rpc.BadRequest",
                  "fieldViolations": [{ "field": "contents[0].role", "description": "no" }] }] } });
        let expected = RelayError::UpstreamRefused {
            status: 400,
            message: "Bad [removed] or [removed] see [removed]".to_owned(),
            code: Some("INVALID_ARGUMENT".to_owned()),
            param: Some("contents[0].role".to_owned()),
        };
        assert_eq!(of_response(400, &body.to_string(), None, Some("topsecret")), expected);
    }

    #[test]
    fn an_error_within_an_answer_has_its_own_code_or_that_of_its_word() {
        let overloaded = json!({ "code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE" });
        assert_eq!(of_frame(&overloaded).code(), "upstream_unavailable");
        assert_eq!(of_frame(&json!({ "status": "RESOURCE_EXHAUSTED" })).code(), "upstream_rate_limited");
        assert_eq!(of_frame(&json!("odd")).code(), "upstream_unavailable");
        assert_eq!(of_response(502, "<html>", None, None).code(), "upstream_unavailable");
    }
}
