//! Following a stream from a known place without skipping: what feeds and live readers have in common.
//!
//! The library's ordered consumer repairs itself, but waits for ever for the old sequence numbers of a stream that was
//! deleted and made again. This one never repairs: it says `Broken` and its owner, who knows what it has, opens a new one.

use std::{sync::atomic::Ordering, time::Duration};

use async_nats::{
    Client,
    connection::State,
    jetstream::{
        self, Message,
        consumer::{AckPolicy, DeliverPolicy, PullConsumer, ReplayPolicy, pull},
    },
};
use futures::StreamExt;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often a lost and regained connection is looked for.
const LOOK: Duration = Duration::from_millis(500);
const HEARTBEAT: Duration = Duration::from_secs(5);
const EXPIRES: Duration = Duration::from_secs(20);
/// The server forgets an abandoned tail after this long.
const FORGET: Duration = Duration::from_secs(60);

/// The tail has an end: a gap, a lost consumer or stream, a new connection.
#[derive(Debug, thiserror::Error)]
#[error("the stream cannot be followed further: {0}")]
pub(crate) struct Broken(pub(crate) String);

pub(crate) struct Tail {
    client: Client,
    connects: u64,
    messages: pull::Stream,
    consumer_sequence: u64,
    pending: u64,
    look: Interval,
}

impl Tail {
    /// Follows `stream` from sequence `from` (or the first one kept after it), all subjects or those of `filter`.
    pub(crate) async fn open(client: &Client, stream: &str, filter: &str, from: u64) -> Result<Self, Broken> {
        if client.connection_state() != State::Connected {
            return Err(Broken("not connected".into()));
        }
        let connects = client.statistics().connects.load(Ordering::Relaxed);
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: from.max(1) },
            ack_policy: AckPolicy::None,
            replay_policy: ReplayPolicy::Instant,
            filter_subject: filter.to_owned(),
            inactive_threshold: FORGET,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let context = jetstream::new(client.clone());
        let consumer: PullConsumer = context.create_consumer_on_stream(config, stream).await.map_err(broken)?;
        let pending = consumer.cached_info().num_pending;
        let pulls = consumer.stream().max_messages_per_batch(500).expires(EXPIRES).heartbeat(HEARTBEAT);
        let messages = pulls.messages().await.map_err(broken)?;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { client: client.clone(), connects, messages, consumer_sequence: 0, pending, look })
    }

    /// Whether everything that the stream had has been returned.
    pub(crate) fn caught_up(&self) -> bool {
        self.pending == 0
    }

    /// The next message; waits for one. Nothing is lost when the wait is dropped.
    pub(crate) async fn next(&mut self) -> Result<Message, Broken> {
        loop {
            tokio::select! {
                next = self.messages.next() => {
                    let message = next.ok_or_else(|| Broken("the pulls ended".into()))?.map_err(broken)?;
                    let info = message.info().map_err(broken)?;
                    if info.consumer_sequence != self.consumer_sequence + 1 {
                        return Err(Broken(format!("delivery {} after {}", info.consumer_sequence, self.consumer_sequence)));
                    }
                    self.consumer_sequence = info.consumer_sequence;
                    self.pending = info.pending;
                    return Ok(message);
                }
                _ = self.look.tick() => {
                    if self.client.statistics().connects.load(Ordering::Relaxed) != self.connects {
                        return Err(Broken("the connection is a new one".into()));
                    }
                }
            }
        }
    }
}

fn broken(error: impl std::fmt::Display) -> Broken {
    Broken(error.to_string())
}
