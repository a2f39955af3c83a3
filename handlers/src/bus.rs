//! One command, from message to committed outcome.
//!
//! Promise: exactly once in effect. The outcome row and the events are one transaction, and the outcome row goes first:
//! of two deliveries of one command the second waits, finds the outcome and answers the same. A refusal or a no-op is
//! stored only after its base was verified, so that a stale cache cannot make a wrong refusal durable. Conflicts are
//! decided again on fresh state, a bounded number of times.

use std::time::Duration;

use async_nats::Client;
use domain::{Decider, Refusal as _};
use nats::{CommandMessage, EventRef, Outcome};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    cache::AggregateCache,
    dispatch::Plan,
    outcomes,
    store::{Loaded, NewEvent, PgEventStore, StoreError},
};

/// How often a conflict is decided again before the command goes back to its queue.
const MAX_CONFLICTS: u32 = 8;

/// Why a command could not be executed now. The command stays in its queue.
#[derive(Debug, Error)]
pub enum BusError {
    #[error("other commands on the same thing were always first")]
    Conflict,
    #[error("the event store cannot be reached: {0}")]
    Unavailable(String),
    #[error("the command cannot be executed: {0}")]
    Bug(String),
}

/// Why a plan ended early.
#[derive(Debug)]
pub enum Stop {
    /// A rule said no.
    Refused {
        code: &'static str,
        message: String,
        details: Value,
    },
    Failed(StoreError),
    /// The message is no such command.
    Malformed(String),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::EventTooLarge { size_bytes } => Self::Refused {
                code: "event_too_large",
                message: error.to_string(),
                details: json!({ "size_bytes": size_bytes }),
            },
            error => Self::Failed(error),
        }
    }
}

/// Executes commands. Cheap to clone.
#[derive(Clone)]
pub struct Bus {
    store: PgEventStore,
    cache: AggregateCache,
    client: Client,
}

impl Bus {
    #[must_use]
    pub const fn new(store: PgEventStore, cache: AggregateCache, client: Client) -> Self {
        Self { store, cache, client }
    }

    /// Decides and commits; a repeated command answers what it came to the first time.
    ///
    /// # Errors
    /// See [`BusError`]; nothing was committed, or it is unknown and the next delivery will know.
    pub async fn execute(&self, plan: &dyn Plan, message: &CommandMessage) -> Result<Outcome, BusError> {
        for attempt in 0..MAX_CONFLICTS {
            match self.try_once(plan, message).await {
                Err(StoreError::Conflict) => {
                    metrics::counter!("command_conflicts_total", "aggregate" => message.aggregate.clone()).increment(1);
                    tokio::time::sleep(pause(attempt)).await;
                }
                Err(StoreError::Unavailable(error)) => return Err(BusError::Unavailable(error.to_string())),
                Err(error) => return Err(BusError::Bug(error.to_string())),
                Ok(outcome) => return Ok(outcome),
            }
        }
        Err(BusError::Conflict)
    }

    async fn try_once(&self, plan: &dyn Plan, message: &CommandMessage) -> Result<Outcome, StoreError> {
        let mut unit = Unit { bus: self, decided: vec![] };
        let ended = plan.decide(&mut unit, message).await;
        let outcome = match ended {
            Ok(()) => unit.done(),
            Err(Stop::Refused { code, message, details }) => {
                unit.forget_decisions();
                Outcome::Refused { code: code.to_owned(), message, details }
            }
            Err(Stop::Malformed(why)) => return Err(StoreError::Unreadable(why)),
            Err(Stop::Failed(error)) => return Err(error),
        };
        let committed = self.commit(&unit, message, &outcome).await;
        match committed {
            Ok(Committed::Now) => {
                let appended = unit.remember();
                if appended {
                    nats::wake_sequencer(&self.client).await;
                }
                Ok(outcome)
            }
            Ok(Committed::Before(earlier)) => {
                unit.evict();
                Ok(earlier)
            }
            Err(error) => {
                unit.evict();
                Err(error)
            }
        }
    }

