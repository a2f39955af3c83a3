//! One reply being generated: how far it is, and stopping it.

use axum::{Json, extract::State, http::StatusCode};
use chrono::Utc;
use domain::{
    RunId, SessionId,
    chat::{Session as Aggregate, SessionCommand},
};
use projections::chat as rows;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Whereabouts;
use crate::{
    auth::Caller,
    commands::{Accepted, Actor, Bus, CommandStatus, Written},
    extract::Id,
    idempotency::CommandIdentity,
    openapi::{AfterParam, Problems},
    problem::Problem,
    read::{After, Fresh, Model, Reads, missing},
    request_id::Origin,
};

/// A run that was asked to stop.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cancelled {
    run_id: Uuid,
    /// `stopping` until its end is recorded, then as the run itself: `stopped`, or `complete` where it was faster.
    status: RunStatus,
}

/// What a stop came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum RunStatus {
    Stopping,
    Stopped,
    Complete,
    Failed,
}

/// How far a run is.
#[utoipa::path(get, path = "/api/v1/runs/{id}", operation_id = "get_run", tag = "runs", params(AfterParam, ("id" = Uuid, Path)),
    responses((status = 200, body = rows::Run), Problems), security(("bearer" = [])))]
pub(super) async fn get(
    caller: Caller,
    After(after): After,
    State(reads): State<Reads>,
    Id(id): Id,
) -> Result<Fresh<rows::Run>, Problem> {
    let stale = reads.is_behind(Model::Chat, after.as_ref()).await?;
    let body = rows::run(reads.pool(), caller.user.uuid(), id).await?.ok_or_else(|| missing(stale, no_run))?;
    Ok(Fresh { body, stale })
}

/// Stops a run; the text so far is kept.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", operation_id = "cancel_run", tag = "runs", params(AfterParam, ("id" = Uuid, Path)),
    responses((status = 200, body = Cancelled), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
#[expect(clippy::too_many_arguments, reason = "each is one piece of state or of the request")]
pub(super) async fn cancel(
    caller: Caller,
    After(after): After,
    State(bus): State<Bus>,
    State(client): State<async_nats::Client>,
    State(reads): State<Reads>,
    State(whereabouts): State<Whereabouts>,
    origin: Origin,
    Id(run_id): Id,
) -> Result<Written<Json<Cancelled>>, Problem> {
    let owner = caller.user.uuid();
    let session = match whereabouts.of(caller.user, run_id) {
        Some(session) => session,
        None => {
            let stale = reads.is_behind(Model::Chat, after.as_ref()).await?;
            let run = rows::run(reads.pool(), owner, run_id).await?.ok_or_else(|| missing(stale, no_run))?;
            SessionId::new(run.session_id)
        }
    };
    let command = SessionCommand::StopReply { by: caller.user, run_id: RunId::new(run_id), at: Utc::now() };
    let (actor, identity) = (Actor::User(caller.user), CommandIdentity::unique());
    let accepted = bus.send::<Aggregate>(origin, actor, identity, session.uuid(), &command).await?;
    // Sooner than the event finds its way; the event is what counts.
    if let Err(error) = nats::live::request_stop(&client, run_id).await {
        tracing::debug!(%error, "the early stop signal was not sent");
    }
    match accepted {
        Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
        Accepted::Done { event, .. } => {
            let run = rows::run(reads.pool(), owner, run_id).await.ok().flatten();
            let status = run.map_or(RunStatus::Stopping, |run| status_of(run.status));
            let body = Json(Cancelled { run_id, status });
            Ok(Written::Done { status: StatusCode::OK, event, stale: false, body })
        }
    }
}

const fn status_of(status: rows::MessageStatus) -> RunStatus {
    match status {
        rows::MessageStatus::Pending | rows::MessageStatus::Streaming => RunStatus::Stopping,
        rows::MessageStatus::Stopped => RunStatus::Stopped,
        rows::MessageStatus::Complete => RunStatus::Complete,
        rows::MessageStatus::Failed => RunStatus::Failed,
    }
}

pub(super) fn no_run() -> Problem {
    Problem::not_found("run_not_found", "there is no such run")
}
