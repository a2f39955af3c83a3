//! The three streams and their limits.
//!
//! `COMMANDS` keeps what is to be done until it is done and refuses new work when full. `EVENTS` is a cache of the log
//! in Postgres: sequence = position, so only the publisher, which knows where to start, makes it. `LIVE` holds the text
//! of running replies for minutes, in memory; whoever writes or reads it makes it again when it vanished.

use std::time::Duration;

use async_nats::{
    Client,
    jetstream::{
        self,
        context::CreateStreamError,
        stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
    },
};

pub const COMMANDS: &str = "COMMANDS";
pub const EVENTS: &str = "EVENTS";
pub const LIVE: &str = "LIVE";

const MIB: i64 = 1024 * 1024;

/// Limits of the streams. Each one is finite: a full bus answers "later" instead of filling the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOptions {
    /// Copies of each message: 1 on one node, 3 in a cluster.
    pub replicas: usize,
    pub commands_max_messages: i64,
    pub commands_max_bytes: i64,
    /// Largest command, body and headers; the server's `max_payload` bounds it too.
    pub command_max_bytes: i32,
    /// How long a command id is known to the stream; later the stored outcome answers.
    pub duplicate_window: Duration,
    pub events_max_bytes: i64,
    pub live_max_bytes: i64,
    pub live_max_age: Duration,
    /// Frames kept of one run.
    pub live_max_frames: i64,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            replicas: 1,
            commands_max_messages: 100_000,
            commands_max_bytes: 256 * MIB,
            command_max_bytes: 1024 * 1024,
            duplicate_window: Duration::from_secs(120),
            events_max_bytes: 1024 * MIB,
            live_max_bytes: 64 * MIB,
            live_max_age: Duration::from_secs(15 * 60),
            live_max_frames: 65_536,
        }
    }
}

impl StreamOptions {
    /// The work queue of commands.
    #[must_use]
    pub fn commands(&self) -> Config {
        Config {
            name: COMMANDS.into(),
            subjects: vec!["cmd.>".into()],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            discard: DiscardPolicy::New,
            max_messages: self.commands_max_messages,
            max_bytes: self.commands_max_bytes,
            max_message_size: self.command_max_bytes,
            duplicate_window: self.duplicate_window,
            num_replicas: self.replicas,
            ..Config::default()
        }
    }

    /// The published log, whose first message will be position `first_position`.
    #[must_use]
    pub fn events(&self, first_position: u64) -> Config {
        Config {
            name: EVENTS.into(),
            subjects: vec!["evt.>".into()],
            retention: RetentionPolicy::Limits,
            storage: StorageType::File,
            discard: DiscardPolicy::Old,
            max_bytes: self.events_max_bytes,
            first_sequence: Some(first_position),
            allow_direct: true,
            allow_atomic_publish: true,
            num_replicas: self.replicas,
            ..Config::default()
        }
    }

    /// The text of running replies.
    #[must_use]
    pub fn live(&self) -> Config {
        Config {
            name: LIVE.into(),
            subjects: vec!["live.chat.>".into()],
            retention: RetentionPolicy::Limits,
            storage: StorageType::Memory,
            discard: DiscardPolicy::Old,
            max_bytes: self.live_max_bytes,
            max_age: self.live_max_age,
            max_messages_per_subject: self.live_max_frames,
            allow_direct: true,
            num_replicas: self.replicas,
            ..Config::default()
        }
    }
}

/// Makes `COMMANDS` and `LIVE`, or brings their limits up to date. `EVENTS` is the publisher's.
///
/// # Errors
/// The server is away, runs without JetStream, or has no room for the limits.
pub async fn ensure(client: &Client, options: &StreamOptions) -> Result<(), CreateStreamError> {
    let context = jetstream::new(client.clone());
    context.create_or_update_stream(options.commands()).await?;
    context.create_or_update_stream(options.live()).await?;
    Ok(())
}
