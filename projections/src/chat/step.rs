//! A batch of events of conversations, worked out in memory: what is loaded before, what follows from each event, what
//! changes.
//!
//! Promise: it comes to the same rows, and refuses the same events for the same reasons, however the events are divided
//! into batches. Every event moves its session from the sequence before to its own.

use std::{
    borrow::Cow,
    collections::{HashMap, hash_map},
};

use chrono::{DateTime, SubsecRound as _, Utc};
use domain::{
    MessageId, RunId, Sealed, UserId,
    chat::{Finish, SessionEvent, Usage, preview_of},
};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use crate::projector::{ProjectedEvent, ProjectionError, Topic, storable};

/// An event at its place.
pub(super) struct Step {
    pub(super) session: Uuid,
    pub(super) sequence: i64,
    pub(super) event: SessionEvent,
}

impl Step {
    /// # Errors
    /// The event cannot be decoded.
    pub(super) fn of(event: &ProjectedEvent) -> Result<Self, ProjectionError> {
        Ok(Self { session: event.uuid()?, sequence: event.sequence, event: event.decode()? })
    }
}

/// A row of `sessions`.
#[derive(FromRow)]
pub(super) struct SessionRow {
    pub(super) id: Uuid,
    pub(super) owner: Uuid,
    pub(super) title: Option<String>,
    pub(super) preview: String,
    pub(super) message_count: i32,
    pub(super) sequence: i64,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) deleted_at: Option<DateTime<Utc>>,
    /// Whether it differs from what is stored.
    #[sqlx(skip)]
    pub(super) changed: bool,
}

/// What of a message never changes.
pub(super) struct Message {
    pub(super) id: Uuid,
    pub(super) session_id: Uuid,
    pub(super) owner: Uuid,
    pub(super) parent_id: Option<Uuid>,
    pub(super) sequence: i64,
    pub(super) role: &'static str,
    pub(super) model: Option<String>,
    pub(super) run_id: Option<Uuid>,
    pub(super) created_at: DateTime<Utc>,
}

/// What of a message its run changes.
#[derive(Default, FromRow)]
pub(super) struct Content {
    pub(super) content: String,
    pub(super) status: String,
    pub(super) attempt: Option<i32>,
    pub(super) finish_reason: Option<String>,
    pub(super) error_code: Option<String>,
    pub(super) error_message: Option<String>,
    pub(super) input_tokens: Option<i64>,
    pub(super) output_tokens: Option<i64>,
    pub(super) usage_basis: Option<String>,
    pub(super) completed_at: Option<DateTime<Utc>>,
}

/// An answer that was there before the batch.
#[derive(FromRow)]
pub(super) struct StoredReply {
    pub(super) run_id: Uuid,
    pub(super) session_id: Uuid,
    #[sqlx(flatten)]
    pub(super) content: Content,
    #[sqlx(skip)]
    pub(super) changed: bool,
}

/// All rows that a batch touches.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) sessions: HashMap<Uuid, SessionRow>,
    /// By run.
    pub(super) replies: HashMap<Uuid, StoredReply>,
    /// Made by this batch, in order.
    pub(super) messages: Vec<(Message, Content)>,
    /// Where among `messages` the answer of a run is.
    made: HashMap<Uuid, usize>,
}

/// How a run ended.
struct Ending<'e> {
    run: RunId,
    attempt: u32,
    content: &'e Sealed<String>,
    status: &'static str,
    finish_reason: &'static str,
    error: Option<(&'e str, &'e Sealed<String>)>,
    usage: Option<&'e Usage>,
    at: DateTime<Utc>,
}

impl Rows {
    /// Reads what `steps` change.
    pub(super) async fn load(tx: &mut PgConnection, steps: &[Step]) -> sqlx::Result<Self> {
        let mut rows = Self::default();
        let mut ids: Vec<Uuid> = steps.iter().map(|step| step.session).collect();
        ids.sort_unstable();
        ids.dedup();
        let sessions: Vec<SessionRow> = sqlx::query_as(
            "SELECT id, owner, title, preview, message_count, sequence, created_at, updated_at, deleted_at \
             FROM sessions WHERE id = ANY ($1)",
        )
        .bind(ids)
        .fetch_all(&mut *tx)
        .await?;
        rows.sessions.extend(sessions.into_iter().map(|session| (session.id, session)));
        let runs: Vec<Uuid> = steps.iter().filter_map(|step| changed_run(&step.event)).map(RunId::uuid).collect();
        if !runs.is_empty() {
            let replies: Vec<StoredReply> = sqlx::query_as(
                "SELECT run_id, session_id, content, status, attempt, finish_reason, error_code, error_message, \
                 input_tokens, output_tokens, usage_basis, completed_at FROM messages WHERE run_id = ANY ($1)",
            )
            .bind(runs)
            .fetch_all(tx)
            .await?;
            rows.replies.extend(replies.into_iter().map(|reply| (reply.run_id, reply)));
        }
        Ok(rows)
    }

