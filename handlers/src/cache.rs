//! Hot aggregates in memory, so that a command on one need not read its whole stream again.
//!
//! Promise: a cache of what was read or committed, never a source of truth: a group that was decided on a stale entry is
//! refused by the database, its refusals included. Bounded by estimated bytes, except for what commands that wait for a
//! second aggregate have pinned; they stop further loads instead. Owned by one task, so it has no lock, and a state can
//! be taken out, changed in place and put back without a copy.

use std::{any::Any, collections::HashMap, sync::Arc};

use domain::Decider;
use hashlink::LinkedHashMap;

use crate::store::Loaded;

/// The type and the id of an aggregate.
pub(crate) type Key = (&'static str, Arc<str>);

/// What one event adds to the memory of an aggregate that grows with all of them (a message node and a run), for the bound
/// only.
const BYTES_PER_EVENT: u64 = 160;
/// Key, links and the allocation of an entry.
const BYTES_PER_ENTRY: u64 = 128;

/// An aggregate of any type, as it stands after its event `sequence`.
pub(crate) struct HotState {
    state: Box<dyn Any + Send>,
    pub(crate) sequence: i64,
    /// What the state itself says of its weight.
    weigh: fn(&Self) -> Option<usize>,
}

impl HotState {
    pub(crate) fn new<D: Decider>(loaded: Loaded<D>) -> Self {
        let weigh = |hot: &Self| hot.of::<D>().and_then(D::weight_bytes);
        Self { state: Box::new(loaded.state), sequence: loaded.sequence, weigh }
    }

    pub(crate) fn of<D: Decider>(&self) -> Option<&D> {
        self.state.downcast_ref()
    }

    pub(crate) fn of_mut<D: Decider>(&mut self) -> Option<&mut D> {
        self.state.downcast_mut()
    }

    fn weight_bytes(&self) -> u64 {
        let of_its_events = || u64::try_from(self.sequence).unwrap_or(0).saturating_mul(BYTES_PER_EVENT);
        let own = (self.weigh)(self).and_then(|bytes| u64::try_from(bytes).ok());
        BYTES_PER_ENTRY + own.unwrap_or_else(of_its_events)
    }
}

/// An aggregate that somebody waits with.
#[derive(Default)]
struct Pinned {
    pins: usize,
    state: Option<HotState>,
}

/// Bounded by estimated bytes; what was used longest ago goes first.
pub struct AggregateCache {
    max_bytes: u64,
    bytes: u64,
    /// Oldest use first.
    idle: LinkedHashMap<Key, HotState>,
    pinned: HashMap<Key, Pinned>,
    pinned_bytes: u64,
}

impl AggregateCache {
    /// A cache of at most about `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self { max_bytes, bytes: 0, idle: LinkedHashMap::new(), pinned: HashMap::new(), pinned_bytes: 0 }
    }

    pub(crate) const fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    pub(crate) fn peek(&self, key: &Key) -> Option<&HotState> {
        match self.pinned.get(key) {
            Some(pinned) => pinned.state.as_ref(),
            None => self.idle.get(key),
        }
    }

    /// Takes the aggregate out, to be changed and put back or dropped.
    pub(crate) fn take(&mut self, key: &Key) -> Option<HotState> {
        if let Some(pinned) = self.pinned.get_mut(key) {
            let state = pinned.state.take()?;
            self.pinned_bytes -= state.weight_bytes();
            return Some(state);
        }
        let state = self.idle.remove(key)?;
        self.bytes -= state.weight_bytes();
        Some(state)
    }

    /// Remembers the aggregate.
    pub(crate) fn put(&mut self, key: Key, state: HotState) {
        drop(self.take(&key));
        if let Some(pinned) = self.pinned.get_mut(&key) {
            self.pinned_bytes += state.weight_bytes();
            pinned.state = Some(state);
            return;
        }
        self.bytes += state.weight_bytes();
        self.idle.insert(key, state);
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.idle.pop_front()
        {
            self.bytes -= oldest.weight_bytes();
        }
    }

    /// From now on the aggregate stays once it is here, until as many [`Self::unpin`]s: a command that waits for another
    /// one would otherwise find this one gone, and so on for ever.
    pub(crate) fn pin(&mut self, key: &Key) {
        let here = if self.pinned.contains_key(key) { None } else { self.take(key) };
        self.pinned_bytes += here.as_ref().map_or(0, HotState::weight_bytes);
        let pinned = self.pinned.entry(key.clone()).or_default();
        pinned.pins += 1;
        if here.is_some() {
            pinned.state = here;
        }
    }

    pub(crate) fn unpin(&mut self, key: &Key) {
        let Some(pinned) = self.pinned.get_mut(key) else { return };
        pinned.pins -= 1;
        if pinned.pins > 0 {
            return;
        }
        let state = self.take(key);
        self.pinned.remove(key);
        if let Some(state) = state {
            self.put(key.clone(), state);
        }
    }

    /// Whether what is pinned leaves no room.
    pub(crate) const fn is_full_of_pins(&self) -> bool {
        self.pinned_bytes >= self.max_bytes
    }

    /// The estimate of all that is here.
    pub(crate) const fn weight_bytes(&self) -> u64 {
        self.bytes + self.pinned_bytes
    }
}

