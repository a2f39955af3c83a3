//! What the tests share: command envelopes, handlers that write down what they see, a way to wait.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use nats::{
    Capabilities, CommandHandler, CommandMessage, ConsumerOptions, Handled, LoggedEvent, Outcome, PublisherOptions,
    PublisherState, PublisherStatus, SequencerOptions,
};
use sqlx::{PgConnection, PgPool};
use tokio::{runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) fn command(aggregate_id: &str, verb: &str) -> CommandMessage {
    CommandMessage {
        command_id: Uuid::now_v7(),
        capability: "chat".into(),
        aggregate: "session".into(),
        verb: verb.into(),
        aggregate_id: aggregate_id.into(),
        actor: "user:1".into(),
        tenant: "default".into(),
        correlation_id: Uuid::now_v7(),
        causation_id: None,
        deadline: None,
        traceparent: None,
        fingerprint: None,
        body: serde_json::json!({ "text": "hello" }).into(),
    }
}

/// A command that changed nothing.
pub(crate) fn done() -> Outcome {
    Outcome::Done { event: None, events: Vec::new() }
}

/// Times short enough for tests.
pub(crate) fn quick() -> ConsumerOptions {
    ConsumerOptions {
        partitions: 8,
        max_attempts: 3,
        ack_wait: Duration::from_secs(2),
        retry_base: Duration::from_millis(200),
        pin_timeout: Duration::from_secs(2),
        presence_interval: Duration::from_millis(200),
        drain_timeout: Duration::from_secs(2),
        ..ConsumerOptions::default()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) aggregate_id: String,
    pub(crate) command_id: Uuid,
    pub(crate) attempt: u32,
    pub(crate) at: std::time::Instant,
}

type Decide = dyn Fn(&CommandMessage, u32) -> Handled + Send + Sync;

/// Writes down every call and answers as told.
pub(crate) struct Recorder {
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) buried: Mutex<Vec<(Uuid, String, u32)>>,
    /// While set, nothing can be buried.
    pub(crate) away: AtomicBool,
    takes: Duration,
    decide: Box<Decide>,
}

impl Recorder {
    pub(crate) fn new(decide: impl Fn(&CommandMessage, u32) -> Handled + Send + Sync + 'static) -> Arc<Self> {
        Self::slow(Duration::ZERO, decide)
    }

    pub(crate) fn slow(
        takes: Duration,
        decide: impl Fn(&CommandMessage, u32) -> Handled + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            buried: Mutex::default(),
            away: AtomicBool::new(false),
            takes,
            decide: Box::new(decide),
        })
    }

    pub(crate) fn done() -> Arc<Self> {
        Self::new(|_, _| Handled::Reply(done()))
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

#[async_trait]
impl CommandHandler for Recorder {
    async fn handle(&self, message: &Arc<CommandMessage>, attempt: u32) -> Handled {
        self.seen.lock().unwrap().push(Seen {
            aggregate_id: message.aggregate_id.clone(),
            command_id: message.command_id,
            attempt,
            at: std::time::Instant::now(),
        });
        tokio::time::sleep(self.takes).await;
        (self.decide)(message, attempt)
    }

    async fn bury(&self, message: &CommandMessage, error: &str, attempts: u32) -> anyhow::Result<()> {
        anyhow::ensure!(!self.away.load(Ordering::Relaxed), "the database is away");
        self.buried.lock().unwrap().push((message.command_id, error.into(), attempts));
        Ok(())
    }
}

/// A consumer that runs until stopped, in a runtime and on a connection of its own, like a process.
pub(crate) struct Running {
    cancel: CancellationToken,
    runtime: Option<Runtime>,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub(crate) fn start(url: &str, handler: Arc<dyn CommandHandler>, options: ConsumerOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let cancel = CancellationToken::new();
        let (url, until) = (url.to_owned(), cancel.clone());
        let task = runtime.spawn(async move {
            let client = async_nats::connect(url).await?;
            nats::run_commands(client, handler, options, until).await
        });
        Self { cancel, runtime: Some(runtime), task }
    }

    pub(crate) async fn stop(mut self) {
        self.cancel.cancel();
        (&mut self.task).await.unwrap().unwrap();
    }
}

/// Like a crash: nothing is said or handed over.
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition().await {
        assert!(tokio::time::Instant::now() < until, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Logs of a test run with `RUST_LOG` set.
pub(crate) fn logs() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_test_writer()
        .try_init();
}

/// Appends `count` events to an aggregate, in one transaction, like the event store.
pub(crate) async fn append(pool: &PgPool, aggregate_type: &str, aggregate_id: &str, count: i64) {
    let mut transaction = pool.begin().await.unwrap();
    insert(&mut transaction, aggregate_type, aggregate_id, count).await;
    transaction.commit().await.unwrap();
}

pub(crate) async fn insert(connection: &mut PgConnection, aggregate_type: &str, aggregate_id: &str, count: i64) {
    let query =
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
        SELECT $1, $2, s.last + n, $1 || '.renamed', '1', json_build_object('title', '标题 ' || s.last + n),
               json_build_object('command_id', gen_random_uuid(), 'actor', 'user:1', 'correlation_id', 'c-1')
        FROM (SELECT coalesce(max(sequence), -1) AS last FROM events WHERE aggregate_type = $1 AND aggregate_id = $2) s,
             generate_series(1, $3) n";
    sqlx::query(query).bind(aggregate_type).bind(aggregate_id).bind(count).execute(connection).await.unwrap();
}

/// Everything in the log, in order.
pub(crate) async fn whole_log(pool: &PgPool) -> Vec<LoggedEvent> {
    let mut all: Vec<LoggedEvent> = Vec::new();
    loop {
        let page = nats::page_log(pool, all.last().map_or(0, |event| event.position), 1_000).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

/// Sequencer and publisher of a node.
pub(crate) struct Log {
    pub(crate) status: PublisherStatus,
    cancel: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Log {
    pub(crate) fn start(pool: &PgPool, client: &async_nats::Client) -> Self {
        let cancel = CancellationToken::new();
        let status = PublisherStatus::default();
        let publisher = PublisherOptions {
            batch_max: 50,
            retry: Duration::from_millis(200),
            epoch_retry: Duration::from_millis(300),
            status: status.clone(),
            ..PublisherOptions::default()
        };
        let capabilities =
            Capabilities::new([("session", "chat"), ("run", "chat"), ("user", "users"), ("wallet", "billing")]);
        let sequencer = SequencerOptions { retry: Duration::from_millis(100), ..SequencerOptions::default() };
        let tasks = vec![
            tokio::spawn(nats::run_sequencer(pool.clone(), Some(client.clone()), sequencer, cancel.clone())),
            tokio::spawn(nats::run_publisher(pool.clone(), client.clone(), capabilities, publisher, cancel.clone())),
        ];
        Self { status, cancel, tasks }
    }

    pub(crate) async fn published(&self, position: i64) {
        eventually(
            &format!("position {position} is published; {:?}", self.status.get()),
            async || matches!(self.status.get(), PublisherState::Publishing { position: at, .. } if at >= position),
        )
        .await;
    }

    pub(crate) async fn stop(self) {
        self.cancel.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}
