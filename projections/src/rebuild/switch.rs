//! The new rows take the place of the old ones.
//!
//! Promise: readers see the old rows, then the new ones, which contain everything that the old ones contained; they wait
//! for a moment at most, and never see an error, an empty table, or a mixture. The order of locks is that of every
//! projection: checkpoint, then tables.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::time::sleep;

use super::{
    Progress, Rebuild, RebuildError, Rebuilt,
    compare::{ParkedAggregate, parked},
};
use crate::{
    batch::{self, Batch},
    checkpoint,
    parking::Backoff,
};

/// How long the tables are asked for. Readers queue up behind that question, so it is shorter than the second after which
/// Postgres looks for deadlocks: we give way, never a reader.
const PATIENCE: &str = "400ms";
/// How long the live projection may be in the middle of a batch.
const PROJECTION_PATIENCE: &str = "2s";
/// How often readers, or a vacuum, may be in the way: three minutes.
const ATTEMPTS: u32 = 200;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// Events that are applied while the live projection waits, at most; if more are missing, they are applied before.
const REST: i64 = 2000;
/// Of aggregates that fail during the switch; the live projection tries them again soon.
const RETRY: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(1) };

/// What one attempt came to.
enum Attempt {
    Done(Rebuilt),
    /// Readers were in the way.
    Held,
    /// The live projection has gone on too far meanwhile.
    Behind,
}

/// A time-out of waiting, or a deadlock that was found after all.
fn in_the_way(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["57014", "55P03", "40P01"].contains(&&*code))
}

impl Rebuild<'_> {
    /// Fills the new tables and switches.
    pub(super) async fn replace(&mut self) -> Result<Rebuilt, RebuildError> {
        self.catch_up().await?;
        (self.tell)(Progress::Indexing);
        self.schemas.complete(self.pool).await?;
        let mut held = 0;
        loop {
            self.catch_up().await?;
            (self.tell)(Progress::Switching { attempt: held + 1 });
            match self.switch().await? {
                Attempt::Done(rebuilt) => return Ok(rebuilt),
                Attempt::Behind => {}
                Attempt::Held if held + 1 == ATTEMPTS => return Err(RebuildError::NeverFree),
                Attempt::Held => {
                    held += 1;
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Applies everything that has a position now.
    async fn catch_up(&mut self) -> Result<(), RebuildError> {
        loop {
            let last = nats::last_position(self.pool).await?;
            if last - self.reached().await? <= REST / 2 {
                return self.fill(last).await;
            }
            self.fill(last).await?;
        }
    }

    async fn switch(&mut self) -> Result<Attempt, RebuildError> {
        match self.try_to_switch().await {
            Err(RebuildError::Database(error)) if in_the_way(&error) => Ok(Attempt::Held),
            attempt => attempt,
        }
    }

    async fn try_to_switch(&mut self) -> Result<Attempt, RebuildError> {
        // Both exist before they are locked.
        checkpoint::read(self.pool, self.schemas.live.name()).await?;
        let mut connection = self.pool.acquire().await?;
        let mut tx = connection.begin().await?;
        sqlx::query("SELECT set_config('lock_timeout', $1, true)").bind(PROJECTION_PATIENCE).execute(&mut *tx).await?;
        let live = checkpoint::lock(&mut tx, self.schemas.live.name()).await?;
        let beside = checkpoint::lock(&mut tx, self.schemas.beside.name()).await?;
        if live.position - beside.position > REST {
            return Ok(Attempt::Behind);
        }
        let position = self.apply_rest(&mut tx, (beside.position, live.position)).await?;
        let parked = self.refuse_newly_parked(&mut tx, live.position).await?;
        self.schemas.compare(&mut tx).await?;
        let tables = self.schemas.tables(&mut tx).await?;
        self.lock_out_readers(&mut tx, &tables).await?;
        self.move_tables(&mut tx, &tables).await?;
        self.move_checkpoint(&mut tx).await?;
        tx.commit().await?;
        Ok(Attempt::Done(Rebuilt { position, parked }))
    }

    /// Applies what the live rows contain beyond the new ones. Answers where the new ones are then.
    async fn apply_rest(&self, tx: &mut PgConnection, (mut at, until): (i64, i64)) -> Result<i64, RebuildError> {
        self.schemas.beside.enter(tx).await?;
        while at < until {
            let logged = nats::page_log(self.pool, at, REST).await.map_err(crate::RunError::from)?;
            let batch = Batch::open(self.vault, &**self.projector, logged).await.map_err(crate::RunError::from)?;
            let applied = batch::apply_within(tx, &self.schemas.beside, &batch, &RETRY).await?;
            if applied.events == 0 {
                return Err(crate::RunError::Gap { after: at, found: until }.into());
            }
            at = applied.checkpoint.position;
        }
        // This transaction replaces what is read.
        tx.execute("SET LOCAL synchronous_commit = on").await?;
        Ok(at)
    }

    /// What the live rows, which are at `reached`, contain may not be missing in the new ones.
    async fn refuse_newly_parked(
        &self,
        tx: &mut PgConnection,
        reached: i64,
    ) -> Result<Vec<ParkedAggregate>, RebuildError> {
        let live = parked(tx, self.schemas.live.name()).await?;
        let beside = parked(tx, self.schemas.beside.name()).await?;
        let (known, new): (Vec<ParkedAggregate>, Vec<_>) = beside.into_iter().partition(|new| {
            new.position > reached || live.iter().any(|old| old.is(new) && old.position <= new.position)
        });
        if new.is_empty() { Ok(known) } else { Err(RebuildError::NewlyParked(new)) }
    }

    /// Waits for readers that are at it, while new ones wait for us.
    async fn lock_out_readers(&self, tx: &mut PgConnection, tables: &[String]) -> sqlx::Result<()> {
        sqlx::query("SELECT set_config('statement_timeout', $1, true)").bind(PATIENCE).execute(&mut *tx).await?;
        let live = self.schemas.live.name();
        let list: Vec<String> = tables.iter().map(|table| format!("{live}.{table}")).collect();
        tx.execute(&*format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", list.join(", "))).await?;
        tx.execute("SET LOCAL statement_timeout = 0").await?;
        Ok(())
    }

    /// A table that something of an operator's depends on is not dropped, and the transaction fails with its name.
    async fn move_tables(&self, tx: &mut PgConnection, tables: &[String]) -> sqlx::Result<()> {
        let (live, beside) = (self.schemas.live.name(), self.schemas.beside.name());
        let list: Vec<String> = tables.iter().map(|table| format!("{live}.{table}")).collect();
        tx.execute(&*format!("DROP TABLE {}", list.join(", "))).await?;
        for table in tables {
            tx.execute(&*format!("ALTER TABLE {beside}.{table} SET SCHEMA {live}")).await?;
        }
        tx.execute(&*format!("DROP SCHEMA {beside}")).await?;
        Ok(())
    }

    async fn move_checkpoint(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        let (live, beside) = (self.schemas.live.name(), self.schemas.beside.name());
        sqlx::query("DELETE FROM parked_keys WHERE projection = $1").bind(live).execute(&mut *tx).await?;
        sqlx::query("UPDATE parked_keys SET projection = $1, next_retry_at = clock_timestamp() WHERE projection = $2")
            .bind(live)
            .bind(beside)
            .execute(&mut *tx)
            .await?;
        let at = checkpoint::lock(tx, beside).await?;
        checkpoint::set(tx, live, at).await?;
        self.schemas.forget(tx).await
    }
}
