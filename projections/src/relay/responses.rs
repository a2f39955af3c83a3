//! Responses that are kept, as the Responses API reads them and goes on from them.
//!
//! Promise: a response is found by its owner alone, with everything or not at all; a conversation has all its turns or is
//! an error. A deleted response leaves no row.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use domain::{
    Decider as _,
    relay::{self, ResponseEvent},
};
use nats::EventRef;
use sqlx::{FromRow, PgConnection, PgPool, postgres::PgQueryResult};
use uuid::Uuid;

use crate::{
    projector::{ProjectedEvent, ProjectionError, storable},
    read_your_writes,
};

/// Turns of one conversation, at most.
pub const MAX_TURNS: usize = 500;
/// Bytes of all its items, at most.
pub const MAX_CONVERSATION_BYTES: i64 = 8 * 1024 * 1024;

/// A response, as its owner may see it.
#[derive(Clone, PartialEq, Eq, FromRow)]
pub struct KeptResponse {
    pub id: Uuid,
    /// The response that it continues.
    pub previous: Option<Uuid>,
    /// `in_progress`, `completed`, `failed`, `cancelled` or `abandoned`: how far the keeping is. The object says more, but
    /// that of an abandoned one is as old as its begin.
    pub status: String,
    /// Its own input, as a JSON list of items. Empty text once the owner was erased.
    pub input: String,
    /// The newest object, as JSON. Empty text once the owner was erased.
    pub response: String,
    pub created_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
}

/// Never prints what was said.
impl fmt::Debug for KeptResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptResponse").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why a conversation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    /// There is no such response of that owner, or it was deleted.
    #[error("the response {0} is not kept here")]
    Missing(Uuid),
    /// It has more turns or bytes than a conversation may have.
    #[error("the conversation is too long: at most {MAX_TURNS} turns and {MAX_CONVERSATION_BYTES} bytes")]
    TooLong,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The response `id` of `owner`.
///
/// # Errors
/// The database is away.
pub async fn response(pool: &PgPool, owner: Uuid, id: Uuid) -> sqlx::Result<Option<KeptResponse>> {
    let sql = "SELECT id, previous, status, input, response, created_at, ended_at FROM relay_v1.responses \
        WHERE id = $1 AND owner = $2";
    sqlx::query_as(sql).bind(id).bind(owner).fetch_optional(pool).await
}

#[derive(FromRow)]
struct Link {
    id: Uuid,
    previous: Option<Uuid>,
    bytes: i64,
}

/// The response `id` of `owner` and all that it continues, oldest first.
///
/// # Errors
/// One of them is missing, they are too much, or the database is away.
pub async fn conversation(pool: &PgPool, owner: Uuid, id: Uuid) -> Result<Vec<KeptResponse>, ConversationError> {
    let sql = "WITH RECURSIVE chain AS ( \
            SELECT id, previous, octet_length(input) + octet_length(response) AS bytes, 1 AS turn \
                FROM relay_v1.responses WHERE id = $1 AND owner = $2 \
            UNION ALL \
            SELECT r.id, r.previous, octet_length(r.input) + octet_length(r.response), chain.turn + 1 \
                FROM chain JOIN relay_v1.responses r ON r.id = chain.previous AND r.owner = $2 \
                WHERE chain.turn < $3 \
        ) SELECT id, previous, bytes::bigint FROM chain ORDER BY turn DESC";
    let limit = i32::try_from(MAX_TURNS).unwrap_or(i32::MAX);
    let chain: Vec<Link> = sqlx::query_as(sql).bind(id).bind(owner).bind(limit).fetch_all(pool).await?;
    let oldest = chain.first().ok_or(ConversationError::Missing(id))?;
    if chain.iter().map(|link| link.bytes).sum::<i64>() > MAX_CONVERSATION_BYTES {
        return Err(ConversationError::TooLong);
    }
    if let Some(missing) = oldest.previous {
        let too_long = chain.len() >= MAX_TURNS;
        return Err(if too_long { ConversationError::TooLong } else { ConversationError::Missing(missing) });
    }
    let ids: Vec<Uuid> = chain.iter().map(|link| link.id).collect();
    let sql = "SELECT r.id, r.previous, r.status, r.input, r.response, r.created_at, r.ended_at \
        FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, turn) JOIN relay_v1.responses r USING (id) \
        WHERE r.owner = $2 ORDER BY wanted.turn";
    let turns: Vec<KeptResponse> = sqlx::query_as(sql).bind(&ids).bind(owner).fetch_all(pool).await?;
    // Deleted between the two looks.
    let gone = ids.iter().find(|id| !turns.iter().any(|turn| turn.id == **id));
    gone.map_or(Ok(turns), |id| Err(ConversationError::Missing(*id)))
}

/// Waits at most `timeout` until the rows contain every event of response `id` that is committed now, so that a client
/// that goes on at once finds what it was just told.
///
/// # Errors
/// The database is away.
pub async fn wait_for_response(pool: &PgPool, id: Uuid, timeout: Duration) -> sqlx::Result<()> {
    let sql = "SELECT max(sequence) FROM events WHERE aggregate_type = $1 AND aggregate_id = $2";
    let (aggregate_type, aggregate_id) = (relay::Response::TYPE.to_owned(), id.to_string());
    let last: Option<i64> = sqlx::query_scalar(sql).bind(&aggregate_type).bind(&aggregate_id).fetch_one(pool).await?;
    if let Some(sequence) = last {
        let event = EventRef { aggregate_type, aggregate_id, sequence };
        read_your_writes::wait_for(pool, "relay_v1", &event, timeout).await?;
    }
    Ok(())
}

/// One event of one response as its row.
pub(super) async fn apply(tx: &mut PgConnection, event: &ProjectedEvent) -> Result<(), ProjectionError> {
    let id = event.uuid()?;
    let (status, response, at) = match event.decode()? {
        ResponseEvent::Created { owner, previous, input, response, at } => {
            sqlx::query(
                "INSERT INTO responses (id, owner, previous, status, input, response, created_at) \
                 VALUES ($1, $2, $3, 'in_progress', $4, $5, $6) ON CONFLICT (id) DO NOTHING",
            )
            .bind(id)
            .bind(owner.uuid())
            .bind(previous.map(domain::ResponseId::uuid))
            .bind(storable(input.open().map_or("", String::as_str)))
            .bind(storable(response.open().map_or("", String::as_str)))
            .bind(at)
            .execute(tx)
            .await?;
            return Ok(());
        }
        ResponseEvent::Abandoned { at } => {
            let abandoned = "UPDATE responses SET status = 'abandoned', ended_at = $2 WHERE id = $1";
            return moved(&sqlx::query(abandoned).bind(id).bind(at).execute(tx).await?);
        }
        ResponseEvent::Deleted { .. } => {
            sqlx::query("DELETE FROM responses WHERE id = $1").bind(id).execute(tx).await?;
            return Ok(());
        }
        ResponseEvent::Completed { response, at } => ("completed", response, at),
        ResponseEvent::Failed { response, at, .. } => ("failed", response, at),
        ResponseEvent::Cancelled { response, at } => ("cancelled", response, at),
    };
    let ended = sqlx::query("UPDATE responses SET status = $2, response = $3, ended_at = $4 WHERE id = $1")
        .bind(id)
        .bind(status)
        .bind(storable(response.open().map_or("", String::as_str)))
        .bind(at)
        .execute(tx)
        .await?;
    moved(&ended)
}

fn moved(result: &PgQueryResult) -> Result<(), ProjectionError> {
    if result.rows_affected() == 1 { Ok(()) } else { Err(ProjectionError::MissingRow) }
}
