//! Around every request: its id, its log line, its metrics, the body of its problem, a panic caught, room for it.

use std::{any::Any, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::{Instrument as _, info, info_span};

use crate::{
    problem::Problem,
    request_id::{RequestId, X_REQUEST_ID},
    served::Manner,
    state::Room,
};

/// The outermost layer.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    // The pattern and not the path: few values for metrics, and no ids or queries in logs.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(id.clone());
    let span = info_span!("http", request_id = id.as_str(), %method, route);
    let manner = Manner::of(&request);
    if let Some(manner) = manner {
        request.extensions_mut().insert(manner);
    }

    let mut response = next.run(request).instrument(span.clone()).await;

    let problem = response.extensions_mut().remove::<Problem>();
    let code = problem.as_ref().map(|problem| problem.code().to_owned());
    match (problem, manner) {
        (Some(problem), Some(manner)) => manner.render(&problem, &id, &mut response),
        (Some(problem), None) => problem.render(&mut response, id.as_str()),
        (None, _) => {}
    }
    if let Some(manner) = manner {
        manner.mark(&id, &mut response);
    }
    let headers = response.headers_mut();
    if let Some(value) = id.header() {
        headers.insert(X_REQUEST_ID, value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    // The page has its own policy; everything else is data and must never run as a page.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));

    let (status, elapsed) = (response.status(), started.elapsed());
    span.in_scope(|| {
        info!(status = status.as_u16(), code, duration_ms = elapsed.as_secs_f64() * 1e3, "answered");
    });
    measure(&method, route, status, elapsed.as_secs_f64());
    response
}

fn measure(method: &Method, route: String, status: StatusCode, seconds: f64) {
    let labels = [("method", known(method).to_owned()), ("route", route), ("status", status.as_u16().to_string())];
    metrics::counter!("http_requests_total", &labels).increment(1);
    metrics::histogram!("http_request_duration_seconds", &labels[..2]).record(seconds);
}

/// A client can send any word as method; metrics take the usual ones.
fn known(method: &Method) -> &str {
    match method.as_str() {
        word @ ("GET" | "POST" | "PATCH" | "PUT" | "DELETE" | "HEAD" | "OPTIONS") => word,
        _ => "other",
    }
}

/// Turns requests away while too many are being answered. Streams count only until they begin.
pub(crate) async fn admit(State(Room(room)): State<Room>, request: Request, next: Next) -> Response {
    match room.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => {
            Problem::unavailable("overloaded", "too many requests at once; try again in a moment").into_response()
        }
    }
}

/// A panic is a bug like any other: logged, answered with the id.
#[expect(clippy::needless_pass_by_value, reason = "the signature that CatchPanicLayer calls")]
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
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
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_answered_with_the_id_and_nothing_else() {
        async fn broken() -> &'static str {
            panic!("the secret is 42")
        }
        let router = Router::new()
            .route("/", get(broken))
            .route("/v1/broken", get(broken))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn(observe));
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
