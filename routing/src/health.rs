//! What is known about every channel: its breakers, its keys', its models', and its statistics.
//!
//! Promise: pure: the clock is handed in and chance is seeded. Every call that begins ends once; each change of a
//! breaker's state is told once, by [`Health::changes`].

mod channel;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ChannelId;
use relay::{KeyRef, RelayError};

pub(crate) use self::channel::ChannelHealth;
use crate::breaker::{Breaker, BreakerOptions, Passed, State};
use crate::change::{PartOf, TOLD};
use crate::plan::{Reason, in_turn, is_too_small, within_limits};
use crate::{Blame, Candidate, Change, Fault, Moment, Part, Weight, Wish};

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

    /// What is known of one channel, and where its changes are noted.
    fn entry(&mut self, channel: ChannelId) -> (&mut ChannelHealth, &mut Vec<Change>) {
        let Self { options, channels, changes, .. } = self;
        (channels.entry(channel).or_insert_with(|| ChannelHealth::new(channel, options)), changes)
    }

    /// The state of one breaker.
    #[must_use]
    pub fn state(&self, channel: ChannelId, part: &Part, now: Moment) -> State {
        let breaker = self.of(channel).and_then(|health| health.breaker(part.into()));
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
        let (nodes, options) = (self.nodes, self.options);
        let (health, changes) = self.entry(candidate.channel);
        // All of them are asked first, so that no trial is begun that another breaker forbids.
        for part in parts_of(&candidate.model, key).into_iter().flatten() {
            health.check(part, &options, now)?;
        }
        within_limits(candidate, health, input_tokens, nodes, now)?;
        let mut pass = |part: PartOf<'_>| health.pass(part, &options, now, changes);
        let (channel_pass, model_pass) = (pass(PartOf::Channel)?, pass(PartOf::Model(&candidate.model))?);
        let key_pass = key.map(|key| pass(PartOf::Key(key.as_str()))).transpose()?;
        health.in_flight += 1;
        health.turn = health.turn.wrapping_add(1);
        health.used = now;
        if !Arc::ptr_eq(&health.name, candidate.name.name()) {
            health.name = Arc::clone(candidate.name.name());
        }
        health.requests.add(1, now);
        health.tokens.add(input_tokens, now);
        Ok(Ticket {
            channel: candidate.channel,
            model: Arc::clone(&candidate.model),
            key: key.cloned(),
            channel_pass,
            model_pass,
            key_pass,
            begun: now,
            input_tokens,
            heard: false,
        })
    }

    /// Sends a call to the only candidate there is, with the first of its keys that may be used: what a plan comes to where
    /// there is nobody to weigh it against. `None` where it may not be asked; a plan says why.
    pub fn begin_only(&mut self, candidate: &Candidate, wish: &Wish, now: Moment) -> Option<(Option<KeyRef>, Ticket)> {
        if is_too_small(candidate, wish) {
            return None;
        }
        let turn = self.of(candidate.channel).map_or(0, |health| health.turn);
        in_turn(candidate, turn, wish).find_map(|key| {
            let ticket = self.begin(candidate, key.as_ref(), wish.input_tokens, now).ok()?;
            Some((key, ticket))
        })
    }

    /// The first output came. Further ones change nothing.
    pub fn first_output(&mut self, ticket: &mut Ticket, now: Moment) {
        if std::mem::replace(&mut ticket.heard, true) {
            return;
        }
        let (health, _) = self.entry(ticket.channel);
        health.first_output.record(now.since(ticket.begun).as_secs_f64(), now);
        let Ticket { model, key, channel_pass, model_pass, key_pass, .. } = ticket;
        let passes = [Some(channel_pass), Some(model_pass), key_pass.as_mut()];
        for (part, passed) in parts_of(model, key.as_ref()).into_iter().zip(passes) {
            if let (Some(part), Some(passed)) = (part, passed) {
                health.on(part, |breaker| breaker.hear(passed));
            }
        }
    }

    /// The call is over.
    pub fn end(&mut self, ticket: Ticket, ended: Ended<'_>, now: Moment) {
        let Ticket { channel, model, key, channel_pass, model_pass, key_pass, input_tokens, .. } = ticket;
        let (options, random) = (self.options, &mut self.random);
        let health = self.channels.entry(channel).or_insert_with(|| ChannelHealth::new(channel, &options));
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
        let passes = [Some(channel_pass), Some(model_pass), key_pass];
        for (part, passed) in parts_of(&model, key.as_ref()).into_iter().zip(passes) {
            let (Some(part), Some(passed)) = (part, passed) else { continue };
            let options = options.breaker_of(part);
            match (ended, fault) {
                (Ended::Well { .. }, _) => {
                    let succeed = |breaker: &mut Breaker| breaker.succeed(passed, &options);
                    health.changing(part, "recovered", &mut self.changes, succeed);
                }
                (Ended::Failed { error, repeats }, Some(fault)) if is_to_blame(fault.blame, part, has_key) => {
                    let weight = if repeats && fault.weight == Weight::Counts { Weight::Repeats } else { fault.weight };
                    // Nobody could change a key that there is not: the channel rests and is tried again.
                    let weight = if weight == Weight::Kills && !has_key { Weight::Opens } else { weight };
                    let (fault, chance) = (Fault { weight, ..fault }, random.f64());
                    let fail = |breaker: &mut Breaker| breaker.fail(passed, &fault, now, chance, &options);
                    health.changing(part, error.code(), &mut self.changes, fail);
                }
                _ => health.on(part, |breaker| breaker.leave(passed)),
            }
        }
    }

    /// Takes over what another node has seen. Whether it was news.
    pub fn adopt(&mut self, channel: ChannelId, part: &Part, state: State, opened: u32, now: Moment) -> bool {
        let (part, options) = (PartOf::from(part), self.options);
        let (health, changes) = self.entry(channel);
        health.used = now;
        health.changing(part, TOLD, changes, |breaker| breaker.adopt(state, opened, now, &options.breaker_of(part)))
    }

    /// Closes a dead breaker: somebody who knows says that its thing works again, or shall be tried. Whether it was one.
    pub fn resume(&mut self, channel: ChannelId, part: &Part, now: Moment) -> bool {
        let (part, options) = (PartOf::from(part), self.options);
        let (health, changes) = self.entry(channel);
        health.changing(part, "resumed", changes, |breaker| {
            breaker.state(now) == State::Dead && breaker.adopt(State::Closed, 0, now, &options.breaker_of(part))
        })
    }

    /// Begins to probe one breaker, as a trial.
    ///
    /// # Errors
    /// It is no time for a trial.
    pub fn begin_probe(&mut self, channel: ChannelId, part: &Part, now: Moment) -> Result<Passed, Reason> {
        let options = self.options;
        let (health, changes) = self.entry(channel);
        health.pass(part.into(), &options, now, changes)
    }

    /// The probe is over. A failure that tells against somebody keeps the breaker open, whomever it tells against.
    pub fn end_probe(
        &mut self,
        (channel, part, passed): (ChannelId, &Part, Passed),
        result: Result<(), &RelayError>,
        now: Moment,
    ) {
        let part = PartOf::from(part);
        let (options, chance) = (self.options.breaker_of(part), self.random.f64());
        let (health, changes) = self.entry(channel);
        match result.map_err(|error| (error, Fault::of(error))) {
            Ok(()) => health.changing(part, "probed", changes, |breaker| breaker.succeed(passed, &options)),
            Err((_, fault)) if fault.blame == Blame::Nobody => health.on(part, |breaker| breaker.leave(passed)),
            Err((error, fault)) => health.changing(part, error.code(), changes, |breaker| {
                breaker.fail(passed, &fault, now, chance, &options);
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
