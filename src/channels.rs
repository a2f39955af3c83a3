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
use domain::ChannelId;
use domain::relay::{ProviderKind, SealedKey};
use metering::{Catalogue, ChannelProvider, ChannelSource, Offer};
use projections::relay::{self as rows, Channel};
use relay::local::{Local, LocalConfig};
use relay::{AddressPolicy, KeyRef, Provider, ProviderConfig, ProviderKey, SecretString, Watched};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::Vault;

/// How often this node looks for changes.
const LOOK: Duration = Duration::from_secs(1);

/// What a provider was made of: as long as it is the same, so is the provider.
type Recipe = (Option<String>, Vec<String>);

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
        let sealed = rows::sealed_keys(&self.pool, channel.id).await?;
        let recipe = (channel.base_url.clone(), sealed);
        let known = self.made.lock().unwrap_or_else(PoisonError::into_inner).get(&channel.id).cloned();
        if let Some((_, provider)) = known.filter(|(made_of, _)| *made_of == recipe) {
            return Ok(provider);
        }
        let provider = self.make(channel, &recipe)?;
        let made = (recipe, Arc::clone(&provider));
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.id, made);
        Ok(provider)
    }

    fn make(&self, channel: &Channel, (base_url, sealed): &Recipe) -> anyhow::Result<Arc<dyn Provider>> {
        let mut keys = vec![];
        for key in sealed {
            let bytes = STANDARD.decode(key).context("a stored key is no base64")?;
            let open = self.vault.open_bytes(&SealedKey::context(ChannelId::new(channel.id)), &bytes)?;
            let secret = SecretString::from(String::from_utf8(open).context("a stored key is no text")?);
            keys.push(ProviderKey { name: key_name(key), secret });
        }
        Ok(relay::provider(ProviderConfig {
            base_url: base_url.clone(),
            keys,
            address_policy: self.addresses,
            ..ProviderConfig::new(ProviderKind::Openai.as_str())
        })?)
    }
}

#[async_trait]
impl ChannelSource for Channels {
    async fn load(&self) -> anyhow::Result<Vec<Arc<Offer>>> {
        let mut channels: Vec<Channel> =
            rows::channels(&self.pool).await?.into_iter().filter(|channel| channel.enabled).collect();
        // They come by age; the demonstration model answers only where nothing better is asked for.
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
        let Some(channel) = rows::channel(&self.pool, channel.uuid()).await? else { return Ok(None) };
        let provider = watched(&channel, self.provider_for(&channel).await?);
        let models = channel.models.into_iter().map(|model| (model.name, model.upstream)).collect();
        Ok(Some(ChannelProvider { provider, models }))
    }
}

/// A key's name in health and metrics: what it is sealed to is new for every key that somebody enters, and tells nothing
/// about it.
fn key_name(sealed: &str) -> KeyRef {
    let digest = Sha256::digest(sealed);
    KeyRef::new(&hex::encode(digest.get(..8).unwrap_or_default()))
}

/// What is asked through it is counted under the channel's name of today.
fn watched(channel: &Channel, provider: Arc<dyn Provider>) -> Arc<dyn Provider> {
    Arc::new(Watched::new(provider, channel.name.clone()))
}

fn offers_of<'c>(channel: &'c Channel, provider: &Arc<dyn Provider>) -> impl Iterator<Item = Arc<Offer>> + 'c {
    let provider = Arc::clone(provider);
    let is_local = channel.provider.0 == ProviderKind::Local;
    channel.models.iter().map(move |model| {
        Arc::new(Offer {
            model: model.name.clone(),
            upstream: model.upstream.clone(),
            channel_id: ChannelId::new(channel.id),
            channel: channel.name.clone(),
            kind: channel.provider.0,
            provider: Arc::clone(&provider),
            demonstration: is_local,
            context_tokens: model.context_tokens,
            max_output_tokens: model.max_output_tokens,
            prices: model.prices.clone(),
            costs: model.costs.clone(),
            price_version: model.price_version,
            routing: Arc::default(),
            traits: Arc::default(),
            created_at: channel.created_at,
        })
    })
}

/// Takes changes of channels over into `catalogue` until `cancel`.
///
/// # Errors
/// None: a database that is away is waited out.
pub(crate) async fn follow(pool: PgPool, catalogue: Catalogue, cancel: CancellationToken) -> anyhow::Result<()> {
    let mut seen = None;
    while !cancel.is_cancelled() {
        let now = rows::version(&pool).await;
        let changed = now.as_ref().is_ok_and(|version| seen != Some(*version));
        if changed {
            match catalogue.reload().await {
                Ok(()) => seen = now.ok(),
                Err(error) => tracing::warn!("the channels cannot be read now: {error:#}"),
            }
        }
        cancel.run_until_cancelled(tokio::time::sleep(LOOK)).await;
    }
    Ok(())
}
