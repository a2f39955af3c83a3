//! Private Postgres and NATS as supervised children: no Docker, no root, no installation.
//!
//! Promise: after `start` both servers answer, whatever the process before us left behind; while we live, a server that
//! dies is started again; `shutdown` ends them in order; and when we die without a word, so do they (Linux).
//! A server whose URL is configured is not started.

mod child;
mod files;
mod home;
mod keep;
mod kit;
mod nats;
mod postgres;
mod running;
mod stale;

use tokio::sync::mpsc;

use crate::config::Config;
use crate::secret::Secret;
use home::Home;
use keep::Kept;
use nats::Nats;
use postgres::Postgres;

pub(crate) use home::{in_use_by, unprivileged_user};
pub(crate) use kit::Kit;
pub(crate) use running::running_services;

const DATABASE: &str = "oblivious";
/// Enough for all roles in one process and a few tools beside.
const MAX_CONNECTIONS: u32 = 200;
/// Every test process has pools of its own.
const TEST_MAX_CONNECTIONS: u32 = 300;

/// The servers to work with, private or configured.
#[derive(Debug)]
pub(crate) struct Embedded {
    pub(crate) database_url: Secret,
    pub(crate) nats_url: Secret,
    /// Sentences for the console.
    pub(crate) notes: Vec<String>,
    postgres: Option<Kept>,
    nats: Option<Kept>,
    failures: mpsc::Receiver<anyhow::Error>,
    _announced: Option<running::Announcement>,
    /// Keeps other processes off the data directory.
    _home: Option<Home>,
}

/// Starts what is not configured.
///
/// # Errors
/// There is no kit, the data directory is in use or belongs to somebody else, or a server does not start.
pub(crate) async fn start(config: &Config) -> anyhow::Result<Embedded> {
    let (tell, failures) = mpsc::channel(2);
    if let (Some(database_url), Some(nats_url)) = (config.database_url.clone(), config.nats_url.clone()) {
        let notes = Vec::new();
        let (postgres, nats, _announced, _home) = (None, None, None, None);
        return Ok(Embedded { database_url, nats_url, notes, postgres, nats, failures, _announced, _home });
    }
    let mut home = Home::prepare(&std::path::absolute(&config.data_dir)?, &Kit::find()?)?;
    let started = tokio::join!(
        start_postgres(config.database_url.clone(), &home, &tell),
        start_nats(config.nats_url.clone(), &home, &tell),
    );
    let ((database_url, postgres), (nats_url, nats)) = match started {
        (Ok(postgres), Ok(nats)) => (postgres, nats),
        (postgres, nats) => return Err(stop_the_other(postgres, nats).await),
    };
    let notes = std::mem::take(&mut home.notes);
    let _announced = Some(running::Announcement::write(&config.data_dir, &database_url, &nats_url)?);
    Ok(Embedded { database_url, nats_url, notes, postgres, nats, failures, _announced, _home: Some(home) })
}

/// One server did not start: the other is not left behind.
async fn stop_the_other(postgres: anyhow::Result<Started>, nats: anyhow::Result<Started>) -> anyhow::Error {
    let mut errors = Vec::new();
    for started in [nats, postgres] {
        match started {
            Ok((_, Some(server))) => server.stop().await,
            Ok((_, None)) => {}
            Err(error) => errors.push(error),
        }
    }
    errors.pop().unwrap_or_else(|| anyhow::anyhow!("the embedded servers did not start"))
}

type Started = (Secret, Option<Kept>);

async fn start_postgres(
    url: Option<Secret>,
    home: &Home,
    tell: &mpsc::Sender<anyhow::Error>,
) -> anyhow::Result<Started> {
    if let Some(url) = url {
        return Ok((url, None));
    }
    let options = postgres::Options {
        bin: home.postgres_bin.clone(),
        directory: home.directory.join("postgres"),
        run_as: home.run_as,
        database: DATABASE.into(),
        max_connections: MAX_CONNECTIONS,
        durable: true,
    };
    let server = Postgres::start(&options).await?;
    Ok((Secret::new(server.url.clone()), Some(Kept::new(server, options, tell.clone()))))
}

async fn start_nats(url: Option<Secret>, home: &Home, tell: &mpsc::Sender<anyhow::Error>) -> anyhow::Result<Started> {
    if let Some(url) = url {
        return Ok((url, None));
    }
    let directory = home.directory.join("nats");
    stale::stop(&directory.join("nats.pid"), &directory.join("server.conf")).await?;
    let mut options = nats::Options {
        program: home.nats_server.clone(),
        directory,
        run_as: home.run_as,
        password: Some(new_password()?),
        port: 0,
    };
    let server = Nats::start(&options).await?;
    // Clients know the port: one that is started again must be found there.
    options.port = server.port;
    Ok((Secret::new(server.url.clone()), Some(Kept::new(server, options, tell.clone()))))
}

/// Hexadecimal, so that it needs no quoting anywhere.
fn new_password() -> anyhow::Result<String> {
    let mut password = [0_u8; 24];
    getrandom::fill(&mut password).map_err(|error| anyhow::anyhow!("the system gives no randomness: {error}"))?;
    Ok(hex::encode(password))
}

impl Embedded {
    /// Waits until a server is lost for good; never returns while all is well.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.failures.recv().await {
            Some(error) => error,
            // No server is in our care, so none can fail.
            None => std::future::pending().await,
        }
    }

    /// Ends the servers in order: first the one that hands out work, then the one that keeps it.
    pub(crate) async fn shutdown(self) {
        for server in [self.nats, self.postgres].into_iter().flatten() {
            server.stop().await;
        }
    }
}

/// A Postgres in a temporary directory, for tests.
#[derive(Debug)]
pub(crate) struct TestServices {
    pub(crate) database_url: Secret,
    server: Postgres,
    _home: Home,
    _directory: tempfile::TempDir,
}

impl TestServices {
    /// Starts it; without fsync unless it is to be `durable`: it is faster, and nothing in it is worth keeping.
    ///
    /// # Errors
    /// There is no kit, or the server does not start.
    pub(crate) async fn start(kit: &Kit, durable: bool) -> anyhow::Result<Self> {
        let (directory, home) = home::temporary(kit)?;
        let options = postgres::Options {
            bin: home.postgres_bin.clone(),
            directory: home.directory.join("postgres"),
            run_as: home.run_as,
            database: "postgres".into(),
            max_connections: TEST_MAX_CONNECTIONS,
            durable,
        };
        let server = Postgres::start(&options).await?;
        Ok(Self { database_url: Secret::new(server.url.clone()), server, _home: home, _directory: directory })
    }

    /// Ends the server; its directory goes with this value.
    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}
