//! What can be asked of a wallet.

use std::iter;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Purpose, ReleaseReason, Source, Terms};
use crate::{
    ChannelId, HoldId, Sealed,
    billing::{Basis, Currency, Factor, Nanos, Pieces, Rates, Tokens},
};

/// What a model call may cost at most, before it is made. The prices are pinned: the call is settled by them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// As users name it.
    pub model: String,
    pub channel_id: ChannelId,
    pub price_version: u32,
    /// What the user pays.
    pub prices: Rates,
    /// What the provider charges us.
    pub costs: Rates,
    /// Counted before the call.
    pub input_tokens: u64,
    /// The smaller of what the client wants and what the model gives.
    pub max_output_tokens: u32,
    /// A shorter answer than this is not worth asking for.
    pub min_output_tokens: u32,
    /// The most that the call can consume by the piece.
    #[serde(default, skip_serializing_if = "Pieces::is_none")]
    pub pieces: Pieces,
    /// Who may answer instead, each at its own price; the dearest is held for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Terms>,
}

impl Quote {
    /// All prices by which the call may be settled.
    pub(super) fn all_prices(&self) -> impl Iterator<Item = &Rates> {
        iter::once(&self.prices).chain(self.alternatives.iter().map(|terms| &terms.prices))
    }

    /// Whether the call moves no money, whoever answers and whatever it consumes: neither the user's nor the house's.
    #[must_use]
    pub fn moves_nothing(&self) -> bool {
        let costs = iter::once(&self.costs).chain(self.alternatives.iter().map(|terms| &terms.costs));
        self.all_prices().chain(costs).all(Rates::is_free)
    }
}

/// Who answered a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answerer {
    pub channel_id: ChannelId,
    /// As users name it.
    pub model: String,
}

impl Quote {
    /// The same for somebody who pays `factor` times the prices, whoever answers.
    #[must_use]
    pub fn times(mut self, factor: Factor) -> Self {
        self.prices = self.prices.times(factor);
        for other in &mut self.alternatives {
            other.prices = std::mem::take(&mut other.prices).times(factor);
        }
        self
    }
}

/// What becomes of a hold whose call was never heard of again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryPolicy {
    /// Nothing is charged; a settlement that comes late after all is taken.
    Release,
    /// The counted input, all output and all pieces that were allowed are charged, at the ordinary rates.
    Charge,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalletCommand {
    /// Give credit that nobody paid for.
    Grant {
        /// Of this gift; the same one is never given twice.
        reference: Uuid,
        amount_nanos: Nanos,
        currency: Currency,
        source: Source,
        note: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    /// Record money that was paid.
    TopUp {
        reference: Uuid,
        amount_nanos: Nanos,
        currency: Currency,
        source: Source,
        note: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    /// Correct the balance, up or down.
    Adjust {
        reference: Uuid,
        amount_nanos: Nanos,
        currency: Currency,
        source: Source,
        note: Option<Sealed<String>>,
        at: DateTime<Utc>,
    },
    /// Refuse where a call with this quote could not be held; changes nothing.
    RequireCredit { quote: Quote },
    /// Set credit apart for a call, before anything is asked of a provider.
    Hold { hold_id: HoldId, purpose: Purpose, quote: Quote, expires_at: DateTime<Utc>, at: DateTime<Utc> },
    /// The call goes on.
    ExtendHold { hold_id: HoldId, expires_at: DateTime<Utc>, at: DateTime<Utc> },
    /// Settle a hold with what was consumed.
    ChargeTokens {
        hold_id: HoldId,
        tokens: Tokens,
        basis: Basis,
        /// Who answered, where it was one of the hold's alternatives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Answerer>,
        /// Attempts whose process died: on the house, but they cost us.
        lost_attempts: u32,
        at: DateTime<Utc>,
    },
    /// Give a hold back: nothing was consumed.
    Release {
        hold_id: HoldId,
        reason: ReleaseReason,
        /// As with a charge.
        lost_attempts: u32,
        at: DateTime<Utc>,
    },
    /// Settle a hold that has expired, by policy.
    Expire { hold_id: HoldId, policy: ExpiryPolicy, at: DateTime<Utc> },
}
