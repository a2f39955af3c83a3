//! One active runner per projection, of all processes.
//!
//! The seat is a session lock of Postgres on a connection of its own: it is free the moment that its holder's connection
//! ends. It only avoids double work; that nothing is applied twice is the checkpoint's doing.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::{Instant, timeout};

/// How often the holder looks whether its connection still lives.
const LOOK: Duration = Duration::from_secs(5);
/// A look that takes longer is taken for a broken connection.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// The right to run one projection.
pub(crate) struct Seat {
    connection: PgConnection,
    looked: Instant,
}

impl Seat {
    /// The seat of `name`, if it is free.
    pub(crate) async fn take(pool: &PgPool, name: &str) -> sqlx::Result<Option<Self>> {
        let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
        let taken: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('oblivious projection ' || $1, 0))")
                .bind(name)
                .fetch_one(&mut connection)
                .await?;
        if taken {
            return Ok(Some(Self { connection, looked: Instant::now() }));
        }
        connection.close().await?;
        Ok(None)
    }

    /// Whether the seat is still ours; asks at most every few seconds.
    pub(crate) async fn is_held(&mut self) -> bool {
        if self.looked.elapsed() < LOOK {
            return true;
        }
        self.looked = Instant::now();
        matches!(timeout(LOOK_TIMEOUT, self.connection.ping()).await, Ok(Ok(())))
    }

    /// Gives the seat back at once; dropping it does so when the server notices.
    pub(crate) async fn leave(mut self) {
        // A connection that is closed is noticed a little later.
        let unlock = sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut self.connection);
        let _ = timeout(LOOK_TIMEOUT, unlock).await;
        let _ = timeout(LOOK_TIMEOUT, self.connection.close()).await;
    }
}
