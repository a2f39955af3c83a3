//! How calls find a channel: what operators say about preference, access and limits.
//!
//! Promise: nothing here chooses; a channel that says nothing may be used by everybody, without a limit of its own.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Among channels of one tier, at most.
pub const MAX_WEIGHT: u32 = 10_000;
/// Preference is within so many steps of 0, both ways.
pub const MAX_PRIORITY: i32 = 1_000;
/// Seconds that an answer nobody waits for may still be read, at most.
pub const MAX_DRAIN_SECONDS: u32 = 3_600;
/// Groups of one channel, at most.
pub const MAX_GROUPS: usize = 100;
/// Characters of a channel's public name, at most.
pub const MAX_PUBLIC_NAME_CHARS: usize = 80;
/// Milliseconds after which a second channel may be asked beside a silent one, at most.
pub const MAX_HEDGE_MS: u32 = 600_000;
/// Models that one model may fall back to, at most, for each reason.
pub const MAX_FALLBACKS: usize = 10;

/// Which calls a channel gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Routing {
    /// The highest that can serve is asked first; a lower one only where no higher one can.
    pub priority: i32,
    /// Its share among channels of the same priority, where the model's strategy is `weighted`; 0 is asked last.
    pub weight: u32,
    /// The user groups that may use it, by name; everybody where empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// What the provider bears of us.
    #[serde(default, skip_serializing_if = "Limits::are_none")]
    pub limits: Limits,
    /// How long an answer is read on after its client has gone; as the installation's policy where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// What clients are told of who answered; the channel's id where absent, never what operators call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_name: Option<String>,
    /// How it is found out whether it works again.
    #[serde(default, skip_serializing_if = "ProbeBy::is_usual")]
    pub probe: ProbeBy,
}

/// How a channel that rests is asked after.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProbeBy {
    /// By its list of models, which costs nothing.
    #[default]
    List,
    /// By a conversation of one token, for servers whose list says nothing; what it costs is the house's own.
    Chat,
}

impl ProbeBy {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            priority: 0,
            weight: 1,
            groups: BTreeSet::new(),
            limits: Limits::default(),
            drain: None,
            public_name: None,
            probe: ProbeBy::default(),
        }
    }
}

impl Routing {
    /// Whether people of `group` may use the channel.
    #[must_use]
    pub fn admits(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.contains(group)
    }

    pub(super) fn is_valid(&self) -> bool {
        let Limits { requests_per_minute, tokens_per_minute, parallel } = self.limits;
        // A limit of none at all is a channel that is switched off, and says so.
        let no_zero = requests_per_minute != Some(0) && tokens_per_minute != Some(0) && parallel != Some(0);
        no_zero
            && self.priority.unsigned_abs() <= MAX_PRIORITY.unsigned_abs()
            && self.weight <= MAX_WEIGHT
            && self.groups.len() <= MAX_GROUPS
            && self.drain.is_none_or(|drain| drain.seconds <= MAX_DRAIN_SECONDS)
            && self.public_name.as_deref().is_none_or(is_public_name)
    }
}

fn is_public_name(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= MAX_PUBLIC_NAME_CHARS && !name.contains(char::is_control)
}

/// What a channel takes, over all nodes; no limit where absent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Limits {
    /// Calls begun within a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Input and output together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Calls under way at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
}

impl Limits {
    fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How far an answer is read on after its client has gone, so that it is settled by what the provider reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drain {
    /// 0 stops it at once.
    pub seconds: u32,
    /// Output tokens from then on, as far as they can be counted.
    pub tokens: u32,
}

/// How a model's calls are spread over channels of one tier. Where channels differ about a model, the most preferred one
/// that says anything decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By the channels' weights.
    Weighted,
    /// The one with the fewest calls under way.
    LeastBusy,
    /// The one that was fastest to its first token of late.
    LowestLatency,
    /// The one that charges us least.
    LowestCost,
    /// The one that has this conversation, or `prompt_cache_key`, in its cache.
    Affinity,
}

/// Other models, by their public names, that answer instead; the first that can.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fallbacks {
    /// Where the conversation is longer than this model can read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_window: Vec<String>,
    /// Where the provider refuses the content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_policy: Vec<String>,
    /// Where every channel of this model fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub general: Vec<String>,
}

impl Fallbacks {
    /// All lists, for whoever checks names.
    pub(super) fn lists(&self) -> [&[String]; 3] {
        [&self.context_window, &self.content_policy, &self.general]
    }

    pub(super) fn are_none(&self) -> bool {
        self.lists().iter().all(|list| list.is_empty())
    }
}

/// What a model reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Words.
    Text,
    /// Pictures.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// Documents such as PDF.
    File,
    /// Vectors.
    Embedding,
}

/// What can be asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Conversations.
    Chat,
    /// Text that goes on.
    Completion,
    /// Vectors of texts.
    Embeddings,
    /// Documents put into the order of their worth for a question.
    Rerank,
    /// Pictures made or changed.
    Images,
    /// Text read aloud.
    Speech,
    /// Speech written down.
    Transcription,
    /// Whether a text may be said.
    Moderation,
    /// Calls of the client's functions.
    Tools,
    /// Several of them at once.
    ParallelTools,
    /// Answers by a JSON schema.
    StructuredOutput,
    /// Thinks before it answers.
    Reasoning,
    /// Remembers the beginnings of prompts.
    PromptCache,
    /// Tells how likely its words were.
    Logprobs,
    /// Looks things up on the web by itself.
    WebSearch,
}

/// What is known about a model besides its names; whatever is empty is not known, and refuses nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelTraits {
    /// As the installation's where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// A second channel is asked beside one that said nothing for so many milliseconds, and the first output counts; what
    /// the other one costs is ours. Nobody is asked beside where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge_after_ms: Option<u32>,
    #[serde(default, skip_serializing_if = "Fallbacks::are_none")]
    pub fallbacks: Fallbacks,
    /// What it reads.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub input_modalities: BTreeSet<Modality>,
    /// What it writes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub output_modalities: BTreeSet<Modality>,
    /// What can be asked of it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<Capability>,
}
