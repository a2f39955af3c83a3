//! What an error of a provider means, before an answer and within one.
//!
//! Sources: OpenAI's API description (`openapi.yaml`) and guide on error codes, plus what compatible servers do
//! differently: error frames after a 200, numeric codes, bare strings, error pages of proxies.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::RelayError;
use crate::dialects::common::{safe_message, safe_word};

#[derive(Deserialize)]
struct ErrorBody {
    error: Detail,
}

/// The error object; some servers send a bare string, and `code` as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Detail {
    Object {
        #[serde(default)]
        message: Option<String>,
        #[serde(default, rename = "type")]
        kind: Option<String>,
        #[serde(default)]
        code: Option<Value>,
        #[serde(default)]
        param: Option<Value>,
    },
    Text(String),
}

/// What an HTTP answer other than 200 means.
pub(crate) fn of_response(status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
    let detail =
        serde_json::from_str::<ErrorBody>(body).map_or_else(|_| Detail::Text(String::new()), |body| body.error);
    detail.meaning(status, retry_after, secret)
}

/// What the error object in a frame or a document with status 200 means.
pub(crate) fn of_frame(error: Value, secret: Option<&str>) -> RelayError {
    let detail = serde_json::from_value(error).unwrap_or_else(|_| Detail::Text(String::new()));
    detail.meaning(200, None, secret)
}

impl Detail {
    fn meaning(self, status: u16, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
        let (message, kind, code, param) = match self {
            Self::Object { message, kind, code, param } => {
                (message.unwrap_or_default(), kind.unwrap_or_default(), code, param)
            }
            Self::Text(message) => (message, String::new(), None, None),
        };
        // Gateways put the real status into the code of a frame that follows a 200.
        let status = match code.as_ref().and_then(Value::as_u64) {
            Some(inner @ 400..=599) if status == 200 => inner as u16,
            _ => status,
        };
        let word = code.as_ref().and_then(Value::as_str).unwrap_or_default();
        let is = |known: &str| word == known || kind == known;
        if is("context_length_exceeded") || is("string_above_max_length") {
            return RelayError::ContextTooLong;
        }
        // Our account there, not the user's: neither its code nor its sentence is for users.
        if is("insufficient_quota") || is("billing_hard_limit_reached") {
            return RelayError::refused(status, "the account at the provider has no quota left");
        }
        match status {
            401 | 403 => RelayError::refused(status, "the provider does not accept the configured key"),
            429 => RelayError::UpstreamRateLimited { retry_after },
            408 | 409 | 425 | 500.. => RelayError::UpstreamUnavailable(format!("it answered with status {status}")),
            300..=399 => {
                RelayError::refused(status, "the address redirects, which is not followed; configure the final address")
            }
            _ if is("rate_limit_exceeded") => RelayError::UpstreamRateLimited { retry_after },
            200 if is("server_error") || is("overloaded_error") || is("overloaded") || is("api_error") => {
                RelayError::UpstreamUnavailable("it reported a failure of its own during the answer".to_owned())
            }
            _ => RelayError::UpstreamRefused {
                status,
                message: safe_message(&message, secret),
                code: code.as_ref().and_then(|code| safe_word(code, secret)),
                param: param.as_ref().and_then(|param| safe_word(param, secret)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_that_the_provider_quotes_never_reaches_our_error() {
        let body = r#"{"error":{"message":"Bad sk-abc*** or topsecret, see https://x.example/keys now","type":"invalid_request_error","param":"topsecret","code":"sk-abc"}}"#;
        let error = of_response(400, body, None, Some("topsecret"));
        assert_eq!(error, RelayError::refused(400, "Bad [removed] or [removed] see [removed] now"));
    }

    #[test]
    fn a_refusal_keeps_the_providers_code_and_parameter() {
        let body = r#"{"error":{"message":"no","type":"invalid_request_error","param":"messages.[0].role","code":"invalid_value"}}"#;
        let error = of_response(400, body, None, None);
        let expected = RelayError::UpstreamRefused {
            status: 400,
            message: "no".to_owned(),
            code: Some("invalid_value".to_owned()),
            param: Some("messages.[0].role".to_owned()),
        };
        assert_eq!(error, expected);
    }

    #[test]
    fn a_code_or_parameter_that_is_no_word_is_left_out() {
        for strange in [json!(""), json!({"a": 1}), json!(null), json!("x".repeat(101)), json!("a\nb")] {
            let body = json!({"error": {"message": "no", "param": strange, "code": strange}}).to_string();
            assert_eq!(of_response(400, &body, None, None), RelayError::refused(400, "no"));
        }
    }

    #[test]
    fn statuses_and_codes_become_the_errors_that_callers_act_on() {
        let body = |code: &str| format!(r#"{{"error":{{"message":"m","type":"t","param":null,"code":"{code}"}}}}"#);
        let wait = Some(Duration::from_secs(9));
        let code = |status, code: &str| of_response(status, &body(code), wait, None).code();
        assert_eq!(code(400, "context_length_exceeded"), "context_too_long");
        assert_eq!(code(401, "invalid_api_key"), "upstream_refused");
        assert_eq!(code(404, "model_not_found"), "upstream_refused");
        assert_eq!(code(429, "insufficient_quota"), "upstream_refused");
        assert_eq!(code(500, "server_error"), "upstream_unavailable");
        assert_eq!(code(308, ""), "upstream_refused");
        let limited = of_response(429, &body("rate_limit_exceeded"), wait, None);
        assert_eq!((limited.retry_after(), limited.is_retryable()), (wait, true));
    }

    #[test]
    fn an_error_page_of_a_proxy_is_judged_by_its_status() {
        let error = of_response(502, "<html>bad gateway</html>", None, None);
        assert_eq!(error, RelayError::UpstreamUnavailable("it answered with status 502".to_owned()));
    }

    #[test]
    fn an_error_within_a_stream_is_judged_by_its_code() {
        let frame = |error: Value| of_frame(error, None).code();
        assert_eq!(frame(json!({"message": "x", "code": 502})), "upstream_unavailable");
        assert_eq!(frame(json!({"message": "x", "code": 429})), "upstream_rate_limited");
        assert_eq!(frame(json!({"message": "x", "type": "server_error"})), "upstream_unavailable");
        assert_eq!(frame(json!("something")), "upstream_refused");
        assert_eq!(frame(json!(7)), "upstream_refused");
    }
}
