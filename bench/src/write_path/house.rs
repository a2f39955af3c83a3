//! The databases, servers and processes of the comparison.

use std::sync::Arc;

use domain::Decider as _;
use domain::billing::Wallet;
use handlers::cache::AggregateCache;
use handlers::dead_letters::DeadLetters;
use handlers::store::PgEventStore;
use handlers::{Bus, Dispatcher};
use nats::{CommandClient, CommandOptions, ConsumerOptions};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use testkit::{TestDatabase, TestNats};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vault::{MasterKey, Vault};

use super::contestant::{Contestant, Direct, Grouped, Queued, Rows, Single, Stock};
use super::wallets::Wallets;

/// What `oblivious` opens by default for work that may wait.
pub(crate) const OUR_CONNECTIONS: u32 = 27;
/// As `oblivious` does.
pub(crate) const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// One copy of the same wallets for each way of writing; ours share one.
pub(crate) struct House {
    stock: TestDatabase,
    raw: TestDatabase,
    ours: TestDatabase,
    nats: TestNats,
    master: MasterKey,
}

impl House {
    /// Seeds all wallets once and copies the database.
    ///
    /// # Errors
    /// The server is away.
    pub(crate) async fn open(wallets: &[Arc<Wallets>]) -> anyhow::Result<Self> {
        let (ours, nats) = tokio::join!(testkit::database(), testkit::nats());
        for wallets in wallets {
            wallets.seed(&ours.pool).await?;
        }
        // What a server that has been running for a while has done already.
        sqlx::query("VACUUM (FREEZE, ANALYZE) events").execute(&ours.pool).await?;
        let (stock, raw) = (ours.copy().await, ours.copy().await);
        Ok(Self { stock, raw, ours, nats, master: MasterKey::generate()? })
    }

    /// The contestants for one set of wallets, with cold caches, in the order in which they take turns.
    ///
    /// # Errors
    /// A server is away.
    pub(crate) async fn contestants(
        &self,
        wallets: &Wallets,
        baseline_connections: u32,
    ) -> anyhow::Result<(Vec<Arc<dyn Contestant>>, Process)> {
        let baseline = async |database: &TestDatabase| {
            // A connection is asked whether it lives before it is used, unless told not to: here nobody dies.
            let pool = pool(baseline_connections).test_before_acquire(false);
            anyhow::Ok(pool.connect_with(options(database)?).await?)
        };
        let rows = Rows::new(baseline(&self.raw).await?, wallets)?;
        let process = Process::start(&self.ours, &self.nats, &self.master).await?;
        let contestants: Vec<Arc<dyn Contestant>> = vec![
            Arc::new(Stock::new(baseline(&self.stock).await?)),
            Arc::new(Single(rows.clone())),
            Arc::new(Grouped::new(&rows)),
            Arc::new(Direct::new(process.bus.clone())),
            Arc::new(Queued { client: process.client.clone() }),
        ];
        Ok((contestants, process))
    }

    /// How many events each database holds of these wallets: stock, raw, ours.
    ///
    /// # Errors
    /// The server is away.
    pub(crate) async fn stored(&self) -> anyhow::Result<[u64; 3]> {
        let count = async |database: &TestDatabase| {
            let pool = pool(1).connect_with(options(database)?).await?;
            let count: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE aggregate_type = $1")
                .bind(Wallet::TYPE)
                .fetch_one(&pool)
                .await?;
            anyhow::Ok(u64::try_from(count)?)
        };
        Ok([count(&self.stock).await?, count(&self.raw).await?, count(&self.ours).await?])
    }
}

/// All connections are opened at once: signing in is not measured.
fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(connections).min_connections(connections)
}

fn options(database: &TestDatabase) -> anyhow::Result<PgConnectOptions> {
    // As `oblivious` connects, whatever the server's default is.
    let options: PgConnectOptions = database.url.parse()?;
    Ok(options.options([("synchronous_commit", "on"), ("idle_in_transaction_session_timeout", "60s")]))
}

/// One process of the product, as far as commands go.
pub(crate) struct Process {
    pub(crate) pool: PgPool,
    pub(crate) vault: Vault,
    pub(crate) bus: Bus,
    pub(crate) client: CommandClient,
    cancel: CancellationToken,
    consuming: JoinHandle<anyhow::Result<()>>,
}

impl Process {
    /// Starts with cold caches.
    ///
    /// # Errors
    /// A server is away.
    pub(crate) async fn start(database: &TestDatabase, nats: &TestNats, master: &MasterKey) -> anyhow::Result<Self> {
        let pool = pool(OUR_CONNECTIONS).connect_with(options(database)?).await?;
        let vault = Vault::open(pool.clone(), master.clone()).await?;
        let store = PgEventStore::new(pool.clone(), vault.clone());
        let bus = Bus::new(store, AggregateCache::new(CACHE_BYTES), nats.client.clone());
        let letters = DeadLetters::new(pool.clone(), vault.clone());
        let dispatcher = Arc::new(Dispatcher::new(bus.clone(), handlers::plans(), letters));
        let (cancel, options) = (CancellationToken::new(), ConsumerOptions::default());
        let consuming = tokio::spawn(nats::run_commands(nats.client.clone(), dispatcher, options, cancel.clone()));
        let client = CommandClient::new(nats.client.clone(), pool.clone(), CommandOptions::default());
        Ok(Self { pool, vault, bus, client, cancel, consuming })
    }

    /// Ends it in order, so that its successor gets all partitions at once.
    ///
    /// # Errors
    /// It had failed.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.cancel.cancel();
        self.consuming.await?
    }
}
