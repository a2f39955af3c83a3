//! Errors in OpenAI's form: `{"error": {"message", "type", "param", "code"}}`.
//!
//! Promise: what failed at a provider is told without its address and without keys; what is wrong with our account there
//! is our fault (502) and never the client's (401, 403); nothing makes an SDK retry what cannot succeed.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use metering::MeterError;
use relay::RelayError;
use serde_json::{Value, json};

use crate::problem::Problem;

/// The SDKs retry a bare 429; this tells them not to.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// How long a client waits where the provider does not say it.
const RETRY_AFTER: Duration = Duration::from_secs(2);
const NO_CREDIT: &str = "insufficient_quota";

/// Whether this address answers in OpenAI's form.
pub(crate) fn speaks(path: &str) -> bool {
    path.strip_prefix("/v1").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Writes `problem` as OpenAI would.
pub(crate) fn render(problem: &Problem, response: &mut Response) {
    *response.status_mut() = status(problem);
    *response.body_mut() = Body::from(object(problem).to_string());
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if problem.code() == NO_CREDIT {
        headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
    }
}

/// The body, which is also the frame of a stream that fails after it has begun.
pub(super) fn object(problem: &Problem) -> Value {
    json!({ "error": {
        "message": problem.detail(),
        "type": kind(problem),
        "param": problem.first_field(),
        "code": code(problem),
    }})
}

/// OpenAI knows no 422.
fn status(problem: &Problem) -> StatusCode {
    match problem.status() {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    }
}

fn kind(problem: &Problem) -> &'static str {
    match problem.status() {
        _ if problem.code() == NO_CREDIT => NO_CREDIT,
        StatusCode::TOO_MANY_REQUESTS => "requests",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    }
}

/// Our own words for what OpenAI has a word for.
fn code(problem: &Problem) -> &str {
    match problem.code() {
        "route_not_found" => "unknown_url",
        _ if problem.status() == StatusCode::UNAUTHORIZED => "invalid_api_key",
        code => code,
    }
}

/// The request itself is wrong, in this parameter.
pub(super) fn invalid(param: &str, code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail.into()).about(param)
}

/// What a failure of a provider means to the client.
pub(super) fn of_upstream(error: RelayError) -> Problem {
    let ours = |status| Problem::new(status, "upstream_error", error.to_string());
    match error {
        RelayError::UnknownModel(ref model) => unknown_model(model),
        RelayError::ContextTooLong => invalid(
            "messages",
            "context_length_exceeded",
            "the messages and the wanted answer do not fit into the model's context window; shorten them",
        ),
        // Our account there is not in order, which the client can do nothing about.
        RelayError::UpstreamRefused { status: 401..=404 | 407, .. } => Problem::new(
            StatusCode::BAD_GATEWAY,
            "upstream_error",
            "the model provider does not accept this server's account; tell its operator",
        ),
        RelayError::UpstreamRefused { message, code, param, .. } => {
            let code = code.filter(|code| code != NO_CREDIT).unwrap_or_else(|| "upstream_refused".to_owned());
            let problem = Problem::new(StatusCode::BAD_REQUEST, code, message);
            match param {
                Some(param) => problem.about(param),
                None => problem,
            }
        }
        RelayError::UpstreamRateLimited { retry_after } => Problem::too_many(
            "rate_limit_exceeded",
            "the model provider takes no more requests right now; try again later",
            retry_after.unwrap_or(RETRY_AFTER),
        ),
        RelayError::TimedOut(_) => ours(StatusCode::GATEWAY_TIMEOUT),
        RelayError::Busy => Problem::unavailable("overloaded", "the model is busy; try again in a moment"),
        RelayError::Cancelled => {
            Problem::unavailable("overloaded", "the server ended this answer because it restarts; try again")
        }
        RelayError::UpstreamUnavailable(_)
        | RelayError::UpstreamGarbage(_)
        | RelayError::UpstreamCut
        | RelayError::ModelMissing(_)
        | RelayError::LocalFailure(_)
        | RelayError::Misconfigured(_) => ours(StatusCode::BAD_GATEWAY),
    }
}

/// No channel offers it, as far as this client may know.
pub(super) fn unknown_model(model: &str) -> Problem {
    let detail = format!("The model `{model}` does not exist or you do not have access to it.");
    Problem::new(StatusCode::NOT_FOUND, "model_not_found", detail).about("model")
}

