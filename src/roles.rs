//! The roles of a process and how they are run together.
//!
//! Promise: every role is stateless and may run any number of times, here or elsewhere; when one ends with an error the
//! process ends with it, and a supervisor starts it again; asked to end, all finish what they have in hand.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{TimeDelta, Utc};
use handlers::billing::{ExpiryReactor, ExpiryWorker};
use handlers::cache::AggregateCache;
use handlers::chat::{ReplyOptions, ReplyReactor, ReplyWorker};
use handlers::dead_letters::DeadLetters;
use handlers::jobs::{JobOptions, run_jobs};
use handlers::reactor::run_reactor;
use handlers::relay::{UnfinishedReactor, UnfinishedWorker};
use handlers::store::PgEventStore;
use handlers::{Bus, Dispatcher};
use metering::Catalogue;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::channels;
use crate::config::{AfterDeath, Config};
use crate::node::Node;

/// Memory for hot aggregates, in bytes.
const AGGREGATE_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Connections that wait to be taken, at most, as far as the system allows.
const BACKLOG: u32 = 4096;
/// How long open streams may go on after the process was asked to end.
const HTTP_DRAIN: Duration = Duration::from_secs(3);
/// How long calls may take to settle after that.
const SETTLE: Duration = Duration::from_secs(5);
/// How long calls that ended may take to be told of after that.
const TELL: Duration = Duration::from_secs(2);
/// How long a command's outcome answers for it; `api` says the same.
const OUTCOME_RETENTION: TimeDelta = TimeDelta::days(7);
/// How long a finished job can be looked at.
const JOB_RETENTION: TimeDelta = TimeDelta::days(30);
/// Holds being ended at the same time.
const EXPIRIES_AT_ONCE: usize = 8;
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Role {
    /// HTTP: the page and the API.
    Api,
    /// Decides commands.
    Handlers,
    /// Turns events into rows.
    Projections,
    /// Turns events into jobs and does them.
    Reactions,
    /// Gives events their order and publishes them.
    Publisher,
}

impl Role {
    /// All of them: what `up` runs.
    pub(crate) fn all() -> BTreeSet<Self> {
        [Self::Api, Self::Handlers, Self::Projections, Self::Reactions, Self::Publisher].into()
    }
}

/// The tasks of this process.
pub(crate) struct Running {
    tasks: JoinSet<anyhow::Result<()>>,
    cancel: CancellationToken,
    /// Where the api role answers.
    pub(crate) http_addr: Option<SocketAddr>,
    models: Models,
    /// Of the api role, until it is opened.
    door: Option<oneshot::Sender<()>>,
}

/// What this process can ask.
#[derive(Clone, Default)]
pub(crate) struct Models {
    /// Where one of its roles asks models.
    catalogue: Option<Catalogue>,
    /// Whether this machine has the local model.
    pub(crate) has_local_model: bool,
}

impl Models {
    /// Waits until the first channels have become models, for a few seconds at most: somebody is about to ask.
    pub(crate) async fn wait_for_one(&self) {
        let Some(catalogue) = &self.catalogue else { return };
        for _ in 0..100 {
            if !catalogue.all().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(catalogue.reload().await);
        }
        tracing::warn!("there is no model to chat with: add a channel, fetch the kit, or set OPENAI_API_KEY");
    }
}

impl Running {
    /// Starts `roles` on `node`. With the api role the port is taken before this returns, and served from
    /// [`Self::open`] on: nobody meets a house without its administrator and its first models.
    ///
    /// # Errors
    /// The address is in use, or the streams cannot be made.
    pub(crate) async fn start(config: &Config, node: &Node, roles: &BTreeSet<Role>) -> anyhow::Result<Self> {
        // The publisher makes its own stream; alone, as its own NATS user, it may not touch the others.
        if roles.iter().any(|role| *role != Role::Publisher) {
            nats::streams::ensure(&node.nats, &nats::StreamOptions::default())
                .await
                .context("the streams cannot be made; does this NATS run with JetStream?")?;
        }
        let mut running = Self {
            tasks: JoinSet::new(),
            cancel: CancellationToken::new(),
            http_addr: None,
            models: Models::default(),
            door: None,
        };
        crate::metrics::start(&mut running.tasks, config, node, running.cancel.clone()).await?;
        if roles.contains(&Role::Api) || roles.contains(&Role::Reactions) {
            let (catalogue, has_local_model) = crate::node::catalogue(config, node).await?;
            let following = channels::follow(node.pool.clone(), catalogue.clone(), running.cancel.clone());
            running.tasks.spawn(following);
            crate::routing::start(&mut running.tasks, (config, node), &catalogue, &running.cancel);
            running.models = Models { catalogue: Some(catalogue), has_local_model };
        }
        let catalogue = running.models.catalogue.clone();
        for role in roles {
            match (role, &catalogue) {
                (Role::Handlers, _) => running.handlers(config, node),
                (Role::Projections, _) => running.projections(config, node),
                (Role::Publisher, _) => running.publisher(node),
                (Role::Reactions, Some(catalogue)) => running.reactions(config, node, catalogue),
                (Role::Api, Some(catalogue)) => running.api(config, node, catalogue).await?,
                (Role::Reactions | Role::Api, None) => {}
            }
        }
        Ok(running)
    }

