//! What one command decides: on one aggregate, or on a few that must change together.
//!
//! Promise: deciding is pure and leaves no trace. A unit looks at hot aggregates and notes what they decided; only when
//! all of it succeeded are the events applied. A unit that decides twice on one aggregate sees its own events. Every
//! aggregate that was looked at is noted with the sequence it had, also if it refused or had nothing to say: the commit
//! verifies it.

use std::{any::Any, sync::Arc};

use domain::{Decider, Refusal as _};
use futures::future::BoxFuture;
use nats::{EventRef, Outcome};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    cache::{HotState, Key},
    group::Hot,
    store::{Loaded, NewEvent, PgEventStore, StoreError},
};

/// Why a plan ended early.
#[derive(Debug, Error)]
pub enum Stop {
    /// A rule said no.
    #[error("refused: {message}")]
    Refused { code: &'static str, message: String, details: Value },
    #[error(transparent)]
    Failed(StoreError),
    /// The message is no such command.
    #[error("{0}")]
    Malformed(String),
    /// An aggregate is not at hand now; the plan runs again when it is.
    #[error("{0:?}")]
    NotHot(NotHot),
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

/// Reads an aggregate from the log.
pub(crate) type Loader = fn(PgEventStore, Arc<str>) -> BoxFuture<'static, Result<HotState, StoreError>>;

/// Which aggregate was not at hand.
pub struct NotHot {
    pub(crate) key: Key,
    /// None: a group under way holds it, and a decision on it would be in vain.
    pub(crate) load: Option<Loader>,
}

impl std::fmt::Debug for NotHot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NotHot({} {})", self.key.0, self.key.1)
    }
}

/// What one aggregate decided in a unit.
pub(crate) struct Touched {
    pub(crate) key: Key,
    /// Its sequence before this unit.
    pub(crate) base: i64,
    pub(crate) events: Vec<NewEvent>,
    /// The same events, a `Vec<D::Event>`, and what applies them.
    facts: Box<dyn Any + Send>,
    apply: fn(&mut HotState, Box<dyn Any + Send>),
}

impl Touched {
    /// The state learns what was decided on it.
    pub(crate) fn apply_to(self, state: &mut HotState) -> Vec<NewEvent> {
        (self.apply)(state, self.facts);
        state.sequence += count(&self.events);
        self.events
    }
}

/// Decisions that belong together.
pub struct Unit<'h> {
    hot: &'h Hot,
    touched: Vec<Touched>,
    /// The place of the last decision.
    last: usize,
}

impl<'h> Unit<'h> {
    pub(crate) const fn new(hot: &'h Hot) -> Self {
        Self { hot, touched: vec![], last: 0 }
    }

    /// Lets the aggregate `id` decide `command` and keeps what it decided for the commit.
    ///
    /// # Errors
    /// Its refusal, or that it is not at hand: both end the plan.
    pub fn decide<D: Decider>(&mut self, id: &str, command: D::Command) -> Result<(), Stop> {
        let (place, decision) = self.ask::<D, _>(id, |state, _| state.decide(command))?;
        match decision {
            Ok(events) => self.note::<D>(place, events),
            Err(refusal) => {
                Err(Stop::Refused { code: refusal.code(), message: refusal.to_string(), details: refusal.details() })
            }
        }
    }

    /// The aggregate `id` as it stands; the commit verifies that it still does.
    ///
    /// # Errors
    /// It is not at hand.
    pub(crate) fn read<D: Decider>(&mut self, id: &str) -> Result<Loaded<D>, Stop> {
        let read = |state: &D, sequence| Loaded { state: state.clone(), sequence };
        self.ask::<D, _>(id, read).map(|(_, loaded)| loaded)
    }

    /// Appends events that were decided elsewhere on the state after `base`.
    ///
    /// # Errors
    /// A refusal if the stream has moved on; or the aggregate is not at hand.
    pub(crate) fn append<D: Decider>(&mut self, id: &str, base: i64, events: Vec<D::Event>) -> Result<(), Stop> {
        let (place, sequence) = self.ask::<D, _>(id, |_, sequence| sequence)?;
        if sequence != base {
            let details = json!({ "base": base, "sequence": sequence });
            return Err(Stop::Refused { code: MOVED_ON, message: StoreError::Conflict.to_string(), details });
        }
        self.note::<D>(place, events)
    }

