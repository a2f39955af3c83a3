//! The shape of every aggregate, and the one adapter between it and cqrs-es.
//!
//! Promise: an aggregate is a pure pair of functions, `decide` (may refuse) and `apply` (never refuses, holds no rule);
//! all events of one command are decided from the state before it. [`Decided`] makes any such pair a
//! `cqrs_es::Aggregate`, so that cqrs-es' store contract, upcasters and test framework serve it unchanged.

use cqrs_es::{Aggregate, DomainEvent, event_sink::EventSink};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Why a command was refused: a fact about the state, not a failure of the machine.
pub trait Refusal: std::error::Error + PartialEq + Send + Sync + 'static {
    /// Stable, lower-case, for programs: `reply_in_progress`.
    fn code(&self) -> &'static str;

    /// The data behind the sentence, for clients that show their own.
    fn details(&self) -> Value {
        Value::Null
    }
}

/// An aggregate: rules as `decide`, memory as `apply`.
pub trait Decider: Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The capability that owns this aggregate: the second part of its subjects.
    const CAPABILITY: &'static str;
    /// Globally unique, the `aggregate_type` of its events.
    const TYPE: &'static str;

    type Command: Serialize + DeserializeOwned + Send + Sync;
    type Event: DomainEvent;
    type Refusal: Refusal;

    /// The facts that follow from `command` in this state; none if it changes nothing.
    ///
    /// # Errors
    /// The rule that forbids it.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Refusal>;

    /// Remembers a fact. Total: whatever was once decided can be applied for ever.
    fn apply(&mut self, event: Self::Event);

    /// About how many bytes of memory this state takes, for caches; `None` where it grows with every event.
    fn weight_bytes(&self) -> Option<usize> {
        None
    }
}

/// Any [`Decider`] as a `cqrs_es::Aggregate`.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decided<D>(pub D);

impl<D: Decider> Aggregate for Decided<D> {
    const TYPE: &'static str = D::TYPE;
    type Command = D::Command;
    type Event = D::Event;
    type Error = D::Refusal;
    type Services = ();

    async fn handle(
        &mut self,
        command: Self::Command,
        (): &Self::Services,
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        for event in self.0.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: Self::Event) {
        self.0.apply(event);
    }
}
