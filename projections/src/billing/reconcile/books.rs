//! What the events say each wallet has, and what the ledger that was found adds up to.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Decider as _, HoldId,
    billing::{Nanos, Wallet, WalletEvent},
};

use super::{
    Owner,
    difference::{About, Findings},
    events::{Checked, check_state},
};
use crate::{
    billing::{
        entries::{Account, movement},
        records::{ChargeRecord, EntryRecord, HoldRecord, stored},
    },
    projector::ProjectedEvent,
};

/// An amount for every account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sums([i128; Account::ALL.len()]);

impl Sums {
    pub(super) fn add(&mut self, account: Account, amount: i128) {
        self.0[account as usize] += amount;
    }

    pub(super) fn of(&self, account: Account) -> i128 {
        self.0[account as usize]
    }
}

/// One wallet.
#[derive(Default)]
pub(super) struct Book {
    pub(super) wallet: Wallet,
    /// Of its last event.
    pub(super) sequence: i64,
    pub(super) open: BTreeMap<HoldId, HoldRecord>,
    /// What the events have moved to the accounts of the house, straight from their fields.
    house: Sums,
    /// What the ledger lines that were found add up to.
    found: Sums,
}

/// All wallets.
pub(super) struct Books {
    books: BTreeMap<Owner, Book>,
    /// Wallets whose rows cannot follow from their events, and which are not compared.
    left_out: BTreeSet<Owner>,
}

/// The rows that should follow from some events, by their keys.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) charges: BTreeMap<i64, ChargeRecord>,
    pub(super) entries: BTreeMap<(i64, i32), EntryRecord>,
}

impl Expected {
    fn forget(&mut self, owner: Owner) {
        self.charges.retain(|_, charge| charge.owner != owner);
        self.entries.retain(|_, entry| entry.owner != owner);
    }
}

impl Books {
    pub(super) fn new(parked: impl Iterator<Item = Owner>) -> Self {
        Self { books: BTreeMap::new(), left_out: parked.collect() }
    }

    /// How many wallets have events.
    pub(super) fn count(&self) -> u64 {
        self.books.values().filter(|book| book.sequence > 0).count() as u64
    }

    /// Whether no wallet is left out.
    pub(super) fn are_complete(&self) -> bool {
        self.left_out.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Owner, &Book)> {
        self.books.iter().map(|(owner, book)| (*owner, book))
    }

    pub(super) fn leaves_out(&self, owner: Owner) -> bool {
        self.left_out.contains(&owner)
    }

    /// Counts a ledger line that was found, whether it was expected or not.
    pub(super) fn note(&mut self, entry: &EntryRecord) {
        let book = self.books.entry(entry.owner).or_default();
        book.found.add(entry.account, i128::from(entry.amount_nanos));
    }

    /// Takes in the events of a page. Answers the rows that should follow from them.
    pub(super) fn read(&mut self, page: &[ProjectedEvent], findings: &mut Findings<'_>) -> Expected {
        let mut expected = Expected::default();
        for event in page {
            let position = Some(event.position);
            let Ok(owner) = event.uuid() else {
                let about = About { position, ..About::default() };
                findings.add(about, "event.aggregate_id", "a UUID", &event.aggregate_id);
                continue;
            };
            if self.leaves_out(owner) {
                continue;
            }
            let Ok(decoded) = event.decode::<WalletEvent>() else {
                let about = About { wallet: Some(owner), position, hold_id: None };
                let found = format_args!("{} version {}", event.event_type, event.event_version).to_string();
                findings.add(about, "event", "one that this release knows", found);
                // Whatever else is there to say of this wallet would only repeat this.
                self.left_out.insert(owner);
                self.books.remove(&owner);
                expected.forget(owner);
                continue;
            };
            self.books.entry(owner).or_default().take(owner, event, &decoded, &mut expected, findings);
        }
        expected
    }

    /// Compares the sums of the ledger by wallet and account with what the wallet says of itself.
    pub(super) fn compare_accounts(&self, findings: &mut Findings<'_>) {
        for (owner, book) in &self.books {
            let about = About { wallet: Some(*owner), ..About::default() };
            let sums = book.sums();
            for account in Account::ALL {
                let what = format_args!("ledger_entries.{} in sum", account.as_str()).to_string();
                findings.same(about, what, sums.of(account), book.found.of(account));
            }
        }
    }

