//! What is known about every channel: its breakers, its keys', its models', and its statistics.
//!
//! Promise: pure: the clock is handed in and chance is seeded. Every call that begins ends once; each change of a
//! breaker's state is told once, by [`Health::changes`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ChannelId;
use relay::{KeyRef, RelayError};

use crate::breaker::{Breaker, BreakerOptions, Passed, State};
use crate::change::{PartOf, TOLD};
use crate::decay::Decaying;
use crate::plan::{Reason, within_limits};
use crate::window::LastMinute;
use crate::{Blame, Candidate, Change, Fault, Moment, Part, Weight};

/// How health is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HealthOptions {
    pub breaker: BreakerOptions,
    /// After so long a latency or a failure weighs half.
    pub half_life: Duration,
}

impl Default for HealthOptions {
    fn default() -> Self {
        Self { breaker: BreakerOptions::default(), half_life: Duration::from_secs(60) }
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy)]
pub enum Ended<'e> {
    /// Well; `tokens` of input and output together, where they are known.
    Well { tokens: Option<u64> },
    /// With that error. `repeats` where the same request failed there before.
    Failed { error: &'e RelayError, repeats: bool },
    /// Nobody waited for its end.
    Left,
}

/// A call under way.
#[derive(Debug)]
#[must_use]
pub struct Ticket {
    channel: ChannelId,
    model: Arc<str>,
    key: Option<KeyRef>,
    channel_pass: Passed,
    model_pass: Passed,
    key_pass: Option<Passed>,
    begun: Moment,
    input_tokens: u64,
    heard: bool,
}

/// Everything that is known about all channels.
pub struct Health {
    pub(crate) options: HealthOptions,
    channels: BTreeMap<ChannelId, ChannelHealth>,
    pub(crate) random: fastrand::Rng,
    changes: Vec<Change>,
    /// Nodes that share the channels' limits, this one included.
    nodes: u32,
}

pub(crate) struct ChannelHealth {
    name: Arc<str>,
    pub(crate) breaker: Breaker,
    pub(crate) models: BTreeMap<Arc<str>, Breaker>,
    /// By their names.
    pub(crate) keys: BTreeMap<Arc<str>, Breaker>,
    pub(crate) in_flight: u32,
    pub(crate) first_output: Decaying,
    pub(crate) errors: Decaying,
    pub(crate) requests: LastMinute,
    pub(crate) tokens: LastMinute,
    /// Counts calls, so that keys take turns.
    pub(crate) turn: usize,
    /// When it was last asked.
    used: Moment,
}

impl ChannelHealth {
    fn new(options: &HealthOptions) -> Self {
        Self {
            name: Arc::default(),
            breaker: Breaker::default(),
            models: BTreeMap::new(),
            keys: BTreeMap::new(),
            in_flight: 0,
            first_output: Decaying::new(options.half_life),
            errors: Decaying::new(options.half_life),
            requests: LastMinute::default(),
            tokens: LastMinute::default(),
            turn: 0,
            used: Moment::default(),
        }
    }

    /// The breakers of its keys and models.
    fn parts(&self) -> impl Iterator<Item = (Part, &Breaker)> {
        let keys = self.keys.iter().map(|(key, breaker)| (Part::Key { name: (**key).to_owned() }, breaker));
        keys.chain(self.models.iter().map(|(model, breaker)| (Part::Model { name: (**model).to_owned() }, breaker)))
    }

    pub(crate) fn breaker_mut(&mut self, part: PartOf<'_>) -> &mut Breaker {
        let (breakers, name) = match part {
            PartOf::Channel => return &mut self.breaker,
            PartOf::Key(name) => (&mut self.keys, name),
            PartOf::Model(name) => (&mut self.models, name),
        };
        // Nearly always it is there.
        match breakers.contains_key(name) {
            true => breakers.get_mut(name).unwrap_or(&mut self.breaker),
            false => breakers.entry(name.into()).or_default(),
        }
    }
}

