//! One batch of events becomes rows, all in one transaction with the checkpoint.
//!
//! Promise: after any error nothing of the batch is there. An event at fault parks its aggregate and nobody else: the
//! whole batch is tried at once, and only if that fails again with a savepoint per event.

use std::collections::HashSet;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::{Connection as _, PgConnection, PgPool};
use vault::{Vault, VaultError};

use crate::{
    checkpoint::{self, Checkpoint},
    error::RunError,
    parking,
    projector::{ProjectedEvent, ProjectionError, Projector, Touched},
    read_model::ReadModel,
};

/// Events that are opened at the same time; each may have to fetch a data key.
const OPENED_AT_ONCE: usize = 4;

/// Events of consecutive positions, ready to be applied.
pub(crate) struct Batch {
    /// Epoch and position of every event, also of those that the projector does not handle.
    places: Vec<Checkpoint>,
    events: Vec<Opened>,
}

/// A handled event, with the reason why it cannot be read, if so.
pub(crate) struct Opened {
    pub(crate) event: ProjectedEvent,
    pub(crate) fault: Option<ProjectionError>,
}

/// What a batch came to.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) checkpoint: Checkpoint,
    /// How many events were new, handled or not.
    pub(crate) events: usize,
    /// How many aggregates were parked by it.
    pub(crate) parked: usize,
    pub(crate) touched: Touched,
}

type Key<'e> = (&'e str, &'e str);

fn key_of(event: &ProjectedEvent) -> Key<'_> {
    (&event.aggregate_type, &event.aggregate_id)
}

impl Batch {
    /// Opens what `projector` handles, outside of any transaction.
    ///
    /// # Errors
    /// The key store is away.
    pub(crate) async fn open(
        vault: &Vault,
        projector: &dyn Projector,
        logged: Vec<nats::LoggedEvent>,
    ) -> Result<Self, VaultError> {
        let places = logged.iter().map(|e| Checkpoint { epoch: e.epoch, position: e.position }).collect();
        let handled = logged.into_iter().filter(|e| projector.handles(&e.aggregate_type)).map(ProjectedEvent::from);
        Self::of(vault, places, handled.collect()).await
    }

    /// Consecutive `places`, and the events among them that the projector handles.
    ///
    /// # Errors
    /// The key store is away.
    pub(crate) async fn of(
        vault: &Vault,
        places: Vec<Checkpoint>,
        handled: Vec<ProjectedEvent>,
    ) -> Result<Self, VaultError> {
        Ok(Self { places, events: open_all(vault, handled).await? })
    }

    /// Where a checkpoint stands before and after it, if there is nothing to apply and no hole or new epoch to look into.
    fn way_past(&self) -> Option<(Checkpoint, Checkpoint)> {
        let (first, last) = (self.places.first()?, self.places.last()?);
        let follows = |pair: &[Checkpoint]| match pair {
            [one, next] => one.epoch == next.epoch && one.position + 1 == next.position,
            _ => true,
        };
        let is_plain = self.events.is_empty() && self.places.windows(2).all(follows);
        is_plain.then_some((Checkpoint { position: first.position - 1, ..*first }, *last))
    }
}

/// Opens the payloads of `events`, each in its place.
///
/// # Errors
/// The key store is away.
pub(crate) async fn open_all(vault: &Vault, events: Vec<ProjectedEvent>) -> Result<Vec<Opened>, VaultError> {
    stream::iter(events).map(|event| open_one(vault, event)).buffered(OPENED_AT_ONCE).try_collect().await
}

async fn open_one(vault: &Vault, mut event: ProjectedEvent) -> Result<Opened, VaultError> {
    let fault = match event.open(vault).await {
        Ok(()) => None,
        Err(error @ VaultError::Damaged { .. }) => Some(ProjectionError::Sealed(error)),
        Err(error) => return Err(error),
    };
    Ok(Opened { event, fault })
}