    /// Begins to answer HTTP, where this process does.
    pub(crate) fn open(&mut self) {
        if let Some(door) = self.door.take() {
            // Its task only ends with the process.
            let _ = door.send(());
        }
    }

    /// What this process can ask.
    pub(crate) fn models(&self) -> Models {
        self.models.clone()
    }

    /// Waits until a role ends, which none does by itself.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Ok(Ok(()))) => anyhow::anyhow!("a role ended by itself"),
            Some(Err(error)) => anyhow::anyhow!("a role failed: {error}"),
            None => std::future::pending().await,
        }
    }

    /// Asks all roles to end and waits until they have.
    pub(crate) async fn stop(mut self) {
        self.cancel.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::warn!("a role ended with an error: {error:#}");
            }
        }
    }

    fn handlers(&mut self, config: &Config, node: &Node) {
        let store = PgEventStore::new(node.pool.clone(), node.vault.clone());
        let bus = Bus::new(store, AggregateCache::new(AGGREGATE_CACHE_BYTES), node.nats.clone());
        let letters = DeadLetters::new(node.pool.clone(), node.vault.clone());
        let dispatcher = Arc::new(Dispatcher::new(bus, handlers::plans(), letters));
        let options = nats::ConsumerOptions { partitions: config.partitions, ..nats::ConsumerOptions::default() };
        self.tasks.spawn(nats::run_commands(node.nats.clone(), dispatcher, options, self.cancel.clone()));
        self.tasks.spawn(keep_house(node.clone(), self.cancel.clone()));
    }

    fn projections(&mut self, config: &Config, node: &Node) {
        for projector in projections::with(config.retention()) {
            let Node { pool, nats, vault, .. } = node.clone();
            let (options, cancel) = (projections::RunnerOptions::default(), self.cancel.clone());
            self.tasks.spawn(async move {
                projections::run_projection(pool, nats, vault, projector, options, cancel).await;
                Ok(())
            });
        }
    }

    fn publisher(&mut self, node: &Node) {
        let Node { pool, nats, .. } = node.clone();
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            let (sequencer, publisher) = (nats::SequencerOptions::default(), nats::PublisherOptions::default());
            let capabilities = nats::Capabilities(handlers::capabilities());
            tokio::join!(
                nats::run_sequencer(pool.clone(), Some(nats.clone()), sequencer, cancel.clone()),
                nats::run_publisher(pool, nats, capabilities, publisher, cancel),
            );
            Ok(())
        });
    }

    fn reactions(&mut self, config: &Config, node: &Node, catalogue: &Catalogue) {
        let Node { pool, nats, vault, .. } = node.clone();
        self.tasks.spawn(run_reactor(pool.clone(), nats.clone(), Arc::new(ReplyReactor), self.cancel.clone()));
        self.tasks.spawn(run_reactor(pool.clone(), nats.clone(), Arc::new(ExpiryReactor), self.cancel.clone()));
        self.tasks.spawn(run_reactor(pool.clone(), nats.clone(), Arc::new(UnfinishedReactor), self.cancel.clone()));
        let after_death = match config.after_death {
            AfterDeath::Again => handlers::chat::AfterDeath::Again,
            AfterDeath::Interrupted => handlers::chat::AfterDeath::Interrupted,
        };
        let store = PgEventStore::new(pool.clone(), vault);
        let options = ReplyOptions { after_death, ..ReplyOptions::default() };
        let meter = node.meter(config);
        let (models, recorder) = ((catalogue.clone(), meter.clone()), meter.recorder().clone());
        let replies = ReplyWorker::new(store, node.commands(config), nats.clone(), models, options).shared();
        let expiry = ExpiryWorker::new(node.commands(config), config.expired_holds).shared();
        let unfinished = UnfinishedWorker::new(node.commands(config)).shared();
        let of = |concurrency| JobOptions { concurrency, ..JobOptions::default() };
        // Apart, so that answers under way never keep credit waiting.
        let cancel = self.cancel.clone();
        let ends = vec![expiry, unfinished];
        self.tasks.spawn(run_jobs(pool.clone(), nats.clone(), ends, of(EXPIRIES_AT_ONCE), cancel.clone()));
        let of = of(config.job_concurrency);
        self.tasks.spawn(async move {
            let ended = run_jobs(pool, nats, vec![replies], of, cancel).await;
            recorder.drain(TELL).await;
            ended
        });
    }

    async fn api(&mut self, config: &Config, node: &Node, catalogue: &Catalogue) -> anyhow::Result<()> {
        let listener = listen(config.http_addr)
            .with_context(|| format!("cannot listen on {} (OBLIVIOUS_HTTP_ADDR)", config.http_addr))?;
        self.http_addr = Some(listener.local_addr()?);
        let calls = TaskTracker::new();
        let meter = node.meter(config);
        let recorder = meter.recorder().clone();
        let service = api::service(api::ApiDeps {
            pool: node.read_pool.clone(),
            nats: node.nats.clone(),
            commands: node.commands(config),
            catalogue: catalogue.clone(),
            meter,
            calls: calls.clone(),
            vault: node.vault.clone(),
            metrics: config.metrics_addr.is_none().then(crate::metrics::recorder).transpose()?,
            options: api_options(config),
            shutdown: self.cancel.clone(),
        });
        let (open, opened) = oneshot::channel();
        self.door = Some(open);
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            // Whoever knocks before waits at the port.
            if cancel.run_until_cancelled(opened).await.is_none() {
                return Ok(());
            }
            tokio::select! {
                () = api::serve(listener, service, cancel.clone()) => {}
                // Event streams would keep us for ever; their readers come back elsewhere.
                () = async { cancel.cancelled().await; tokio::time::sleep(HTTP_DRAIN).await } => {}
            }
            // What was consumed is still to be settled; a hold that is not expires.
            calls.close();
            let _ = tokio::time::timeout(SETTLE, calls.wait()).await;
            recorder.drain(TELL).await;
            Ok(())
        });
        Ok(())
    }
}