impl Health {
    /// Nothing is known yet; everything is taken to be well. `seed` decides all that is left to chance.
    #[must_use]
    pub fn new(options: HealthOptions, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { options, channels: BTreeMap::new(), random, changes: vec![], nodes: 1 }
    }

    /// So many nodes share the channels' limits; at least one.
    pub fn share_limits(&mut self, nodes: u32) {
        self.nodes = nodes.max(1);
    }

    pub(crate) const fn nodes(&self) -> u32 {
        self.nodes
    }

    pub(crate) fn of(&self, channel: ChannelId) -> Option<&ChannelHealth> {
        self.channels.get(&channel)
    }

    fn entry(&mut self, channel: ChannelId) -> &mut ChannelHealth {
        let options = self.options;
        self.channels.entry(channel).or_insert_with(|| ChannelHealth::new(&options))
    }

    /// The state of one breaker.
    #[must_use]
    pub fn state(&self, channel: ChannelId, part: &Part, now: Moment) -> State {
        let health = self.channels.get(&channel);
        let breaker = health.and_then(|health| match part {
            Part::Channel => Some(&health.breaker),
            Part::Key { name } => health.keys.get(name.as_str()),
            Part::Model { name } => health.models.get(name.as_str()),
        });
        breaker.map_or(State::Closed, |breaker| breaker.state(now))
    }

    /// Takes the changes since the last time, oldest first.
    pub fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Sends a call there.
    ///
    /// # Errors
    /// It may not be sent there now; nothing was counted.
    pub fn begin(
        &mut self,
        candidate: &Candidate,
        key: Option<&KeyRef>,
        input_tokens: u64,
        now: Moment,
    ) -> Result<Ticket, Reason> {
        let (channel, model) = (candidate.channel, Arc::clone(&candidate.model));
        let (nodes, options) = (self.nodes, self.options);
        let health = self.entry(channel);
        // All of them are asked first, so that no trial is begun that another breaker forbids.
        for part in parts_of(&model, key).into_iter().flatten() {
            let checked = health.breaker_mut(part).check(now, &options.breaker_of(part));
            checked.map_err(|shut| Reason::Shut { part: part.owned(), shut })?;
        }
        within_limits(candidate, health, input_tokens, nodes, now)?;
        let channel_pass = self.pass(channel, PartOf::Channel, now)?;
        let model_pass = self.pass(channel, PartOf::Model(&model), now)?;
        let key_pass = key.map(|key| self.pass(channel, PartOf::Key(key.as_str()), now)).transpose()?;
        let health = self.entry(channel);
        health.in_flight += 1;
        health.turn = health.turn.wrapping_add(1);
        health.used = now;
        if health.name != candidate.name {
            health.name = Arc::clone(&candidate.name);
        }
        health.requests.add(1, now);
        health.tokens.add(input_tokens, now);
        let (key, begun) = (key.cloned(), now);
        Ok(Ticket { channel, model, key, channel_pass, model_pass, key_pass, begun, input_tokens, heard: false })
    }

    fn pass(&mut self, channel: ChannelId, part: PartOf<'_>, now: Moment) -> Result<Passed, Reason> {
        let passed = self.changing(channel, part, "trial", |breaker, options, _| breaker.pass(now, options));
        passed.map_err(|shut| Reason::Shut { part: part.owned(), shut })
    }

    /// The first output came. Further ones change nothing.
    pub fn first_output(&mut self, ticket: &mut Ticket, now: Moment) {
        if std::mem::replace(&mut ticket.heard, true) {
            return;
        }
        let health = self.entry(ticket.channel);
        health.first_output.record(now.since(ticket.begun).as_secs_f64(), now);
        health.breaker.hear(&mut ticket.channel_pass);
        if let Some(breaker) = health.models.get_mut(&ticket.model) {
            breaker.hear(&mut ticket.model_pass);
        }
        if let (Some(key), Some(passed)) = (&ticket.key, &mut ticket.key_pass)
            && let Some(breaker) = health.keys.get_mut(key.as_str())
        {
            breaker.hear(passed);
        }
    }

