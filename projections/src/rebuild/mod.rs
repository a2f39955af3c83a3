//! A read model made again from all events, beside the one that is read.
//!
//! Promise: readers and the projection that is running see nothing of it until the new rows, which contain everything
//! that the old ones contain, take their place in one short transaction; or, to verify, until both are compared as of
//! one position. It goes on where it stopped, whatever dies; rows, checkpoint and parked keys of both are apart; nothing
//! is left behind at the end. One at a time of each projection.

mod compare;
mod fill;
mod pages;
mod schema;
mod switch;

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use vault::Vault;

pub use self::compare::{Compared, Difference, DifferenceKind, ParkedAggregate};
use self::{
    fill::Filler,
    schema::{Found, Schemas},
};
use crate::{checkpoint, election::Seat, error::RunError, projector::Projector, read_model::ReadModel};

/// How long another rebuild of the same projection is waited for.
const SEAT_PATIENCE: Duration = Duration::from_secs(2);

/// How a rebuild works.
#[derive(Debug, Clone, Copy)]
pub struct RebuildOptions {
    /// Events of one transaction, at most.
    pub batch_max: usize,
    /// Throw away what an earlier run has left, and begin again.
    pub restart: bool,
    /// Leave the rows beside the live ones after a comparison, to look at them.
    pub keep: bool,
    /// Differences that a comparison tells; all are counted.
    pub told_differences: usize,
}

impl Default for RebuildOptions {
    fn default() -> Self {
        Self { batch_max: 4000, restart: false, keep: false, told_differences: 100 }
    }
}

/// What a rebuild is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It begins with the event after `after`.
    Begun { after: i64, start: Start },
    /// All events up to `position` are applied; it goes on to `until`, and further where that moves on.
    Applied { position: i64, until: i64 },
    /// Indexes that only readers need are built.
    Indexing,
    /// The new rows take the place of the old ones; after the first attempt readers were in the way.
    Switching { attempt: u32 },
    /// The rows are compared.
    Comparing,
}

/// Where a rebuild begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Fresh,
    /// An earlier run stopped there.
    Resumed,
    /// What an earlier run left is of another release, is from before a migration, has overtaken the live rows, or was not
    /// wanted.
    Discarded,
}

/// Hears what a rebuild is at.
pub type Tell<'t> = &'t mut (dyn FnMut(Progress) + Send);

/// What a rebuild came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// All events up to here are in the new rows.
    pub position: i64,
    /// Aggregates that the new rows, as the old ones, had to leave behind.
    pub parked: Vec<ParkedAggregate>,
}

/// Why a rebuild did not come to its end. What it has done so far stays, for the next run, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("the database is away: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("this database has no read model {0}: run `oblivious migrate` with this release first")]
    NoReadModel(String),
    #[error("another process rebuilds {0} at this moment")]
    Busy(String),
    #[error("the connection that keeps other rebuilds away was lost")]
    SeatLost,
    #[error("the rebuilt tables are not what is read ({0}); nothing was replaced")]
    DefinitionsDiffer(String),
    #[error("table {0} has no primary key, so its rows cannot be told apart")]
    NoPrimaryKey(String),
    #[error(
        "{} cannot be rebuilt ({}), while the live rows contain them; nothing was replaced",
        if .0.len() == 1 { "an aggregate".to_owned() } else { format!("{} aggregates", .0.len()) },
        .0.first().map(ToString::to_string).unwrap_or_default()
    )]
    NewlyParked(Vec<ParkedAggregate>),
    #[error("readers did not leave the tables for long enough; nothing was replaced, try again at a quieter time")]
    NeverFree,
    #[error("the live projection was moved back to position {live} meanwhile; try again once it has caught up")]
    MovedBack { live: i64 },
}

/// A rebuild under way: the only one of its projection as long as the seat is held.
struct Rebuild<'r> {
    pool: &'r PgPool,
    vault: &'r Vault,
    projector: &'r Arc<dyn Projector>,
    schemas: Schemas<'r>,
    options: RebuildOptions,
    seat: Seat,
    tell: Tell<'r>,
}

