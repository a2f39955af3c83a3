//! Conversations: create, list, read, rename, put into the bin, take out again.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{
    Sealed, SessionId, UserId,
    chat::{Session as Aggregate, SessionCommand},
};
use nats::EventRef;
use projections::{Page, chat as rows};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    auth::Caller,
    commands::{Accepted, Actor, Bus, CommandStatus, Written},
    extract::{self, Id, OptionalJson, Query},
    idempotency::{CommandIdentity, IdempotencyKey},
    openapi::{AfterParam, KeyParam, Problems},
    problem::Problem,
    read::{After, Fresh, Model, PageQuery, Reads, missing},
    request_id::Origin,
};

/// A new conversation.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewSession {
    /// Without one the beginning of the first message is shown.
    #[schema(min_length = 1, max_length = 200)]
    title: Option<String>,
}

/// A new name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Rename {
    #[schema(min_length = 1, max_length = 200)]
    title: String,
}

/// Starts a conversation.
#[utoipa::path(post, path = "/api/v1/sessions", operation_id = "create_session", tag = "sessions", params(KeyParam),
    request_body = Option<NewSession>,
    responses((status = 201, body = rows::Session), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn create(
    caller: Caller,
    State(bus): State<Bus>,
    State(reads): State<Reads>,
    origin: Origin,
    key: IdempotencyKey,
    OptionalJson(request): OptionalJson<NewSession>,
) -> Result<Written<Json<rows::Session>>, Problem> {
    let identity = key.identify(caller.user, &request)?;
    let session = SessionId::new(identity.new_id("session"));
    let at = Utc::now().trunc_subsecs(6);
    let title = request.title.map(|title| title.trim().to_owned());
    let sealed = title.clone().map(|title| Sealed::new(caller.user, title));
    let command = SessionCommand::StartSession { owner: caller.user, title: sealed, at };
    let actor = Actor::User(caller.user);
    match bus.send::<Aggregate>(origin, actor, identity, session.uuid(), &command).await? {
        Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
        Accepted::Done { event, .. } => {
            let (row, stale) = after_write(&reads, caller.user, session, event.as_ref()).await;
            // A new session is known without looking; a repeated request gets what became of it.
            let body = Json(row.unwrap_or_else(|| just_started(session, title, at)));
            Ok(Written::Done { status: StatusCode::CREATED, event, stale, body })
        }
    }
}

fn just_started(session: SessionId, title: Option<String>, at: DateTime<Utc>) -> rows::Session {
    rows::Session {
        id: session.uuid(),
        title,
        preview: String::new(),
        created_at: at,
        updated_at: at,
        deleted_at: None,
        message_count: 0,
        active_run_id: None,
    }
}

/// Which conversations.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Those in the bin instead of the others.
    #[serde(default)]
    #[param(default = false)]
    deleted: bool,
}

/// Your conversations, last active first.
#[utoipa::path(get, path = "/api/v1/sessions", operation_id = "list_sessions", tag = "sessions", params(AfterParam, PageQuery, ListQuery),
    responses((status = 200, body = Page<rows::Session>), Problems), security(("bearer" = [])))]
pub(super) async fn list(
    caller: Caller,
    After(after): After,
    State(reads): State<Reads>,
    Query(page): Query<PageQuery>,
    Query(query): Query<ListQuery>,
) -> Result<Fresh<Page<rows::Session>>, Problem> {
    let limit = page.limit()?;
    let stale = reads.is_behind(Model::Chat, after.as_ref()).await?;
    let owner = caller.user.uuid();
    let body = rows::sessions(reads.pool(), owner, query.deleted, page.cursor.as_deref(), limit).await?;
    Ok(Fresh { body, stale })
}

/// One conversation, in the bin or not.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", operation_id = "get_session", tag = "sessions", params(AfterParam, ("id" = Uuid, Path)),
    responses((status = 200, body = rows::Session), Problems), security(("bearer" = [])))]