    /// The call is over.
    pub fn end(&mut self, ticket: Ticket, ended: Ended<'_>, now: Moment) {
        let Ticket { channel, model, key, channel_pass, model_pass, key_pass, input_tokens, .. } = ticket;
        let health = self.entry(channel);
        health.in_flight = health.in_flight.saturating_sub(1);
        let fault = match ended {
            Ended::Well { tokens } => {
                health.errors.record(0.0, now);
                health.tokens.add(tokens.unwrap_or_default().saturating_sub(input_tokens), now);
                None
            }
            Ended::Failed { error, .. } => Some(Fault::of(error)),
            Ended::Left => None,
        };
        if fault.is_some_and(|fault| fault.blame != Blame::Nobody) {
            let rate_limited = matches!(ended, Ended::Failed { error: RelayError::UpstreamRateLimited { .. }, .. });
            health.errors.record(f64::from(u8::from(!rate_limited)), now);
        }
        let has_key = key.is_some();
        for (part, passed) in
            parts_of(&model, key.as_ref()).into_iter().zip([Some(channel_pass), Some(model_pass), key_pass])
        {
            let (Some(part), Some(passed)) = (part, passed) else { continue };
            match (ended, fault) {
                (Ended::Well { .. }, _) => {
                    self.changing(channel, part, "recovered", |breaker, options, _| breaker.succeed(passed, options));
                }
                (Ended::Failed { error, repeats }, Some(fault)) if is_to_blame(fault.blame, part, has_key) => {
                    let weight = if repeats && fault.weight == Weight::Counts { Weight::Repeats } else { fault.weight };
                    // Nobody could change a key that there is not: the channel rests and is tried again.
                    let weight = if weight == Weight::Kills && !has_key { Weight::Opens } else { weight };
                    let fault = Fault { weight, ..fault };
                    self.changing(channel, part, error.code(), |breaker, options, chance| {
                        breaker.fail(passed, &fault, now, chance, options);
                    });
                }
                _ => self.entry(channel).breaker_mut(part).leave(passed),
            }
        }
    }

    /// Takes over what another node has seen. Whether it was news.
    pub fn adopt(&mut self, channel: ChannelId, part: &Part, state: State, opened: u32, now: Moment) -> bool {
        self.entry(channel).used = now;
        self.changing(channel, part.into(), TOLD, |breaker, options, _| breaker.adopt(state, opened, now, options))
    }

    /// Closes a dead breaker: somebody who knows says that its thing works again, or shall be tried. Whether it was one.
    pub fn resume(&mut self, channel: ChannelId, part: &Part, now: Moment) -> bool {
        self.changing(channel, part.into(), "resumed", |breaker, options, _| {
            breaker.state(now) == State::Dead && breaker.adopt(State::Closed, 0, now, options)
        })
    }

    /// Begins to probe one breaker, as a trial.
    ///
    /// # Errors
    /// It is no time for a trial.
    pub fn begin_probe(&mut self, channel: ChannelId, part: &Part, now: Moment) -> Result<Passed, Reason> {
        self.pass(channel, part.into(), now)
    }

    /// The probe is over. A failure that tells against somebody keeps the breaker open, whomever it tells against.
    pub fn end_probe(
        &mut self,
        (channel, part, passed): (ChannelId, &Part, Passed),
        result: Result<(), &RelayError>,
        now: Moment,
    ) {
        let part = PartOf::from(part);
        match result.map_err(|error| (error, Fault::of(error))) {
            Ok(()) => self.changing(channel, part, "probed", |breaker, options, _| breaker.succeed(passed, options)),
            Err((_, fault)) if fault.blame == Blame::Nobody => self.entry(channel).breaker_mut(part).leave(passed),
            Err((error, fault)) => self.changing(channel, part, error.code(), |breaker, options, chance| {
                breaker.fail(passed, &fault, now, chance, options);
            }),
        }
    }

