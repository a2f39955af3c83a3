//! What has a breaker, and that one changed.

use std::sync::Arc;

use domain::ChannelId;
use serde::{Deserialize, Serialize};

use crate::State;

/// The cause of what another node has seen.
pub(crate) const TOLD: &str = "told";

/// What a breaker is of, by somebody else's words.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PartOf<'p> {
    Channel,
    Key(&'p str),
    Model(&'p str),
}

impl PartOf<'_> {
    pub(crate) fn owned(self) -> Part {
        match self {
            Self::Channel => Part::Channel,
            Self::Key(name) => Part::Key { name: name.to_owned() },
            Self::Model(name) => Part::Model { name: name.to_owned() },
        }
    }
}

impl<'p> From<&'p Part> for PartOf<'p> {
    fn from(part: &'p Part) -> Self {
        match part {
            Part::Channel => Self::Channel,
            Part::Key { name } => Self::Key(name),
            Part::Model { name } => Self::Model(name),
        }
    }
}

/// What a breaker is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Part {
    /// A channel as a whole.
    Channel,
    /// One of its keys.
    Key { name: String },
    /// One of its models, as the provider names it.
    Model { name: String },
}

impl Part {
    /// The word in metrics and logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Key { .. } => "key",
            Self::Model { .. } => "model",
        }
    }
}

/// A breaker changed its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub channel: ChannelId,
    /// What operators call the channel; empty before it was ever asked here.
    pub name: Arc<str>,
    pub part: Part,
    pub from: State,
    pub to: State,
    /// Times that it opened since it last went well while closed.
    pub opened: u32,
    /// The code of the failure, or what else made it change.
    pub cause: &'static str,
}

impl Change {
    /// Whether another node has seen it, not this one.
    #[must_use]
    pub fn was_told(&self) -> bool {
        self.cause == TOLD
    }
}
