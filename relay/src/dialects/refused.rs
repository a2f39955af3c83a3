//! What a refusal means by its status and its sentence, for providers whose words say no more than that.

use std::time::Duration;

use serde_json::Value;

use super::common::{safe_message, safe_word};
use crate::RelayError;

/// How Claude and Bedrock say that a conversation is too long, in lower case.
const TOO_LONG: [&str; 6] = [
    "prompt is too long",
    "input is too long",
    "exceed context limit",
    "exceeds the context window",
    "too many input tokens",
    "exceeds the maximum number of input tokens",
];

/// The error that a refusal with that status is. `kind` is the provider's word for it.
pub(crate) fn of_status(
    status: u16,
    kind: &str,
    message: &str,
    retry_after: Option<Duration>,
    secret: Option<&str>,
) -> RelayError {
    let lower = message.to_lowercase();
    match status {
        400 | 413 if TOO_LONG.iter().any(|sentence| lower.contains(sentence)) => RelayError::ContextTooLong,
        401 | 403 => RelayError::refused(status, "the provider does not accept the configured key"),
        402 => RelayError::refused(status, "the account at the provider has no quota left"),
        429 => RelayError::UpstreamRateLimited { retry_after },
        408 | 409 | 424 | 425 | 500.. => RelayError::unavailable_by_status(status, retry_after),
        300..=399 => {
            RelayError::refused(status, "the address redirects, which is not followed; configure the final address")
        }
        _ => RelayError::UpstreamRefused {
            status,
            message: safe_message(message, secret),
            code: safe_word(&Value::from(kind), secret),
            param: None,
        },
    }
}
