//! Keys of the API: make one, list them, revoke one.

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{
    ApiKeyId, Sealed,
    users::{ApiKey as Aggregate, ApiKeyCommand, Scope},
};
use projections::{Page, users};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vault::Vault;

use super::{Key, KeyGrants};
use crate::{
    auth::Caller,
    commands::{Accepted, Actor, Bus, CommandStatus, Written},
    extract::{self, Id, Query},
    idempotency::{CommandIdentity, IdempotencyKey},
    openapi::{AfterParam, KeyParam, Problems},
    problem::Problem,
    read::{After, Fresh, Model, PageQuery, Reads},
    request_id::Origin,
};

/// Keys of one account, revoked ones not counted.
const MAX_KEYS: i64 = 100;

/// A new key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewApiKey {
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// What it may do.
    #[serde(default = "usual_scopes")]
    #[schema(value_type = Vec<ScopeName>, default = json!(["chat", "models"]))]
    scopes: Vec<Scope>,
    /// Only these models; any model where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    /// When it ends; never where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime<Utc>>,
}

fn usual_scopes() -> Vec<Scope> {
    vec![Scope::Chat, Scope::Models]
}

/// What a key may do.
#[derive(ToSchema)]
#[schema(as = Scope, rename_all = "snake_case")]
#[expect(dead_code, reason = "describes the domain's words, is never built")]
enum ScopeName {
    Chat,
    Models,
    Billing,
}

/// A key that was made. `key` is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedApiKey {
    #[serde(flatten)]
    api_key: users::ApiKey,
    /// For `Authorization: Bearer`; it cannot be shown again.
    key: String,
}

/// Makes a key. It answers with the key itself, which nobody can look up later.
#[utoipa::path(post, path = "/api/v1/api-keys", operation_id = "create_api_key", tag = "api_keys", params(KeyParam),
    request_body = NewApiKey,
    responses((status = 201, body = CreatedApiKey), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn create(
    caller: Caller,
    State(bus): State<Bus>,
    State(reads): State<Reads>,
    State(vault): State<Vault>,
    origin: Origin,
    idempotency: IdempotencyKey,
    extract::Json(request): extract::Json<NewApiKey>,
) -> Result<Written<Json<CreatedApiKey>>, Problem> {
    let identity = idempotency.identify(caller.user, &request)?;
    let id = ApiKeyId::new(identity.new_id("api_key"));
    require_room(&reads, caller, id).await?;
    let key = Key::of(id, &vault);
    let name = request.name.trim().to_owned();
    let command = ApiKeyCommand::CreateApiKey {
        owner: caller.user,
        name: Sealed::new(caller.user, name),
        key_hash: key.hash(),
        hint: key.hint(),
        scopes: request.scopes,
        models: request.models,
        expires_at: request.expires_at,
        at: Utc::now().trunc_subsecs(6),
    };
    match bus.send::<Aggregate>(origin, Actor::User(caller.user), identity, id.uuid(), &command).await? {
        Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
        Accepted::Done { event, .. } => {
            // A key that is shown must work, so its row is waited for.
            let stale = reads.is_behind(Model::Users, event.as_ref()).await?;
            let row = users::api_key(reads.pool(), caller.user.uuid(), id.uuid()).await?;
            let api_key = row.ok_or_else(|| {
                Problem::unavailable(
                    "read_model_behind",
                    "the key was made, but cannot be shown yet; ask again with the same `Idempotency-Key`, or revoke it",
                )
            })?;
            let body = Json(CreatedApiKey { api_key, key: key.into_text() });
            Ok(Written::Done { status: StatusCode::CREATED, event, stale, body })
        }
    }
}

/// A bound against mistakes, not a rule of the ledger: two requests at once may pass it by one.
async fn require_room(reads: &Reads, caller: Caller, id: ApiKeyId) -> Result<(), Problem> {
    if users::count_api_keys(reads.pool(), caller.user.uuid()).await? < MAX_KEYS {
        return Ok(());
    }
    // A repeated request makes no further key.
    if users::api_key(reads.pool(), caller.user.uuid(), id.uuid()).await?.is_some() {
        return Ok(());
    }
    let detail = format!("you have {MAX_KEYS} keys; revoke one that you do not use any more");
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_many_keys", detail))
}

/// Your keys, newest first.
#[utoipa::path(get, path = "/api/v1/api-keys", operation_id = "list_api_keys", tag = "api_keys",
    params(AfterParam, PageQuery),
    responses((status = 200, body = Page<users::ApiKey>), Problems), security(("bearer" = [])))]
pub(super) async fn list(
    caller: Caller,
    After(after): After,
    State(reads): State<Reads>,
    Query(page): Query<PageQuery>,
) -> Result<Fresh<Page<users::ApiKey>>, Problem> {
    let limit = page.limit()?;
    let stale = reads.is_behind(Model::Users, after.as_ref()).await?;
    let body = users::api_keys(reads.pool(), caller.user.uuid(), page.cursor.as_deref(), limit).await?;
    Ok(Fresh { body, stale })
}

/// Revokes a key; from the answer on it is refused here, and within two seconds on every other node.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}", operation_id = "revoke_api_key", tag = "api_keys",
    params(("id" = Uuid, Path)),
    responses((status = 204, description = "Revoked"), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn revoke(
    caller: Caller,
    State(bus): State<Bus>,
    State(keys): State<KeyGrants>,
    origin: Origin,
    Id(id): Id,
) -> Result<Written<()>, Problem> {
    let command = ApiKeyCommand::RevokeApiKey { by: caller.user, at: Utc::now() };
    let (actor, identity) = (Actor::User(caller.user), CommandIdentity::unique());
    match bus.send::<Aggregate>(origin, actor, identity, id, &command).await? {
        Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
        Accepted::Done { event, .. } => {
            keys.doubt();
            Ok(Written::Done { status: StatusCode::NO_CONTENT, event, stale: false, body: () })
        }
    }
}
