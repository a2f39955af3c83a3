//! Why a session says no.

use serde_json::{Value, json};
use thiserror::Error;

use crate::decider::Refusal;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionRefusal {
    #[error("there is no such conversation")]
    SessionNotFound,
    #[error("there is no such message in this conversation")]
    MessageNotFound,
    #[error("there is no such reply in this conversation")]
    RunNotFound,
    #[error("this conversation exists already")]
    AlreadyStarted,
    #[error("this message was sent already")]
    AlreadySent,
    #[error("the message is empty")]
    MessageEmpty,
    #[error("the message has {chars} characters; at most {limit} fit in one")]
    MessageTooLong { chars: usize, limit: usize },
    #[error("a title has 1 to {limit} characters")]
    InvalidTitle { limit: usize },
    #[error("a question can only follow an answer")]
    ParentIsNoAnswer,
    #[error("the answer is still being written; wait for it or stop it first")]
    ReplyInProgress,
    #[error("{limit} answers of this conversation are being written; wait for one or stop one first")]
    TooManyReplies { limit: usize },
    #[error("this conversation has {limit} messages, the most that one can have; start a new one")]
    SessionFull { limit: usize },
    #[error("another attempt at this reply has taken over")]
    StaleAttempt { current: u32 },
    #[error("this reply is finished")]
    ReplyFinished,
}

impl Refusal for SessionRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::SessionNotFound => "session_not_found",
            Self::MessageNotFound => "message_not_found",
            Self::RunNotFound => "run_not_found",
            Self::AlreadyStarted => "session_exists",
            Self::AlreadySent => "message_exists",
            Self::MessageEmpty => "message_empty",
            Self::MessageTooLong { .. } => "message_too_long",
            Self::InvalidTitle { .. } => "invalid_title",
            Self::ParentIsNoAnswer => "parent_is_no_answer",
            Self::ReplyInProgress => "reply_in_progress",
            Self::TooManyReplies { .. } => "too_many_replies",
            Self::SessionFull { .. } => "session_full",
            Self::StaleAttempt { .. } => "stale_attempt",
            Self::ReplyFinished => "reply_finished",
        }
    }

    fn details(&self) -> Value {
        match self {
            Self::MessageTooLong { chars, limit } => json!({ "chars": chars, "limit": limit }),
            Self::InvalidTitle { limit } | Self::TooManyReplies { limit } | Self::SessionFull { limit } => {
                json!({ "limit": limit })
            }
            Self::StaleAttempt { current } => json!({ "current": current }),
            _ => Value::Null,
        }
    }
}