    /// What all wallets say of themselves, by account.
    pub(super) fn totals(&self) -> Sums {
        let mut totals = Sums::default();
        for book in self.books.values() {
            let sums = book.sums();
            Account::ALL.iter().for_each(|account| totals.add(*account, sums.of(*account)));
        }
        totals
    }
}

impl Book {
    fn take(
        &mut self,
        owner: Owner,
        stored_event: &ProjectedEvent,
        event: &WalletEvent,
        expected: &mut Expected,
        findings: &mut Findings<'_>,
    ) {
        let position = stored_event.position;
        let about = About { wallet: Some(owner), position: Some(position), hold_id: hold_of(event).map(HoldId::uuid) };
        findings.same(about, "event.sequence", self.sequence + 1, stored_event.sequence);
        self.sequence = stored_event.sequence;

        let charge = ChargeRecord::of(owner, position, event);
        Checked { about, event, wallet: &self.wallet, open: &self.open, charge: charge.as_ref() }.check(findings);
        self.wallet.apply(event.clone());
        check_state(about, event, &self.wallet, findings);
        self.note_holds(owner, position, event);
        self.note_house(event);

        match movement(event) {
            Ok(Some(movement)) => {
                let entries = EntryRecord::of(owner, position, &movement);
                expected.entries.extend(entries.into_iter().map(|entry| ((position, entry.line), entry)));
            }
            Ok(None) => {}
            Err(error) => findings.add(about, "event", "one that can be booked", error),
        }
        expected.charges.extend(charge.map(|charge| (position, charge)));
    }

    fn note_holds(&mut self, owner: Owner, position: i64, event: &WalletEvent) {
        let Some(hold_id) = hold_of(event) else { return };
        match event {
            WalletEvent::Held { .. } => {
                self.open.extend(HoldRecord::of(owner, position, event).map(|hold| (hold_id, hold)));
            }
            WalletEvent::HoldExtended { expires_at, .. } => {
                if let Some(hold) = self.open.get_mut(&hold_id) {
                    hold.expires_at = stored(*expires_at);
                }
            }
            _ => drop(self.open.remove(&hold_id)),
        }
    }

    fn note_house(&mut self, event: &WalletEvent) {
        use WalletEvent as E;
        let exact = |amount: &Nanos| i128::from(amount.get());
        let mut cost = 0;
        match event {
            E::Granted { amount_nanos, .. } => self.house.add(Account::Promotions, -exact(amount_nanos)),
            E::ToppedUp { amount_nanos, .. } => self.house.add(Account::Payments, -exact(amount_nanos)),
            E::Adjusted { amount_nanos, .. } => self.house.add(Account::Adjustments, -exact(amount_nanos)),
            E::Charged { charged_nanos, cost_nanos, lost_cost_nanos, .. } => {
                self.house.add(Account::Revenue, exact(charged_nanos));
                cost = exact(cost_nanos) + exact(lost_cost_nanos);
            }
            E::Released { lost_cost_nanos, .. } => cost = exact(lost_cost_nanos),
            E::Expired { cost_nanos, .. } => cost = exact(cost_nanos),
            E::Held { .. } | E::HoldExtended { .. } => {}
        }
        self.house.add(Account::UpstreamCost, -cost);
        self.house.add(Account::UpstreamPayable, cost);
    }

    /// What the ledger should add up to: the user's accounts as the aggregate says, the house's as the events say.
    fn sums(&self) -> Sums {
        let mut sums = self.house;
        let (granted, paid, debt) = self.wallet.pots();
        let held = i128::from(self.wallet.held().get());
        sums.add(Account::Granted, i128::from(granted.get()));
        sums.add(Account::Paid, i128::from(paid.get()));
        sums.add(Account::Debt, -i128::from(debt.get()));
        sums.add(Account::Reserved, -held);
        sums.add(Account::Holds, held);
        sums
    }
}

fn hold_of(event: &WalletEvent) -> Option<HoldId> {
    use WalletEvent as E;
    match event {
        E::Held { hold_id, .. }
        | E::HoldExtended { hold_id, .. }
        | E::Charged { hold_id, .. }
        | E::Released { hold_id, .. }
        | E::Expired { hold_id, .. } => Some(*hold_id),
        E::Granted { .. } | E::ToppedUp { .. } | E::Adjusted { .. } => None,
    }
}
