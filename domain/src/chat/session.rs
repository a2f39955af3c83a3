//! A chat session: a user's conversation with models, as an append-only tree of messages.
//!
//! Promise: a message, once accepted, is never changed or lost; regenerating makes a sibling; every question gets
//! exactly one ending per run (completed, stopped or failed); a reply attempt that lost its lease cannot speak any more.
//! Only the owner may act. Token deltas are no facts: a reply becomes an event when it is finished.
// tidy: long because an aggregate is read as one specification, from its commands to how events change its state.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use super::tree::{Author, Run, RunStage, Tree};
use crate::{
    MessageId, RunId, Sealed, UserId,
    decider::{Decider, Refusal},
};

/// Characters (Unicode code points) of one message, at most.
pub const MAX_MESSAGE_CHARS: usize = 32_000;
/// Characters of a title, at most.
pub const MAX_TITLE_CHARS: usize = 200;
/// Messages of one session, questions and answers, at most.
pub const MAX_MESSAGES: usize = 10_000;
/// Replies of one session that may be generated at the same time.
pub const MAX_OPEN_RUNS: usize = 4;

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
        message: String,
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
        message: String,
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

/// Not yet, or a conversation of its owner, in the bin or not.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub enum Session {
    #[default]
    Unknown,
    Started {
        owner: UserId,
        deleted: bool,
        tree: Tree,
    },
}

impl Decider for Session {
    const CAPABILITY: &'static str = "chat";
    const TYPE: &'static str = "session";
    type Command = SessionCommand;
    type Event = SessionEvent;
    type Refusal = SessionRefusal;

    fn decide(&self, command: SessionCommand) -> Result<Vec<SessionEvent>, SessionRefusal> {
        use SessionCommand as C;
        match command {
            C::StartSession { owner, title, at } => self.start(owner, title, at),
            C::SendMessage { by, message_id, parent, content, model, run_id, reply_id, at } => {
                let tree = self.in_use_by(by)?;
                check_text(&content)?;
                let parent_id = parent_of_question(tree, parent)?;
                check_room(tree, &[message_id, reply_id], run_id)?;
                Ok(vec![
                    SessionEvent::MessageSent { message_id, parent_id, content, at },
                    SessionEvent::ReplyRequested { run_id, reply_id, parent_id: message_id, model, at },
                ])
            }
            C::RegenerateReply { by, message_id, model, run_id, reply_id, at } => {
                let tree = self.in_use_by(by)?;
                let question = tree.question_of(message_id).ok_or(SessionRefusal::MessageNotFound)?;
                check_room(tree, &[reply_id], run_id)?;
                Ok(vec![SessionEvent::ReplyRequested { run_id, reply_id, parent_id: question, model, at }])
            }
            C::StartReply { run_id, attempt, at } => {
                let run = self.open_run(run_id)?;
                if attempt <= run.attempt {
                    return Err(SessionRefusal::StaleAttempt { current: run.attempt });
                }
                Ok(vec![SessionEvent::ReplyStarted { run_id, attempt, at }])
            }
            C::CompleteReply { run_id, attempt, content, finish, usage, at } => {
                self.check_attempt(run_id, attempt)?;
                Ok(vec![SessionEvent::ReplyCompleted { run_id, attempt, content, finish, usage, at }])
            }
            C::FailReply { run_id, attempt, content, code, message, at } => {
                self.check_attempt(run_id, attempt)?;
                Ok(vec![SessionEvent::ReplyFailed { run_id, attempt, content, code, message, at }])
            }
            C::StopReply { by, run_id, at } => {
                let run = self.owned_by(by)?.run(run_id).ok_or(SessionRefusal::RunNotFound)?;
                Ok(stop(run_id, run, at).into_iter().collect())
            }
            C::RenameSession { by, title, at } => {
                self.in_use_by(by)?;
                check_title(&title)?;
                Ok(vec![SessionEvent::Renamed { title, at }])
            }
            C::DeleteSession { by, at } => self.delete(by, at),
            C::RestoreSession { by, at } => {
                self.owned_by(by)?;
                Ok(if self.is_deleted() { vec![SessionEvent::Restored { at }] } else { vec![] })
            }
        }
    }

    fn apply(&mut self, event: SessionEvent) {
        use SessionEvent as E;
        if let E::Started { owner, .. } = event {
            *self = Self::Started { owner, deleted: false, tree: Tree::default() };
            return;
        }
        let Self::Started { deleted, tree, .. } = self else { return };
        match event {
            E::MessageSent { message_id, parent_id, .. } => tree.add(message_id, parent_id, Author::User),
            E::ReplyRequested { run_id, reply_id, parent_id, .. } => {
                tree.add(reply_id, Some(parent_id), Author::Assistant);
                tree.open(run_id, reply_id);
            }
            E::ReplyStarted { run_id, attempt, .. } => tree.start(run_id, attempt),
            E::StopRequested { run_id, .. } => tree.stop(run_id),
            E::ReplyCompleted { run_id, .. } | E::ReplyFailed { run_id, .. } => tree.finish(run_id),
            E::Deleted { .. } => *deleted = true,
            E::Restored { .. } => *deleted = false,
            E::Renamed { .. } | E::Started { .. } => {}
        }
    }
}