/// A port with room for a burst of connections: those that find none are tried again by their system a second later.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // What an earlier process left behind keeps nobody from starting again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn api_options(config: &Config) -> api::ApiOptions {
    let mut options = api::ApiOptions::default();
    if let Some(public_url) = &config.public_url {
        options.public_url.clone_from(public_url);
    }
    options.cors_origins.clone_from(&config.cors_origins);
    options.trust_forwarded_for = config.trust_forwarded_for;
    options.currency = config.currency;
    options.signup_grant = config.signup_grant;
    options.drain = Duration::from_secs(u64::from(config.drain_seconds));
    options.allow_link_local = config.allow_link_local;
    options.limits.max_body_bytes = config.max_body_bytes;
    options.limits.max_completion_body_bytes = config.max_completion_body_bytes;
    options.limits.max_upload_bytes = config.max_upload_bytes;
    options.limits.auth_per_ip = api::Quota { burst: config.sign_ins_per_minute, per: Duration::from_secs(60) };
    options.limits.api_requests = api::Quota { burst: config.api_requests_per_minute, per: Duration::from_secs(60) };
    options.limits.api_tokens = api::Quota { burst: config.api_tokens_per_minute, per: Duration::from_secs(60) };
    options
}

/// Forgets, every hour, what has been kept for long enough.
async fn keep_house(node: Node, cancel: CancellationToken) -> anyhow::Result<()> {
    while !cancel.is_cancelled() {
        let now = Utc::now();
        let outcomes = handlers::outcomes::prune(&node.pool, now - OUTCOME_RETENTION).await;
        let jobs = handlers::jobs::prune(&node.pool, now - JOB_RETENTION).await;
        match (outcomes, jobs) {
            (Ok(outcomes), Ok(jobs)) => tracing::debug!(outcomes, jobs, "kept house"),
            (Err(error), _) | (_, Err(error)) => tracing::warn!(%error, "housekeeping waits for Postgres"),
        }
        cancel.run_until_cancelled(tokio::time::sleep(HOUSEKEEPING)).await;
    }
    Ok(())
}
