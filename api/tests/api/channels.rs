//! What can be asked in a test's house: the mock provider's two models, and the channels that operators add.

use std::sync::Arc;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chrono::Utc;
use domain::{
    ChannelId, UserId,
    billing::Rates,
    relay::{ProviderKind, Routing},
};
use metering::{ChannelProvider, ChannelSource, Offer, PayerGroup};
use projections::relay::{self as rows, Channel};
use relay::{KeyRef, Provider, ProviderConfig, ProviderKey, SecretString};
use sqlx::PgPool;
use uuid::Uuid;
use vault::Vault;

/// Per million tokens: what the mock provider's models cost users, and us.
pub(crate) const PRICES: (&str, &str) = ("2.50", "10");
pub(crate) const COSTS: (&str, &str) = ("1", "4");

/// Reads channels as the executable does.
pub(crate) struct TestChannels {
    built_in: Vec<Arc<Offer>>,
    pool: PgPool,
    vault: Vault,
}

impl TestChannels {
    pub(crate) fn new(provider_url: &str, pool: PgPool, vault: Vault) -> Self {
        let provider = account(provider_url, None);
        let offer = |model: String| {
            Arc::new(Offer {
                upstream: model.clone(),
                model,
                channel_id: ChannelId::new(Uuid::nil()),
                channel: "built in".to_owned(),
                kind: ProviderKind::Openai,
                provider: Arc::clone(&provider),
                demonstration: false,
                context_tokens: None,
                max_output_tokens: Some(1000),
                prices: rates(PRICES),
                costs: rates(COSTS),
                price_version: 1,
                routing: Arc::default(),
                traits: Arc::default(),
                created_at: Utc::now(),
            })
        };
        Self { built_in: ["mock-1", "mock-2"].map(str::to_owned).map(offer).to_vec(), pool, vault }
    }

    async fn provider_for(&self, channel: &Channel) -> anyhow::Result<Arc<dyn Provider>> {
        let mut key = None;
        for sealed in rows::secrets(&self.pool, channel.id).await?.keys {
            let open = self.vault.open_bytes(&format!("channel:{}", channel.id), &STANDARD.decode(sealed.sealed)?)?;
            key = Some(SecretString::from(String::from_utf8(open)?));
        }
        Ok(account(channel.base_url.as_deref().unwrap_or_default(), key))
    }
}

fn account(base_url: &str, api_key: Option<SecretString>) -> Arc<dyn Provider> {
    let key = |secret| ProviderKey { name: KeyRef::new("test"), secret };
    let keys = api_key.map(key).into_iter().collect();
    relay::provider(ProviderConfig { base_url: Some(base_url.to_owned()), keys, ..ProviderConfig::new("openai") })
        .unwrap()
}

fn rates((input, output): (&str, &str)) -> Rates {
    Rates { input: input.parse().unwrap(), output: output.parse().unwrap(), ..Rates::default() }
}

#[async_trait]
impl ChannelSource for TestChannels {
    async fn group_of(&self, user: UserId) -> anyhow::Result<PayerGroup> {
        let rows::GroupOf { name, factor } = rows::group_of(&self.pool, user.uuid()).await?;
        Ok(PayerGroup { name: name.into(), factor })
    }

    async fn load(&self) -> anyhow::Result<Vec<Arc<Offer>>> {
        let mut offers = self.built_in.clone();
        for channel in rows::channels(&self.pool, Utc::now()).await?.into_iter().filter(|channel| channel.enabled) {
            let provider = self.provider_for(&channel).await?;
            let rows::Channel { priority, weight, limits, drain, probe, .. } = channel;
            let (groups, public_name) = (channel.groups.clone(), channel.public_name.clone());
            let routing = Arc::new(Routing { priority, weight, groups, limits, drain, public_name, probe });
            offers.extend(channel.models.iter().map(|model| {
                Arc::new(Offer {
                    model: model.name.clone(),
                    upstream: model.upstream.clone(),
                    channel_id: ChannelId::new(channel.id),
                    channel: channel.name.clone(),
                    kind: ProviderKind::Openai,
                    provider: Arc::clone(&provider),
                    demonstration: false,
                    context_tokens: model.context_tokens,
                    max_output_tokens: model.max_output_tokens,
                    prices: model.prices.clone(),
                    costs: model.costs.clone(),
                    price_version: model.price_version,
                    routing: Arc::clone(&routing),
                    traits: Arc::default(),
                    created_at: channel.created_at,
                })
            }));
        }
        Ok(offers)
    }

    async fn provider(&self, channel: ChannelId) -> anyhow::Result<Option<ChannelProvider>> {
        let Some(channel) = rows::channel(&self.pool, channel.uuid(), Utc::now()).await? else { return Ok(None) };
        let provider = self.provider_for(&channel).await?;
        let models = channel.models.into_iter().map(|model| (model.name, model.upstream)).collect();
        Ok(Some(ChannelProvider { provider, models }))
    }
}
