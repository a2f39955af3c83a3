//! What each event of a wallet books: the double entry, as a pure function.
//!
//! A credit is positive. The accounts `granted`, `paid` and `debt` of a user sum to the balance (debt is booked as its
//! negative), `reserved` is the negative of what is held; all others are the house's own. Lines of zero are left out.

use chrono::{DateTime, Utc};
use domain::{
    HoldId, Sealed,
    billing::{Currency, Effect, Nanos, WalletEvent},
};
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

/// Where an amount stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = LedgerAccount)]
pub enum Account {
    /// Credit that nobody paid for.
    Granted,
    /// Credit that was paid for.
    Paid,
    /// What is owed to the house, negative.
    Debt,
    /// What is set apart for calls under way, negative.
    Reserved,
    /// The other side of `reserved`.
    Holds,
    Revenue,
    Promotions,
    Payments,
    Adjustments,
    /// What providers charge us.
    UpstreamCost,
    /// The other side of `upstream_cost`.
    UpstreamPayable,
}

impl Account {
    /// All of them, in the order of their declaration.
    pub(crate) const ALL: [Self; 11] = [
        Self::Granted,
        Self::Paid,
        Self::Debt,
        Self::Reserved,
        Self::Holds,
        Self::Revenue,
        Self::Promotions,
        Self::Payments,
        Self::Adjustments,
        Self::UpstreamCost,
        Self::UpstreamPayable,
    ];

    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Granted => "granted",
            Self::Paid => "paid",
            Self::Debt => "debt",
            Self::Reserved => "reserved",
            Self::Holds => "holds",
            Self::Revenue => "revenue",
            Self::Promotions => "promotions",
            Self::Payments => "payments",
            Self::Adjustments => "adjustments",
            Self::UpstreamCost => "upstream_cost",
            Self::UpstreamPayable => "upstream_payable",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum EntryKind {
    Grant,
    TopUp,
    Hold,
    Charge,
    Release,
    Expiry,
    Adjustment,
}

impl EntryKind {
    /// The word in rows and JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::TopUp => "top_up",
            Self::Hold => "hold",
            Self::Charge => "charge",
            Self::Release => "release",
            Self::Expiry => "expiry",
            Self::Adjustment => "adjustment",
        }
    }
}

/// An event that cannot be booked: it contradicts itself, and no wallet ever decides such a one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unbookable {
    #[error("an amount is beyond what can be booked")]
    OutOfRange,
    #[error("the event's amounts do not sum to zero, so they cannot be booked")]
    Unbalanced,
}

/// One line of a double entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) account: Account,
    pub(crate) amount: Nanos,
}

/// What one event books.
#[derive(Debug)]
pub(crate) struct Movement<'e> {
    pub(crate) kind: EntryKind,
    pub(crate) hold_id: Option<HoldId>,
    pub(crate) model: Option<&'e str>,
    pub(crate) note: Option<&'e Sealed<String>>,
    pub(crate) at: DateTime<Utc>,
    /// How the pots change.
    pub(crate) effect: Effect,
    /// How the sum of all holds changes.
    pub(crate) held: Nanos,
    /// The wallet's currency, from its first movement on.
    pub(crate) currency: Option<Currency>,
    /// In the order of their numbers; they sum to zero, and none is zero.
    pub(crate) lines: Vec<Line>,
}

