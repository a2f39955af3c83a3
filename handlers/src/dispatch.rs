//! From a message on the bus to the plan that executes it.

use std::{collections::HashMap, marker::PhantomData, sync::Arc};

use async_trait::async_trait;
use domain::Decider;
use nats::{CommandHandler, CommandMessage, Handled};
use serde::de::DeserializeOwned;

use crate::{
    bus::Bus,
    dead_letters::DeadLetters,
    unit::{Stop, Unit},
};

/// Which aggregates a command decides on. A plan holds no rule: rules are in `domain`.
pub trait Plan: Send + Sync + 'static {
    /// Lets the aggregates decide. Pure: it runs as often as it must for one command, whenever an aggregate it needs has
    /// become hot or has moved on. Whatever the unit answers as an error ends it, with `?`.
    ///
    /// # Errors
    /// The first refusal, or an aggregate that is not at hand.
    fn decide(&self, unit: &mut Unit<'_>, message: &CommandMessage) -> Result<(), Stop>;
}

/// The plan of almost every command: the aggregate that the message names decides the command in its body.
pub struct One<D>(PhantomData<fn() -> D>);

impl<D> Default for One<D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<D: Decider> Plan for One<D> {
    fn decide(&self, unit: &mut Unit<'_>, message: &CommandMessage) -> Result<(), Stop> {
        unit.decide::<D>(&message.aggregate_id, body(message)?)
    }
}

/// The body of `message` as the command it claims to be.
///
/// # Errors
/// [`Stop::Malformed`], without the body's content.
pub fn body<C: DeserializeOwned>(message: &CommandMessage) -> Result<C, Stop> {
    message
        .body
        .read()
        .map_err(|error| Stop::Malformed(format!("the body is no {}.{}: {error}", message.aggregate, message.verb)))
}

/// Plans by aggregate, and by aggregate and verb where one differs.
#[derive(Default, Clone)]
pub struct Plans {
    by_aggregate: HashMap<&'static str, Arc<dyn Plan>>,
    by_verb: HashMap<String, Arc<dyn Plan>>,
}

impl Plans {
    /// Every command of `D` decides on `D` alone.
    #[must_use]
    pub fn aggregate<D: Decider>(mut self) -> Self {
        self.by_aggregate.insert(D::TYPE, Arc::new(One::<D>::default()));
        self
    }

    /// The command `verb` of `D` has a plan of its own.
    #[must_use]
    pub fn verb<D: Decider>(mut self, verb: &'static str, plan: impl Plan + 'static) -> Self {
        self.by_verb.insert(format!("{}.{verb}", D::TYPE), Arc::new(plan));
        self
    }

    /// Both sets of plans.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.by_aggregate.extend(other.by_aggregate);
        self.by_verb.extend(other.by_verb);
        self
    }

    /// The plan of this command.
    #[must_use]
    pub fn of(&self, message: &CommandMessage) -> Option<Arc<dyn Plan>> {
        let name = format!("{}.{}", message.aggregate, message.verb);
        let plan = self.by_verb.get(&name).or_else(|| self.by_aggregate.get(message.aggregate.as_str()));
        plan.cloned()
    }
}

/// Executes every command that the bus delivers.
pub struct Dispatcher {
    bus: Bus,
    plans: Plans,
    dead_letters: DeadLetters,
}

impl Dispatcher {
    #[must_use]
    pub const fn new(bus: Bus, plans: Plans, dead_letters: DeadLetters) -> Self {
        Self { bus, plans, dead_letters }
    }
}

#[async_trait]
impl CommandHandler for Dispatcher {
    #[tracing::instrument(
        skip_all,
        fields(command_id = %message.command_id, aggregate = %message.aggregate, verb = %message.verb)
    )]
    async fn handle(&self, message: &Arc<CommandMessage>, _attempt: u32) -> Handled {
        let Some(plan) = self.plans.of(message) else {
            return Handled::GiveUp { error: format!("nobody handles {}.{}", message.aggregate, message.verb) };
        };
        match self.bus.execute(plan, Arc::clone(message)).await {
            Ok(outcome) => Handled::Reply(outcome),
            Err(error) => Handled::Retry { error: error.to_string() },
        }
    }

    async fn bury(&self, message: &CommandMessage, error: &str, attempts: u32) -> anyhow::Result<()> {
        self.dead_letters.bury(message, error, attempts).await
    }
}
