//! A house with every role in this process, and a client that speaks to its router.

use std::{sync::Arc, time::Duration};

use api::{Api, ApiDeps, ApiLimits, ApiOptions, PasswordCost};
use axum::{
    body::Body,
    http::{Request, StatusCode},
    response::Response,
};
use chrono::{DateTime, Utc};
use domain::billing::ExpiryPolicy;
use handlers::{
    Bus, Dispatcher,
    billing::{ExpiryReactor, ExpiryWorker},
    cache::AggregateCache,
    chat::{ReplyOptions, ReplyReactor, ReplyWorker},
    dead_letters::DeadLetters,
    jobs::{JobOptions, run_jobs},
    reactor::run_reactor,
    store::PgEventStore,
};
use metering::{Catalogue, Meter, MeterOptions};
use metrics_exporter_prometheus::PrometheusBuilder;
use nats::{CommandClient, CommandOptions, StreamOptions};
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::{TestDatabase, TestNats, provider::MockProvider};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt as _;
use uuid::Uuid;
use vault::{MasterKey, Vault};

use crate::channels::TestChannels;
pub(crate) use crate::client::{Client, Reply};

/// Few, so that a test's consumers start at once.
const PARTITIONS: u16 = 2;
/// Where a wait would go on for ever.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running house; everything ends when it is dropped.
pub(crate) struct App {
    /// Built last.
    api: Option<Api>,
    /// What the API reads from; closing it is a database that is away, for the API alone.
    pub(crate) reads: PgPool,
    pub(crate) provider: MockProvider,
    pub(crate) nats: TestNats,
    pub(crate) database: TestDatabase,
    pub(crate) vault: Vault,
    /// The calls of the compatible API under way.
    pub(crate) calls: TaskTracker,
    /// Ends everything; the API alone, if the handlers were started with their own.
    pub(crate) shutdown: CancellationToken,
    catalogue: Catalogue,
    meter: Meter,
    cancel: CancellationToken,
    client: async_nats::Client,
}

/// How a house differs from the usual one.
pub(crate) struct Setup {
    pub(crate) options: ApiOptions,
    pub(crate) streams: StreamOptions,
    /// Without them commands stay in the queue.
    pub(crate) with_handlers: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let limits = ApiLimits {
            // Hashing is not what is tested here.
            password_cost: PasswordCost { memory_kib: 64, passes: 1, lanes: 1 },
            ..ApiLimits::default()
        };
        Self {
            options: ApiOptions { limits, ..ApiOptions::default() },
            streams: StreamOptions::default(),
            with_handlers: true,
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub(crate) async fn start_with(setup: Setup) -> Self {
        let (database, nats, provider) = tokio::join!(testkit::database(), testkit::nats(), MockProvider::start());
        let client = nats.client.clone();
        nats::streams::ensure(&client, &setup.streams).await.expect("the streams are made");
        let vault = Vault::open(database.pool.clone(), MasterKey::generate().unwrap()).await.unwrap();
        let channels = TestChannels::new(provider.base_url(), database.pool.clone(), vault.clone());
        let catalogue = Catalogue::new(Arc::new(channels));
        catalogue.reload().await.unwrap();
        let reads = sqlx::postgres::PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(2))
            .connect_lazy_with((*database.pool.connect_options()).clone());
        let cancel = CancellationToken::new();
        let commands = CommandClient::new(client.clone(), database.pool.clone(), command_options());
        let meter = Meter::new(commands, MeterOptions::default());
        let (calls, shutdown) = (TaskTracker::new(), cancel.child_token());
        let mut app = Self {
            api: None,
            reads,
            provider,
            nats,
            database,
            vault,
            calls,
            shutdown,
            catalogue,
            meter,
            cancel,
            client,
        };
        app.api = Some(app.node(setup.options));
        if setup.with_handlers {
            app.start_handlers();
        }
        app.start_publisher_and_projections();
        app.start_reactions();
        app
    }

    /// A node of this house that answers requests, beside the first one.
    pub(crate) fn node(&self, options: ApiOptions) -> Api {
        api::service(ApiDeps {
            pool: self.reads.clone(),
            nats: self.client.clone(),
            commands: CommandClient::new(self.client.clone(), self.database.pool.clone(), command_options()),
            catalogue: self.catalogue.clone(),
            meter: self.meter.clone(),
            calls: self.calls.clone(),
            vault: self.vault.clone(),
            metrics: Some(PrometheusBuilder::new().build_recorder().handle()),
            shutdown: self.shutdown.clone(),
            options,
        })
    }

