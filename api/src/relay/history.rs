//! The history of a channel, and the way back.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{SubsecRound as _, Utc};
use domain::{ChannelId, relay::ChannelCommand};
use projections::{
    Page,
    relay::{self as rows, Change},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::channels::{Writer, no_channel};
use crate::{
    auth::Admin,
    commands::{CommandStatus, Written},
    extract::{self, Id, Query},
    idempotency::CommandIdentity,
    openapi::Problems,
    problem::Problem,
    read::{PageQuery, Reads},
};

/// What a channel shall be again.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Revert {
    /// As it was after this change of its history.
    #[schema(minimum = 1)]
    version: i64,
}

/// Who changed what and when, the newest first. Secrets are not told.
#[utoipa::path(get, path = "/api/v1/admin/channels/{id}/history", operation_id = "list_channel_changes", tag = "admin",
    params(("id" = Uuid, Path), PageQuery),
    responses((status = 200, body = Page<Change>), Problems), security(("bearer" = [])))]
pub(super) async fn list(
    _: Admin,
    State(reads): State<Reads>,
    Id(id): Id,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Change>>, Problem> {
    let changes = rows::history(reads.pool(), id, page.cursor.as_deref(), page.limit()?).await?;
    if changes.items.is_empty() && page.cursor.is_none() { Err(no_channel()) } else { Ok(Json(changes)) }
}

/// Makes a channel again what it was, by ordinary changes in its history. Prices return under new versions; a channel
/// that was removed stays so.
#[utoipa::path(post, path = "/api/v1/admin/channels/{id}/revert", operation_id = "revert_channel", tag = "admin",
    params(("id" = Uuid, Path)), request_body = Revert,
    responses((status = 200, body = rows::Channel), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn revert(
    writer: Writer,
    State(reads): State<Reads>,
    Id(id): Id,
    extract::Json(Revert { version }): extract::Json<Revert>,
) -> Result<Written<Json<rows::Channel>>, Problem> {
    // The log never changes, so what a channel was is no matter of when it is read.
    let settings = rows::settings_at(reads.pool(), id, version).await?;
    let settings = settings.ok_or_else(|| {
        Problem::field("version", "unknown_version", "the channel has no such version, or did not exist in it")
    })?;
    let command = ChannelCommand::RevertChannel { settings: Box::new(settings), at: Utc::now().trunc_subsecs(6) };
    writer.write(CommandIdentity::unique(), ChannelId::new(id), command, StatusCode::OK).await
}
