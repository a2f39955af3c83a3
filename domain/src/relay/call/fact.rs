//! One call, as it is told of: who asked for what, who was asked, how it ended and how long it took.

use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CallId, ChannelId, HoldId, UserId,
    billing::{Basis, Purpose, Tokens},
};

/// Characters of a name or a code in a call, at most.
const MAX_CHARS: usize = 120;
/// Tries of one call, and channels that were left out, at most: more than the router ever makes.
const MAX_PARTS: usize = 24;

/// One call of a model, from the question to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    pub id: CallId,
    pub user: UserId,
    pub purpose: Purpose,
    pub surface: Surface,
    /// The model that was asked for, as users name it. Absent where nobody offers what was named: then it is anybody's
    /// text and no model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Who answered. Absent where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Answering>,
    /// Whether the answer was asked for piece by piece.
    pub stream: bool,
    /// When the question arrived.
    pub started_at: DateTime<Utc>,
    /// From the question to the end, in milliseconds.
    pub duration_ms: u64,
    /// From the question to the first output, in milliseconds. Absent where there was none, and where the answer came as a
    /// whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_output_ms: Option<u64>,
    pub outcome: CallOutcome,
    /// Everybody who was asked, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<CallTry>,
    /// Who was not asked when somebody was last looked for, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// What it consumed, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// How the tokens are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// The credit that was set apart for it; the settlement of that hold says what it cost. Absent where none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_id: Option<HoldId>,
    /// Of an answer that cost nobody anything, so that nothing was held and no settlement tells its tokens: the version of
    /// the price list that says so. Absent of all other calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_by: Option<u32>,
}

/// By which door a call came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Surface {
    /// A reply in a conversation of the page.
    Conversation,
    /// OpenAI's chat completions, and its older completions.
    ChatCompletions,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Google's generateContent.
    GenerateContent,
    /// Amazon's converse.
    Converse,
    /// Vectors of texts.
    Embeddings,
    /// Documents in the order in which they answer a question.
    Rerank,
    /// Pictures, made or changed.
    Images,
    /// Text that is spoken.
    Speech,
    /// Speech that is written down, in its language or in English.
    Transcription,
    /// Whether a text or picture is harmful.
    Moderation,
}

impl Surface {
    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::GenerateContent => "generate_content",
            Self::Converse => "converse",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Images => "images",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Moderation => "moderation",
        }
    }
}

/// Who answered a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answering {
    pub channel_id: ChannelId,
    /// As users name it; another than was asked for where that one could not answer.
    pub model: String,
    /// As the provider names it.
    pub upstream: String,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallOutcome {
    /// To its end, or as far as it was allowed to go.
    Completed,
    /// Whoever asked went away, or stopped it.
    Cancelled,
    /// Nobody answered, or the answer broke off.
    Failed {
        /// Why, in a word for programs.
        code: String,
    },
    /// It was not begun: nobody was asked.
    Refused {
        /// Why, in a word for programs.
        code: String,
    },
}

impl CallOutcome {
    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed { .. } => "failed",
            Self::Refused { .. } => "refused",
        }
    }

    /// Why, where it is an error.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Completed | Self::Cancelled => None,
            Self::Failed { code } | Self::Refused { code } => Some(code),
        }
    }
}

/// One time that somebody was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallTry {
    pub channel_id: ChannelId,
    /// As users name it.
    pub model: String,
    /// The name under which the channel's key is known; nothing of the key itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// It was asked while another one kept silent.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hedge: bool,
    /// `ok`, why it failed, or `pending` of one that was not waited for.
    pub outcome: String,
    /// Until its first output, or its failure, in milliseconds.
    pub duration_ms: u64,
    pub spent: Spent,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What is known of what a try has cost the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spent {
    /// It answered: the settlement of the call says it, and where there is none it was nothing.
    Settled,
    /// It refused, or was never reached.
    Nothing,
    /// It had the question, and nobody says what it made of it: it broke off, was too slow, or was not waited for.
    Unknown,
}

/// A channel that was not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// As operators call it.
    pub channel: String,
    /// Why, in words.
    pub reason: String,
}

impl Call {
    /// What it consumed, if no wallet will ever tell: who answered for nothing, and by which version of the price list.
    #[must_use]
    pub fn for_nothing(&self) -> Option<(&Answering, u32, &Tokens, Basis)> {
        Some((self.answered.as_ref()?, self.free_by?, self.tokens.as_ref()?, self.basis?))
    }

    /// When it ended.
    #[must_use]
    pub fn ended_at(&self) -> DateTime<Utc> {
        let took = i64::try_from(self.duration_ms).ok().and_then(TimeDelta::try_milliseconds);
        took.and_then(|took| self.started_at.checked_add_signed(took)).unwrap_or(self.started_at)
    }

    /// Whether it may be recorded as it is.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.tries.len() <= MAX_PARTS && self.left_out.len() <= MAX_PARTS && self.texts().all(is_short)
    }

    /// The same, cut to what may be recorded.
    #[must_use]
    pub fn cut(mut self) -> Self {
        self.tries.truncate(MAX_PARTS);
        self.left_out.truncate(MAX_PARTS);
        for text in self.texts_mut().filter(|text| !is_short(text)) {
            *text = text.chars().take(MAX_CHARS).collect();
        }
        self
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let answered = self.answered.iter().flat_map(|by| [&by.model, &by.upstream]);
        let tries = self.tries.iter().flat_map(|one| [Some(&one.model), one.key.as_ref(), Some(&one.outcome)]);
        let left_out = self.left_out.iter().flat_map(|one| [&one.channel, &one.reason]);
        let of_lists = answered.chain(tries.flatten()).chain(left_out).map(String::as_str);
        self.model.as_deref().into_iter().chain(self.outcome.code()).chain(of_lists)
    }

    fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let code = match &mut self.outcome {
            CallOutcome::Failed { code } | CallOutcome::Refused { code } => Some(code),
            CallOutcome::Completed | CallOutcome::Cancelled => None,
        };
        let answered = self.answered.iter_mut().flat_map(|by| [&mut by.model, &mut by.upstream]);
        let tries = self.tries.iter_mut().flat_map(CallTry::texts_mut);
        let left_out = self.left_out.iter_mut().flat_map(|one| [&mut one.channel, &mut one.reason]);
        self.model.iter_mut().chain(code).chain(answered).chain(tries).chain(left_out)
    }
}

impl CallTry {
    fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        [Some(&mut self.model), self.key.as_mut(), Some(&mut self.outcome)].into_iter().flatten()
    }
}

fn is_short(text: &str) -> bool {
    // Most are far shorter than this in bytes, whatever they are written in.
    text.len() <= MAX_CHARS || text.chars().nth(MAX_CHARS).is_none()
}
