//! Prices: of one channel, now or later; and public price lists, taken over into channels.
//!
//! Promise: a price is only ever changed by an event of its channel, with a version and, where it came from a list, the
//! list's name; a list alone changes nothing.

use std::collections::BTreeSet;

use axum::{Json, extract::State, http::StatusCode};
use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{
    ChannelId,
    billing::{Currency, Factor, Rates},
    relay::{ChannelCommand, NewPrice},
};
use metering::{ListedModel, PriceList};
use projections::{
    billing::RatesSchema,
    relay::{self as rows, Channel},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::channels::Writer;
use crate::{
    auth::Admin,
    billing::LedgerCurrency,
    commands::{CommandStatus, Written},
    extract::{self, Id},
    idempotency::CommandIdentity,
    openapi::Problems,
    problem::Problem,
    read::Reads,
};

/// Prices of a channel's models.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewPrices {
    prices: Vec<ModelPrice>,
    /// The list that they are from.
    #[serde(default)]
    #[schema(max_length = 200)]
    source: Option<String>,
}

/// What a model shall cost.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = NewModelPrice)]
struct ModelPrice {
    /// By its public name.
    model: String,
    /// What users pay; as before where absent.
    #[serde(default)]
    #[schema(value_type = Option<RatesSchema>)]
    prices: Option<Value>,
    /// What the provider charges us; as before where absent.
    #[serde(default)]
    #[schema(value_type = Option<RatesSchema>)]
    costs: Option<Value>,
    /// At once where absent or passed. With neither prices nor costs, what was to begin then is withdrawn.
    #[serde(default)]
    from: Option<DateTime<Utc>>,
}

/// Changes what models of a channel cost, at once or from an instant on.
#[utoipa::path(post, path = "/api/v1/admin/channels/{id}/prices", operation_id = "set_channel_prices", tag = "admin",
    params(("id" = Uuid, Path)), request_body = NewPrices,
    responses((status = 200, body = Channel), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn set(
    writer: Writer,
    Id(id): Id,
    extract::Json(request): extract::Json<NewPrices>,
) -> Result<Written<Json<Channel>>, Problem> {
    let read = |place: usize, field: &str, list: Option<Value>| {
        let rates = list.map(Rates::deserialize).transpose();
        rates.map_err(|error| Problem::field(&format!("prices/{place}/{field}"), "invalid_price", error.to_string()))
    };
    let price = |(place, ModelPrice { model, prices, costs, from }): (usize, ModelPrice)| {
        let (prices, costs) = (read(place, "prices", prices)?, read(place, "costs", costs)?);
        Ok(NewPrice { model, prices, costs, from: from.map(|from| from.trunc_subsecs(6)) })
    };
    let prices = request.prices.into_iter().enumerate().map(price).collect::<Result<_, Problem>>()?;
    let command = ChannelCommand::SetPrices { prices, source: request.source, at: Utc::now().trunc_subsecs(6) };
    writer.write(CommandIdentity::unique(), ChannelId::new(id), command, StatusCode::OK).await
}

/// A public price list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PriceList)]
pub(crate) struct List {
    /// Who wrote it down.
    source: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    licence: Option<String>,
    /// When: `2026-11-22`.
    date: String,
    /// Of all amounts: three capital letters.
    currency: String,
    models: Vec<Listed>,
}

/// One model of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ListedModel)]
struct Listed {
    /// The word of whoever sells it.
    provider: String,
    /// As that provider names it.
    name: String,
    #[serde(default)]
    context_tokens: Option<u32>,
    #[serde(default)]
    max_output_tokens: Option<u32>,
    #[schema(value_type = RatesSchema)]
    rates: Rates,
}

impl From<&ListedModel> for Listed {
    fn from(model: &ListedModel) -> Self {
        let ListedModel { provider, name, context_tokens, max_output_tokens, rates } = model.clone();
        Self { provider, name, context_tokens, max_output_tokens, rates }
    }
}

impl From<List> for PriceList {
    fn from(List { source, url, licence, date, currency, models }: List) -> Self {
        let model = |Listed { provider, name, context_tokens, max_output_tokens, rates }| ListedModel {
            provider,
            name,
            context_tokens,
            max_output_tokens,
            rates,
        };
        Self { source, url, licence, date, currency, models: models.into_iter().map(model).collect() }
    }
}

/// The public price list that comes with this installation; its source, licence and date are part of it.
#[utoipa::path(get, path = "/api/v1/admin/prices", operation_id = "get_public_prices", tag = "admin",
    responses((status = 200, body = List), Problems), security(("bearer" = [])))]
pub(super) async fn public(_: Admin) -> Result<Json<List>, Problem> {
    let PriceList { source, url, licence, date, currency, models } = bundled()?.clone();
    let models = models.iter().map(Listed::from).collect();
    Ok(Json(List { source, url, licence, date, currency, models }))
}

