//! What the executable gives the API, its limits, and the pieces of state that routes take (by `FromRef`).

use std::{ops::Deref, sync::Arc, time::Duration};

use axum::extract::FromRef;
use domain::billing::{Currency, Nanos};
use metering::{Catalogue, Meter};
use metrics_exporter_prometheus::PrometheusHandle;
use nats::CommandClient;
use sqlx::PgPool;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use vault::Vault;

use crate::{
    auth::Auth,
    billing::LedgerCurrency,
    chat::{Streams, Whereabouts},
    commands::Bus,
    holder::Holders,
    read::Reads,
    relay::Upstreams,
    served::{ApiRate, Calls, Signatures},
    users::{Cookies, KeyGrants, PasswordCost, Passwords, Quota, Throttle},
};

/// Everything outside that the API talks to.
#[derive(Clone)]
pub struct ApiDeps {
    /// Reads only. Its acquire time-out bounds how long a read waits for a database that is away: keep it near 2 s.
    pub pool: PgPool,
    /// Live text, hints, stop requests.
    pub nats: async_nats::Client,
    pub commands: CommandClient,
    /// What can be asked, of whom and at which price.
    pub catalogue: Catalogue,
    /// Holds credit for calls of the compatible API and settles them.
    pub meter: Meter,
    /// Calls of the compatible API run here, whoever listens. After `shutdown` close it and wait for it, for a bounded
    /// time: then their settlements are on the way.
    pub calls: TaskTracker,
    pub vault: Vault,
    /// What `GET /metrics` shows; nothing where metrics have an address of their own.
    pub metrics: Option<PrometheusHandle>,
    /// Open streams and calls end when it is cancelled, so that the server can go.
    pub shutdown: CancellationToken,
    pub options: ApiOptions,
}

/// How this installation is reached, and its limits.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// As browsers see it; cookies are `Secure` where it begins with `https:`.
    pub public_url: String,
    /// Pages on other hosts that may call the API; none by default.
    pub cors_origins: Vec<String>,
    /// Take the client's address from the last `X-Forwarded-For` entry: only behind a proxy that sets it.
    pub trust_forwarded_for: bool,
    /// Of the ledger: one for the whole installation.
    pub currency: Currency,
    /// What every new account is given; nothing if zero.
    pub signup_grant: Nanos,
    /// How long a stream of the compatible API is read on for a client that has gone.
    pub drain: Duration,
    /// Whether channels may name addresses of the link-local range, where clouds keep their machines' credentials.
    pub allow_link_local: bool,
    pub limits: ApiLimits,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            cors_origins: vec![],
            trust_forwarded_for: false,
            currency: Currency::USD,
            signup_grant: Nanos::ONE,
            drain: Duration::from_secs(30),
            allow_link_local: false,
            limits: ApiLimits::default(),
        }
    }
}

/// Every limit of the API.
#[derive(Debug, Clone)]
pub struct ApiLimits {
    /// Of a request, in bytes; beyond it 413.
    pub max_body_bytes: usize,
    /// Of a call of the compatible API, which carries whole conversations and pictures; beyond it 413.
    pub max_completion_body_bytes: usize,
    /// Of a call with files, such as recordings; beyond it 413.
    pub max_upload_bytes: usize,
    /// Of all such calls under way on this node; beyond it 503. In memory they take several times as much.
    pub completion_bytes_under_way: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Requests being answered at the same time, open streams not counted; beyond it 503.
    pub concurrency: usize,
    /// How long a write waits for its outcome before it becomes a 202.
    pub command_wait: Duration,
    /// How long a read waits for the read model to have seen the caller's own write.
    pub read_your_writes_wait: Duration,
    /// How long what an API key may do is believed without looking again, where no event says that it was revoked.
    pub key_belief: Duration,
    /// Event streams of one user on this node; beyond it 429.
    pub streams_per_user: usize,
    /// How long a stream outlives its access token; the page reconnects with a new one.
    pub stream_grace: Duration,
    /// Sign-ins and registrations from one address.
    pub auth_per_ip: Quota,
    /// Sign-ins to one account from one address.
    pub auth_per_account: Quota,
    /// Calls of the compatible API by one account on this node; beyond it 429.
    pub api_requests: Quota,
    /// Tokens of input, as counted before the call, that one account may send to the compatible APIs.
    pub api_tokens: Quota,
    pub password_cost: PasswordCost,
    /// Passwords being hashed at the same time; each takes the memory of `password_cost`.
    pub password_workers: usize,
    /// Passwords waiting for that; beyond it 503.
    pub password_queue: usize,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1024 * 1024,
            max_completion_body_bytes: 16 * 1024 * 1024,
            max_upload_bytes: 32 * 1024 * 1024,
            completion_bytes_under_way: 128 * 1024 * 1024,
            body_timeout: Duration::from_secs(30),
            concurrency: 1024,
            command_wait: Duration::from_secs(5),
            read_your_writes_wait: Duration::from_secs(2),
            key_belief: Duration::from_secs(2),
            streams_per_user: 32,
            stream_grace: Duration::from_secs(15 * 60),
            auth_per_ip: Quota { burst: 300, per: Duration::from_secs(60) },
            auth_per_account: Quota { burst: 20, per: Duration::from_secs(60) },
            api_requests: Quota { burst: 600, per: Duration::from_secs(60) },
            api_tokens: Quota { burst: 10_000_000, per: Duration::from_secs(60) },
            password_cost: PasswordCost::default(),
            password_workers: std::thread::available_parallelism().map_or(2, usize::from),
            password_queue: 64,
        }
    }
}

