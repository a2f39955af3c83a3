//! The one router of a process: health with a clock and a lock around it, and who is told of changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use domain::ChannelId;
use relay::{KeyRef, RelayError};
use tokio::sync::broadcast;

use crate::budget::{BudgetOptions, RetryBudget};
use crate::illness::{Note, Notes};
use crate::{
    Candidate, Change, Choice, Ended, Health, HealthOptions, Illness, Moment, Part, Passed, Plan, Reason, State,
    Ticket, Tried, Wish,
};

/// Changes that a listener may be behind by.
const CHANGES_KEPT: usize = 1024;

/// How a router judges.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RouterOptions {
    pub health: HealthOptions,
    pub budget: BudgetOptions,
}

/// What one process knows about all channels. One for all its requests; every lock is held for microseconds.
pub struct Router {
    core: Mutex<Core>,
    /// Written where something changes, read by operators.
    notes: Mutex<Notes>,
    clock: Clock,
    changes: broadcast::Sender<Change>,
}

struct Core {
    health: Health,
    budget: RetryBudget,
}

/// The wall's time as of the start, and a clock that never goes back from then on.
#[derive(Debug, Clone, Copy)]
struct Clock {
    wall: Moment,
    start: Instant,
}

impl Clock {
    fn new() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall: Moment::default().after(wall), start: Instant::now() }
    }

    fn at(&self, instant: Instant) -> Moment {
        self.wall.after(instant.saturating_duration_since(self.start))
    }
}

impl Router {
    /// One that knows nothing yet and takes everybody to be well.
    #[must_use]
    pub fn new(options: RouterOptions) -> Arc<Self> {
        let clock = Clock::new();
        let core = Core {
            health: Health::new(options.health, fastrand::u64(..)),
            budget: RetryBudget::new(options.budget, clock.at(Instant::now())),
        };
        let changes = broadcast::Sender::new(CHANGES_KEPT);
        Arc::new(Self { core: Mutex::new(core), notes: Mutex::default(), clock, changes })
    }

    /// The changes of all breakers from now on; those that other nodes told of are among them, with the cause `told`.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Every breaker that is not closed.
    #[must_use]
    pub fn ill(&self) -> Vec<Change> {
        self.core().health.ill()
    }

    /// Every breaker that is not closed, as operators see it: by channel, itself before its keys and models.
    #[must_use]
    pub fn illnesses(&self) -> Vec<Illness> {
        let now = self.now();
        let (notes, core) = (self.notes(), self.core());
        let told = |Change { channel, part, opened, .. }: Change| {
            let state = core.health.state(channel, &part, now);
            // Only between a change and its note there is none.
            let note = notes.of(channel, &part);
            let Note { since, cause, seen_here } = note.unwrap_or_else(|| Note::new(now));
            Illness { channel, part, state, since, cause: cause.into_owned(), seen_here, opened }
        };
        let mut ill: Vec<Illness> = core.health.ill().into_iter().map(told).collect();
        ill.sort_by(|one, other| (one.channel, &one.part).cmp(&(other.channel, &other.part)));
        ill
    }

    /// The state of one breaker.
    #[must_use]
    pub fn state(&self, channel: ChannelId, part: &Part) -> State {
        self.core().health.state(channel, part, self.now())
    }

    /// Takes over what another node has seen.
    pub fn adopt(&self, channel: ChannelId, part: &Part, state: State, opened: u32) {
        let now = self.now();
        self.working(|core| core.health.adopt(channel, part, state, opened, now));
    }

    /// A key that the house knows to be void: it is not used from now on.
    pub fn suspend(&self, channel: ChannelId, key: &str) {
        self.adopt(channel, &Part::Key { name: key.to_owned() }, State::Dead, 0);
    }

    /// A key that was suspended shall be used again; other nodes are told.
    pub fn resume(&self, channel: ChannelId, key: &str) {
        let now = self.now();
        self.working(|core| core.health.resume(channel, &Part::Key { name: key.to_owned() }, now));
    }

    /// So many nodes share the channels' limits, this one included.
    pub fn share_limits(&self, nodes: u32) {
        self.core().health.share_limits(nodes);
    }

