//! The web page, from inside the executable.
//!
//! Every address of the page answers its one HTML file, for browsers that navigate; what the API does not know stays a
//! problem for everybody else. Its files are unpacked when somebody first asks for one: a node that only serves programs
//! needs neither the time nor the memory.

use std::sync::OnceLock;

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use memory_serve::{Asset, CacheControl, MemoryServe};
use tokio::task::spawn_blocking;
use tower::ServiceExt as _;

use crate::{observe, problem::Problem};

/// Empty where `web/dist` was not built.
const ASSETS: &[(&str, &[Asset])] = include!(concat!(env!("OUT_DIR"), "/memory_serve_assets.rs"));
const NOT_BUILT: &str = "<!doctype html><title>Oblivious</title><p>The page was not built into this server. \
    Run <code>npm ci && npm run build</code> in <code>web/</code>, then build the server again; or use <code>make run</code>. \
    The API is described at <a href=\"/openapi.json\">/openapi.json</a>.";
/// Styles are set by script on single elements (math, code), hence `unsafe-inline` for them alone.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
    font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'";

/// Unpacked with the first request for it.
static PAGE: OnceLock<Router> = OnceLock::new();

/// What is served where no route of the API matches.
pub(crate) fn fallback() -> Router {
    Router::new().fallback(async |request: Request| {
        if is_of_api(request.uri().path()) {
            return observe::not_found().await.into_response();
        }
        // It is compressed once for clients without Brotli: a moment's work, which must not hold up other requests.
        let page = match PAGE.get() {
            Some(page) => page,
            None => match spawn_blocking(|| PAGE.get_or_init(page)).await {
                Ok(page) => page,
                Err(error) => return Problem::bug(&error).into_response(),
            },
        };
        // It has no state and cannot fail.
        let Ok(response) = page.clone().oneshot(request).await;
        response
    })
}

/// Every file of the page, and the page for every other address that is one of its own.
fn page() -> Router {
    let files = match ASSETS.first() {
        Some((_, assets)) => MemoryServe::new(assets)
            .index_file(Some("/index.html"))
            .html_cache_control(CacheControl::NoCache)
            .cache_control(CacheControl::NoCache)
            .into_router(),
        None => Router::new().route("/", get(async || Html(NOT_BUILT))),
    };
    let index = files.clone();
    let or_index = async move |request: Request| {
        if !is_navigation(request.method(), request.uri().path(), request.headers()) {
            return observe::not_found().await.into_response();
        }
        let mut root = Request::new(axum::body::Body::empty());
        *root.headers_mut() = request.headers().clone();
        // The router has no state and cannot fail.
        let Ok(response) = index.oneshot(root).await;
        response
    };
    files
        .fallback(or_index)
        .method_not_allowed_fallback(observe::method_not_allowed)
        .layer(middleware::from_fn(headers))
}

/// A browser that goes to an address, which is not one of the API or of a file.
fn is_navigation(method: &Method, path: &str, headers: &HeaderMap) -> bool {
    let wants_html = headers.get_all(header::ACCEPT).iter().any(|accept| accept.as_bytes().starts_with(b"text/html"));
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    (method == Method::GET || method == Method::HEAD) && wants_html && !is_of_api(path) && !is_file
}

fn is_of_api(path: &str) -> bool {
    let below = |root: &&str| path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ["/api", "/v1", "/v1beta"].iter().any(below)
}

async fn headers(request: Request, next: Next) -> Response {
    // The build names these files by their content.
    let is_hashed = request.uri().path().starts_with("/assets/");
    let mut response = next.run(request).await;
    let is_found = response.status() == StatusCode::OK || response.status() == StatusCode::NOT_MODIFIED;
    if is_found {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        if is_hashed {
            let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
            response.headers_mut().insert(header::CACHE_CONTROL, for_ever);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_browser_that_navigates_gets_the_page() {
        let html = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"))]);
        let any = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static("*/*"))]);
        assert!(is_navigation(&Method::GET, "/chat/0197", &html));
        assert!(is_navigation(&Method::GET, "/apiary", &html));
        assert!(!is_navigation(&Method::GET, "/chat/0197", &any));
        assert!(!is_navigation(&Method::POST, "/chat/0197", &html));
        for path in ["/api/v1/nothing", "/v1/models", "/api", "/assets/gone.js"] {
            assert!(!is_navigation(&Method::GET, path, &html), "{path}");
        }
    }
}