    /// Every breaker that is not closed, for whoever has missed changes.
    #[must_use]
    pub fn ill(&self) -> Vec<Change> {
        let mut ill = vec![];
        for (channel, health) in &self.channels {
            let own = [(Part::Channel, &health.breaker)].into_iter();
            for (part, breaker) in own.chain(health.parts()) {
                let to = breaker.told_state();
                if to != State::Closed {
                    let (name, opened) = (Arc::clone(&health.name), breaker.opened());
                    ill.push(Change { channel: *channel, name, part, from: State::Closed, to, opened, cause: TOLD });
                }
            }
        }
        ill
    }

    /// Breakers whose time is over and that nobody tries: what a probe should try. A channel's own comes before its
    /// models' and keys', which are not listed while it is shut.
    #[must_use]
    pub fn due(&self, now: Moment) -> Vec<(ChannelId, Part)> {
        let mut due = vec![];
        for (channel, health) in &self.channels {
            let is_due = |part: &Part, breaker: &Breaker| {
                let half_open = breaker.state(now) == State::HalfOpen;
                half_open && breaker.check(now, &self.options.breaker_of(part.into())).is_ok()
            };
            if is_due(&Part::Channel, &health.breaker) {
                due.push((*channel, Part::Channel));
            }
            if health.breaker.state(now) != State::Closed {
                continue;
            }
            due.extend(
                health.parts().filter(|(part, breaker)| is_due(part, breaker)).map(|(part, _)| (*channel, part)),
            );
        }
        due
    }

    /// Forgets channels that nobody has asked since `before` and that have nothing under way.
    pub fn forget(&mut self, before: Moment) {
        self.channels.retain(|_, health| health.used >= before || health.in_flight > 0);
    }

    /// Works on one breaker and notes whether its state changed.
    fn changing<T>(
        &mut self,
        channel: ChannelId,
        part: PartOf<'_>,
        cause: &'static str,
        work: impl FnOnce(&mut Breaker, &BreakerOptions, f64) -> T,
    ) -> T {
        let (options, chance) = (self.options.breaker_of(part), self.random.f64());
        let health = self.entry(channel);
        let breaker = health.breaker_mut(part);
        // A half-open one that nobody has tried yet is still an open one to those who were told so.
        let from = breaker.told_state();
        let result = work(breaker, &options, chance);
        let (to, opened) = (breaker.told_state(), breaker.opened());
        if from != to {
            let (name, part) = (Arc::clone(&health.name), part.owned());
            self.changes.push(Change { channel, name, part, from, to, opened, cause });
        }
        result
    }
}

impl HealthOptions {
    /// The narrowest opens first: a channel's bears twice as much, so that one bad model does not shut the others.
    pub(crate) const fn breaker_of(&self, part: PartOf<'_>) -> BreakerOptions {
        match part {
            PartOf::Channel => BreakerOptions { failures: self.breaker.failures.saturating_mul(2), ..self.breaker },
            PartOf::Key(_) | PartOf::Model(_) => self.breaker,
        }
    }
}

/// The breakers that a call passes: of its channel, its model and its key.
fn parts_of<'p>(model: &'p str, key: Option<&'p KeyRef>) -> [Option<PartOf<'p>>; 3] {
    [Some(PartOf::Channel), Some(PartOf::Model(model)), key.map(|key| PartOf::Key(key.as_str()))]
}

const fn is_to_blame(blame: Blame, part: PartOf<'_>, has_key: bool) -> bool {
    match (blame, part) {
        (Blame::Upstream | Blame::Channel, PartOf::Channel)
        | (Blame::Upstream | Blame::Model, PartOf::Model(_))
        | (Blame::Key, PartOf::Key(_)) => true,
        (Blame::Key, PartOf::Channel) => !has_key,
        _ => false,
    }
}

#[cfg(test)]
mod spec;
