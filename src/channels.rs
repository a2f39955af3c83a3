//! Channels as providers: from their rows to what can be asked, and the first ones of an installation.
//!
//! Promise: what an operator adds, changes or switches off counts on this node within a second, and at once where a model
//! is asked for that is not known yet; a provider whose address and keys stay the same keeps its connections. A channel
//! that cannot be set up is left out and named in the log; the others serve.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use domain::relay::{HeaderText, Overrides, ParameterOverride, ProviderKind, Routing, SealedKey};
use domain::{ChannelId, UserId};
use metering::{Catalogue, ChannelProvider, ChannelSource, Offer, PayerGroup};
use projections::relay::{self as rows, Channel, Secrets};
use relay::local::{Local, LocalConfig};
use relay::{AddressPolicy, KeyRef, Provider, ProviderConfig, ProviderKey, SecretString, Watched};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::Vault;

/// How often this node looks for changes.
const LOOK: Duration = Duration::from_secs(1);

/// What a provider was made of: as long as it is the same, so is the provider.
type Recipe = (Option<String>, Secrets);

/// What was made, and of what.
type Made = (Recipe, Arc<dyn Provider>);

/// The channels of this database as providers of this process.
pub(crate) struct Channels {
    pool: PgPool,
    vault: Vault,
    addresses: AddressPolicy,
    /// Absent where this machine has no kit.
    local: Option<Arc<dyn Provider>>,
    made: Mutex<HashMap<Uuid, Made>>,
}

impl Channels {
    /// `model_path` is the local model's file, if this machine has one.
    ///
    /// # Errors
    /// The system gives no threads for the local model.
    pub(crate) fn new(
        pool: PgPool,
        vault: Vault,
        addresses: AddressPolicy,
        model_path: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let local = match model_path {
            Some(path) => Some(Arc::new(Local::new(LocalConfig::new(path))?) as Arc<dyn Provider>),
            None => None,
        };
        Ok(Self { pool, vault, addresses, local, made: Mutex::default() })
    }

    async fn provider_for(&self, channel: &Channel) -> anyhow::Result<Arc<dyn Provider>> {
        if channel.provider.0 == ProviderKind::Local {
            return self.local.clone().context("this machine does not have the local model");
        }
        let recipe = (channel.base_url.clone(), rows::secrets(&self.pool, channel.id).await?);
        let known = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(&channel.id).cloned();
        if let Some((_, provider)) = known.filter(|(made_of, _)| *made_of == recipe) {
            return Ok(provider);
        }
        let provider = self.make(channel, &recipe)?;
        let made = (recipe, Arc::clone(&provider));
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.id, made);
        Ok(provider)
    }

    fn make(&self, channel: &Channel, (base_url, secrets): &Recipe) -> anyhow::Result<Arc<dyn Provider>> {
        let id = ChannelId::new(channel.id);
        let key = |key: &SealedKey| {
            let name = KeyRef::new(&key.name(id).to_string());
            anyhow::Ok(ProviderKey { name, secret: self.open(&SealedKey::context(id), key)?.into() })
        };
        let Overrides { parameters, headers, proxy } = &secrets.overrides;
        let header = |header: &domain::relay::HeaderOverride| {
            let text = match &header.value {
                HeaderText::Plain(text) => text.clone(),
                HeaderText::Sealed(text) => self.open(&SealedKey::header_context(id, &header.name), text)?,
            };
            anyhow::Ok((header.name.clone(), text))
        };
        let proxy = proxy.as_ref().map(|proxy| match &proxy.credentials {
            Some(whole) => self.open(&SealedKey::proxy_context(id), whole),
            None => Ok(proxy.url.clone()),
        });
        Ok(relay::provider(ProviderConfig {
            base_url: base_url.clone(),
            keys: secrets.keys.iter().map(key).collect::<anyhow::Result<_>>()?,
            headers: headers.iter().map(header).collect::<anyhow::Result<_>>()?,
            parameters: parameters.iter().cloned().map(parameter).collect(),
            proxy: proxy.transpose()?.map(SecretString::from),
            address_policy: self.addresses,
            ..ProviderConfig::new(channel.provider.0.as_str())
        })?)
    }

    fn open(&self, context: &str, key: &SealedKey) -> anyhow::Result<String> {
        let bytes = STANDARD.decode(&key.sealed).context("a stored secret is no base64")?;
        let open = self.vault.open_bytes(context, &bytes)?;
        String::from_utf8(open).context("a stored secret is no text")
    }
}

