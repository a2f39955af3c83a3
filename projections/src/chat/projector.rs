//! Events of conversations as rows of `chat_v1`.
//!
//! Each event is one statement that moves the session from the sequence before to that of the event and writes what
//! follows in the same breath. An event that is contained already changes nothing; one that cannot follow is an error.

use std::borrow::Cow;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{
    Decider as _, MessageId, RunId, Sealed,
    chat::{self, Finish, SessionEvent, Usage, preview_of},
};
use sqlx::{PgConnection, Postgres, postgres::PgArguments, query::QueryScalar};
use uuid::Uuid;

use crate::projector::{ProjectedEvent, ProjectionError, Projector, Topic, Touched, storable};

/// Writes `chat_v1`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChatProjector;

#[async_trait]
impl Projector for ChatProjector {
    fn name(&self) -> &'static str {
        "chat_v1"
    }

    fn handles(&self, aggregate_type: &str) -> bool {
        aggregate_type == chat::Session::TYPE
    }

    async fn apply(&self, tx: &mut PgConnection, events: &[&ProjectedEvent]) -> Result<Touched, ProjectionError> {
        let mut touched = Touched::default();
        for event in events.iter().filter(|event| self.handles(&event.aggregate_type)) {
            let mut session = Step { tx: &mut *tx, id: event.uuid()?, sequence: event.sequence };
            let Some((owner, topic)) = session.apply(event.decode()?).await? else { continue };
            // The list shows counts, previews and activity, so whatever changes a message changes it too.
            touched.add(owner, Topic::Sessions, Some(session.id));
            if topic == Topic::Messages {
                touched.add(owner, Topic::Messages, Some(session.id));
            }
        }
        Ok(touched)
    }

    async fn reset(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("TRUNCATE sessions, messages").execute(tx).await?;
        Ok(())
    }
}

/// One event of one session, being written.
struct Step<'t> {
    tx: &'t mut PgConnection,
    id: Uuid,
    sequence: i64,
}

/// Whose session it is and what changed; `None` if the rows contain the event already.
type Stepped = Result<Option<(Uuid, Topic)>, ProjectionError>;

/// A statement that answers the owner of the session that it changed.
type Update<'q> = QueryScalar<'q, Postgres, Uuid, PgArguments>;

/// How a run ended.
struct Ending<'e> {
    run: RunId,
    attempt: u32,
    content: &'e Sealed<String>,
    status: &'static str,
    finish_reason: &'static str,
    error: Option<(&'e str, &'e str)>,
    usage: Option<&'e Usage>,
    at: DateTime<Utc>,
}

