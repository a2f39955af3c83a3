//! The entrance to the served APIs: who is calling, and how often.

use std::time::Duration;

use axum::{
    Extension,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{SecondsFormat, Utc};
use domain::UserId;

use super::Manner;
use crate::{
    problem::Problem,
    state::App,
    users::{Bucket, Buckets, Quota, Taken},
};

/// How often one account may call, and with how much input.
pub(crate) struct ApiRate {
    requests: Buckets<UserId>,
    tokens: Buckets<UserId>,
}

impl ApiRate {
    pub(crate) fn new(requests: Quota, tokens: Quota) -> Self {
        Self { requests: Buckets::new(requests), tokens: Buckets::new(tokens) }
    }
}

/// What one account may still send; the route finds it among the request's extensions.
#[derive(Clone)]
pub(crate) struct Allowance(Bucket);

impl Allowance {
    /// Takes the input's tokens, as they were counted before the call.
    ///
    /// # Errors
    /// They are not left in this minute.
    pub(crate) fn take(&self, tokens: u64) -> Result<(), Problem> {
        let taken = self.0.take(u32::try_from(tokens).unwrap_or(u32::MAX));
        taken.wait.map_or(Ok(()), |wait| Err(too_often(taken.limit, "tokens of input", wait)))
    }
}

fn too_often(limit: u32, what: &str, wait: Duration) -> Problem {
    let detail = format!("you call too often: at most {limit} {what} at once; wait a moment");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", detail).retry_after(wait)
}

/// Lets in whoever holds a key or a token and does not call too often, with a body of up to so many bytes. The route finds
/// its [`Holder`](crate::holder::Holder) and its [`Allowance`] among the request's extensions; every answer says what is
/// left.
pub(crate) async fn enter(
    State((app, max_body_bytes)): State<(App, usize)>,
    Extension(manner): Extension<Manner>,
    mut request: Request,
    next: Next,
) -> Response {
    let holder = match app.holders.of_served(request.headers(), request.uri()).await {
        Ok(holder) => holder,
        Err(problem) => return problem.into_response(),
    };
    let tokens = app.rate.tokens.of(holder.user);
    let taken = app.rate.requests.of(holder.user).take(1);
    let mut response = match taken.wait {
        Some(wait) => too_often(taken.limit, "requests", wait).into_response(),
        None => {
            DefaultBodyLimit::max(max_body_bytes).apply(&mut request);
            request.extensions_mut().insert(holder);
            request.extensions_mut().insert(Allowance(tokens.clone()));
            next.run(request).await
        }
    };
    let [of_requests, of_tokens] = names(manner);
    let headers = response.headers_mut();
    headers.reserve(of_requests.len() + of_tokens.len());
    tell(manner, of_requests, &taken, headers);
    tell(manner, of_tokens, &tokens.look(), headers);
    response
}

/// The names of limit, rest and reset.
type Names = [HeaderName; 3];

/// Those that the API's SDKs know, for requests and for tokens.
const fn names(manner: Manner) -> [Names; 2] {
    const fn named(limit: &'static str, remaining: &'static str, reset: &'static str) -> Names {
        [HeaderName::from_static(limit), HeaderName::from_static(remaining), HeaderName::from_static(reset)]
    }
    match manner {
        Manner::Anthropic => {
            const {
                [
                    named(
                        "anthropic-ratelimit-requests-limit",
                        "anthropic-ratelimit-requests-remaining",
                        "anthropic-ratelimit-requests-reset",
                    ),
                    named(
                        "anthropic-ratelimit-tokens-limit",
                        "anthropic-ratelimit-tokens-remaining",
                        "anthropic-ratelimit-tokens-reset",
                    ),
                ]
            }
        }
        Manner::Openai | Manner::Gemini => {
            const {
                [
                    named("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
                    named("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
                ]
            }
        }
    }
}

/// What is left, in the form that the API's SDKs know.
fn tell(manner: Manner, [limit, remaining, reset]: Names, taken: &Taken, headers: &mut HeaderMap) {
    headers.insert(limit, taken.limit.into());
    headers.insert(remaining, taken.remaining.into());
    if let Ok(value) = HeaderValue::try_from(reset_of(manner, taken.reset)) {
        headers.insert(reset, value);
    }
}

fn reset_of(manner: Manner, after: Duration) -> String {
    match manner {
        // When it is full again.
        Manner::Anthropic => (Utc::now() + after).to_rfc3339_opts(SecondsFormat::Secs, true),
        // How long until then, as OpenAI writes it: `12ms`, `6s`.
        Manner::Openai | Manner::Gemini => match (after.as_secs(), after.subsec_millis()) {
            (0, millis) => millis.to_string() + "ms",
            (seconds, _) => seconds.to_string() + "s",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_has_the_names_and_the_form_of_the_api() {
        let taken = Taken { wait: None, limit: 9, remaining: 8, reset: Duration::from_millis(6_400) };
        let told = |manner| {
            let mut headers = HeaderMap::new();
            let [of_requests, of_tokens] = names(manner);
            tell(manner, of_requests, &taken, &mut headers);
            tell(manner, of_tokens, &Taken { remaining: 7, ..taken }, &mut headers);
            headers
        };
        let openai = told(Manner::Openai);
        assert_eq!(openai["x-ratelimit-remaining-requests"], "8");
        assert_eq!(openai["x-ratelimit-reset-requests"], "6s");
        assert_eq!(openai["x-ratelimit-remaining-tokens"], "7");
        let anthropic = told(Manner::Anthropic);
        assert_eq!(anthropic["anthropic-ratelimit-requests-limit"], "9");
        assert_eq!(anthropic["anthropic-ratelimit-tokens-remaining"], "7");
        let reset = anthropic["anthropic-ratelimit-requests-reset"].to_str().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(reset).is_ok(), "{reset}");
        assert!(!anthropic.contains_key("x-ratelimit-limit-requests"));
    }
}
