//! Events of wallets as rows of `billing_v1`.
//!
//! Each event moves its wallet from the sequence before to its own and books its lines in the same statement; what it
//! does to holds and settlements follows. An event that is contained already changes nothing; one that cannot follow is
//! an error.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{
    Decider as _, HoldId,
    billing::{self, Effect, Purpose, WalletEvent},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    entries::{Movement, movement},
    records::{ChargeRecord, HoldRecord, open_note, stored},
};
use crate::projector::{ProjectedEvent, ProjectionError, Projector, Topic, Touched, storable};

/// Writes `billing_v1`.
#[derive(Debug, Clone, Copy, Default)]
pub struct BillingProjector;

#[async_trait]
impl Projector for BillingProjector {
    fn name(&self) -> &'static str {
        "billing_v1"
    }

    fn handles(&self, aggregate_type: &str) -> bool {
        aggregate_type == billing::Wallet::TYPE
    }

    async fn apply(&self, tx: &mut PgConnection, events: &[&ProjectedEvent]) -> Result<Touched, ProjectionError> {
        let mut touched = Touched::default();
        for event in events.iter().filter(|event| self.handles(&event.aggregate_type)) {
            let decoded: WalletEvent = event.decode()?;
            let (owner, sequence, position) = (event.uuid()?, event.sequence, event.position);
            let mut wallet = Step { tx: &mut *tx, owner, sequence, position };
            if !wallet.apply(&decoded).await? || matches!(decoded, WalletEvent::HoldExtended { .. }) {
                continue;
            }
            touched.add(owner, Topic::Wallet, None);
            // The answer shows what it cost.
            if let WalletEvent::Charged { purpose: Purpose::Reply { session_id, .. }, .. } = decoded {
                touched.add(owner, Topic::Messages, Some(session_id.uuid()));
            }
        }
        Ok(touched)
    }

    async fn reset(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("TRUNCATE wallets, holds, charges, ledger_entries").execute(tx).await?;
        Ok(())
    }
}

/// One event of one wallet, being written.
struct Step<'t> {
    tx: &'t mut PgConnection,
    owner: Uuid,
    sequence: i64,
    position: i64,
}

impl Step<'_> {
    /// Whether anything was written; nothing is where the rows contain the event already.
    async fn apply(&mut self, event: &WalletEvent) -> Result<bool, ProjectionError> {
        let moved = match movement(event)? {
            Some(movement) => self.book(&movement).await?,
            None => self.go_on().await?,
        };
        if !moved {
            return self.contained().await.map(|()| false);
        }
        if let Some(hold) = HoldRecord::of(self.owner, self.position, event) {
            hold.insert(&mut *self.tx).await?;
        }
        if let Some(charge) = ChargeRecord::of(self.owner, self.position, event) {
            charge.insert(&mut *self.tx).await?;
        }
        match event {
            WalletEvent::HoldExtended { hold_id, expires_at, .. } => self.extend(*hold_id, *expires_at).await?,
            // A late one finds its hold expired.
            WalletEvent::Charged { hold_id, .. } => drop(self.end_hold(*hold_id).await?),
            WalletEvent::Released { hold_id, .. } | WalletEvent::Expired { hold_id, .. } => {
                if !self.end_hold(*hold_id).await? {
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

    /// Moves the wallet on and books the lines of `movement`, if it stands right before this event.
    async fn book(&mut self, movement: &Movement<'_>) -> sqlx::Result<bool> {
        self.begin().await?;
        let Effect { granted_nanos, paid_nanos, debt_nanos } = movement.effect;
        let (accounts, amounts): (Vec<&str>, Vec<i64>) =
            movement.lines.iter().map(|line| (line.account.as_str(), line.amount.get())).unzip();
        sqlx::query_scalar(
            "WITH w AS (UPDATE wallets SET sequence = $2, granted_nanos = granted_nanos + $3, \
                 paid_nanos = paid_nanos + $4, debt_nanos = debt_nanos + $5, held_nanos = held_nanos + $6, \
                 currency = coalesce($7, currency) WHERE owner = $1 AND sequence = $2 - 1 RETURNING owner), \
             l AS (INSERT INTO ledger_entries \
                 (position, line, owner, account, amount_nanos, kind, hold_id, model, reason, at) \
                 SELECT $8, e.line, w.owner, e.account, e.amount, $9, $10, $11, $12, $13 \
                 FROM w, unnest($14::text[], $15::bigint[]) WITH ORDINALITY AS e (account, amount, line)) \
             SELECT EXISTS (SELECT FROM w)",
        )
        .bind(self.owner)
        .bind(self.sequence)
        .bind(granted_nanos.get())
        .bind(paid_nanos.get())
        .bind(debt_nanos.get())
        .bind(movement.held.get())
        .bind(movement.currency.as_ref().map(billing::Currency::as_str))
        .bind(self.position)
        .bind(movement.kind)
        .bind(movement.hold_id.map(HoldId::uuid))
        .bind(movement.model.map(storable))
        .bind(movement.note.and_then(open_note))
        .bind(stored(movement.at))
        .bind(accounts)
        .bind(amounts)
        .fetch_one(&mut *self.tx)
        .await
    }

    /// Moves the wallet on without a movement.
    async fn go_on(&mut self) -> sqlx::Result<bool> {
        let sql = "UPDATE wallets SET sequence = $2 WHERE owner = $1 AND sequence = $2 - 1";
        let moved = sqlx::query(sql).bind(self.owner).bind(self.sequence).execute(&mut *self.tx).await?;
        Ok(moved.rows_affected() == 1)
    }

    /// A wallet has no event that makes it: the first one finds an empty row here.
    async fn begin(&mut self) -> sqlx::Result<()> {
        if self.sequence == 1 {
            let sql = "INSERT INTO wallets (owner, sequence) VALUES ($1, 0) ON CONFLICT (owner) DO NOTHING";
            sqlx::query(sql).bind(self.owner).execute(&mut *self.tx).await?;
        }
        Ok(())
    }

    /// Why the wallet did not move on: it contains the event, or events before it are missing.
    async fn contained(&mut self) -> Result<(), ProjectionError> {
        let contained: Option<i64> = sqlx::query_scalar("SELECT sequence FROM wallets WHERE owner = $1")
            .bind(self.owner)
            .fetch_optional(&mut *self.tx)
            .await?;
        match contained {
            Some(contained) if contained >= self.sequence => Ok(()),
            Some(contained) => Err(ProjectionError::OutOfOrder { contained, found: self.sequence }),
            None => Err(ProjectionError::MissingRow),
        }
    }

    async fn extend(&mut self, hold: HoldId, expires_at: DateTime<Utc>) -> Result<(), ProjectionError> {
        let sql = "UPDATE holds SET expires_at = $3 WHERE owner = $1 AND hold_id = $2";
        let query = sqlx::query(sql).bind(self.owner).bind(hold.uuid()).bind(stored(expires_at));
        let extended = query.execute(&mut *self.tx).await?.rows_affected();
        if extended == 1 { Ok(()) } else { Err(ProjectionError::MissingRow) }
    }

    /// Whether it was open; a late settlement finds it gone.
    async fn end_hold(&mut self, hold: HoldId) -> sqlx::Result<bool> {
        let sql = "DELETE FROM holds WHERE owner = $1 AND hold_id = $2";
        let ended = sqlx::query(sql).bind(self.owner).bind(hold.uuid()).execute(&mut *self.tx).await?;
        Ok(ended.rows_affected() == 1)
    }
}
