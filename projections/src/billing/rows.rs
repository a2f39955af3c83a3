//! The rows of `billing_v1`, which are also the answers of the HTTP API.

use chrono::{DateTime, Utc};
use domain::billing::{Nanos, Pieces, Rates};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    entries::{Account, EntryKind},
    schema::{PiecesSchema, RatesSchema},
};

/// What [`Wallet`] is read from; `w` is its row, or nothing, and `$1` the currency of an empty wallet.
pub(crate) const WALLET_COLUMNS: &str = "\
    coalesce(w.granted_nanos + w.paid_nanos - w.debt_nanos - w.held_nanos, 0) AS available_nanos, \
    coalesce(w.held_nanos, 0) AS held_nanos, \
    coalesce(w.granted_nanos + w.paid_nanos - w.debt_nanos, 0) AS balance_nanos, \
    coalesce(w.granted_nanos, 0) AS granted_nanos, coalesce(w.paid_nanos, 0) AS paid_nanos, \
    coalesce(w.debt_nanos, 0) AS debt_nanos, coalesce(w.currency, $1) AS currency";

/// What an account has, in nano-units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Wallet {
    /// What a new call can be paid with: `balance_nanos` less `held_nanos`.
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub available_nanos: Nanos,
    /// Set apart for calls under way.
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub held_nanos: Nanos,
    /// `granted_nanos` and `paid_nanos` less `debt_nanos`.
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub balance_nanos: Nanos,
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub granted_nanos: Nanos,
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub paid_nanos: Nanos,
    /// What calls cost beyond the credit.
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub debt_nanos: Nanos,
    pub currency: String,
}

impl Wallet {
    /// The wallet of an account before its first movement.
    #[must_use]
    pub fn empty(currency: &str) -> Self {
        let none = Nanos::ZERO;
        Self {
            available_nanos: none,
            held_nanos: none,
            balance_nanos: none,
            granted_nanos: none,
            paid_nanos: none,
            debt_nanos: none,
            currency: currency.to_owned(),
        }
    }
}

/// One line of the double entry of a wallet's event. The lines of one `position` sum to zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct LedgerEntry {
    /// Of the event.
    pub position: i64,
    pub line: i32,
    pub account: Account,
    /// A credit is positive.
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub amount_nanos: Nanos,
    pub kind: EntryKind,
    #[schema(required = true)]
    pub hold_id: Option<Uuid>,
    #[schema(required = true)]
    pub model: Option<String>,
    /// What the operator wrote.
    #[schema(required = true)]
    pub reason: Option<String>,
    pub at: DateTime<Utc>,
}

/// What a call consumed; every token is in exactly one tier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct ChargedTokens {
    /// What is in no other tier of the input.
    #[sqlx(rename = "input_tokens")]
    pub input: i64,
    #[sqlx(rename = "cached_input_tokens")]
    pub cached_input: i64,
    /// What is in no other tier of the output.
    #[sqlx(rename = "output_tokens")]
    pub output: i64,
    #[sqlx(rename = "reasoning_tokens")]
    pub reasoning: i64,
    /// Written to the provider's cache.
    #[sqlx(rename = "cache_write_tokens")]
    pub cache_write: i64,
    /// Written to the provider's cache for an hour.
    #[sqlx(rename = "cache_write_hour_tokens")]
    pub cache_write_hour: i64,
    #[sqlx(rename = "audio_input_tokens")]
    pub audio_input: i64,
    #[sqlx(rename = "image_input_tokens")]
    pub image_input: i64,
    #[sqlx(rename = "audio_output_tokens")]
    pub audio_output: i64,
    #[sqlx(rename = "image_output_tokens")]
    pub image_output: i64,
}

/// A settled call. Its cost to the house is not the user's business and stays in the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct Charge {
    /// Of a call that cost nothing and so had no hold, its own id.
    pub hold_id: Uuid,
    /// `reply` in a conversation, `api` through the compatible API.
    pub kind: String,
    pub model: String,
    #[sqlx(flatten)]
    pub tokens: ChargedTokens,
    /// What is sold by the piece; absent where nothing of it is.
    #[serde(skip_serializing_if = "Pieces::is_none")]
    #[schema(value_type = Option<PiecesSchema>)]
    #[sqlx(json)]
    pub pieces: Pieces,
    /// How all of it is known: `reported`, `counted` or `estimated`.
    pub basis: String,
    #[schema(value_type = RatesSchema)]
    #[sqlx(json)]
    pub prices: Rates,
    pub price_version: i64,
    #[schema(value_type = String)]
    #[sqlx(try_from = "i64")]
    pub charged_nanos: Nanos,
    #[schema(required = true)]
    pub session_id: Option<Uuid>,
    #[schema(required = true)]
    pub run_id: Option<Uuid>,
    #[schema(required = true)]
    pub api_key_id: Option<Uuid>,
    pub at: DateTime<Utc>,
    /// Its place in the log, for cursors.
    #[serde(skip)]
    #[schema(ignore)]
    pub position: i64,
    /// Among the calls at that place.
    #[serde(skip)]
    #[schema(ignore)]
    pub line: i32,
}
