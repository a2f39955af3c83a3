//! The rows that are there against those that should be.

use std::collections::{BTreeMap, BTreeSet};

use domain::billing::Currency;
use futures::TryStreamExt as _;
use serde::Serialize;
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{
    Owner,
    books::{Book, Books},
    difference::{About, Findings},
};
use crate::billing::{
    entries::Account,
    records::{ChargeRecord, EntryRecord, HoldRecord},
};

/// Positions after one and up to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) after: i64,
    pub(super) until: i64,
}

/// How a row that should be there, or should not, is named.
const MISSING: (&str, &str) = ("a row", "missing");
const UNEXPECTED: (&str, &str) = ("no row", "there");

/// Settlements of `range`, field by field. Calls that cost nothing follow from no wallet, and the table lets no money into
/// their rows.
pub(super) async fn charges(
    tx: &mut PgConnection,
    range: Range,
    mut expected: BTreeMap<i64, ChargeRecord>,
    books: &Books,
    findings: &mut Findings<'_>,
) -> sqlx::Result<()> {
    let about = |charge: &ChargeRecord| About {
        wallet: Some(charge.owner),
        position: Some(charge.position),
        hold_id: Some(charge.hold_id),
    };
    let sql = "SELECT * FROM billing_v1.charges WHERE position > $1 AND position <= $2 AND line = 0 ORDER BY position";
    let mut rows = sqlx::query_as::<_, ChargeRecord>(sql).bind(range.after).bind(range.until).fetch(tx);
    while let Some(found) = rows.try_next().await? {
        match expected.remove(&found.position) {
            Some(charge) => findings.same_row(about(&charge), "charges", &charge, &found),
            None if books.leaves_out(found.owner) => {}
            None => findings.add(about(&found), "charges", UNEXPECTED.0, UNEXPECTED.1),
        }
    }
    for missing in expected.values() {
        findings.add(about(missing), "charges", MISSING.0, MISSING.1);
    }
    Ok(())
}

/// Ledger lines of `range`, field by field, and the sum of every position. What is found is noted in `books`.
pub(super) async fn entries(
    tx: &mut PgConnection,
    range: Range,
    mut expected: BTreeMap<(i64, i32), EntryRecord>,
    books: &mut Books,
    findings: &mut Findings<'_>,
) -> sqlx::Result<()> {
    let about = |entry: &EntryRecord| About {
        wallet: Some(entry.owner),
        position: Some(entry.position),
        hold_id: entry.hold_id,
    };
    let line = |entry: &EntryRecord| format!("ledger_entries line {} ({})", entry.line, entry.account.as_str());
    let mut position = Position::default();
    let sql = "SELECT position, line, owner, account, amount_nanos, kind, hold_id, model, at \
        FROM billing_v1.ledger_entries WHERE position > $1 AND position <= $2 ORDER BY position, line";
    let mut rows = sqlx::query_as::<_, EntryRecord>(sql).bind(range.after).bind(range.until).fetch(tx);
    while let Some(found) = rows.try_next().await? {
        if books.leaves_out(found.owner) {
            continue;
        }
        books.note(&found);
        position.add(&found, findings);
        match expected.remove(&(found.position, found.line)) {
            Some(entry) => findings.same_row(about(&entry), &line(&entry), &entry, &found),
            None => findings.add(about(&found), line(&found), UNEXPECTED.0, UNEXPECTED.1),
        }
    }
    position.end(findings);
    for missing in expected.values() {
        findings.add(about(missing), line(missing), missing.amount_nanos, MISSING.1);
    }
    Ok(())
}

/// The lines of one position being added up.
#[derive(Default)]
struct Position {
    about: About,
    sum: i128,
}

impl Position {
    fn add(&mut self, entry: &EntryRecord, findings: &mut Findings<'_>) {
        if self.about.position != Some(entry.position) {
            self.end(findings);
            self.about = About { wallet: Some(entry.owner), position: Some(entry.position), hold_id: entry.hold_id };
            self.sum = 0;
        }
        self.sum += i128::from(entry.amount_nanos);
    }

    fn end(&self, findings: &mut Findings<'_>) {
        findings.same(self.about, "ledger_entries of the position in sum", 0, self.sum);
    }
}

/// A row of `billing_v1.wallets`.
#[derive(Serialize, FromRow)]
struct WalletRecord {
    owner: Uuid,
    currency: Option<String>,
    granted_nanos: i64,
    paid_nanos: i64,
    debt_nanos: i64,
    held_nanos: i64,
    sequence: i64,
}

