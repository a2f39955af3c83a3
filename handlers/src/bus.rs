//! One command, from message to committed outcome.
//!
//! Promise: exactly once in effect. The outcome row and the events are one transaction, and the outcome row goes first:
//! of two deliveries of one command the second waits, finds the outcome and answers the same. A refusal or a no-op is
//! stored only after its base was verified, so that a stale cache cannot make a wrong refusal durable. Conflicts are
//! decided again on fresh state, a bounded number of times. How commands share transactions is told in `group`.

use std::sync::Arc;

use async_nats::Client;
use nats::{CommandMessage, Outcome};
use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use crate::{
    cache::AggregateCache,
    dispatch::Plan,
    group::{Committer, GroupOptions, Record},
    group_store::GroupStore,
    store::{PgEventStore, StoreError},
    unit::Unit,
};

/// Why a command could not be executed now. The command stays in its queue.
#[derive(Debug, Error)]
pub enum BusError {
    #[error("other commands on the same thing were always first")]
    Conflict,
    #[error("the event store cannot be reached: {0}")]
    Unavailable(String),
    #[error("too many commands wait already")]
    Busy,
    #[error("the command cannot be executed: {0}")]
    Bug(String),
}

impl From<&StoreError> for BusError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Conflict,
            StoreError::Unavailable(error) => Self::Unavailable(error.to_string()),
            error => Self::Bug(error.to_string()),
        }
    }
}

/// Executes commands. Cheap to clone; clones share one cache and one committer.
#[derive(Clone)]
pub struct Bus {
    store: PgEventStore,
    committer: Committer,
}

impl Bus {
    /// Starts the committer's task: call it inside a Tokio runtime.
    #[must_use]
    pub fn new(store: PgEventStore, cache: AggregateCache, client: Client) -> Self {
        Self::with_options(store, cache, client, GroupOptions::default())
    }

    /// As [`Self::new`], with other limits.
    #[must_use]
    pub fn with_options(store: PgEventStore, cache: AggregateCache, client: Client, options: GroupOptions) -> Self {
        let committer = Committer::start(store.clone(), cache, client, options);
        Self { store, committer }
    }

    /// The event store of cqrs-es on the same cache and committer.
    #[must_use]
    pub fn event_store(&self) -> GroupStore {
        GroupStore::new(self.store.clone(), self.committer.clone())
    }

    /// Decides and commits; a repeated command answers what it came to the first time.
    ///
    /// # Errors
    /// See [`BusError`]; nothing was committed, or it is unknown and the next delivery will know.
    pub async fn execute(
        &self,
        plan: Arc<dyn Plan>,
        message: impl Into<Arc<CommandMessage>>,
    ) -> Result<Outcome, BusError> {
        let message = message.into();
        let record = Record::of(&message);
        let metadata =
            serde_json::to_string(&Metadata::of(&message)).map_err(|error| BusError::Bug(error.to_string()))?;
        let decide = Box::new(move |unit: &mut Unit<'_>| plan.decide(unit, &message));
        self.committer.submit(decide, Some(record), metadata).await
    }
}

/// What is stored with every event of a command.
#[derive(Serialize)]
struct Metadata<'m> {
    command_id: Uuid,
    actor: &'m str,
    tenant: &'m str,
    correlation_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'m str>,
}

impl<'m> Metadata<'m> {
    fn of(message: &'m CommandMessage) -> Self {
        Self {
            command_id: message.command_id,
            actor: &message.actor,
            tenant: &message.tenant,
            correlation_id: message.correlation_id,
            causation_id: message.causation_id,
            traceparent: message.traceparent.as_deref(),
        }
    }
}