/// Applies what of `batch` is new, moves the checkpoint, commits.
///
/// # Errors
/// A gap between the checkpoint and the batch or inside of it, or something is away. Nothing was written then.
pub(crate) async fn apply(
    pool: &PgPool,
    model: &ReadModel<'_>,
    batch: &Batch,
    retry: &parking::Backoff,
) -> Result<Applied, RunError> {
    if let Some((from, to)) = batch.way_past()
        && checkpoint::pass(pool, model.name(), from, to).await?
    {
        return Ok(Applied { checkpoint: to, events: batch.places.len(), parked: 0, touched: Touched::default() });
    }
    let mut tx = pool.begin().await?;
    model.enter(&mut tx).await?;
    let applied = apply_within(&mut tx, model, batch, retry).await?;
    tx.commit().await?;
    Ok(applied)
}

/// As [`apply`], inside of a transaction that has entered `model`.
///
/// # Errors
/// As those of [`apply`]; the transaction must be rolled back then.
pub(crate) async fn apply_within(
    tx: &mut PgConnection,
    model: &ReadModel<'_>,
    batch: &Batch,
    retry: &parking::Backoff,
) -> Result<Applied, RunError> {
    let start = checkpoint::lock(tx, model.name()).await?;
    let Some(end) = check_dense(tx, start, &batch.places).await? else {
        return Ok(Applied { checkpoint: start, events: 0, parked: 0, touched: Touched::default() });
    };
    let fresh: Vec<&Opened> = batch.events.iter().filter(|opened| opened.event.position > start.position).collect();
    let (types, ids): (Vec<&str>, Vec<&str>) = fresh.iter().map(|opened| key_of(&opened.event)).unzip();
    let parked = checkpoint::parked_among(tx, model.name(), (&types, &ids)).await?;
    let parked: HashSet<Key<'_>> = parked.iter().map(|(kind, id)| (kind.as_str(), id.as_str())).collect();
    let flowing: Vec<&Opened> = fresh.into_iter().filter(|opened| !parked.contains(&key_of(&opened.event))).collect();

    let (touched, newly_parked) = match all_at_once(tx, model.projector(), &flowing).await? {
        Some(touched) => (touched, 0),
        None => one_by_one(tx, model, &flowing, retry).await?,
    };
    checkpoint::set(tx, model.name(), end).await?;
    let events = batch.places.iter().filter(|place| place.position > start.position).count();
    Ok(Applied { checkpoint: end, events, parked: newly_parked, touched })
}

/// The end of `places` if they continue `start` without a hole; `None` if they contain nothing new.
async fn check_dense(
    tx: &mut PgConnection,
    start: Checkpoint,
    places: &[Checkpoint],
) -> Result<Option<Checkpoint>, RunError> {
    let mut last = start;
    for place in places.iter().filter(|place| place.position > start.position) {
        let next = place.position == last.position + 1 && place.epoch >= last.epoch;
        if !next && !jumps(tx, last, *place).await? {
            return Err(RunError::Gap { after: last.position, found: place.position });
        }
        last = *place;
    }
    Ok((last.position > start.position).then_some(last))
}

/// Whether a new epoch was declared between the two places, and nothing else is there.
async fn jumps(tx: &mut PgConnection, from: Checkpoint, to: Checkpoint) -> sqlx::Result<bool> {
    if to.epoch <= from.epoch || to.position <= from.position {
        return Ok(false);
    }
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM publication_epochs WHERE epoch = $1 AND first_position <= $2) \
         AND NOT EXISTS (SELECT FROM event_log WHERE position > $3 AND position < $2)",
    )
    .bind(to.epoch)
    .bind(to.position)
    .bind(from.position)
    .fetch_one(tx)
    .await
}

/// What was touched, or `None` with nothing written if some event is at fault.
async fn all_at_once(
    tx: &mut PgConnection,
    projector: &dyn Projector,
    events: &[&Opened],
) -> Result<Option<Touched>, RunError> {
    if events.iter().any(|opened| opened.fault.is_some()) {
        return Ok(None);
    }
    if events.is_empty() {
        return Ok(Some(Touched::default()));
    }
    let events: Vec<&ProjectedEvent> = events.iter().map(|opened| &opened.event).collect();
    attempt(tx, projector, &events).await.map(Result::ok)
}

