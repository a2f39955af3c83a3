//! Errors in Anthropic's form: `{"type": "error", "error": {"type", "message"}, "request_id"}`.
//!
//! Source: "Errors" of Anthropic's API documentation (platform.claude.com/docs/en/api/errors). Beside Anthropic's fields
//! the error has our stable `code`.

use serde_json::{Value, json};

use crate::{problem::Problem, request_id::RequestId, served::NO_CREDIT};

/// The body, which is also the data of a stream's `error` event.
pub(crate) fn error(problem: &Problem, id: &RequestId) -> Value {
    json!({
        "type": "error",
        "error": { "type": kind(problem), "message": message(problem), "code": problem.code() },
        "request_id": id.as_str(),
    })
}

/// Anthropic has no field for the parameter and begins the sentence with it.
fn message(problem: &Problem) -> String {
    match problem.first_field() {
        Some(param) if !problem.detail().contains(param) => format!("{param}: {}", problem.detail()),
        _ => problem.detail().to_owned(),
    }
}

fn kind(problem: &Problem) -> &'static str {
    match problem.status().as_u16() {
        _ if problem.code() == NO_CREDIT => "billing_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        _ if problem.status().is_server_error() => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, StatusCode};

    use super::*;

    fn told(status: StatusCode, code: &'static str, param: Option<&str>) -> Value {
        let problem = Problem::new(status, code, "no");
        let problem = match param {
            Some(param) => problem.about(param),
            None => problem,
        };
        error(
            &problem,
            &RequestId::of(&HeaderMap::from_iter([("x-request-id".parse().unwrap(), "r-1".parse().unwrap())])),
        )
    }

    #[test]
    fn an_error_has_anthropics_form_with_our_code_and_the_request() {
        let body = told(StatusCode::BAD_REQUEST, "invalid_type", Some("max_tokens"));
        let error = json!({ "type": "invalid_request_error", "message": "max_tokens: no", "code": "invalid_type" });
        assert_eq!(body, json!({ "type": "error", "error": error, "request_id": "r-1" }));
    }

    #[test]
    fn every_status_has_anthropics_word() {
        let kinds = [
            (400, "invalid_request_error"),
            (401, "authentication_error"),
            (403, "permission_error"),
            (404, "not_found_error"),
            (405, "invalid_request_error"),
            (413, "request_too_large"),
            (422, "invalid_request_error"),
            (429, "rate_limit_error"),
            (500, "api_error"),
            (502, "api_error"),
            (503, "overloaded_error"),
            (504, "timeout_error"),
        ];
        for (status, kind) in kinds {
            assert_eq!(told(StatusCode::from_u16(status).unwrap(), "x", None)["error"]["type"], kind, "{status}");
        }
        assert_eq!(told(StatusCode::TOO_MANY_REQUESTS, NO_CREDIT, None)["error"]["type"], "billing_error");
    }
}
