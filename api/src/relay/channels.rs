//! Channels: list, add, look at one, change, remove.
#![expect(
    clippy::useless_conversion,
    reason = "derived extractors convert every rejection, also one of the right type"
)]

use axum::{Json, extract::State, http::StatusCode};
use chrono::{SubsecRound as _, Utc};
use domain::{
    ChannelId,
    relay::{Channel as Aggregate, ChannelCommand},
};
use metering::Catalogue;
use nats::EventRef;
use projections::{Page, relay as rows};
use vault::Vault;

use super::{
    Upstreams,
    body::{self, ChannelPatch, NewChannel},
};
use crate::{
    auth::Admin,
    commands::{Accepted, Actor, Bus, CommandStatus, Written},
    extract::{self, Id},
    idempotency::{CommandIdentity, IdempotencyKey},
    openapi::{AfterParam, KeyParam, Problems},
    problem::Problem,
    read::{After, Fresh, Model, Reads},
    request_id::Origin,
};

/// All channels, the preferred ones first. They are few: there is one page.
#[utoipa::path(get, path = "/api/v1/admin/channels", operation_id = "list_channels", tag = "admin", params(AfterParam),
    responses((status = 200, body = Page<rows::Channel>), Problems), security(("bearer" = [])))]
pub(super) async fn list(
    _: Admin,
    After(after): After,
    State(reads): State<Reads>,
) -> Result<Fresh<Page<rows::Channel>>, Problem> {
    let stale = reads.is_behind(Model::Relay, after.as_ref()).await?;
    let items = rows::channels(reads.pool(), Utc::now()).await?;
    Ok(Fresh { body: Page { items, next_cursor: None }, stale })
}

/// One channel.
#[utoipa::path(get, path = "/api/v1/admin/channels/{id}", operation_id = "get_channel", tag = "admin",
    params(AfterParam, ("id" = Uuid, Path)),
    responses((status = 200, body = rows::Channel), Problems), security(("bearer" = [])))]
pub(super) async fn get(
    _: Admin,
    After(after): After,
    State(reads): State<Reads>,
    Id(id): Id,
) -> Result<Fresh<rows::Channel>, Problem> {
    let stale = reads.is_behind(Model::Relay, after.as_ref()).await?;
    let body = rows::channel(reads.pool(), id, Utc::now()).await?.ok_or_else(no_channel)?;
    Ok(Fresh { body, stale })
}

