//! What is known of one channel.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ChannelId;

use super::HealthOptions;
use crate::breaker::{Breaker, Passed};
use crate::change::PartOf;
use crate::decay::Decaying;
use crate::plan::Reason;
use crate::window::LastMinute;
use crate::{Change, Moment, Part};

/// Its breakers, its keys' and its models', and its statistics.
pub(crate) struct ChannelHealth {
    channel: ChannelId,
    pub(super) name: Arc<str>,
    pub(super) breaker: Breaker,
    models: BTreeMap<Arc<str>, Breaker>,
    /// By their names.
    keys: BTreeMap<Arc<str>, Breaker>,
    pub(crate) in_flight: u32,
    pub(crate) first_output: Decaying,
    pub(crate) errors: Decaying,
    pub(crate) requests: LastMinute,
    pub(crate) tokens: LastMinute,
    /// Counts calls, so that keys take turns.
    pub(crate) turn: usize,
    /// When it was last asked.
    pub(super) used: Moment,
}

impl ChannelHealth {
    pub(super) fn new(channel: ChannelId, options: &HealthOptions) -> Self {
        Self {
            channel,
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
    pub(super) fn parts(&self) -> impl Iterator<Item = (Part, &Breaker)> {
        let keys = self.keys.iter().map(|(key, breaker)| (Part::Key { name: (**key).to_owned() }, breaker));
        keys.chain(self.models.iter().map(|(model, breaker)| (Part::Model { name: (**model).to_owned() }, breaker)))
    }

    /// One of its breakers; one of which nothing is known is closed.
    pub(crate) fn breaker(&self, part: PartOf<'_>) -> Option<&Breaker> {
        match part {
            PartOf::Channel => Some(&self.breaker),
            PartOf::Key(name) => self.keys.get(name),
            PartOf::Model(name) => self.models.get(name),
        }
    }

    /// Whether a call would pass a breaker.
    pub(crate) fn check(&self, part: PartOf<'_>, options: &HealthOptions, now: Moment) -> Result<(), Reason> {
        let checked = self.breaker(part).map_or(Ok(()), |breaker| breaker.check(now, &options.breaker_of(part)));
        checked.map_err(|shut| Reason::Shut { part: part.owned(), shut })
    }

    /// Lets a call pass a breaker.
    pub(super) fn pass(
        &mut self,
        part: PartOf<'_>,
        options: &HealthOptions,
        now: Moment,
        changes: &mut Vec<Change>,
    ) -> Result<Passed, Reason> {
        let passed = self.changing(part, "trial", changes, |breaker| breaker.pass(now, &options.breaker_of(part)));
        passed.map_err(|shut| Reason::Shut { part: part.owned(), shut })
    }

    /// Works on one breaker and notes whether its state changed.
    pub(super) fn changing<T>(
        &mut self,
        part: PartOf<'_>,
        cause: &'static str,
        changes: &mut Vec<Change>,
        work: impl FnOnce(&mut Breaker) -> T,
    ) -> T {
        let (from, result, to, opened) = self.on(part, |breaker| {
            // A half-open one that nobody has tried yet is still an open one to those who were told so.
            let from = breaker.told_state();
            (from, work(breaker), breaker.told_state(), breaker.opened())
        });
        if from != to {
            let (channel, name, part) = (self.channel, Arc::clone(&self.name), part.owned());
            changes.push(Change { channel, name, part, from, to, opened, cause });
        }
        result
    }

    /// Works on one breaker; one of which nothing was known is closed.
    pub(super) fn on<T>(&mut self, part: PartOf<'_>, work: impl FnOnce(&mut Breaker) -> T) -> T {
        let (breakers, name) = match part {
            PartOf::Channel => return work(&mut self.breaker),
            PartOf::Key(name) => (&mut self.keys, name),
            PartOf::Model(name) => (&mut self.models, name),
        };
        match breakers.get_mut(name) {
            Some(breaker) => work(breaker),
            None => work(breakers.entry(name.into()).or_default()),
        }
    }
}
