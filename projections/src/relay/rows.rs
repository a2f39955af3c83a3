//! The rows of channels and how they are found.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    ChannelId,
    billing::Rates,
    relay::{
        Drain, HeaderOverride, HeaderText, InForce, Limits, ModelTraits, OfferedModel, Overrides, ParameterOverride,
        ProbeBy, Routing, SealedKey, Upcoming,
    },
};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool, types::Json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    Provider,
    schema::{
        CapabilitySchema, DrainSchema, FallbacksSchema, LimitsSchema, ModalitySchema, ParameterSchema, ProbeBySchema,
        StrategySchema,
    },
};
use crate::billing::RatesSchema;

/// A model as a channel offers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
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
    /// What users pay now.
    #[schema(value_type = RatesSchema)]
    pub prices: Rates,
    /// What the provider charges us now.
    #[schema(value_type = RatesSchema)]
    pub costs: Rates,
    /// Counts changes of prices and costs from 1.
    pub price_version: u32,
    /// What begins later, in the order of time.
    pub upcoming: Vec<UpcomingPrice>,
    /// Strategy, fallbacks, modalities and capabilities.
    #[serde(flatten)]
    #[schema(value_type = TraitsSchema)]
    pub traits: ModelTraits,
}

/// What is known about a model besides its names; what is absent is not known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelTraits)]
pub struct TraitsSchema {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<StrategySchema>,
    /// A second channel is asked beside one that said nothing for so many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 600_000)]
    pub hedge_after_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallbacks: Option<FallbacksSchema>,
    /// What it reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_modalities: Option<Vec<ModalitySchema>>,
    /// What it writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_modalities: Option<Vec<ModalitySchema>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<CapabilitySchema>>,
}

/// A price with its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UpcomingPrice {
    /// It holds from then on, until another one does.
    pub from: DateTime<Utc>,
    #[schema(value_type = RatesSchema)]
    pub prices: Rates,
    #[schema(value_type = RatesSchema)]
    pub costs: Rates,
    pub price_version: u32,
}

/// A provider's key, as operators know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ChannelKey)]
pub struct Key {
    /// Under which its health is kept and told.
    pub name: Uuid,
    /// Its last characters; empty where it is short.
    pub hint: String,
    /// Since when and why it is not used; it is while this is absent.
    #[schema(required = true)]
    pub suspended: Option<Suspension>,
}

/// A key is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ChannelKeySuspension)]
pub struct Suspension {
    /// Why, in a word for programs: `invalid_api_key`.
    pub code: String,
    pub at: DateTime<Utc>,
}

/// A header of every request of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ChannelHeader)]
pub struct Header {
    pub name: String,
    /// Absent where it is a secret.
    #[schema(required = true)]
    pub value: Option<String>,
    pub secret: bool,
}

/// A channel, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Channel {
    pub id: Uuid,
    pub name: String,
    pub provider: Provider,
    #[schema(required = true)]
    pub base_url: Option<String>,
    /// The last characters of each key.
    pub key_hints: Vec<String>,
    pub keys: Vec<Key>,
    pub models: Vec<Model>,
    pub enabled: bool,
    /// The highest that can serve is asked first.
    pub priority: i32,
    /// Its share among channels of the same priority.
    pub weight: u32,
    /// The user groups that may use it; everybody where empty.
    pub groups: BTreeSet<String>,
    #[schema(value_type = LimitsSchema)]
    pub limits: Limits,
    #[schema(value_type = Option<DrainSchema>, required = true)]
    pub drain: Option<Drain>,
    /// What clients are told of who answered; the channel's id where absent.
    #[schema(required = true)]
    pub public_name: Option<String>,
    /// How it is found out whether it works again.
    #[schema(value_type = ProbeBySchema)]
    pub probe: ProbeBy,
    #[schema(value_type = Vec<ParameterSchema>)]
    pub parameters: Vec<ParameterOverride>,
    pub headers: Vec<Header>,
    /// Without its credentials.
    #[schema(required = true)]
    pub proxy: Option<String>,
    pub tags: Vec<String>,
    pub note: String,
    /// Counts its changes: how far it can be returned.
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What only the server may open of a channel, encrypted as it was stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    pub keys: Vec<SealedKey>,
    pub overrides: Overrides,
}

