//! What happened to a wallet. Stored for ever: a change is a new version (see `tests/wire/`).

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ApiKeyId, ChannelId, HoldId, RunId, Sealed, SessionId, UserId,
    billing::{Basis, Currency, Nanos, Rates, Tokens},
};

/// How an event changes the pots; what is taken is negative, and debt is counted positive.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub granted_nanos: Nanos,
    pub paid_nanos: Nanos,
    pub debt_nanos: Nanos,
}

/// Who moved money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The gift to every new account.
    SignUp,
    Operator {
        by: UserId,
    },
}

/// What credit was set apart for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A reply in a conversation.
    Reply { session_id: SessionId, run_id: RunId },
    /// A call of the compatible API; without a key it was made with an access token.
    Api { api_key_id: Option<ApiKeyId> },
}

/// Why nothing is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseReason {
    /// The call failed before any output.
    Failed,
    /// It was stopped before any output.
    Cancelled,
}

impl ReleaseReason {
    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalletEvent {
    Granted {
        reference: Uuid,
        amount_nanos: Nanos,
        currency: Currency,
        effect: Effect,
        source: Source,
        note: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    ToppedUp {
        reference: Uuid,
        amount_nanos: Nanos,
        currency: Currency,
        effect: Effect,
        source: Source,
        note: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    Adjusted {
        reference: Uuid,
        amount_nanos: Nanos,
        currency: Currency,
        effect: Effect,
        source: Source,
        note: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    Held {
        hold_id: HoldId,
        purpose: Purpose,
        amount_nanos: Nanos,
        model: String,
        channel_id: ChannelId,
        price_version: u32,
        prices: Rates,
        costs: Rates,
        input_tokens: u64,
        /// What the call may be answered with: what was wanted, or what credit covers.
        max_output_tokens: u32,
        expires_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
    HoldExtended {
        hold_id: HoldId,
        expires_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
    /// The settlement. `charged_nanos` is `prices` over `tokens`, `cost_nanos` is `costs` over `tokens`.
    Charged {
        hold_id: HoldId,
        purpose: Purpose,
        model: String,
        channel_id: ChannelId,
        tokens: Tokens,
        basis: Basis,
        price_version: u32,
        prices: Rates,
        costs: Rates,
        charged_nanos: Nanos,
        cost_nanos: Nanos,
        /// What attempts whose process died have cost us, as estimated from the input. The one that an expiry
        /// has booked before is not among them.
        lost_cost_nanos: Nanos,
        effect: Effect,
        /// What was held for it; zero where the hold had expired before.
        released_nanos: Nanos,
        at: DateTime<Utc>,
    },
    Released {
        hold_id: HoldId,
        purpose: Purpose,
        model: String,
        amount_nanos: Nanos,
        reason: ReleaseReason,
        /// What attempts whose process died have cost us, as estimated from the input.
        lost_cost_nanos: Nanos,
        at: DateTime<Utc>,
    },
    /// Nothing more was heard of the call; its input is assumed to have cost us.
    Expired {
        hold_id: HoldId,
        purpose: Purpose,
        model: String,
        amount_nanos: Nanos,
        cost_nanos: Nanos,
        at: DateTime<Utc>,
    },
}

impl cqrs_es::DomainEvent for WalletEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Granted { .. } => "wallet.granted",
            Self::ToppedUp { .. } => "wallet.topped_up",
            Self::Adjusted { .. } => "wallet.adjusted",
            Self::Held { .. } => "wallet.held",
            Self::HoldExtended { .. } => "wallet.hold_extended",
            Self::Charged { .. } => "wallet.charged",
            Self::Released { .. } => "wallet.released",
            Self::Expired { .. } => "wallet.expired",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}
