//! The chat completions protocol as data: what is sent, what a chunk says, what an error means.
//!
//! Source: OpenAI's API description (`openapi.yaml`), plus what compatible servers do differently: error frames after
//! a 200, numeric error codes, answers without streaming. Unknown fields are ignored everywhere.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Basis, ChatRequest, Finish, RelayError, Role, Usage};

/// A provider's sentence is cut to this many characters before it is shown.
const MAX_MESSAGE_CHARS: usize = 300;

#[derive(Serialize)]
pub(super) struct Body<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: Role,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> Body<'a> {
    /// The request in OpenAI's words. OpenAI itself has renamed the output bound; everybody else knows the old name.
    pub(super) fn new(request: &'a ChatRequest, is_openai: bool) -> Self {
        let bound = request.max_output_tokens;
        Self {
            model: &request.model,
            messages: request.turns.iter().map(|t| Message { role: t.role, content: &t.content }).collect(),
            stream: true,
            stream_options: StreamOptions { include_usage: true },
            max_tokens: bound.filter(|_| !is_openai),
            max_completion_tokens: bound.filter(|_| is_openai),
            temperature: request.temperature,
            user: request.user_tag.as_deref(),
        }
    }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<ReportedUsage>,
    #[serde(default)]
    error: Option<ErrorDetail>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    /// Absent in an answer without streaming, which has `message`.
    #[serde(default, alias = "message")]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct ReportedUsage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// What one chunk contributes to the answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) text: String,
    pub(super) finish: Option<Finish>,
    pub(super) usage: Option<Usage>,
}

/// Reads one chunk, or a whole answer without streaming.
pub(super) fn read_chunk(data: &str, secret: Option<&str>) -> Result<Step, RelayError> {
    let chunk: Chunk = serde_json::from_str(data)
        .map_err(|_| RelayError::UpstreamGarbage("a chunk is not a chat completion".to_owned()))?;
    if let Some(error) = chunk.error {
        return Err(error.meaning(200, None, secret));
    }
    let mut step = Step::default();
    let usage = chunk.usage;
    if chunk.choices.is_none() && usage.is_none() {
        return Err(RelayError::UpstreamGarbage("a chunk has neither choices nor usage".to_owned()));
    }
    step.usage = usage.map(|usage| Usage {
        input_tokens: usage.prompt_tokens,
        output_tokens: usage.completion_tokens,
        basis: Basis::Reported,
    });
    // One answer is asked for, so every choice but the first is somebody's mistake.
    if let Some(choice) = chunk.choices.into_iter().flatten().find(|choice| choice.index == 0) {
        if let Some(delta) = choice.delta {
            step.text = delta.content.unwrap_or_default();
            step.text.push_str(&delta.refusal.unwrap_or_default());
        }
        step.finish = choice.finish_reason.map(finish);
    }
    Ok(step)
}

fn finish(reason: String) -> Finish {
    match reason.as_str() {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Other(reason),
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetail,
}

/// The error object; some servers send a bare string, and `code` as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum ErrorDetail {
    Object {
        #[serde(default)]
        message: Option<String>,
        #[serde(default, rename = "type")]
        kind: Option<String>,
        #[serde(default)]
        code: Option<Value>,
    },
    Text(String),
}

/// What an HTTP answer other than 2xx means.
pub(super) fn read_error(status: u16, body: &str, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
    let detail =
        serde_json::from_str::<ErrorBody>(body).map_or_else(|_| ErrorDetail::Text(String::new()), |body| body.error);
    detail.meaning(status, retry_after, secret)
}

impl ErrorDetail {
    fn meaning(self, status: u16, retry_after: Option<Duration>, secret: Option<&str>) -> RelayError {
        let (message, kind, code) = match self {
            Self::Object { message, kind, code } => (message.unwrap_or_default(), kind.unwrap_or_default(), code),
            Self::Text(message) => (message, String::new(), None),
        };
        // Gateways put the real status into the code of a frame that follows a 200.
        let status = match code.as_ref().and_then(Value::as_u64) {
            Some(inner @ 400..=599) if status == 200 => inner as u16,
            _ => status,
        };
        let code = code.as_ref().and_then(Value::as_str).unwrap_or_default();
        let is = |word: &str| code == word || kind == word;
        if is("context_length_exceeded") || is("string_above_max_length") {
            return RelayError::ContextTooLong;
        }
        if is("insufficient_quota") || is("billing_hard_limit_reached") {
            return refused(status, "the account at the provider has no quota left");
        }
        match status {
            401 | 403 => refused(status, "the provider does not accept the configured key"),
            429 => RelayError::UpstreamRateLimited { retry_after },
            408 | 409 | 425 | 500.. => RelayError::UpstreamUnavailable(format!("it answered with status {status}")),
            300..=399 => refused(status, "the address redirects, which is not followed; configure the final address"),
            _ if is("rate_limit_exceeded") => RelayError::UpstreamRateLimited { retry_after },
            200 if is("server_error") || is("overloaded_error") || is("overloaded") || is("api_error") => {
                RelayError::UpstreamUnavailable("it reported a failure of its own during the answer".to_owned())
            }
            _ => RelayError::UpstreamRefused { status, message: safe_message(&message, secret) },
        }
    }
}