    async fn commit(
        &self,
        unit: &Unit<'_>,
        message: &CommandMessage,
        outcome: &Outcome,
    ) -> Result<Committed, StoreError> {
        let mut parts = Vec::with_capacity(unit.decided.len());
        for one in &unit.decided {
            let stream = (one.aggregate_type, one.aggregate_id.as_str());
            parts.push((stream, one.base, self.store.seal(stream, one.base, &one.events).await?));
        }
        // Everybody locks in the same order.
        parts.sort_by_key(|(stream, ..)| *stream);
        let mut transaction = self.store.pool().begin().await?;
        if !outcomes::record(&mut transaction, message, outcome).await? {
            transaction.rollback().await?;
            let earlier = nats::stored_outcome(self.store.pool(), message).await?;
            // It can only be gone if it was pruned this very moment: then the command is new again.
            return earlier.map(Committed::Before).ok_or(StoreError::Conflict);
        }
        let metadata = metadata(message);
        for (stream, base, rows) in &parts {
            if rows.is_empty() {
                self.store.verify(&mut transaction, *stream, *base).await?;
            } else {
                self.store.append(&mut transaction, *stream, rows, &metadata).await?;
            }
        }
        transaction.commit().await?;
        Ok(Committed::Now)
    }
}

enum Committed {
    Now,
    Before(Outcome),
}

/// Grows from 2 ms, with jitter so that two losers do not meet again.
fn pause(attempt: u32) -> Duration {
    let ceiling = 2_u64 << attempt.min(7);
    Duration::from_millis(ceiling / 2 + uuid::Uuid::new_v4().as_u64_pair().0 % (ceiling / 2 + 1))
}

fn metadata(message: &CommandMessage) -> Value {
    let mut fields = json!({
        "command_id": message.command_id.to_string(),
        "actor": message.actor,
        "tenant": message.tenant,
        "correlation_id": message.correlation_id.to_string(),
    });
    if let Some(causation) = message.causation_id {
        fields["causation_id"] = json!(causation.to_string());
    }
    if let Some(traceparent) = &message.traceparent {
        fields["traceparent"] = json!(traceparent);
    }
    fields
}

/// What one command decided so far: one aggregate, or a few that must change together.
pub struct Unit<'b> {
    bus: &'b Bus,
    decided: Vec<OneDecided>,
}

struct OneDecided {
    aggregate_type: &'static str,
    aggregate_id: String,
    base: i64,
    events: Vec<NewEvent>,
    remember: Box<dyn FnOnce(&AggregateCache) + Send + Sync>,
}

impl Unit<'_> {
    /// Lets the aggregate `id` decide `command` and keeps what it decided for the commit.
    ///
    /// # Errors
    /// Its refusal, or why it could not be read.
    pub async fn decide<D: Decider>(&mut self, id: &str, command: D::Command) -> Result<(), Stop> {
        let Loaded { mut state, sequence: base } = match self.bus.cache.get::<D>(id) {
            Some(cached) => Loaded::clone(&cached),
            None => self.bus.store.load::<D>(id).await?,
        };
        let decision = state.decide(command);
        let (events, refusal) = match decision {
            Ok(events) => (events, None),
            Err(refusal) => (vec![], Some(refusal)),
        };
        let encoded = events.iter().map(NewEvent::encode).collect::<Result<Vec<_>, _>>()?;
        for event in events {
            state.apply(event);
        }
        let sequence = base + i64::try_from(encoded.len()).unwrap_or(i64::MAX);
        let cached_id = id.to_owned();
        self.decided.push(OneDecided {
            aggregate_type: D::TYPE,
            aggregate_id: id.to_owned(),
            base,
            events: encoded,
            remember: Box::new(move |cache| cache.put(&cached_id, Loaded { state, sequence })),
        });
        match refusal {
            None => Ok(()),
            Some(refusal) => {
                Err(Stop::Refused { code: refusal.code(), message: refusal.to_string(), details: refusal.details() })
            }
        }
    }

    /// The command's own aggregate is the one that was decided last.
    fn done(&self) -> Outcome {
        let event = self.decided.last().filter(|one| !one.events.is_empty()).map(|one| EventRef {
            aggregate_type: one.aggregate_type.to_owned(),
            aggregate_id: one.aggregate_id.clone(),
            sequence: one.base + i64::try_from(one.events.len()).unwrap_or(i64::MAX),
        });
        let events = self.decided.iter().flat_map(|one| &one.events).map(|event| event.event_type.clone()).collect();
        Outcome::Done { event, events }
    }

    /// After a refusal nothing is appended, but every base that led to it is still verified.
    fn forget_decisions(&mut self) {
        for one in &mut self.decided {
            if !one.events.is_empty() {
                one.events.clear();
                one.remember = Box::new(|_| {});
            }
        }
    }

    fn remember(self) -> bool {
        let appended = self.decided.iter().any(|one| !one.events.is_empty());
        for one in self.decided {
            (one.remember)(&self.bus.cache);
        }
        appended
    }

    fn evict(&self) {
        for one in &self.decided {
            self.bus.cache.evict(one.aggregate_type, &one.aggregate_id);
        }
    }
}
