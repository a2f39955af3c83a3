//! Groups of users: list, add, change, remove, and who is in which.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{SubsecRound as _, Utc};
use domain::{
    billing::Factor,
    relay::{Group as Aggregate, GroupCommand, group},
    users::{User, UserCommand},
};
use nats::EventRef;
use projections::{
    Page,
    relay::{self as rows, Group},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::channels::Writer;
use crate::{
    auth::Admin,
    commands::{Accepted, Actor, CommandStatus, Written},
    extract::{self, Id},
    idempotency::{CommandIdentity, IdempotencyKey},
    openapi::{AfterParam, KeyParam, Problems},
    problem::Problem,
    read::{After, Fresh, Model, Reads},
};

/// A new group.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewGroup {
    /// By which channels and accounts name it; never changes.
    #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9_-]+$")]
    name: String,
    #[schema(min_length = 1, max_length = 80)]
    title: String,
    /// What its users pay of every price: an exact decimal from 0 to 1000; 1 where absent.
    #[serde(default)]
    #[schema(value_type = String, default = "1")]
    factor: Factor,
}

/// What is to be changed of a group.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct GroupPatch {
    #[schema(min_length = 1, max_length = 80)]
    title: Option<String>,
    #[schema(value_type = Option<String>)]
    factor: Option<Factor>,
}

/// The group that an account is put into.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Membership {
    /// By its name; `default` is always there.
    group: String,
}

/// All groups that were made; `default` is there before, at the price as it is. They are few: there is one page.
#[utoipa::path(get, path = "/api/v1/admin/groups", operation_id = "list_groups", tag = "admin", params(AfterParam),
    responses((status = 200, body = Page<Group>), Problems), security(("bearer" = [])))]
pub(super) async fn list(
    _: Admin,
    After(after): After,
    State(reads): State<Reads>,
) -> Result<Fresh<Page<Group>>, Problem> {
    let stale = reads.is_behind(Model::Relay, after.as_ref()).await?;
    let items = rows::groups(reads.pool()).await?;
    Ok(Fresh { body: Page { items, next_cursor: None }, stale })
}

/// Adds a group. Adding `default` gives a price factor to everybody who is in no other.
#[utoipa::path(post, path = "/api/v1/admin/groups", operation_id = "add_group", tag = "admin", params(KeyParam),
    request_body = NewGroup,
    responses((status = 201, body = Group), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn add(
    writer: Writer,
    key: IdempotencyKey,
    extract::Json(request): extract::Json<NewGroup>,
) -> Result<Written<Json<Group>>, Problem> {
    let identity = key.identify(writer.admin.user, &request)?;
    let NewGroup { name, title, factor } = request;
    let command = GroupCommand::AddGroup { name: name.clone(), title, factor, at: Utc::now().trunc_subsecs(6) };
    writer.write_group(identity, &name, command, StatusCode::CREATED).await
}

/// Changes what is given of a group; a factor counts from the next call on.
#[utoipa::path(patch, path = "/api/v1/admin/groups/{name}", operation_id = "change_group", tag = "admin",
    params(("name" = String, Path)), request_body = GroupPatch,
    responses((status = 200, body = Group), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn change(
    writer: Writer,
    extract::Name(name): extract::Name,
    extract::Json(GroupPatch { title, factor }): extract::Json<GroupPatch>,
) -> Result<Written<Json<Group>>, Problem> {
    let command = GroupCommand::ChangeGroup { title, factor, at: Utc::now().trunc_subsecs(6) };
    writer.write_group(CommandIdentity::unique(), &name, command, StatusCode::OK).await
}

/// Removes a group that nobody is in and no channel names. A group of the same name can be added again.
#[utoipa::path(delete, path = "/api/v1/admin/groups/{name}", operation_id = "remove_group", tag = "admin",
    params(("name" = String, Path)),
    responses((status = 204, description = "Removed"), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn remove(writer: Writer, extract::Name(name): extract::Name) -> Result<Written<()>, Problem> {
    let found = rows::group(writer.reads.pool(), &name).await?;
    let users = found.map_or(0, |group| group.users);
    let channels = rows::channels_naming(writer.reads.pool(), &name).await?;
    if users > 0 || !channels.is_empty() {
        let detail = "users are in this group or channels name it; put them into another one and change those first";
        let in_use = Problem::new(StatusCode::CONFLICT, "group_in_use", detail);
        return Err(in_use.with(json!({ "users": users, "channels": channels })));
    }
    let command = GroupCommand::RemoveGroup { at: Utc::now().trunc_subsecs(6) };
    match writer.send_group(CommandIdentity::unique(), &name, &command).await? {
        Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
        Accepted::Done { event, .. } => {
            let stale = writer.reads.is_behind(Model::Relay, event.as_ref()).await?;
            writer.anew().await;
            Ok(Written::Done { status: StatusCode::NO_CONTENT, event, stale, body: () })
        }
    }
}

/// Puts an account into a group, and out of the one that it was in. Counts from its next call on.
#[utoipa::path(put, path = "/api/v1/admin/users/{id}/group", operation_id = "assign_group", tag = "admin",
    params(("id" = Uuid, Path)), request_body = Membership,
    responses((status = 200, body = Membership), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn assign(
    writer: Writer,
    Id(id): Id,
    extract::Json(Membership { group }): extract::Json<Membership>,
) -> Result<Written<Json<Membership>>, Problem> {
    let command = UserCommand::AssignGroup { group: group.clone(), at: Utc::now().trunc_subsecs(6) };
    let (actor, identity) = (Actor::User(writer.admin.user), CommandIdentity::unique());
    match writer.bus.send::<User>(writer.origin.clone(), actor, identity, id, &command).await? {
        Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
        Accepted::Done { event, .. } => {
            let stale = writer.reads.is_behind(Model::Users, event.as_ref()).await?;
            writer.anew().await;
            Ok(Written::Done { status: StatusCode::OK, event, stale, body: Json(Membership { group }) })
        }
    }
}

impl Writer {
    async fn write_group(
        &self,
        identity: CommandIdentity,
        name: &str,
        command: GroupCommand,
        status: StatusCode,
    ) -> Result<Written<Json<Group>>, Problem> {
        match self.send_group(identity, name, &command).await? {
            Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
            Accepted::Done { event, .. } => self.written(name, event, status).await,
        }
    }

    async fn send_group(
        &self,
        identity: CommandIdentity,
        name: &str,
        command: &GroupCommand,
    ) -> Result<Accepted, Problem> {
        let (actor, id) = (Actor::User(self.admin.user), group::id_of(name).uuid());
        self.bus.send::<Aggregate>(self.origin.clone(), actor, identity, id, command).await
    }

    async fn written(
        &self,
        name: &str,
        event: Option<EventRef>,
        status: StatusCode,
    ) -> Result<Written<Json<Group>>, Problem> {
        let stale = self.reads.is_behind(Model::Relay, event.as_ref()).await?;
        self.anew().await;
        let row = rows::group(self.reads.pool(), name).await?.ok_or_else(|| {
            Problem::unavailable("read_model_behind", "the change was made, but cannot be shown yet; read it again")
        })?;
        Ok(Written::Done { status, event, stale, body: Json(row) })
    }

    /// The next request on this node sees the change; others do within a second.
    async fn anew(&self) {
        if let Err(error) = self.catalogue.reload().await {
            tracing::warn!(error = format!("{error:#}"), "the channels cannot be read now");
        }
    }
}
