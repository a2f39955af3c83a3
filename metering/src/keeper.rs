//! Holds are extended in time while their calls go on.
//!
//! Promise: a hold lives as long as its [`Keeping`], however long that is, and a call that is over soon costs a place in
//! a table and no task or timer of its own: one task looks at all of them, a dozen times within the life of a hold.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::billing::WalletCommand;
use nats::{CommandClient, Outcome, Sent};

use crate::{Call, meter};

/// How often all holds are looked at within the life of one.
const LOOKS: u32 = 12;
/// How long one extension waits for its outcome.
const TRY: Duration = Duration::from_secs(5);
const AFTER_FAILURE: TimeDelta = TimeDelta::seconds(1);

/// All holds of calls under way in this process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Keeper(Arc<Shared>);

struct Shared {
    commands: Arc<CommandClient>,
    hold_life: Duration,
    holds: Mutex<Holds>,
    /// Whether the task runs: it begins with the first hold, because whoever makes a keeper need not run yet.
    runs: AtomicBool,
}

#[derive(Default)]
struct Holds {
    next_place: u64,
    kept: BTreeMap<u64, Kept>,
}

struct Kept {
    call: Arc<Call>,
    /// When it is to be extended, again.
    due: DateTime<Utc>,
}

/// A hold that is extended; dropped, it expires.
pub(crate) struct Keeping {
    keeper: Keeper,
    place: u64,
}

impl Keeper {
    pub(crate) fn new(commands: Arc<CommandClient>, hold_life: Duration) -> Self {
        Self(Arc::new(Shared { commands, hold_life, holds: Mutex::default(), runs: AtomicBool::new(false) }))
    }

    /// Keeps the hold of `call`. Call it inside a Tokio runtime.
    pub(crate) fn keep(&self, call: Arc<Call>, expires_at: DateTime<Utc>) -> Keeping {
        if !self.0.runs.swap(true, Ordering::Relaxed) {
            tokio::spawn(look(Arc::downgrade(&self.0), self.0.hold_life / LOOKS));
        }
        let due = self.due(expires_at);
        let mut holds = self.holds();
        let place = holds.next_place;
        holds.next_place += 1;
        holds.kept.insert(place, Kept { call, due });
        drop(holds);
        Keeping { keeper: self.clone(), place }
    }

    /// When a third of its life is over.
    fn due(&self, expires_at: DateTime<Utc>) -> DateTime<Utc> {
        expires_at - meter::life(self.0.hold_life) * 2 / 3
    }

    fn holds(&self) -> MutexGuard<'_, Holds> {
        self.0.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose turn it is; they are not asked for again before their answer can be there.
    fn take_due(&self, now: DateTime<Utc>) -> Vec<(u64, Arc<Call>)> {
        let again = now + meter::life(TRY) + AFTER_FAILURE;
        let mut holds = self.holds();
        let due = holds.kept.iter_mut().filter(|(_, kept)| kept.due <= now);
        due.map(|(place, kept)| {
            kept.due = again;
            (*place, Arc::clone(&kept.call))
        })
        .collect()
    }

    async fn extend(self, place: u64, call: Arc<Call>) {
        let at = Utc::now();
        let expires_at = at + meter::life(self.0.hold_life);
        let command = WalletCommand::ExtendHold { hold_id: call.hold_id, expires_at, at };
        let step = format!("extend:{}", expires_at.timestamp_millis());
        let Ok(message) = meter::message(&call, &step, &command) else { return };
        let due = match self.0.commands.send(message, TRY).await {
            Ok(Sent::Outcome(Outcome::Done { .. })) => self.due(expires_at),
            Ok(_) | Err(_) => {
                tracing::debug!(hold = %call.hold_id, "a hold could not be extended");
                Utc::now() + AFTER_FAILURE
            }
        };
        if let Some(kept) = self.holds().kept.get_mut(&place) {
            kept.due = due;
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.keeper.holds().kept.remove(&self.place);
    }
}

/// Looks at all holds, until there is no keeper any more.
async fn look(keeper: Weak<Shared>, pause: Duration) {
    loop {
        tokio::time::sleep(pause).await;
        let Some(keeper) = keeper.upgrade().map(Keeper) else { return };
        for (place, call) in keeper.take_due(Utc::now()) {
            tokio::spawn(keeper.clone().extend(place, call));
        }
    }
}
