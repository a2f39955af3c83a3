//! The rows of `relay_v1` and how they are found.

use chrono::{DateTime, Utc};
use domain::billing::Rates;
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Provider;
use crate::billing::RatesSchema;

/// A model as a channel offers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChannelModel)]
pub struct Model {
    /// As users name it.
    pub name: String,
    /// As the provider names it.
    pub upstream: String,
    #[schema(required = true)]
    pub context_tokens: Option<u32>,
    #[schema(required = true)]
    pub max_output_tokens: Option<u32>,
    /// What users pay.
    #[schema(value_type = RatesSchema)]
    pub prices: Rates,
    /// What the provider charges us.
    #[schema(value_type = RatesSchema)]
    pub costs: Rates,
    /// Counts changes of prices and costs from 1.
    pub price_version: u32,
}

/// A channel, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Channel {
    pub id: Uuid,
    pub name: String,
    #[sqlx(try_from = "String")]
    pub provider: Provider,
    #[schema(required = true)]
    pub base_url: Option<String>,
    /// The last characters of each key.
    pub key_hints: Vec<String>,
    #[sqlx(json)]
    pub models: Vec<Model>,
    pub enabled: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a channel shows; `c` is its row.
const COLUMNS: &str = "c.id, c.name, c.provider, c.base_url, c.models, c.enabled, c.created_at, c.updated_at, \
    ARRAY(SELECT k.key ->> 'hint' FROM jsonb_array_elements(c.keys) WITH ORDINALITY AS k (key, n) ORDER BY k.n) \
        AS key_hints";

/// All channels, the oldest first: the first enabled one that offers a model serves it.
///
/// # Errors
/// The database is away.
pub async fn channels(pool: &PgPool) -> sqlx::Result<Vec<Channel>> {
    let sql = format!("SELECT {COLUMNS} FROM relay_v1.channels c WHERE NOT c.removed ORDER BY c.created_at, c.id");
    sqlx::query_as(&sql).fetch_all(pool).await
}

/// The channel `id`.
///
/// # Errors
/// The database is away.
pub async fn channel(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<Channel>> {
    let sql = format!("SELECT {COLUMNS} FROM relay_v1.channels c WHERE c.id = $1 AND NOT c.removed");
    sqlx::query_as(&sql).bind(id).fetch_optional(pool).await
}

/// The keys of channel `id`, each encrypted under the master secret and in base64; none of an unknown channel.
///
/// # Errors
/// The database is away.
pub async fn sealed_keys(pool: &PgPool, id: Uuid) -> sqlx::Result<Vec<String>> {
    let sql = "SELECT keys FROM relay_v1.channels WHERE id = $1";
    let keys: Option<Json<Vec<domain::relay::SealedKey>>> =
        sqlx::query_scalar(sql).bind(id).fetch_optional(pool).await?;
    Ok(keys.map(|keys| keys.0).unwrap_or_default().into_iter().map(|key| key.sealed).collect())
}

/// How many events these rows contain: another number means that some channel has changed.
///
/// # Errors
/// The database is away.
pub async fn version(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT coalesce(sum(sequence), 0)::bigint FROM relay_v1.channels").fetch_one(pool).await
}
