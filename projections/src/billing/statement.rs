//! What a wallet had at the beginning and the end of a period, and what happened in between.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use domain::billing::Nanos;
use serde::Serialize;
use sqlx::{FromRow, PgConnection, PgPool};
use utoipa::ToSchema;
use uuid::Uuid;

/// The account of a period: `opening + granted + topped up + adjusted − charged = closing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Statement {
    /// The first day, in UTC.
    pub from: NaiveDate,
    /// The last day, in UTC.
    pub to: NaiveDate,
    pub currency: String,
    /// The balance before the first day.
    #[schema(value_type = String)]
    pub opening_nanos: Nanos,
    /// The balance after the last day.
    #[schema(value_type = String)]
    pub closing_nanos: Nanos,
    #[schema(value_type = String)]
    pub granted_nanos: Nanos,
    #[schema(value_type = String)]
    pub topped_up_nanos: Nanos,
    /// Corrections up less corrections down.
    #[schema(value_type = String)]
    pub adjusted_nanos: Nanos,
    #[schema(value_type = String)]
    pub charged_nanos: Nanos,
    /// Days with calls, in order.
    pub days: Vec<StatementDay>,
    /// The dearest first.
    pub models: Vec<StatementModel>,
    /// The dearest first; calls without a key are in none.
    pub api_keys: Vec<StatementApiKey>,
}

/// What one day cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct StatementDay {
    pub date: NaiveDate,
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub charged_nanos: Nanos,
    pub calls: i64,
}

/// What one model cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct StatementModel {
    pub model: String,
    pub calls: i64,
    /// Cached ones included.
    pub input_tokens: i64,
    /// Reasoning included.
    pub output_tokens: i64,
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub charged_nanos: Nanos,
}

/// What was called with one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct StatementApiKey {
    pub api_key_id: Uuid,
    /// Empty if the key is not known (yet).
    pub name: String,
    pub calls: i64,
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub charged_nanos: Nanos,
}

/// The balance now and how it moved since two instants, and the movements between them.
#[derive(FromRow)]
struct Totals {
    balance: i64,
    currency: Option<String>,
    since_start: i64,
    since_end: i64,
    granted: i64,
    topped_up: i64,
    adjusted: i64,
    charged: i64,
}

/// Instants from the first (included) to the second (excluded).
type Period = (DateTime<Utc>, DateTime<Utc>);

