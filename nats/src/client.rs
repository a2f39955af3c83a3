//! Sending commands and hearing what they came to.
//!
//! Promises: the same command id is executed once in effect, however often it is sent; an `Outcome` answer is committed
//! in Postgres; `Pending` means the queue has the command on disk and the outcome can be asked for later.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::{Client, connection::State};
use bytes::Bytes;
use futures::StreamExt;
use parking::Waiting;
use sqlx::PgPool;
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use crate::{
    ack::{self, PublishFailure},
    command::{CommandMessage, InvalidCommand, Outcome},
    event_ref::EventRef,
    headers,
};

/// How commands are sent.
#[derive(Debug, Clone)]
pub struct CommandOptions {
    /// Must be the same in every process of an installation.
    pub partitions: u16,
    /// Largest body in bytes; leaves room for headers under the server's `max_payload`.
    pub max_body_bytes: usize,
    /// How long the stream may take to acknowledge before the publish is tried again.
    pub ack_timeout: Duration,
    /// What a caller is told when the queue is full.
    pub retry_after: Duration,
}

impl Default for CommandOptions {
    fn default() -> Self {
        Self {
            partitions: 32,
            max_body_bytes: 960 * 1024,
            ack_timeout: Duration::from_secs(2),
            retry_after: Duration::from_secs(2),
        }
    }
}

/// What is known when the wait ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Sent {
    Outcome(Outcome),
    /// Queued; HTTP 202.
    Pending,
}

/// The command is not known to be queued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("the command queue is full")]
    QueueFull { retry_after: Duration },
    #[error("the command has {size_bytes} bytes, at most {limit_bytes} are taken")]
    TooLarge { size_bytes: usize, limit_bytes: usize },
    #[error("the command queue cannot be reached: {0}")]
    Unavailable(String),
    /// A fault of the caller's code, not of its user.
    #[error(transparent)]
    Invalid(#[from] InvalidCommand),
}

/// Sends commands; cheap to clone, all clones share one reply subscription.
#[derive(Clone)]
pub struct CommandClient {
    client: Client,
    pool: PgPool,
    options: CommandOptions,
    replies: Arc<Replies>,
}

impl CommandClient {
    #[must_use]
    pub fn new(client: Client, pool: PgPool, options: CommandOptions) -> Self {
        Self { client, pool, options, replies: Arc::default() }
    }

    /// Queues the command and waits up to `wait` for its outcome. Sending it again is safe.
    ///
    /// # Errors
    /// See [`SendError`]; after `Unavailable` the command may or may not have been queued.
    pub async fn send(&self, message: CommandMessage, wait: Duration) -> Result<Sent, SendError> {
        let message_id = message.command_id;
        self.send_as(message, message_id, wait).await
    }

    /// Queues a command again that had come to an end, such as one from the dead letters: the stream takes it for new,
    /// the handler knows its command id.
    ///
    /// # Errors
    /// As [`CommandClient::send`].
    pub async fn resend(&self, message: CommandMessage, wait: Duration) -> Result<Sent, SendError> {
        self.send_as(message, Uuid::now_v7(), wait).await
    }

    /// The payload of an event that a command came to, as it lies in the log: sealed fields stay closed.
    ///
    /// # Errors
    /// The database is away.
    pub async fn payload_of(&self, event: &EventRef) -> Result<Option<serde_json::Value>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT payload FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 AND sequence = $3",
        )
        .bind(&event.aggregate_type)
        .bind(&event.aggregate_id)
        .bind(event.sequence)
        .fetch_optional(&self.pool)
        .await
    }

    #[tracing::instrument(
        skip_all, name = "command.send",
        fields(command_id = %message.command_id, aggregate = %message.aggregate, verb = %message.verb)
    )]
    async fn send_as(&self, message: CommandMessage, message_id: Uuid, wait: Duration) -> Result<Sent, SendError> {
        let until = Instant::now() + wait;
        let subject = message.subject(self.options.partitions)?;
        let mut map = message.headers()?;
        let body = Bytes::from(message.body.to_string());
        if body.len() > self.options.max_body_bytes {
            return Err(SendError::TooLarge { size_bytes: body.len(), limit_bytes: self.options.max_body_bytes });
        }
        let mut waiting = self.replies.expect(&self.client).await.map_err(SendError::Unavailable)?;
        headers::put(&mut map, headers::REPLY_TO, waiting.inbox()).map_err(InvalidCommand::from)?;
        headers::put(&mut map, "Nats-Msg-Id", &message_id.to_string()).map_err(InvalidCommand::from)?;

        let published = tokio::select! {
            // The handler can be faster than the stream's acknowledgement.
            outcome = waiting.outcome() => return Ok(Sent::Outcome(outcome)),
            published = self.publish(subject, map, body, until) => published?,
        };
        if published.duplicate {
            return Ok(self.await_stored(&message, until).await);
        }
        if let Ok(outcome) = timeout_at(until, waiting.outcome()).await {
            return Ok(Sent::Outcome(outcome));
        }
        // A reply is sent at most once; its handler may have died between commit and reply.
        let last_look = self.stored(&message);
        Ok(timeout_at(Instant::now() + LAST_LOOK, last_look).await.ok().flatten().map_or(Sent::Pending, Sent::Outcome))
    }

    async fn publish(
        &self,
        subject: String,
        map: async_nats::HeaderMap,
        body: Bytes,
        until: Instant,
    ) -> Result<async_nats::jetstream::publish::PublishAck, SendError> {
        loop {
            // While disconnected the library would keep the message and send it long after we answered.
            if self.client.connection_state() != State::Connected {
                return Err(SendError::Unavailable("not connected".into()));
            }
            let sent = ack::publish(&self.client, subject.clone(), map.clone(), body.clone(), self.options.ack_timeout);
            return match sent.await {
                Ok(published) => Ok(published),
                // The message id makes a second try safe.
                Err(PublishFailure::Unknown) if Instant::now() < until => continue,
                Err(PublishFailure::Full(_)) => {
                    metrics::counter!("commands_refused_queue_full_total").increment(1);
                    Err(SendError::QueueFull { retry_after: self.options.retry_after })
                }
                Err(PublishFailure::TooLarge) => {
                    Err(SendError::TooLarge { size_bytes: body.len(), limit_bytes: self.options.max_body_bytes })
                }
                Err(failure) => Err(SendError::Unavailable(failure.to_string())),
            };
        }
    }

    /// The stream has seen this id: somebody handles it, or did. What Postgres says counts.
    async fn await_stored(&self, message: &CommandMessage, until: Instant) -> Sent {
        let mut pause = Duration::from_millis(10);
        loop {
            if let Ok(Some(outcome)) = timeout_at(until, self.stored(message)).await {
                return Sent::Outcome(outcome);
            }
            let next = Instant::now() + pause;
            if next >= until {
                return Sent::Pending;
            }
            sleep_until(next).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// The stored outcome, unless there is none yet or Postgres is away: both mean waiting.
    async fn stored(&self, message: &CommandMessage) -> Option<Outcome> {
        stored_outcome(&self.pool, message).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the outcome cannot be read now");
            None
        })
    }
}