    /// Shows `question` the state after all that this unit decided, and its sequence; tells where decisions on it are
    /// noted.
    fn ask<D: Decider, A>(&mut self, id: &str, question: impl FnOnce(&D, i64) -> A) -> Result<(usize, A), Stop> {
        let key = (D::TYPE, Arc::from(id));
        let hot = self.hot.look(&key).map_err(|busy| not_hot::<D>(&key, busy))?;
        let Some(state) = hot.of::<D>() else {
            return Err(Stop::Malformed(format!("two aggregates are called {}", D::TYPE)));
        };
        let Some(place) = self.touched.iter().position(|one| one.key == key) else {
            let base = hot.sequence;
            let answer = question(state, base);
            let facts = Box::new(Vec::<D::Event>::new());
            self.touched.push(Touched { key, base, events: vec![], facts, apply: apply::<D> });
            return Ok((self.touched.len() - 1, answer));
        };
        let before = &self.touched[place];
        let sequence = before.base + count(&before.events);
        let facts = before.facts.downcast_ref::<Vec<D::Event>>().map_or(&[][..], Vec::as_slice);
        if facts.is_empty() {
            return Ok((place, question(state, sequence)));
        }
        let mut state = state.clone();
        for fact in facts {
            state.apply(fact.clone());
        }
        Ok((place, question(&state, sequence)))
    }

    fn note<D: Decider>(&mut self, place: usize, events: Vec<D::Event>) -> Result<(), Stop> {
        self.last = place;
        let touched = &mut self.touched[place];
        for event in &events {
            touched.events.push(NewEvent::encode(event)?);
        }
        if let Some(facts) = touched.facts.downcast_mut::<Vec<D::Event>>() {
            facts.extend(events);
        }
        Ok(())
    }

    /// All that was decided, and what it comes to. After a refusal nothing is appended, but every base that led to it is
    /// still to be verified.
    pub(crate) fn end(mut self, ended: Result<(), Stop>) -> Result<(Vec<Touched>, Outcome), Stop> {
        match ended {
            Ok(()) => {
                let outcome = self.done();
                Ok((self.touched, outcome))
            }
            Err(Stop::Refused { code, message, details }) => {
                for one in &mut self.touched {
                    one.events.clear();
                    one.facts = Box::new(());
                    one.apply = |_, _| {};
                }
                Ok((self.touched, Outcome::Refused { code: code.to_owned(), message, details }))
            }
            Err(stop) => Err(stop),
        }
    }

    /// The command's own aggregate is the one that was decided last.
    fn done(&self) -> Outcome {
        let event = self.touched.get(self.last).filter(|one| !one.events.is_empty()).map(|one| EventRef {
            aggregate_type: one.key.0.to_owned(),
            aggregate_id: one.key.1.to_string(),
            sequence: one.base + count(&one.events),
        });
        let events = self.touched.iter().flat_map(|one| &one.events).map(|event| event.event_type.clone()).collect();
        Outcome::Done { event, events }
    }
}

/// The refusal of [`Unit::append`].
pub(crate) const MOVED_ON: &str = "aggregate_conflict";

fn not_hot<D: Decider>(key: &Key, busy: bool) -> Stop {
    let load: Loader = |store, id| Box::pin(async move { store.load::<D>(&id).await.map(HotState::new) });
    Stop::NotHot(NotHot { key: key.clone(), load: (!busy).then_some(load) })
}

fn apply<D: Decider>(state: &mut HotState, facts: Box<dyn Any + Send>) {
    if let (Some(state), Ok(facts)) = (state.of_mut::<D>(), facts.downcast::<Vec<D::Event>>()) {
        for fact in *facts {
            state.apply(fact);
        }
    }
}

fn count(events: &[NewEvent]) -> i64 {
    i64::try_from(events.len()).unwrap_or(i64::MAX)
}