impl WalletRecord {
    fn of(owner: Owner, book: &Book) -> Self {
        let (granted, paid, debt) = book.wallet.pots();
        Self {
            owner,
            currency: book.wallet.currency().as_ref().map(Currency::as_str).map(str::to_owned),
            granted_nanos: granted.get(),
            paid_nanos: paid.get(),
            debt_nanos: debt.get(),
            held_nanos: book.wallet.held().get(),
            sequence: book.sequence,
        }
    }
}

/// All wallets, field by field.
pub(super) async fn wallets(tx: &mut PgConnection, books: &Books, findings: &mut Findings<'_>) -> sqlx::Result<()> {
    let about = |owner| About { wallet: Some(owner), ..About::default() };
    // A book without a single event was opened by rows that nothing stands for.
    let mut missing: BTreeMap<Owner, &Book> = books.iter().filter(|(_, book)| book.sequence > 0).collect();
    let sql = "SELECT owner, currency, granted_nanos, paid_nanos, debt_nanos, held_nanos, sequence \
        FROM billing_v1.wallets ORDER BY owner";
    let mut rows = sqlx::query_as::<_, WalletRecord>(sql).fetch(tx);
    while let Some(found) = rows.try_next().await? {
        match missing.remove(&found.owner) {
            Some(book) => {
                findings.same_row(about(found.owner), "wallets", &WalletRecord::of(found.owner, book), &found);
            }
            None if books.leaves_out(found.owner) => {}
            None => findings.add(about(found.owner), "wallets", UNEXPECTED.0, UNEXPECTED.1),
        }
    }
    for owner in missing.into_keys() {
        findings.add(about(owner), "wallets", MISSING.0, MISSING.1);
    }
    Ok(())
}

/// All open holds, field by field; the aggregate must have the same ones.
pub(super) async fn holds(tx: &mut PgConnection, books: &Books, findings: &mut Findings<'_>) -> sqlx::Result<()> {
    let about = |hold: &HoldRecord| About {
        wallet: Some(hold.owner),
        position: Some(hold.position),
        hold_id: Some(hold.hold_id),
    };
    let mut missing = BTreeMap::new();
    for (owner, book) in books.iter() {
        let of_aggregate: BTreeSet<_> = book.wallet.holds().map(|(id, hold)| (id, hold.amount.get())).collect();
        let of_events: BTreeSet<_> = book.open.iter().map(|(id, hold)| (*id, hold.amount_nanos)).collect();
        if of_aggregate != of_events {
            let what = "the open holds of the wallet's own rules";
            let about = About { wallet: Some(owner), ..About::default() };
            findings.add(about, what, format_args!("{of_events:?}"), format_args!("{of_aggregate:?}"));
        }
        missing.extend(book.open.values().map(|hold| ((owner, hold.hold_id), hold)));
    }
    let sql = "SELECT * FROM billing_v1.holds ORDER BY owner, hold_id";
    let mut rows = sqlx::query_as::<_, HoldRecord>(sql).fetch(tx);
    while let Some(found) = rows.try_next().await? {
        match missing.remove(&(found.owner, found.hold_id)) {
            Some(hold) => findings.same_row(about(hold), "holds", hold, &found),
            None if books.leaves_out(found.owner) => {}
            None => findings.add(about(&found), "holds", UNEXPECTED.0, UNEXPECTED.1),
        }
    }
    for hold in missing.into_values() {
        findings.add(about(hold), "holds", MISSING.0, MISSING.1);
    }
    Ok(())
}

/// The sums of the whole ledger by account, as the database adds them up, and that of all accounts.
pub(super) async fn totals(tx: &mut PgConnection, books: &Books, findings: &mut Findings<'_>) -> sqlx::Result<()> {
    let totals = books.totals();
    let mut rest: BTreeSet<Account> = Account::ALL.into();
    let mut all = 0;
    let sql = "SELECT account, sum(amount_nanos)::text FROM billing_v1.ledger_entries GROUP BY account";
    for (account, sum) in sqlx::query_as::<_, (Account, String)>(sql).fetch_all(tx).await? {
        let sum: i128 = sum.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        rest.remove(&account);
        all += sum;
        let what = format!("ledger_entries.{} in sum", account.as_str());
        findings.same(About::default(), what, totals.of(account), sum);
    }
    for account in rest {
        let what = format!("ledger_entries.{} in sum", account.as_str());
        findings.same(About::default(), what, totals.of(account), 0);
    }
    findings.same(About::default(), "ledger_entries in sum", 0, all);
    Ok(())
}
