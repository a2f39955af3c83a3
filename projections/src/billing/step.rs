//! A batch of events of wallets, worked out in memory: what is loaded before, what follows from each event, what changes.
//!
//! Promise: it comes to the same rows, and refuses the same events for the same reasons, however the events are divided
//! into batches. Every event moves its wallet from the sequence before to its own.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    HoldId,
    billing::{self, Effect, Nanos, WalletEvent},
};
use sqlx::{FromRow, PgConnection};
use uuid::Uuid;

use super::{
    entries::{Movement, Unbookable, movement},
    records::{ChargeRecord, HoldRecord, open_note, stored},
};
use crate::projector::{ProjectedEvent, ProjectionError, storable};

/// An event at its place.
pub(super) struct Step {
    pub(super) owner: Uuid,
    pub(super) sequence: i64,
    pub(super) position: i64,
    pub(super) event: WalletEvent,
}

impl Step {
    /// # Errors
    /// The event cannot be decoded.
    pub(super) fn of(event: &ProjectedEvent) -> Result<Self, ProjectionError> {
        let (owner, sequence, position) = (event.uuid()?, event.sequence, event.position);
        Ok(Self { owner, sequence, position, event: event.decode()? })
    }
}

/// A row of `wallets`.
#[derive(FromRow)]
pub(super) struct WalletRow {
    pub(super) owner: Uuid,
    pub(super) currency: Option<String>,
    pub(super) granted_nanos: i64,
    pub(super) paid_nanos: i64,
    pub(super) debt_nanos: i64,
    pub(super) held_nanos: i64,
    pub(super) sequence: i64,
    /// Whether it differs from what is stored.
    #[sqlx(skip)]
    pub(super) changed: bool,
}

/// What became of a hold.
pub(super) struct Hold {
    /// There was a row before.
    pub(super) stored: bool,
    pub(super) now: Now,
}

pub(super) enum Now {
    AsStored,
    Extended(DateTime<Utc>),
    Made(Box<HoldRecord>),
    Gone,
}

/// A line of the ledger with what its event says about it.
pub(super) struct Entry {
    pub(super) position: i64,
    pub(super) line: i32,
    pub(super) owner: Uuid,
    pub(super) account: &'static str,
    pub(super) amount_nanos: i64,
    pub(super) kind: &'static str,
    pub(super) hold_id: Option<Uuid>,
    pub(super) model: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) at: DateTime<Utc>,
}

/// All rows that a batch touches.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) wallets: HashMap<Uuid, WalletRow>,
    /// By owner and id. Of those that the batch names, only holds that were ever there.
    pub(super) holds: HashMap<(Uuid, Uuid), Hold>,
    pub(super) charges: Vec<ChargeRecord>,
    pub(super) entries: Vec<Entry>,
}

impl Rows {
    /// Reads what `steps` change.
    pub(super) async fn load(tx: &mut PgConnection, steps: &[Step]) -> sqlx::Result<Self> {
        let mut rows = Self::default();
        let mut owners: Vec<Uuid> = steps.iter().map(|step| step.owner).collect();
        owners.sort_unstable();
        owners.dedup();
        let wallets: Vec<WalletRow> = sqlx::query_as(
            "SELECT owner, currency, granted_nanos, paid_nanos, debt_nanos, held_nanos, sequence FROM wallets \
             WHERE owner = ANY ($1)",
        )
        .bind(owners)
        .fetch_all(&mut *tx)
        .await?;
        rows.wallets.extend(wallets.into_iter().map(|wallet| (wallet.owner, wallet)));
        let named = |step: &Step| named_hold(&step.event).map(|hold| (step.owner, hold.uuid()));
        let (of, ids): (Vec<Uuid>, Vec<Uuid>) = steps.iter().filter_map(named).unzip();
        if !ids.is_empty() {
            let sql = "SELECT DISTINCT h.owner, h.hold_id FROM unnest($1::uuid[], $2::uuid[]) AS n (owner, hold_id) \
                JOIN holds h USING (owner, hold_id)";
            let holds: Vec<(Uuid, Uuid)> = sqlx::query_as(sql).bind(of).bind(ids).fetch_all(tx).await?;
            rows.holds.extend(holds.into_iter().map(|key| (key, Hold { stored: true, now: Now::AsStored })));
        }
        Ok(rows)
    }

