//! Errors in Google's form: `{"error": {"code", "message", "status", "details"}}`.
//!
//! Source: AIP-193 "Errors" (google.aip.dev/193) and google/rpc/error_details.proto. Our stable code is the `reason` of
//! the `ErrorInfo`, in capitals as that document wants it; the request's id is in `RequestInfo`.

use serde_json::{Value, json};

use crate::{problem::Problem, request_id::RequestId, served::Manner};

const DOMAIN: &str = "oblivious";

/// The body, which is also the frame of a stream that fails after it has begun.
pub(crate) fn error(problem: &Problem, id: &RequestId) -> Value {
    let code = Manner::Gemini.status(problem).as_u16();
    json!({ "error": {
        "code": code,
        "message": problem.detail(),
        "status": status(code),
        "details": details(problem, id),
    }})
}

/// The canonical code of an HTTP status, as google/rpc/code.proto maps them.
fn status(code: u16) -> &'static str {
    match code {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 => "UNIMPLEMENTED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        502 | 503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}

fn details(problem: &Problem, id: &RequestId) -> Vec<Value> {
    let kind = |name: &str| format!("type.googleapis.com/google.rpc.{name}");
    let mut details = vec![
        json!({ "@type": kind("ErrorInfo"), "reason": problem.code().to_ascii_uppercase(), "domain": DOMAIN }),
        json!({ "@type": kind("RequestInfo"), "requestId": id.as_str() }),
    ];
    if let Some(param) = problem.first_field() {
        let violation = json!({ "field": param, "description": problem.detail() });
        details.push(json!({ "@type": kind("BadRequest"), "fieldViolations": [violation] }));
    }
    if let Some(wait) = problem.wait() {
        let seconds = wait.as_secs_f64().ceil();
        details.push(json!({ "@type": kind("RetryInfo"), "retryDelay": format!("{seconds}s") }));
    }
    details
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::{HeaderMap, StatusCode};

    use super::*;

    fn told(problem: &Problem) -> Value {
        let headers = HeaderMap::from_iter([("x-request-id".parse().unwrap(), "r-1".parse().unwrap())]);
        error(problem, &RequestId::of(&headers))["error"].clone()
    }

    #[test]
    fn an_error_has_googles_form_with_our_code_the_request_and_the_field() {
        let body = told(&Problem::field("contents", "missing_field", "no"));
        assert_eq!((&body["code"], &body["status"]), (&json!(400), &json!("INVALID_ARGUMENT")));
        let kinds: Vec<&str> =
            body["details"].as_array().unwrap().iter().filter_map(|detail| detail["@type"].as_str()).collect();
        assert!(kinds.iter().all(|kind| kind.starts_with("type.googleapis.com/google.rpc.")), "{kinds:?}");
        assert_eq!(body["details"][0]["reason"], "MISSING_FIELD");
        assert_eq!(body["details"][1]["requestId"], "r-1");
        assert_eq!(body["details"][2]["fieldViolations"][0]["field"], "contents");
    }

    #[test]
    fn a_wait_is_told_in_seconds_and_a_lack_of_credit_is_an_exhausted_resource() {
        let problem = Problem::too_many("rate_limit_exceeded", "slowly", Duration::from_millis(6_200));
        assert_eq!(told(&problem)["details"][2]["retryDelay"], "7s");
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", "no credit");
        let body = told(&problem);
        assert_eq!((&body["code"], &body["status"]), (&json!(429), &json!("RESOURCE_EXHAUSTED")));
        assert_eq!(body["details"][0]["reason"], "INSUFFICIENT_QUOTA");
    }
}
