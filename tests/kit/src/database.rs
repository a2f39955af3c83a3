//! A database per test, copied from a template that holds every migration.

use std::str::FromStr as _;

use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use uuid::Uuid;

/// Any fixed number: whoever makes the template holds this advisory lock.
const TEMPLATE_LOCK: i64 = 0x0b11_0105_7e57;

/// An own database with all migrations applied; dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    /// At most 10 connections.
    pub pool: PgPool,
    /// For code that opens connections of its own.
    pub url: String,
    name: String,
    admin: PgConnectOptions,
}

/// Makes a database with all migrations applied.
///
/// # Panics
/// `OBLIVIOUS_TEST_DATABASE_URL` is missing, or the server does not answer.
pub async fn database() -> TestDatabase {
    let admin = admin();
    let mut connection = connect(&admin).await;
    let template = template(&admin, &mut connection).await;
    create(&admin, &mut connection, &template).await
}

/// Makes a database without any table, for tests of migrations themselves.
///
/// # Panics
/// As [`database`].
pub async fn empty_database() -> TestDatabase {
    let admin = admin();
    let mut connection = connect(&admin).await;
    create(&admin, &mut connection, "template0").await
}

impl TestDatabase {
    /// A copy with everything in it, file by file, so that large ones are copied fast. Nobody may be connected to the
    /// original: its own pool is closed.
    ///
    /// # Panics
    /// As [`database`].
    pub async fn copy(&self) -> Self {
        self.pool.close().await;
        let mut connection = connect(&self.admin).await;
        disconnect_all(&mut connection, &self.name).await;
        create(&self.admin, &mut connection, &format!("{} STRATEGY file_copy", self.name)).await
    }
}

async fn create(admin: &PgConnectOptions, connection: &mut PgConnection, template: &str) -> TestDatabase {
    let name = format!("test_{}", Uuid::now_v7().simple());
    execute(connection, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    let options = admin.clone().database(&name);
    let url = options.to_url_lossy().to_string();
    let pool = PgPoolOptions::new().max_connections(10).connect_with(options).await.expect("the new database answers");
    TestDatabase { pool, url, name, admin: admin.clone() }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let admin = self.admin.clone();
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A runtime of its own: that of the test may be single-threaded and is busy with this very drop. What fails is
        // left to the end of the whole server.
        let drop = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect_with(&admin).await?;
                connection.execute(statement.as_str()).await?;
                connection.close().await?;
                anyhow::Ok(())
            })
        });
        let _ = drop.join();
    }
}

fn admin() -> PgConnectOptions {
    let url = std::env::var("OBLIVIOUS_TEST_DATABASE_URL")
        .unwrap_or_else(|_| panic!("OBLIVIOUS_TEST_DATABASE_URL is not set: {}", crate::HOW));
    PgConnectOptions::from_str(&url).expect("OBLIVIOUS_TEST_DATABASE_URL is a postgres:// URL")
}

async fn connect(admin: &PgConnectOptions) -> PgConnection {
    match PgConnection::connect_with(admin).await {
        Ok(connection) => connection,
        Err(error) => panic!("the test database server does not answer ({error}): {}", crate::HOW),
    }
}

async fn execute(connection: &mut PgConnection, statement: &str) {
    if let Err(error) = connection.execute(statement).await {
        panic!("{statement}: {error}");
    }
}

/// The template of exactly these migrations, made by whoever comes first.
async fn template(admin: &PgConnectOptions, connection: &mut PgConnection) -> String {
    let name = format!("template_{}", fingerprint());
    if exists(connection, &name).await {
        return name;
    }
    execute(connection, &format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})")).await;
    if !exists(connection, &name).await {
        let unfinished = format!("{name}_unfinished");
        execute(connection, &format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)")).await;
        execute(connection, &format!("CREATE DATABASE {unfinished} TEMPLATE template0")).await;
        let pool = PgPoolOptions::new().max_connections(1).connect_with(admin.clone().database(&unfinished)).await;
        let pool = pool.expect("the new template answers");
        migrations::run(&pool).await.expect("the migrations apply to an empty database");
        pool.close().await;
        // Renamed last: a template under its final name is whole. Closed: a connection to it would block copying.
        execute(connection, &format!("ALTER DATABASE {unfinished} WITH ALLOW_CONNECTIONS false")).await;
        disconnect_all(connection, &unfinished).await;
        execute(connection, &format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await;
    }
    execute(connection, &format!("SELECT pg_advisory_unlock({TEMPLATE_LOCK})")).await;
    name
}

/// On a busy machine the end of a closed connection takes its time.
async fn disconnect_all(connection: &mut PgConnection, name: &str) {
    execute(connection, &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
        .await;
}

async fn exists(connection: &mut PgConnection, name: &str) -> bool {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(connection)
        .await
        .expect("pg_database can be read")
}

fn fingerprint() -> String {
    let mut hash = Sha256::new();
    for migration in migrations::MIGRATOR.iter() {
        hash.update(migration.version.to_be_bytes());
        hash.update(&migration.checksum);
    }
    hex::encode(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_test_database_has_every_table_and_is_gone_after_its_test() {
        let database = super::database().await;
        let events: i64 =
            sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&database.pool).await.expect("events exists");
        assert_eq!(events, 0);
        let name = database.name.clone();
        drop(database);
        let mut connection = super::connect(&super::admin()).await;
        assert!(!super::exists(&mut connection, &name).await);
    }

    #[tokio::test]
    async fn a_copy_holds_what_was_there_and_is_a_database_of_its_own() {
        let original = super::database().await;
        sqlx::query("CREATE TABLE here AS SELECT 1 AS one").execute(&original.pool).await.expect("created");
        let copies = [original.copy().await, original.copy().await];
        sqlx::query("DELETE FROM here").execute(&copies[0].pool).await.expect("deleted in the first");
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM here").fetch_one(&copies[1].pool).await.expect("in the second");
        assert_eq!(left, 1);
    }

    #[tokio::test]
    async fn two_databases_do_not_see_each_other() {
        let (one, two) = tokio::join!(super::database(), super::database());
        sqlx::query("CREATE TABLE only_here ()").execute(&one.pool).await.expect("created in the first");
        sqlx::query("CREATE TABLE only_here ()").execute(&two.pool).await.expect("created in the second too");
    }
}