fn parameter(change: ParameterOverride) -> relay::ParameterOverride {
    match change {
        ParameterOverride::Set { path, value } => relay::ParameterOverride::Set { path, value },
        ParameterOverride::Default { path, value } => relay::ParameterOverride::Default { path, value },
        ParameterOverride::Remove { path } => relay::ParameterOverride::Remove { path },
        ParameterOverride::Rename { from, to } => relay::ParameterOverride::Rename { from, to },
    }
}

#[async_trait]
impl ChannelSource for Channels {
    async fn load(&self) -> anyhow::Result<Vec<Arc<Offer>>> {
        let mut channels: Vec<Channel> =
            rows::channels(&self.pool, Utc::now()).await?.into_iter().filter(|channel| channel.enabled).collect();
        // They come by preference and age; the demonstration model answers only where nothing better is asked for.
        channels.sort_by_key(|channel| channel.provider.0 == ProviderKind::Local);
        let mut offers = vec![];
        for channel in channels {
            match self.provider_for(&channel).await {
                Ok(provider) => offers.extend(offers_of(&channel, &watched(&channel, provider))),
                Err(error) => tracing::warn!(channel = channel.name, "a channel is left out: {error:#}"),
            }
        }
        Ok(offers)
    }

    async fn provider(&self, channel: ChannelId) -> anyhow::Result<Option<ChannelProvider>> {
        let Some(channel) = rows::channel(&self.pool, channel.uuid(), Utc::now()).await? else { return Ok(None) };
        let provider = watched(&channel, self.provider_for(&channel).await?);
        let models = channel.models.into_iter().map(|model| (model.name, model.upstream)).collect();
        Ok(Some(ChannelProvider { provider, models }))
    }

    async fn group_of(&self, user: UserId) -> anyhow::Result<PayerGroup> {
        let rows::GroupOf { name, factor } = rows::group_of(&self.pool, user.uuid()).await?;
        Ok(PayerGroup { name: name.into(), factor })
    }
}

/// What is asked through it is counted under the channel's name of today.
fn watched(channel: &Channel, provider: Arc<dyn Provider>) -> Arc<dyn Provider> {
    Arc::new(Watched::new(provider, channel.name.clone()))
}

fn offers_of<'c>(channel: &'c Channel, provider: &Arc<dyn Provider>) -> impl Iterator<Item = Arc<Offer>> + 'c {
    let provider = Arc::clone(provider);
    let Channel { priority, weight, limits, drain, probe, .. } = *channel;
    let (groups, public_name) = (channel.groups.clone(), channel.public_name.clone());
    let routing = Arc::new(Routing { priority, weight, groups, limits, drain, public_name, probe });
    channel.models.iter().map(move |model| {
        Arc::new(Offer {
            model: model.name.clone(),
            upstream: model.upstream.clone(),
            channel_id: ChannelId::new(channel.id),
            channel: channel.name.clone(),
            kind: channel.provider.0,
            provider: Arc::clone(&provider),
            demonstration: channel.provider.0 == ProviderKind::Local,
            context_tokens: model.context_tokens,
            max_output_tokens: model.max_output_tokens,
            prices: model.prices.clone(),
            costs: model.costs.clone(),
            price_version: model.price_version,
            routing: Arc::clone(&routing),
            traits: Arc::new(model.traits.clone()),
            created_at: channel.created_at,
        })
    })
}

/// Takes changes of channels over into `catalogue`, and prices when they begin, until `cancel`.
///
/// # Errors
/// None: a database that is away is waited out.
pub(crate) async fn follow(pool: PgPool, catalogue: Catalogue, cancel: CancellationToken) -> anyhow::Result<()> {
    let (mut seen, mut next_price) = (None, None);
    while !cancel.is_cancelled() {
        let at = Utc::now();
        let now = rows::version(&pool).await;
        let begins = next_price.is_some_and(|next: DateTime<Utc>| next <= at);
        let changed = now.as_ref().is_ok_and(|version| begins || seen != Some(*version));
        if changed {
            match reload(&pool, &catalogue, at).await {
                Ok(next) => (seen, next_price) = (now.ok(), next),
                Err(error) => tracing::warn!("the channels cannot be read now: {error:#}"),
            }
        }
        cancel.run_until_cancelled(tokio::time::sleep(LOOK)).await;
    }
    Ok(())
}

/// When the next price begins.
async fn reload(pool: &PgPool, catalogue: &Catalogue, at: DateTime<Utc>) -> anyhow::Result<Option<DateTime<Utc>>> {
    catalogue.reload().await?;
    Ok(rows::next_price(pool, at).await?)
}