    pub(crate) fn start_handlers(&self) {
        let store = PgEventStore::new(self.database.pool.clone(), self.vault.clone());
        let bus = Bus::new(store, AggregateCache::new(8 * 1024 * 1024), self.client.clone());
        let letters = DeadLetters::new(self.database.pool.clone(), self.vault.clone());
        let dispatcher = Arc::new(Dispatcher::new(bus, handlers::plans(), letters));
        let options = nats::ConsumerOptions { partitions: PARTITIONS, ..nats::ConsumerOptions::default() };
        tokio::spawn(nats::run_commands(self.client.clone(), dispatcher, options, self.cancel.clone()));
    }

    fn start_publisher_and_projections(&self) {
        let (pool, client, cancel) = (self.database.pool.clone(), self.client.clone(), self.cancel.clone());
        let sequencer = nats::SequencerOptions::default();
        tokio::spawn(nats::run_sequencer(pool.clone(), Some(client.clone()), sequencer, cancel.clone()));
        let capabilities = nats::Capabilities(handlers::capabilities());
        let publisher = nats::PublisherOptions::default();
        tokio::spawn(nats::run_publisher(pool.clone(), client.clone(), capabilities, publisher, cancel.clone()));
        for projector in projections::all() {
            let (pool, client, vault, cancel) = (pool.clone(), client.clone(), self.vault.clone(), cancel.clone());
            let options = projections::RunnerOptions::default();
            tokio::spawn(projections::run_projection(pool, client, vault, projector, options, cancel));
        }
    }

    fn start_reactions(&self) {
        let (pool, client, cancel) = (self.database.pool.clone(), self.client.clone(), self.cancel.clone());
        tokio::spawn(run_reactor(pool.clone(), client.clone(), Arc::new(ReplyReactor), cancel.clone()));
        tokio::spawn(run_reactor(pool.clone(), client.clone(), Arc::new(ExpiryReactor), cancel.clone()));
        let store = PgEventStore::new(pool.clone(), self.vault.clone());
        let commands = CommandClient::new(client.clone(), pool.clone(), command_options());
        let options = ReplyOptions::default();
        let expiry = ExpiryWorker::new(commands.clone(), ExpiryPolicy::Release).shared();
        let models = (self.catalogue.clone(), self.meter.clone());
        let replies = ReplyWorker::new(store, commands, client.clone(), models, options).shared();
        tokio::spawn(run_jobs(pool, client, vec![replies, expiry], JobOptions::default(), cancel));
    }

    /// An access token of this house for some device of `user`.
    pub(crate) fn token(&self, user: Uuid, until: DateTime<Utc>) -> String {
        self.token_as("user", user, until)
    }

    fn token_as(&self, role: &str, user: Uuid, until: DateTime<Utc>) -> String {
        let key = jsonwebtoken::EncodingKey::from_secret(&self.vault.access_token_key());
        let claims = json!({
            "iss": "oblivious", "aud": "oblivious-api", "sub": user, "device": Uuid::now_v7(), "role": role,
            "exp": until.timestamp(), "iat": until.timestamp() - 900, "jti": Uuid::now_v7(),
        });
        let header = jsonwebtoken::Header { typ: Some("at+jwt".into()), ..jsonwebtoken::Header::default() };
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    }

    /// Sends a request as it is.
    pub(crate) async fn raw(&self, request: Request<Body>) -> Response {
        self.api.clone().expect("the house is built").oneshot(request).await.unwrap()
    }

