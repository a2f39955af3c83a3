//! `GET /v1/dashboard/billing/subscription` and `/usage`: what desktop clients show a balance from.
//!
//! Promise: what such a client computes, `hard_limit_usd` less a hundredth of `total_usage`, is what the key's owner can
//! still spend. Both are of the last 366 days, whichever dates a client names, because the other address cannot know
//! them. OpenAI never documented these addresses; the names are those that its own page used. Amounts are units of this
//! installation's currency, whatever it is.

use axum::{Extension, Json, extract::State};
use chrono::{Days, Utc};
use domain::{billing::Nanos, users::Scope};
use projections::billing::{self, Statement};
use serde_json::{Value, json};

use crate::{
    billing::{LedgerCurrency, wallet_is_behind, wallet_of},
    holder::Holder,
    problem::Problem,
    read::Reads,
};

const NANOS_PER_UNIT: u64 = 1_000_000_000;
const CENTS_PER_UNIT: i64 = 100;
const DAYS: u64 = 365;

pub(super) async fn subscription(
    Extension(holder): Extension<Holder>,
    State(currency): State<LedgerCurrency>,
    State(reads): State<Reads>,
) -> Result<Json<Value>, Problem> {
    let statement = statement(&holder, &reads, currency).await?;
    let wallet = wallet_of(&reads, holder.user.uuid(), currency).await?;
    let limit = units(wallet.available_nanos.get().saturating_add(statement.charged_nanos.get()));
    Ok(Json(json!({
        "object": "billing_subscription",
        "has_payment_method": true,
        "canceled": false,
        "plan": { "title": wallet.currency, "id": "payg" },
        "soft_limit_usd": limit,
        "hard_limit_usd": limit,
        "system_hard_limit_usd": limit,
        // Credit does not end.
        "access_until": 0,
    })))
}

pub(super) async fn usage(
    Extension(holder): Extension<Holder>,
    State(currency): State<LedgerCurrency>,
    State(reads): State<Reads>,
) -> Result<Json<Value>, Problem> {
    let statement = statement(&holder, &reads, currency).await?;
    let cents = |nanos: Nanos| units(nanos.get().saturating_mul(CENTS_PER_UNIT));
    let day = |day: &billing::StatementDay| {
        let items = [json!({ "name": "calls", "cost": cents(day.charged_nanos) })];
        json!({ "timestamp": day.date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp(), "line_items": items })
    };
    Ok(Json(json!({
        "object": "list",
        "total_usage": cents(statement.charged_nanos),
        "daily_costs": statement.days.iter().map(day).collect::<Vec<_>>(),
    })))
}

/// What was charged in the days that count; as of the last committed movement where the read model can be waited for.
async fn statement(
    holder: &Holder,
    reads: &Reads,
    LedgerCurrency(currency): LedgerCurrency,
) -> Result<Statement, Problem> {
    holder.require(Scope::Billing)?;
    let (user, today) = (holder.user.uuid(), Utc::now().date_naive());
    wallet_is_behind(reads, user, None).await?;
    let first = today.checked_sub_days(Days::new(DAYS)).unwrap_or(today);
    Ok(billing::statement(reads.pool(), user, first, today, currency.as_str()).await?)
}

/// An amount as the decimal number that these addresses tell.
fn units(nanos: i64) -> Value {
    let (whole, rest) = (nanos.unsigned_abs() / NANOS_PER_UNIT, nanos.unsigned_abs() % NANOS_PER_UNIT);
    let sign = if nanos < 0 { "-" } else { "" };
    // Digits and a point are a number in JSON.
    serde_json::from_str(&format!("{sign}{whole}.{rest:09}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_decimal_numbers_of_units() {
        assert_eq!(units(1_500_000_000), json!(1.5));
        assert_eq!(units(-5), json!(-0.000_000_005));
        assert_eq!(units(0), json!(0.0));
    }
}
