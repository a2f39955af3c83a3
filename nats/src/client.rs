//! Sending commands and hearing what they came to.
//!
//! Promises: the same command id is executed once in effect, however often it is sent; an `Outcome` answer is committed
//! in Postgres; `Pending` means the queue has the command on disk and the outcome can be asked for later.

use std::{borrow::Borrow, collections::BTreeMap, sync::Arc, time::Duration};

use async_nats::{Client, connection::State, jetstream::publish::PublishAck};
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
    pub async fn send(&self, message: impl Borrow<CommandMessage>, wait: Duration) -> Result<Sent, SendError> {
        let message = message.borrow();
        self.send_as(message, message.command_id, wait).await
    }

    /// Queues a command again that had come to an end, such as one from the dead letters: the stream takes it for new,
    /// the handler knows its command id.
    ///
    /// # Errors
    /// As [`CommandClient::send`].
    pub async fn resend(&self, message: impl Borrow<CommandMessage>, wait: Duration) -> Result<Sent, SendError> {
        self.send_as(message.borrow(), Uuid::now_v7(), wait).await
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
    async fn send_as(&self, message: &CommandMessage, message_id: Uuid, wait: Duration) -> Result<Sent, SendError> {
        let until = Instant::now() + wait;
        let size_bytes = message.body.bytes().len();
        if size_bytes > self.options.max_body_bytes {
            return Err(SendError::TooLarge { size_bytes, limit_bytes: self.options.max_body_bytes });
        }
        let mut waiting = self.replies.expect(&self.client).await.map_err(SendError::Unavailable)?;
        let inbox = waiting.inbox();
        let published = tokio::select! {
            // The handler can be faster than the stream's acknowledgement.
            outcome = waiting.outcome() => return Ok(Sent::Outcome(outcome)),
            published = self.publish(message, (message_id, &inbox), until) => published?,
        };
        if published.duplicate {
            return Ok(self.await_stored(message, until).await);
        }
        if let Ok(outcome) = timeout_at(until, waiting.outcome()).await {
            return Ok(Sent::Outcome(outcome));
        }
        // A reply is sent at most once; its handler may have died between commit and reply.
        let last_look = self.stored(message);
        Ok(timeout_at(Instant::now() + LAST_LOOK, last_look).await.ok().flatten().map_or(Sent::Pending, Sent::Outcome))
    }

    async fn publish(
        &self,
        message: &CommandMessage,
        (message_id, reply_to): (Uuid, &str),
        until: Instant,
    ) -> Result<PublishAck, SendError> {
        let subject = async_nats::Subject::from(message.subject(self.options.partitions)?);
        loop {
            // While disconnected the library would keep the message and send it long after we answered.
            if self.client.connection_state() != State::Connected {
                return Err(SendError::Unavailable("not connected".into()));
            }
            let mut map = message.headers()?;
            headers::put(&mut map, headers::REPLY_TO, reply_to).map_err(InvalidCommand::from)?;
            headers::put_id(&mut map, headers::MESSAGE_ID, message_id).map_err(InvalidCommand::from)?;
            let body = message.body.bytes().clone();
            return match ack::publish(&self.client, subject.clone(), map, body, self.options.ack_timeout).await {
                Ok(published) => Ok(published),
                // The message id makes a second try safe.
                Err(PublishFailure::Unknown) if Instant::now() < until => continue,
                Err(PublishFailure::Full(_)) => {
                    metrics::counter!("commands_refused_queue_full_total").increment(1);
                    Err(SendError::QueueFull { retry_after: self.options.retry_after })
                }
                Err(PublishFailure::TooLarge) => {
                    let size_bytes = message.body.bytes().len();
                    Err(SendError::TooLarge { size_bytes, limit_bytes: self.options.max_body_bytes })
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

/// One wildcard subscription for all replies of this process.
#[derive(Default)]
struct Replies {
    prefix: tokio::sync::OnceCell<String>,
    parked: Arc<Parked>,
}

impl Replies {
    async fn expect(&self, client: &Client) -> Result<Waiting<'_>, String> {
        let prefix = self.prefix.get_or_try_init(|| self.listen(client)).await?;
        Ok(Waiting::new(prefix, Arc::clone(&self.parked)))
    }

    async fn listen(&self, client: &Client) -> Result<String, String> {
        let prefix = client.new_inbox();
        let mut answers = client.subscribe(format!("{prefix}.*")).await.map_err(|error| error.to_string())?;
        let parked = Arc::downgrade(&self.parked);
        tokio::spawn(async move {
            while let Some(answer) = answers.next().await {
                let Some(parked) = parked.upgrade() else { return };
                let place = answer.subject.rsplit('.').next().and_then(|place| place.parse().ok());
                let Some(waiting) = place.and_then(|place| parking::lock(&parked).waiting.remove(&place)) else {
                    continue;
                };
                if let Ok(outcome) = serde_json::from_slice(&answer.payload) {
                    // Whoever waited may have left.
                    let _ = waiting.send(outcome);
                }
            }
        });
        Ok(prefix)
    }
}

type Parked = std::sync::Mutex<parking::Places>;

mod parking {
    use std::{
        future::pending,
        sync::{Arc, MutexGuard, PoisonError},
    };

    use tokio::sync::oneshot;

    use super::{BTreeMap, Outcome, Parked};

    /// Those who wait, by place. No place is ever taken twice.
    #[derive(Default)]
    pub(super) struct Places {
        next: u64,
        pub(super) waiting: BTreeMap<u64, oneshot::Sender<Outcome>>,
    }

    pub(super) fn lock(parked: &Parked) -> MutexGuard<'_, Places> {
        parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among those who wait; gives it up when dropped.
    pub(super) struct Waiting<'r> {
        prefix: &'r str,
        place: u64,
        parked: Arc<Parked>,
        receiver: oneshot::Receiver<Outcome>,
    }

    impl<'r> Waiting<'r> {
        pub(super) fn new(prefix: &'r str, parked: Arc<Parked>) -> Self {
            let (sender, receiver) = oneshot::channel();
            let mut places = lock(&parked);
            let place = places.next;
            places.next += 1;
            places.waiting.insert(place, sender);
            drop(places);
            Self { prefix, place, parked, receiver }
        }

        /// Where the reply is to be sent.
        pub(super) fn inbox(&self) -> String {
            format!("{}.{}", self.prefix, self.place)
        }

        /// The reply; never ends when none can come any more.
        pub(super) async fn outcome(&mut self) -> Outcome {
            match (&mut self.receiver).await {
                Ok(outcome) => outcome,
                Err(_) => pending().await,
            }
        }
    }

    impl Drop for Waiting<'_> {
        fn drop(&mut self) {
            lock(&self.parked).waiting.remove(&self.place);
        }
    }
}