/// The movement of `event`; `None` if it moves nothing.
///
/// # Errors
/// The event contradicts itself.
pub(crate) fn movement(event: &WalletEvent) -> Result<Option<Movement<'_>>, Unbookable> {
    use WalletEvent as E;
    let movement = match event {
        E::Granted { amount_nanos, currency, effect, note, at, .. } => {
            credited((EntryKind::Grant, Account::Promotions), *amount_nanos, *currency, *effect, note.as_ref(), *at)?
        }
        E::ToppedUp { amount_nanos, currency, effect, note, at, .. } => {
            credited((EntryKind::TopUp, Account::Payments), *amount_nanos, *currency, *effect, note.as_ref(), *at)?
        }
        E::Adjusted { amount_nanos, currency, effect, note, at, .. } => credited(
            (EntryKind::Adjustment, Account::Adjustments),
            *amount_nanos,
            *currency,
            *effect,
            note.as_ref(),
            *at,
        )?,
        E::Held { hold_id, amount_nanos, model, at, .. } => {
            of_call(EntryKind::Hold, *hold_id, model, *at).reserving(*amount_nanos)?
        }
        E::Charged {
            hold_id, model, charged_nanos, cost_nanos, lost_cost_nanos, effect, released_nanos, at, ..
        } => {
            let mut movement = of_call(EntryKind::Charge, *hold_id, model, *at).with_effect(*effect)?;
            movement.book(Account::Revenue, *charged_nanos);
            let movement = movement.reserving(reversed(*released_nanos)?)?;
            movement.costing(cost_nanos.plus(*lost_cost_nanos).ok_or(Unbookable::OutOfRange)?)?
        }
        E::Released { hold_id, amount_nanos, model, lost_cost_nanos, at, .. } => {
            let movement = of_call(EntryKind::Release, *hold_id, model, *at).reserving(reversed(*amount_nanos)?)?;
            movement.costing(*lost_cost_nanos)?
        }
        E::Expired { hold_id, amount_nanos, cost_nanos, model, at, .. } => {
            of_call(EntryKind::Expiry, *hold_id, model, *at)
                .reserving(reversed(*amount_nanos)?)?
                .costing(*cost_nanos)?
        }
        E::HoldExtended { .. } => return Ok(None),
    };
    movement.balanced().map(Some)
}

fn reversed(amount: Nanos) -> Result<Nanos, Unbookable> {
    amount.reversed().ok_or(Unbookable::OutOfRange)
}

/// Money that comes out of `source` (or goes back to it) and changes the pots.
fn credited<'e>(
    (kind, source): (EntryKind, Account),
    amount: Nanos,
    currency: Currency,
    effect: Effect,
    note: Option<&'e Sealed<String>>,
    at: DateTime<Utc>,
) -> Result<Movement<'e>, Unbookable> {
    let nothing = Movement {
        kind,
        hold_id: None,
        model: None,
        note,
        at,
        effect: Effect::default(),
        held: Nanos::ZERO,
        currency: Some(currency),
        lines: vec![],
    };
    let mut movement = nothing.with_effect(effect)?;
    movement.book(source, reversed(amount)?);
    Ok(movement)
}

/// The movement of a model call, before any line.
fn of_call(kind: EntryKind, hold_id: HoldId, model: &str, at: DateTime<Utc>) -> Movement<'_> {
    Movement {
        kind,
        hold_id: Some(hold_id),
        model: Some(model),
        note: None,
        at,
        effect: Effect::default(),
        held: Nanos::ZERO,
        currency: None,
        lines: vec![],
    }
}

impl Movement<'_> {
    fn book(&mut self, account: Account, amount: Nanos) {
        if !amount.is_zero() {
            self.lines.push(Line { account, amount });
        }
    }

    fn with_effect(mut self, effect: Effect) -> Result<Self, Unbookable> {
        self.effect = effect;
        self.book(Account::Granted, effect.granted_nanos);
        self.book(Account::Paid, effect.paid_nanos);
        self.book(Account::Debt, reversed(effect.debt_nanos)?);
        Ok(self)
    }

    /// Sets `amount` apart, or gives it back where it is negative.
    fn reserving(mut self, amount: Nanos) -> Result<Self, Unbookable> {
        self.held = amount;
        self.book(Account::Reserved, reversed(amount)?);
        self.book(Account::Holds, amount);
        Ok(self)
    }

    fn costing(mut self, cost: Nanos) -> Result<Self, Unbookable> {
        self.book(Account::UpstreamCost, reversed(cost)?);
        self.book(Account::UpstreamPayable, cost);
        Ok(self)
    }

    fn balanced(self) -> Result<Self, Unbookable> {
        let sum: i128 = self.lines.iter().map(|line| i128::from(line.amount.get())).sum();
        if sum == 0 { Ok(self) } else { Err(Unbookable::Unbalanced) }
    }
}
