//! Calls and their settlements as rows of `statistics_v1`.
//!
//! A batch of events is added up in memory and written with one statement a table. A call that is there already, and a
//! settlement that its wallet's row contains, are not counted again.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{
    Decider as _,
    billing::{Wallet, WalletEvent},
    relay::{Call, CallBatch, CallBatchEvent},
};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{calls, slot::Slots, write};
use crate::projector::{ProjectedEvent, ProjectionError, Projector, Touched};

/// How many days calls can be looked at one by one, where nobody says it.
pub const DEFAULT_CALL_DAYS: u32 = 30;

/// Writes `statistics_v1`.
#[derive(Debug, Clone, Copy)]
pub struct StatisticsProjector {
    /// Single calls are forgotten this many days before the newest; sums never are. What a larger number brings back, a
    /// rebuild does.
    pub call_days: u32,
}

impl Default for StatisticsProjector {
    fn default() -> Self {
        Self { call_days: DEFAULT_CALL_DAYS }
    }
}

/// A call with the place and time of its event.
pub(super) struct Recorded {
    pub(super) position: i64,
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) call: Call,
}

#[async_trait]
impl Projector for StatisticsProjector {
    fn name(&self) -> &'static str {
        "statistics_v1"
    }

    fn handles(&self, aggregate_type: &str) -> bool {
        [CallBatch::TYPE, Wallet::TYPE].contains(&aggregate_type)
    }

    /// Calls of one second add to few sums, which are then written once.
    fn company(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn apply(&self, tx: &mut PgConnection, events: &[&ProjectedEvent]) -> Result<Touched, ProjectionError> {
        let mut slots = Slots::default();
        let recorded = recorded(events)?;
        if !recorded.is_empty() {
            let new = calls::insert(tx, &recorded).await?;
            recorded.iter().filter(|one| new.contains(&one.call.id.uuid())).for_each(|one| slots.count(&one.call));
            calls::forget(tx, self.call_days).await?;
        }
        settle(tx, &mut slots, events).await?;
        write::add(tx, &slots).await?;
        // Operators look at it, and nobody's own screen changes.
        Ok(Touched::default())
    }

    async fn reset(&self, tx: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("TRUNCATE hours, errors, latencies, wallets, calls").execute(tx).await?;
        Ok(())
    }
}

/// The calls that `events` tell of, each once.
fn recorded(events: &[&ProjectedEvent]) -> Result<Vec<Recorded>, ProjectionError> {
    let (mut recorded, mut seen) = (vec![], HashSet::new());
    for event in events.iter().filter(|event| event.aggregate_type == CallBatch::TYPE) {
        let CallBatchEvent::Recorded { calls } = event.decode()?;
        let (position, recorded_at) = (event.position, event.recorded_at);
        let new = calls.into_iter().filter(|call| seen.insert(call.id.uuid()));
        recorded.extend(new.map(|call| Recorded { position, recorded_at, call }));
    }
    Ok(recorded)
}

/// Adds what wallets' events say to `slots`, and notes how far each wallet is contained.
async fn settle(tx: &mut PgConnection, slots: &mut Slots, events: &[&ProjectedEvent]) -> Result<(), ProjectionError> {
    let mut steps: Vec<(Uuid, i64, WalletEvent)> = vec![];
    for event in events.iter().filter(|event| event.aggregate_type == Wallet::TYPE) {
        // Most events of wallets say nothing of calls, and need not be read.
        if ["wallet.charged", "wallet.released", "wallet.expired"].contains(&event.event_type.as_str()) {
            steps.push((event.uuid()?, event.sequence, event.decode()?));
        }
    }
    if steps.is_empty() {
        return Ok(());
    }
    let owners: Vec<Uuid> = steps.iter().map(|(owner, ..)| *owner).collect();
    let stored: Vec<(Uuid, i64)> = sqlx::query_as("SELECT owner, sequence FROM wallets WHERE owner = ANY ($1)")
        .bind(&owners)
        .fetch_all(&mut *tx)
        .await?;
    let mut contained: HashMap<Uuid, i64> = stored.into_iter().collect();
    for (owner, sequence, event) in &steps {
        let contained = contained.entry(*owner).or_default();
        if *contained < *sequence {
            *contained = *sequence;
            slots.settle(*owner, event);
        }
    }
    write::wallets(tx, &contained).await?;
    Ok(())
}
