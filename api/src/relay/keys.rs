//! The keys of a channel that are not used.

use axum::{Json, http::StatusCode};
use chrono::{SubsecRound as _, Utc};
use domain::{ChannelId, relay::ChannelCommand};
use projections::relay as rows;

use super::channels::Writer;
use crate::{
    commands::{CommandStatus, Written},
    extract::Ids,
    idempotency::CommandIdentity,
    openapi::Problems,
    problem::Problem,
};

/// Uses a key again that was suspended because the provider called it void. If it still does, it is suspended again.
#[utoipa::path(post, path = "/api/v1/admin/channels/{id}/keys/{key}/resume", operation_id = "resume_channel_key",
    tag = "admin", params(("id" = Uuid, Path), ("key" = Uuid, Path, description = "The `name` of the key")),
    responses((status = 200, body = rows::Channel), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn resume(writer: Writer, Ids(id, key): Ids) -> Result<Written<Json<rows::Channel>>, Problem> {
    let command = ChannelCommand::ResumeKey { key, at: Utc::now().trunc_subsecs(6) };
    writer.write(CommandIdentity::unique(), ChannelId::new(id), command, StatusCode::OK).await
}
