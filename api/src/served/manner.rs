//! Whose API a request means: its answers, refusals included, are in that one's form.
//!
//! Promise: every address under `/v1` and `/v1beta` has exactly one manner, also where nothing is served there. Under
//! `/v1/models`, which all three have, it is that of the credentials. A doubled version in the address, which clients
//! make of a base URL that has one already, changes nothing.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::Response,
};
use serde_json::Value;

use super::refusals::NO_CREDIT;
use crate::{anthropic, gemini, holder, openai, problem::Problem, request_id::RequestId};

/// The SDKs retry some statuses that cannot succeed; this tells them not to.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Where Anthropic's SDKs look for the request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
/// On every request of Anthropic's SDKs.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// Whose API it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Openai,
    Anthropic,
    Gemini,
}

impl Manner {
    /// `None`: our own API, or the page.
    pub(crate) fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Self> {
        let (version, rest) = version(uri.path())?;
        Some(match version {
            Version::V1Beta => Self::Gemini,
            Version::V1 if below(rest, "/messages").is_some() => Self::Anthropic,
            // Google's stable version has its models here, too.
            Version::V1 if below(rest, "/models").is_some() && *method == Method::POST => Self::Gemini,
            Version::V1 if below(rest, "/models").is_some() => Self::of_credentials(uri, headers),
            Version::V1 => Self::Openai,
        })
    }

    fn of_credentials(uri: &Uri, headers: &HeaderMap) -> Self {
        if headers.contains_key(ANTHROPIC_VERSION) {
            return Self::Anthropic;
        }
        match holder::way(headers, uri) {
            Some(holder::Way::ApiKeyHeader) => Self::Anthropic,
            Some(holder::Way::GoogleHeader | holder::Way::Query) => Self::Gemini,
            Some(holder::Way::Bearer) | None => Self::Openai,
        }
    }

    /// Writes `problem` as that API would.
    pub(crate) fn render(self, problem: &Problem, id: &RequestId, response: &mut Response) {
        *response.status_mut() = self.status(problem);
        *response.body_mut() = Body::from(self.error(problem, id).to_string());
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if problem.code() == NO_CREDIT {
            headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
        }
    }

    /// What every answer of that API bears, whatever became of the request.
    pub(crate) fn mark(self, id: &RequestId, response: &mut Response) {
        if self == Self::Anthropic {
            response.headers_mut().insert(REQUEST_ID, id.header());
        }
    }

    /// The body of a refusal, which is also the event of a stream that fails after it has begun.
    pub(crate) fn error(self, problem: &Problem, id: &RequestId) -> Value {
        match self {
            Self::Openai => openai::error(problem),
            Self::Anthropic => anthropic::error(problem, id),
            Self::Gemini => gemini::error(problem, id),
        }
    }

    /// None of them knows a 422; Anthropic has a status of its own for a lack of credit.
    pub(crate) fn status(self, problem: &Problem) -> StatusCode {
        match problem.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            _ if self == Self::Anthropic && problem.code() == NO_CREDIT => StatusCode::PAYMENT_REQUIRED,
            status => status,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V1Beta,
}

/// The last of up to two versions that the path begins with, and what follows.
fn version(path: &str) -> Option<(Version, &str)> {
    let first = one_version(path)?;
    Some(one_version(first.1).unwrap_or(first))
}

fn one_version(path: &str) -> Option<(Version, &str)> {
    let v1 = below(path, "/v1").map(|rest| (Version::V1, rest));
    v1.or_else(|| below(path, "/v1beta").map(|rest| (Version::V1Beta, rest)))
}

/// What follows `root`, which ends at the end of a segment.
fn below<'a>(path: &'a str, root: &str) -> Option<&'a str> {
    path.strip_prefix(root).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manner(method: Method, uri: &str, headers: &[(&str, &str)]) -> Option<Manner> {
        let mut request = axum::extract::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        Manner::of(request.method(), request.uri(), request.headers())
    }

    #[test]
    fn each_address_of_a_served_api_has_its_manner_and_no_other_has_one() {
        for path in ["/v1", "/v1/", "/v1/v1/anything", "/v1/chat/completions", "/v1/messagesx"] {
            assert_eq!(manner(Method::GET, path, &[]), Some(Manner::Openai), "{path}");
        }
        for path in ["/v1/messages", "/v1/messages/", "/v1/messages/count_tokens", "/v1/v1/messages"] {
            assert_eq!(manner(Method::POST, path, &[]), Some(Manner::Anthropic), "{path}");
        }
        for path in ["/v1beta", "/v1beta/models/m:countTokens", "/v1beta/v1beta/models", "/v1/v1beta/models"] {
            assert_eq!(manner(Method::GET, path, &[]), Some(Manner::Gemini), "{path}");
        }
        assert_eq!(manner(Method::POST, "/v1/models/m:generateContent", &[]), Some(Manner::Gemini));
        for path in ["/", "/v10/models", "/v1betamax", "/api/v1/models"] {
            assert_eq!(manner(Method::GET, path, &[]), None, "{path}");
        }
    }

    #[test]
    fn the_models_have_the_manner_of_the_credentials() {
        let of = |uri: &str, headers: &[(&str, &str)]| manner(Method::GET, uri, headers).unwrap();
        assert_eq!(of("/v1/models", &[("authorization", "Bearer k")]), Manner::Openai);
        assert_eq!(of("/v1/models", &[]), Manner::Openai);
        assert_eq!(of("/v1/models/m", &[("x-api-key", "k")]), Manner::Anthropic);
        let both = [("authorization", "Bearer k"), ("anthropic-version", "2023-06-01")];
        assert_eq!(of("/v1/models", &both), Manner::Anthropic);
        assert_eq!(of("/v1/models", &[("x-goog-api-key", "k")]), Manner::Gemini);
        assert_eq!(of("/v1/models?key=k", &[]), Manner::Gemini);
        assert_eq!(of("/v1/models?key=k", &[("authorization", "Bearer k")]), Manner::Openai);
    }
}
