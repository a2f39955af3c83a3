//! The entrance to the served APIs: who is calling, and how often.

use std::{sync::Arc, time::Duration};

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
    holder::Holder,
    lately::Lately,
    problem::Problem,
    state::App,
    users::{Bucket, MAX_BUCKETS, Quota, Taken},
};

/// How often one account may call, and with how much input.
pub(crate) struct ApiRate {
    requests: Quota,
    tokens: Quota,
    accounts: Lately<UserId, Arc<Account>>,
}

/// What one account may still send.
struct Account {
    requests: Bucket,
    tokens: Bucket,
}

impl ApiRate {
    pub(crate) fn new(requests: Quota, tokens: Quota) -> Self {
        // What was not used for its period is full, as a new one is.
        let accounts = Lately::new(requests.per.max(tokens.per) * 2, MAX_BUCKETS);
        Self { requests, tokens, accounts }
    }

    fn of(&self, account: UserId) -> Arc<Account> {
        let full = || Arc::new(Account { requests: Bucket::new(self.requests), tokens: Bucket::new(self.tokens) });
        self.accounts.get_or_insert_with(account, full)
    }
}

/// The input that one account may still send; the route finds it among the request's extensions.
#[derive(Clone)]
pub(crate) struct Allowance(Arc<Account>);

impl Allowance {
    /// Takes the input's tokens, as they were counted before the call.
    ///
    /// # Errors
    /// They are not left in this minute.
    pub(crate) fn take(&self, tokens: u64) -> Result<(), Problem> {
        let taken = self.0.tokens.take(u32::try_from(tokens).unwrap_or(u32::MAX));
        taken.wait.map_or(Ok(()), |wait| Err(too_often(taken.limit, "tokens of input", wait)))
    }
}

fn too_often(limit: u32, what: &str, wait: Duration) -> Problem {
    let detail = format!("you call too often: at most {limit} {what} at once; wait a moment");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", detail).retry_after(wait)
}

/// Lets in whoever holds a key or a token and does not call too often: `inside` answers them. Every answer to somebody who
/// is known says what is left.
pub(crate) async fn enter<F>(
    app: &App,
    manner: Manner,
    holder: Result<Holder, Problem>,
    inside: impl FnOnce(Holder, Allowance) -> F,
) -> Response
where
    F: Future<Output = Response>,
{
    let holder = match holder {
        Ok(holder) => holder,
        Err(problem) => return problem.into_response(),
    };
    let account = app.rate.of(holder.user);
    let taken = account.requests.take(1);
    let mut response = match taken.wait {
        Some(wait) => too_often(taken.limit, "requests", wait).into_response(),
        None => inside(holder, Allowance(Arc::clone(&account))).await,
    };
    let [of_requests, of_tokens] = names(manner);
    let headers = response.headers_mut();
    headers.reserve(of_requests.len() + of_tokens.len());
    tell(manner, of_requests, &taken, headers);
    tell(manner, of_tokens, &account.tokens.look(), headers);
    response
}

/// The entrance as a layer, with bodies of up to so many bytes. The route finds its [`Holder`] and its [`Allowance`] among
/// the request's extensions.
pub(crate) async fn layer(
    State((app, max_body_bytes)): State<(App, usize)>,
    Extension(manner): Extension<Manner>,
    mut request: Request,
    next: Next,
) -> Response {
    let holder = app.holders.of_served(request.headers(), request.uri()).await;
    let inside = |holder: Holder, allowance: Allowance| {
        DefaultBodyLimit::max(max_body_bytes).apply(&mut request);
        request.extensions_mut().insert(holder);
        request.extensions_mut().insert(allowance);
        next.run(request)
    };
    enter(&app, manner, holder, inside).await
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
    headers.insert(limit, number(taken.limit.into(), ""));
    headers.insert(remaining, number(taken.remaining.into(), ""));
    headers.insert(reset, reset_of(manner, taken.reset));
}

fn reset_of(manner: Manner, after: Duration) -> HeaderValue {
    match manner {
        // When it is full again.
        Manner::Anthropic => written(&(Utc::now() + after).to_rfc3339_opts(SecondsFormat::Secs, true)),
        // How long until then, as OpenAI writes it: `12ms`, `6s`.
        Manner::Openai | Manner::Gemini => match (after.as_secs(), after.subsec_millis()) {
            (0, millis) => number(millis.into(), "ms"),
            (seconds, _) => number(seconds, "s"),
        },
    }
}

fn number(number: u64, unit: &str) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    match (digits.format(number), unit) {
        (digits, "") => written(digits),
        (digits, unit) => written(&[digits, unit].concat()),
    }
}

/// Of digits and letters, which always are a value.
fn written(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
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
