//! The task that decides and forms groups.
//!
//! It owns everything it works on and never waits for anything but its next event: loads, transactions and pauses run
//! beside it. Jobs are tried oldest first; one whose aggregate is loading or in a group under way waits for exactly that
//! and keeps its place.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use futures::FutureExt as _;
use nats::Outcome;
use tokio::{sync::mpsc, task::JoinSet, time::sleep};

use super::{
    GroupOptions,
    flush::{Flushed, Line},
    groups::{Forming, Group, Member},
    hot::Hot,
    jobs::{CommandKey, Job, Waiting},
    loads::Loads,
};
use crate::{
    bus::BusError,
    cache::{AggregateCache, HotState, Key},
    store::{PgEventStore, StoreError},
    unit::{NotHot, Stop, Touched, Unit},
};

/// What happened beside the task.
enum Event {
    Loaded(Key, Result<HotState, StoreError>),
    /// With the connection, if it can be used again.
    Flushed(u64, Flushed, Option<Line>),
    Rested(Job),
}

pub(super) struct Former {
    store: PgEventStore,
    options: GroupOptions,
    wake: mpsc::Sender<()>,
    hot: Hot,
    waiting: Waiting,
    loads: Loads,
    forming: Forming,
    flights: HashMap<u64, Group>,
    next_flight: u64,
    /// Connections without a group: never more than there may be groups.
    lines: Vec<Line>,
    /// A job lost patience: no group is begun until none is under way, and then it finds all its aggregates.
    calm: bool,
    beside: JoinSet<Event>,
}

impl Former {
    pub(super) fn new(
        store: PgEventStore,
        cache: AggregateCache,
        wake: mpsc::Sender<()>,
        options: GroupOptions,
    ) -> Self {
        Self {
            store,
            wake,
            hot: Hot::new(cache),
            waiting: Waiting::default(),
            loads: Loads::new(options.loads_at_once),
            forming: Forming::new(&options),
            flights: HashMap::new(),
            next_flight: 0,
            lines: vec![],
            calm: false,
            beside: JoinSet::new(),
            options,
        }
    }

    /// Works until nobody can submit any more and everything has been answered.
    pub(super) async fn run(mut self, inbox: &mut mpsc::UnboundedReceiver<Job>) {
        let mut open = true;
        while open || !self.beside.is_empty() {
            tokio::select! {
                Some(event) = self.beside.join_next() => self.happened(event),
                job = inbox.recv(), if open => match job {
                    Some(job) => self.waiting.arrive(job),
                    None => open = false,
                },
            }
            while let Ok(job) = inbox.try_recv() {
                self.waiting.arrive(job);
            }
            while let Some(event) = self.beside.try_join_next() {
                self.happened(event);
            }
            self.form_groups();
            self.load_more();
        }
    }

    fn happened(&mut self, event: Result<Event, tokio::task::JoinError>) {
        match event {
            Ok(Event::Loaded(key, loaded)) => self.loaded(&key, loaded),
            Ok(Event::Flushed(flight, flushed, line)) => {
                self.lines.extend(line);
                self.landed(flight, flushed);
            }
            Ok(Event::Rested(job)) => self.waiting.put_back(job),
            // Panics are caught inside, so this is the runtime shutting down.
            Err(error) => tracing::error!(%error, "a task of the committer ended"),
        }
    }

    /// Decides all that can be decided now, and sends off as many groups as there are slots.
    fn form_groups(&mut self) {
        loop {
            if self.calm && !self.flights.is_empty() {
                return;
            }
            // Whoever lost patience is the next to be taken in, as soon as there is room.
            self.calm &= self.forming.is_full();
            self.gather();
            if self.forming.members.is_empty() {
                let lost = self.hot.send_away();
                if lost.is_empty() {
                    return;
                }
                // Their job panicked, and others may wait for them.
                lost.into_iter().for_each(|(key, held)| self.come_back(&key, held.state));
                continue;
            }
            if self.flights.len() >= self.options.groups_in_flight || (self.calm && !self.flights.is_empty()) {
                return;
            }
            self.begin();
        }
    }

