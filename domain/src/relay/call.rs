//! Calls of models as they went, from the question to the last word: what an operator is told about them.
//!
//! Promise: a batch is recorded once, whatever is sent again; a call holds nothing that anybody said and no key, and is
//! small, so that many are one event. Money does not depend on it: what a call cost is the wallet's to say.

mod fact;
#[cfg(test)]
mod spec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::decider::{Decider, Refusal};

pub use fact::{Answering, Call, CallOutcome, CallTry, LeftOut, Spent, Surface};

/// Calls of one batch, at most. Whoever sends them sees to it that they fit into one event.
pub const MAX_CALLS: usize = 1024;

/// Commands on a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallBatchCommand {
    RecordCalls { calls: Vec<Call> },
}

/// Stored for ever: a change is a new version (see `tests/wire/`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallBatchEvent {
    /// Calls of models ended, well or not, or were refused before anybody was asked. They have nothing in common but that
    /// one process told of them together.
    Recorded {
        /// In the order in which they ended; a call is told of in one batch.
        calls: Vec<Call>,
    },
}

/// Why calls are not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CallBatchRefusal {
    #[error("a batch has 1 to {MAX_CALLS} calls")]
    InvalidSize { calls: usize },
    #[error("a name or a list of a call is too long")]
    TooLarge,
}

impl Refusal for CallBatchRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidSize { .. } => "invalid_batch_size",
            Self::TooLarge => "call_too_large",
        }
    }

    fn details(&self) -> Value {
        match self {
            Self::InvalidSize { calls } => json!({ "calls": calls, "limit": MAX_CALLS }),
            Self::TooLarge => Value::Null,
        }
    }
}

/// Calls that one process tells of together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallBatch {
    #[default]
    Unknown,
    Recorded,
}

impl Decider for CallBatch {
    const CAPABILITY: &'static str = "relay";
    const TYPE: &'static str = "call_batch";
    type Command = CallBatchCommand;
    type Event = CallBatchEvent;
    type Refusal = CallBatchRefusal;

    fn decide(&self, command: CallBatchCommand) -> Result<Vec<CallBatchEvent>, CallBatchRefusal> {
        let CallBatchCommand::RecordCalls { calls } = command;
        if *self == Self::Recorded {
            return Ok(vec![]);
        }
        if calls.is_empty() || calls.len() > MAX_CALLS {
            return Err(CallBatchRefusal::InvalidSize { calls: calls.len() });
        }
        if !calls.iter().all(Call::is_small) {
            return Err(CallBatchRefusal::TooLarge);
        }
        Ok(vec![CallBatchEvent::Recorded { calls }])
    }

    fn apply(&mut self, event: CallBatchEvent) {
        let CallBatchEvent::Recorded { .. } = event;
        *self = Self::Recorded;
    }
}

impl cqrs_es::DomainEvent for CallBatchEvent {
    fn event_type(&self) -> String {
        let Self::Recorded { .. } = self;
        "call_batch.recorded".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
