//! Accounts as operators look through them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{FromRow, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

use super::rows::User;
use crate::{
    QueryError,
    billing::{WALLET_COLUMNS, Wallet},
    page::{Page, bounded, decode},
};

/// An account with what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Account {
    #[serde(flatten)]
    #[sqlx(flatten)]
    pub user: User,
    /// The group of users that it is in, by name.
    #[sqlx(rename = "user_group")]
    pub group: String,
    #[sqlx(flatten)]
    pub wallet: Wallet,
}

/// A page of all accounts, newest first: those whose address or name begins with `query`, whatever its case, if there is
/// one. `currency` is that of a wallet without movements.
///
/// # Errors
/// A cursor of another list, or the database is away.
pub async fn users(
    pool: &PgPool,
    query: Option<&str>,
    currency: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<Account>, QueryError> {
    let limit = bounded(limit);
    let (before, before_id): (Option<DateTime<Utc>>, Option<Uuid>) = cursor.map(decode).transpose()?.unzip();
    let matching = match query {
        Some(_) => "(lower(u.email) LIKE lower($5) OR lower(u.username) LIKE lower($5))",
        None => "$5::text IS NULL",
    };
    let sql = format!(
        "SELECT u.id, u.email, u.username, u.role, u.created_at, u.user_group, {WALLET_COLUMNS} \
         FROM users_v1.users u LEFT JOIN billing_v1.wallets w ON w.owner = u.id \
         WHERE {matching} AND (u.created_at, u.id) < \
         (coalesce($2, 'infinity'::timestamptz), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)) \
         ORDER BY u.created_at DESC, u.id DESC LIMIT $4"
    );
    let prefix = query.map(|text| format!("{}%", text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")));
    let rows = sqlx::query_as(&sql)
        .bind(currency)
        .bind(before)
        .bind(before_id)
        .bind(i64::from(limit) + 1)
        .bind(prefix)
        .fetch_all(pool)
        .await?;
    Ok(Page::cut(rows, limit, |account: &Account| (account.user.created_at, account.user.id)))
}

/// The account `id`; `currency` is that of a wallet without movements.
///
/// # Errors
/// The database is away.
pub async fn account(pool: &PgPool, id: Uuid, currency: &str) -> sqlx::Result<Option<Account>> {
    let sql = format!(
        "SELECT u.id, u.email, u.username, u.role, u.created_at, u.user_group, {WALLET_COLUMNS} \
         FROM users_v1.users u LEFT JOIN billing_v1.wallets w ON w.owner = u.id WHERE u.id = $2"
    );
    sqlx::query_as(&sql).bind(currency).bind(id).fetch_optional(pool).await
}
