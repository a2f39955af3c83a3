//! The entrance to the served APIs: who is calling, and how often.

use std::time::Duration;

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use chrono::{SecondsFormat, Utc};
use domain::UserId;

use super::Manner;
use crate::{
    holder::Holders,
    problem::Problem,
    users::{Buckets, Quota, Taken},
};

/// How often one account may call, and with how much input.
#[derive(Clone)]
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
pub(crate) struct Allowance {
    tokens: Buckets<UserId>,
    user: UserId,
}

impl Allowance {
    /// Takes the input's tokens, as they were counted before the call.
    ///
    /// # Errors
    /// They are not left in this minute.
    pub(crate) fn take(&self, tokens: u64) -> Result<(), Problem> {
        let taken = self.tokens.take_many(self.user, u32::try_from(tokens).unwrap_or(u32::MAX));
        taken.wait.map_or(Ok(()), |wait| Err(too_often(taken.limit, "tokens of input", wait)))
    }
}

fn too_often(limit: u32, what: &str, wait: Duration) -> Problem {
    let detail = format!("you call too often: at most {limit} {what} at once; wait a moment");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", detail).retry_after(wait)
}

/// Lets in whoever holds a key or a token and does not call too often. The route finds its [`Holder`](crate::holder::Holder)
/// and its [`Allowance`] among the request's extensions; every answer says what is left.
pub(crate) async fn enter(
    State(holders): State<Holders>,
    State(rate): State<ApiRate>,
    Extension(manner): Extension<Manner>,
    mut request: Request,
    next: Next,
) -> Response {
    let holder = match holders.of_served(request.headers(), request.uri()).await {
        Ok(holder) => holder,
        Err(problem) => return problem.into_response(),
    };
    let (user, ApiRate { requests, tokens }) = (holder.user, rate);
    let taken = requests.take(user);
    let mut response = match taken.wait {
        Some(wait) => too_often(taken.limit, "requests", wait).into_response(),
        None => {
            request.extensions_mut().insert(holder);
            request.extensions_mut().insert(Allowance { tokens: tokens.clone(), user });
            next.run(request).await
        }
    };
    tell(manner, Counted::Requests, &taken, response.headers_mut());
    tell(manner, Counted::Tokens, &tokens.look(user), response.headers_mut());
    response
}

/// What is limited.
#[derive(Clone, Copy)]
enum Counted {
    Requests,
    Tokens,
}

/// The names of limit, rest and reset that the API's SDKs know.
const fn names(manner: Manner, counted: Counted) -> [&'static str; 3] {
    match (manner, counted) {
        (Manner::Anthropic, Counted::Requests) => [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
        (Manner::Anthropic, Counted::Tokens) => [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
        (Manner::Openai | Manner::Gemini, Counted::Requests) => {
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"]
        }
        (Manner::Openai | Manner::Gemini, Counted::Tokens) => {
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]
        }
    }
}

/// What is left, in the form that the API's SDKs know.
fn tell(manner: Manner, counted: Counted, taken: &Taken, headers: &mut HeaderMap) {
    let reset = match manner {
        // When it is full again.
        Manner::Anthropic => (Utc::now() + taken.reset).to_rfc3339_opts(SecondsFormat::Secs, true),
        // How long until then, as OpenAI writes it: `12ms`, `6s`.
        Manner::Openai | Manner::Gemini => match (taken.reset.as_secs(), taken.reset.subsec_millis()) {
            (0, millis) => format!("{millis}ms"),
            (seconds, _) => format!("{seconds}s"),
        },
    };
    let [limit, remaining, at] = names(manner, counted).map(HeaderName::from_static);
    headers.insert(limit, taken.limit.into());
    headers.insert(remaining, taken.remaining.into());
    if let Ok(reset) = HeaderValue::from_str(&reset) {
        headers.insert(at, reset);
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
            tell(manner, Counted::Requests, &taken, &mut headers);
            tell(manner, Counted::Tokens, &Taken { remaining: 7, ..taken }, &mut headers);
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
