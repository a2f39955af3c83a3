//! Which aggregates are to be read from the log, and how many at a time.

use std::collections::{HashSet, VecDeque};

use crate::{cache::Key, unit::Loader};

/// One load an aggregate, whoever waits for it.
pub(super) struct Loads {
    at_once: usize,
    running: usize,
    queued: VecDeque<(Key, Loader)>,
    /// Queued or running.
    wanted: HashSet<Key>,
}

impl Loads {
    pub(super) fn new(at_once: usize) -> Self {
        Self { at_once, running: 0, queued: VecDeque::new(), wanted: HashSet::new() }
    }

    /// Asks for `key`. Who has others of its aggregates in memory already goes first: they stay there until the last is
    /// here.
    pub(super) fn want(&mut self, key: &Key, load: Loader, has_others: bool) {
        if !self.wanted.insert(key.clone()) {
            return;
        }
        metrics::counter!("aggregate_cache_misses_total").increment(1);
        if has_others {
            self.queued.push_front((key.clone(), load));
        } else {
            self.queued.push_back((key.clone(), load));
        }
    }

    /// What to load now. Without room in memory one load still goes on, so that everybody gets there.
    pub(super) fn next(&mut self, has_room: bool) -> Option<(Key, Loader)> {
        if self.running >= self.at_once || (self.running > 0 && !has_room) {
            return None;
        }
        let next = self.queued.pop_front()?;
        self.running += 1;
        Some(next)
    }

    pub(super) fn ended(&mut self, key: &Key) {
        self.running -= 1;
        self.wanted.remove(key);
    }
}