/// What `message` came to, if it is known; [`Outcome::KeyReused`] if its id stands for another request.
///
/// # Errors
/// The database is away.
pub async fn stored_outcome(pool: &PgPool, message: &CommandMessage) -> Result<Option<Outcome>, sqlx::Error> {
    let query = "SELECT request_hash, outcome FROM command_outcomes WHERE tenant = $1 AND command_id = $2";
    let row: Option<(Vec<u8>, sqlx::types::Json<Outcome>)> =
        sqlx::query_as(query).bind(&message.tenant).bind(message.command_id).fetch_optional(pool).await?;
    Ok(row.map(|(hash, outcome)| if hash == message.request_hash() { outcome.0 } else { Outcome::KeyReused }))
}

const LAST_LOOK: Duration = Duration::from_millis(250);

type Parked = std::sync::Mutex<HashMap<String, tokio::sync::oneshot::Sender<Outcome>>>;

/// One wildcard subscription for all replies of this process.
#[derive(Default)]
struct Replies {
    prefix: tokio::sync::OnceCell<String>,
    parked: Arc<Parked>,
}

impl Replies {
    async fn expect(&self, client: &Client) -> Result<Waiting, String> {
        let prefix = self.prefix.get_or_try_init(|| self.listen(client)).await?;
        Ok(Waiting::new(format!("{prefix}.{}", Uuid::now_v7().simple()), Arc::clone(&self.parked)))
    }

    async fn listen(&self, client: &Client) -> Result<String, String> {
        let prefix = client.new_inbox();
        let mut answers = client.subscribe(format!("{prefix}.*")).await.map_err(|error| error.to_string())?;
        let parked = Arc::downgrade(&self.parked);
        tokio::spawn(async move {
            while let Some(answer) = answers.next().await {
                let Some(parked) = parked.upgrade() else { return };
                let Ok(outcome) = serde_json::from_slice(&answer.payload) else { continue };
                if let Some(waiting) = parking::lock(&parked).remove(answer.subject.as_str()) {
                    // Whoever waited may have left.
                    let _ = waiting.send(outcome);
                }
            }
        });
        Ok(prefix)
    }
}

mod parking {
    use std::{
        future::pending,
        sync::{Arc, MutexGuard, PoisonError},
    };

    use tokio::sync::oneshot;

    use super::{HashMap, Outcome, Parked};

    pub(super) fn lock(parked: &Parked) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Outcome>>> {
        parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in the table of those who wait; gives it up when dropped.
    pub(super) struct Waiting {
        inbox: String,
        parked: Arc<Parked>,
        receiver: oneshot::Receiver<Outcome>,
    }

    impl Waiting {
        pub(super) fn new(inbox: String, parked: Arc<Parked>) -> Self {
            let (sender, receiver) = oneshot::channel();
            lock(&parked).insert(inbox.clone(), sender);
            Self { inbox, parked, receiver }
        }

        pub(super) fn inbox(&self) -> &str {
            &self.inbox
        }

        /// The reply; never ends when none can come any more.
        pub(super) async fn outcome(&mut self) -> Outcome {
            match (&mut self.receiver).await {
                Ok(outcome) => outcome,
                Err(_) => pending().await,
            }
        }
    }

    impl Drop for Waiting {
        fn drop(&mut self) {
            lock(&self.parked).remove(&self.inbox);
        }
    }
}
