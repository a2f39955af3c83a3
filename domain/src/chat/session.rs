//! A chat session: a user's conversation with models, as an append-only tree of messages.
//!
//! Promise: a message, once accepted, is never changed or lost; regenerating makes a sibling; every question gets
//! exactly one ending per run (completed, stopped or failed); a reply attempt that lost its lease cannot speak any more.
//! Only the owner may act. Token deltas are no facts: a reply becomes an event when it is finished.
// tidy: long because an aggregate is read as one specification, from its commands to how events change its state.

mod command;
mod event;
mod refusal;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::{
    command::{Parent, SessionCommand},
    event::{Finish, SessionEvent, Usage},
    refusal::SessionRefusal,
};
use super::tree::{Author, Run, RunStage, Tree};
use crate::{MessageId, RunId, Sealed, UserId, decider::Decider};

/// Characters (Unicode code points) of one message, at most.
pub const MAX_MESSAGE_CHARS: usize = 32_000;
/// Characters of a title, at most.
pub const MAX_TITLE_CHARS: usize = 200;
/// Messages of one session, questions and answers, at most.
pub const MAX_MESSAGES: usize = 10_000;
/// Replies of one session that may be generated at the same time.
pub const MAX_OPEN_RUNS: usize = 4;

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

#[cfg(test)]
mod spec;
