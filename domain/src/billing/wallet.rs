//! A wallet: all money of one account, and what is set apart of it.
//!
//! Promise: no call is begun that its credit does not cover, at prices that are pinned before it; a hold is settled,
//! released or expired once, whatever is delivered twice; what a settlement costs beyond the credit is explicit debt.
//! Nothing here creates money but `Grant`, `TopUp` and `Adjust`, and each of these is booked once by its reference.
//! Its id is its owner's: nobody can charge another person's wallet.
// tidy: long because an aggregate is read as one specification, from its commands to how events change its state.

mod command;
mod event;
mod refusal;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::{
    command::{Answerer, ExpiryPolicy, Quote, WalletCommand},
    event::{Effect, Purpose, ReleaseReason, Source, Terms, WalletEvent},
    refusal::WalletRefusal,
};
use super::{Basis, Currency, Nanos, Pieces, Rates, Tokens};
use crate::{ChannelId, HoldId, decider::Decider};

/// One grant, top-up or adjustment, at most: a million units.
pub const MAX_MOVEMENT: Nanos = Nanos::new(1_000_000_000_000_000);
/// Calls that may be paid for at the same time.
pub const MAX_HOLDS: usize = 1000;
/// Expired holds whose late settlement is still taken, the newest ones.
const MAX_LAPSED: usize = 256;
/// Ended holds whose ids are remembered, the newest ones: a hold and its settlement that are delivered again under other
/// command ids find the id used.
const MAX_ENDED: usize = 1024;

/// What an account has. Empty until the first movement.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wallet {
    currency: Option<Currency>,
    granted: Nanos,
    paid: Nanos,
    debt: Nanos,
    holds: BTreeMap<HoldId, Hold>,
    lapsed: VecDeque<(HoldId, Hold)>,
    ended: VecDeque<HoldId>,
    references: BTreeSet<Uuid>,
}

/// A hold with its texts and price lists, and an id with its place in a set: of memory, about.
const HOLD_BYTES: usize = 1024;
const ID_BYTES: usize = 32;

/// Credit set apart for one call, with the terms by which it will be settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    pub purpose: Purpose,
    pub amount: Nanos,
    pub model: String,
    pub channel_id: ChannelId,
    pub price_version: u32,
    pub prices: Rates,
    pub costs: Rates,
    pub input_tokens: u64,
    pub max_output_tokens: u32,
    /// The most that it can consume by the piece.
    #[serde(default, skip_serializing_if = "Pieces::is_none")]
    pub pieces: Pieces,
    /// Who may answer instead, and how it is settled then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Terms>,
    pub expires_at: DateTime<Utc>,
}

/// A pot that credit goes to.
#[derive(Clone, Copy)]
enum Pot {
    Granted,
    Paid,
}

impl Decider for Wallet {
    const CAPABILITY: &'static str = "billing";
    const TYPE: &'static str = "wallet";
    type Command = WalletCommand;
    type Event = WalletEvent;
    type Refusal = WalletRefusal;

    fn decide(&self, command: WalletCommand) -> Result<Vec<WalletEvent>, WalletRefusal> {
        use WalletCommand as C;
        match command {
            C::Grant { reference, amount_nanos, currency, source, note, at } => {
                let Some(effect) = self.credit(reference, amount_nanos, currency, Pot::Granted)? else {
                    return Ok(vec![]);
                };
                Ok(vec![WalletEvent::Granted { reference, amount_nanos, currency, effect, source, note, at }])
            }
            C::TopUp { reference, amount_nanos, currency, source, note, at } => {
                let Some(effect) = self.credit(reference, amount_nanos, currency, Pot::Paid)? else {
                    return Ok(vec![]);
                };
                Ok(vec![WalletEvent::ToppedUp { reference, amount_nanos, currency, effect, source, note, at }])
            }
            C::Adjust { reference, amount_nanos, currency, source, note, at } => {
                let Some(effect) = self.adjustment(reference, amount_nanos, currency)? else { return Ok(vec![]) };
                Ok(vec![WalletEvent::Adjusted { reference, amount_nanos, currency, effect, source, note, at }])
            }
            C::RequireCredit { quote } => self.coverage(&quote).map(|_| vec![]),
            C::Hold { hold_id, purpose, quote, expires_at, at } => self.hold(hold_id, purpose, quote, expires_at, at),
            C::ExtendHold { hold_id, expires_at, at } => {
                let later = self.holds.get(&hold_id).is_some_and(|hold| hold.expires_at < expires_at);
                Ok(if later { vec![WalletEvent::HoldExtended { hold_id, expires_at, at }] } else { vec![] })
            }
            C::ChargeTokens { hold_id, tokens, basis, by, lost_attempts, at } => {
                self.charge(hold_id, tokens, basis, by.as_ref(), lost_attempts, at)
            }
            C::Release { hold_id, reason, lost_attempts, at } => {
                let Some(hold) = self.holds.get(&hold_id) else { return Ok(vec![]) };
                let lost_cost_nanos = hold.lost_cost(lost_attempts)?;
                let (purpose, model, amount_nanos) = (hold.purpose, hold.model.clone(), hold.amount);
                let released =
                    WalletEvent::Released { hold_id, purpose, model, amount_nanos, reason, lost_cost_nanos, at };
                Ok(vec![released])
            }
            C::Expire { hold_id, policy, at } => self.expire(hold_id, policy, at),
        }
    }

