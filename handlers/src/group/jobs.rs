//! What the committer is asked to do, and where it waits.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use nats::{CommandMessage, Outcome};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use uuid::Uuid;

use crate::{
    bus::BusError,
    cache::Key,
    unit::{Stop, Unit},
};

/// Pure; runs as often as it must.
pub(crate) type Decide = Box<dyn Fn(&mut Unit<'_>) -> Result<(), Stop> + Send>;
/// Tenant and command id.
pub(super) type CommandKey = (String, Uuid);

/// Under what a command's outcome is stored.
pub(crate) struct Record {
    pub(super) key: CommandKey,
    pub(super) actor: String,
    pub(super) request_hash: [u8; 32],
}

impl Record {
    pub(crate) fn of(message: &CommandMessage) -> Self {
        Self {
            key: (message.tenant.clone(), message.command_id),
            actor: message.actor.clone(),
            request_hash: message.request_hash(),
        }
    }

    /// What `outcome`, stored for the request `hash`, is to this request.
    pub(super) fn repeated(&self, hash: &[u8], outcome: &Outcome) -> Outcome {
        if self.request_hash == hash { outcome.clone() } else { Outcome::KeyReused }
    }
}

/// One unit of work.
pub(crate) struct Job {
    pub(super) decide: Decide,
    /// None: nothing is remembered about it but its events.
    pub(super) record: Option<Record>,
    /// JSON, stored with each event.
    pub(super) metadata: Arc<str>,
    reply: oneshot::Sender<Result<Outcome, BusError>>,
    /// Its place among all jobs, first come first served.
    pub(super) ticket: u64,
    /// How many jobs its group may have; halved with each failure, so that what harms others is soon alone.
    pub(super) company: usize,
    /// Conflicts while it was alone.
    pub(super) conflicts: u32,
    /// How often an aggregate of it was in another group.
    pub(super) bounces: u32,
    /// Aggregates that the cache keeps for it.
    pub(super) pins: Vec<Key>,
    _room: OwnedSemaphorePermit,
}

impl Job {
    pub(super) fn new(
        decide: Decide,
        record: Option<Record>,
        metadata: String,
        reply: oneshot::Sender<Result<Outcome, BusError>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            decide,
            record,
            metadata: metadata.into(),
            reply,
            ticket: 0,
            company: usize::MAX,
            conflicts: 0,
            bounces: 0,
            pins: vec![],
            _room: room,
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    pub(super) fn request_hash(&self) -> &[u8] {
        self.record.as_ref().map_or(&[], |record| &record.request_hash)
    }

    /// The last that is heard of it. Whoever asked may have left.
    pub(super) fn answer(self, answer: Result<Outcome, BusError>) {
        let _ = self.reply.send(answer);
    }
}

/// Jobs that are in no group.
#[derive(Default)]
pub(super) struct Waiting {
    ready: BTreeMap<u64, Job>,
    /// Until the group that holds the aggregate has ended, or the aggregate is loaded.
    blocked: HashMap<Key, Vec<Job>>,
    /// Command ids in a group under way, and other deliveries of the same.
    twins: HashMap<CommandKey, Vec<Job>>,
    next_ticket: u64,
}

impl Waiting {
    pub(super) fn arrive(&mut self, mut job: Job) {
        job.ticket = self.next_ticket;
        self.next_ticket += 1;
        self.put_back(job);
    }

    /// A job that was here before keeps its place.
    pub(super) fn put_back(&mut self, job: Job) {
        self.ready.insert(job.ticket, job);
    }

    pub(super) fn next(&mut self) -> Option<Job> {
        self.ready.pop_first().map(|(_, job)| job)
    }

    pub(super) fn block(&mut self, key: Key, job: Job) {
        self.blocked.entry(key).or_default().push(job);
    }

    /// All that waited for the aggregate is ready, in its old order.
    pub(super) fn unblock(&mut self, key: &Key) {
        for job in self.take_blocked(key) {
            self.put_back(job);
        }
    }

    pub(super) fn take_blocked(&mut self, key: &Key) -> Vec<Job> {
        self.blocked.remove(key).unwrap_or_default()
    }

    /// Parks `job` if its command is in a group under way; else gives it back.
    pub(super) fn park_twin(&mut self, job: Job) -> Option<Job> {
        let twins = job.record.as_ref().and_then(|record| self.twins.get_mut(&record.key));
        match twins {
            Some(twins) => {
                twins.push(job);
                None
            }
            None => Some(job),
        }
    }

    pub(super) fn expect_twins(&mut self, record: &Record) {
        self.twins.insert(record.key.clone(), vec![]);
    }

    pub(super) fn take_twins(&mut self, record: &Record) -> Vec<Job> {
        self.twins.remove(&record.key).unwrap_or_default()
    }
}
