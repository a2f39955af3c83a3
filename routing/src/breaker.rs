//! A circuit breaker: what failed is left alone for a while, then tried with little, then trusted again.
//!
//! Promise: pure, with clock and randomness handed in. While open nothing passes; at the end of that time at most a few
//! trials pass, and only their success closes it. What began before the last change of state says nothing about the new
//! one, so that stragglers neither close nor open it again. A dead one passes nothing until its thing is changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Fault, Moment, Weight};

/// How breakers judge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerOptions {
    /// Failures in a row that open it.
    pub failures: u32,
    /// The first time that it stays open; each further time is twice as long.
    pub open: Duration,
    /// The longest time that it stays open.
    pub longest_open: Duration,
    /// A provider that asks for a longer pause than this is not believed.
    pub longest_retry_after: Duration,
    /// How much of a time is left to chance, from 0 to 1, so that nodes do not come back together.
    pub jitter: f64,
    /// Calls that may be under way at the same time while it is half-open.
    pub trials: u32,
    /// Trials that must go well, one after the other, to close it.
    pub successes: u32,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures: 5,
            open: Duration::from_secs(5),
            longest_open: Duration::from_secs(600),
            longest_retry_after: Duration::from_secs(3600),
            jitter: 0.2,
            trials: 1,
            successes: 2,
        }
    }
}

/// The state as others are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Everything passes.
    Closed,
    /// Nothing passes before that moment, and then trials.
    Open { until: Moment },
    /// A few trials pass.
    HalfOpen,
    /// Nothing passes until its thing is changed.
    Dead,
}

impl State {
    /// The word in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
            Self::Dead => "dead",
        }
    }
}

/// Why nothing passes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// It opens for trials then.
    Until(Moment),
    /// As many trials as may be are under way.
    Trying,
    /// For ever, as far as this breaker knows.
    Dead,
}

/// A call that passed. It is given back by [`Breaker::succeed`], [`Breaker::fail`] or [`Breaker::leave`], once.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Passed {
    epoch: u64,
    /// It takes the place of a trial no longer.
    heard: bool,
}

/// One breaker.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Breaker {
    phase: Phase,
    /// Counts changes of state.
    epoch: u64,
    /// Times that it opened since it last went well while closed.
    opened: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Closed { failures: u32 },
    Open { until: Moment },
    HalfOpen { trials: u32, successes: u32 },
    Dead,
}