    /// Decides what waits, oldest first, until the group is full.
    fn gather(&mut self) {
        while !self.forming.is_full()
            && let Some(job) = self.waiting.next()
        {
            if job.is_abandoned() {
                self.finish(job, Err(BusError::Conflict));
                continue;
            }
            if !self.forming.suits(&job) {
                self.waiting.put_back(job);
                continue;
            }
            let Some(job) = self.waiting.park_twin(job) else { continue };
            match self.decide(&job) {
                Ok((touched, outcome)) if self.forming.has_room_for(&touched) => self.enlist(job, touched, outcome),
                Ok(_) => self.waiting.put_back(job),
                Err(Stop::NotHot(not_hot)) => self.wait_for(job, not_hot),
                Err(stop) => self.finish(job, Err(BusError::Bug(stop.to_string()))),
            }
        }
    }

    fn decide(&self, job: &Job) -> Result<(Vec<Touched>, Outcome), Stop> {
        let decided = catch_unwind(AssertUnwindSafe(|| {
            let mut unit = Unit::new(&self.hot);
            let ended = (job.decide)(&mut unit);
            unit.end(ended)
        }));
        decided.unwrap_or_else(|_| Err(Stop::Malformed("deciding panicked".to_owned())))
    }

    /// Makes `job` a member of the group that is being formed.
    fn enlist(&mut self, mut job: Job, touched: Vec<Touched>, outcome: Outcome) {
        metrics::counter!("aggregate_cache_hits_total").increment(touched.len() as u64);
        if self.hot.hold(touched, &job.metadata).is_err() {
            self.finish(job, Err(BusError::Bug("applying the events panicked".to_owned())));
            return;
        }
        self.unpin(&mut job);
        if let Some(record) = &job.record {
            self.waiting.expect_twins(record);
        }
        self.forming.take(job, outcome);
    }

    fn wait_for(&mut self, mut job: Job, NotHot { key, load }: NotHot) {
        if let Some(load) = load {
            self.hot.cache.pin(&key);
            job.pins.push(key.clone());
            self.loads.want(&key, load, job.pins.len() > 1);
        } else {
            job.bounces += 1;
            self.calm |= job.bounces >= self.options.patience;
        }
        self.waiting.block(key, job);
    }

    /// What is pinned bounds what is loaded.
    fn load_more(&mut self) {
        while let Some((key, load)) = self.loads.next(!self.hot.cache.is_full_of_pins()) {
            let loading = AssertUnwindSafe(load(self.store.clone(), key.1.clone())).catch_unwind();
            self.beside.spawn(async move {
                let panicked = |_| Err(StoreError::Unreadable("reading panicked".to_owned()));
                Event::Loaded(key, loading.await.unwrap_or_else(panicked))
            });
        }
    }

    fn loaded(&mut self, key: &Key, loaded: Result<HotState, StoreError>) {
        self.loads.ended(key);
        match loaded {
            Ok(state) => {
                self.hot.cache.put(key.clone(), state);
                self.waiting.unblock(key);
            }
            Err(error) => {
                for job in self.waiting.take_blocked(key) {
                    self.finish(job, Err((&error).into()));
                }
            }
        }
    }

    /// Sends the group that was formed on its way.
    fn begin(&mut self) {
        let formed = std::mem::replace(&mut self.forming, Forming::new(&self.options));
        let (group, batch) = Group::leaving(formed.members, self.hot.send_away());
        #[expect(clippy::cast_precision_loss, reason = "at most hundreds")]
        metrics::histogram!("command_group_size").record(group.members.len() as f64);
        let (flight, store, time_limit) = (self.next_flight, self.store.clone(), self.options.time_limit);
        let rested = self.lines.pop();
        self.next_flight += 1;
        self.flights.insert(flight, group);
        self.beside.spawn(async move {
            let flushed = AssertUnwindSafe(batch.flush(&store, rested, time_limit)).catch_unwind().await;
            let panicked = |_| (Flushed::Unknown("committing panicked".to_owned()), None);
            let (flushed, line) = flushed.unwrap_or_else(panicked);
            Event::Flushed(flight, flushed, line)
        });
    }

