//! Receiving commands: every partition of the queue is read by one process at a time, every aggregate's commands are
//! handed over in the order in which they came, and each command ends in exactly one of: a reply, a later redelivery, the dead letters.
//!
//! Which process reads what is agreed by presence messages (`members`), enforced by the server's pinned consumer groups
//! (`partition`), and never a matter of correctness: handlers are idempotent and the event store checks sequences.

mod members;
mod partition;
mod work;

use std::{sync::Arc, time::Duration};

use async_nats::Client;
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    command::{CommandMessage, Outcome},
    streams::{self, StreamOptions},
};

/// What decides commands. Calls may repeat (a redelivery) and are made concurrently; for commands of one aggregate they
/// begin in the order in which the commands came, up to the first thing that each waits for.
#[async_trait]
pub trait CommandHandler: Send + Sync + 'static {
    /// Handles one delivery; `attempt` starts at 1.
    async fn handle(&self, message: &Arc<CommandMessage>, attempt: u32) -> Handled;

    /// Keeps a command that failed for good, durably and idempotently: afterwards the queue forgets it.
    ///
    /// # Errors
    /// It could not be kept; the consumer will try again.
    async fn bury(&self, message: &CommandMessage, error: &str, attempts: u32) -> anyhow::Result<()>;
}

/// How one delivery ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Handled {
    /// Decided and committed.
    Reply(Outcome),
    /// Not now: something is away or broken; after the last attempt it is buried.
    Retry { error: String },
    /// Never: bury it at once.
    GiveUp { error: String },
}

/// How commands are received.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// Must equal [`crate::CommandOptions::partitions`].
    pub partitions: u16,
    /// Names the durable consumers and the presence subject: processes of one group share the work.
    pub group: String,
    /// Commands handled at the same time in this process.
    pub concurrency: usize,
    /// Those of one aggregate among them: what waits for the same commit can share it.
    pub per_aggregate: usize,
    /// Unacknowledged commands a partition may have; bounds what waits in memory.
    pub max_pending_per_partition: usize,
    /// Deliveries until a failing command is buried.
    pub max_attempts: u32,
    /// Without sign of life for this long a delivery is repeated elsewhere; three signs are sent meanwhile.
    pub ack_wait: Duration,
    /// The pause before the second attempt; doubles up to `retry_max`, with jitter.
    pub retry_base: Duration,
    pub retry_max: Duration,
    /// How long a silent process keeps its partitions; pulls are renewed in less than half of it.
    pub pin_timeout: Duration,
    /// Time between signs of presence; after three and a half missing ones a process counts as gone.
    pub presence_interval: Duration,
    /// How long a stopping process waits for commands in hand.
    pub drain_timeout: Duration,
    /// The queue is made with these limits when it is not there.
    pub streams: StreamOptions,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            partitions: 32,
            group: "handlers".into(),
            concurrency: 256,
            per_aggregate: 64,
            max_pending_per_partition: 128,
            max_attempts: 6,
            ack_wait: Duration::from_secs(10),
            retry_base: Duration::from_millis(250),
            retry_max: Duration::from_secs(30),
            pin_timeout: Duration::from_secs(5),
            presence_interval: Duration::from_secs(1),
            drain_timeout: Duration::from_secs(10),
            streams: StreamOptions::default(),
        }
    }
}

/// Handles commands until cancelled; then hands its partitions over and finishes what it has in hand.
///
/// # Errors
/// Only what cannot heal by waiting: a connection that is closed for good.
pub async fn run_commands(
    client: Client,
    handler: Arc<dyn CommandHandler>,
    options: ConsumerOptions,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let options = Arc::new(options);
    // Readers make the queue too when it vanishes; once here, so that not all of them try at the start.
    if let Err(error) = streams::ensure(&client, &options.streams).await {
        tracing::warn!(%error, "the command queue cannot be made now");
    }
    let work = work::Work::new(client.clone(), handler, Arc::clone(&options), cancel.clone());
    let mut members = members::Members::join(client.clone(), Uuid::now_v7(), &options).await?;
    let mut readers = partition::Readers::new(client.clone(), Arc::clone(&work), Arc::clone(&options));
    loop {
        readers.assign(&members.owned());
        tokio::select! {
            () = cancel.cancelled() => break,
            changed = members.changed() => changed?,
        }
    }
    let others = members.leave().await;
    readers.stop(others).await;
    work.drain().await;
    Ok(())
}
