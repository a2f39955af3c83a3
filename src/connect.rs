//! Connections to the servers, private or configured.

use std::str::FromStr as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::secret::Secret;

/// A transaction that its owner forgot, or whose process hangs, may not hold back vacuum and locks for longer.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "60s";
/// The oldest server with everything that the schema uses.
const OLDEST_POSTGRES: i32 = 170_000;

/// Set by tests of separate processes, whose shared Postgres is fast and forgetful.
const UNSAFE_DATABASE: &str = "OBLIVIOUS_TEST_UNSAFE_DATABASE";

/// Connects to Postgres and refuses one that could lose what it acknowledged.
///
/// # Errors
/// The server does not answer, is older than 17, or runs with `fsync = off`.
pub(crate) async fn postgres(url: &Secret, connections: u32) -> anyhow::Result<PgPool> {
    // The library's error could repeat the URL, password and all.
    let options = PgConnectOptions::from_str(url.expose()).ok().context("DATABASE_URL is not a postgres:// URL")?;
    let options = options
        .application_name("oblivious")
        .options([("synchronous_commit", "on"), ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT)]);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(options)
        .await
        .context("Postgres does not answer")?;
    let (version, fsync): (String, String) =
        sqlx::query_as("SELECT current_setting('server_version_num'), current_setting('fsync')")
            .fetch_one(&pool)
            .await?;
    if version.parse::<i32>().is_ok_and(|version| version < OLDEST_POSTGRES) {
        bail!("this Postgres is too old (server_version_num {version}): 17 or newer is needed");
    }
    if fsync != "on" && std::env::var_os(UNSAFE_DATABASE).is_none() {
        bail!("this Postgres runs with fsync = off: it could lose what was acknowledged. Turn it on");
    }
    Ok(pool)
}

/// Connects to NATS (one URL, or several of one cluster separated by commas), with the user and password of the first;
/// the library does not read them from there. It connects again by itself for as long as it takes.
///
/// # Errors
/// No server answers, or the password is wrong.
pub(crate) async fn nats(url: &Secret) -> anyhow::Result<async_nats::Client> {
    nats_with(url, |options| options).await
}

/// The same with further options.
///
/// # Errors
/// As [`nats`].
pub(crate) async fn nats_with(
    url: &Secret,
    further: impl FnOnce(ConnectOptions) -> ConnectOptions,
) -> anyhow::Result<async_nats::Client> {
    let servers = url.expose().split(',').map(|one| one.trim().parse()).collect::<Result<Vec<ServerAddr>, _>>();
    // The library's error could repeat the URL, password and all.
    let servers = servers.ok().context("NATS_URL is not a list of nats:// URLs")?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut options = ConnectOptions::new().name("oblivious").connection_timeout(Duration::from_secs(5));
    match servers.first().map(|server| (server.username(), server.password())) {
        Some((Some(user), Some(password))) => options = options.user_and_password(decoded(user), decoded(password)),
        Some((Some(token), None)) => options = options.token(decoded(token)),
        _ => {}
    }
    further(options).connect(servers).await.map_err(|error| anyhow::anyhow!("NATS does not answer: {}", error.kind()))
}