    /// Applies one event. Whether anything changed; nothing does where the rows contain the event already.
    ///
    /// # Errors
    /// The event cannot follow, or contradicts what is there. The rows are unusable then.
    pub(super) fn apply(&mut self, step: &Step) -> Result<bool, ProjectionError> {
        let Step { owner, sequence, position, ref event } = *step;
        let movement = movement(event)?;
        if movement.is_some() && sequence == 1 {
            self.wallets.entry(owner).or_insert_with(|| WalletRow::new(owner));
        }
        let wallet = self.wallets.get_mut(&owner).ok_or(ProjectionError::MissingRow)?;
        if wallet.sequence >= sequence {
            return Ok(false);
        }
        if wallet.sequence != sequence - 1 {
            return Err(ProjectionError::OutOfOrder { contained: wallet.sequence, found: sequence });
        }
        (wallet.sequence, wallet.changed) = (sequence, true);
        if let Some(movement) = &movement {
            wallet.take(movement)?;
            self.entries.extend(entries(owner, position, movement));
        }
        if let Some(hold) = HoldRecord::of(owner, position, event) {
            self.make_hold(hold)?;
        }
        self.charges.extend(ChargeRecord::of(owner, position, event));
        match event {
            WalletEvent::HoldExtended { hold_id, expires_at, .. } => self.extend(owner, *hold_id, *expires_at)?,
            // A late one finds its hold expired.
            WalletEvent::Charged { hold_id, .. } => drop(self.end_hold(owner, *hold_id)),
            WalletEvent::Released { hold_id, .. } | WalletEvent::Expired { hold_id, .. } => {
                if !self.end_hold(owner, *hold_id) {
                    return Err(ProjectionError::MissingRow);
                }
            }
            WalletEvent::Granted { .. }
            | WalletEvent::ToppedUp { .. }
            | WalletEvent::Adjusted { .. }
            | WalletEvent::Held { .. } => {}
        }
        Ok(true)
    }

    fn make_hold(&mut self, record: HoldRecord) -> Result<(), ProjectionError> {
        if record.amount_nanos < 0 {
            return Err(Unbookable::OutOfRange.into());
        }
        let key = (record.owner, record.hold_id);
        let hold = self.holds.entry(key).or_insert(Hold { stored: false, now: Now::Gone });
        if !matches!(hold.now, Now::Gone) {
            return Err(ProjectionError::RowExists);
        }
        hold.now = Now::Made(Box::new(record));
        Ok(())
    }

    fn extend(&mut self, owner: Uuid, hold: HoldId, expires_at: DateTime<Utc>) -> Result<(), ProjectionError> {
        let hold = self.holds.get_mut(&(owner, hold.uuid())).ok_or(ProjectionError::MissingRow)?;
        match &mut hold.now {
            Now::Gone => return Err(ProjectionError::MissingRow),
            Now::Made(record) => record.expires_at = stored(expires_at),
            now @ (Now::AsStored | Now::Extended(_)) => *now = Now::Extended(stored(expires_at)),
        }
        Ok(())
    }

    /// Whether it was open.
    fn end_hold(&mut self, owner: Uuid, hold: HoldId) -> bool {
        let Some(hold) = self.holds.get_mut(&(owner, hold.uuid())) else { return false };
        !matches!(std::mem::replace(&mut hold.now, Now::Gone), Now::Gone)
    }
}

impl WalletRow {
    /// A wallet has no event that makes it.
    const fn new(owner: Uuid) -> Self {
        let (granted_nanos, paid_nanos, debt_nanos, held_nanos) = (0, 0, 0, 0);
        Self { owner, currency: None, granted_nanos, paid_nanos, debt_nanos, held_nanos, sequence: 0, changed: true }
    }

    fn take(&mut self, movement: &Movement<'_>) -> Result<(), Unbookable> {
        let Effect { granted_nanos, paid_nanos, debt_nanos } = movement.effect;
        let sum = |amount: i64, change: Nanos| {
            amount.checked_add(change.get()).filter(|sum| *sum >= 0).ok_or(Unbookable::OutOfRange)
        };
        self.granted_nanos = sum(self.granted_nanos, granted_nanos)?;
        self.paid_nanos = sum(self.paid_nanos, paid_nanos)?;
        self.debt_nanos = sum(self.debt_nanos, debt_nanos)?;
        self.held_nanos = sum(self.held_nanos, movement.held)?;
        if let Some(currency) = movement.currency.as_ref().map(billing::Currency::as_str) {
            self.currency = Some(currency.to_owned());
        }
        Ok(())
    }
}

fn named_hold(event: &WalletEvent) -> Option<HoldId> {
    match event {
        WalletEvent::Held { hold_id, .. }
        | WalletEvent::HoldExtended { hold_id, .. }
        | WalletEvent::Charged { hold_id, .. }
        | WalletEvent::Released { hold_id, .. }
        | WalletEvent::Expired { hold_id, .. } => Some(*hold_id),
        WalletEvent::Granted { .. } | WalletEvent::ToppedUp { .. } | WalletEvent::Adjusted { .. } => None,
    }
}

fn entries(owner: Uuid, position: i64, movement: &Movement<'_>) -> impl Iterator<Item = Entry> {
    let reason = movement.note.and_then(open_note);
    movement.lines.iter().zip(1..).map(move |(line, number)| Entry {
        position,
        line: number,
        owner,
        account: line.account.as_str(),
        amount_nanos: line.amount.get(),
        kind: movement.kind.as_str(),
        hold_id: movement.hold_id.map(HoldId::uuid),
        model: movement.model.map(|model| storable(model).into_owned()),
        reason: reason.as_deref().map(str::to_owned),
        at: stored(movement.at),
    })
}
