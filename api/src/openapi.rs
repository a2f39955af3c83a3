//! The description of the API, made from the handlers' own types, and what its entries share.

use axum::{body::Bytes, http::header::CONTENT_TYPE, routing::get};
use utoipa::{
    IntoParams, IntoResponses, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use crate::{
    chat,
    problem::{FieldError, Problem, ProblemBody},
};

/// Every route can answer a problem.
#[derive(IntoResponses)]
#[response(status = "default", description = "A problem (RFC 9457)", content_type = "application/problem+json")]
#[expect(dead_code, reason = "describes answers, is never built")]
pub(crate) struct Problems(ProblemBody);

/// `Idempotency-Key`, where it may be left out.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header, is never built")]
pub(crate) struct KeyParam {
    /// The same key with the same body answers the same.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 128)]
    key: Option<String>,
}

/// `Idempotency-Key`, where it is required.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header, is never built")]
pub(crate) struct RequiredKeyParam {
    /// The same key with the same body answers the same.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 128)]
    key: String,
}

/// `X-After`, on reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header, is never built")]
pub(crate) struct AfterParam {
    /// `X-Event` of a write that this answer must show; answered with `X-Stale: true` if that takes more than 2 s.
    #[param(rename = "X-After")]
    after: Option<String>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Oblivious",
        description = "Self-hosted AI chat platform",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(
        ProblemBody,
        FieldError,
        chat::DeltaFrame,
        chat::RunRef,
        chat::DoneFrame,
        chat::ChangedFrame,
        chat::PositionsFrame
    ))
)]
struct Document;

/// The document without its paths: they come with the routes.
pub(crate) fn base() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    document
}

/// Serves the document, written down once: as a tree it is some megabytes, and every route would carry a copy of it.
pub(crate) fn route<S: Clone + Send + Sync + 'static>(document: &utoipa::openapi::OpenApi) -> axum::Router<S> {
    let text = document.to_json().map(Bytes::from).map_err(|error| error.to_string());
    let answer = async move || match text {
        Ok(text) => Ok(([(CONTENT_TYPE, "application/json")], text)),
        Err(error) => Err(Problem::bug(&error)),
    };
    axum::Router::new().route("/openapi.json", get(answer))
}
