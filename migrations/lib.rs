//! The SQL of every capability, in the order of the files beside this one.
//!
//! Promise: `run` brings any older database to this binary's schema or fails without a half-applied file. Changes are
//! expand first, contract in a later release, so that two generations of binaries can run beside each other.

/// All migrations, embedded into the binary.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("./sql");

/// Applies what is missing. Concurrent callers are serialised by sqlx's advisory lock.
///
/// # Errors
/// The database is away, or a file that was applied before has changed since.
pub async fn run(pool: &sqlx::PgPool) -> Result<(), sqlx::migrate::MigrateError> {
    MIGRATOR.run(pool).await
}
