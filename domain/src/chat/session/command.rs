//! What can be asked of a session.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Finish, Usage};
use crate::{MessageId, RunId, Sealed, UserId};

/// Where a new question goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parent {
    /// After the newest answer of the session.
    NewestLeaf,
    /// After this answer: a branch, if the answer was continued already.
    After(MessageId),
    /// At the beginning: a second first question.
    Root,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionCommand {
    StartSession {
        owner: UserId,
        title: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    /// Say something and ask for an answer.
    SendMessage {
        by: UserId,
        message_id: MessageId,
        parent: Parent,
        content: Sealed<String>,
        model: String,
        run_id: RunId,
        reply_id: MessageId,
        at: DateTime<Utc>,
    },
    /// Ask for another answer: a sibling of the answer `message_id`, or one more to the question `message_id`.
    RegenerateReply {
        by: UserId,
        message_id: MessageId,
        model: String,
        run_id: RunId,
        reply_id: MessageId,
        at: DateTime<Utc>,
    },
    /// A worker took the run under a lease; `attempt` counts leases from 1.
    StartReply {
        run_id: RunId,
        attempt: u32,
        at: DateTime<Utc>,
    },
    CompleteReply {
        run_id: RunId,
        attempt: u32,
        content: Sealed<String>,
        finish: Finish,
        usage: Option<Usage>,
        at: DateTime<Utc>,
    },
    /// No answer could be had, or only `content` of it.
    FailReply {
        run_id: RunId,
        attempt: u32,
        content: Sealed<String>,
        code: String,
        message: Sealed<String>,
        at: DateTime<Utc>,
    },
    StopReply {
        by: UserId,
        run_id: RunId,
        at: DateTime<Utc>,
    },
    RenameSession {
        by: UserId,
        title: Sealed<String>,
        at: DateTime<Utc>,
    },
    /// Put the session into the bin; open replies are stopped.
    DeleteSession {
        by: UserId,
        at: DateTime<Utc>,
    },
    RestoreSession {
        by: UserId,
        at: DateTime<Utc>,
    },
}
