//! Read your writes: a read that carries `X-After` waits, for a bounded time, until the read model has seen that write.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::FromRequestParts,
    http::{HeaderName, StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use nats::EventRef;
use projections::{InvalidCursor, QueryError, read_your_writes};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use utoipa::IntoParams;

use crate::{commands, problem::Problem};

const X_AFTER: HeaderName = HeaderName::from_static("x-after");

/// The read models that routes read, as their projections are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Model {
    Billing,
    Chat,
    Relay,
    Users,
}

impl Model {
    const fn name(self) -> &'static str {
        match self {
            Self::Billing => "billing_v1",
            Self::Chat => "chat_v1",
            Self::Relay => "relay_v1",
            Self::Users => "users_v1",
        }
    }
}

/// The read side.
#[derive(Clone)]
pub(crate) struct Reads {
    pool: PgPool,
    wait: Duration,
}

impl Reads {
    pub(crate) const fn new(pool: PgPool, wait: Duration) -> Self {
        Self { pool, wait }
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Waits until `model` has seen `event`; whether it is still behind. It is not behind what never happened.
    pub(crate) async fn is_behind(&self, model: Model, event: Option<&EventRef>) -> Result<bool, Problem> {
        let Some(event) = event else { return Ok(false) };
        let freshness = read_your_writes::wait_for(&self.pool, model.name(), event, self.wait).await?;
        Ok(freshness.exists && !freshness.caught_up)
    }
}

/// The answer where there is no row: while the read model is behind what the caller has written, nobody knows that there
/// is nothing.
pub(crate) fn missing(is_behind: bool, not_found: impl FnOnce() -> Problem) -> Problem {
    match is_behind {
        true => Problem::unavailable("read_model_behind", "it cannot be shown yet; ask again in a moment"),
        false => not_found(),
    }
}

/// The write that a read wants to see. A text that names no event asks for nothing.
#[derive(Debug, Clone)]
pub(crate) struct After(pub(crate) Option<EventRef>);

impl<S: Sync> FromRequestParts<S> for After {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let text = parts.headers.get(X_AFTER).and_then(|value| value.to_str().ok());
        Ok(Self(text.and_then(|text| text.parse().ok())))
    }
}

/// Rows, and whether they may be older than what the caller has written.
#[derive(Debug)]
pub(crate) struct Fresh<T> {
    pub(crate) body: T,
    pub(crate) stale: bool,
}

impl<T: Serialize> IntoResponse for Fresh<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::OK, Json(self.body)).into_response();
        commands::mark(&mut response, None, self.stale);
        response
    }
}

/// Which part of a list is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many items, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

impl PageQuery {
    const DEFAULT: u32 = 30;

    /// The first so many items.
    pub(crate) const fn of(limit: Option<i64>) -> Self {
        Self { limit, cursor: None }
    }

    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        let limit = self.limit.map_or(Ok(Self::DEFAULT), u32::try_from);
        limit
            .ok()
            .filter(|limit| (1..=projections::page::MAX_PAGE_ITEMS).contains(limit))
            .ok_or_else(|| Problem::field("limit", "invalid_limit", "`limit` is a number from 1 to 100"))
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Cursor(error @ InvalidCursor) => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_cursor", error.to_string())
            }
            QueryError::Database(error) => error.into(),
        }
    }
}
