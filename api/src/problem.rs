//! The one file that maps errors to HTTP.
//!
//! Promise: every error answer is `application/problem+json` (RFC 9457) with a stable `code`, a `detail` that a person
//! can act on, and the request's id. A bug is logged once, here, and tells the client nothing but the id to report.
//!
//! A handler returns a [`Problem`]; the outermost layer (`observe`) writes its body, because only there the request id
//! is known for certain.

use std::{borrow::Cow, convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use nats::SendError;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What a client is told to wait where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The body of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Always `about:blank`: the meaning is in `status` and `code`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    status: u16,
    /// What happened and what can be done about it.
    detail: String,
    /// Stable, lower-case, for programs.
    code: String,
    /// To be quoted when reporting the problem.
    request_id: String,
    /// Which fields of the request are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// The numbers behind the sentence, for clients that show their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = Object)]
    data: Option<Value>,
}

/// One wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// JSON pointer without its first slash: `email`, `items/0/name`. Empty for the whole body.
    pub field: String,
    pub code: Cow<'static, str>,
    pub message: String,
}

/// An error on its way to the client. Boxed, because every handler can return one.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    data: Option<Value>,
    retry_after: Option<Duration>,
    challenge: Option<&'static str>,
}

impl Problem {
    /// A problem that none of the named ones below is.
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Parts {
            status,
            code: code.into(),
            detail: detail.into(),
            errors: vec![],
            data: None,
            retry_after: None,
            challenge: None,
        }))
    }

    /// 422 about one field.
    pub(crate) fn field(field: &str, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.to_owned(), code: code.into(), message: detail.into() }])
    }

    /// 422 about several fields; the first one gives the code.
    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        let (code, detail) = match errors.first() {
            Some(first) => (first.code.clone(), first.message.clone()),
            None => ("validation_failed".into(), "the request is not valid".to_owned()),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
        problem.0.errors = errors;
        problem
    }

    /// 404, also for things of other people: a stranger learns nothing.
    pub(crate) fn not_found(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 401 with the challenge of RFC 6750.
    pub(crate) fn unauthenticated(code: &'static str, detail: &'static str) -> Self {
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, code, detail);
        problem.0.challenge = Some(match code {
            "unauthenticated" => r#"Bearer realm="oblivious""#,
            _ => r#"Bearer realm="oblivious", error="invalid_token""#,
        });
        problem
    }

    /// 429: this client is too fast or holds too much.
    pub(crate) fn too_many(code: &'static str, detail: &'static str, retry_after: Duration) -> Self {
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        problem.0.retry_after = Some(retry_after);
        problem
    }

    /// 503: nothing is wrong with the request, and later it will work.
    pub(crate) fn unavailable(code: &'static str, detail: &'static str) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        problem.0.retry_after = Some(RETRY_AFTER);
        problem
    }

    /// 500: logged here, once; the client gets the id only.
    pub(crate) fn bug(error: &(impl std::fmt::Display + ?Sized)) -> Self {
        tracing::error!(%error, "a request failed through a fault of ours");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "something failed on our side; please report it with the request id",
        )
    }

    /// A rule of the domain said no.
    pub(crate) fn refused(code: String, message: String, details: Value) -> Self {
        let errors = field_of(&code).map(|field| FieldError {
            field: field.to_owned(),
            code: code.clone().into(),
            message: message.clone(),
        });
        let mut problem = Self::new(status_of(&code), code, message);
        problem.0.errors.extend(errors);
        problem.0.data = (!details.is_null()).then_some(details);
        problem
    }

    /// The same with the numbers behind its sentence.
    pub(crate) fn with(mut self, data: Value) -> Self {
        self.0.data = Some(data);
        self
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &str {
        &self.0.code
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The sentence for people.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The field of the request that is wrong, where it is one.
    pub(crate) fn first_field(&self) -> Option<&str> {
        self.0.errors.first().map(|error| error.field.as_str()).filter(|field| !field.is_empty())
    }

    /// The same with the field of the request that it is about.
    pub(crate) fn about(mut self, field: impl Into<String>) -> Self {
        let message = self.0.detail.clone().into_owned();
        self.0.errors = vec![FieldError { field: field.into(), code: self.0.code.clone(), message }];
        self
    }

    /// Before this time asking again is of no use.
    pub(crate) fn wait(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The same with a time before which asking again is of no use.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The answer with its body; called once, where the request id is known.
    pub(crate) fn render(self, response: &mut Response, request_id: &str) {
        let Parts { status, code, detail, errors, data, .. } = *self.0;
        let body = ProblemBody {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into_owned(),
            code: code.into_owned(),
            request_id: request_id.to_owned(),
            errors,
            data,
        };
        // Strings and numbers only: this cannot fail, and an empty body would still carry the status.
        *response.body_mut() = Body::from(serde_json::to_vec(&body).unwrap_or_default());
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
}

/// Which status a refusal of the domain has. Whatever is not named here is 422.
fn status_of(code: &str) -> StatusCode {
    match code {
        "insufficient_credit" => StatusCode::PAYMENT_REQUIRED,
        "session_not_found" | "message_not_found" | "run_not_found" | "api_key_not_found" | "channel_not_found"
        | "group_not_found" | "user_not_found" => StatusCode::NOT_FOUND,
        "email_taken" | "username_taken" | "group_already_added" => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// Which field of the request a refusal is about, where it is about one.
fn field_of(code: &str) -> Option<&'static str> {
    match code {
        "email_taken" => Some("email"),
        "username_taken" => Some("username"),
        "message_empty" | "message_too_long" => Some("content"),
        "parent_is_no_answer" => Some("parent_id"),
        "invalid_title" => Some("title"),
        "invalid_name" => Some("name"),
        "invalid_expiry" => Some("expires_at"),
        "invalid_base_url" => Some("base_url"),
        "invalid_amount" | "amount_too_large" => Some("amount_nanos"),
        "no_scopes" => Some("scopes"),
        "no_models" | "invalid_model" | "invalid_models" => Some("models"),
        "price_missing" | "invalid_price" => Some("prices"),
        "invalid_note" => Some("note"),
        _ => None,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        let headers = response.headers_mut();
        if let Some(retry_after) = self.0.retry_after {
            // Whole seconds, rounded up: earlier would be refused again.
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs_f64().ceil().max(1.0) as u64));
        }
        if let Some(challenge) = self.0.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        match error {
            SendError::QueueFull { retry_after } => {
                let mut problem =
                    Self::unavailable("queue_full", "too much is waiting to be done; try again in a moment");
                problem.0.retry_after = Some(retry_after);
                problem
            }
            SendError::TooLarge { size_bytes, limit_bytes } => {
                let detail = "the request is larger than what is taken";
                let mut problem = Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail);
                problem.0.data = Some(serde_json::json!({ "size_bytes": size_bytes, "limit_bytes": limit_bytes }));
                problem
            }
            SendError::Unavailable(reason) => {
                tracing::warn!(reason, "a command could not be queued");
                Self::unavailable("bus_unavailable", "changes cannot be taken right now; try again in a moment")
            }
            SendError::Invalid(error) => Self::bug(&error),
        }
    }
}

/// Of extractors that cannot fail, inside those that can.
impl From<Infallible> for Problem {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if is_outage(&error) {
            tracing::warn!(%error, "the database did not answer");
            return Self::unavailable("database_unavailable", "nothing can be read right now; try again in a moment");
        }
        Self::bug(&error)
    }
}

