//! What the roles of one process share: connections, keys, models.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use domain::billing::ExpiryPolicy;
use handlers::COMMITTER_CONNECTIONS;
use metering::{Bounds, Catalogue, Meter, MeterOptions};
use relay::AddressPolicy;
use routing::Router;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use vault::Vault;

use crate::channels::Channels;
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
        let work = (connections - connections / 3).saturating_sub(COMMITTER_CONNECTIONS).max(1);
        let pool = connect::postgres(database_url, work).await?;
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

    /// Holds credit for calls from this process.
    pub(crate) fn meter(&self, config: &Config) -> Meter {
        let bounds =
            Bounds { min_output_tokens: config.min_output_tokens, default_output_tokens: config.default_output_tokens };
        let hold_life = Duration::from_secs(u64::from(config.hold_seconds));
        let charges_expired = config.expired_holds == ExpiryPolicy::Charge;
        let options = MeterOptions { bounds, hold_life, charges_expired, ..MeterOptions::default() };
        Meter::new(self.commands(config), options)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
        self.read_pool.close().await;
    }
}

/// The channels as models that can be asked, and whether the local model is among them. Empty until its first reload.
///
/// # Errors
/// The local model gets no threads.
pub(crate) async fn catalogue(config: &Config, node: &Node) -> anyhow::Result<(Catalogue, bool)> {
    let model_path = match prepare_model(&config.data_dir).await {
        Ok(path) => Some(path),
        Err(error) => {
            tracing::info!("the local model is not offered: {error:#}");
            None
        }
    };
    let has_local_model = model_path.is_some();
    let addresses = AddressPolicy { allow_link_local: config.allow_link_local };
    let channels = Channels::new(node.pool.clone(), node.vault.clone(), addresses, model_path)?;
    let router = Router::new(crate::routing::options(config));
    Ok((Catalogue::new(Arc::new(channels)).routed_by(router), has_local_model))
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