fn bundled() -> Result<&'static PriceList, Problem> {
    PriceList::public().ok_or_else(|| Problem::bug("the price list that comes with the program cannot be read"))
}

/// What to take over of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ImportPrices {
    /// The one that comes with this installation where absent.
    #[serde(default)]
    list: Option<List>,
    /// All where absent.
    #[serde(default)]
    channels: Option<BTreeSet<Uuid>>,
    /// By their public names; all where absent.
    #[serde(default)]
    models: Option<BTreeSet<String>>,
    /// What users pay becomes so many times what is listed, as an exact decimal. Prices stay as they are where absent,
    /// and only what the provider charges us is taken over.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    factor: Option<Factor>,
    /// At once where absent or passed.
    #[serde(default)]
    from: Option<DateTime<Utc>>,
    /// Only shows what would become of it.
    #[serde(default)]
    dry_run: bool,
}

/// What an import came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImportedPrices {
    /// How the events name the list.
    source: String,
    models: Vec<ImportedPrice>,
    /// Models that the list does not know, or knows from several sellers: channel and public name.
    unknown: Vec<UnlistedModel>,
}

/// A model that was found in the list.
#[derive(Debug, Serialize, ToSchema)]
struct ImportedPrice {
    channel_id: Uuid,
    model: String,
    /// What the list says: what the provider charges us.
    #[schema(value_type = RatesSchema)]
    costs: Rates,
    /// What users will pay, if that changes.
    #[schema(value_type = Option<RatesSchema>)]
    prices: Option<Rates>,
}

/// A model that was not.
#[derive(Debug, Serialize, ToSchema)]
struct UnlistedModel {
    channel_id: Uuid,
    model: String,
}

/// Takes prices of a list over into channels: for each channel one change of its history, which names the list. A channel
/// that fails to take them is told by the error; those before it have them.
#[utoipa::path(post, path = "/api/v1/admin/prices/import", operation_id = "import_prices", tag = "admin",
    request_body = ImportPrices,
    responses((status = 200, body = ImportedPrices), Problems), security(("bearer" = [])))]
pub(super) async fn import(
    writer: Writer,
    State(reads): State<Reads>,
    State(LedgerCurrency(currency)): State<LedgerCurrency>,
    extract::Json(request): extract::Json<ImportPrices>,
) -> Result<Json<ImportedPrices>, Problem> {
    let ImportPrices { list, channels, models, factor, from, dry_run } = request;
    let own: Option<PriceList> = list.map(Into::into);
    let list = match &own {
        Some(list) => list,
        None => bundled()?,
    };
    check(list, currency)?;
    let at = Utc::now().trunc_subsecs(6);
    let mut imported = ImportedPrices { source: list.title(), models: vec![], unknown: vec![] };
    for channel in rows::channels(reads.pool(), at).await? {
        if channels.as_ref().is_some_and(|wanted| !wanted.contains(&channel.id)) {
            continue;
        }
        let found = find(&channel, list, models.as_ref(), factor, &mut imported.unknown)?;
        let price = |found: &ImportedPrice| NewPrice {
            model: found.model.clone(),
            prices: found.prices.clone(),
            costs: Some(found.costs.clone()),
            from: from.map(|from| from.trunc_subsecs(6)),
        };
        let prices: Vec<NewPrice> = found.iter().map(price).collect();
        if !dry_run && !prices.is_empty() {
            let command = ChannelCommand::SetPrices { prices, source: Some(list.title()), at };
            writer.apply(ChannelId::new(channel.id), command).await?;
        }
        imported.models.extend(found);
    }
    Ok(Json(imported))
}

fn check(list: &PriceList, currency: Currency) -> Result<(), Problem> {
    list.check().map_err(|error| Problem::field("list", "invalid_price", error.to_string()))?;
    if list.currency == currency.as_str() {
        return Ok(());
    }
    let detail =
        format!("the list is in {} and the ledger in {}; nothing is converted", list.currency, currency.as_str());
    Err(Problem::field("list/currency", "currency_mismatch", detail))
}

fn find(
    channel: &Channel,
    list: &PriceList,
    wanted: Option<&BTreeSet<String>>,
    factor: Option<Factor>,
    unknown: &mut Vec<UnlistedModel>,
) -> Result<Vec<ImportedPrice>, Problem> {
    let mut found = vec![];
    for model in channel.models.iter().filter(|model| wanted.is_none_or(|names| names.contains(&model.name))) {
        let (channel_id, name) = (channel.id, model.name.clone());
        let Some(listed) = list.of(channel.provider.0, &model.upstream) else {
            unknown.push(UnlistedModel { channel_id, model: name });
            continue;
        };
        let too_fine =
            || Problem::field("factor", "invalid_price", format!("the price of `{name}` would be out of range"));
        let prices = factor.map(|factor| listed.rates.scaled(factor).ok_or_else(too_fine)).transpose()?;
        found.push(ImportedPrice { channel_id, model: name, costs: listed.rates.clone(), prices });
    }
    Ok(found)
}
