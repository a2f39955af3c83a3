//! Errors in OpenAI's form: `{"error": {"message", "type", "param", "code"}}`.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{problem::Problem, served::NO_CREDIT};

/// The body, which is also the frame of a stream that fails after it has begun.
pub(crate) fn error(problem: &Problem) -> Value {
    json!({ "error": {
        "message": problem.detail(),
        "type": kind(problem),
        "param": problem.first_field(),
        "code": code(problem),
    }})
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_openais_four_fields_and_its_words() {
        let problem = |status: u16, code: &'static str| Problem::new(StatusCode::from_u16(status).unwrap(), code, "no");
        let cases = [
            (problem(400, "invalid_type").about("n"), "invalid_request_error", "invalid_type", Some("n")),
            (problem(401, "token_expired"), "invalid_request_error", "invalid_api_key", None),
            (problem(404, "route_not_found"), "invalid_request_error", "unknown_url", None),
            (problem(429, "insufficient_quota"), "insufficient_quota", "insufficient_quota", None),
            (problem(429, "rate_limit_exceeded"), "requests", "rate_limit_exceeded", None),
            (problem(502, "upstream_error"), "server_error", "upstream_error", None),
        ];
        for (problem, kind, code, param) in cases {
            let told = json!({ "error": { "message": "no", "type": kind, "param": param, "code": code } });
            assert_eq!(error(&problem), told);
        }
    }
}
