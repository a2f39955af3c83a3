//! What each key may do, looked up in the database and then believed for a moment.
//!
//! Promise: a key that was revoked is refused on the node that answered the revocation from that answer on; on every
//! other node as soon as the event of it arrives, and without it, whatever is away, once what is believed is older than
//! `ApiLimits::key_belief`, counted from before the look. Each look asks the event log itself. A key that ended is refused
//! at once, and only the whole key is believed, never its id.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use domain::{
    ApiKeyId, Decider as _, UserId,
    users::{ApiKey as Aggregate, Scope},
};
use futures::StreamExt as _;
use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Key;
use crate::lately::Lately;

/// Keys that are remembered at the same time, at most.
const MAX_KEYS: usize = 20_000;
/// Pause between tries to hear of revocations.
const PAUSE: Duration = Duration::from_secs(1);
/// The event after which a key opens nothing.
const REVOKED: &str = "api_key.revoked";

/// What one key may do, and in whose name.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) id: ApiKeyId,
    pub(crate) owner: UserId,
    scopes: Vec<String>,
    /// Any model where absent.
    models: Option<Vec<String>>,
    expires_at: Option<DateTime<Utc>>,
}

impl Grant {
    #[cfg(test)]
    pub(crate) fn of(owner: UserId, scopes: &[Scope], models: Option<&[&str]>) -> Self {
        Self {
            id: ApiKeyId::new(uuid::Uuid::nil()),
            owner,
            scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            models: models.map(|models| models.iter().map(|model| (*model).to_owned()).collect()),
            expires_at: None,
        }
    }

    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.scopes.iter().any(|had| had == scope.as_str())
    }

    pub(crate) fn may_ask(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|allowed| allowed == model))
    }

    fn has_ended(&self) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= Utc::now())
    }
}

/// A key that was proven.
struct Known {
    key: Key,
    grant: Arc<Grant>,
    /// When the database was asked, and after how many revocations.
    asked_at: Instant,
    revocations: u64,
}

/// Finds what keys may do. Cheap to clone; all clones know the same.
#[derive(Clone)]
pub(crate) struct KeyGrants {
    pool: PgPool,
    belief: Duration,
    known: Arc<Lately<ApiKeyId, Arc<Known>>>,
    /// How many were heard of. Whatever was asked before the last of them is not believed, of any key: there are few, and
    /// a look that was under way at that moment cannot bring back what it had seen.
    revocations: Arc<AtomicU64>,
}

impl KeyGrants {
    pub(crate) fn new(pool: PgPool, belief: Duration) -> Self {
        Self { pool, belief, known: Arc::new(Lately::new(belief, MAX_KEYS)), revocations: Arc::default() }
    }

    /// What the key that was presented may do; `None` where it is unknown, revoked, expired or none at all.
    ///
    /// # Errors
    /// The database is away.
    pub(crate) async fn of(&self, presented: &str) -> sqlx::Result<Option<Arc<Grant>>> {
        let grant = match self.believed(presented) {
            Some(grant) => Some(grant),
            // Seldom, and much to carry along for those who are believed.
            None => Box::pin(self.look_up(presented)).await?,
        };
        Ok(grant.filter(|grant| !grant.has_ended()))
    }

    fn believed(&self, presented: &str) -> Option<Arc<Grant>> {
        let known = self.known.get(&Key::id_in(presented)?)?;
        let is_fresh = known.revocations == self.revocations.load(Ordering::Acquire)
            && known.asked_at.elapsed() < self.belief
            && known.key.is(presented);
        is_fresh.then(|| Arc::clone(&known.grant))
    }

    async fn look_up(&self, presented: &str) -> sqlx::Result<Option<Arc<Grant>>> {
        let Some(key) = Key::read(presented) else { return Ok(None) };
        let (asked_at, revocations) = (Instant::now(), self.revocations.load(Ordering::Acquire));
        let access = projections::users::api_key_access(&self.pool, key.id().uuid()).await?;
        let Some(access) = access.filter(|access| !access.revoked && key.is_of(&access.key_hash)) else {
            return Ok(None);
        };
        let grant = Arc::new(Grant {
            id: key.id(),
            owner: UserId::new(access.owner),
            scopes: access.scopes,
            models: access.models,
            expires_at: access.expires_at,
        });
        let known = Known { key, grant: Arc::clone(&grant), asked_at, revocations };
        self.known.insert(grant.id, Arc::new(known));
        Ok(Some(grant))
    }

    /// Some key was revoked, or may have been.
    pub(crate) fn doubt(&self) {
        self.revocations.fetch_add(1, Ordering::AcqRel);
    }

    /// Hears of the revocations of all nodes until `shutdown`.
    pub(crate) async fn follow(self, nats: async_nats::Client, shutdown: CancellationToken) {
        let Some(subject) = nats::event_subject(Aggregate::CAPABILITY, Aggregate::TYPE, REVOKED) else { return };
        while !shutdown.is_cancelled() {
            if let Ok(mut events) = nats.subscribe(subject.clone()).await {
                // What was seen while nobody listened may have changed since.
                self.doubt();
                while let Some(Some(_)) = shutdown.run_until_cancelled(events.next()).await {
                    self.doubt();
                }
            }
            shutdown.run_until_cancelled(sleep(PAUSE)).await;
        }
    }
}
