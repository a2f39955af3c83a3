//! Who competes, and how each of them makes an order a committed event.
//!
//! All write the same table shape with the same indexes on the same server, with the payloads and metadata of the
//! product. Stock and ours read and decide; the raw inserts do not, so they bound what any store can reach that commits
//! in their way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use cqrs_es::AggregateError;
use domain::billing::{Wallet, WalletCommand};
use domain::{Decided, Decider as _};
use handlers::dispatch::One;
use handlers::{Bus, BusError};
use nats::{CommandClient, CommandMessage, Outcome, Sent};
use postgres_es::{PostgresCqrs, postgres_cqrs};
use sqlx::PgPool;
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use super::wallets::{self, Order, Places, Stored, Wallets};

/// A way from an order to a committed event.
#[async_trait]
pub(crate) trait Contestant: Send + Sync {
    fn name(&self) -> &'static str;

    /// Returns once the order's event is committed. False: it was not by `until`, and is given up.
    ///
    /// # Errors
    /// Anything but a conflict, which is tried again.
    async fn execute(&self, wallets: &Wallets, order: Order, until: Instant) -> anyhow::Result<bool>;

    /// How often somebody else was first.
    fn conflicts(&self) -> u64 {
        0
    }
}

/// postgres-es as it comes: reads all events, decides, inserts; a conflict is tried again at once.
pub(crate) struct Stock {
    framework: PostgresCqrs<Decided<Wallet>>,
    conflicts: AtomicU64,
}

impl Stock {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { framework: postgres_cqrs(pool, vec![], ()), conflicts: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Contestant for Stock {
    fn name(&self) -> &'static str {
        "stock postgres-es"
    }

    async fn execute(&self, wallets: &Wallets, order: Order, until: Instant) -> anyhow::Result<bool> {
        let metadata = serde_json::from_value(wallets::metadata(Uuid::now_v7(), Uuid::now_v7()))?;
        let metadata: std::collections::HashMap<String, String> = metadata;
        let id = wallets.id(order.wallet);
        loop {
            let ended = self.framework.execute_with_metadata(id, order.command.clone(), metadata.clone()).await;
            match ended {
                Ok(()) => return Ok(true),
                Err(AggregateError::AggregateConflict) => {
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                    if Instant::now() >= until {
                        return Ok(false);
                    }
                }
                Err(error) => bail!("stock postgres-es: {error}"),
            }
        }
    }

    fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }
}

/// What is written without looking: rows made beforehand, each at the next place of its wallet.
#[derive(Clone)]
pub(crate) struct Rows {
    pub(crate) pool: PgPool,
    stored: Arc<Stored>,
    places: Arc<Places>,
    metadata: Arc<str>,
}

impl Rows {
    pub(crate) fn new(pool: PgPool, wallets: &Wallets) -> anyhow::Result<Self> {
        let metadata = wallets::metadata(Uuid::now_v7(), Uuid::now_v7()).to_string().into();
        let (stored, places) = (Arc::new(Stored::of_one_call()?), Arc::new(Places::after(wallets)));
        Ok(Self { pool, stored, places, metadata })
    }
}

/// One `INSERT` and one commit for every event.
pub(crate) struct Single(pub(crate) Rows);

#[async_trait]
impl Contestant for Single {
    fn name(&self) -> &'static str {
        "raw inserts, one row a commit"
    }

    async fn execute(&self, wallets: &Wallets, order: Order, _until: Instant) -> anyhow::Result<bool> {
        let Rows { pool, stored, places, metadata } = &self.0;
        let row = stored.row_of(&order);
        sqlx::query(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
             VALUES ($1, $2, $3, $4, $5, $6::json, $7::json)",
        )
        .bind(Wallet::TYPE)
        .bind(wallets.id(order.wallet))
        .bind(places.next(order.wallet))
        .bind(&row.event_type)
        .bind("1")
        .bind(&row.payload)
        .bind(&**metadata)
        .execute(pool)
        .await?;
        Ok(true)
    }
}

/// What waits goes into one `INSERT … SELECT FROM unnest(…)`, over two connections.
pub(crate) struct Grouped {
    queue: mpsc::Sender<Waiting>,
    places: Arc<Places>,
}

struct Waiting {
    wallet: String,
    sequence: i64,
    is_hold: bool,
    done: oneshot::Sender<()>,
}

impl Grouped {
    const CONNECTIONS: usize = 2;
    const LARGEST_GROUP: usize = 512;

    pub(crate) fn new(rows: &Rows) -> Self {
        let (queue, waiting) = mpsc::channel(Self::LARGEST_GROUP * 2);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..Self::CONNECTIONS {
            tokio::spawn(Self::commit_groups(rows.clone(), Arc::clone(&waiting)));
        }
        Self { queue, places: Arc::clone(&rows.places) }
    }

