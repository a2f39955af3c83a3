//! What somebody has, and what a period cost.

use axum::extract::State;
use chrono::NaiveDate;
use nats::EventRef;
use projections::billing::{self, Statement, Wallet};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::LedgerCurrency;
use crate::{
    extract::Query,
    holder::Payer,
    openapi::{AfterParam, Problems},
    problem::{FieldError, Problem},
    read::{After, Fresh, Model, Reads},
};

/// Days of one statement, at most.
const MAX_DAYS: i64 = 366;

/// Your wallet, never older than its last committed movement, or marked `X-Stale: true`.
#[utoipa::path(get, path = "/api/v1/wallet", operation_id = "get_wallet", tag = "billing", params(AfterParam),
    responses((status = 200, body = Wallet), Problems), security(("bearer" = [])))]
pub(super) async fn get(
    payer: Payer,
    After(after): After,
    State(currency): State<LedgerCurrency>,
    State(reads): State<Reads>,
) -> Result<Fresh<Wallet>, Problem> {
    let user = payer.user.uuid();
    let stale = is_behind(&reads, user, after.as_ref()).await?;
    Ok(Fresh { body: read(&reads, user, currency).await?, stale })
}

/// Waits until the ledger shows every committed movement of `user`, and what the caller wrote; whether it is behind.
pub(crate) async fn is_behind(reads: &Reads, user: Uuid, after: Option<&EventRef>) -> Result<bool, Problem> {
    let newest = billing::newest_event(reads.pool(), user).await?;
    let missed = reads.is_behind(Model::Billing, newest.as_ref()).await?;
    Ok(reads.is_behind(Model::Billing, after).await? || missed)
}

/// The wallet as it is; an empty one before its first movement.
pub(crate) async fn read(reads: &Reads, user: Uuid, LedgerCurrency(currency): LedgerCurrency) -> sqlx::Result<Wallet> {
    let wallet = billing::wallet(reads.pool(), user).await?;
    Ok(wallet.unwrap_or_else(|| Wallet::empty(currency.as_str())))
}

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Period {
    /// The first day, in UTC.
    #[param(format = Date, example = "2026-11-01")]
    from: String,
    /// The last day, in UTC; at most 366 days in all.
    #[param(format = Date, example = "2026-11-30")]
    to: String,
}

impl Period {
    fn days(&self) -> Result<(NaiveDate, NaiveDate), Problem> {
        let day = |field: &str, text: &str| {
            let wrong = format!("`{field}` is a day such as 2026-11-30");
            // Four digits, as everybody writes it; the parser takes more, and rows do not.
            let date = if text.len() == 10 { text.parse().ok() } else { None };
            date.ok_or_else(|| Problem::field(field, "invalid_period", wrong))
        };
        let (from, to): (NaiveDate, NaiveDate) = (day("from", &self.from)?, day("to", &self.to)?);
        if !(0..MAX_DAYS).contains(&(to - from).num_days()) {
            let message = format!("a statement is of 1 to {MAX_DAYS} days, the first one not after the last");
            let error = |field: &str| FieldError {
                field: field.to_owned(),
                code: "invalid_period".into(),
                message: message.clone(),
            };
            return Err(Problem::fields(vec![error("to"), error("from")]));
        }
        Ok((from, to))
    }
}

/// What a period brought and cost, by day, model and API key.
#[utoipa::path(get, path = "/api/v1/wallet/statement", operation_id = "get_statement", tag = "billing",
    params(AfterParam, Period),
    responses((status = 200, body = Statement), Problems), security(("bearer" = [])))]
pub(super) async fn statement(
    payer: Payer,
    After(after): After,
    State(LedgerCurrency(currency)): State<LedgerCurrency>,
    State(reads): State<Reads>,
    Query(period): Query<Period>,
) -> Result<Fresh<Statement>, Problem> {
    let (from, to) = period.days()?;
    let user = payer.user.uuid();
    let stale = is_behind(&reads, user, after.as_ref()).await?;
    let body = billing::statement(reads.pool(), user, from, to, currency.as_str()).await?;
    Ok(Fresh { body, stale })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(from: &str, to: &str) -> Result<i64, String> {
        let period = Period { from: from.to_owned(), to: to.to_owned() };
        period.days().map(|(from, to)| (to - from).num_days() + 1).map_err(|problem| problem.code().to_owned())
    }

    #[test]
    fn a_period_has_both_its_days_and_at_most_a_leap_year() {
        assert_eq!(days("2026-11-01", "2026-11-30"), Ok(30));
        assert_eq!(days("2026-11-01", "2026-11-01"), Ok(1));
        assert_eq!(days("2028-01-01", "2028-12-31"), Ok(366));
    }

    #[test]
    fn a_period_that_ends_before_it_begins_is_too_long_or_no_period_is_refused() {
        for (from, to) in [
            ("2026-11-02", "2026-11-01"),
            ("2026-01-01", "2027-01-02"),
            ("0001-01-01", "9999-12-31"),
            ("2026-13-01", "2026-12-01"),
            ("+262142-01-01", "+262142-01-01"),
            ("", ""),
        ] {
            assert_eq!(days(from, to), Err("invalid_period".to_owned()), "{from} {to}");
        }
    }
}