/// Declares the pieces of the state, and how a handler takes each.
macro_rules! pieces {
    ($($name:ident: $piece:ty,)*) => {
        /// What handlers take.
        pub(crate) struct Pieces {
            $(pub(crate) $name: $piece,)*
        }

        $(impl FromRef<App> for $piece {
            fn from_ref(app: &App) -> Self {
                Clone::clone(&app.$name)
            }
        })*
    };
}

pieces! {
    auth: Auth,
    bus: Bus,
    calls: Calls,
    catalogue: Catalogue,
    client: async_nats::Client,
    cookies: Cookies,
    currency: LedgerCurrency,
    holders: Holders,
    keys: KeyGrants,
    meter: Meter,
    metrics: Option<PrometheusHandle>,
    passwords: Passwords,
    rate: Arc<ApiRate>,
    reads: Reads,
    signup_grant: SignupGrant,
    streams: Streams,
    throttle: Throttle,
    upstreams: Upstreams,
    vault: Vault,
    whereabouts: Whereabouts,
}

/// The state of the router; a handler takes the pieces that it needs. A pointer and no more, because every layer of every
/// route has its own, and all of them are cloned for each request.
#[derive(Clone)]
pub(crate) struct App(Arc<Pieces>);

impl Deref for App {
    type Target = Pieces;

    fn deref(&self) -> &Pieces {
        &self.0
    }
}

/// What every new account is given.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignupGrant(pub(crate) Nanos);

impl App {
    pub(crate) fn new(deps: ApiDeps) -> Self {
        let ApiDeps { pool, nats, commands, catalogue, meter, calls, vault, metrics, shutdown, options } = deps;
        let limits = &options.limits;
        let auth = Auth::new(&vault, pool.clone());
        let keys = KeyGrants::new(pool.clone(), limits.key_belief);
        let allow_link_local = options.allow_link_local;
        Self(Arc::new(Pieces {
            bus: Bus::new(commands, limits.command_wait),
            calls: Calls::new(
                (catalogue.clone(), meter.clone(), Signatures::new(vault.clone(), nats.clone())),
                calls,
                options.drain,
                limits.completion_bytes_under_way,
                shutdown.clone(),
            ),
            catalogue,
            cookies: Cookies::new(&options.public_url),
            currency: LedgerCurrency(options.currency),
            holders: Holders::new(auth.clone(), keys.clone()),
            keys,
            auth,
            meter,
            metrics,
            rate: Arc::new(ApiRate::new(limits.api_requests, limits.api_tokens)),
            signup_grant: SignupGrant(options.signup_grant),
            upstreams: Upstreams(relay::AddressPolicy { allow_link_local }),
            passwords: Passwords::new(limits.password_cost, limits.password_workers, limits.password_queue),
            reads: Reads::new(pool, limits.read_your_writes_wait),
            streams: Streams::new(limits.streams_per_user, limits.stream_grace, shutdown),
            throttle: Throttle::new(&options),
            client: nats,
            vault,
            whereabouts: Whereabouts::default(),
        }))
    }
}
