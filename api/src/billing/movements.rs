//! What operators do to a wallet: give credit, record a payment, correct.
//!
//! How much may be moved is the wallet's own rule; here only the form of a request is checked, and that there is such an
//! account, because the wallet of a stranger would take the money just as well.
#![expect(
    clippy::useless_conversion,
    reason = "derived extractors convert every rejection, also one of the right type"
)]

use axum::{Json, extract::State, http::StatusCode};
use chrono::{SubsecRound as _, Utc};
use domain::{
    Sealed, UserId,
    billing::{Nanos, Source, Wallet as Aggregate, WalletCommand},
};
use projections::{billing::Wallet, users};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{LedgerCurrency, wallet};
use crate::{
    auth::Admin,
    commands::{Accepted, Actor, Bus, CommandStatus, Written},
    extract::{self, Id},
    idempotency::RequiredIdempotencyKey,
    openapi::{Problems, RequiredKeyParam},
    problem::Problem,
    read::{Model, Reads},
    request_id::Origin,
};

/// Characters of a reason, at most.
const MAX_REASON_CHARS: usize = 500;

/// Money to be moved.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewMovement {
    /// Nano-units of the ledger currency, as a string or an integer.
    #[schema(value_type = String, example = "5000000000")]
    amount_nanos: Value,
    /// Why; the owner of the wallet reads it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 500, required = true)]
    reason: String,
}

/// Money that was moved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Movement {
    id: Uuid,
    user_id: Uuid,
    #[schema(value_type = String)]
    amount_nanos: Nanos,
    /// As it is now.
    wallet: Wallet,
}

/// Which of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Grant,
    TopUp,
    Adjustment,
}

/// Gives an account credit that nobody paid for.
#[utoipa::path(post, path = "/api/v1/admin/users/{id}/grants", operation_id = "grant", tag = "admin",
    params(("id" = Uuid, Path), RequiredKeyParam), request_body = NewMovement,
    responses((status = 201, body = Movement), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn grant(
    books: Books,
    request: extract::Json<NewMovement>,
) -> Result<Written<Json<Movement>>, Problem> {
    books.book(Kind::Grant, request.0).await
}

/// Records money that was paid outside.
#[utoipa::path(post, path = "/api/v1/admin/users/{id}/top-ups", operation_id = "top_up", tag = "admin",
    params(("id" = Uuid, Path), RequiredKeyParam), request_body = NewMovement,
    responses((status = 201, body = Movement), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn top_up(
    books: Books,
    request: extract::Json<NewMovement>,
) -> Result<Written<Json<Movement>>, Problem> {
    books.book(Kind::TopUp, request.0).await
}

/// Corrects a balance, up or down.
#[utoipa::path(post, path = "/api/v1/admin/users/{id}/adjustments", operation_id = "adjust", tag = "admin",
    params(("id" = Uuid, Path), RequiredKeyParam), request_body = NewMovement,
    responses((status = 201, body = Movement), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
pub(super) async fn adjust(
    books: Books,
    request: extract::Json<NewMovement>,
) -> Result<Written<Json<Movement>>, Problem> {
    books.book(Kind::Adjustment, request.0).await
}

/// What a booking takes of the request and of the state.
#[derive(axum::extract::FromRequestParts)]
#[from_request(state(crate::state::App), rejection(Problem))]
pub(super) struct Books {
    admin: Admin,
    #[from_request(via(State))]
    bus: Bus,
    #[from_request(via(State))]
    currency: LedgerCurrency,
    #[from_request(via(State))]
    reads: Reads,
    origin: Origin,
    user: Id,
    key: RequiredIdempotencyKey,
}

impl Books {
    async fn book(self, kind: Kind, request: NewMovement) -> Result<Written<Json<Movement>>, Problem> {
        let (by, Id(user_id)) = (self.admin.user, self.user);
        let identity = self.key.0.identify(by, &request)?;
        let amount_nanos = amount(&request.amount_nanos)?;
        let reason = reason(&request.reason)?;
        require_account(&self.reads, user_id).await?;
        let reference = identity.new_id("movement");
        let command =
            command(kind, reference, amount_nanos, by, Sealed::new(UserId::new(user_id), reason), self.currency);
        match self.bus.send::<Aggregate>(self.origin, Actor::User(by), identity, user_id, &command).await? {
            Accepted::Pending(command_id) => Ok(Written::Pending(command_id)),
            Accepted::Done { event, .. } => {
                let stale = self.reads.is_behind(Model::Billing, event.as_ref()).await?;
                let wallet = wallet::read(&self.reads, user_id, self.currency).await?;
                let body = Json(Movement { id: reference, user_id, amount_nanos, wallet });
                Ok(Written::Done { status: StatusCode::CREATED, event, stale, body })
            }
        }
    }
}

fn command(
    kind: Kind,
    reference: Uuid,
    amount_nanos: Nanos,
    by: UserId,
    note: Sealed<String>,
    LedgerCurrency(currency): LedgerCurrency,
) -> WalletCommand {
    use WalletCommand as C;
    let (source, note, at) = (Source::Operator { by }, Some(note), Utc::now().trunc_subsecs(6));
    match kind {
        Kind::Grant => C::Grant { reference, amount_nanos, currency, source, note, at },
        Kind::TopUp => C::TopUp { reference, amount_nanos, currency, source, note, at },
        Kind::Adjustment => C::Adjust { reference, amount_nanos, currency, source, note, at },
    }
}

fn amount(value: &Value) -> Result<Nanos, Problem> {
    Nanos::deserialize(value).map_err(|_| {
        let detail = "an amount is an integer of nano-units (a thousand-millionth), such as \"1000000000\"";
        Problem::field("amount_nanos", "invalid_amount", detail)
    })
}

fn reason(text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::field("reason", "reason_missing", "say why; the owner of the wallet reads it"));
    }
    if text.chars().count() > MAX_REASON_CHARS {
        let detail = format!("a reason has at most {MAX_REASON_CHARS} characters");
        return Err(Problem::field("reason", "reason_too_long", detail));
    }
    Ok(text.to_owned())
}

/// 404 where there is no such account.
pub(super) async fn require_account(reads: &Reads, user: Uuid) -> Result<(), Problem> {
    let account = users::user(reads.pool(), user).await?;
    account.map(drop).ok_or_else(|| Problem::not_found("user_not_found", "there is no such account"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_amount_is_a_whole_number_as_text_or_number() {
        for value in [json!("-7"), json!(-7)] {
            assert_eq!(amount(&value).unwrap(), Nanos::new(-7));
        }
        for value in [
            json!(null),
            json!(""),
            json!("1.5"),
            json!(1.5),
            json!("1e9"),
            json!(1e9),
            json!("+1"),
            json!(" 1"),
            json!("9223372036854775808"),
            json!(9_223_372_036_854_775_808_u64),
            json!([1]),
            json!({ "amount": 1 }),
            json!(true),
        ] {
            assert_eq!(amount(&value).unwrap_err().code(), "invalid_amount", "{value}");
        }
    }

    #[test]
    fn a_reason_says_something_and_is_short() {
        assert_eq!(reason(" for you ").unwrap(), "for you");
        assert_eq!(reason(" \n").unwrap_err().code(), "reason_missing");
        assert_eq!(reason(&"字".repeat(501)).unwrap_err().code(), "reason_too_long");
    }
}
