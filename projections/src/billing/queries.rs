//! Reading wallets, the ledger and settlements.

use domain::{Decider as _, billing};
use nats::EventRef;
use sqlx::PgPool;
use uuid::Uuid;

use super::rows::{Charge, LedgerEntry, WALLET_COLUMNS, Wallet};
use crate::{
    QueryError,
    page::{Page, bounded, decode},
};

/// Which lines of the ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Lines {
    /// Those of the user's own money: not what providers charge the house.
    #[default]
    Own,
    /// For operators.
    All,
}

/// What `user` has; `None` before the first movement, see [`Wallet::empty`].
///
/// # Errors
/// The database is away.
pub async fn wallet(pool: &PgPool, user: Uuid) -> sqlx::Result<Option<Wallet>> {
    let sql =
        format!("SELECT {WALLET_COLUMNS} FROM billing_v1.wallets w WHERE w.owner = $2 AND w.currency IS NOT NULL");
    sqlx::query_as(&sql).bind("").bind(user).fetch_optional(pool).await
}

/// The newest committed event of `user`'s wallet, sequenced or not: what a read that is never older waits for.
///
/// # Errors
/// The database is away.
pub async fn newest_event(pool: &PgPool, user: Uuid) -> sqlx::Result<Option<EventRef>> {
    let sql =
        "SELECT sequence FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence DESC LIMIT 1";
    let (aggregate_type, aggregate_id) = (billing::Wallet::TYPE.to_owned(), user.to_string());
    let sequence: Option<i64> =
        sqlx::query_scalar(sql).bind(&aggregate_type).bind(&aggregate_id).fetch_optional(pool).await?;
    Ok(sequence.map(|sequence| EventRef { aggregate_type, aggregate_id, sequence }))
}

/// A page of the double entries of `user`'s wallet: newest event first, its lines in order.
///
/// # Errors
/// A cursor of another list, or the database is away.
pub async fn ledger_entries(
    pool: &PgPool,
    user: Uuid,
    lines: Lines,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<LedgerEntry>, QueryError> {
    let limit = bounded(limit);
    let (position, line): (i64, i32) = cursor.map(decode).transpose()?.unwrap_or((i64::MAX, i32::MAX));
    let rows = sqlx::query_as(
        "SELECT position, line, account, amount_nanos, kind, hold_id, model, reason, at \
         FROM billing_v1.ledger_entries \
         WHERE owner = $1 AND position <= $2 AND (position < $2 OR line > $3) \
         AND ($4 OR account NOT IN ('upstream_cost', 'upstream_payable')) \
         ORDER BY position DESC, line LIMIT $5",
    )
    .bind(user)
    .bind(position)
    .bind(line)
    .bind(lines == Lines::All)
    .bind(i64::from(limit) + 1)
    .fetch_all(pool)
    .await?;
    Ok(Page::cut(rows, limit, |entry: &LedgerEntry| (entry.position, entry.line)))
}

/// A page of `user`'s calls that are settled or cost nothing, newest first.
///
/// # Errors
/// A cursor of another list, or the database is away.
pub async fn charges(pool: &PgPool, user: Uuid, cursor: Option<&str>, limit: u32) -> Result<Page<Charge>, QueryError> {
    let limit = bounded(limit);
    let (position, line): (i64, i32) = match cursor {
        // Before there were several calls in one event, a cursor was a position alone.
        Some(cursor) => decode(cursor).or_else(|_| decode(cursor).map(|position| (position, 0)))?,
        None => (i64::MAX, i32::MAX),
    };
    let rows = sqlx::query_as(
        "SELECT hold_id, kind, model, input_tokens, cached_input_tokens, output_tokens, reasoning_tokens, \
         cache_write_tokens, cache_write_hour_tokens, audio_input_tokens, image_input_tokens, audio_output_tokens, \
         image_output_tokens, pieces, \
         basis, prices, price_version, charged_nanos, session_id, run_id, api_key_id, at, position, line \
         FROM billing_v1.charges WHERE owner = $1 AND (position, line) < ($2, $3) \
         ORDER BY position DESC, line DESC LIMIT $4",
    )
    .bind(user)
    .bind(position)
    .bind(line)
    .bind(i64::from(limit) + 1)
    .fetch_all(pool)
    .await?;
    Ok(Page::cut(rows, limit, |charge: &Charge| (charge.position, charge.line)))
}