/// Adds a channel; its models can be asked at once.
#[utoipa::path(post, path = "/api/v1/admin/channels", operation_id = "add_channel", tag = "admin", params(KeyParam),
    request_body = NewChannel,
    responses((status = 201, body = rows::Channel), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn add(
    writer: Writer,
    key: IdempotencyKey,
    State(vault): State<Vault>,
    State(Upstreams(policy)): State<Upstreams>,
    extract::Json(request): extract::Json<NewChannel>,
) -> Result<Written<Json<rows::Channel>>, Problem> {
    let identity = key.identify(writer.admin.user, &request)?;
    let id = ChannelId::new(identity.new_id("channel"));
    let base_url = request.base_url.map(|text| body::base_url(request.provider.0.as_str(), &text, policy));
    let command = ChannelCommand::AddChannel {
        name: request.name,
        provider: request.provider.0,
        base_url: base_url.transpose()?,
        keys: body::seal(&vault, id, &request.keys)?,
        models: request.models.into_iter().map(Into::into).collect(),
        prices: body::rates("prices", request.prices)?,
        costs: body::rates("costs", request.costs)?,
        enabled: request.enabled,
        more: request.settings.seal(&vault, id, policy)?,
        at: Utc::now().trunc_subsecs(6),
    };
    writer.write(identity, id, command, StatusCode::CREATED).await
}

/// Changes what is given of a channel.
#[utoipa::path(patch, path = "/api/v1/admin/channels/{id}", operation_id = "change_channel", tag = "admin",
    params(("id" = Uuid, Path)), request_body = ChannelPatch,
    responses((status = 200, body = rows::Channel), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn change(
    writer: Writer,
    State(vault): State<Vault>,
    State(Upstreams(policy)): State<Upstreams>,
    Id(id): Id,
    extract::Json(request): extract::Json<ChannelPatch>,
) -> Result<Written<Json<rows::Channel>>, Problem> {
    let id = ChannelId::new(id);
    let base_url = match request.base_url {
        Some(text) => Some(body::base_url(writer.provider_of(id).await?.0.as_str(), &text, policy)?),
        None => None,
    };
    let command = ChannelCommand::ChangeChannel {
        name: request.name,
        base_url,
        keys: request.keys.map(|keys| body::seal_new(&vault, id, &keys)).transpose()?,
        models: request.models.map(|models| models.into_iter().map(Into::into).collect()),
        prices: body::rates("prices", request.prices)?,
        costs: body::rates("costs", request.costs)?,
        enabled: request.enabled,
        more: request.settings.seal(&vault, id, policy)?,
        at: Utc::now().trunc_subsecs(6),
    };
    writer.write(CommandIdentity::unique(), id, command, StatusCode::OK).await
}

/// Removes a channel for good; what was settled by it stays.
#[utoipa::path(delete, path = "/api/v1/admin/channels/{id}", operation_id = "remove_channel", tag = "admin",
    params(("id" = Uuid, Path)),
    responses((status = 204, description = "Removed"), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn remove(writer: Writer, Id(id): Id) -> Result<Written<()>, Problem> {
    let command = ChannelCommand::RemoveChannel { at: Utc::now().trunc_subsecs(6) };
    match writer.send(CommandIdentity::unique(), ChannelId::new(id), &command).await? {
        Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
        Accepted::Done { event, .. } => {
            let stale = writer.offer_anew(event.as_ref()).await?;
            Ok(Written::Done { status: StatusCode::NO_CONTENT, event, stale, body: () })
        }
    }
}

/// What every change takes of the request and of the state.
#[derive(axum::extract::FromRequestParts)]
#[from_request(state(crate::state::App), rejection(Problem))]
pub(super) struct Writer {
    pub(super) admin: Admin,
    #[from_request(via(State))]
    pub(super) bus: Bus,
    #[from_request(via(State))]
    pub(super) catalogue: Catalogue,
    #[from_request(via(State))]
    pub(super) reads: Reads,
    pub(super) origin: Origin,
}

impl Writer {
    pub(super) async fn write(
        &self,
        identity: CommandIdentity,
        id: ChannelId,
        command: ChannelCommand,
        status: StatusCode,
    ) -> Result<Written<Json<rows::Channel>>, Problem> {
        match self.send(identity, id, &command).await? {
            Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
            Accepted::Done { event, .. } => {
                let stale = self.offer_anew(event.as_ref()).await?;
                let row = rows::channel(self.reads.pool(), id.uuid(), Utc::now()).await?;
                let row = row.ok_or_else(|| {
                    let detail = "the change was made, but cannot be shown yet; read it again";
                    Problem::unavailable("read_model_behind", detail)
                })?;
                Ok(Written::Done { status, event, stale, body: Json(row) })
            }
        }
    }

    /// Carries a command out whose answer nobody reads.
    pub(super) async fn apply(&self, id: ChannelId, command: ChannelCommand) -> Result<(), Problem> {
        match self.send(CommandIdentity::unique(), id, &command).await? {
            Accepted::Pending(_) => {
                Err(Problem::unavailable("command_pending", "the changes are on their way; look at the channels again"))
            }
            Accepted::Done { event, .. } => self.offer_anew(event.as_ref()).await.map(|_| ()),
        }
    }

    /// Which provider the channel is an account at: it never changes.
    async fn provider_of(&self, id: ChannelId) -> Result<rows::Provider, Problem> {
        let row = rows::channel(self.reads.pool(), id.uuid(), Utc::now()).await?;
        Ok(row.ok_or_else(no_channel)?.provider)
    }

    async fn send(
        &self,
        identity: CommandIdentity,
        id: ChannelId,
        command: &ChannelCommand,
    ) -> Result<Accepted, Problem> {
        let actor = Actor::User(self.admin.user);
        self.bus.send::<Aggregate>(self.origin.clone(), actor, identity, id.uuid(), command).await
    }

    /// The next request on this node sees the change; whether it does not.
    async fn offer_anew(&self, event: Option<&EventRef>) -> Result<bool, Problem> {
        let stale = self.reads.is_behind(Model::Relay, event).await?;
        if let Err(error) = self.catalogue.reload().await {
            // Other nodes and the next look at the channels make good for it.
            tracing::warn!(error = format!("{error:#}"), "the channels cannot be read now");
            return Ok(true);
        }
        Ok(stale)
    }
}

pub(super) fn no_channel() -> Problem {
    Problem::not_found("channel_not_found", "there is no such channel")
}