    /// Applies one event. Whose session it is and what changed; `None` where the rows contain the event already.
    ///
    /// # Errors
    /// The event cannot follow. The rows are unusable then.
    pub(super) fn apply(&mut self, step: &Step) -> Result<Option<(Uuid, Topic)>, ProjectionError> {
        use SessionEvent as E;
        if let E::Started { owner, title, at } = &step.event {
            return Ok(self.started(step, *owner, title.as_ref(), *at));
        }
        let Some(owner) = self.move_on(step)? else { return Ok(None) };
        let topic = match &step.event {
            E::Started { .. } => Topic::Sessions,
            E::MessageSent { message_id, parent_id, content, at } => {
                self.question(step, *message_id, *parent_id, content, stored(*at))
            }
            E::ReplyRequested { run_id, reply_id, parent_id, model, at } => {
                self.reply_requested(step, (*run_id, *reply_id, *parent_id), model, stored(*at))
            }
            E::ReplyStarted { run_id, attempt, .. } => {
                let content = self.content(step.session, *run_id)?;
                (content.status, content.attempt) = ("streaming".to_owned(), Some(attempt_number(*attempt)));
                Topic::Messages
            }
            // The answer stays what it is until its ending arrives, which is a moment later.
            E::StopRequested { .. } => Topic::Sessions,
            E::ReplyCompleted { run_id: run, attempt, content, finish, usage, at } => {
                let (status, finish_reason) = match finish {
                    Finish::Stop => ("complete", "stop"),
                    Finish::Length => ("complete", "length"),
                    Finish::Stopped => ("stopped", "stopped"),
                };
                let (run, attempt, usage, at) = (*run, *attempt, usage.as_ref(), *at);
                self.end(step, &Ending { run, attempt, content, status, finish_reason, error: None, usage, at })?
            }
            E::ReplyFailed { run_id: run, attempt, content, code, message, at } => {
                let (run, attempt, error, at) = (*run, *attempt, Some((code.as_str(), message)), *at);
                let (status, finish_reason) = ("failed", "error");
                self.end(step, &Ending { run, attempt, content, status, finish_reason, error, usage: None, at })?
            }
            E::Renamed { title, .. } => self.change(step, |session| session.title = Some(open(title).into_owned())),
            E::Deleted { at } => self.change(step, |session| session.deleted_at = Some(stored(*at))),
            E::Restored { .. } => self.change(step, |session| session.deleted_at = None),
        };
        Ok(Some((owner, topic)))
    }

    fn started(
        &mut self,
        step: &Step,
        owner: UserId,
        title: Option<&Sealed<String>>,
        at: DateTime<Utc>,
    ) -> Option<(Uuid, Topic)> {
        let hash_map::Entry::Vacant(vacant) = self.sessions.entry(step.session) else { return None };
        vacant.insert(SessionRow {
            id: step.session,
            owner: owner.uuid(),
            title: title.map(|title| open(title).into_owned()),
            preview: String::new(),
            message_count: 0,
            sequence: step.sequence,
            created_at: stored(at),
            updated_at: stored(at),
            deleted_at: None,
            changed: true,
        });
        Some((owner.uuid(), Topic::Sessions))
    }

    /// Moves the session to the event's sequence; `None` if it contains the event.
    fn move_on(&mut self, step: &Step) -> Result<Option<Uuid>, ProjectionError> {
        let session = self.sessions.get_mut(&step.session).ok_or(ProjectionError::MissingRow)?;
        if session.sequence >= step.sequence {
            return Ok(None);
        }
        if session.sequence != step.sequence - 1 {
            return Err(ProjectionError::OutOfOrder { contained: session.sequence, found: step.sequence });
        }
        (session.sequence, session.changed) = (step.sequence, true);
        Ok(Some(session.owner))
    }

