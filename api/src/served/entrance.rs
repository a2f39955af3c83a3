//! The entrance to the served APIs: who is calling, and how often.

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

/// How often one account may call.
#[derive(Clone)]
pub(crate) struct ApiRate(Buckets<UserId>);

impl ApiRate {
    pub(crate) fn new(quota: Quota) -> Self {
        Self(Buckets::new(quota))
    }
}

/// Lets in whoever holds a key or a token and does not call too often. The route finds its [`Holder`](crate::holder::Holder)
/// among the request's extensions; every answer says what is left.
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
    let taken = rate.0.take(holder.user);
    let mut response = match taken.wait {
        Some(wait) => {
            let detail = format!("you call too often: at most {} requests at once; wait a moment", taken.limit);
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", detail).retry_after(wait).into_response()
        }
        None => {
            request.extensions_mut().insert(holder);
            next.run(request).await
        }
    };
    tell(manner, &taken, response.headers_mut());
    response
}

/// What is left, under the names that the API's SDKs know.
fn tell(manner: Manner, taken: &Taken, headers: &mut HeaderMap) {
    let (names, reset) = match manner {
        Manner::Anthropic => (
            [
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-requests-remaining",
                "anthropic-ratelimit-requests-reset",
            ],
            // When it is full again.
            (Utc::now() + taken.reset).to_rfc3339_opts(SecondsFormat::Secs, true),
        ),
        Manner::Openai | Manner::Gemini => (
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
            // How long until then, as OpenAI writes it: `12ms`, `6s`.
            match (taken.reset.as_secs(), taken.reset.subsec_millis()) {
                (0, millis) => format!("{millis}ms"),
                (seconds, _) => format!("{seconds}s"),
            },
        ),
    };
    let [limit, remaining, at] = names.map(HeaderName::from_static);
    headers.insert(limit, taken.limit.into());
    headers.insert(remaining, taken.remaining.into());
    if let Ok(reset) = HeaderValue::from_str(&reset) {
        headers.insert(at, reset);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_left_has_the_names_and_the_form_of_the_api() {
        let taken = Taken { wait: None, limit: 9, remaining: 8, reset: Duration::from_millis(6_400) };
        let told = |manner| {
            let mut headers = HeaderMap::new();
            tell(manner, &taken, &mut headers);
            headers
        };
        let openai = told(Manner::Openai);
        assert_eq!(openai["x-ratelimit-remaining-requests"], "8");
        assert_eq!(openai["x-ratelimit-reset-requests"], "6s");
        let anthropic = told(Manner::Anthropic);
        assert_eq!(anthropic["anthropic-ratelimit-requests-limit"], "9");
        let reset = anthropic["anthropic-ratelimit-requests-reset"].to_str().unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(reset).is_ok(), "{reset}");
        assert!(!anthropic.contains_key("x-ratelimit-limit-requests"));
    }
}