async fn one_by_one(
    tx: &mut PgConnection,
    model: &ReadModel<'_>,
    events: &[&Opened],
    retry: &parking::Backoff,
) -> Result<(Touched, usize), RunError> {
    let mut touched = Touched::default();
    let mut parked: HashSet<Key<'_>> = HashSet::new();
    for opened in events {
        let event = &opened.event;
        if parked.contains(&key_of(event)) {
            continue;
        }
        match apply_one(tx, model.projector(), opened).await? {
            Ok(one) => touched.merge(one),
            Err(error) => {
                parked.insert(key_of(event));
                tracing::error!(projection = model.name(), ?event, error, "an aggregate was parked");
                checkpoint::park(tx, model.name(), event, &error, 1, retry.after(1)).await?;
            }
        }
    }
    Ok((touched, parked.len()))
}

/// Applies one event in a savepoint. The inner error is the reason why it cannot be applied.
pub(crate) async fn apply_one(
    tx: &mut PgConnection,
    projector: &dyn Projector,
    opened: &Opened,
) -> Result<Result<Touched, String>, RunError> {
    match &opened.fault {
        Some(fault) => Ok(Err(fault.to_string())),
        None => attempt(tx, projector, &[&opened.event]).await,
    }
}

/// Applies `events` in a savepoint, which is undone if one is at fault.
async fn attempt(
    tx: &mut PgConnection,
    projector: &dyn Projector,
    events: &[&ProjectedEvent],
) -> Result<Result<Touched, String>, RunError> {
    let mut savepoint = tx.begin().await?;
    match projector.apply(&mut savepoint, events).await {
        Ok(touched) => {
            savepoint.commit().await?;
            Ok(Ok(touched))
        }
        Err(error) if error.is_of_the_event() => {
            savepoint.rollback().await?;
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(RunError::Projection(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ChatProjector;

    const RETRY: parking::Backoff =
        parking::Backoff { first: std::time::Duration::ZERO, most: std::time::Duration::ZERO };

    /// Of a type that no projection handles: only their places matter.
    fn ignored(places: &[(i64, i64)]) -> Batch {
        let places = places.iter().map(|(epoch, position)| Checkpoint { epoch: *epoch, position: *position }).collect();
        Batch { places, events: vec![] }
    }

    async fn apply_at(pool: &PgPool, places: &[(i64, i64)]) -> Result<Applied, RunError> {
        checkpoint::read(pool, "chat_v1").await.unwrap();
        apply(pool, &ReadModel::live(&ChatProjector), &ignored(places), &RETRY).await
    }

    #[tokio::test]
    async fn ignored_events_move_the_checkpoint_and_what_is_contained_is_skipped() {
        let database = testkit::database().await;
        assert_eq!(apply_at(&database.pool, &[(1, 1), (1, 2)]).await.unwrap().events, 2);
        assert_eq!(apply_at(&database.pool, &[(1, 1), (1, 2)]).await.unwrap().events, 0);
        let overlapping = apply_at(&database.pool, &[(1, 2), (1, 3)]).await.unwrap();
        assert_eq!((overlapping.events, overlapping.checkpoint.position), (1, 3));
    }

    #[tokio::test]
    async fn a_hole_before_or_inside_of_a_batch_is_refused_and_nothing_moves() {
        let database = testkit::database().await;
        let before = apply_at(&database.pool, &[(1, 2)]).await;
        assert!(matches!(before, Err(RunError::Gap { after: 0, found: 2 })), "{before:?}");
        let inside = apply_at(&database.pool, &[(1, 1), (1, 3)]).await;
        assert!(matches!(inside, Err(RunError::Gap { after: 1, found: 3 })), "{inside:?}");
        assert_eq!(checkpoint::read(&database.pool, "chat_v1").await.unwrap().position, 0);
    }

    #[tokio::test]
    async fn an_epoch_jumps_only_if_it_was_declared() {
        let database = testkit::database().await;
        let places = [(1, 1), (2, 50)];
        let undeclared = apply_at(&database.pool, &places).await;
        assert!(matches!(undeclared, Err(RunError::Gap { after: 1, found: 50 })), "{undeclared:?}");
        sqlx::query(
            "INSERT INTO publication_epochs (epoch, first_position, system_identifier, timeline, reason) \
             VALUES (2, 50, 's', 1, 'restored')",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        let declared = apply_at(&database.pool, &places).await.unwrap();
        assert_eq!(declared.checkpoint, Checkpoint { epoch: 2, position: 50 });
    }
}
