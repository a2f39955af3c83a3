//! What a caller asks of the router, and what it is told.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{ChannelId, relay::Strategy};
use relay::{KeyRef, RelayError};

use crate::{Candidate, Reason, Wish};

/// Something that anybody of several may answer.
#[derive(Debug, Clone)]
pub struct Demand {
    /// The model that was asked for, then those that may answer instead. They change only with the channels.
    pub stages: Arc<[Stage]>,
    pub wish: Wish,
    pub tries: Tries,
    /// A second candidate is asked too if the first has said nothing for so long; nobody else where absent.
    pub hedge_after: Option<Duration>,
}

/// One model, and who offers it.
#[derive(Debug, Clone)]
pub struct Stage {
    /// As users name it.
    pub model: Arc<str>,
    pub when: When,
    /// Replaces that of the wish.
    pub strategy: Option<Strategy>,
    pub candidates: Vec<Candidate>,
}

/// What has to happen for a stage to be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing: it is the model that was asked for.
    First,
    /// The conversation is longer than the models before can read.
    ContextWindow,
    /// A provider refused the content.
    ContentPolicy,
    /// Everybody before failed.
    General,
}

/// How much is tried for one request, all before its first output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// Times that one stage is asked.
    pub most: u32,
    /// A request that is older is not begun again.
    pub within: Duration,
    /// Before the same candidate is asked again; twice as long each time.
    pub pause: Duration,
    /// Longer pauses are reported instead of waited for.
    pub longest_pause: Duration,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            most: 3,
            within: Duration::from_secs(15),
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(5),
        }
    }
}

/// Who is to be asked, by places in the [`Demand`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub stage: usize,
    pub candidate: usize,
    pub key: Option<KeyRef>,
}

/// An answer that has begun.
#[derive(Debug)]
pub struct Answered<A> {
    pub answer: A,
    /// Whose it is.
    pub by: Asked,
    pub story: Story,
}

/// There is no answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Unanswered {
    /// What the last one who was asked said; if nobody was, why.
    pub error: RelayError,
    pub story: Story,
}

/// How a request came to its answer, or to none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Story {
    pub tries: Vec<Try>,
    /// Who was not asked when somebody was last looked for, and why.
    pub left_out: Vec<Spared>,
}

/// One time that somebody was asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Try {
    pub channel: ChannelId,
    /// What operators call the channel.
    pub name: Arc<str>,
    /// As users name it.
    pub model: Arc<str>,
    pub key: Option<KeyRef>,
    /// It was asked while another one kept silent.
    pub hedge: bool,
    /// `ok`, the code of its error, or `pending` of whoever was not waited for.
    pub outcome: &'static str,
    /// Until its first output, or its failure.
    pub took: Duration,
    pub(crate) began: Instant,
}

/// A channel that was not asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Spared {
    /// What operators call it.
    pub name: Arc<str>,
    /// What users are told of it.
    pub told: Arc<str>,
    pub reason: Reason,
}

impl Story {
    /// How many were asked.
    #[must_use]
    pub fn asked(&self) -> u32 {
        u32::try_from(self.tries.len()).unwrap_or(u32::MAX)
    }

    /// Channel by channel, why nobody more was asked; fit for users.
    #[must_use]
    pub fn reasons(&self) -> String {
        self.by_channel(|spared| &spared.told)
    }

    fn by_channel(&self, name: impl Fn(&Spared) -> &str) -> String {
        let one = |spared: &Spared| format!("{}: {}", name(spared), spared.reason.words());
        self.left_out.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

/// In one line, for traces.
impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, one) in self.tries.iter().enumerate() {
            let (arrow, hedge) = (if place > 0 { " → " } else { "" }, if one.hedge { " beside" } else { "" });
            write!(f, "{arrow}{}/{}{hedge} {} in {} ms", one.name, one.model, one.outcome, one.took.as_millis())?;
        }
        if !self.left_out.is_empty() {
            write!(f, " (not asked: {})", self.by_channel(|spared| &spared.name))?;
        }
        Ok(())
    }
}