impl Step<'_> {
    async fn apply(&mut self, event: SessionEvent) -> Stepped {
        use SessionEvent as E;
        match event {
            E::Started { owner, title, at } => self.started(owner.uuid(), title.as_ref(), at).await,
            E::MessageSent { message_id, parent_id, content, at } => {
                self.question(message_id, parent_id, open(&content), at).await
            }
            E::ReplyRequested { run_id, reply_id, parent_id, model, at } => {
                self.reply_requested(run_id, reply_id, parent_id, &model, at).await
            }
            E::ReplyStarted { run_id, attempt, .. } => self.reply_started(run_id, attempt).await,
            // The answer stays what it is until its ending arrives, which is a moment later.
            E::StopRequested { .. } => self.session_only("sequence = $2", |query| query).await,
            E::ReplyCompleted { run_id: run, attempt, content, finish, usage, at } => {
                let (status, finish_reason) = match finish {
                    Finish::Stop => ("complete", "stop"),
                    Finish::Length => ("complete", "length"),
                    Finish::Stopped => ("stopped", "stopped"),
                };
                let (content, usage) = (&content, usage.as_ref());
                self.ended(&Ending { run, attempt, content, status, finish_reason, error: None, usage, at }).await
            }
            E::ReplyFailed { run_id: run, attempt, content, code, message, at } => {
                let message = open(&message);
                let (content, error) = (&content, Some((code.as_str(), message.as_ref())));
                let (status, finish_reason) = ("failed", "error");
                self.ended(&Ending { run, attempt, content, status, finish_reason, error, usage: None, at }).await
            }
            E::Renamed { title, .. } => {
                self.session_only("sequence = $2, title = $3", |query| query.bind(open(&title).into_owned())).await
            }
            E::Deleted { at } => self.session_only("sequence = $2, deleted_at = $3", |query| query.bind(at)).await,
            E::Restored { .. } => self.session_only("sequence = $2, deleted_at = NULL", |query| query).await,
        }
    }

    async fn started(&mut self, owner: Uuid, title: Option<&Sealed<String>>, at: DateTime<Utc>) -> Stepped {
        let inserted = sqlx::query(
            "INSERT INTO sessions (id, owner, title, sequence, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (id) DO NOTHING",
        )
        .bind(self.id)
        .bind(owner)
        .bind(title.map(open))
        .bind(self.sequence)
        .bind(at)
        .execute(&mut *self.tx)
        .await?;
        Ok((inserted.rows_affected() == 1).then_some((owner, Topic::Sessions)))
    }

    /// An event that changes no message; `bind` adds what `set` uses beyond the sequence.
    async fn session_only(&mut self, set: &str, bind: impl FnOnce(Update<'_>) -> Update<'_>) -> Stepped {
        let sql = format!("UPDATE sessions SET {set} WHERE id = $1 AND sequence = $2 - 1 RETURNING owner");
        let query = bind(sqlx::query_scalar(&sql).bind(self.id).bind(self.sequence));
        match query.fetch_optional(&mut *self.tx).await? {
            Some(owner) => Ok(Some((owner, Topic::Sessions))),
            None => self.contained().await,
        }
    }

    async fn question(
        &mut self,
        id: MessageId,
        parent: Option<MessageId>,
        content: Cow<'_, str>,
        at: DateTime<Utc>,
    ) -> Stepped {
        let sql = step(
            "updated_at = greatest(updated_at, $3), message_count = message_count + 1, \
             preview = CASE WHEN message_count = 0 THEN $4 ELSE preview END",
            "INSERT INTO messages \
             (id, session_id, owner, parent_id, sequence, role, content, status, created_at, completed_at) \
             SELECT $5, $1, owner, $6, $2, 'user', $7, 'complete', $3, $3 FROM s",
        );
        let query = sqlx::query_as(&sql).bind(self.id).bind(self.sequence).bind(at).bind(preview_of(&content));
        let query = query.bind(id.uuid()).bind(parent.map(MessageId::uuid)).bind(content);
        let stepped = query.fetch_optional(&mut *self.tx).await?;
        self.message_changed(stepped).await
    }

    async fn reply_requested(
        &mut self,
        run: RunId,
        reply: MessageId,
        question: MessageId,
        model: &str,
        at: DateTime<Utc>,
    ) -> Stepped {
        let sql = step(
            "updated_at = greatest(updated_at, $3), message_count = message_count + 1",
            "INSERT INTO messages \
             (id, session_id, owner, parent_id, sequence, role, content, status, model, run_id, attempt, created_at) \
             SELECT $4, $1, owner, $5, $2, 'assistant', '', 'pending', $6, $7, 0, $3 FROM s",
        );
        let query = sqlx::query_as(&sql).bind(self.id).bind(self.sequence).bind(at);
        let query = query.bind(reply.uuid()).bind(question.uuid()).bind(storable(model)).bind(run.uuid());
        let stepped = query.fetch_optional(&mut *self.tx).await?;
        self.message_changed(stepped).await
    }

    async fn reply_started(&mut self, run: RunId, attempt: u32) -> Stepped {
        let sql = step(
            "updated_at = updated_at",
            "UPDATE messages m SET status = 'streaming', attempt = $4 FROM s \
             WHERE m.run_id = $3 AND m.session_id = $1",
        );
        let query =
            sqlx::query_as(&sql).bind(self.id).bind(self.sequence).bind(run.uuid()).bind(attempt_number(attempt));
        let stepped = query.fetch_optional(&mut *self.tx).await?;
        self.message_changed(stepped).await
    }

    async fn ended(&mut self, ending: &Ending<'_>) -> Stepped {
        let sql = step(
            "updated_at = greatest(updated_at, $3)",
            "UPDATE messages m SET content = $5, status = $6, attempt = $7, finish_reason = $8, \
             error_code = $9, error_message = $10, input_tokens = $11, output_tokens = $12, usage_basis = $13, \
             completed_at = $3 FROM s WHERE m.run_id = $4 AND m.session_id = $1",
        );
        let query = sqlx::query_as(&sql)
            .bind(self.id)
            .bind(self.sequence)
            .bind(ending.at)
            .bind(ending.run.uuid())
            .bind(open(ending.content))
            .bind(ending.status)
            .bind(attempt_number(ending.attempt))
            .bind(ending.finish_reason)
            .bind(ending.error.map(|(code, _)| storable(code)))
            .bind(ending.error.map(|(_, message)| storable(message)))
            .bind(ending.usage.map(|usage| i64::try_from(usage.input_tokens).unwrap_or(i64::MAX)))
            .bind(ending.usage.map(|usage| i64::try_from(usage.output_tokens).unwrap_or(i64::MAX)))
            .bind(ending.usage.map(|usage| storable(&usage.basis)));
        let stepped = query.fetch_optional(&mut *self.tx).await?;
        self.message_changed(stepped).await
    }

    /// What a [`step`] came to: the owner and how many messages changed.
    async fn message_changed(&mut self, stepped: Option<(Uuid, i64)>) -> Stepped {
        match stepped {
            Some((owner, 1)) => Ok(Some((owner, Topic::Messages))),
            Some(_) => Err(ProjectionError::MissingRow),
            None => self.contained().await,
        }
    }

    /// Why the session did not move on: it contains the event, or events before it are missing.
    async fn contained(&mut self) -> Stepped {
        let contained: Option<i64> = sqlx::query_scalar("SELECT sequence FROM sessions WHERE id = $1")
            .bind(self.id)
            .fetch_optional(&mut *self.tx)
            .await?;
        match contained {
            Some(contained) if contained >= self.sequence => Ok(None),
            Some(contained) => Err(ProjectionError::OutOfOrder { contained, found: self.sequence }),
            None => Err(ProjectionError::MissingRow),
        }
    }
}

/// One statement that moves session `$1` on to sequence `$2` and writes one message, if the session stands right before.
fn step(set: &str, message: &str) -> String {
    format!(
        "WITH s AS (UPDATE sessions SET sequence = $2, {set} WHERE id = $1 AND sequence = $2 - 1 RETURNING owner), \
         m AS ({message} RETURNING 1) SELECT owner, (SELECT count(*) FROM m) FROM s"
    )
}

/// An erased text reads as empty.
fn open(text: &Sealed<String>) -> Cow<'_, str> {
    storable(text.open().map_or("", String::as_str))
}

/// Attempts fit the column by far; the bound only makes this total.
fn attempt_number(attempt: u32) -> i32 {
    i32::try_from(attempt).unwrap_or(i32::MAX)
}