fn refused(status: u16, message: &str) -> RelayError {
    RelayError::UpstreamRefused { status, message: message.to_owned() }
}

/// The provider's sentence without the key, anything that looks like one, and addresses.
fn safe_message(message: &str, secret: Option<&str>) -> String {
    let unsafe_word =
        |word: &str| word.contains("sk-") || word.contains("://") || secret.is_some_and(|secret| word.contains(secret));
    let words = message.split_whitespace().map(|word| if unsafe_word(word) { "[removed]" } else { word });
    let sentence = words.collect::<Vec<_>>().join(" ");
    let printable: String = sentence.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE_CHARS).collect();
    if printable.is_empty() { "it gave no reason".to_owned() } else { printable }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Turn;

    fn request() -> ChatRequest {
        ChatRequest {
            model: "gpt-4o-mini".to_owned(),
            turns: vec![
                Turn { role: Role::System, content: "Be brief.".to_owned() },
                Turn { role: Role::User, content: "Hello!".to_owned() },
            ],
            max_output_tokens: Some(7),
            temperature: None,
            user_tag: Some("u-1".to_owned()),
        }
    }

    #[test]
    fn a_request_asks_for_a_stream_with_usage_and_leaves_out_what_nobody_set() {
        let body = serde_json::to_value(Body::new(&request(), false)).unwrap();
        let expected = serde_json::json!({
            "model": "gpt-4o-mini",
            "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello!"}],
            "stream": true,
            "stream_options": {"include_usage": true},
            "max_tokens": 7,
            "user": "u-1"
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn openai_itself_gets_the_output_bound_under_its_new_name() {
        let body = serde_json::to_value(Body::new(&request(), true)).unwrap();
        assert_eq!((body.get("max_tokens"), body["max_completion_tokens"].as_u64()), (None, Some(7)));
    }

    #[test]
    fn a_key_that_the_provider_quotes_never_reaches_our_error() {
        let body = r#"{"error":{"message":"Bad sk-abc*** or topsecret, see https://x.example/keys now","type":"invalid_request_error","param":null,"code":null}}"#;
        let error = read_error(400, body, None, Some("topsecret"));
        let message = "Bad [removed] or [removed] see [removed] now".to_owned();
        assert_eq!(error, RelayError::UpstreamRefused { status: 400, message });
    }

    #[test]
    fn statuses_and_codes_become_the_errors_that_callers_act_on() {
        let body = |code: &str| format!(r#"{{"error":{{"message":"m","type":"t","param":null,"code":"{code}"}}}}"#);
        let wait = Some(Duration::from_secs(9));
        let code = |status, code: &str| read_error(status, &body(code), wait, None).code();
        assert_eq!(code(400, "context_length_exceeded"), "context_too_long");
        assert_eq!(code(401, "invalid_api_key"), "upstream_refused");
        assert_eq!(code(404, "model_not_found"), "upstream_refused");
        assert_eq!(code(429, "insufficient_quota"), "upstream_refused");
        assert_eq!(code(500, "server_error"), "upstream_unavailable");
        assert_eq!(code(308, ""), "upstream_refused");
        let limited = read_error(429, &body("rate_limit_exceeded"), wait, None);
        assert_eq!((limited.retry_after(), limited.is_retryable()), (wait, true));
    }

    #[test]
    fn an_error_page_of_a_proxy_is_judged_by_its_status() {
        let error = read_error(502, "<html>bad gateway</html>", None, None);
        assert_eq!(error, RelayError::UpstreamUnavailable("it answered with status 502".to_owned()));
    }

    #[test]
    fn an_error_frame_within_a_stream_is_judged_by_its_code() {
        let frame = |body: &str| read_chunk(body, None).unwrap_err().code();
        assert_eq!(frame(r#"{"error":{"message":"x","code":502}}"#), "upstream_unavailable");
        assert_eq!(frame(r#"{"error":{"message":"x","code":429}}"#), "upstream_rate_limited");
        assert_eq!(frame(r#"{"error":{"message":"x","type":"server_error"}}"#), "upstream_unavailable");
        assert_eq!(frame(r#"{"error":"something"}"#), "upstream_refused");
    }
}