pub(super) async fn get(
    caller: Caller,
    After(after): After,
    State(reads): State<Reads>,
    Id(id): Id,
) -> Result<Fresh<rows::Session>, Problem> {
    let stale = reads.is_behind(Model::Chat, after.as_ref()).await?;
    let row = rows::session(reads.pool(), caller.user.uuid(), id).await?;
    let body = row.ok_or_else(|| missing(stale, no_session))?;
    Ok(Fresh { body, stale })
}

/// Names a conversation.
#[utoipa::path(patch, path = "/api/v1/sessions/{id}", operation_id = "rename_session", tag = "sessions", params(("id" = Uuid, Path)),
    request_body = Rename,
    responses((status = 200, body = rows::Session), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn rename(
    caller: Caller,
    State(bus): State<Bus>,
    State(reads): State<Reads>,
    origin: Origin,
    Id(id): Id,
    extract::Json(request): extract::Json<Rename>,
) -> Result<Written<Json<rows::Session>>, Problem> {
    let title = Sealed::new(caller.user, request.title.trim().to_owned());
    let command = SessionCommand::RenameSession { by: caller.user, title, at: Utc::now() };
    change(&bus, &reads, caller.user, origin, SessionId::new(id), command).await
}

/// Puts a conversation into the bin; replies that are being generated are stopped.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", operation_id = "delete_session", tag = "sessions", params(("id" = Uuid, Path)),
    responses((status = 204, description = "In the bin"), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn delete(
    caller: Caller,
    State(bus): State<Bus>,
    origin: Origin,
    Id(id): Id,
) -> Result<Written<()>, Problem> {
    let command = SessionCommand::DeleteSession { by: caller.user, at: Utc::now() };
    let (actor, identity) = (Actor::User(caller.user), CommandIdentity::unique());
    match bus.send::<Aggregate>(origin, actor, identity, id, &command).await? {
        Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
        Accepted::Done { event, .. } => {
            Ok(Written::Done { status: StatusCode::NO_CONTENT, event, stale: false, body: () })
        }
    }
}

/// Takes a conversation out of the bin.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/restore", operation_id = "restore_session", tag = "sessions", params(("id" = Uuid, Path)),
    responses((status = 200, body = rows::Session), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn restore(
    caller: Caller,
    State(bus): State<Bus>,
    State(reads): State<Reads>,
    origin: Origin,
    Id(id): Id,
) -> Result<Written<Json<rows::Session>>, Problem> {
    let command = SessionCommand::RestoreSession { by: caller.user, at: Utc::now() };
    change(&bus, &reads, caller.user, origin, SessionId::new(id), command).await
}

/// Sends a command whose answer is the session as it is afterwards.
async fn change(
    bus: &Bus,
    reads: &Reads,
    owner: UserId,
    origin: Origin,
    session: SessionId,
    command: SessionCommand,
) -> Result<Written<Json<rows::Session>>, Problem> {
    let (actor, identity) = (Actor::User(owner), CommandIdentity::unique());
    match bus.send::<Aggregate>(origin, actor, identity, session.uuid(), &command).await? {
        Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
        Accepted::Done { event, .. } => {
            let stale = reads.is_behind(Model::Chat, event.as_ref()).await?;
            let row = rows::session(reads.pool(), owner.uuid(), session.uuid()).await?;
            let row = row.ok_or_else(|| {
                Problem::unavailable("read_model_behind", "the change was made, but cannot be shown yet; read it again")
            })?;
            Ok(Written::Done { status: StatusCode::OK, event, stale, body: Json(row) })
        }
    }
}

/// The row once it shows `event`, as far as can be had, and whether it may be older.
async fn after_write(
    reads: &Reads,
    owner: UserId,
    session: SessionId,
    event: Option<&EventRef>,
) -> (Option<rows::Session>, bool) {
    let stale = reads.is_behind(Model::Chat, event).await.unwrap_or(true);
    let row = rows::session(reads.pool(), owner.uuid(), session.uuid()).await.ok().flatten();
    (row, stale)
}

pub(super) fn no_session() -> Problem {
    Problem::not_found("session_not_found", "there is no such conversation")
}
