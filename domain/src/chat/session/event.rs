//! What happened in a session. Stored for ever: a change is a new version (see `tests/wire/`).

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{MessageId, RunId, Sealed, UserId};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionEvent {
    /// A conversation was opened.
    Started {
        owner: UserId,
        /// As its owner named it; absent until somebody does.
        title: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    /// The owner said something.
    MessageSent {
        message_id: MessageId,
        /// The message that it follows; absent at the beginning. Two that follow the same one are branches.
        parent_id: Option<MessageId>,
        /// What was said.
        content: Sealed<String>,
        at: DateTime<Utc>,
    },
    /// A model is to answer a message; every such run has exactly one ending: completed or failed.
    ReplyRequested {
        run_id: RunId,
        /// The message that the answer will be.
        reply_id: MessageId,
        /// The question.
        parent_id: MessageId,
        /// As users name it.
        model: String,
        at: DateTime<Utc>,
    },
    /// A worker begins to ask the model; what earlier attempts of this run send is refused from now on.
    ReplyStarted {
        run_id: RunId,
        /// Counts from 1.
        attempt: u32,
        at: DateTime<Utc>,
    },
    /// The owner asked to stop; the run ends soon, with the text it has.
    StopRequested { run_id: RunId, at: DateTime<Utc> },
    /// The answer is whole, or was stopped; its text is kept.
    ReplyCompleted {
        run_id: RunId,
        /// The one that brought it.
        attempt: u32,
        /// The answer.
        content: Sealed<String>,
        finish: Finish,
        /// Absent where nothing is known of it.
        usage: Option<Usage>,
        at: DateTime<Utc>,
    },
    /// There is no whole answer; what had arrived of it is kept.
    ReplyFailed {
        run_id: RunId,
        /// The last one.
        attempt: u32,
        /// As far as it came; may be empty.
        content: Sealed<String>,
        /// The reason, for programs: `upstream_cut`.
        code: String,
        /// The reason, for people. May quote the provider, and the provider the user.
        message: Sealed<String>,
        at: DateTime<Utc>,
    },
    /// The conversation has another title.
    Renamed {
        /// The new one.
        title: Sealed<String>,
        at: DateTime<Utc>,
    },
    /// The owner put the conversation away; it can be restored.
    Deleted { at: DateTime<Utc> },
    /// The owner took the conversation back.
    Restored { at: DateTime<Utc> },
}

/// Why a reply ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model had no more to say.
    Stop,
    /// The output bound was reached.
    Length,
    /// The user asked to stop, or the process died and the operator chose not to begin again.
    Stopped,
}

/// Tokens of one reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Of the question with all that came before it.
    pub input_tokens: u64,
    /// Of the answer.
    pub output_tokens: u64,
    /// How they are known: `reported`, `counted` or `estimated`.
    pub basis: String,
}

impl cqrs_es::DomainEvent for SessionEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Started { .. } => "session.started",
            Self::MessageSent { .. } => "session.message_sent",
            Self::ReplyRequested { .. } => "session.reply_requested",
            Self::ReplyStarted { .. } => "session.reply_started",
            Self::StopRequested { .. } => "session.stop_requested",
            Self::ReplyCompleted { .. } => "session.reply_completed",
            Self::ReplyFailed { .. } => "session.reply_failed",
            Self::Renamed { .. } => "session.renamed",
            Self::Deleted { .. } => "session.deleted",
            Self::Restored { .. } => "session.restored",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::ReplyFailed { .. } => "2",
            _ => "1",
        }
        .to_owned()
    }
}
