//! Which aggregate is where: in the cache, in the group that is being formed, or away in a group under way.

use std::{
    collections::{HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    cache::{AggregateCache, HotState, Key},
    store::NewEvent,
    unit::Touched,
};

/// An aggregate in a group.
pub(super) struct Held {
    /// After all that the group decided on it; none if applying an event has panicked.
    pub(super) state: Option<HotState>,
    /// Its sequence before the group.
    pub(super) base: i64,
    /// With their metadata.
    pub(super) events: Vec<(NewEvent, Arc<str>)>,
}

/// All aggregates at hand.
pub(crate) struct Hot {
    pub(super) cache: AggregateCache,
    /// In the group that is being formed.
    pub(super) held: HashMap<Key, Held>,
    /// In groups under way: at most one may hold an aggregate.
    pub(super) away: HashSet<Key>,
}

impl Hot {
    pub(super) fn new(cache: AggregateCache) -> Self {
        Self { cache, held: HashMap::new(), away: HashSet::new() }
    }

    /// The aggregate, or else whether a group keeps it from us (it is not in memory otherwise).
    pub(crate) fn look(&self, key: &Key) -> Result<&HotState, bool> {
        if self.away.contains(key) {
            return Err(true);
        }
        match self.held.get(key) {
            Some(held) => held.state.as_ref().ok_or(true),
            None => self.cache.peek(key).ok_or(false),
        }
    }

    /// Takes what a unit decided into the group, all of it or nothing.
    ///
    /// # Errors
    /// Applying an event has panicked, and the states of this unit's aggregates are lost.
    pub(super) fn hold(&mut self, touched: Vec<Touched>, metadata: &Arc<str>) -> Result<(), ()> {
        let mut states = Vec::with_capacity(touched.len());
        for one in &touched {
            if let Some(held) = self.held.get_mut(&one.key) {
                states.push(held.state.take().ok_or(())?);
            } else {
                let state = self.cache.take(&one.key).ok_or(())?;
                self.held.insert(one.key.clone(), Held { state: None, base: state.sequence, events: vec![] });
                states.push(state);
            }
        }
        let applied = catch_unwind(AssertUnwindSafe(|| {
            let apply = |(one, mut state): (Touched, HotState)| (one.key.clone(), one.apply_to(&mut state), state);
            touched.into_iter().zip(states).map(apply).collect::<Vec<_>>()
        }));
        for (key, events, state) in applied.map_err(|_| ())? {
            if let Some(held) = self.held.get_mut(&key) {
                held.events.extend(events.into_iter().map(|event| (event, Arc::clone(metadata))));
                held.state = Some(state);
            }
        }
        Ok(())
    }

    /// The group is formed and goes on its way.
    pub(super) fn send_away(&mut self) -> HashMap<Key, Held> {
        let held = std::mem::take(&mut self.held);
        self.away.extend(held.keys().cloned());
        held
    }

    /// The group with this aggregate has ended; `state` is what is certain of it now, if anything.
    pub(super) fn come_back(&mut self, key: &Key, state: Option<HotState>) {
        self.away.remove(key);
        if let Some(state) = state {
            self.cache.put(key.clone(), state);
        }
    }
}