    /// Ends with the queue, or on an error: then nobody is answered any more.
    async fn commit_groups(rows: Rows, waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>) -> anyhow::Result<()> {
        loop {
            let mut group = Vec::new();
            if waiting.lock().await.recv_many(&mut group, Self::LARGEST_GROUP).await == 0 {
                return Ok(());
            }
            Self::insert(&rows, &group).await?;
            for one in group {
                // Whoever asked may have left.
                let _ = one.done.send(());
            }
        }
    }

    async fn insert(rows: &Rows, group: &[Waiting]) -> anyhow::Result<()> {
        let row = |one: &Waiting| &rows.stored.rows[if one.is_hold { 2 } else { 3 }];
        sqlx::query(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
             SELECT $1, e.id, e.sequence, e.type, $2, e.payload::json, $3::json \
             FROM unnest($4::text[], $5::bigint[], $6::text[], $7::text[]) AS e (id, sequence, type, payload)",
        )
        .bind(Wallet::TYPE)
        .bind("1")
        .bind(&*rows.metadata)
        .bind(group.iter().map(|one| one.wallet.as_str()).collect::<Vec<_>>())
        .bind(group.iter().map(|one| one.sequence).collect::<Vec<_>>())
        .bind(group.iter().map(|one| row(one).event_type.as_str()).collect::<Vec<_>>())
        .bind(group.iter().map(|one| row(one).payload.as_str()).collect::<Vec<_>>())
        .execute(&rows.pool)
        .await?;
        Ok(())
    }
}

#[async_trait]
impl Contestant for Grouped {
    fn name(&self) -> &'static str {
        "raw inserts, UNNEST of what waits"
    }

    async fn execute(&self, wallets: &Wallets, order: Order, _until: Instant) -> anyhow::Result<bool> {
        let (done, committed) = oneshot::channel();
        let (wallet, sequence) = (wallets.id(order.wallet).to_owned(), self.places.next(order.wallet));
        let waiting = Waiting { wallet, sequence, is_hold: order.is_hold(), done };
        self.queue.send(waiting).await.ok().context("the UNNEST inserts have failed")?;
        committed.await.context("an UNNEST insert has failed")?;
        Ok(true)
    }
}

/// The product's bus in this process: cache, decision, outcome row and events in one transaction.
pub(crate) struct Direct {
    bus: Bus,
    conflicts: AtomicU64,
}

impl Direct {
    pub(crate) const fn new(bus: Bus) -> Self {
        Self { bus, conflicts: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Contestant for Direct {
    fn name(&self) -> &'static str {
        "ours, `Bus::execute`"
    }

    async fn execute(&self, wallets: &Wallets, order: Order, until: Instant) -> anyhow::Result<bool> {
        let message = Arc::new(message(wallets.id(order.wallet), order.verb(), &order.command)?);
        loop {
            match execute(&self.bus, Arc::clone(&message)).await {
                // It has tried several times; the queue would deliver again.
                Err(BusError::Conflict) if Instant::now() < until => {
                    self.conflicts.fetch_add(1, Ordering::Relaxed);
                }
                Err(BusError::Conflict) => return Ok(false),
                ended => return appended(ended?),
            }
        }
    }

    fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }
}

/// The whole way: queued on `COMMANDS`, delivered, executed by the same bus, answered.
pub(crate) struct Queued {
    pub(crate) client: CommandClient,
}

#[async_trait]
impl Contestant for Queued {
    fn name(&self) -> &'static str {
        "ours, through `COMMANDS`"
    }

    async fn execute(&self, wallets: &Wallets, order: Order, _until: Instant) -> anyhow::Result<bool> {
        let message = message(wallets.id(order.wallet), order.verb(), &order.command)?;
        appended(answered(self.client.send(message, PATIENCE).await?)?)
    }
}

/// How long an answer through the queue is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// # Errors
/// There was no answer: the measurement is broken.
pub(crate) fn answered(sent: Sent) -> anyhow::Result<Outcome> {
    match sent {
        Sent::Outcome(outcome) => Ok(outcome),
        Sent::Pending => bail!("a command had no outcome for {} s", PATIENCE.as_secs()),
    }
}

/// As the dispatcher lets the bus execute a command on a wallet.
///
/// # Errors
/// It could not be executed.
pub(crate) async fn execute(bus: &Bus, message: impl Into<Arc<CommandMessage>>) -> Result<Outcome, BusError> {
    bus.execute(Arc::new(One::<Wallet>::default()), message).await
}

/// Every order appends one event; anything else is a fault of the measurement.
fn appended(outcome: Outcome) -> anyhow::Result<bool> {
    match outcome {
        Outcome::Done { event: Some(_), .. } => Ok(true),
        outcome => bail!("an order came to {outcome:?}"),
    }
}

/// `command` as the API sends it.
pub(crate) fn message(wallet: &str, verb: &str, command: &WalletCommand) -> anyhow::Result<CommandMessage> {
    let kind = (Wallet::CAPABILITY, Wallet::TYPE, verb);
    Ok(CommandMessage::new(kind, wallet, wallets::ACTOR, serde_json::to_value(command)?))
}