impl Default for Phase {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// What it is at `now`: an open one whose time is over is half-open.
    #[must_use]
    pub fn state(&self, now: Moment) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { until } if until > now => State::Open { until },
            Phase::Open { .. } | Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::Dead => State::Dead,
        }
    }

    /// What others were told: one that nobody has tried yet is still open.
    pub(crate) const fn told_state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { until } => State::Open { until },
            Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::Dead => State::Dead,
        }
    }

    /// Times that it opened since it last went well while closed.
    #[must_use]
    pub const fn opened(&self) -> u32 {
        self.opened
    }

    /// Whether a call would pass.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, now: Moment, options: &BreakerOptions) -> Result<(), Shut> {
        match self.phase {
            Phase::Closed { .. } => Ok(()),
            Phase::Open { until } if until > now => Err(Shut::Until(until)),
            Phase::HalfOpen { trials, .. } if trials >= options.trials => Err(Shut::Trying),
            Phase::Open { .. } | Phase::HalfOpen { .. } => Ok(()),
            Phase::Dead => Err(Shut::Dead),
        }
    }

    /// Lets a call pass.
    ///
    /// # Errors
    /// Why it does not.
    pub fn pass(&mut self, now: Moment, options: &BreakerOptions) -> Result<Passed, Shut> {
        self.check(now, options)?;
        if let Phase::Open { .. } = self.phase {
            self.enter(Phase::HalfOpen { trials: 0, successes: 0 });
        }
        if let Phase::HalfOpen { trials, .. } = &mut self.phase {
            *trials += 1;
        }
        Ok(Passed { epoch: self.epoch, heard: false })
    }

    /// The call's answer has begun: it goes on for long perhaps, and others need not wait for its end.
    pub fn hear(&mut self, passed: &mut Passed) {
        if !std::mem::replace(&mut passed.heard, true) {
            self.free(passed.epoch);
        }
    }

    /// The call went well, to its end.
    pub fn succeed(&mut self, mut passed: Passed, options: &BreakerOptions) {
        self.hear(&mut passed);
        if passed.epoch != self.epoch {
            return;
        }
        match &mut self.phase {
            Phase::Closed { failures } => {
                *failures = 0;
                self.opened = 0;
            }
            Phase::HalfOpen { successes, .. } => {
                *successes += 1;
                if *successes >= options.successes {
                    self.close();
                }
            }
            Phase::Open { .. } | Phase::Dead => {}
        }
    }

    /// The call failed. `chance` is from 0 to 1.
    pub fn fail(&mut self, mut passed: Passed, fault: &Fault, now: Moment, chance: f64, options: &BreakerOptions) {
        self.hear(&mut passed);
        if fault.weight == Weight::Kills {
            self.enter(Phase::Dead);
            return;
        }
        let named = fault.retry_after.map(|pause| pause.min(options.longest_retry_after));
        if passed.epoch != self.epoch {
            // A straggler's word about when to come back still counts.
            if let (Phase::Open { until }, Some(pause)) = (&mut self.phase, named) {
                *until = (*until).max(now.after(pause));
            }
            return;
        }
        let opens = match &mut self.phase {
            Phase::Closed { .. } if fault.weight == Weight::Repeats => false,
            Phase::Closed { failures } => {
                *failures = failures.saturating_add(1);
                fault.weight == Weight::Opens || *failures >= options.failures
            }
            Phase::HalfOpen { .. } => true,
            Phase::Open { .. } | Phase::Dead => false,
        };
        if opens {
            let time = self.open_time(named, chance, options);
            self.opened = self.opened.saturating_add(1);
            self.enter(Phase::Open { until: now.after(time) });
        }
    }

    /// The call came to nothing that says anything: it was let go, or its request was wrong.
    pub fn leave(&mut self, mut passed: Passed) {
        self.hear(&mut passed);
    }

    /// A trial's place is free again.
    const fn free(&mut self, epoch: u64) {
        if epoch == self.epoch
            && let Phase::HalfOpen { trials, .. } = &mut self.phase
        {
            *trials = trials.saturating_sub(1);
        }
    }

    /// Takes over what another node has seen. Whether anything changed.
    pub fn adopt(&mut self, state: State, opened: u32, now: Moment, options: &BreakerOptions) -> bool {
        match (state, self.phase) {
            (State::Closed, Phase::Closed { .. }) | (State::Dead, Phase::Dead) | (State::HalfOpen, _) => return false,
            (State::Closed, _) => self.close(),
            (State::Dead, _) => self.enter(Phase::Dead),
            (State::Open { until }, phase) => {
                // A clock that is wrong elsewhere does not shut a channel for longer than ours would.
                let until = until.min(now.after(options.longest_retry_after));
                if until <= now || phase == (Phase::Open { until }) || phase == Phase::Dead {
                    return false;
                }
                self.opened = opened.max(1);
                self.enter(Phase::Open { until });
            }
        }
        true
    }

    fn open_time(&self, named: Option<Duration>, chance: f64, options: &BreakerOptions) -> Duration {
        let chance = chance.clamp(0.0, 1.0) * options.jitter;
        match named {
            // Never sooner than asked for.
            Some(pause) => pause.mul_f64(1.0 + chance / 2.0),
            None => {
                let doubled = options.open.saturating_mul(1_u32.checked_shl(self.opened.min(20)).unwrap_or(u32::MAX));
                doubled.min(options.longest_open).mul_f64(1.0 - options.jitter / 2.0 + chance)
            }
        }
    }

    /// How often it opened is forgotten only by the next success: whoever seems well and is not rests for longer each
    /// time.
    fn close(&mut self) {
        self.enter(Phase::Closed { failures: 0 });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }
}

#[cfg(test)]
mod spec;
