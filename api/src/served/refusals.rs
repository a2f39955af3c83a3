//! Why a call is not made or fails, the same for every served API; each writes it in its own form.
//!
//! Promise: what failed at a provider is told without its address and without keys; what is wrong with our account there
//! is our fault (502) and never the client's (401, 403); nothing makes an SDK retry what cannot succeed.

use std::time::Duration;

use axum::http::StatusCode;
use metering::MeterError;
use relay::{InvalidRequest, RelayError};

use crate::problem::Problem;

/// The code of a lack of credit, which each API tells in its own way.
pub(crate) const NO_CREDIT: &str = "insufficient_quota";
/// How long a client waits where the provider does not say it.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The request itself is wrong, in this parameter.
pub(crate) fn invalid(param: &str, code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail.into()).about(param)
}

/// The request cannot be what its dialect says.
pub(crate) fn of_request(error: InvalidRequest) -> Problem {
    let problem = Problem::new(StatusCode::BAD_REQUEST, "invalid_value", error.message);
    match error.param {
        Some(param) => problem.about(param),
        None => problem,
    }
}

/// No channel offers it, as far as this client may know.
pub(crate) fn unknown_model(model: &str) -> Problem {
    let detail = format!("The model `{model}` does not exist or you do not have access to it.");
    Problem::new(StatusCode::NOT_FOUND, "model_not_found", detail).about("model")
}

/// What a failure of a provider means to the client.
pub(crate) fn of_upstream(error: RelayError) -> Problem {
    let ours = |status| Problem::new(status, "upstream_error", error.to_string());
    match error {
        RelayError::UnknownModel(ref model) => unknown_model(model),
        RelayError::ContextTooLong => context_too_long(),
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
        RelayError::NoHealthyChannel { ref reasons, retry_after } => {
            let detail = format!("no channel can answer now: {reasons}");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_healthy_channel", detail)
                .retry_after(retry_after.unwrap_or(RETRY_AFTER))
        }
        RelayError::Busy => Problem::unavailable("overloaded", "the model is busy; try again in a moment"),
        RelayError::Cancelled => {
            Problem::unavailable("overloaded", "the server ended this answer because it restarts; try again")
        }
        RelayError::UpstreamUnavailable { retry_after: Some(wait), .. } => {
            ours(StatusCode::SERVICE_UNAVAILABLE).retry_after(wait)
        }
        RelayError::UpstreamUnavailable { retry_after: None, .. }
        | RelayError::UpstreamGarbage(_)
        | RelayError::UpstreamCut
        | RelayError::ModelMissing(_)
        | RelayError::LocalFailure(_)
        | RelayError::Misconfigured(_) => ours(StatusCode::BAD_GATEWAY),
    }
}

/// The input leaves no room for an answer.
pub(crate) fn context_too_long() -> Problem {
    invalid(
        "messages",
        "context_length_exceeded",
        "the messages and the wanted answer do not fit into the model's context window; shorten them",
    )
}

/// Why no credit was set apart. Nothing was asked of a provider.
pub(crate) fn of_meter(error: MeterError) -> Problem {
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
    use domain::billing::Nanos;

    use super::*;

    fn refused(status: u16, message: &str, code: &str) -> Problem {
        let (message, code) = (message.to_owned(), Some(code.to_owned()));
        of_upstream(RelayError::UpstreamRefused { status, message, code, param: Some("tools[0]".to_owned()) })
    }

    #[test]
    fn a_refusal_of_the_provider_is_passed_on_with_its_code_and_parameter() {
        let problem = refused(422, "bad tool", "invalid_tool");
        assert_eq!((problem.status().as_u16(), problem.code(), problem.detail()), (400, "invalid_tool", "bad tool"));
        assert_eq!(problem.first_field(), Some("tools[0]"));
    }

    #[test]
    fn what_is_wrong_with_our_account_there_is_not_the_clients_fault() {
        for (status, code) in
            [(401, "invalid_api_key"), (402, "insufficient_quota"), (403, "x"), (404, "model_not_found")]
        {
            let problem = refused(status, "Incorrect API key provided: sk-upstream", code);
            assert_eq!((problem.status().as_u16(), problem.code()), (502, "upstream_error"));
            assert!(!problem.detail().contains("sk-upstream"));
        }
    }

    #[test]
    fn a_client_is_never_told_of_our_lack_of_credit_as_its_own() {
        assert_eq!(refused(400, "no", "insufficient_quota").code(), "upstream_refused");
    }

    #[test]
    fn delays_and_outages_of_the_provider_have_their_own_statuses() {
        let wait = Some(Duration::from_secs(7));
        let cases = [
            (RelayError::UpstreamRateLimited { retry_after: wait }, 429, "rate_limit_exceeded"),
            (RelayError::TimedOut("the first byte".to_owned()), 504, "upstream_error"),
            (RelayError::UpstreamUnavailable { reason: "x".to_owned(), retry_after: None }, 502, "upstream_error"),
            (RelayError::UpstreamUnavailable { reason: "x".to_owned(), retry_after: wait }, 503, "upstream_error"),
            (RelayError::UpstreamCut, 502, "upstream_error"),
            (RelayError::ContextTooLong, 400, "context_length_exceeded"),
            (RelayError::Busy, 503, "overloaded"),
            (RelayError::UnknownModel("m".to_owned()), 404, "model_not_found"),
        ];
        for (error, status, code) in cases {
            let problem = of_upstream(error);
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code));
        }
    }

    #[test]
    fn a_lack_of_credit_names_what_is_there_and_what_is_needed() {
        let error = MeterError::InsufficientCredit { available: Nanos::new(7), required: Nanos::new(9) };
        let problem = of_meter(error);
        assert_eq!((problem.status().as_u16(), problem.code()), (429, NO_CREDIT));
        assert!(problem.detail().contains("7 nano-units") && problem.detail().contains("and 9 are"));
    }
}
