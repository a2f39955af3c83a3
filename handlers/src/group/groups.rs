//! A group while it is formed, and while it is under way.

use std::collections::HashMap;

use nats::Outcome;
use tokio::time::Instant;

use super::{GroupOptions, flush::Batch, hot::Held, jobs::Job};
use crate::{cache::Key, unit::Touched};

/// A job and what it came to, if the group is committed.
pub(super) type Member = (Job, Outcome);

/// Members decide as they come, also while all slots are taken; the group leaves with the first slot that is free.
pub(super) struct Forming {
    pub(super) members: Vec<Member>,
    /// Members that it may have.
    room: usize,
    room_bytes: usize,
    /// Somebody did not fit in: it takes nobody else, so that nobody is overtaken.
    is_closed: bool,
}

impl Forming {
    pub(super) fn new(options: &GroupOptions) -> Self {
        Self { members: vec![], room: options.max_commands, room_bytes: options.max_bytes, is_closed: false }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.is_closed || self.members.len() >= self.room
    }

    /// Whether the group is small enough for `job`; if not, it is closed.
    pub(super) const fn suits(&mut self, job: &Job) -> bool {
        self.is_closed = self.members.len() >= job.company;
        !self.is_closed
    }

    /// Whether what was decided fits in, which it always does alone; if not, the group is closed.
    pub(super) fn has_room_for(&mut self, touched: &[Touched]) -> bool {
        let bytes = touched.iter().flat_map(|one| &one.events).map(|event| event.payload.len()).sum();
        self.is_closed = !self.members.is_empty() && bytes > self.room_bytes;
        if !self.is_closed {
            self.room_bytes = self.room_bytes.saturating_sub(bytes);
        }
        !self.is_closed
    }

    pub(super) fn take(&mut self, job: Job, outcome: Outcome) {
        self.room = self.room.min(job.company);
        self.members.push((job, outcome));
    }
}

/// Under way.
pub(super) struct Group {
    pub(super) members: Vec<Member>,
    /// With their events moved into the batch.
    pub(super) held: HashMap<Key, Held>,
    pub(super) begun: Instant,
    pub(super) has_events: bool,
}

impl Group {
    /// The group, and what of it is to be committed.
    pub(super) fn leaving(members: Vec<Member>, mut held: HashMap<Key, Held>) -> (Self, Batch) {
        let mut batch = Batch::default();
        for (job, outcome) in &members {
            if let Some(record) = &job.record {
                batch.record(record, outcome);
            }
        }
        for (key, held) in &mut held {
            batch.stream(key.clone(), held.base, std::mem::take(&mut held.events));
        }
        (Self { members, held, begun: Instant::now(), has_events: batch.has_events() }, batch)
    }
}
