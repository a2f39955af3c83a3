//! Hot aggregates in memory, so that a command on one need not read its whole stream again.
//!
//! Promise: a cache of what was read or committed, never a source of truth: appends are refused when it is stale, and a
//! refusal decided on it is verified before it is stored.

use std::{any::Any, sync::Arc};

use domain::Decider;
use moka::sync::Cache;

use crate::store::Loaded;

type Key = (&'static str, String);

#[derive(Clone)]
struct Entry {
    state: Arc<dyn Any + Send + Sync>,
    weight_bytes: u32,
}

/// Bounded by estimated bytes; shards and eviction are moka's.
#[derive(Clone)]
pub struct AggregateCache {
    entries: Cache<Key, Entry>,
}

/// What one event adds to the memory of a typical aggregate (a message node and a run), for the bound only.
const BYTES_PER_EVENT: i64 = 160;

impl AggregateCache {
    /// A cache of at most about `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        let entries = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|key: &Key, entry: &Entry| {
                entry.weight_bytes.saturating_add(64 + u32::try_from(key.1.len()).unwrap_or(u32::MAX))
            })
            .build();
        Self { entries }
    }

    /// What is known of the aggregate, if anything.
    #[must_use]
    pub fn get<D: Decider>(&self, id: &str) -> Option<Arc<Loaded<D>>> {
        self.entries.get(&(D::TYPE, id.to_owned()))?.state.downcast().ok()
    }

    /// Remembers the aggregate.
    pub fn put<D: Decider>(&self, id: &str, loaded: Loaded<D>) {
        let weight_bytes = u32::try_from(loaded.sequence.saturating_mul(BYTES_PER_EVENT)).unwrap_or(u32::MAX);
        self.entries.insert((D::TYPE, id.to_owned()), Entry { state: Arc::new(loaded), weight_bytes });
    }

    /// Forgets the aggregate: after a conflict, a failure, or a commit whose end is unknown.
    pub fn evict(&self, aggregate_type: &'static str, id: &str) {
        self.entries.invalidate(&(aggregate_type, id.to_owned()));
    }
}