    /// What is over is forgotten, so a wallet of many calls is as light as one of few.
    fn weight_bytes(&self) -> Option<usize> {
        let holds = (self.holds.len() + self.lapsed.len()) * HOLD_BYTES;
        let ids = (self.ended.len() + self.references.len()) * ID_BYTES;
        Some(size_of::<Self>() + holds + ids)
    }

    fn apply(&mut self, event: WalletEvent) {
        use WalletEvent as E;
        match event {
            E::Granted { reference, currency, effect, .. }
            | E::ToppedUp { reference, currency, effect, .. }
            | E::Adjusted { reference, currency, effect, .. } => {
                self.currency = Some(currency);
                self.references.insert(reference);
                self.take_effect(effect);
            }
            E::Held {
                hold_id,
                purpose,
                amount_nanos: amount,
                model,
                channel_id,
                price_version,
                prices,
                costs,
                input_tokens,
                max_output_tokens,
                pieces,
                alternatives,
                expires_at,
                ..
            } => {
                let terms = Hold {
                    purpose,
                    amount,
                    model,
                    channel_id,
                    price_version,
                    prices,
                    costs,
                    input_tokens,
                    max_output_tokens,
                    pieces,
                    alternatives,
                    expires_at,
                };
                self.holds.insert(hold_id, terms);
            }
            E::HoldExtended { hold_id, expires_at, .. } => {
                if let Some(hold) = self.holds.get_mut(&hold_id) {
                    hold.expires_at = expires_at;
                }
            }
            E::Charged { hold_id, effect, .. } => {
                self.end(hold_id);
                self.lapsed.retain(|(id, _)| *id != hold_id);
                self.take_effect(effect);
            }
            E::Released { hold_id, .. } => drop(self.end(hold_id)),
            E::Expired { hold_id, .. } => {
                if let Some(hold) = self.end(hold_id) {
                    self.lapsed.push_back((hold_id, hold));
                    if self.lapsed.len() > MAX_LAPSED {
                        self.lapsed.pop_front();
                    }
                }
            }
        }
    }
}

impl Hold {
    /// Those of the one who was to answer first.
    fn terms(&self) -> Terms {
        let (channel_id, price_version) = (self.channel_id, self.price_version);
        let (model, prices, costs) = (self.model.clone(), self.prices.clone(), self.costs.clone());
        Terms { channel_id, model, price_version, prices, costs }
    }

    /// Those of whoever answered; `None` where the hold does not know it.
    fn terms_of(&self, by: &Answerer) -> Option<Terms> {
        let is_by = |terms: &&Terms| terms.channel_id == by.channel_id && terms.model == by.model;
        let own = self.terms();
        if is_by(&&own) { Some(own) } else { self.alternatives.iter().find(is_by).cloned() }
    }

    /// What attempts that were lost have cost us: their input at least.
    fn lost_cost(&self, attempts: u32) -> Result<Nanos, WalletRefusal> {
        let one = self.costs.cost(&Tokens { input: self.input_tokens, ..Tokens::default() });
        one.and_then(|cost| cost.times(attempts)).ok_or(WalletRefusal::AmountTooLarge)
    }
}

impl Wallet {
    /// All credit less all debt; negative while there is debt.
    #[must_use]
    pub fn balance(&self) -> Nanos {
        // Each pot is within `MAX_BALANCE`, so their sum is in range.
        Nanos::new(self.granted.get() + self.paid.get() - self.debt.get())
    }

    /// What is set apart for calls under way.
    #[must_use]
    pub fn held(&self) -> Nanos {
        Nanos::new(self.holds.values().fold(0_i64, |sum, hold| sum.saturating_add(hold.amount.get())))
    }

    /// What a new call can be paid with.
    #[must_use]
    pub fn available(&self) -> Nanos {
        Nanos::new(self.balance().get().saturating_sub(self.held().get()))
    }

    /// The pots: granted, paid, debt.
    #[must_use]
    pub const fn pots(&self) -> (Nanos, Nanos, Nanos) {
        (self.granted, self.paid, self.debt)
    }

    /// What is set apart, by hold.
    pub fn holds(&self) -> impl Iterator<Item = (HoldId, &Hold)> {
        self.holds.iter().map(|(id, hold)| (*id, hold))
    }