    /// Nodes that share the channels' limits, this one included.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.core().health.nodes()
    }

    /// Forgets channels that nobody has asked for so long.
    pub fn forget(&self, unused_for: Duration) {
        let before = Moment::from_millis(self.now().as_millis().saturating_sub(unused_for.as_millis() as u64));
        let ill = {
            let mut core = self.core();
            core.health.forget(before);
            core.health.ill()
        };
        self.notes().keep(&ill);
    }

    /// The places of `candidates` in the order in which they would be asked now; those who would not be come last.
    #[must_use]
    pub fn order(&self, candidates: &[Candidate], wish: &Wish) -> Vec<usize> {
        let plan = self.plan(candidates, wish, &[]);
        let mut places = vec![];
        let left_out = plan.left_out.iter().map(|left| left.candidate);
        for place in plan.order.iter().map(|choice| choice.candidate).chain(left_out) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    /// Since when and why a breaker that is not closed is not, for other nodes.
    pub(crate) fn noted(&self, channel: ChannelId, part: &Part) -> Option<Note> {
        self.notes().of(channel, part)
    }

    /// What another node says of a breaker that it told of.
    pub(crate) fn note(&self, channel: ChannelId, part: &Part, since: Moment, cause: &str) {
        self.notes().hear(channel, part, since, cause);
    }

    pub(crate) fn now(&self) -> Moment {
        self.at(Instant::now())
    }

    /// When that was.
    pub(crate) fn at(&self, instant: Instant) -> Moment {
        self.clock.at(instant)
    }

    pub(crate) fn plan(&self, candidates: &[Candidate], wish: &Wish, tried: &[Tried]) -> Plan {
        let now = self.now();
        self.core().health.plan(candidates, wish, tried, now)
    }

    pub(crate) fn begin(
        &self,
        candidate: &Candidate,
        choice: &Choice,
        input_tokens: u64,
        now: Moment,
    ) -> Result<Ticket, Reason> {
        self.working(|core| core.health.begin(candidate, choice.key.as_ref(), input_tokens, now))
    }

    /// The same where there is nobody else to ask, with what it was begun with.
    pub(crate) fn begin_only(
        &self,
        candidate: &Candidate,
        wish: &Wish,
        now: Moment,
    ) -> Option<(Option<KeyRef>, Ticket)> {
        self.working(|core| core.health.begin_only(candidate, wish, now))
    }

    pub(crate) fn first_output(&self, ticket: &mut Ticket) {
        let now = self.now();
        self.core().health.first_output(ticket, now);
    }

    pub(crate) fn end(&self, ticket: Ticket, ended: Ended<'_>) {
        let now = self.now();
        self.working(|core| core.health.end(ticket, ended, now));
    }

    /// All of an answer came at once.
    pub(crate) fn whole(&self, mut ticket: Ticket, ended: Ended<'_>) {
        let now = self.now();
        self.working(|core| {
            core.health.first_output(&mut ticket, now);
            core.health.end(ticket, ended, now);
        });
    }

    /// A request begins: it earns its share of a retry.
    pub(crate) fn earn(&self, now: Moment) {
        self.core().budget.earn(now);
    }

    /// Whether another try may be made for any request.
    pub(crate) fn may_retry(&self) -> bool {
        let now = self.now();
        let may = self.core().budget.take(now);
        if !may {
            metrics::counter!("routing_retries_refused_total").increment(1);
        }
        may
    }

    pub(crate) fn due(&self) -> Vec<(ChannelId, Part)> {
        let now = self.now();
        self.core().health.due(now)
    }

    pub(crate) fn begin_probe(&self, channel: ChannelId, part: &Part) -> Result<Passed, Reason> {
        let now = self.now();
        self.working(|core| core.health.begin_probe(channel, part, now))
    }

    pub(crate) fn end_probe(&self, probe: (ChannelId, &Part, Passed), result: Result<(), &RelayError>) {
        let now = self.now();
        self.working(|core| core.health.end_probe(probe, result, now));
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken before the core's lock, never within it.
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on what is known and tells everybody what changed by it.
    fn working<T>(&self, work: impl FnOnce(&mut Core) -> T) -> T {
        let (result, changes) = {
            let mut core = self.core();
            let result = work(&mut core);
            (result, core.health.changes())
        };
        for change in changes {
            self.notes().take(&change, self.now());
            told(&change);
            // Nobody may listen.
            let _ = self.changes.send(change);
        }
        result
    }
}

/// A line in the log and a count, for each change that was seen here.
fn told(change: &Change) {
    let Change { channel, name, part, from, to, opened, cause } = change;
    let (from, to) = (from.as_str(), to.as_str());
    match part {
        Part::Channel => tracing::info!(%channel, %name, from, to, opened, cause, "a channel's health changed"),
        Part::Key { name: key } => {
            tracing::info!(%channel, %name, key, from, to, opened, cause, "the health of a channel's key changed");
        }
        Part::Model { name: model } => {
            tracing::info!(%channel, %name, model, from, to, opened, cause, "the health of a channel's model changed");
        }
    }
    if !change.was_told() && from != to {
        let name = name.to_string();
        metrics::counter!("routing_health_changes_total", "channel" => name, "part" => part.as_str(), "state" => to)
            .increment(1);
    }
}
