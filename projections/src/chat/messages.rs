//! Reading messages: the whole tree of a conversation, one branch of it, one message, one run.
//!
//! A branch is walked along its edges, one page at a time. Ancestors never change, so the cursor of a branch is just the
//! last message seen: back in time continues at its parent, forward continues below it.

use sqlx::PgPool;
use uuid::Uuid;

use super::rows::{Message, Run};
use crate::{
    QueryError,
    page::{Page, bounded, decode},
};

/// What a message shows; `m` is its row.
const COLUMNS: &str = "m.id, m.session_id, m.parent_id, m.role, m.content, m.model, m.status, m.run_id, m.attempt, \
    m.finish_reason, m.error_code, m.error_message, m.input_tokens, m.output_tokens, m.usage_basis, \
    ARRAY(SELECT x.id FROM chat_v1.messages x WHERE x.parent_key = m.parent_key AND x.role = m.role \
          ORDER BY x.sequence) AS siblings, \
    (SELECT sum(c.charged_nanos)::bigint FROM billing_v1.charges c \
     WHERE c.run_id = m.run_id AND c.owner = m.owner) AS cost_nanos, \
    m.created_at, m.completed_at, m.sequence";

const RUN_COLUMNS: &str = "m.run_id AS id, m.session_id, m.id AS message_id, m.status, m.attempt, m.model, m.owner";

/// Oldest or newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    Asc,
    Desc,
}

/// Which messages of the tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Branch {
    /// All of them.
    #[default]
    All,
    /// The path from the root to the newest message.
    Latest,
    /// The path from the root through this message down to its newest leaf.
    Through(Uuid),
}

/// One page of messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct MessageQuery<'a> {
    pub order: Order,
    pub branch: Branch,
    pub cursor: Option<&'a str>,
    /// Brought into 1..=100.
    pub limit: u32,
}

/// The last message of a page: enough to continue in the tree and along a branch.
type Cursor = (i64, Uuid);

/// A page of messages of `owner`'s conversation `session`; `None` if there is no such conversation, or no message of it
/// as the branch names.
///
/// # Errors
/// A cursor of another list, or the database is away.
pub async fn messages(
    pool: &PgPool,
    owner: Uuid,
    session: Uuid,
    query: MessageQuery<'_>,
) -> Result<Option<Page<Message>>, QueryError> {
    let limit = bounded(query.limit);
    let cursor: Option<Cursor> = query.cursor.map(decode).transpose()?;
    let owned = "SELECT EXISTS (SELECT FROM chat_v1.sessions WHERE id = $1 AND owner = $2)";
    if !sqlx::query_scalar(owned).bind(session).bind(owner).fetch_one(pool).await? {
        return Ok(None);
    }
    let one_more = i64::from(limit) + 1;
    let rows = match (query.branch, query.order) {
        (Branch::All, Order::Asc) => all_forward(pool, session, cursor, one_more).await?,
        (Branch::All, Order::Desc) => all_backward(pool, session, cursor, one_more).await?,
        (branch, order) => match anchor(pool, session, branch, cursor).await? {
            Anchor::Unknown => return Ok(None),
            Anchor::Nothing => vec![],
            Anchor::At(message) => match order {
                Order::Asc => branch_forward(pool, session, message, cursor, one_more).await?,
                Order::Desc => branch_backward(pool, session, message, cursor, one_more).await?,
            },
        },
    };
    Ok(Some(Page::cut(rows, limit, |message: &Message| (message.sequence, message.id))))
}

async fn all_forward(pool: &PgPool, session: Uuid, after: Option<Cursor>, n: i64) -> sqlx::Result<Vec<Message>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM chat_v1.messages m WHERE m.session_id = $1 AND m.sequence > $2 \
         ORDER BY m.sequence LIMIT $3"
    );
    let after = after.map_or(i64::MIN, |(sequence, _)| sequence);
    sqlx::query_as(&sql).bind(session).bind(after).bind(n).fetch_all(pool).await
}

async fn all_backward(pool: &PgPool, session: Uuid, before: Option<Cursor>, n: i64) -> sqlx::Result<Vec<Message>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM chat_v1.messages m WHERE m.session_id = $1 AND m.sequence < $2 \
         ORDER BY m.sequence DESC LIMIT $3"
    );
    let before = before.map_or(i64::MAX, |(sequence, _)| sequence);
    sqlx::query_as(&sql).bind(session).bind(before).bind(n).fetch_all(pool).await
}

/// The message that picks a branch.
enum Anchor {
    At(Uuid),
    /// The session has no message yet.
    Nothing,
    /// The session has no such message.
    Unknown,
}

/// A page after the first stays below the last message seen, whatever became the newest since, unless the branch names a
/// message that is still to come.
async fn anchor(pool: &PgPool, session: Uuid, branch: Branch, cursor: Option<Cursor>) -> sqlx::Result<Anchor> {
    let sequence_of = async |id: Uuid| -> sqlx::Result<Option<i64>> {
        let sql = "SELECT sequence FROM chat_v1.messages WHERE id = $1 AND session_id = $2";
        sqlx::query_scalar(sql).bind(id).bind(session).fetch_optional(pool).await
    };
    let named = match branch {
        Branch::Through(id) => match sequence_of(id).await? {
            Some(sequence) => Some((sequence, id)),
            None => return Ok(Anchor::Unknown),
        },
        Branch::Latest | Branch::All => None,
    };
    // Along a path sequences grow, so the larger one is further down.
    if let Some((_, lowest)) = named.max(cursor) {
        return Ok(sequence_of(lowest).await?.map_or(Anchor::Unknown, |_| Anchor::At(lowest)));
    }
    let newest = "SELECT id FROM chat_v1.messages WHERE session_id = $1 ORDER BY sequence DESC LIMIT 1";
    let newest: Option<Uuid> = sqlx::query_scalar(newest).bind(session).fetch_optional(pool).await?;
    Ok(newest.map_or(Anchor::Nothing, Anchor::At))
}

