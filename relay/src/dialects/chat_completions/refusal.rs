//! What an error of a provider means, before an answer and within one.
//!
//! Sources: OpenAI's API description (`openapi.yaml`) and guide on error codes, plus what compatible servers do
//! differently: error frames after a 200, numeric codes, bare strings, error pages of proxies.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::RelayError;
use crate::dialects::common::{safe_message, safe_word};

/// Words for an account that has no credit left: OpenAI, Moonshot, GLM, DashScope, Ark.
const NO_QUOTA: [&str; 6] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "exceeded_current_quota_error",
    "1113",
    "Arrearage",
    "AccountOverdueError",
];
/// Words for a conversation that is too long: OpenAI, llama.cpp, GLM.
const TOO_LONG: [&str; 4] = ["context_length_exceeded", "string_above_max_length", "exceed_context_size_error", "1261"];
/// What servers without such a word say: vLLM and DeepSeek, Moonshot, DashScope, Anthropic behind gateways.
const TOO_LONG_PHRASES: [&str; 4] =
    ["maximum context length", "exceeded model token limit", "Range of input length", "prompt is too long"];
/// Words for too many requests: OpenAI, Moonshot, Google, GLM.
const TOO_MANY: [&str; 6] =
    ["rate_limit_exceeded", "rate_limit_reached_error", "RESOURCE_EXHAUSTED", "1302", "1303", "1305"];
/// Words for a failure of the provider's own within an answer.
const FAILURES: [&str; 4] = ["server_error", "overloaded_error", "overloaded", "api_error"];

/// An error as a provider describes it.
#[derive(Default)]
struct Detail {
    message: String,
    kind: String,
    code: Option<Value>,
    param: Option<Value>,
    /// A judge of content refused it, with a status that otherwise means the key: OpenRouter.
    is_moderation: bool,
}

/// What an HTTP answer other than 200 means.
pub(crate) fn of_response(status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
    let detail = match serde_json::from_str(body) {
        // Google wraps it in a list.
        Ok(Value::Array(list)) => list.into_iter().next().map(Detail::of_body),
        Ok(body) => Some(Detail::of_body(body)),
        Err(_) => None,
    };
    detail.unwrap_or_default().meaning(status, retry_after, secret)
}

/// What the error object in a frame or a document with status 200 means.
pub(crate) fn of_frame(error: Value, secret: Option<&str>) -> RelayError {
    Detail::of(error).meaning(200, None, secret)
}

/// The error that a frame or document carries instead of an answer, if it does.
pub(crate) fn error_in(object: &mut Map<String, Value>) -> Option<Value> {
    if object.get("object").is_some_and(|kind| kind == "error") {
        return Some(Value::Object(std::mem::take(object)));
    }
    if let Some(error) = object.get("base_resp").and_then(of_base_resp) {
        return Some(error);
    }
    object.get_mut("error").map(Value::take).filter(|error| !error.is_null())
}

/// MiniMax's own form of an error, which comes with status 200; 0 is none.
fn of_base_resp(base: &Value) -> Option<Value> {
    let code = base.get("status_code")?.as_i64().filter(|code| *code != 0)?;
    let (kind, code) = match code {
        1002 | 1039 => ("rate_limit_exceeded", 429),
        1004 => ("invalid_api_key", 401),
        1008 => ("insufficient_quota", code),
        1000 | 1001 | 1013 | 1024 => ("server_error", code),
        _ => ("", code),
    };
    Some(json!({"message": base.get("status_msg"), "type": kind, "code": code}))
}

impl Detail {
    fn of_body(body: Value) -> Self {
        match body {
            Value::Object(mut object) => match error_in(&mut object) {
                Some(error) => Self::of(error),
                None => Self::of(object.into()),
            },
            _ => Self::default(),
        }
    }

