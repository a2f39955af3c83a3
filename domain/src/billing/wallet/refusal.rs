//! Why a wallet says no.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use thiserror::Error;

use super::{MAX_HOLDS, MAX_MOVEMENT};
use crate::{
    billing::{Currency, Nanos},
    decider::Refusal,
};

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WalletRefusal {
    #[error("your credit does not cover this: {available} nano-units are available and {required} are needed")]
    InsufficientCredit { available: Nanos, required: Nanos },
    #[error("an amount must be over zero; an adjustment must not be zero")]
    InvalidAmount,
    #[error(
        "an amount of more than {MAX_MOVEMENT} nano-units is not moved at once, and no balance grows beyond its range"
    )]
    AmountTooLarge,
    #[error("this wallet is kept in {wallet}", wallet = wallet.as_str())]
    CurrencyMismatch { wallet: Currency },
    #[error("more than {MAX_HOLDS} calls at the same time are not paid from one wallet")]
    TooManyHolds,
    #[error("this hold was made already")]
    HoldExists,
    #[error("this hold was not made for whoever answered")]
    NotHeldFor,
    #[error("this hold has not expired yet")]
    HoldNotExpired { expires_at: DateTime<Utc> },
}

impl Refusal for WalletRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::InsufficientCredit { .. } => "insufficient_credit",
            Self::InvalidAmount => "invalid_amount",
            Self::AmountTooLarge => "amount_too_large",
            Self::CurrencyMismatch { .. } => "currency_mismatch",
            Self::TooManyHolds => "too_many_holds",
            Self::HoldExists => "hold_exists",
            Self::NotHeldFor => "not_held_for",
            Self::HoldNotExpired { .. } => "hold_not_expired",
        }
    }

    fn details(&self) -> Value {
        match self {
            Self::InsufficientCredit { available, required } => {
                json!({ "available_nanos": available, "required_nanos": required })
            }
            Self::AmountTooLarge => json!({ "limit_nanos": MAX_MOVEMENT }),
            Self::CurrencyMismatch { wallet } => json!({ "currency": wallet }),
            Self::TooManyHolds => json!({ "limit": MAX_HOLDS }),
            Self::HoldNotExpired { expires_at } => json!({ "expires_at": expires_at }),
            Self::InvalidAmount | Self::HoldExists | Self::NotHeldFor => Value::Null,
        }
    }
}