    /// The currency of its first movement.
    #[must_use]
    pub const fn currency(&self) -> Option<Currency> {
        self.currency
    }

    fn take_effect(&mut self, effect: Effect) {
        // `decide` has checked these sums; apply is total.
        let sum = |pot: Nanos, change: Nanos| Nanos::new(pot.get().saturating_add(change.get()));
        self.granted = sum(self.granted, effect.granted_nanos);
        self.paid = sum(self.paid, effect.paid_nanos);
        self.debt = sum(self.debt, effect.debt_nanos);
    }

    fn end(&mut self, hold_id: HoldId) -> Option<Hold> {
        let hold = self.holds.remove(&hold_id)?;
        self.ended.push_back(hold_id);
        if self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
        }
        Some(hold)
    }

    /// What a movement may be: `None` if this reference was booked already.
    fn admit(&self, reference: Uuid, amount: Nanos, currency: Currency) -> Result<Option<()>, WalletRefusal> {
        if self.references.contains(&reference) {
            return Ok(None);
        }
        match self.currency {
            Some(wallet) if wallet != currency => return Err(WalletRefusal::CurrencyMismatch { wallet }),
            _ => {}
        }
        if amount > MAX_MOVEMENT || amount.get() < -MAX_MOVEMENT.get() {
            return Err(WalletRefusal::AmountTooLarge);
        }
        Ok(Some(()))
    }

    fn credit(
        &self,
        reference: Uuid,
        amount: Nanos,
        currency: Currency,
        pot: Pot,
    ) -> Result<Option<Effect>, WalletRefusal> {
        if self.admit(reference, amount, currency)?.is_none() {
            return Ok(None);
        }
        if amount <= Nanos::ZERO {
            return Err(WalletRefusal::InvalidAmount);
        }
        self.in_range(self.crediting(amount, pot)).map(Some)
    }

    fn adjustment(&self, reference: Uuid, amount: Nanos, currency: Currency) -> Result<Option<Effect>, WalletRefusal> {
        if self.admit(reference, amount, currency)?.is_none() {
            return Ok(None);
        }
        if amount.is_zero() {
            return Err(WalletRefusal::InvalidAmount);
        }
        let effect = match amount.is_negative() {
            true => self.debiting(Nanos::new(-amount.get())),
            false => self.crediting(amount, Pot::Granted),
        };
        self.in_range(effect).map(Some)
    }

    /// Debt is repaid first.
    fn crediting(&self, amount: Nanos, pot: Pot) -> Effect {
        let repaid = amount.min(self.debt);
        let rest = Nanos::new(amount.get() - repaid.get());
        let debt_nanos = Nanos::new(-repaid.get());
        match pot {
            Pot::Granted => Effect { granted_nanos: rest, debt_nanos, ..Effect::default() },
            Pot::Paid => Effect { paid_nanos: rest, debt_nanos, ..Effect::default() },
        }
    }

    /// Gifts are used up first, then what was paid; the rest is debt.
    fn debiting(&self, amount: Nanos) -> Effect {
        let from_granted = amount.min(self.granted);
        let from_paid = Nanos::new(amount.get() - from_granted.get()).min(self.paid);
        Effect {
            granted_nanos: Nanos::new(-from_granted.get()),
            paid_nanos: Nanos::new(-from_paid.get()),
            debt_nanos: Nanos::new(amount.get() - from_granted.get() - from_paid.get()),
        }
    }

    /// No pot leaves its range by `effect`.
    fn in_range(&self, effect: Effect) -> Result<Effect, WalletRefusal> {
        let fits = |pot: Nanos, change: Nanos| pot.plus(change).is_some_and(|sum| sum <= MAX_BALANCE);
        let all = fits(self.granted, effect.granted_nanos)
            && fits(self.paid, effect.paid_nanos)
            && fits(self.debt, effect.debt_nanos);
        if all { Ok(effect) } else { Err(WalletRefusal::AmountTooLarge) }
    }

    /// The output that credit covers, and what must be held for it.
    fn coverage(&self, quote: &Quote) -> Result<(u32, Nanos), WalletRefusal> {
        let cost = |output| {
            let costs = quote.all_prices().map(|prices| prices.at_most(quote.input_tokens, output, &quote.pieces));
            let dearest = costs.reduce(|one, other| Some(one?.max(other?))).flatten();
            dearest.filter(|cost| *cost <= MAX_BALANCE).ok_or(WalletRefusal::AmountTooLarge)
        };
        if quote.all_prices().all(Rates::is_free) {
            return Ok((quote.max_output_tokens, Nanos::ZERO));
        }
        let available = self.available();
        // Credit for no output at all is no reason to ask.
        let least = quote.min_output_tokens.max(1).min(quote.max_output_tokens);
        let covered =
            quote.all_prices().map(|prices| prices.output_covered_by(available, quote.input_tokens, &quote.pieces));
        let covered = covered.reduce(|one, other| Some(one?.min(other?))).flatten().filter(|covered| *covered >= least);
        match covered {
            // Input that costs nothing is no reason to go on without any credit.
            Some(covered) if available > Nanos::ZERO => {
                let bound = covered.min(quote.max_output_tokens);
                Ok((bound, cost(bound)?))
            }
            _ => Err(WalletRefusal::InsufficientCredit { available, required: cost(least)?.max(Nanos::new(1)) }),
        }
    }

    fn hold(
        &self,
        hold_id: HoldId,
        purpose: Purpose,
        quote: Quote,
        expires_at: DateTime<Utc>,
        at: DateTime<Utc>,
    ) -> Result<Vec<WalletEvent>, WalletRefusal> {
        let lapsed = self.lapsed.iter().any(|(id, _)| *id == hold_id);
        if lapsed || self.holds.contains_key(&hold_id) || self.ended.contains(&hold_id) {
            return Err(WalletRefusal::HoldExists);
        }
        if self.holds.len() >= MAX_HOLDS {
            return Err(WalletRefusal::TooManyHolds);
        }
        let (max_output_tokens, amount_nanos) = self.coverage(&quote)?;
        let Quote { model, channel_id, price_version, prices, costs, input_tokens, pieces, alternatives, .. } = quote;
        Ok(vec![WalletEvent::Held {
            hold_id,
            purpose,
            amount_nanos,
            model,
            channel_id,
            price_version,
            prices,
            costs,
            input_tokens,
            max_output_tokens,
            pieces,
            alternatives,
            expires_at,
            at,
        }])
    }

    fn charge(
        &self,
        hold_id: HoldId,
        tokens: Tokens,
        basis: Basis,
        by: Option<&Answerer>,
        lost_attempts: u32,
        at: DateTime<Utc>,
    ) -> Result<Vec<WalletEvent>, WalletRefusal> {
        let open = self.holds.get(&hold_id).map(|hold| (hold, hold.amount));
        let late = || self.lapsed.iter().find(|(id, _)| *id == hold_id).map(|(_, hold)| (hold, Nanos::ZERO));
        // Whatever else was settled before: nothing more follows from it.
        let Some((hold, released_nanos)) = open.or_else(late) else { return Ok(vec![]) };
        let too_large = WalletRefusal::AmountTooLarge;
        let terms = by.map_or_else(|| Ok(hold.terms()), |by| hold.terms_of(by).ok_or(WalletRefusal::NotHeldFor))?;
        let charged_nanos = terms.prices.cost(&tokens).ok_or(too_large.clone())?;
        let cost_nanos = terms.costs.cost(&tokens).ok_or(too_large)?;
        // Of a hold that had expired, one attempt's input was booked then.
        let booked = u32::from(!self.holds.contains_key(&hold_id));
        let lost_cost_nanos = hold.lost_cost(lost_attempts.saturating_sub(booked))?;
        let effect = self.in_range(self.debiting(charged_nanos))?;
        Ok(vec![WalletEvent::Charged {
            hold_id,
            purpose: hold.purpose,
            model: terms.model,
            channel_id: terms.channel_id,
            tokens,
            basis,
            price_version: terms.price_version,
            prices: terms.prices,
            costs: terms.costs,
            charged_nanos,
            cost_nanos,
            lost_cost_nanos,
            effect,
            released_nanos,
            at,
        }])
    }

    fn expire(
        &self,
        hold_id: HoldId,
        policy: ExpiryPolicy,
        at: DateTime<Utc>,
    ) -> Result<Vec<WalletEvent>, WalletRefusal> {
        let Some(hold) = self.holds.get(&hold_id) else { return Ok(vec![]) };
        if at < hold.expires_at {
            return Err(WalletRefusal::HoldNotExpired { expires_at: hold.expires_at });
        }
        match policy {
            ExpiryPolicy::Release => {
                let cost_nanos = hold.lost_cost(1)?;
                let (purpose, model, amount_nanos) = (hold.purpose, hold.model.clone(), hold.amount);
                Ok(vec![WalletEvent::Expired { hold_id, purpose, model, amount_nanos, cost_nanos, at }])
            }
            ExpiryPolicy::Charge => {
                let (input, output) = (hold.input_tokens, u64::from(hold.max_output_tokens));
                let tokens = Tokens { input, output, pieces: hold.pieces, ..Tokens::default() };
                self.charge(hold_id, tokens, Basis::Estimated, None, 0, at)
            }
        }
    }
}

/// What one pot can hold: a thousand million units. Sums of all pots and holds stay within 64 bits.
const MAX_BALANCE: Nanos = Nanos::new(1_000_000_000_000_000_000);

#[cfg(test)]
mod spec;