#[cfg(test)]
mod tests {
    use domain::{billing::Wallet, users::Device};

    use super::*;

    fn key(id: u32) -> Key {
        ("device", id.to_string().into())
    }

    fn state(sequence: i64) -> HotState {
        HotState::new(Loaded { state: Device::default(), sequence })
    }

    fn room_for(count: u64) -> AggregateCache {
        AggregateCache::new(count * state(1).weight_bytes())
    }

    #[test]
    fn what_was_used_longest_ago_makes_room_and_the_bound_holds() {
        let mut cache = room_for(3);
        for id in 0..3 {
            cache.put(key(id), state(1));
        }
        let used = cache.take(&key(0)).unwrap();
        cache.put(key(0), used);
        for id in 3..100 {
            cache.put(key(id), state(1));
            assert!(cache.weight_bytes() <= cache.max_bytes);
            assert!(id > 4 || cache.peek(&key(0)).is_some(), "used last, stays longest");
        }
        assert!(cache.peek(&key(0)).is_none());
        cache.put(key(100), state(1_000));
        assert_eq!((cache.weight_bytes(), cache.idle.len()), (0, 0), "larger than the whole cache");
    }

    #[test]
    fn a_wallet_that_has_forgotten_a_thousand_calls_is_not_heavier_than_a_new_one() {
        let wallet = |sequence| HotState::new(Loaded { state: Wallet::default(), sequence });
        assert_eq!(wallet(1_000).weight_bytes(), wallet(1).weight_bytes());
        assert!(state(1_000).weight_bytes() > 100 * state(1).weight_bytes(), "nobody says otherwise of a device");
    }

    #[test]
    fn what_is_pinned_stays_and_is_counted_until_the_last_pin_goes() {
        let mut cache = room_for(1);
        cache.pin(&key(1));
        cache.put(key(1), state(1));
        cache.put(key(2), state(1));
        cache.pin(&key(2));
        cache.pin(&key(2));
        assert!(cache.is_full_of_pins() && cache.peek(&key(1)).is_some() && cache.peek(&key(2)).is_some());
        cache.unpin(&key(2));
        assert_eq!(cache.weight_bytes(), 2 * state(1).weight_bytes());
        cache.unpin(&key(2));
        cache.unpin(&key(1));
        assert_eq!((cache.weight_bytes(), cache.pinned_bytes, cache.pinned.len()), (state(1).weight_bytes(), 0, 0));
        assert!(cache.peek(&key(1)).is_some() && cache.peek(&key(2)).is_none());
    }

    #[test]
    fn the_count_of_bytes_follows_a_state_that_grows_while_it_is_out() {
        let mut cache = room_for(100);
        for pinned in [false, true] {
            if pinned {
                cache.pin(&key(1));
            }
            cache.put(key(1), state(1));
            let mut taken = cache.take(&key(1)).unwrap();
            assert_eq!(cache.weight_bytes(), 0);
            taken.sequence = 7;
            cache.put(key(1), taken);
            cache.put(key(1), state(5));
            assert_eq!(cache.weight_bytes(), state(5).weight_bytes());
        }
    }
}
