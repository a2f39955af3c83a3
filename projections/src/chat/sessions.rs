//! Reading conversations.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::rows::Session;
use crate::{
    QueryError,
    page::{Page, bounded, decode},
};

/// What a session shows; `s` is its row.
const COLUMNS: &str = "s.id, s.title, s.preview, s.created_at, s.updated_at, s.deleted_at, s.message_count, \
    (SELECT m.run_id FROM chat_v1.messages m WHERE m.session_id = s.id AND m.status IN ('pending', 'streaming') \
     ORDER BY m.sequence DESC LIMIT 1) AS active_run_id";

/// `owner`'s conversations, last active first: those in the bin if `deleted`, else the others.
///
/// # Errors
/// A cursor of another list, or the database is away.
pub async fn sessions(
    pool: &PgPool,
    owner: Uuid,
    deleted: bool,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<Session>, QueryError> {
    let limit = bounded(limit);
    let (before, before_id): (Option<DateTime<Utc>>, Option<Uuid>) = cursor.map(decode).transpose()?.unzip();
    // Without a cursor the bounds are above everything, so that one statement and one index serve both.
    let sql = format!(
        "SELECT {COLUMNS} FROM chat_v1.sessions s WHERE s.owner = $1 AND s.deleted = $2 AND (s.updated_at, s.id) < \
         (coalesce($3, 'infinity'::timestamptz), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)) \
         ORDER BY s.updated_at DESC, s.id DESC LIMIT $5"
    );
    let query = sqlx::query_as(&sql).bind(owner).bind(deleted).bind(before).bind(before_id);
    let rows = query.bind(i64::from(limit) + 1).fetch_all(pool).await?;
    Ok(Page::cut(rows, limit, |session: &Session| (session.updated_at, session.id)))
}

/// The conversation `id` of `owner`, in the bin or not.
///
/// # Errors
/// The database is away.
pub async fn session(pool: &PgPool, owner: Uuid, id: Uuid) -> Result<Option<Session>, sqlx::Error> {
    let sql = format!("SELECT {COLUMNS} FROM chat_v1.sessions s WHERE s.owner = $1 AND s.id = $2");
    sqlx::query_as(&sql).bind(owner).bind(id).fetch_optional(pool).await
}
