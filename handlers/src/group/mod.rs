//! The committer: one task decides all commands of a process, a few transactions commit them in groups.
//!
//! Promise: a job is decided on the newest committed state or on what earlier jobs of its own group decided, committed
//! with its group or not at all, and answered after that. At most one group under way holds an aggregate. After any
//! failure nothing that was decided on it survives, and every job of the group is decided again. Back-pressure alone
//! makes groups: whoever comes while all slots are taken waits, and the next free slot takes all that waits. Nothing
//! here is a matter of trust in the cache or in being alone: the database checks every base (`flush`).

mod flush;
mod former;
mod groups;
mod hot;
mod jobs;
mod loads;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_nats::Client;
use futures::FutureExt as _;
use nats::Outcome;
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::former::Former;
pub(crate) use self::{
    hot::Hot,
    jobs::{Decide, Job, Record},
};
use crate::{bus::BusError, cache::AggregateCache, store::PgEventStore};

/// Connections that a process's committer keeps for itself, beside the pool's.
pub const COMMITTER_CONNECTIONS: u32 = 2;

/// The committer's limits.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// Transactions at the same time, each on a connection of its own.
    pub groups_in_flight: usize,
    /// Commands of a group.
    pub max_commands: usize,
    /// Encoded events of a group; a single command may have more.
    pub max_bytes: usize,
    /// Commands that are decided, wait or are being committed; more are refused as [`BusError::Busy`].
    pub max_waiting: usize,
    /// Aggregates read from the log at the same time; each takes a connection.
    pub loads_at_once: usize,
    /// How often a command that conflicts all by itself is decided again.
    pub max_conflicts: u32,
    /// How often a command finds one of its aggregates in a group before no new group is begun without it.
    pub patience: u32,
    /// A transaction without an answer for this long counts as unknown.
    pub time_limit: Duration,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            groups_in_flight: COMMITTER_CONNECTIONS as usize,
            max_commands: 512,
            max_bytes: 4 * 1024 * 1024,
            max_waiting: 4096,
            loads_at_once: 8,
            max_conflicts: 8,
            patience: 16,
            time_limit: Duration::from_secs(30),
        }
    }
}

/// The way to the committer. Cheap to clone; its task ends with the last clone, after what was submitted.
#[derive(Clone)]
pub(crate) struct Committer {
    inbox: mpsc::UnboundedSender<Job>,
    /// Bounds the inbox and all that waits behind it.
    room: Arc<Semaphore>,
}

impl Committer {
    /// Starts the committer's task on the current runtime.
    pub(crate) fn start(store: PgEventStore, cache: AggregateCache, client: Client, options: GroupOptions) -> Self {
        let room = Arc::new(Semaphore::new(options.max_waiting));
        let (inbox, mut jobs) = mpsc::unbounded_channel();
        let (wake, max_bytes) = (waker(client), cache.max_bytes());
        tokio::spawn(async move {
            let mut cache = cache;
            loop {
                let former = Former::new(store.clone(), cache, wake.clone(), options.clone());
                if AssertUnwindSafe(former.run(&mut jobs)).catch_unwind().await.is_ok() {
                    return;
                }
                // Plans cannot do this, only a fault here. What it had in hand is answered as unavailable.
                tracing::error!("the committer panicked and begins anew");
                cache = AggregateCache::new(max_bytes);
            }
        });
        Self { inbox, room }
    }

    /// Decides and commits; the outcome once it is durable.
    ///
    /// # Errors
    /// See [`BusError`].
    pub(crate) async fn submit(
        &self,
        decide: Decide,
        record: Option<Record>,
        metadata: String,
    ) -> Result<Outcome, BusError> {
        let Ok(permit) = Arc::clone(&self.room).try_acquire_owned() else {
            metrics::counter!("commands_shed_total").increment(1);
            return Err(BusError::Busy);
        };
        let (reply, answer) = oneshot::channel();
        let ended = || BusError::Unavailable("the committer has ended".to_owned());
        self.inbox.send(Job::new(decide, record, metadata, reply, permit)).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

/// A task that tells the sequencer of commits, so that no commit waits for the bus; what comes meanwhile is told once.
fn waker(client: Client) -> mpsc::Sender<()> {
    let (wake, mut woken) = mpsc::channel(1);
    tokio::spawn(async move {
        while woken.recv().await.is_some() {
            nats::wake_sequencer(&client).await;
        }
    });
    wake
}
