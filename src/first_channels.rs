//! The channels that an installation begins with: what `OPENAI_*` names, and the local model.
//!
//! Each is made once, at the first start that can, and is the operators' from then on: what is changed or removed on the
//! page stays so, whatever the environment says later.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use domain::billing::Rates;
use domain::relay::{Channel, ChannelCommand, ModelSpec, ModelTraits, ProviderKind, SealedKey};
use domain::{ChannelId, Decider as _};
use nats::{CommandMessage, Outcome, Sent};
use relay::local;
use relay::{AddressPolicy, KeyRef, ProviderConfig, ProviderKey, SecretString, check_base_url};
use uuid::Uuid;

use crate::config::Config;
use crate::node::Node;

/// Fixed, so that of all processes of an installation only one makes each.
const ENVIRONMENT: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_6f70_656e_6169);
const LOCAL: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_006c_6f63_616c);
const OPENAI: &str = "https://api.openai.com/v1";
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes the channels that are missing; handlers must be running. A server that is down is tried again at the next start.
///
/// # Errors
/// The bus or the database is away.
pub(crate) async fn ensure(config: &Config, node: &Node, has_local_model: bool) -> anyhow::Result<()> {
    let configured = config.openai_api_key.is_some() || config.openai_base_url.is_some();
    if configured && !exists(node, ENVIRONMENT).await? {
        match environment(config, node).await {
            Ok(command) => add(config, node, ENVIRONMENT, command).await?,
            Err(error) => tracing::warn!("the OpenAI-compatible server is not offered: {error:#}"),
        }
    }
    if has_local_model && !exists(node, LOCAL).await? {
        add(config, node, LOCAL, the_local_model(config.local_prices.0.clone())).await?;
    }
    Ok(())
}

async fn exists(node: &Node, id: Uuid) -> anyhow::Result<bool> {
    let exists =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM events WHERE aggregate_type = $1 AND aggregate_id = $2)")
            .bind(Channel::TYPE)
            .bind(id.to_string())
            .fetch_one(&node.pool)
            .await?;
    Ok(exists)
}

async fn environment(config: &Config, node: &Node) -> anyhow::Result<ChannelCommand> {
    let addresses = AddressPolicy { allow_link_local: config.allow_link_local };
    let base_url = config.openai_base_url.clone().unwrap_or_else(|| OPENAI.to_owned());
    let base_url = check_base_url(&base_url, addresses).context("OPENAI_BASE_URL cannot be used")?.to_string();
    let key = config.openai_api_key.as_ref().map(|key| key.expose().to_owned());
    let mut names = config.openai_models.clone();
    if names.is_empty() {
        let secret = key.clone().map(SecretString::from);
        let account = ProviderConfig {
            base_url: Some(base_url.clone()),
            keys: secret.map(|secret| ProviderKey { name: KeyRef::new("first"), secret }).into_iter().collect(),
            address_policy: addresses,
            ..ProviderConfig::new(ProviderKind::Openai.as_str())
        };
        names = relay::provider(account)?
            .list_models()
            .await
            .context("OPENAI_MODELS is not set and the server does not list its models")?;
    }
    let prices: BTreeMap<String, Rates> =
        names.iter().map(|name| (name.clone(), config.openai_prices.0.clone())).collect();
    let keys = key.map(|key| sealed(node, &key)).transpose()?.into_iter().collect();
    Ok(ChannelCommand::AddChannel {
        name: "OpenAI".to_owned(),
        provider: ProviderKind::Openai,
        base_url: Some(base_url),
        keys,
        models: names.into_iter().map(|name| spec(&name, None, None)).collect(),
        costs: prices.clone(),
        prices,
        enabled: true,
        more: Box::default(),
        at: Utc::now(),
    })
}

fn sealed(node: &Node, key: &str) -> anyhow::Result<SealedKey> {
    let bytes = node.vault.seal_bytes(&SealedKey::context(ChannelId::new(ENVIRONMENT)), key.as_bytes())?;
    Ok(SealedKey { hint: SealedKey::hint_of(key), sealed: STANDARD.encode(bytes) })
}

fn the_local_model(prices: Rates) -> ChannelCommand {
    let bounds = local::LocalConfig::new(std::path::PathBuf::new());
    let context_tokens = u32::try_from(bounds.context_tokens).ok();
    ChannelCommand::AddChannel {
        name: "Local model".to_owned(),
        provider: ProviderKind::Local,
        base_url: None,
        keys: vec![],
        models: vec![spec(local::MODEL_ID, context_tokens, Some(bounds.max_output_tokens))],
        prices: BTreeMap::from([(local::MODEL_ID.to_owned(), prices)]),
        // The electricity is the operator's.
        costs: BTreeMap::new(),
        enabled: true,
        more: Box::default(),
        at: Utc::now(),
    }
}

fn spec(name: &str, context_tokens: Option<u32>, max_output_tokens: Option<u32>) -> ModelSpec {
    let (name, upstream) = (name.to_owned(), name.to_owned());
    ModelSpec { name, upstream, context_tokens, max_output_tokens, traits: ModelTraits::default() }
}

async fn add(config: &Config, node: &Node, id: Uuid, command: ChannelCommand) -> anyhow::Result<()> {
    let message = CommandMessage::new(
        (Channel::CAPABILITY, Channel::TYPE, "add_channel"),
        id,
        "operator",
        serde_json::to_value(command)?,
    );
    match node.commands(config).send(message, PATIENCE).await? {
        Sent::Outcome(Outcome::Done { .. }) => Ok(()),
        Sent::Outcome(Outcome::Refused { code, .. }) if code == "channel_already_added" => Ok(()),
        Sent::Outcome(Outcome::Refused { message, .. }) => {
            tracing::warn!("the first channel cannot be made: {message}");
            Ok(())
        }
        other => bail!("the first channel cannot be made now: {other:?}"),
    }
}
