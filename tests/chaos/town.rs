//! An installation of separate processes on servers of its own, all of which can be killed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use testkit::{TestNats, TestPostgres};
use tokio::sync::Mutex;
use tokio::time::timeout;
use vault::MasterKey;

use crate::client::Client;
use crate::plan::{APIS, PROCESSES};
use crate::process::{Process, Start};
use crate::upstream::{MODEL, Upstream};

pub const ADMIN: (&str, &str) = ("operator@example.org", "a long enough passphrase");
/// Until everything answers at the beginning.
const OPENS_WITHIN: Duration = Duration::from_secs(60);
/// The executable under test, where it is not the one that was built with this test.
const EXECUTABLE: &str = "OBLIVIOUS_TEST_CHAOS_EXECUTABLE";

/// One installation.
pub struct Town {
    pub processes: Vec<Process>,
    pub nats: Mutex<TestNats>,
    /// Outlives the town: the next run takes another database in it.
    pub postgres: Arc<Mutex<TestPostgres>>,
    pub upstream: Upstream,
    pub database_url: String,
    /// For looking only.
    pub pool: PgPool,
    pub master: MasterKey,
    pub bus: async_nats::Client,
    pub data_dir: PathBuf,
}

impl Town {
    /// Starts everything and waits until people can come. Logs go to `folder`.
    pub async fn open(folder: &Path, postgres: Arc<Mutex<TestPostgres>>) -> Self {
        let database_url = postgres.lock().await.create_database().await.expect("a database");
        let (nats, upstream) = tokio::join!(testkit::nats(), Upstream::start());
        let master = MasterKey::generate().expect("randomness");
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy(&database_url).expect("a URL");
        let data_dir = folder.join("data");
        let environment = environment(&database_url, &nats.url, &upstream, &master, &data_dir);
        let start = |(name, roles)| Start {
            name,
            program: program(),
            roles,
            environment: environment.clone(),
            log: folder.join(format!("{name}.log")),
        };
        let processes: Vec<Process> = PROCESSES.map(start).into_iter().map(Process::start).collect();
        let bus = nats.client.clone();
        let nats = Mutex::new(nats);
        let town = Self { processes, nats, postgres, upstream, database_url, pool, master, bus, data_dir };
        timeout(OPENS_WITHIN, town.is_open()).await.expect("the installation opens in time");
        town
    }

    async fn is_open(&self) {
        for process in &self.processes {
            let mut ready = process.ready.clone();
            ready.wait_for(Option::is_some).await.expect("its supervisor lives");
        }
        let mut operator = self.client(0);
        operator.sign_in_surely(ADMIN.0, ADMIN.1).await;
        loop {
            let models = operator.get("models").await;
            if models.is_some_and(|models| models["items"].as_array().is_some_and(|items| !items.is_empty())) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Somebody who prefers the api process of this number.
    pub fn client(&self, api: usize) -> Client {
        Client::new(self.processes[..APIS].iter().map(|process| process.ready.clone()).collect(), api)
    }
}

fn environment(
    database_url: &str,
    nats_url: &str,
    upstream: &Upstream,
    master: &MasterKey,
    data_dir: &Path,
) -> Vec<(&'static str, String)> {
    let data_dir = data_dir.display().to_string();
    let log = std::env::var("OBLIVIOUS_LOG").unwrap_or_else(|_| "info,sqlx=warn,async_nats=warn".to_owned());
    vec![
        ("DATABASE_URL", database_url.to_owned()),
        ("NATS_URL", nats_url.to_owned()),
        ("OBLIVIOUS_DATABASE_CONNECTIONS", "8".to_owned()),
        ("OBLIVIOUS_HTTP_ADDR", "127.0.0.1:0".to_owned()),
        ("OBLIVIOUS_DATA_DIR", data_dir.clone()),
        // No kit there: no local model.
        ("OBLIVIOUS_KIT_DIR", data_dir),
        ("OBLIVIOUS_SECRET_KEY", master.to_base64().to_string()),
        ("OBLIVIOUS_ADMIN_EMAIL", ADMIN.0.to_owned()),
        ("OBLIVIOUS_ADMIN_PASSWORD", ADMIN.1.to_owned()),
        ("OBLIVIOUS_HOLD_SECONDS", "5".to_owned()),
        ("OBLIVIOUS_DRAIN_SECONDS", "1".to_owned()),
        ("OBLIVIOUS_SIGN_INS_PER_MINUTE", "100000".to_owned()),
        ("OBLIVIOUS_LOG", log),
        ("OPENAI_BASE_URL", upstream.base_url()),
        ("OPENAI_MODELS", MODEL.to_owned()),
        ("OPENAI_PRICES", "2.50/10.00".to_owned()),
    ]
}

/// What is under test.
pub fn program() -> PathBuf {
    std::env::var_os(EXECUTABLE).map_or_else(|| env!("CARGO_BIN_EXE_oblivious").into(), PathBuf::from)
}