impl Session {
    /// Whose conversation this is, once it was started.
    #[must_use]
    pub const fn owner(&self) -> Option<UserId> {
        match self {
            Self::Unknown => None,
            Self::Started { owner, .. } => Some(*owner),
        }
    }

    /// The messages and runs, once it was started.
    #[must_use]
    pub const fn tree(&self) -> Option<&Tree> {
        match self {
            Self::Unknown => None,
            Self::Started { tree, .. } => Some(tree),
        }
    }

    const fn is_deleted(&self) -> bool {
        matches!(self, Self::Started { deleted: true, .. })
    }

    /// A stranger learns no more than that there is nothing.
    fn owned_by(&self, by: UserId) -> Result<&Tree, SessionRefusal> {
        match self {
            Self::Started { owner, tree, .. } if *owner == by => Ok(tree),
            _ => Err(SessionRefusal::SessionNotFound),
        }
    }

    fn in_use_by(&self, by: UserId) -> Result<&Tree, SessionRefusal> {
        let tree = self.owned_by(by)?;
        if self.is_deleted() { Err(SessionRefusal::SessionNotFound) } else { Ok(tree) }
    }

    fn open_run(&self, run_id: RunId) -> Result<&Run, SessionRefusal> {
        let run = self.tree().and_then(|tree| tree.run(run_id)).ok_or(SessionRefusal::RunNotFound)?;
        if run.stage == RunStage::Finished { Err(SessionRefusal::ReplyFinished) } else { Ok(run) }
    }

    fn check_attempt(&self, run_id: RunId, attempt: u32) -> Result<(), SessionRefusal> {
        let current = self.open_run(run_id)?.attempt;
        if attempt == current { Ok(()) } else { Err(SessionRefusal::StaleAttempt { current }) }
    }

    fn start(
        &self,
        owner: UserId,
        title: Option<Sealed<String>>,
        at: DateTime<Utc>,
    ) -> Result<Vec<SessionEvent>, SessionRefusal> {
        if self.owner().is_some() {
            return Err(SessionRefusal::AlreadyStarted);
        }
        if let Some(title) = &title {
            check_title(title)?;
        }
        Ok(vec![SessionEvent::Started { owner, title, at }])
    }

    fn delete(&self, by: UserId, at: DateTime<Utc>) -> Result<Vec<SessionEvent>, SessionRefusal> {
        let tree = self.owned_by(by)?;
        if self.is_deleted() {
            return Ok(vec![]);
        }
        let stops = tree.open_runs().filter_map(|(id, run)| stop(id, run, at));
        Ok(stops.chain([SessionEvent::Deleted { at }]).collect())
    }
}

fn stop(run_id: RunId, run: &Run, at: DateTime<Utc>) -> Option<SessionEvent> {
    matches!(run.stage, RunStage::Requested | RunStage::Answering).then_some(SessionEvent::StopRequested { run_id, at })
}

fn parent_of_question(tree: &Tree, parent: Parent) -> Result<Option<MessageId>, SessionRefusal> {
    let after = match parent {
        Parent::Root => return Ok(None),
        Parent::NewestLeaf => tree.newest_answer(),
        Parent::After(id) => match tree.author_of(id).ok_or(SessionRefusal::MessageNotFound)? {
            Author::Assistant => Some(id),
            Author::User => return Err(SessionRefusal::ParentIsNoAnswer),
        },
    };
    match after {
        Some(answer) if tree.is_being_written(answer) => Err(SessionRefusal::ReplyInProgress),
        after => Ok(after),
    }
}

fn check_room(tree: &Tree, new: &[MessageId], run_id: RunId) -> Result<(), SessionRefusal> {
    if tree.run(run_id).is_some() || new.iter().any(|id| tree.author_of(*id).is_some()) {
        return Err(SessionRefusal::AlreadySent);
    }
    if tree.len() + new.len() > MAX_MESSAGES {
        return Err(SessionRefusal::SessionFull { limit: MAX_MESSAGES });
    }
    if tree.open_runs().count() >= MAX_OPEN_RUNS {
        return Err(SessionRefusal::TooManyReplies { limit: MAX_OPEN_RUNS });
    }
    Ok(())
}

fn check_text(content: &Sealed<String>) -> Result<(), SessionRefusal> {
    let text = content.open().map_or("", String::as_str);
    let chars = text.chars().count();
    if text.trim().is_empty() {
        return Err(SessionRefusal::MessageEmpty);
    }
    if chars > MAX_MESSAGE_CHARS {
        return Err(SessionRefusal::MessageTooLong { chars, limit: MAX_MESSAGE_CHARS });
    }
    Ok(())
}

fn check_title(title: &Sealed<String>) -> Result<(), SessionRefusal> {
    let text = title.open().map_or("", |title| title.trim());
    if text.is_empty() || text.chars().count() > MAX_TITLE_CHARS {
        return Err(SessionRefusal::InvalidTitle { limit: MAX_TITLE_CHARS });
    }
    Ok(())
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
        "1".to_owned()
    }
}

#[cfg(test)]
#[path = "session_spec.rs"]
mod spec;
