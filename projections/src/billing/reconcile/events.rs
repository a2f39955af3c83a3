//! What an event must say, given what was before it: arithmetic that holds whatever rules decided it.

use std::collections::BTreeMap;

use domain::{
    HoldId,
    billing::{Effect, Nanos, Rates, Terms, Tokens, Wallet, WalletEvent},
};

use super::difference::{About, Findings};
use crate::billing::records::{ChargeRecord, HoldRecord};

/// An event of a wallet, with what was before it.
pub(super) struct Checked<'c> {
    pub(super) about: About,
    pub(super) event: &'c WalletEvent,
    /// The wallet before it.
    pub(super) wallet: &'c Wallet,
    /// Its open holds before it.
    pub(super) open: &'c BTreeMap<HoldId, HoldRecord>,
    /// The row that follows, if it is a settlement.
    pub(super) charge: Option<&'c ChargeRecord>,
}

impl Checked<'_> {
    /// Tells where the event contradicts itself or what was before it.
    pub(super) fn check(&self, findings: &mut Findings<'_>) {
        use WalletEvent as E;
        let about = self.about;
        match self.event {
            E::Granted { amount_nanos, currency, effect, .. }
            | E::ToppedUp { amount_nanos, currency, effect, .. }
            | E::Adjusted { amount_nanos, currency, effect, .. } => {
                let expected = i128::from(amount_nanos.get());
                findings.same(about, "event.effect", expected, sum(effect));
                if let Some(of_wallet) = self.wallet.currency() {
                    findings.same(about, "event.currency", of_wallet.as_str(), currency.as_str());
                }
            }
            E::Held { hold_id, .. } => {
                if self.open.contains_key(hold_id) {
                    findings.add(about, "event.hold_id", "an id that is not open", "an open hold");
                }
            }
            E::HoldExtended { hold_id, .. } => drop(self.open_hold(*hold_id, findings)),
            E::Charged { .. } => self.check_settlement(findings),
            E::Released { hold_id, amount_nanos, lost_cost_nanos, .. } => {
                let Some(hold) = self.open_hold(*hold_id, findings) else { return };
                findings.same(about, "event.amount_nanos", hold.amount_nanos, amount_nanos.get());
                self.check_lost(hold, *lost_cost_nanos, findings);
            }
            E::Expired { hold_id, amount_nanos, cost_nanos, .. } => {
                let Some(hold) = self.open_hold(*hold_id, findings) else { return };
                findings.same(about, "event.amount_nanos", hold.amount_nanos, amount_nanos.get());
                findings.same(about, "event.cost_nanos", cost(&hold.costs, &input_of(hold)), cost_nanos.to_string());
            }
        }
    }

    /// A settlement is its tokens at the rates that its hold had pinned, and nothing else.
    fn check_settlement(&self, findings: &mut Findings<'_>) {
        let WalletEvent::Charged {
            hold_id,
            tokens,
            prices,
            costs,
            charged_nanos,
            cost_nanos,
            lost_cost_nanos,
            effect,
            released_nanos,
            ..
        } = self.event
        else {
            return;
        };
        let about = self.about;
        findings.same(about, "event.charged_nanos", cost(prices, tokens), charged_nanos.to_string());
        findings.same(about, "event.cost_nanos", cost(costs, tokens), cost_nanos.to_string());
        findings.same(about, "event.effect", -i128::from(charged_nanos.get()), sum(effect));
        let hold = self.open.get(hold_id);
        // A late settlement finds its hold expired and given back.
        findings.same(about, "event.released_nanos", hold.map_or(0, |hold| hold.amount_nanos), released_nanos.get());
        if let (Some(hold), Some(charge)) = (hold, self.charge) {
            let held = (&hold.kind, &hold.model, hold.channel_id, hold.price_version, &hold.prices, &hold.costs);
            let settled =
                (&charge.kind, &charge.model, charge.channel_id, charge.price_version, &charge.prices, &charge.costs);
            if held != settled && !self.is_alternative(*hold_id) {
                findings.add(about, "event.prices", format_args!("{held:?}"), format_args!("{settled:?}"));
            }
            self.check_lost(hold, *lost_cost_nanos, findings);
        }
    }

    /// Whether the settlement is by the terms of somebody whom the hold allowed to answer instead.
    fn is_alternative(&self, hold_id: HoldId) -> bool {
        let WalletEvent::Charged { channel_id, model, price_version, prices, costs, .. } = self.event else {
            return false;
        };
        let (channel_id, price_version) = (*channel_id, *price_version);
        let terms =
            Terms { channel_id, model: model.clone(), price_version, prices: prices.clone(), costs: costs.clone() };
        self.wallet.holds().any(|(id, hold)| id == hold_id && hold.alternatives.contains(&terms))
    }

    /// Lost attempts have cost their input each: the sum is a whole number of them.
    fn check_lost(&self, hold: &HoldRecord, lost: Nanos, findings: &mut Findings<'_>) {
        let one = hold.costs.cost(&input_of(hold)).unwrap_or_default().get();
        let whole = lost.is_zero() || (one > 0 && lost > Nanos::ZERO && lost.get() % one == 0);
        if !whole {
            findings.add(self.about, "event.lost_cost_nanos", format_args!("a multiple of {one}"), lost);
        }
    }

    fn open_hold(&self, hold_id: HoldId, findings: &mut Findings<'_>) -> Option<&HoldRecord> {
        let hold = self.open.get(&hold_id);
        if hold.is_none() {
            findings.add(self.about, "event.hold_id", "an open hold", "none");
        }
        hold
    }
}

/// Tells where a wallet is in a state that no rule allows.
pub(super) fn check_state(about: About, event: &WalletEvent, wallet: &Wallet, findings: &mut Findings<'_>) {
    let (granted, paid, debt) = wallet.pots();
    let none_negative = ![granted, paid, debt, wallet.held()].iter().any(|amount| amount.is_negative());
    if !none_negative || (debt > Nanos::ZERO && (granted, paid) != (Nanos::ZERO, Nanos::ZERO)) {
        let found = format!("granted {granted}, paid {paid}, debt {debt}, held {}", wallet.held());
        findings.add(about, "event.effect", "pots that are not negative, and debt only without credit", found);
    }
    let held_for_money = matches!(event, WalletEvent::Held { amount_nanos, .. } if !amount_nanos.is_zero());
    if held_for_money && wallet.available().is_negative() {
        findings.add(about, "event.amount_nanos", "within the credit", format_args!("{} beyond", wallet.available()));
    }
}

fn sum(effect: &Effect) -> i128 {
    let Effect { granted_nanos, paid_nanos, debt_nanos } = effect;
    i128::from(granted_nanos.get()) + i128::from(paid_nanos.get()) - i128::from(debt_nanos.get())
}

fn cost(rates: &Rates, tokens: &Tokens) -> String {
    rates.cost(tokens).map_or_else(|| "beyond all amounts".to_owned(), |cost| cost.to_string())
}

/// The input that was counted before the call.
fn input_of(hold: &HoldRecord) -> Tokens {
    Tokens { input: u64::try_from(hold.input_tokens).unwrap_or_default(), ..Tokens::default() }
}
