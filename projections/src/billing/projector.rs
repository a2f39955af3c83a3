//! Events of wallets as rows of `billing_v1`.
//!
//! A batch is worked out in memory from the rows that it touches, and written with one statement a table. An event that
//! is contained already changes nothing; one that cannot follow is an error.

use async_trait::async_trait;
use domain::{
    Decider as _,
    billing::{self, Purpose, WalletEvent},
};
use sqlx::PgConnection;

use super::step::{Rows, Step};
use crate::projector::{ProjectedEvent, ProjectionError, Projector, Topic, Touched};

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
        let ours = events.iter().filter(|event| self.handles(&event.aggregate_type));
        let steps: Vec<Step> = ours.map(|event| Step::of(event)).collect::<Result<_, _>>()?;
        if steps.is_empty() {
            return Ok(Touched::default());
        }
        let mut rows = Rows::load(tx, &steps).await?;
        let mut touched = Touched::default();
        for step in &steps {
            if rows.apply(step)? {
                touch(step, &mut touched);
            }
        }
        rows.write(tx).await?;
        Ok(touched)
    }

    async fn reset(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("TRUNCATE wallets, holds, charges, ledger_entries").execute(tx).await?;
        Ok(())
    }
}

fn touch(step: &Step, touched: &mut Touched) {
    if matches!(step.event, WalletEvent::HoldExtended { .. }) {
        return;
    }
    touched.add(step.owner, Topic::Wallet, None);
    // The answer shows what it cost.
    if let WalletEvent::Charged { purpose: Purpose::Reply { session_id, .. }, .. } = step.event {
        touched.add(step.owner, Topic::Messages, Some(session_id.uuid()));
    }
}
