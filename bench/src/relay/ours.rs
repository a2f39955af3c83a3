//! An installation of the real executable, its api role a process of its own, and the people who call it.
//!
//! Promise: nothing is left out. Keys are checked, limits counted, an upstream is chosen, credit is held before each call
//! and settled after it through the ordinary commands, events are published and projected. Everybody has a wallet of
//! their own, as in an installation of many users.

mod client;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::json;
use testkit::{TestDatabase, TestNats};
use tokio::process::Command;

use super::child::{Core, Running, command};
use super::contestant::{Contestant, GATEWAY};
use super::job::{Group, Target};
use super::processes::{named, parent_of};
use client::Client;

/// Has a price, so that each call is held and settled.
pub(crate) const PRICED: &str = "m";
/// Costs nothing.
pub(crate) const FREE: &str = "free";

const ADMIN: (&str, &str) = ("operator@example.org", "a long enough passphrase");
const OTHER_ROLES: &str = "handlers,publisher,projections,reactions";
const STARTS_WITHIN: Duration = Duration::from_secs(90);
/// Passwords are hashed by every processor that there is.
const SIGN_UPS_AT_ONCE: usize = 4;

/// One installation.
pub(crate) struct Ours {
    keys: Vec<String>,
    address: SocketAddr,
    groups: Vec<Group>,
    processes: [Running; 2],
    _nats: TestNats,
    _database: TestDatabase,
}

/// The executable that is measured: the one beside this one.
///
/// # Errors
/// It was not built.
pub(crate) fn executable() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("oblivious");
    ensure!(path.is_file(), "{} is missing: build it alike, `make bench-relay` does", path.display());
    Ok(path)
}

impl Ours {
    /// Starts everything, and registers so many people. `api` is a command that runs the api role.
    ///
    /// # Errors
    /// Something does not start.
    pub(crate) async fn open(
        executable: &Path,
        mut api: Command,
        upstream: SocketAddr,
        folder: &Path,
        people: usize,
    ) -> anyhow::Result<Self> {
        // The executable brings its schema along, whichever release it is.
        let (database, nats) = tokio::join!(testkit::empty_database(), testkit::nats());
        let environment = environment(&database, &nats, upstream, folder);
        let mut others = command(executable, Core::Any);
        others.args(["serve", "--roles", OTHER_ROLES]).envs(&environment);
        let mut others = Running::start(others, folder, "other-roles")?;
        others.says("Ready", STARTS_WITHIN).await?;
        api.envs(&environment);
        let mut api = Running::start(api, folder, "api")?;
        let address = api.says("Ready: http://", STARTS_WITHIN).await?.parse()?;
        let keys = keys(address, upstream, people).await.context("nobody could be registered")?;
        let groups = vec![
            Group { name: GATEWAY.to_owned(), roots: vec![api.pid] },
            Group { name: "the other roles".to_owned(), roots: vec![others.pid] },
            Group { name: "NATS".to_owned(), roots: named("nats-server", &[std::process::id()]) },
            Group { name: "Postgres".to_owned(), roots: vec![postgres(&database).await?] },
        ];
        Ok(Self { keys, address, groups, processes: [api, others], _nats: nats, _database: database })
    }

    /// Asked for one of its models.
    pub(crate) fn contestant(&self, name: &str, model: &str) -> Contestant {
        Contestant::new(name, self.target(model), self.groups.clone())
    }

    /// The process of the api role.
    pub(crate) const fn api(&self) -> u32 {
        self.processes[0].pid
    }

    pub(crate) fn target(&self, model: &str) -> Target {
        Target { address: self.address, model: model.to_owned(), keys: self.keys.clone(), headers: vec![] }
    }
}

/// The defaults, but for limits that are there to be reached by one person.
fn environment(
    database: &TestDatabase,
    nats: &TestNats,
    upstream: SocketAddr,
    folder: &Path,
) -> BTreeMap<&'static str, String> {
    let data = folder.join("data").display().to_string();
    [
        ("DATABASE_URL", database.url.clone()),
        ("NATS_URL", nats.url.clone()),
        ("OBLIVIOUS_HTTP_ADDR", "127.0.0.1:0".to_owned()),
        ("OBLIVIOUS_DATA_DIR", data.clone()),
        // No kit there: no local model.
        ("OBLIVIOUS_KIT_DIR", data),
        ("OBLIVIOUS_ADMIN_EMAIL", ADMIN.0.to_owned()),
        ("OBLIVIOUS_ADMIN_PASSWORD", ADMIN.1.to_owned()),
        ("OBLIVIOUS_SIGNUP_GRANT", "100000".to_owned()),
        ("OBLIVIOUS_SIGN_INS_PER_MINUTE", "100000".to_owned()),
        ("OBLIVIOUS_API_REQUESTS_PER_MINUTE", "10000000".to_owned()),
        ("OPENAI_API_KEY", "sk-upstream".to_owned()),
        ("OPENAI_BASE_URL", format!("http://{upstream}/v1")),
        ("OPENAI_MODELS", PRICED.to_owned()),
        ("OPENAI_PRICES", "2.50/10.00".to_owned()),
        // Looked at by `Server::ask`: figures of a forgetful one are not written down.
        ("OBLIVIOUS_TEST_UNSAFE_DATABASE", "1".to_owned()),
    ]
    .into()
}

/// A key of each of so many people who can use both models.
async fn keys(address: SocketAddr, upstream: SocketAddr, people: usize) -> anyhow::Result<Vec<String>> {
    let mut operator = Client::new(address);
    operator.sign_in(ADMIN.0, ADMIN.1).await?;
    let free = json!({
        "name": "free",
        "provider": "openai",
        "base_url": format!("http://{upstream}/v1"),
        "keys": ["sk-upstream"],
        "models": [{"name": FREE, "upstream": "bench-upstream"}],
        "prices": {FREE: {"input": "0", "output": "0"}},
    });
    operator.post("admin/channels", &free).await?;
    let register = |number: usize| async move {
        let mut person = Client::new(address);
        let (email, password) = (format!("caller{number}@example.org"), "a long enough passphrase");
        let new = json!({"email": email, "username": format!("caller{number}"), "password": password});
        person.post("auth/register", &new).await?;
        person.sign_in(&email, password).await?;
        person.wait_for_model(FREE).await?;
        let key = person.post("api-keys", &json!({"name": "bench"})).await?;
        key["key"].as_str().map(str::to_owned).context("a key without its text")
    };
    futures::stream::iter(0..people).map(register).buffered(SIGN_UPS_AT_ONCE).try_collect().await
}

/// The process that starts Postgres' other processes.
async fn postgres(database: &TestDatabase) -> anyhow::Result<u32> {
    let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&database.pool).await?;
    parent_of(u32::try_from(backend)?).context("Postgres runs elsewhere")
}
