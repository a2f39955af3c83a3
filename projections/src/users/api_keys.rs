//! Keys of the API, as their owners and as the check of a request see them.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    QueryError,
    page::{Page, bounded, decode},
};

/// A key, as its owner sees it.
#[derive(Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
    /// The end of the key, by which people know it.
    pub hint: String,
    /// What it may do: `chat`, `models`, `billing`.
    pub scopes: Vec<String>,
    /// Only these models; any where `null`.
    #[schema(required = true)]
    pub models: Option<Vec<String>>,
    #[schema(required = true)]
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    #[schema(required = true)]
    pub revoked_at: Option<DateTime<Utc>>,
    /// When a call with it was last settled.
    #[schema(required = true)]
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Never prints names: logs must not carry personal data.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

/// What a request with a key is checked against. Not serialisable on purpose.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct ApiKeyAccess {
    pub owner: Uuid,
    /// Hex of SHA-256 over the key.
    pub key_hash: String,
    pub scopes: Vec<String>,
    /// Only these models; any where absent.
    pub models: Option<Vec<String>>,
    pub expires_at: Option<DateTime<Utc>>,
    /// As the log of events says, not the read model: a revocation counts from its commit on, on every node.
    pub revoked: bool,
}

/// Never prints the hash.
impl fmt::Debug for ApiKeyAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, scopes, expires_at, revoked, .. } = self;
        f.debug_struct("ApiKeyAccess")
            .field("owner", owner)
            .field("scopes", scopes)
            .field("expires_at", expires_at)
            .field("revoked", revoked)
            .finish_non_exhaustive()
    }
}

/// What a key shows; `k` is its row.
const COLUMNS: &str = "k.id, k.name, k.hint, k.scopes, k.models, k.expires_at, k.created_at, k.revoked_at, \
    (SELECT max(c.at) FROM billing_v1.charges c WHERE c.api_key_id = k.id) AS last_used_at";

/// A page of `owner`'s keys, revoked ones included, newest first.
///
/// # Errors
/// A cursor of another list, or the database is away.
pub async fn api_keys(
    pool: &PgPool,
    owner: Uuid,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<ApiKey>, QueryError> {
    let limit = bounded(limit);
    let (before, before_id): (Option<DateTime<Utc>>, Option<Uuid>) = cursor.map(decode).transpose()?.unzip();
    let sql = format!(
        "SELECT {COLUMNS} FROM users_v1.api_keys k WHERE k.owner = $1 AND (k.created_at, k.id) < \
         (coalesce($2, 'infinity'::timestamptz), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)) \
         ORDER BY k.created_at DESC, k.id DESC LIMIT $4"
    );
    let query = sqlx::query_as(&sql).bind(owner).bind(before).bind(before_id);
    let rows = query.bind(i64::from(limit) + 1).fetch_all(pool).await?;
    Ok(Page::cut(rows, limit, |key: &ApiKey| (key.created_at, key.id)))
}

/// The key `id` of `owner`.
///
/// # Errors
/// The database is away.
pub async fn api_key(pool: &PgPool, owner: Uuid, id: Uuid) -> sqlx::Result<Option<ApiKey>> {
    let sql = format!("SELECT {COLUMNS} FROM users_v1.api_keys k WHERE k.owner = $1 AND k.id = $2");
    sqlx::query_as(&sql).bind(owner).bind(id).fetch_optional(pool).await
}

/// How many keys `owner` has that are not revoked.
///
/// # Errors
/// The database is away.
pub async fn count_api_keys(pool: &PgPool, owner: Uuid) -> sqlx::Result<i64> {
    let sql = "SELECT count(*) FROM users_v1.api_keys WHERE owner = $1 AND revoked_at IS NULL";
    sqlx::query_scalar(sql).bind(owner).fetch_one(pool).await
}

/// What the key `id` may do; `None` if it is not known (yet).
///
/// # Errors
/// The database is away.
pub async fn api_key_access(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<ApiKeyAccess>> {
    sqlx::query_as(
        "SELECT k.owner, k.key_hash, k.scopes, k.models, k.expires_at, \
         k.revoked_at IS NOT NULL OR EXISTS (SELECT FROM events e WHERE e.aggregate_type = 'api_key' \
             AND e.aggregate_id = k.id::text AND e.event_type = 'api_key.revoked') AS revoked \
         FROM users_v1.api_keys k WHERE k.id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}