    /// Reads an error object; some servers send a bare string.
    fn of(error: Value) -> Self {
        let mut error = match error {
            Value::String(message) => return Self { message, ..Self::default() },
            other => other,
        };
        let text = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| error.get(*key)?.as_str());
            found.unwrap_or_default().to_owned()
        };
        // What validators of the FastAPI family say.
        let detail = error.pointer("/detail/0/msg").and_then(Value::as_str).map(str::to_owned);
        let message = detail.unwrap_or_else(|| text(&["message", "error_msg", "msg", "detail"]));
        let kind = text(&["type", "status"]);
        let is_moderation = error.pointer("/metadata/reasons").is_some();
        let mut take = |key: &str| error.get_mut(key).map(Value::take);
        Self { message, kind, code: take("code").or(take("error_code")), param: take("param"), is_moderation }
    }

    fn meaning(self, status: u16, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
        let Self { message, kind, code, param, is_moderation } = self;
        // Gateways put the real status into the code of a frame that follows a 200.
        let status = match code.as_ref().and_then(Value::as_u64) {
            Some(inner @ 400..=599) if status == 200 => inner as u16,
            _ => status,
        };
        let word = code.as_ref().and_then(Value::as_str).unwrap_or_default();
        let is = |known: &[&str]| known.contains(&word) || known.contains(&kind.as_str());
        let says_too_long = || {
            matches!(status, 200 | 400 | 413 | 422) && TOO_LONG_PHRASES.iter().any(|phrase| message.contains(phrase))
        };
        if is(&TOO_LONG) || says_too_long() {
            return RelayError::ContextTooLong;
        }
        // Our account there, not the user's: neither its code nor its sentence is for users.
        if is(&NO_QUOTA) || status == 402 {
            return RelayError::refused(status, "the account at the provider has no quota left");
        }
        match status {
            401 | 403 if !is_moderation => {
                RelayError::refused(status, "the provider does not accept the configured key")
            }
            429 => RelayError::UpstreamRateLimited { retry_after },
            408 | 409 | 425 | 500.. => RelayError::unavailable_by_status(status, retry_after),
            300..=399 => {
                RelayError::refused(status, "the address redirects, which is not followed; configure the final address")
            }
            _ if is(&TOO_MANY) || word.starts_with("Throttling") => RelayError::UpstreamRateLimited { retry_after },
            200 if is(&FAILURES) => RelayError::unavailable("it reported a failure of its own during the answer"),
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

    /// Sources: DeepSeek "Error Codes"; GLM "错误码"; DashScope "Error messages"; Moonshot "Error codes"; MiniMax "Error
    /// codes"; OpenRouter "Errors and Debugging"; vLLM `ErrorResponse`; llama.cpp server README; Mistral issue
    /// platform-docs-public#7; Google's OpenAI-compatible endpoint; Ollama.
    #[test]
    fn the_errors_of_compatible_servers_mean_the_same() {
        for (status, body, code) in [
            (402, json!({"error": {"message": "Insufficient Balance", "type": "unknown_error"}}), "upstream_refused"),
            (
                400,
                json!({"error": {"message": "This model's maximum context length is 65536 tokens.",
                "type": "invalid_request_error"}}),
                "context_too_long",
            ),
            (400, json!({"error": {"code": "1261", "message": "Prompt 超长"}}), "context_too_long"),
            (429, json!({"error": {"code": "1302", "message": "并发数过高"}}), "upstream_rate_limited"),
            (429, json!({"error": {"code": "1113", "message": "账户已欠费"}}), "upstream_refused"),
            (400, json!({"code": "Arrearage", "message": "Access denied", "request_id": "1"}), "upstream_refused"),
            (
                400,
                json!({"error": {"code": "invalid_parameter_error",
                "message": "Range of input length should be [1, 98304]"}}),
                "context_too_long",
            ),
            (429, json!({"error": {"type": "exceeded_current_quota_error", "message": "m"}}), "upstream_refused"),
            (
                400,
                json!({"object": "error", "message": "This model's maximum context length is 4096 tokens.",
                "type": "BadRequestError", "code": 400}),
                "context_too_long",
            ),
            (
                400,
                json!({"error": {"code": 400, "type": "exceed_context_size_error", "message": "m"}}),
                "context_too_long",
            ),
            (
                429,
                json!([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m"}}]),
                "upstream_rate_limited",
            ),
            (404, json!({"error": "model 'x' not found"}), "upstream_refused"),
        ] {
            assert_eq!(of_response(status, &body.to_string(), None, None).code(), code, "{body}");
        }
    }

    #[test]
    fn the_sentence_is_found_wherever_a_server_puts_it() {
        for body in [
            json!({"error": "why"}),
            json!([{"error": {"message": "why"}}]),
            json!({"object": "error", "message": "why"}),
            json!({"error_msg": "why"}),
            json!({"detail": [{"type": "extra_forbidden", "msg": "why"}]}),
            json!({"detail": "why"}),
        ] {
            assert_eq!(of_response(422, &body.to_string(), None, None), RelayError::refused(422, "why"), "{body}");
        }
        let flagged = json!({"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"]}}});
        let RelayError::UpstreamRefused { message, .. } = of_response(403, &flagged.to_string(), None, None) else {
            panic!("it is a refusal")
        };
        assert_eq!(message, "flagged");
    }

    #[test]
    fn minimax_says_with_status_200_what_went_wrong() {
        let meaning = |code: i64| {
            let mut body = Map::from_iter([("base_resp".to_owned(), json!({"status_code": code, "status_msg": "m"}))]);
            error_in(&mut body).map(|error| of_frame(error, None).code())
        };
        assert_eq!(meaning(0), None);
        assert_eq!(meaning(1002), Some("upstream_rate_limited"));
        assert_eq!(meaning(1004), Some("upstream_refused"));
        assert_eq!(meaning(1008), Some("upstream_refused"));
        assert_eq!(meaning(1013), Some("upstream_unavailable"));
        assert_eq!(meaning(1027), Some("upstream_refused"));
    }

    #[test]
    fn an_error_page_of_a_proxy_is_judged_by_its_status() {
        let error = of_response(502, "<html>bad gateway</html>", None, None);
        assert_eq!(error, RelayError::unavailable_by_status(502, None));
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
