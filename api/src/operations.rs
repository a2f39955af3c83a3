//! What happened and how far the house is, for operators: the event log and the projections.

use axum::{Json, extract::State};
use projections::{
    InvalidCursor, Page, QueryError,
    log::{self, EventFilter},
    read_your_writes,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    auth::Admin,
    extract::Query,
    openapi::Problems,
    problem::Problem,
    read::{PageQuery, Reads},
    state::App,
};

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_events)).routes(routes!(list_projections))
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Such as `wallet`.
    aggregate_type: Option<String>,
    aggregate_id: Option<String>,
    /// Such as `wallet.charged`.
    event_type: Option<String>,
    /// Only older ones than this position.
    before: Option<i64>,
}

/// The event log, newest first; sealed fields stay closed. `next_cursor` is the next page's `cursor`, or `before`.
#[utoipa::path(get, path = "/api/v1/admin/events", operation_id = "list_events", tag = "admin",
    params(EventQuery, PageQuery),
    responses((status = 200, body = Page<log::LoggedEvent>), Problems), security(("bearer" = [])))]
async fn list_events(
    _: Admin,
    State(reads): State<Reads>,
    Query(query): Query<EventQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<log::LoggedEvent>>, Problem> {
    let filter = EventFilter {
        aggregate_type: given(query.aggregate_type),
        aggregate_id: given(query.aggregate_id),
        event_type: given(query.event_type),
        before: page.cursor.as_deref().map(position).transpose()?.or(query.before),
    };
    Ok(Json(log::events(reads.pool(), &filter, page.limit()?).await?))
}

/// A page of the log ends with the position of its last event.
fn position(cursor: &str) -> Result<i64, Problem> {
    cursor.parse().map_err(|_| QueryError::from(InvalidCursor).into())
}

/// A form sends an empty text for what was not filled in.
fn given(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// How far every read model is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Projections {
    items: Vec<ProjectionState>,
    /// Of the newest event.
    last_position: i64,
}

/// How far one read model is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Projection)]
pub(crate) struct ProjectionState {
    name: String,
    position: i64,
    /// Events that it has not seen; counted up to 10,000.
    lag: i64,
    /// Aggregates that stand still because an event could not be applied.
    parked: i64,
    /// Why it failed last.
    #[schema(required = true)]
    last_error: Option<String>,
}

/// The read models and their lag.
#[utoipa::path(get, path = "/api/v1/admin/projections", operation_id = "list_projections", tag = "admin",
    responses((status = 200, body = Projections), Problems), security(("bearer" = [])))]
async fn list_projections(_: Admin, State(reads): State<Reads>) -> Result<Json<Projections>, Problem> {
    let items = read_your_writes::lag(reads.pool()).await?.into_iter().map(|lag| ProjectionState {
        name: lag.name,
        position: lag.position,
        lag: lag.lag,
        parked: lag.parked,
        last_error: lag.last_error,
    });
    let items = items.collect();
    let last_position = nats::last_position(reads.pool()).await?;
    Ok(Json(Projections { items, last_position }))
}
