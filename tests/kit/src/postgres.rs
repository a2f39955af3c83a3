//! An own Postgres server, durable as in production, for a test that stops it or cuts its connections.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::home::Home;
use crate::postgres_server::{Options, Postgres};

/// Several processes, each with its pools.
const MAX_CONNECTIONS: u32 = 300;
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// A private server; its address and its data survive `kill` and `start_again`, not the drop.
#[derive(Debug)]
pub struct TestPostgres {
    /// Of the database `postgres`; the same after `start_again`.
    pub url: String,
    server: Postgres,
    options: Options,
    _home: Home,
    /// Holds the data; deleted on drop.
    _directory: TempDir,
}

/// Starts a server.
///
/// # Panics
/// The kit is missing, or the server does not start.
pub async fn postgres() -> TestPostgres {
    let kit = crate::kit::Kit::find().unwrap_or_else(|error| panic!("{error:#}: {}", crate::HOW));
    let (directory, home) = crate::home::temporary(&kit).expect("a place for the server");
    let options = Options {
        bin: home.postgres_bin.clone(),
        directory: home.directory.join("postgres"),
        run_as: home.run_as,
        database: "postgres".into(),
        max_connections: MAX_CONNECTIONS,
        durable: true,
    };
    let server = Postgres::start(&options).await.expect("Postgres starts");
    TestPostgres { url: server.url.clone(), server, options, _home: home, _directory: directory }
}

impl TestPostgres {
    /// Makes an empty database and tells its URL.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn create_database(&self) -> sqlx::Result<String> {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let options: PgConnectOptions = self.url.parse()?;
        self.run(&format!("CREATE DATABASE {name}")).await?;
        Ok(options.database(&name).to_url_lossy().to_string())
    }

    /// Deletes the database that `url` names, whoever is connected to it.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn drop_database(&self, url: &str) -> sqlx::Result<()> {
        let options: PgConnectOptions = url.parse()?;
        let Some(name) = options.get_database() else { return Ok(()) };
        self.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
    }

    /// Ends every connection of the installation under test at once, in the middle of whatever it does.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn cut_connections(&self) -> sqlx::Result<()> {
        self.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'oblivious'").await
    }

    async fn run(&self, statement: &str) -> sqlx::Result<()> {
        let mut connection = PgConnection::connect(&self.url).await?;
        connection.execute(statement).await?;
        connection.close().await
    }

    /// Ends the server like a crash (`pg_ctl stop -m immediate`): the next start recovers from the log.
    pub async fn kill(&mut self) {
        self.server.child.signal(Signal::SIGQUIT);
        self.server.child.ended().await;
    }

    /// Starts the server on the same socket and data.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start_again(&mut self) {
        self.server = Postgres::start(&self.options).await.expect("Postgres starts again");
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        self.server.child.signal(Signal::SIGQUIT);
        // Its files go next: nothing may be writing them any more.
        let give_up = Instant::now() + LAST_PATIENCE;
        while self.server.child.exit_status().is_none() && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection as _, Executor as _};

    #[tokio::test]
    async fn what_was_committed_survives_a_crash_of_the_server() {
        let mut server = super::postgres().await;
        let url = server.create_database().await.expect("made");
        let mut connection = sqlx::PgConnection::connect(&url).await.expect("the new database answers");
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number").await.expect("stored");
        server.kill().await;
        assert!(sqlx::PgConnection::connect(&url).await.is_err(), "nobody answers");
        server.start_again().await;
        let mut connection = sqlx::PgConnection::connect(&url).await.expect("the same address answers");
        let number: i32 =
            sqlx::query_scalar("SELECT number FROM kept").fetch_one(&mut connection).await.expect("a row");
        assert_eq!(number, 7);
    }
}
