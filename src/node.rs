//! What the roles of one process share: connections, keys, models.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use relay::local::{Local, LocalConfig};
use relay::openai::{Limits, OpenAi, OpenAiConfig, SecretString};
use relay::{Catalogue, Provider};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use vault::Vault;

use crate::config::Config;
use crate::embedded::Kit;
use crate::secret::Secret;
use crate::{connect, master_key};

/// Where models are kept, under the data directory.
const MODELS: &str = "models";
/// A read waits this long for a database that is away, then says so.
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// Connections and keys of one process.
#[derive(Clone)]
pub(crate) struct Node {
    /// For work that may wait: commands, projections, jobs.
    pub(crate) pool: PgPool,
    /// For reads that a person waits for.
    pub(crate) read_pool: PgPool,
    pub(crate) nats: async_nats::Client,
    pub(crate) vault: Vault,
}

impl Node {
    /// Connects, brings the schema up to date if `migrate`, and opens the vault.
    ///
    /// # Errors
    /// A server does not answer, the schema does not apply, or the master secret is not this database's.
    pub(crate) async fn connect(
        config: &Config,
        database_url: &Secret,
        nats_url: &Secret,
        migrate: bool,
    ) -> anyhow::Result<Self> {
        let connections = config.database_connections;
        let pool = connect::postgres(database_url, connections - connections / 3).await?;
        if migrate {
            migrations::run(&pool).await.context("the migrations do not apply")?;
        }
        let read_pool = PgPoolOptions::new()
            .max_connections(connections / 3)
            .acquire_timeout(READ_PATIENCE)
            .connect_lazy_with((*pool.connect_options()).clone());
        let nats = connect::nats(nats_url).await?;
        let vault = Vault::open(pool.clone(), master_key::load(config)?).await?;
        Ok(Self { pool, read_pool, nats, vault })
    }

    /// Sends commands from this process.
    pub(crate) fn commands(&self, config: &Config) -> nats::CommandClient {
        let options = nats::CommandOptions { partitions: config.partitions, ..nats::CommandOptions::default() };
        nats::CommandClient::new(self.nats.clone(), self.pool.clone(), options)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
        self.read_pool.close().await;
    }
}

/// Every model that can be asked: a configured OpenAI-compatible server first, the local model last.
///
/// # Errors
/// There is no model at all.
pub(crate) async fn catalogue(config: &Config) -> anyhow::Result<Catalogue> {
    let mut providers: Vec<Arc<dyn Provider>> = vec![];
    match openai(config).await {
        Ok(Some(openai)) => providers.push(Arc::new(openai)),
        Ok(None) => {}
        // A model server that is down must not keep the house closed while another model can answer.
        Err(error) => tracing::warn!("the OpenAI-compatible server is not offered: {error:#}"),
    }
    match prepare_model(&config.data_dir).await {
        Ok(path) => providers.push(Arc::new(Local::new(LocalConfig::new(path))?)),
        Err(error) if providers.is_empty() => {
            return Err(error.context("there is no model to chat with: fetch the kit, or set OPENAI_API_KEY"));
        }
        Err(error) => tracing::info!("the local model is not offered: {error:#}"),
    }
    Ok(Catalogue::new(providers))
}

/// The local model in its fast form, made now if need be.
///
/// # Errors
/// There is no kit, or the file cannot be made.
pub(crate) async fn prepare_model(data_dir: &Path) -> anyhow::Result<PathBuf> {
    let models = data_dir.join(MODELS);
    let prepare = move || anyhow::Ok(relay::local::prepare(&Kit::find()?.chat_model, &models)?);
    tokio::task::spawn_blocking(prepare).await?
}

async fn openai(config: &Config) -> anyhow::Result<Option<OpenAi>> {
    if config.openai_api_key.is_none() && config.openai_base_url.is_none() {
        return Ok(None);
    }
    let mut account = OpenAiConfig {
        base_url: config.openai_base_url.clone().unwrap_or_else(|| "https://api.openai.com/v1".to_owned()),
        api_key: config.openai_api_key.as_ref().map(|key| SecretString::from(key.expose().to_owned())),
        models: config.openai_models.clone(),
        limits: Limits::default(),
        address_policy: relay::AddressPolicy::default(),
    };
    if account.models.is_empty() {
        account.models = OpenAi::new(account.clone())?
            .list_models()
            .await
            .context("OPENAI_MODELS is not set and the server does not list its models")?;
    }
    Ok(Some(OpenAi::new(account)?))
}
