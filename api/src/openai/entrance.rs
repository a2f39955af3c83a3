//! The entrance to `/v1`: who is calling, and how often.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::UserId;

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
pub(super) async fn enter(
    State(holders): State<Holders>,
    State(rate): State<ApiRate>,
    mut request: Request,
    next: Next,
) -> Response {
    let holder = match holders.of(request.headers()).await {
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
    tell(&taken, &mut response);
    response
}

fn tell(taken: &Taken, response: &mut Response) {
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: HeaderValue| headers.insert(HeaderName::from_static(name), value);
    set("x-ratelimit-limit-requests", taken.limit.into());
    set("x-ratelimit-remaining-requests", taken.remaining.into());
    // As OpenAI writes it: `12ms`, `6s`.
    let (seconds, millis) = (taken.reset.as_secs(), taken.reset.subsec_millis());
    let reset = if seconds == 0 { format!("{millis}ms") } else { format!("{seconds}s") };
    if let Ok(reset) = HeaderValue::from_str(&reset) {
        set("x-ratelimit-reset-requests", reset);
    }
}
