//! Everything that can go wrong between a question and its answer, and whether asking again could help.

use std::time::Duration;

/// A failed or broken answer. Its text is fit for users and logs: it never contains keys, message text or full URLs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// No provider serves that model.
    #[error("the model `{0}` is not available here")]
    UnknownModel(String),
    /// The provider cannot be reached, or answers that it cannot serve now. The text says which.
    #[error("the model provider is unavailable: {reason}")]
    UpstreamUnavailable {
        reason: String,
        /// How long it asks us to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The provider asks us to slow down.
    #[error("the model provider limits the rate of requests")]
    UpstreamRateLimited {
        /// How long it asks us to wait, if it says so.
        retry_after: Option<Duration>,
    },
    /// The provider understood the request and will not serve it, today or later.
    #[error("the model provider refused the request with status {status}: {message}")]
    UpstreamRefused {
        /// HTTP status of the answer; 200 where the refusal came as a frame within the stream.
        status: u16,
        /// The provider's own sentence, shortened.
        message: String,
        /// The provider's word for the reason, where it gave one that is fit to be shown.
        code: Option<String>,
        /// The parameter that it names as the reason.
        param: Option<String>,
    },
    /// The provider's bytes are not what the protocol says. The text says what was wrong, not what was read.
    #[error("the model provider sent an answer that cannot be read: {0}")]
    UpstreamGarbage(String),
    /// The answer stopped without an end.
    #[error("the model provider broke off in the middle of the answer")]
    UpstreamCut,
    /// The conversation does not fit into the model's context window.
    #[error("the conversation is too long for the model")]
    ContextTooLong,
    /// Nothing came for longer than the stated limit; the text names the limit.
    #[error("the model provider took too long: {0}")]
    TimedOut(String),
    /// The local model's files are absent or unreadable. The text says what to do.
    #[error("the local model cannot be loaded: {0}")]
    ModelMissing(String),
    /// The local model's queue is full.
    #[error("the local model is busy; try again shortly")]
    Busy,
    /// The local computation failed. A defect, not the user's fault.
    #[error("the local model failed: {0}")]
    LocalFailure(String),
    /// Everybody who could answer is ill, full or resting; nobody was asked.
    #[error("no channel can answer now: {reasons}")]
    NoHealthyChannel {
        /// Channel by channel, fit for users.
        reasons: String,
        /// When the first of them may be asked again, as far as that is known.
        retry_after: Option<Duration>,
    },
    /// The provider's configuration cannot work; the text says what is wrong with it, never its values.
    #[error("the model provider is misconfigured: {0}")]
    Misconfigured(String),
    /// The caller cancelled before the answer began.
    #[error("cancelled before the answer began")]
    Cancelled,
}

/// The code of a refusal by which the key itself is void: asking again with it is in vain until somebody changes it.
pub const VOID_KEY: &str = "invalid_api_key";
/// How providers say so, in lower case: codes and sentences of OpenAI, Azure, Anthropic, Google, AWS, DeepSeek, OpenRouter
/// and those who imitate them. A bare 401 or 403 may be a proxy's, a region's or a moderator's.
const VOID_KEY_WORDS: [&str; 18] = [
    "invalid_api_key",
    "invalid api key",
    "incorrect api key",
    "invalid x-api-key",
    "invalid subscription key",
    "api_key_invalid",
    "api key not valid",
    "api key expired",
    "api key is invalid",
    "key has been disabled",
    "key has been revoked",
    "account_deactivated",
    "account has been deactivated",
    "invalid_authentication",
    "authentication fails",
    "no auth credentials found",
    "unrecognizedclientexception",
    "security token included in the request is invalid",
];

impl RelayError {
    /// The same; a refusal of the key says by [`VOID_KEY`] where the provider's words in `body` leave no doubt.
    #[must_use]
    pub(crate) fn with_key_judged(mut self, body: &str) -> Self {
        if let Self::UpstreamRefused { status: 401 | 403, code, .. } = &mut self {
            let body = body.to_lowercase();
            if VOID_KEY_WORDS.iter().any(|words| body.contains(words)) {
                *code = Some(VOID_KEY.to_owned());
            }
        }
        self
    }

    /// A refusal in our own words.
    pub(crate) fn refused(status: u16, message: impl Into<String>) -> Self {
        Self::UpstreamRefused { status, message: message.into(), code: None, param: None }
    }

    /// The provider cannot be reached or cannot serve, and does not say for how long.
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::UpstreamUnavailable { reason: reason.into(), retry_after: None }
    }

    /// The provider answered that it cannot serve now, with this status.
    pub(crate) fn unavailable_by_status(status: u16, retry_after: Option<Duration>) -> Self {
        let reason = match status {
            // Anthropic's own.
            529 => "it is overloaded".to_owned(),
            _ => format!("it answered with status {status}"),
        };
        Self::UpstreamUnavailable { reason, retry_after }
    }

    /// The stable name of the kind, for clients, metrics and stored failures.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownModel(_) => "unknown_model",
            Self::UpstreamUnavailable { .. } => "upstream_unavailable",
            Self::UpstreamRateLimited { .. } => "upstream_rate_limited",
            Self::UpstreamRefused { .. } => "upstream_refused",
            Self::UpstreamGarbage(_) => "upstream_garbage",
            Self::UpstreamCut => "upstream_cut",
            Self::ContextTooLong => "context_too_long",
            Self::TimedOut(_) => "timed_out",
            Self::ModelMissing(_) => "model_missing",
            Self::Busy => "model_busy",
            Self::LocalFailure(_) => "local_failure",
            Self::NoHealthyChannel { .. } => "no_healthy_channel",
            Self::Misconfigured(_) => "misconfigured",
            Self::Cancelled => "cancelled",
        }
    }

    /// True where the same request could succeed later without anybody changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::UpstreamUnavailable { .. }
            | Self::UpstreamRateLimited { .. }
            | Self::UpstreamGarbage(_)
            | Self::UpstreamCut
            | Self::TimedOut(_)
            | Self::NoHealthyChannel { .. }
            | Self::Busy => true,
            Self::UnknownModel(_)
            | Self::UpstreamRefused { .. }
            | Self::ContextTooLong
            | Self::ModelMissing(_)
            | Self::LocalFailure(_)
            | Self::Misconfigured(_)
            | Self::Cancelled => false,
        }
    }

    /// How long to wait at least before another attempt, where the provider said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::UpstreamRateLimited { retry_after }
            | Self::UpstreamUnavailable { retry_after, .. }
            | Self::NoHealthyChannel { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Option<String> {
        match RelayError::refused(status, "the provider does not accept the configured key").with_key_judged(body) {
            RelayError::UpstreamRefused { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_is_void_only_where_the_provider_says_so() {
        let void = Some(VOID_KEY.to_owned());
        for body in [
            r#"{"error":{"message":"Incorrect API key provided: sk-***.","code":"invalid_api_key"}}"#,
            r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
            r#"{"error":{"code":400,"message":"API key not valid.","details":[{"reason":"API_KEY_INVALID"}]}}"#,
            r#"{"message":"The security token included in the request is invalid."}"#,
        ] {
            assert_eq!(judged(401, body), void, "{body}");
        }
        for body in ["", "<html>Unauthorized</html>", r#"{"error":{"message":"Country not supported"}}"#] {
            assert_eq!(judged(403, body), None, "{body}");
        }
        assert_eq!(judged(400, "invalid_api_key"), None);
    }
}