/// The row of a channel.
#[derive(FromRow)]
struct Row {
    id: Uuid,
    name: String,
    #[sqlx(try_from = "String")]
    provider: Provider,
    base_url: Option<String>,
    keys: Json<Vec<SealedKey>>,
    suspended: Json<HashMap<Uuid, Suspension>>,
    models: Json<Vec<OfferedModel>>,
    enabled: bool,
    routing: Json<Routing>,
    overrides: Json<Overrides>,
    tags: Vec<String>,
    note: String,
    sequence: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl Row {
    /// As it is at `at`: prices begin by themselves.
    fn at(self, at: DateTime<Utc>) -> Channel {
        let Routing { priority, weight, groups, limits, drain, public_name, probe } = self.routing.0;
        let Overrides { parameters, headers, proxy } = self.overrides.0;
        let id = ChannelId::new(self.id);
        let key = |key: &SealedKey| {
            let name = key.name(id);
            Key { name, hint: key.hint.clone(), suspended: self.suspended.get(&name).cloned() }
        };
        Channel {
            id: self.id,
            name: self.name,
            provider: self.provider,
            base_url: self.base_url,
            key_hints: self.keys.iter().map(|key| key.hint.clone()).collect(),
            keys: self.keys.iter().map(key).collect(),
            models: self.models.0.into_iter().map(|model| Model::at(model, at)).collect(),
            enabled: self.enabled,
            priority,
            weight,
            groups,
            limits,
            drain,
            public_name,
            probe,
            parameters,
            headers: headers.into_iter().map(Header::from).collect(),
            proxy: proxy.map(|proxy| proxy.url),
            tags: self.tags,
            note: self.note,
            version: self.sequence,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

impl Model {
    fn at(OfferedModel { spec, terms }: OfferedModel, at: DateTime<Utc>) -> Self {
        let InForce { prices, costs, price_version } = terms.in_force(at);
        let (prices, costs) = (prices.clone(), costs.clone());
        let upcoming = terms.upcoming.into_iter().filter(|upcoming| upcoming.from > at);
        Self {
            name: spec.name,
            upstream: spec.upstream,
            context_tokens: spec.context_tokens,
            max_output_tokens: spec.max_output_tokens,
            prices,
            costs,
            price_version,
            upcoming: upcoming.map(UpcomingPrice::from).collect(),
            traits: spec.traits,
        }
    }
}

impl From<Upcoming> for UpcomingPrice {
    fn from(Upcoming { from, prices, costs, price_version }: Upcoming) -> Self {
        Self { from, prices, costs, price_version }
    }
}

impl From<HeaderOverride> for Header {
    fn from(header: HeaderOverride) -> Self {
        let value = match header.value {
            HeaderText::Plain(text) => Some(text),
            HeaderText::Sealed(_) => None,
        };
        Self { name: header.name, secret: value.is_none(), value }
    }
}

/// What a channel is made of.
const COLUMNS: &str = "id, name, provider, base_url, keys, suspended, models, enabled, routing, overrides, tags, note, sequence, \
    created_at, updated_at";

/// All channels, the preferred ones first, and of those the oldest.
///
/// # Errors
/// The database is away.
pub async fn channels(pool: &PgPool, at: DateTime<Utc>) -> sqlx::Result<Vec<Channel>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM relay_v1.channels WHERE NOT removed \
         ORDER BY (routing ->> 'priority')::int DESC, created_at, id"
    );
    let rows: Vec<Row> = sqlx::query_as(&sql).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|row| row.at(at)).collect())
}

/// The channel `id`.
///
/// # Errors
/// The database is away.
pub async fn channel(pool: &PgPool, id: Uuid, at: DateTime<Utc>) -> sqlx::Result<Option<Channel>> {
    let sql = format!("SELECT {COLUMNS} FROM relay_v1.channels WHERE id = $1 AND NOT removed");
    let row: Option<Row> = sqlx::query_as(&sql).bind(id).fetch_optional(pool).await?;
    Ok(row.map(|row| row.at(at)))
}

/// The secrets of channel `id`; none of an unknown channel.
///
/// # Errors
/// The database is away.
pub async fn secrets(pool: &PgPool, id: Uuid) -> sqlx::Result<Secrets> {
    let sql = "SELECT keys, overrides FROM relay_v1.channels WHERE id = $1";
    let found: Option<(Json<Vec<SealedKey>>, Json<Overrides>)> =
        sqlx::query_as(sql).bind(id).fetch_optional(pool).await?;
    Ok(found.map_or_else(Secrets::default, |(keys, overrides)| Secrets { keys: keys.0, overrides: overrides.0 }))
}

/// When the next price of any channel begins, after `at`.
///
/// # Errors
/// The database is away.
pub async fn next_price(pool: &PgPool, at: DateTime<Utc>) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar(
        "SELECT min((u.price ->> 'from')::timestamptz) FROM relay_v1.channels c, \
         jsonb_array_elements(c.models) AS m (model), jsonb_array_elements(m.model -> 'upcoming') AS u (price) \
         WHERE NOT c.removed AND (u.price ->> 'from')::timestamptz > $1",
    )
    .bind(at)
    .fetch_one(pool)
    .await
}

/// How many events these rows contain: another number means that some channel or group has changed.
///
/// # Errors
/// The database is away.
pub async fn version(pool: &PgPool) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "SELECT ((SELECT coalesce(sum(sequence), 0) FROM relay_v1.channels) \
         + (SELECT coalesce(sum(sequence), 0) FROM relay_v1.groups))::bigint",
    )
    .fetch_one(pool)
    .await
}
