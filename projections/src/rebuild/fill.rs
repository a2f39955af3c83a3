//! Pages of the log become rows, the next page being read and opened while one is applied.

use std::{sync::Arc, time::Duration};

use sqlx::PgPool;
use tokio::sync::mpsc;
use vault::Vault;

use super::{
    Progress, RebuildError, Tell,
    pages::{Page, Pages},
};
use crate::{
    batch::{self, Batch},
    checkpoint,
    election::Seat,
    error::RunError,
    parking::{self, Backoff},
    projector::Projector,
    read_model::ReadModel,
};

/// Batches that wait, opened, for the one before them.
const AHEAD: usize = 2;
/// Aggregates that fail are tried once more at the end, not in between.
const NOT_AGAIN: Backoff = Backoff { first: Duration::from_secs(86_400), most: Duration::from_secs(86_400) };

/// Everything that is needed to fill `model`.
pub(super) struct Filler<'f> {
    pub(super) pool: &'f PgPool,
    pub(super) vault: &'f Vault,
    pub(super) projector: &'f Arc<dyn Projector>,
    pub(super) model: &'f ReadModel<'f>,
    pub(super) batch_max: usize,
}

impl Filler<'_> {
    /// Applies all events up to `until`, then tries aggregates that failed once more.
    pub(super) async fn fill(&self, until: i64, seat: &mut Seat, tell: Tell<'_>) -> Result<(), RebuildError> {
        let mut at = checkpoint::read(self.pool, self.model.name()).await?.position;
        let mut batches = self.batches(at, until);
        while at < until {
            let Some(batch) = batches.recv().await else {
                return Err(RunError::Gap { after: at, found: until }.into());
            };
            if !seat.is_held().await {
                return Err(RebuildError::SeatLost);
            }
            at = batch::apply(self.pool, self.model, &batch?, &NOT_AGAIN).await?.checkpoint.position;
            tell(Progress::Applied { position: at, until });
        }
        self.retry_parked().await
    }

    /// Batches from after `after` up to `until`, in order.
    fn batches(&self, after: i64, until: i64) -> mpsc::Receiver<Result<Batch, RunError>> {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (pool, vault, projector) = (self.pool.clone(), self.vault.clone(), self.projector.clone());
        let batch_max = i64::try_from(self.batch_max).unwrap_or(i64::MAX);
        tokio::spawn(async move {
            if let Err(error) = read_ahead(&pool, &vault, &*projector, (after, until), batch_max, &sender).await {
                let _ = sender.send(Err(error)).await;
            }
        });
        receiver
    }

    async fn retry_parked(&self) -> Result<(), RebuildError> {
        let sql = "UPDATE parked_keys SET next_retry_at = clock_timestamp() WHERE projection = $1";
        let mut due = sqlx::query(sql).bind(self.model.name()).execute(self.pool).await?.rows_affected();
        while due > 0 {
            parking::retry_due(self.pool, self.vault, self.model, &NOT_AGAIN).await?;
            let sql = "SELECT count(*) FROM parked_keys WHERE projection = $1 AND next_retry_at <= clock_timestamp()";
            let left: i64 = sqlx::query_scalar(sql).bind(self.model.name()).fetch_one(self.pool).await?;
            due = u64::try_from(left).unwrap_or(0);
        }
        Ok(())
    }
}

/// Sends the batches of `(after, until]` until nobody takes them.
async fn read_ahead(
    pool: &PgPool,
    vault: &Vault,
    projector: &dyn Projector,
    (mut after, until): (i64, i64),
    batch_max: i64,
    sender: &mpsc::Sender<Result<Batch, RunError>>,
) -> Result<(), RunError> {
    let pages = Pages::of(pool, projector).await?;
    while after < until {
        let Page { places, events } = pages.next((after, until), batch_max).await?;
        let Some(last) = places.last().map(|place| place.position) else { return Ok(()) };
        let batch = Batch::of(vault, places, events).await?;
        if sender.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
        after = last;
    }
    Ok(())
}
