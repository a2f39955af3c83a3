//! The memory of a session: who said what after what, and how far each run has come. No texts, so it stays small.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{MessageId, RunId};

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    User,
    Assistant,
}

/// How far a reply has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunStage {
    Requested,
    Answering,
    Stopping,
    Finished,
}

/// One reply being generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The message that will hold the answer.
    pub reply_id: MessageId,
    /// The newest lease under which it is written; 0 before the first.
    pub attempt: u32,
    pub stage: RunStage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    parent: Option<MessageId>,
    author: Author,
}

/// All messages of a session by id, and its runs.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    nodes: BTreeMap<MessageId, Node>,
    newest_answer: Option<MessageId>,
    runs: BTreeMap<RunId, Run>,
}

impl Tree {
    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nothing was said yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    #[must_use]
    pub fn author_of(&self, id: MessageId) -> Option<Author> {
        self.nodes.get(&id).map(|node| node.author)
    }

    /// What `id` was said after; `None` at a root and for a stranger.
    #[must_use]
    pub fn parent_of(&self, id: MessageId) -> Option<MessageId> {
        self.nodes.get(&id).and_then(|node| node.parent)
    }

    /// The question that `id` is or answers.
    #[must_use]
    pub fn question_of(&self, id: MessageId) -> Option<MessageId> {
        match self.author_of(id)? {
            Author::User => Some(id),
            Author::Assistant => self.parent_of(id),
        }
    }

    /// The answer that was asked for last.
    #[must_use]
    pub const fn newest_answer(&self) -> Option<MessageId> {
        self.newest_answer
    }

    #[must_use]
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.runs.get(&id)
    }

    /// Runs that have no ending yet.
    pub fn open_runs(&self) -> impl Iterator<Item = (RunId, &Run)> {
        self.runs.iter().filter(|(_, run)| run.stage != RunStage::Finished).map(|(id, run)| (*id, run))
    }

    /// Whether the answer `id` has no ending yet.
    #[must_use]
    pub fn is_being_written(&self, id: MessageId) -> bool {
        self.open_runs().any(|(_, run)| run.reply_id == id)
    }

    pub(super) fn add(&mut self, id: MessageId, parent: Option<MessageId>, author: Author) {
        self.nodes.insert(id, Node { parent, author });
        if author == Author::Assistant {
            self.newest_answer = Some(id);
        }
    }

    pub(super) fn open(&mut self, id: RunId, reply_id: MessageId) {
        self.runs.insert(id, Run { reply_id, attempt: 0, stage: RunStage::Requested });
    }

    pub(super) fn start(&mut self, id: RunId, attempt: u32) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.attempt = attempt;
            if run.stage == RunStage::Requested {
                run.stage = RunStage::Answering;
            }
        }
    }

    pub(super) fn stop(&mut self, id: RunId) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.stage = RunStage::Stopping;
        }
    }

    pub(super) fn finish(&mut self, id: RunId) {
        if let Some(run) = self.runs.get_mut(&id) {
            run.stage = RunStage::Finished;
        }
    }
}
