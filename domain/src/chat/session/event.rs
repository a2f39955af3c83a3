//! What happened in a session. Stored for ever: a change is a new version (see `tests/wire/`).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{MessageId, RunId, Sealed, UserId};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEvent {
    Started {
        owner: UserId,
        title: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    MessageSent {
        message_id: MessageId,
        parent_id: Option<MessageId>,
        content: Sealed<String>,
        at: DateTime<Utc>,
    },
    ReplyRequested {
        run_id: RunId,
        reply_id: MessageId,
        /// The question.
        parent_id: MessageId,
        model: String,
        at: DateTime<Utc>,
    },
    ReplyStarted {
        run_id: RunId,
        attempt: u32,
        at: DateTime<Utc>,
    },
    StopRequested {
        run_id: RunId,
        at: DateTime<Utc>,
    },
    ReplyCompleted {
        run_id: RunId,
        attempt: u32,
        content: Sealed<String>,
        finish: Finish,
        usage: Option<Usage>,
        at: DateTime<Utc>,
    },
    ReplyFailed {
        run_id: RunId,
        attempt: u32,
        content: Sealed<String>,
        code: String,
        /// May quote the provider, and the provider the user. Open in version 1 (see `upcast`).
        message: Sealed<String>,
        at: DateTime<Utc>,
    },
    Renamed {
        title: Sealed<String>,
        at: DateTime<Utc>,
    },
    Deleted {
        at: DateTime<Utc>,
    },
    Restored {
        at: DateTime<Utc>,
    },
}

/// Why a reply ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model had no more to say.
    Stop,
    /// The output bound was reached.
    Length,
    /// The user asked to stop, or the process died and the operator chose not to begin again.
    Stopped,
}

/// Tokens of one reply and how they are known: `reported`, `counted` or `estimated`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
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