/// The statement of `user`'s wallet over the days `from` to `to` in UTC, both included; `currency` is that of a wallet
/// without movements. All its numbers are of one instant. The caller bounds the period.
///
/// # Errors
/// The database is away.
pub async fn statement(
    pool: &PgPool,
    user: Uuid,
    from: NaiveDate,
    to: NaiveDate,
    currency: &str,
) -> sqlx::Result<Statement> {
    let after = to.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    let period = (midnight(from), midnight(after));
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let totals = totals(&mut tx, user, period).await?;
    let days = days(&mut tx, user, period).await?;
    let models = models(&mut tx, user, period).await?;
    let api_keys = api_keys(&mut tx, user, period).await?;
    tx.commit().await?;
    Ok(Statement {
        from,
        to,
        currency: totals.currency.unwrap_or_else(|| currency.to_owned()),
        opening_nanos: Nanos::new(totals.balance.saturating_sub(totals.since_start)),
        closing_nanos: Nanos::new(totals.balance.saturating_sub(totals.since_end)),
        granted_nanos: Nanos::new(totals.granted),
        topped_up_nanos: Nanos::new(totals.topped_up),
        adjusted_nanos: Nanos::new(totals.adjusted),
        charged_nanos: Nanos::new(totals.charged),
        days,
        models,
        api_keys,
    })
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// Reads the entries since the beginning of the period only, however old the wallet is.
async fn totals(tx: &mut PgConnection, user: Uuid, (start, end): Period) -> sqlx::Result<Totals> {
    sqlx::query_as(
        "SELECT coalesce(max(w.granted_nanos + w.paid_nanos - w.debt_nanos), 0)::bigint AS balance, \
         max(w.currency) AS currency, \
         coalesce(sum(e.amount_nanos) FILTER (WHERE own), 0)::bigint AS since_start, \
         coalesce(sum(e.amount_nanos) FILTER (WHERE own AND e.at >= $3), 0)::bigint AS since_end, \
         coalesce(-sum(e.amount_nanos) FILTER (WHERE e.account = 'promotions' AND e.at < $3), 0)::bigint AS granted, \
         coalesce(-sum(e.amount_nanos) FILTER (WHERE e.account = 'payments' AND e.at < $3), 0)::bigint AS topped_up, \
         coalesce(-sum(e.amount_nanos) FILTER (WHERE e.account = 'adjustments' AND e.at < $3), 0)::bigint AS adjusted, \
         coalesce(sum(e.amount_nanos) FILTER (WHERE e.account = 'revenue' AND e.at < $3), 0)::bigint AS charged \
         FROM (SELECT $1::uuid AS owner) u LEFT JOIN billing_v1.wallets w USING (owner) \
         LEFT JOIN billing_v1.ledger_entries e ON e.owner = u.owner AND e.at >= $2 \
         CROSS JOIN LATERAL (SELECT e.account IN ('granted', 'paid', 'debt') AS own) o",
    )
    .bind(user)
    .bind(start)
    .bind(end)
    .fetch_one(tx)
    .await
}

async fn days(tx: &mut PgConnection, user: Uuid, (start, end): Period) -> sqlx::Result<Vec<StatementDay>> {
    sqlx::query_as(
        "SELECT (at AT TIME ZONE 'UTC')::date AS date, sum(charged_nanos)::bigint AS charged_nanos, count(*) AS calls \
         FROM billing_v1.charges WHERE owner = $1 AND at >= $2 AND at < $3 GROUP BY 1 ORDER BY 1",
    )
    .bind(user)
    .bind(start)
    .bind(end)
    .fetch_all(tx)
    .await
}

/// Tokens are bounded: a provider of free models may report any number.
async fn models(tx: &mut PgConnection, user: Uuid, (start, end): Period) -> sqlx::Result<Vec<StatementModel>> {
    sqlx::query_as(
        "SELECT model, count(*) AS calls, \
         least(sum(input_tokens::numeric + cached_input_tokens + cache_write_tokens + cache_write_hour_tokens + \
             audio_input_tokens + image_input_tokens), 9223372036854775807)::bigint AS input_tokens, \
         least(sum(output_tokens::numeric + reasoning_tokens + audio_output_tokens + image_output_tokens), \
             9223372036854775807)::bigint AS output_tokens, \
         sum(charged_nanos)::bigint AS charged_nanos \
         FROM billing_v1.charges WHERE owner = $1 AND at >= $2 AND at < $3 \
         GROUP BY model ORDER BY sum(charged_nanos) DESC, count(*) DESC, model",
    )
    .bind(user)
    .bind(start)
    .bind(end)
    .fetch_all(tx)
    .await
}

async fn api_keys(tx: &mut PgConnection, user: Uuid, (start, end): Period) -> sqlx::Result<Vec<StatementApiKey>> {
    sqlx::query_as(
        "SELECT c.api_key_id, coalesce(max(k.name), '') AS name, count(*) AS calls, \
         sum(c.charged_nanos)::bigint AS charged_nanos \
         FROM billing_v1.charges c LEFT JOIN users_v1.api_keys k ON k.id = c.api_key_id AND k.owner = c.owner \
         WHERE c.owner = $1 AND c.at >= $2 AND c.at < $3 AND c.api_key_id IS NOT NULL \
         GROUP BY c.api_key_id ORDER BY sum(c.charged_nanos) DESC, count(*) DESC, c.api_key_id",
    )
    .bind(user)
    .bind(start)
    .bind(end)
    .fetch_all(tx)
    .await
}
