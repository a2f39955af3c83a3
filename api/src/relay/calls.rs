//! Calls of models one by one, with everybody who was asked: the whole story, for operators.

use axum::{Json, extract::State};
use projections::{
    Page,
    relay::statistics::{self as rows, CallFilter, RecordedCall},
};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::statistics::instant;
use crate::{
    auth::Admin,
    extract::{Id, Query},
    openapi::Problems,
    problem::Problem,
    read::{PageQuery, Reads},
};

/// Which calls; all that are kept where nothing is said.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallsQuery {
    /// That ended at this instant (RFC 3339) or day in UTC, or later.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// That ended before this instant, or until the end of this day in UTC.
    #[param(example = "2026-11-30T12:00:00Z")]
    to: Option<String>,
    /// That this channel answered, or was asked last for.
    channel: Option<Uuid>,
    /// That asked for this model, or were answered by it.
    model: Option<String>,
    /// Of this account.
    user: Option<Uuid>,
    /// With this API key.
    key: Option<Uuid>,
    /// `completed`, `cancelled`, `failed`, or `refused` before anybody was asked.
    #[param(inline)]
    outcome: Option<OutcomeSchema>,
    /// That failed or were refused for this reason.
    code: Option<String>,
    /// How many items, 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 30)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::ToSchema)]
#[schema(as = CallOutcome)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutcomeSchema {
    Completed,
    Cancelled,
    Failed,
    Refused,
}

impl OutcomeSchema {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

/// The last calls of models, the last to end first, each with everybody who was asked for it. They are kept for
/// `OBLIVIOUS_CALL_DAYS`.
#[utoipa::path(get, path = "/api/v1/admin/calls", operation_id = "list_calls", tag = "admin", params(CallsQuery),
    responses((status = 200, body = Page<RecordedCall>), Problems), security(("bearer" = [])))]
pub(super) async fn list(
    _: Admin,
    State(reads): State<Reads>,
    Query(query): Query<CallsQuery>,
) -> Result<Json<Page<RecordedCall>>, Problem> {
    let limit = PageQuery::of(query.limit).limit()?;
    let filter = CallFilter {
        from: query.from.map(|text| instant("from", &text, false)).transpose()?,
        to: query.to.map(|text| instant("to", &text, true)).transpose()?,
        channel_id: query.channel,
        model: query.model,
        user_id: query.user,
        api_key_id: query.key,
        outcome: query.outcome.map(|outcome| outcome.as_str().to_owned()),
        code: query.code,
    };
    Ok(Json(rows::calls(reads.pool(), &filter, query.cursor.as_deref(), limit).await?))
}

/// One call, while it is kept.
#[utoipa::path(get, path = "/api/v1/admin/calls/{id}", operation_id = "get_call", tag = "admin",
    params(("id" = Uuid, Path)),
    responses((status = 200, body = RecordedCall), Problems), security(("bearer" = [])))]
pub(super) async fn get(_: Admin, State(reads): State<Reads>, Id(id): Id) -> Result<Json<RecordedCall>, Problem> {
    let call = rows::call(reads.pool(), id).await?;
    call.map(Json).ok_or_else(|| Problem::not_found("call_not_found", "there is no such call, or it is kept no longer"))
}