/// The newest message at or below `$1`. A message is newer than all before it, so the newest is a leaf.
const NEWEST_LEAF: &str = "below (id, sequence) AS ( \
         SELECT id, sequence FROM chat_v1.messages WHERE id = $1 \
         UNION ALL \
         SELECT m.id, m.sequence FROM below b JOIN chat_v1.messages m ON m.parent_key = b.id), \
     leaf AS (SELECT id FROM below ORDER BY sequence DESC LIMIT 1)";

/// From the root down to the newest leaf below `anchor`, after `cursor`.
async fn branch_forward(
    pool: &PgPool,
    session: Uuid,
    anchor: Uuid,
    cursor: Option<Cursor>,
    n: i64,
) -> sqlx::Result<Vec<Message>> {
    let sql = format!(
        "WITH RECURSIVE {NEWEST_LEAF}, path (id, parent_id, sequence) AS ( \
             SELECT m.id, m.parent_id, m.sequence FROM leaf JOIN chat_v1.messages m USING (id) \
             UNION ALL \
             SELECT m.id, m.parent_id, m.sequence FROM path p JOIN chat_v1.messages m ON m.id = p.parent_id \
             WHERE m.sequence > $3) \
         SELECT {COLUMNS} FROM path JOIN chat_v1.messages m USING (id) \
         WHERE m.session_id = $2 AND m.sequence > $3 ORDER BY m.sequence LIMIT $4"
    );
    let after = cursor.map_or(i64::MIN, |(sequence, _)| sequence);
    sqlx::query_as(&sql).bind(anchor).bind(session).bind(after).bind(n).fetch_all(pool).await
}

/// Up from the newest leaf below `anchor`, or from the parent of `cursor`; reads no more than the page.
async fn branch_backward(
    pool: &PgPool,
    session: Uuid,
    anchor: Uuid,
    cursor: Option<Cursor>,
    n: i64,
) -> sqlx::Result<Vec<Message>> {
    let start = match cursor {
        None => format!("{NEWEST_LEAF}, start AS (SELECT id FROM leaf)"),
        Some(_) => "start AS (SELECT parent_id AS id FROM chat_v1.messages WHERE id = $1)".to_owned(),
    };
    let sql = format!(
        "WITH RECURSIVE {start}, path (id, parent_id, depth) AS ( \
             SELECT m.id, m.parent_id, 1 FROM start JOIN chat_v1.messages m USING (id) \
             UNION ALL \
             SELECT m.id, m.parent_id, p.depth + 1 FROM path p JOIN chat_v1.messages m ON m.id = p.parent_id \
             WHERE p.depth < $3) \
         SELECT {COLUMNS} FROM path JOIN chat_v1.messages m USING (id) \
         WHERE m.session_id = $2 ORDER BY m.sequence DESC"
    );
    let from = cursor.map_or(anchor, |(_, seen)| seen);
    sqlx::query_as(&sql).bind(from).bind(session).bind(n).fetch_all(pool).await
}

/// The message `id`, if it is in a conversation of `owner`.
///
/// # Errors
/// The database is away.
pub async fn message(pool: &PgPool, owner: Uuid, id: Uuid) -> sqlx::Result<Option<Message>> {
    let sql = format!("SELECT {COLUMNS} FROM chat_v1.messages m WHERE m.id = $1 AND m.owner = $2");
    sqlx::query_as(&sql).bind(id).bind(owner).fetch_optional(pool).await
}

/// The run `id`, if it is in a conversation of `owner`.
///
/// # Errors
/// The database is away.
pub async fn run(pool: &PgPool, owner: Uuid, id: Uuid) -> sqlx::Result<Option<Run>> {
    let sql = format!("SELECT {RUN_COLUMNS} FROM chat_v1.messages m WHERE m.run_id = $1 AND m.owner = $2");
    sqlx::query_as(&sql).bind(id).bind(owner).fetch_optional(pool).await
}

/// The run `id`, whoever owns it: for the system's own work, never for an answer to a user.
///
/// # Errors
/// The database is away.
pub async fn run_anywhere(pool: &PgPool, id: Uuid) -> sqlx::Result<Option<Run>> {
    let sql = format!("SELECT {RUN_COLUMNS} FROM chat_v1.messages m WHERE m.run_id = $1");
    sqlx::query_as(&sql).bind(id).fetch_optional(pool).await
}

/// Replies of `owner` that are being generated now, oldest first; at most 100.
///
/// # Errors
/// The database is away.
pub async fn active_runs(pool: &PgPool, owner: Uuid) -> sqlx::Result<Vec<Run>> {
    let sql = format!(
        "SELECT {RUN_COLUMNS} FROM chat_v1.messages m WHERE m.owner = $1 AND m.status IN ('pending', 'streaming') \
         ORDER BY m.created_at, m.id LIMIT 100"
    );
    sqlx::query_as(&sql).bind(owner).fetch_all(pool).await
}
