//! What nodes tell each other about channels, through a key-value bucket of NATS.
//!
//! Promise: a node that sees a breaker open, die or close says so, and the others take it over; the last one who spoke
//! about a breaker is believed. A node without NATS works on what it sees itself, and says it when NATS is back. Nothing
//! here waits on a request's way. The bucket is in memory and forgets: what matters for longer is an event.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{
    self,
    kv::{Config, Entry, Operation, Store, Watch},
    stream::StorageType,
};
use domain::ChannelId;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::plan::mixed;
use crate::{Change, Moment, Part, Router, State};

/// How states are shared.
#[derive(Debug, Clone)]
pub struct ShareOptions {
    pub bucket: String,
    /// What nobody repeats for so long is forgotten.
    pub max_age: Duration,
    pub max_bytes: i64,
    /// Copies of the bucket: 1 on one node of NATS, 3 in a cluster.
    pub replicas: usize,
    /// How often a node says that it is there.
    pub heartbeat: Duration,
    /// After so long without NATS it is tried again.
    pub again_after: Duration,
}

impl Default for ShareOptions {
    fn default() -> Self {
        Self {
            bucket: "routing".to_owned(),
            max_age: Duration::from_secs(3600),
            max_bytes: 16 * 1024 * 1024,
            replicas: 1,
            heartbeat: Duration::from_secs(10),
            again_after: Duration::from_secs(5),
        }
    }
}

/// A state, or a sign of life, is smaller than this.
const MAX_VALUE_BYTES: i32 = 4096;
/// How long the bucket may take to acknowledge.
const ACKNOWLEDGED: Duration = Duration::from_secs(5);
/// A node that was silent for so many heartbeats is gone.
const SILENT_BEATS: u32 = 3;

/// What one node says.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    node: u64,
    at: Moment,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum What {
    /// A breaker's state.
    Breaker {
        channel: ChannelId,
        part: Part,
        state: State,
        opened: u32,
        /// When it was last closed, and what opened it: for operators.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Why>,
    },
    /// It is there and takes its share of the limits.
    Alive,
}

#[derive(Debug, Serialize, Deserialize)]
struct Why {
    since: Moment,
    cause: String,
}

/// Shares what `router` sees until `cancel`.
pub async fn share(router: Arc<Router>, client: async_nats::Client, options: ShareOptions, cancel: CancellationToken) {
    let sharing = async {
        let mut sharer = Sharer { router, options, node: fastrand::u64(..), alive: HashMap::new() };
        let mut changes = sharer.router.changes();
        loop {
            if let Err(error) = sharer.connected(&client, &mut changes).await {
                tracing::debug!(error, "what is known about channels cannot be shared now");
            }
            // Alone for now: what others would take of the limits is not known, so the last share stays.
            sleep(sharer.options.again_after).await;
        }
    };
    cancel.run_until_cancelled(sharing).await;
}

struct Sharer {
    router: Arc<Router>,
    options: ShareOptions,
    node: u64,
    /// Others, and when they were heard last.
    alive: HashMap<u64, Instant>,
}

impl Sharer {
    /// Listens and speaks until something fails.
    async fn connected(&mut self, client: &async_nats::Client, changes: &mut Receiver<Change>) -> Result<(), String> {
        let bucket = self.bucket(client).await?;
        let mut watch = bucket.watch_with_history(">").await.map_err(|error| error.to_string())?;
        self.catch_up(&bucket, &mut watch).await?;
        let mut beat = interval(self.options.heartbeat);
        loop {
            tokio::select! {
                entry = watch.next() => match entry {
                    Some(Ok(entry)) => self.hear(&entry),
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("the bucket is not watched any more".to_owned()),
                },
                change = changes.recv() => match change {
                    Ok(change) => self.say(&bucket, &change).await?,
                    Err(RecvError::Lagged(_)) => self.say_all(&bucket).await?,
                    Err(RecvError::Closed) => return Err("the router is gone".to_owned()),
                },
                _ = beat.tick() => {
                    self.put(&bucket, format!("node.{:016x}", self.node), What::Alive).await?;
                    self.count_nodes();
                }
            }
        }
    }