    /// A group has ended. Only what was committed is known from now on.
    fn landed(&mut self, flight: u64, flushed: Flushed) {
        let Some(group) = self.flights.remove(&flight) else { return };
        metrics::histogram!("command_group_seconds").record(group.begun.elapsed().as_secs_f64());
        let committed = matches!(flushed, Flushed::Committed);
        for (key, held) in group.held {
            self.come_back(&key, held.state.filter(|_| committed));
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("aggregate_cache_bytes").set(self.hot.cache.weight_bytes() as f64);
        if committed && group.has_events {
            // Full: it is about to be told anyway.
            let _ = self.wake.try_send(());
        }
        match flushed {
            Flushed::Committed => {
                for (job, outcome) in group.members {
                    self.answer_twins(&job, Some((job.request_hash(), &outcome)));
                    self.finish(job, Ok(outcome));
                }
            }
            Flushed::Decided(known) => self.decided_before(group.members, &known),
            Flushed::Conflict => self.decide_again(group.members, None),
            Flushed::Rejected(error) => self.decide_again(group.members, Some(&error)),
            Flushed::Unknown(error) => {
                for (job, _) in group.members {
                    self.answer_twins(&job, None);
                    self.finish(job, Err(BusError::Unavailable(error.clone())));
                }
            }
        }
    }

    /// Some of the group are repetitions: they get their old answer, the others are decided again without them.
    fn decided_before(&mut self, members: Vec<Member>, known: &HashMap<CommandKey, (Vec<u8>, Outcome)>) {
        if known.is_empty() {
            // They were pruned this very moment.
            return self.decide_again(members, None);
        }
        for (job, _) in members {
            match job.record.as_ref().and_then(|record| Some((record, known.get(&record.key)?))) {
                Some((record, (hash, outcome))) => {
                    let answer = record.repeated(hash, outcome);
                    self.answer_twins(&job, Some((hash, outcome)));
                    self.finish(job, Ok(answer));
                }
                None => {
                    self.answer_twins(&job, None);
                    self.waiting.put_back(job);
                }
            }
        }
    }

    /// Halves the company of all, so that whatever the reason is, it is soon alone with it and the others are not.
    fn decide_again(&mut self, members: Vec<Member>, rejected: Option<&str>) {
        let size = members.len();
        if rejected.is_none() {
            metrics::counter!("command_conflicts_total").increment(1);
        }
        for (mut job, _) in members {
            self.answer_twins(&job, None);
            if size > 1 {
                job.company = size / 2;
                self.waiting.put_back(job);
                continue;
            }
            if let Some(error) = rejected {
                self.finish(job, Err(BusError::Bug(error.to_owned())));
                continue;
            }
            job.conflicts += 1;
            if job.conflicts >= self.options.max_conflicts {
                self.finish(job, Err(BusError::Conflict));
                continue;
            }
            let pause = pause(job.conflicts);
            self.beside.spawn(async move {
                sleep(pause).await;
                Event::Rested(job)
            });
        }
    }

    /// Other deliveries of the same command: the answer is theirs too, or else they are on their own.
    fn answer_twins(&mut self, job: &Job, answer: Option<(&[u8], &Outcome)>) {
        let Some(record) = &job.record else { return };
        for twin in self.waiting.take_twins(record) {
            match (answer, &twin.record) {
                (Some((hash, outcome)), Some(repeated)) => {
                    let answer = repeated.repeated(hash, outcome);
                    self.finish(twin, Ok(answer));
                }
                _ => self.waiting.put_back(twin),
            }
        }
    }

    fn come_back(&mut self, key: &Key, state: Option<HotState>) {
        self.hot.come_back(key, state);
        self.waiting.unblock(key);
    }

    fn finish(&mut self, mut job: Job, answer: Result<Outcome, BusError>) {
        self.unpin(&mut job);
        job.answer(answer);
    }

    fn unpin(&mut self, job: &mut Job) {
        for key in job.pins.drain(..) {
            self.hot.cache.unpin(&key);
        }
    }
}

/// Grows from 2 ms, with jitter so that two losers do not meet again.
fn pause(conflicts: u32) -> Duration {
    let ceiling = 2_u64 << conflicts.min(7);
    Duration::from_millis(ceiling / 2 + uuid::Uuid::new_v4().as_u64_pair().0 % (ceiling / 2 + 1))
}