    /// A client with this API key or token.
    pub(crate) fn bearer(&self, token: &str) -> Client<'_> {
        Client { app: self, token: Some(token.to_owned()), headers: vec![] }
    }

    /// A client that nobody knows.
    pub(crate) fn anyone(&self) -> Client<'_> {
        Client { app: self, token: None, headers: vec![] }
    }

    /// Registers somebody new and lets them in as an operator.
    pub(crate) async fn admin(&self, name: &str) -> User<'_> {
        let user = self.user(name).await;
        let token = self.token_as("admin", user.id, Utc::now() + chrono::TimeDelta::minutes(10));
        User { token, ..user }
    }

    /// Registers and signs in somebody new.
    pub(crate) async fn user(&self, name: &str) -> User<'_> {
        let (email, password) = (format!("{name}@example.org"), "correct horse battery staple".to_owned());
        let body = json!({ "email": email, "username": name, "password": password });
        let registered = self.anyone().post("/api/v1/auth/register", body).await;
        assert_eq!(registered.status, StatusCode::CREATED, "{:?}", registered.body);
        let body = json!({ "email": email, "password": password });
        let signed_in = self.anyone().post("/api/v1/auth/login", body).await;
        assert_eq!(signed_in.status, StatusCode::OK, "{:?}", signed_in.body);
        User {
            id: signed_in.body["user"]["id"].as_str().unwrap().parse().unwrap(),
            token: signed_in.text("access_token"),
            refresh_token: signed_in.text("refresh_token"),
            email,
            password,
            app: self,
        }
    }
}

pub(crate) fn command_options() -> CommandOptions {
    CommandOptions { partitions: PARTITIONS, ..CommandOptions::default() }
}

/// Somebody who is signed in.
pub(crate) struct User<'a> {
    pub(crate) id: Uuid,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    pub(crate) email: String,
    pub(crate) password: String,
    app: &'a App,
}

impl<'a> User<'a> {
    pub(crate) fn client(&self) -> Client<'a> {
        Client { app: self.app, token: Some(self.token.clone()), headers: vec![] }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.client().get(path).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.client().post(path, body).await
    }

    /// Starts a conversation.
    pub(crate) async fn session(&self) -> String {
        let created = self.post("/api/v1/sessions", json!({})).await;
        assert_eq!(created.status, StatusCode::CREATED, "{:?}", created.body);
        created.text("id")
    }

    /// Says something; the answer holds the ids.
    pub(crate) async fn say(&self, session: &str, content: &str) -> Reply {
        let path = format!("/api/v1/sessions/{session}/messages");
        let key = Uuid::now_v7().to_string();
        let sent = self.client().header("idempotency-key", &key).post(&path, json!({ "content": content })).await;
        assert_eq!(sent.status, StatusCode::CREATED, "{:?}", sent.body);
        sent
    }

    /// The run once `is_it` holds.
    pub(crate) async fn wait_for_run(&self, run: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/api/v1/runs/{run}");
        let waiting = async {
            loop {
                let reply = self.get(&path).await;
                if reply.status == StatusCode::OK && is_it(&reply.body) {
                    return reply.body;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("the run comes to where the test waits for it")
    }

    /// Moves money into or out of somebody's wallet.
    pub(crate) async fn move_money(&self, kind: &str, user: Uuid, amount_nanos: &str) -> Reply {
        let path = format!("/api/v1/admin/users/{user}/{kind}");
        let body = json!({ "amount_nanos": amount_nanos, "reason": "a test" });
        let key = Uuid::now_v7().to_string();
        let moved = self.client().header("idempotency-key", &key).post(&path, body).await;
        assert_eq!(moved.status, StatusCode::CREATED, "{:?}", moved.body);
        moved
    }

    /// A new API key with these scopes; the answer has it with its id.
    pub(crate) async fn api_key(&self, scopes: &[&str]) -> Reply {
        let made = self.post("/api/v1/api-keys", json!({ "name": "test", "scopes": scopes })).await;
        assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
        made
    }

    /// Nano-units of `what` in this wallet.
    pub(crate) async fn nanos(&self, what: &str) -> i64 {
        let wallet = self.get("/api/v1/wallet").await;
        assert_eq!(wallet.status, StatusCode::OK, "{:?}", wallet.body);
        wallet.text(what).parse().unwrap()
    }

    /// Waits until nothing is held in this wallet.
    pub(crate) async fn wait_until_settled(&self) {
        let settled = async {
            while self.nanos("held_nanos").await != 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("every hold is settled or released");
    }

    /// Waits until the run is over.
    pub(crate) async fn wait_for_end(&self, run: &str) -> Value {
        self.wait_for_run(run, |run| !["pending", "streaming"].contains(&run["status"].as_str().unwrap())).await
    }
}
