//! What happened to a wallet. Stored for ever: a change is a new version (see `tests/wire/`).

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ApiKeyId, ChannelId, HoldId, RunId, Sealed, SessionId, UserId,
    billing::{Basis, Currency, Nanos, Pieces, Rates, Tokens},
};

/// How an event changes the pots; what is taken is negative, and debt is counted positive.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// Credit that was given.
    pub granted_nanos: Nanos,
    /// Credit that was paid for.
    pub paid_nanos: Nanos,
    /// What was consumed beyond all credit.
    pub debt_nanos: Nanos,
}

/// Who moved money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The gift to every new account.
    SignUp,
    /// An operator, by hand.
    Operator { by: UserId },
}

/// What credit was set apart for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A reply in a conversation.
    Reply { session_id: SessionId, run_id: RunId },
    /// A call of the compatible API; without a key it was made with an access token.
    Api { api_key_id: Option<ApiKeyId> },
}

/// Somebody else who may answer a call, at its own price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    pub channel_id: ChannelId,
    /// As users name it.
    pub model: String,
    /// Of this model on this channel.
    pub price_version: u32,
    /// What the user will pay if this one answers.
    pub prices: Rates,
    /// What the provider will charge us then.
    pub costs: Rates,
}

/// Why nothing is charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WalletEvent {
    /// Credit was given; it is used up before what was paid, and pays debt first.
    Granted {
        /// Names this movement: it is booked once for ever.
        reference: Uuid,
        /// What was given.
        amount_nanos: Nanos,
        currency: Currency,
        effect: Effect,
        source: Source,
        /// Why, in the operator's words.
        note: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    /// Credit was paid for; it pays debt first.
    ToppedUp {
        /// Names this movement: it is booked once for ever.
        reference: Uuid,
        /// What was paid.
        amount_nanos: Nanos,
        currency: Currency,
        effect: Effect,
        source: Source,
        /// Why, in the operator's words.
        note: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    /// An operator put a balance right.
    Adjusted {
        /// Names this movement: it is booked once for ever.
        reference: Uuid,
        /// Negative where something is taken.
        amount_nanos: Nanos,
        currency: Currency,
        effect: Effect,
        source: Source,
        /// Why, in the operator's words.
        note: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    /// Credit was set apart for one model call, for the most that it can cost; no call begins without.
    Held {
        hold_id: HoldId,
        purpose: Purpose,
        /// What is set apart.
        amount_nanos: Nanos,
        /// As users name it.
        model: String,
        channel_id: ChannelId,
        /// Of this model on this channel.
        price_version: u32,
        /// What the user will pay, whatever changes meanwhile.
        prices: Rates,
        /// What the provider will charge us.
        costs: Rates,
        /// Counted before the call.
        input_tokens: u64,
        /// What the call may be answered with: what was wanted, or what credit covers.
        max_output_tokens: u32,
        /// The most that the call can consume by the piece. Absent where nothing of it is sold so.
        #[serde(default, skip_serializing_if = "Pieces::is_none")]
        pieces: Pieces,
        /// Who may answer instead; enough is set apart for the dearest. Absent where there is nobody.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        alternatives: Vec<Terms>,
        /// Then it is settled by policy, unless it is extended.
        expires_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
    /// The call is still going on.
    HoldExtended {
        hold_id: HoldId,
        /// Later than before.
        expires_at: DateTime<Utc>,
        at: DateTime<Utc>,
    },
    /// A call was settled by what it consumed. The event is enough to compute its amounts again.
    Charged {
        hold_id: HoldId,
        purpose: Purpose,
        /// As users name it.
        model: String,
        channel_id: ChannelId,
        tokens: Tokens,
        basis: Basis,
        /// As it was held.
        price_version: u32,
        /// As they were held.
        prices: Rates,
        /// As they were held.
        costs: Rates,
        /// What the user pays: `prices` over `tokens`, rounded once, half to even.
        charged_nanos: Nanos,
        /// What the provider charges us: `costs` over `tokens`.
        cost_nanos: Nanos,
        /// What attempts whose process died have cost us, as estimated from the input. The one that an expiry
        /// has booked before is not among them.
        lost_cost_nanos: Nanos,
        effect: Effect,
        /// What was held for it; zero where the hold had expired before.
        released_nanos: Nanos,
        at: DateTime<Utc>,
    },
    /// A call brought nothing and is not charged; its credit is free again.
    Released {
        hold_id: HoldId,
        purpose: Purpose,
        /// As users name it.
        model: String,
        /// What had been held.
        amount_nanos: Nanos,
        reason: ReleaseReason,
        /// What attempts whose process died have cost us, as estimated from the input.
        lost_cost_nanos: Nanos,
        at: DateTime<Utc>,
    },
    /// Nothing more was heard of the call; its credit is free again, and its input is assumed to have cost us.
    Expired {
        hold_id: HoldId,
        purpose: Purpose,
        /// As users name it.
        model: String,
        /// What had been held.
        amount_nanos: Nanos,
        /// What the input is assumed to have cost us.
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