/// Whether the database is away or overloaded, as opposed to a statement that is wrong.
fn is_outage(error: &sqlx::Error) -> bool {
    use sqlx::Error as E;
    match error {
        E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => true,
        // Classes of PostgreSQL, appendix A: 08 connection, 53 resources, 57P shut-down.
        E::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || code.starts_with("53") || code.starts_with("57P"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use domain::{chat::SessionRefusal, users::ReservationRefusal};
    use http_body_util::BodyExt as _;

    use super::*;

    async fn rendered(problem: Problem) -> (StatusCode, Value) {
        let mut response = problem.clone().into_response();
        problem.render(&mut response, "r-1");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let value: Value = serde_json::from_slice(&body).unwrap();
        (StatusCode::from_u16(u16::try_from(value["status"].as_u64().unwrap()).unwrap()).unwrap(), value)
    }

    fn refusal(refusal: &impl domain::Refusal) -> Problem {
        Problem::refused(refusal.code().to_owned(), refusal.to_string(), refusal.details())
    }

    #[tokio::test]
    async fn refusals_become_404_409_or_422_by_their_code() {
        let status = async |problem| rendered(problem).await.0.as_u16();
        assert_eq!(status(refusal(&SessionRefusal::SessionNotFound)).await, 404);
        assert_eq!(status(refusal(&ReservationRefusal::EmailTaken)).await, 409);
        assert_eq!(status(refusal(&SessionRefusal::ReplyInProgress)).await, 422);
    }

    #[tokio::test]
    async fn a_refusal_about_a_field_names_it_and_carries_its_numbers() {
        let (_, body) = rendered(refusal(&SessionRefusal::MessageTooLong { chars: 7, limit: 5 })).await;
        insta::assert_json_snapshot!(body);
    }

    #[tokio::test]
    async fn a_full_queue_is_503_and_says_when_to_come_back() {
        let problem = Problem::from(SendError::QueueFull { retry_after: Duration::from_millis(1500) });
        let response = problem.clone().into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "2");
        assert_eq!(problem.code(), "queue_full");
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_503_and_a_wrong_statement_500_without_detail() {
        assert_eq!(rendered(sqlx::Error::PoolTimedOut.into()).await.0.as_u16(), 503);
        let (status, body) = rendered(sqlx::Error::ColumnNotFound("secret_column".into()).into()).await;
        assert_eq!(status.as_u16(), 500);
        assert!(!body.to_string().contains("secret_column"));
    }
}