    /// The bucket, made if it is not there.
    async fn bucket(&self, client: &async_nats::Client) -> Result<Store, String> {
        let ShareOptions { bucket, max_age, max_bytes, replicas, .. } = self.options.clone();
        let config = Config {
            bucket,
            description: "What nodes know about the health of channels; may be lost at any time".to_owned(),
            max_value_size: MAX_VALUE_BYTES,
            history: 1,
            max_age,
            max_bytes,
            storage: StorageType::Memory,
            num_replicas: replicas,
            ..Config::default()
        };
        let context = jetstream::new(client.clone());
        let made = context.create_or_update_key_value(config);
        match timeout(ACKNOWLEDGED, made).await {
            Ok(made) => made.map_err(|error| error.to_string()),
            Err(_) => Err("NATS does not answer".to_owned()),
        }
    }

    /// Hears what is known already, then says what only this node knows.
    async fn catch_up(&mut self, bucket: &Store, watch: &mut Watch) -> Result<(), String> {
        let known = bucket.status().await.map_err(|error| error.to_string())?.values();
        let mut is_current = known == 0;
        while !is_current {
            match timeout(ACKNOWLEDGED, watch.next()).await {
                Ok(Some(Ok(entry))) => {
                    self.hear(&entry);
                    is_current = entry.seen_current;
                }
                Ok(Some(Err(error))) => return Err(error.to_string()),
                Ok(None) => return Err("the bucket is not watched any more".to_owned()),
                // What was there when it was counted has aged away since.
                Err(_) => is_current = true,
            }
        }
        self.say_all(bucket).await
    }

    fn hear(&mut self, entry: &Entry) {
        if entry.operation != Operation::Put {
            return;
        }
        // What a node of another version says and this one does not understand is none of its business.
        let Ok(told) = serde_json::from_slice::<Told>(&entry.value) else { return };
        if told.node == self.node {
            return;
        }
        match told.what {
            What::Breaker { channel, part, state, opened, why } => {
                self.router.adopt(channel, &part, state, opened);
                if let Some(Why { since, cause }) = why {
                    self.router.note(channel, &part, since, &cause);
                }
            }
            What::Alive => {
                // One that was kept from before is no sign of life.
                if self.router.now().since(told.at) < self.options.heartbeat * SILENT_BEATS {
                    self.alive.insert(told.node, Instant::now());
                    self.count_nodes();
                }
            }
        }
    }

    fn count_nodes(&mut self) {
        let silent = self.options.heartbeat * SILENT_BEATS;
        self.alive.retain(|_, heard| heard.elapsed() < silent);
        self.router.share_limits(u32::try_from(self.alive.len()).unwrap_or(u32::MAX).saturating_add(1));
    }

    async fn say_all(&self, bucket: &Store) -> Result<(), String> {
        for change in self.router.ill() {
            self.say(bucket, &Change { cause: "seen here", ..change }).await?;
        }
        Ok(())
    }

    /// Tells a change that was seen here; a trial is nobody else's business.
    async fn say(&self, bucket: &Store, change: &Change) -> Result<(), String> {
        let Change { channel, part, to, opened, .. } = change.clone();
        if change.was_told() || to == State::HalfOpen {
            return Ok(());
        }
        let key = match &part {
            Part::Channel => format!("channel.{channel}"),
            Part::Key { name } => format!("key.{channel}.{:016x}", mixed(name.as_bytes(), &[])),
            Part::Model { name } => format!("model.{channel}.{:016x}", mixed(name.as_bytes(), &[])),
        };
        let noted = self.router.noted(channel, &part);
        let why = noted.map(|note| Why { since: note.since, cause: note.cause.into_owned() });
        self.put(bucket, key, What::Breaker { channel, part, state: to, opened, why }).await
    }

    async fn put(&self, bucket: &Store, key: String, what: What) -> Result<(), String> {
        let told = Told { node: self.node, at: self.router.now(), what };
        let value = serde_json::to_vec(&told).map_err(|error| error.to_string())?;
        match timeout(ACKNOWLEDGED, bucket.put(key, value.into())).await {
            Ok(put) => put.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err("NATS does not answer".to_owned()),
        }
    }
}
