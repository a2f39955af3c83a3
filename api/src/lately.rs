//! What was of use lately, by a name.
//!
//! Promise: it cannot grow without bound, and finding costs one quick hash. Whatever was looked for or put there within
//! `keep` is found, as long as it is among the last `most / 2`; what nobody looks for is forgotten after twice that time.

use std::{
    collections::HashMap,
    hash::Hash,
    mem,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;

pub(crate) struct Lately<K, V> {
    halves: RwLock<Halves<K, V>>,
    keep: Duration,
    most: usize,
}

/// What is old is forgotten all at once: no entry has a time of its own.
struct Halves<K, V> {
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
    since: Instant,
}

impl<K: Eq + Hash, V: Clone> Lately<K, V> {
    pub(crate) fn new(keep: Duration, most: usize) -> Self {
        let halves = Halves { young: HashMap::default(), old: HashMap::default(), since: Instant::now() };
        Self { halves: RwLock::new(halves), keep, most }
    }

    pub(crate) fn get(&self, name: &K) -> Option<V> {
        let halves = self.halves.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = halves.young.get(name) {
            return Some(found.clone());
        }
        if !halves.old.contains_key(name) {
            return None;
        }
        drop(halves);
        let mut halves = self.halves.write().unwrap_or_else(PoisonError::into_inner);
        let Some((name, found)) = halves.old.remove_entry(name) else { return halves.young.get(name).cloned() };
        self.put(&mut halves, name, found.clone());
        Some(found)
    }

    pub(crate) fn insert(&self, name: K, value: V) {
        let mut halves = self.halves.write().unwrap_or_else(PoisonError::into_inner);
        halves.old.remove(&name);
        self.put(&mut halves, name, value);
    }

    /// The one that there is, or a new one: the same for all who ask at once.
    pub(crate) fn get_or_insert_with(&self, name: K, make: impl FnOnce() -> V) -> V {
        if let Some(found) = self.get(&name) {
            return found;
        }
        let mut halves = self.halves.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = halves.young.get(&name) {
            return found.clone();
        }
        let made = make();
        self.put(&mut halves, name, made.clone());
        made
    }

    fn put(&self, halves: &mut Halves<K, V>, name: K, value: V) {
        if halves.since.elapsed() >= self.keep || halves.young.len() >= self.most / 2 {
            halves.old = mem::take(&mut halves.young);
            halves.since = Instant::now();
        }
        halves.young.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_stays_and_the_rest_is_forgotten() {
        let lately = Lately::new(Duration::from_secs(600), 4);
        for name in 0..20 {
            lately.insert(name, name);
            assert_eq!(lately.get(&0), Some(0), "it was looked for among the last ones");
        }
        assert_eq!((lately.get(&19), lately.get(&5)), (Some(19), None));
    }

    #[test]
    fn what_is_old_is_forgotten_with_the_next_that_comes() {
        let lately = Lately::new(Duration::ZERO, 100);
        lately.insert("a", 1);
        lately.insert("b", 2);
        assert_eq!(lately.get_or_insert_with("b", || 3), 2);
        lately.insert("c", 4);
        assert_eq!(lately.get_or_insert_with("a", || 5), 5);
    }
}