/// Makes the rows of `projector` again from all events and puts them in the place of the live ones, while these are read
/// and go on. Continues what an earlier run has begun.
///
/// # Errors
/// The live rows are as they were; see [`RebuildError`].
pub async fn rebuild(
    pool: &PgPool,
    vault: &Vault,
    projector: &Arc<dyn Projector>,
    options: RebuildOptions,
    tell: Tell<'_>,
) -> Result<Rebuilt, RebuildError> {
    let mut rebuild = Rebuild::begin(pool, vault, projector, options, tell).await?;
    let done = rebuild.replace().await;
    rebuild.seat.leave().await;
    done
}

/// Makes the rows of `projector` again from all events beside the live ones and compares both as of one position. The
/// live projection waits for some milliseconds in between. Continues what an earlier run has begun, and removes it in the
/// end.
///
/// # Errors
/// Nothing was compared; see [`RebuildError`].
pub async fn verify(
    pool: &PgPool,
    vault: &Vault,
    projector: &Arc<dyn Projector>,
    options: RebuildOptions,
    tell: Tell<'_>,
) -> Result<Compared, RebuildError> {
    let mut rebuild = Rebuild::begin(pool, vault, projector, options, tell).await?;
    let compared = rebuild.compare().await;
    if compared.is_ok() && !options.keep {
        rebuild.schemas.drop(pool).await?;
    }
    rebuild.seat.leave().await;
    compared
}

/// The server needs a moment to notice that an earlier run was killed.
async fn take_seat(pool: &PgPool, schemas: &Schemas<'_>) -> Result<Seat, RebuildError> {
    let begun = Instant::now();
    loop {
        match Seat::take(pool, schemas.beside.name()).await? {
            Some(seat) => return Ok(seat),
            None if begun.elapsed() > SEAT_PATIENCE => {
                return Err(RebuildError::Busy(schemas.live.name().to_owned()));
            }
            None => sleep(SEAT_PATIENCE / 10).await,
        }
    }
}

impl<'r> Rebuild<'r> {
    /// Takes the seat and finds or makes the tables.
    async fn begin(
        pool: &'r PgPool,
        vault: &'r Vault,
        projector: &'r Arc<dyn Projector>,
        options: RebuildOptions,
        tell: Tell<'r>,
    ) -> Result<Self, RebuildError> {
        let schemas = Schemas::new(ReadModel::live(&**projector), ReadModel::beside(&**projector));
        let seat = take_seat(pool, &schemas).await?;
        let mut rebuild = Self { pool, vault, projector, schemas, options, seat, tell };
        let found = rebuild.schemas.find(pool).await?;
        let start = match found {
            Found::Nothing => Start::Fresh,
            Found::Unfinished if !options.restart => Start::Resumed,
            Found::Unfinished | Found::Outdated => Start::Discarded,
        };
        if start != Start::Resumed {
            rebuild.start_again().await?;
        }
        let after = rebuild.reached().await?;
        (rebuild.tell)(Progress::Begun { after, start });
        Ok(rebuild)
    }

    async fn start_again(&mut self) -> Result<(), RebuildError> {
        self.schemas.drop(self.pool).await?;
        self.schemas.make(self.pool).await
    }

    /// The position up to which the new rows contain all events.
    async fn reached(&self) -> sqlx::Result<i64> {
        Ok(checkpoint::read(self.pool, self.schemas.beside.name()).await?.position)
    }

    /// Applies all events up to `until`, if the new rows do not contain them yet.
    async fn fill(&mut self, until: i64) -> Result<(), RebuildError> {
        let filler = Filler {
            pool: self.pool,
            vault: self.vault,
            projector: self.projector,
            model: &self.schemas.beside,
            batch_max: self.options.batch_max,
        };
        filler.fill(until, &mut self.seat, self.tell).await
    }
}
