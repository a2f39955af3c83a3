//! The rows of `chat_v1`, which are also the answers of the HTTP API.

use chrono::{DateTime, Utc};
use domain::billing::Nanos;
use serde::Serialize;
use sqlx::{FromRow, Row as _, postgres::PgRow};
use utoipa::ToSchema;
use uuid::Uuid;

/// A conversation, without its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Session {
    pub id: Uuid,
    /// As the user named it; show `preview` where there is none.
    #[schema(required = true)]
    pub title: Option<String>,
    /// The beginning of the first message; empty before it.
    pub preview: String,
    pub created_at: DateTime<Utc>,
    /// When something was last said.
    pub updated_at: DateTime<Utc>,
    #[schema(required = true)]
    pub deleted_at: Option<DateTime<Utc>>,
    /// Questions and answers of all branches.
    pub message_count: i32,
    /// The newest reply that is being generated.
    #[schema(required = true)]
    pub active_run_id: Option<Uuid>,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum MessageRole {
    User,
    Assistant,
}

/// How far a message has come; questions are complete at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum MessageStatus {
    Complete,
    /// Asked for; no attempt has begun.
    Pending,
    Streaming,
    Stopped,
    Failed,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum FinishReason {
    Stop,
    Length,
    Stopped,
    Error,
}

/// Why a reply failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MessageError {
    /// Stable, for programs.
    pub code: String,
    /// A sentence for the user.
    pub message: String,
}

/// Tokens of a reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MessageUsage {
    pub input_tokens: i64,
    pub output_tokens: i64,
    /// How they are known: `reported`, `counted` or `estimated`.
    pub basis: String,
}

/// A question or an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Message {
    pub id: Uuid,
    pub session_id: Uuid,
    #[schema(required = true)]
    pub parent_id: Option<Uuid>,
    pub role: MessageRole,
    /// Empty while a reply is being generated, and once the text was erased.
    pub content: String,
    #[schema(required = true)]
    pub model: Option<String>,
    pub status: MessageStatus,
    #[schema(required = true)]
    pub run_id: Option<Uuid>,
    /// The attempt that is being made or that succeeded, from 1; 0 before the first.
    #[schema(required = true)]
    pub attempt: Option<i32>,
    #[schema(required = true)]
    pub finish_reason: Option<FinishReason>,
    #[schema(required = true)]
    pub error: Option<MessageError>,
    #[schema(required = true)]
    pub usage: Option<MessageUsage>,
    /// All messages with the same parent and role, this one included, in the order of creation.
    pub siblings: Vec<Uuid>,
    /// What this answer cost its owner, once it is settled.
    #[schema(required = true, value_type = Option<String>)]
    pub cost_nanos: Option<Nanos>,
    pub created_at: DateTime<Utc>,
    #[schema(required = true)]
    pub completed_at: Option<DateTime<Utc>>,
    /// Its place in the order of creation within the session, for cursors.
    #[serde(skip)]
    #[schema(ignore)]
    pub sequence: i64,
}

impl<'r> FromRow<'r, PgRow> for Message {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let code: Option<String> = row.try_get("error_code")?;
        let message: Option<String> = row.try_get("error_message")?;
        let (input, output): (Option<i64>, Option<i64>) = (row.try_get("input_tokens")?, row.try_get("output_tokens")?);
        let basis: Option<String> = row.try_get("usage_basis")?;
        Ok(Self {
            id: row.try_get("id")?,
            session_id: row.try_get("session_id")?,
            parent_id: row.try_get("parent_id")?,
            role: row.try_get("role")?,
            content: row.try_get("content")?,
            model: row.try_get("model")?,
            status: row.try_get("status")?,
            run_id: row.try_get("run_id")?,
            attempt: row.try_get("attempt")?,
            finish_reason: row.try_get("finish_reason")?,
            error: code.zip(message).map(|(code, message)| MessageError { code, message }),
            usage: input.zip(output).zip(basis).map(|((input_tokens, output_tokens), basis)| MessageUsage {
                input_tokens,
                output_tokens,
                basis,
            }),
            siblings: row.try_get("siblings")?,
            cost_nanos: row.try_get::<Option<i64>, _>("cost_nanos")?.map(Nanos::new),
            created_at: row.try_get("created_at")?,
            completed_at: row.try_get("completed_at")?,
            sequence: row.try_get("sequence")?,
        })
    }
}

/// One reply being generated, or generated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Run {
    pub id: Uuid,
    pub session_id: Uuid,
    /// The answer that it fills.
    pub message_id: Uuid,
    pub status: MessageStatus,
    /// 0 before the first attempt.
    pub attempt: i32,
    pub model: String,
    /// Whose it is; not part of the answer.
    #[serde(skip)]
    #[schema(ignore)]
    pub owner: Uuid,
}