    fn change(&mut self, step: &Step, change: impl FnOnce(&mut SessionRow)) -> Topic {
        // `move_on` has found it.
        if let Some(session) = self.sessions.get_mut(&step.session) {
            change(session);
        }
        Topic::Sessions
    }

    fn question(
        &mut self,
        step: &Step,
        id: MessageId,
        parent: Option<MessageId>,
        content: &Sealed<String>,
        at: DateTime<Utc>,
    ) -> Topic {
        let text = open(content).into_owned();
        self.change(step, |session| {
            if session.message_count == 0 {
                session.preview = preview_of(&text);
            }
        });
        let content =
            Content { content: text, status: "complete".to_owned(), completed_at: Some(at), ..Content::default() };
        self.said(step, (id, parent), ("user", None, None), content, at)
    }

    fn reply_requested(
        &mut self,
        step: &Step,
        (run, reply, question): (RunId, MessageId, MessageId),
        model: &str,
        at: DateTime<Utc>,
    ) -> Topic {
        self.made.insert(run.uuid(), self.messages.len());
        let content = Content { status: "pending".to_owned(), attempt: Some(0), ..Content::default() };
        let about = ("assistant", Some(storable(model).into_owned()), Some(run.uuid()));
        self.said(step, (reply, Some(question)), about, content, at)
    }

    fn said(
        &mut self,
        step: &Step,
        (id, parent): (MessageId, Option<MessageId>),
        (role, model, run_id): (&'static str, Option<String>, Option<Uuid>),
        content: Content,
        at: DateTime<Utc>,
    ) -> Topic {
        let mut owner = Uuid::nil();
        self.change(step, |session| {
            owner = session.owner;
            session.updated_at = session.updated_at.max(at);
            session.message_count = session.message_count.saturating_add(1);
        });
        let (id, parent_id) = (id.uuid(), parent.map(MessageId::uuid));
        let (session_id, sequence) = (step.session, step.sequence);
        let message = Message { id, session_id, owner, parent_id, sequence, role, model, run_id, created_at: at };
        self.messages.push((message, content));
        Topic::Messages
    }

    fn end(&mut self, step: &Step, ending: &Ending<'_>) -> Result<Topic, ProjectionError> {
        let at = stored(ending.at);
        self.change(step, |session| session.updated_at = session.updated_at.max(at));
        let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        *self.content(step.session, ending.run)? = Content {
            content: open(ending.content).into_owned(),
            status: ending.status.to_owned(),
            attempt: Some(attempt_number(ending.attempt)),
            finish_reason: Some(ending.finish_reason.to_owned()),
            error_code: ending.error.map(|(code, _)| storable(code).into_owned()),
            error_message: ending.error.map(|(_, message)| open(message).into_owned()),
            input_tokens: ending.usage.map(|usage| tokens(usage.input_tokens)),
            output_tokens: ending.usage.map(|usage| tokens(usage.output_tokens)),
            usage_basis: ending.usage.map(|usage| storable(&usage.basis).into_owned()),
            completed_at: Some(at),
        };
        Ok(Topic::Messages)
    }

    /// The answer of `run`, to be changed.
    fn content(&mut self, session: Uuid, run: RunId) -> Result<&mut Content, ProjectionError> {
        let made = self.made.get(&run.uuid()).and_then(|index| self.messages.get_mut(*index));
        if let Some((message, content)) = made {
            return if message.session_id == session { Ok(content) } else { Err(ProjectionError::MissingRow) };
        }
        let reply = self.replies.get_mut(&run.uuid()).filter(|reply| reply.session_id == session);
        let reply = reply.ok_or(ProjectionError::MissingRow)?;
        reply.changed = true;
        Ok(&mut reply.content)
    }
}

/// The run whose answer an event changes.
fn changed_run(event: &SessionEvent) -> Option<RunId> {
    match event {
        SessionEvent::ReplyStarted { run_id, .. }
        | SessionEvent::ReplyCompleted { run_id, .. }
        | SessionEvent::ReplyFailed { run_id, .. } => Some(*run_id),
        _ => None,
    }
}

/// As precise as Postgres keeps it.
fn stored(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(6)
}

/// An erased text reads as empty.
fn open(text: &Sealed<String>) -> Cow<'_, str> {
    storable(text.open().map_or("", String::as_str))
}

/// Attempts fit the column by far; the bound only makes this total.
fn attempt_number(attempt: u32) -> i32 {
    i32::try_from(attempt).unwrap_or(i32::MAX)
}
