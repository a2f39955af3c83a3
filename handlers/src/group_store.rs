//! The event store of cqrs-es on the cache and the committer, so that its framework runs on what commands run on.
//!
//! Promise: `load_aggregate` answers from memory a state that was the newest when it was asked for, verified by the
//! database; `commit` appends in a group and answers [`AggregateError::AggregateConflict`] if the stream has moved on
//! since. Events only: an outcome is remembered for commands that come by the bus.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};
use domain::{Decided, Decider};
use nats::Outcome;

use crate::{
    bus::BusError,
    group::Committer,
    store::{Loaded, PgEventStore},
    unit::{MOVED_ON, Unit},
};

/// Implements [`EventStore`] for every aggregate. Cheap to clone.
#[derive(Clone)]
pub struct GroupStore {
    store: PgEventStore,
    committer: Committer,
}

impl GroupStore {
    pub(crate) const fn new(store: PgEventStore, committer: Committer) -> Self {
        Self { store, committer }
    }
}

/// What cqrs-es hands from `load_aggregate` to `commit`.
pub struct Context<D> {
    aggregate_id: String,
    aggregate: Decided<D>,
    sequence: i64,
}

impl<D: Decider> AggregateContext<Decided<D>> for Context<D> {
    fn aggregate(&mut self) -> &mut Decided<D> {
        &mut self.aggregate
    }
}

impl<D: Decider> EventStore<Decided<D>> for GroupStore {
    type AC = Context<D>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<Decided<D>>>, AggregateError<D::Refusal>> {
        self.store.events::<D>(aggregate_id).await.map_err(|error| failure((&error).into()))
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Context<D>, AggregateError<D::Refusal>> {
        let seen = Arc::new(Mutex::new(None::<Loaded<D>>));
        let (id, look) = (aggregate_id.to_owned(), Arc::clone(&seen));
        let read = move |unit: &mut Unit<'_>| {
            let loaded = unit.read::<D>(&id)?;
            *look.lock().unwrap_or_else(PoisonError::into_inner) = Some(loaded);
            Ok(())
        };
        self.committer.submit(Box::new(read), None, String::new()).await.map_err(failure)?;
        let loaded = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Loaded { state, sequence } = loaded.ok_or_else(|| failure(BusError::Bug("nothing was read".to_owned())))?;
        Ok(Context { aggregate_id: aggregate_id.to_owned(), aggregate: Decided(state), sequence })
    }

    async fn commit(
        &self,
        events: Vec<D::Event>,
        context: Context<D>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Decided<D>>>, AggregateError<D::Refusal>> {
        let Context { aggregate_id, sequence: base, .. } = context;
        let stored = serde_json::to_string(&metadata).map_err(|error| AggregateError::UnexpectedError(error.into()))?;
        let (id, new) = (aggregate_id.clone(), events.clone());
        let append = move |unit: &mut Unit<'_>| unit.append::<D>(&id, base, new.clone());
        match self.committer.submit(Box::new(append), None, stored).await.map_err(failure)? {
            Outcome::Done { .. } => {}
            Outcome::Refused { code, .. } if code == MOVED_ON => return Err(AggregateError::AggregateConflict),
            other => return Err(failure(BusError::Bug(format!("the events were not appended: {other:?}")))),
        }
        let first = usize::try_from(base).unwrap_or_default() + 1;
        let envelope = |(sequence, payload)| EventEnvelope {
            aggregate_id: aggregate_id.clone(),
            sequence,
            payload,
            metadata: metadata.clone(),
        };
        Ok((first..).zip(events).map(envelope).collect())
    }
}

fn failure<E: std::error::Error>(error: BusError) -> AggregateError<E> {
    match error {
        BusError::Conflict => AggregateError::AggregateConflict,
        BusError::Unavailable(_) | BusError::Busy => AggregateError::DatabaseConnectionError(Box::new(error)),
        BusError::Bug(_) => AggregateError::UnexpectedError(Box::new(error)),
    }
}
