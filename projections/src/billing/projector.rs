//! Events of wallets as rows of `billing_v1`, and what calls consumed that cost nothing and so left no event in a wallet.
//!
//! A batch is worked out in memory from the rows that it touches, and written with one statement a table. An event that
//! is contained already changes nothing; one that cannot follow is an error.

use async_trait::async_trait;
use domain::{
    Decider as _,
    billing::{self, Purpose, WalletEvent},
    relay::{CallBatch, CallBatchEvent},
};
use sqlx::PgConnection;

use super::{
    records::ChargeRecord,
    step::{Rows, Step},
    write,
};
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
        [billing::Wallet::TYPE, CallBatch::TYPE].contains(&aggregate_type)
    }

    async fn apply(&self, tx: &mut PgConnection, events: &[&ProjectedEvent]) -> Result<Touched, ProjectionError> {
        let of = |aggregate_type| events.iter().filter(move |event| event.aggregate_type == aggregate_type);
        let mut touched = Touched::default();
        let free = free_calls(of(CallBatch::TYPE))?;
        if !free.is_empty() {
            free.iter().for_each(|call| touched.add(call.owner, Topic::Wallet, None));
            write::insert_free(tx, free).await?;
        }
        let steps: Vec<Step> = of(billing::Wallet::TYPE).map(|event| Step::of(event)).collect::<Result<_, _>>()?;
        if steps.is_empty() {
            return Ok(touched);
        }
        let mut rows = Rows::load(tx, &steps).await?;
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

/// The calls of `batches` that cost nothing and had no hold.
fn free_calls<'e>(batches: impl Iterator<Item = &'e &'e ProjectedEvent>) -> Result<Vec<ChargeRecord>, ProjectionError> {
    let mut free = vec![];
    for event in batches {
        let CallBatchEvent::Recorded { calls } = event.decode()?;
        let lines = calls.iter().zip(1..);
        free.extend(lines.filter_map(|(call, line)| ChargeRecord::of_call(event.position, line, call)));
    }
    Ok(free)
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