/// Why no credit was set apart. Nothing was asked of a provider.
pub(super) fn of_meter(error: MeterError) -> Problem {
    match error {
        MeterError::InsufficientCredit { available, required } => {
            let detail = format!(
                "You exceeded your current quota: {available} nano-units of credit are available and {required} are \
                 needed. Ask the operator of this server for more."
            );
            Problem::new(StatusCode::TOO_MANY_REQUESTS, NO_CREDIT, detail)
        }
        MeterError::Refused { code, message, .. } if code == "too_many_holds" => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message).retry_after(RETRY_AFTER)
        }
        MeterError::Refused { code, message, .. } => Problem::bug(&format!("credit was refused: {code}: {message}")),
        MeterError::Unavailable(reason) => {
            tracing::warn!(reason, "credit could not be set apart");
            Problem::unavailable("overloaded", "the server cannot take calls right now; try again in a moment")
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use domain::billing::Nanos;
    use http_body_util::BodyExt as _;

    use super::*;

    async fn rendered(problem: Problem) -> (u16, Value, bool) {
        let mut response = problem.clone().into_response();
        render(&problem, &mut response);
        let no_retry = response.headers().get("x-should-retry").is_some_and(|value| value == "false");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap(), no_retry)
    }

    #[test]
    fn only_the_addresses_of_the_compatible_api_answer_in_its_form() {
        for path in ["/v1", "/v1/", "/v1/models", "/v1/v1/anything"] {
            assert!(speaks(path), "{path}");
        }
        for path in ["/", "/v1beta", "/v10/models", "/api/v1/models"] {
            assert!(!speaks(path), "{path}");
        }
    }

    #[tokio::test]
    async fn a_lack_of_credit_is_429_that_no_sdk_retries() {
        let error = MeterError::InsufficientCredit { available: Nanos::new(7), required: Nanos::new(9) };
        let (status, body, no_retry) = rendered(of_meter(error)).await;
        assert_eq!((status, no_retry), (429, true));
        assert_eq!(body["error"]["type"], "insufficient_quota");
        assert_eq!(body["error"]["code"], "insufficient_quota");
        assert!(body["error"]["param"].is_null());
    }

    #[tokio::test]
    async fn a_refusal_of_the_provider_is_passed_on_with_its_code_and_parameter() {
        let error = RelayError::UpstreamRefused {
            status: 422,
            message: "bad tool".to_owned(),
            code: Some("invalid_tool".to_owned()),
            param: Some("tools[0]".to_owned()),
        };
        let (status, body, _) = rendered(of_upstream(error)).await;
        assert_eq!(status, 400);
        let told = json!({ "message": "bad tool", "type": "invalid_request_error", "param": "tools[0]", "code": "invalid_tool" });
        assert_eq!(body["error"], told);
    }

    #[tokio::test]
    async fn what_is_wrong_with_our_account_there_is_not_the_clients_fault() {
        for (status, code) in
            [(401, "invalid_api_key"), (402, "insufficient_quota"), (403, "x"), (404, "model_not_found")]
        {
            let message = "Incorrect API key provided: sk-upstream".to_owned();
            let error = RelayError::UpstreamRefused { status, message, code: Some(code.to_owned()), param: None };
            let (status, body, _) = rendered(of_upstream(error)).await;
            assert_eq!((status, body["error"]["code"].as_str()), (502, Some("upstream_error")));
            assert!(!body.to_string().contains("sk-upstream"));
        }
    }

    #[tokio::test]
    async fn a_client_is_never_told_of_our_lack_of_credit_as_its_own() {
        let code = Some("insufficient_quota".to_owned());
        let error = RelayError::UpstreamRefused { status: 400, message: "no".to_owned(), code, param: None };
        let (_, body, no_retry) = rendered(of_upstream(error)).await;
        assert_eq!((body["error"]["code"].as_str(), no_retry), (Some("upstream_refused"), false));
    }

    #[tokio::test]
    async fn delays_and_outages_of_the_provider_have_their_own_statuses() {
        let wait = Some(Duration::from_secs(7));
        let cases = [
            (RelayError::UpstreamRateLimited { retry_after: wait }, 429, "rate_limit_exceeded"),
            (RelayError::TimedOut("the first byte".to_owned()), 504, "upstream_error"),
            (RelayError::UpstreamCut, 502, "upstream_error"),
            (RelayError::ContextTooLong, 400, "context_length_exceeded"),
            (RelayError::Busy, 503, "overloaded"),
            (RelayError::UnknownModel("m".to_owned()), 404, "model_not_found"),
        ];
        for (error, status, code) in cases {
            let (told, body, _) = rendered(of_upstream(error)).await;
            assert_eq!((told, body["error"]["code"].as_str()), (status, Some(code)));
        }
    }
}
