//! Around every request: its id, its log line, its metrics, the body of its problem, a panic caught, room for it.
//!
//! Promise: every request is answered within [`Around::observe`], whichever way it takes to its route.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use tokio::sync::Semaphore;
use tracing::{Instrument as _, info, info_span};

use crate::{
    arriving,
    problem::Problem,
    request_id::{RequestId, X_REQUEST_ID},
    served::Manner,
    state::ApiLimits,
    tally::Tally,
};

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
/// The page has its own policy; everything else is data and must never run as a page.
const DATA_ONLY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What is around every request.
pub(crate) struct Around {
    /// The places for requests being answered.
    room: Semaphore,
    limits: ApiLimits,
    tally: Tally,
}

/// A request as it is seen from outside of its route.
pub(crate) struct Seen<'a> {
    pub(crate) id: RequestId,
    /// Whose API is meant; `None`: our own, or the page.
    pub(crate) manner: Option<Manner>,
    started: Instant,
    method: Method,
    /// The pattern and not the path: few values for metrics, and no ids or queries in logs.
    route: &'a str,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(method: &Method, uri: &Uri, headers: &HeaderMap, route: &'a str) -> Self {
        Self {
            id: RequestId::of(headers),
            manner: Manner::of(method, uri, headers),
            started: Instant::now(),
            method: method.clone(),
            route,
        }
    }
}

impl Around {
    pub(crate) fn new(limits: ApiLimits) -> Arc<Self> {
        Arc::new(Self { room: Semaphore::new(limits.concurrency), limits, tally: Tally::default() })
    }

    pub(crate) const fn limits(&self) -> &ApiLimits {
        &self.limits
    }

    /// What becomes of a request that `answer` answers, as the client gets it.
    pub(crate) async fn observe(&self, seen: &Seen<'_>, answer: impl Future<Output = Response>) -> Response {
        let Seen { id, manner, method, route, .. } = seen;
        let span = info_span!("http", request_id = id.as_str(), %method, route);
        let mut response = self.run(answer).instrument(span.clone()).await;
        let problem = response.extensions_mut().remove::<Problem>();
        let code = problem.as_ref().map(|problem| problem.code().to_owned());
        match (problem, manner) {
            (Some(problem), Some(manner)) => manner.render(&problem, id, &mut response),
            (Some(problem), None) => problem.render(&mut response, id.as_str()),
            (None, _) => {}
        }
        if let Some(manner) = manner {
            manner.mark(id, &mut response);
        }
        mark(id, response.headers_mut());
        let (status, elapsed) = (response.status(), seen.started.elapsed());
        span.in_scope(|| {
            info!(status = status.as_u16(), code, duration_ms = elapsed.as_secs_f64() * 1e3, "answered");
        });
        self.tally.count(method, route, status, elapsed);
        response
    }

    /// The answer, whatever happens. Turns requests away while too many are being answered; streams count only until they
    /// begin.
    async fn run(&self, answer: impl Future<Output = Response>) -> Response {
        let Ok(_place) = self.room.try_acquire() else {
            let problem = Problem::unavailable("overloaded", "too many requests at once; try again in a moment");
            return problem.into_response();
        };
        AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|panic| panicked(&*panic))
    }
}

/// What every answer bears.
fn mark(id: &RequestId, headers: &mut HeaderMap) {
    headers.insert(X_REQUEST_ID, id.header());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::REFERRER_POLICY, SAME_ORIGIN);
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(DATA_ONLY);
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
}

/// The outermost layer of the router. One and not one for each thing, because axum clones and boxes each layer of each
/// route for every request.
pub(crate) async fn observe(State(around): State<Arc<Around>>, mut request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("unmatched", MatchedPath::as_str);
    let seen = Seen::new(request.method(), request.uri(), request.headers(), route);
    request.extensions_mut().insert(seen.id.clone());
    if let Some(manner) = seen.manner {
        request.extensions_mut().insert(manner);
    }
    let mut request = arriving::bounded(request, around.limits.body_timeout);
    DefaultBodyLimit::max(around.limits.max_body_bytes).apply(&mut request);
    around.observe(&seen, next.run(request)).await
}

/// A panic is a bug like any other: logged, answered with the id.
fn panicked(panic: &(dyn Any + Send)) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Problem::bug(&format!("panic: {}", text.unwrap_or("of an unknown kind"))).into_response()
}

/// No such route.
pub(crate) async fn not_found() -> Problem {
    Problem::not_found("route_not_found", "there is nothing under this address; see /openapi.json")
}

/// The route knows other methods; axum adds `Allow`.
pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this address does not take this method; see the header `Allow`",
    )
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware, routing::get};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_with_the_id_and_nothing_else() {
        async fn broken() -> &'static str {
            panic!("the secret is 42")
        }
        let router = Router::new()
            .route("/", get(broken))
            .route("/v1/broken", get(broken))
            .layer(middleware::from_fn_with_state(Around::new(ApiLimits::default()), observe));
        let ask = |uri: &str| {
            let request = Request::builder().uri(uri).header("x-request-id", "r-1").body(Body::empty()).unwrap();
            router.clone().oneshot(request)
        };
        let compatible = ask("/v1/broken").await.unwrap();
        assert_eq!(compatible.headers()["x-request-id"], "r-1");
        let body = compatible.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["error"]["type"], "server_error");

        let response = ask("/").await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("r-1") && text.contains("internal_error") && !text.contains("42"), "{text}");
    }
}
