//! The databases, servers and processes of the comparison.

use std::sync::Arc;
use std::time::Duration;

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

/// What `oblivious` opens by default for work that may wait, beside the two of its committer.
pub(crate) const OUR_CONNECTIONS: u32 = 25;
/// As `oblivious` does.
pub(crate) const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// The table that all write into, each way on wallets of its own.
pub(crate) struct House {
    database: TestDatabase,
    nats: TestNats,
    master: MasterKey,
}

/// Wallets with as many events before, a set for each way of writing.
pub(crate) struct Sets {
    pub(crate) stock: Arc<Wallets>,
    /// Nobody reads them, so only their places are what they would be.
    pub(crate) raw: Arc<Wallets>,
    pub(crate) ours: Arc<Wallets>,
}

impl Sets {
    pub(crate) fn new(many: usize, prior: u32) -> Self {
        let set = || Arc::new(Wallets::new(many, prior));
        Self { stock: set(), raw: set(), ours: set() }
    }
}

/// Somebody who takes turns, and where.
pub(crate) struct Entrant {
    pub(crate) contestant: Arc<dyn Contestant>,
    pub(crate) wallets: Arc<Wallets>,
}

impl House {
    /// Seeds all wallets.
    ///
    /// # Errors
    /// The server is away.
    pub(crate) async fn open(sets: &[Sets]) -> anyhow::Result<Self> {
        let (database, nats) = tokio::join!(testkit::database(), testkit::nats());
        for set in sets {
            set.stock.seed(&database.pool).await?;
            set.ours.seed(&database.pool).await?;
        }
        // What a server that has been running for a while has done already.
        sqlx::query("VACUUM (FREEZE, ANALYZE) events").execute(&database.pool).await?;
        Ok(Self { database, nats, master: MasterKey::generate()? })
    }

    /// Everybody for one set of wallets, with cold caches, in the order in which they take turns.
    ///
    /// # Errors
    /// A server is away.
    pub(crate) async fn entrants(
        &self,
        sets: &Sets,
        baseline_connections: u32,
    ) -> anyhow::Result<(Vec<Entrant>, Process)> {
        let baseline = async || {
            // A connection is asked whether it lives before it is used, unless told not to: here nobody dies.
            let pool = pool(baseline_connections).test_before_acquire(false);
            anyhow::Ok(pool.connect_with(options(&self.database)?).await?)
        };
        let process = Process::start(&self.database, &self.nats, &self.master).await?;
        let rows = Rows::new(baseline().await?, &sets.raw)?;
        let entrant = |contestant, wallets: &Arc<Wallets>| Entrant { contestant, wallets: Arc::clone(wallets) };
        let entrants = vec![
            entrant(Arc::new(Stock::new(baseline().await?)), &sets.stock),
            entrant(Arc::new(Single(rows.clone())), &sets.raw),
            entrant(Arc::new(Grouped::new(&rows)), &sets.raw),
            entrant(Arc::new(Direct::new(process.bus.clone())), &sets.ours),
            entrant(Arc::new(Queued { client: process.client.clone() }), &sets.ours),
        ];
        Ok((entrants, process))
    }

    /// How many events of these wallets are stored.
    ///
    /// # Errors
    /// The server is away.
    pub(crate) async fn stored(&self, wallets: &Wallets) -> anyhow::Result<u64> {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM events WHERE aggregate_type = $1 AND aggregate_id = ANY ($2)")
                .bind(Wallet::TYPE)
                .bind(wallets.ids())
                .fetch_one(&self.database.pool)
                .await?;
        Ok(u64::try_from(count)?)
    }
}

/// All connections are opened at once: signing in is not measured. Who waits for one in a long row is not turned away.
fn pool(connections: u32) -> PgPoolOptions {
    let patience = Duration::from_secs(120);
    PgPoolOptions::new().max_connections(connections).min_connections(connections).acquire_timeout(patience)
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
