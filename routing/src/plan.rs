//! In which order candidates are asked, and why others are not.
//!
//! Promise: pure, with clock and chance handed in. Who is ill, full or too small is left out with a reason; of the rest a
//! lower tier comes only after every higher one, and whom this request failed at comes last. Preference never beats
//! health.

use std::cmp::Ordering;
use std::time::Duration;

use domain::relay::Strategy;
use relay::KeyRef;

use crate::breaker::Shut;
use crate::change::PartOf;
use crate::health::ChannelHealth;
use crate::{Candidate, Health, Moment, Part, Tried, Wish};

/// Latencies within this factor of the best are as good: else one channel gets everything until it is slow.
const AS_FAST: f64 = 1.1;
/// A channel that fails all the time is still of some latency.
const LEAST_SUCCESS: f64 = 0.05;

/// Whom to ask, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub order: Vec<Choice>,
    pub left_out: Vec<LeftOut>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its place in the list of candidates.
    pub candidate: usize,
    pub key: Option<KeyRef>,
    /// This request failed there before: it is asked again only after a pause.
    pub again: bool,
}

/// Who is not asked.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// Its place in the list of candidates.
    pub candidate: usize,
    pub reason: Reason,
}

/// Why a candidate is not asked now.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// A breaker.
    Shut { part: Part, shut: Shut },
    /// The channel takes no more requests in this minute.
    RequestsPerMinute { until: Moment },
    /// The channel takes no more tokens in this minute.
    TokensPerMinute { until: Moment },
    /// The channel takes no more calls at the same time.
    Parallel,
    /// The input alone does not fit into its context window.
    ContextTooSmall,
}

impl Reason {
    /// When it may pass; `None` where nobody can say.
    #[must_use]
    pub const fn until(&self) -> Option<Moment> {
        match self {
            Self::Shut { shut: Shut::Until(until), .. }
            | Self::RequestsPerMinute { until }
            | Self::TokensPerMinute { until } => Some(*until),
            Self::Shut { .. } | Self::Parallel | Self::ContextTooSmall => None,
        }
    }

    /// In a few words, fit for users: it names no key.
    #[must_use]
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Shut { part: Part::Key { .. }, shut: Shut::Dead } => "its key is not accepted any more",
            Self::Shut { part: Part::Key { .. }, .. } => "its key was refused or limited",
            Self::Shut { shut: Shut::Trying, .. } => "it failed and is being tried again",
            Self::Shut { part: Part::Model { .. }, .. } => "this model failed there",
            Self::Shut { .. } => "it failed",
            Self::RequestsPerMinute { .. } => "its requests per minute are used up",
            Self::TokensPerMinute { .. } => "its tokens per minute are used up",
            Self::Parallel => "it has as many calls as it takes",
            Self::ContextTooSmall => "the conversation is longer than it reads",
        }
    }
}

impl Plan {
    /// When somebody who was left out may be asked again, if anybody knows.
    #[must_use]
    pub fn soonest(&self) -> Option<Moment> {
        self.left_out.iter().filter_map(|left| left.reason.until()).min()
    }

    /// True where a longer context window is all that is missing.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        let all = self.left_out.iter().all(|left| left.reason == Reason::ContextTooSmall);
        self.order.is_empty() && !self.left_out.is_empty() && all
    }
}

impl Health {
    /// Whom a request may be sent to, best first; each candidate once for every key that may be used.
    pub fn plan(&mut self, candidates: &[Candidate], wish: &Wish, tried: &[Tried], now: Moment) -> Plan {
        let mut plan = Plan::default();
        let mut ranked = vec![];
        for (place, candidate) in candidates.iter().enumerate() {
            match self.admit(candidate, wish, now) {
                Err(reason) => plan.left_out.push(LeftOut { candidate: place, reason }),
                Ok(keys) => {
                    let score = self.score(candidate, wish, now);
                    ranked.push(Ranked { place, keys, priority: candidate.priority, score, chance: self.random.f64() });
                }
            }
        }
        if wish.strategy == Some(Strategy::LowestLatency) {
            level(&mut ranked);
        }
        ranked.sort_by(Ranked::compare);
        let (mut again, mut fresh) = (vec![], vec![]);
        for Ranked { place, keys, .. } in ranked {
            for key in keys {
                let failed = |tried: &Tried| tried.candidate == place && (!tried.key_only || tried.key == key);
                let again_here = tried.iter().any(failed);
                let choice = Choice { candidate: place, key, again: again_here };
                if again_here { again.push(choice) } else { fresh.push(choice) }
            }
        }
        fresh.append(&mut again);
        plan.order = fresh;
        plan
    }

    /// The keys with which `candidate` can be asked, in order; one `None` where it needs none.
    fn admit(&self, candidate: &Candidate, wish: &Wish, now: Moment) -> Result<Vec<Option<KeyRef>>, Reason> {
        if is_too_small(candidate, wish) {
            return Err(Reason::ContextTooSmall);
        }
        let Some(health) = self.of(candidate.channel) else {
            return Ok(in_turn(candidate, 0, wish).collect());
        };
        health.check(PartOf::Channel, &self.options, now)?;
        health.check(PartOf::Model(&candidate.model), &self.options, now)?;
        within_limits(candidate, health, wish.input_tokens, self.nodes(), now)?;
        let mut keys = vec![];
        let mut refused: Option<Reason> = None;
        for key in in_turn(candidate, health.turn, wish) {
            let part = key.as_ref().map(|key| PartOf::Key(key.as_str()));
            match part.map_or(Ok(()), |part| health.check(part, &self.options, now)) {
                Ok(()) => keys.push(key),
                Err(reason) => refused = Some(sooner(refused, reason)),
            }
        }
        match refused {
            Some(reason) if keys.is_empty() => Err(reason),
            _ => Ok(keys),
        }
    }

    /// How little a candidate is preferred within its tier.
    fn score(&mut self, candidate: &Candidate, wish: &Wish, now: Moment) -> f64 {
        let health = self.of(candidate.channel);
        match (wish.strategy, &wish.affinity) {
            (Some(Strategy::LeastBusy), _) => health.map_or(0.0, |health| f64::from(health.in_flight)),
            (Some(Strategy::LowestCost), _) => candidate.price as f64,
            (Some(Strategy::LowestLatency), _) => health.map_or(0.0, |health| latency(health, now)),
            (Some(Strategy::Affinity), Some(affinity)) => {
                let hash = mixed(affinity.as_bytes(), candidate.channel.uuid().as_bytes());
                race(as_fraction(hash), candidate.weight)
            }
            (Some(Strategy::Affinity | Strategy::Weighted) | None, _) => race(self.random.f64(), candidate.weight),
        }
    }
}

struct Ranked {
    place: usize,
    keys: Vec<Option<KeyRef>>,
    priority: i32,
    score: f64,
    chance: f64,
}

impl Ranked {
    fn compare(a: &Self, b: &Self) -> Ordering {
        let tier = b.priority.cmp(&a.priority);
        tier.then(a.score.total_cmp(&b.score)).then(a.chance.total_cmp(&b.chance))
    }
}

/// Whoever is about as fast as the fastest of its tier counts as equal.
fn level(ranked: &mut [Ranked]) {
    let fastest = |ranked: &[Ranked], priority| {
        let known = ranked.iter().filter(|one| one.priority == priority && one.score > 0.0).map(|one| one.score);
        known.fold(f64::INFINITY, f64::min)
    };
    for place in 0..ranked.len() {
        let Some(priority) = ranked.get(place).map(|one| one.priority) else { continue };
        let best = fastest(ranked, priority);
        if let Some(one) = ranked.get_mut(place).filter(|one| one.score > 0.0 && one.score <= best * AS_FAST) {
            one.score = best;
        }
    }
}

/// Seconds to the first output, longer for one that fails. One that nobody knows is found out about by one call; until
/// that has answered it comes after all that are known.
fn latency(health: &ChannelHealth, now: Moment) -> f64 {
    let success = 1.0 - health.errors.value(now).unwrap_or_default();
    match health.first_output.value(now) {
        Some(seconds) => seconds.max(0.000_001) / success.max(LEAST_SUCCESS),
        None if health.in_flight == 0 && success > 0.5 => 0.0,
        None => f64::INFINITY,
    }
}

/// Of several in a race with these weights, the smallest wins as often as its weight says.
fn race(fraction: f64, weight: u32) -> f64 {
    -(fraction.max(f64::MIN_POSITIVE).ln()) / f64::from(weight)
}

/// FNV-1a over both, finished as in MurmurHash3 so that similar names lie far apart. Every node computes the same.
pub(crate) fn mixed(a: &[u8], b: &[u8]) -> u64 {
    let folded =
        a.iter().chain(&[0]).chain(b).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    let once = (folded ^ (folded >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let twice = (once ^ (once >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    twice ^ (twice >> 33)
}

/// Between 0 and 1, neither of them.
fn as_fraction(hash: u64) -> f64 {
    ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Whether the input alone is certainly more than `candidate` reads.
pub(crate) fn is_too_small(candidate: &Candidate, wish: &Wish) -> bool {
    !wish.estimated && candidate.context_tokens.is_some_and(|most| wish.input_tokens > most)
}

/// The keys one after the other from `turn` on; where the request prefers an upstream's cache, always the same first.
pub(crate) fn in_turn(candidate: &Candidate, turn: usize, wish: &Wish) -> impl Iterator<Item = Option<KeyRef>> {
    let keys = &candidate.keys;
    let first = match (wish.strategy, &wish.affinity) {
        (Some(Strategy::Affinity), Some(affinity)) => {
            let scores = keys.iter().map(|key| mixed(affinity.as_bytes(), key.as_str().as_bytes()));
            scores.enumerate().max_by_key(|(_, score)| *score).map_or(0, |(place, _)| place)
        }
        _ => turn,
    };
    let rotated = keys.iter().cycle().skip(first % keys.len().max(1)).take(keys.len()).cloned().map(Some);
    rotated.chain(keys.is_empty().then_some(None))
}

pub(crate) fn within_limits(
    candidate: &Candidate,
    health: &ChannelHealth,
    input_tokens: u64,
    nodes: u32,
    now: Moment,
) -> Result<(), Reason> {
    let limits = candidate.limits;
    // The share of this node; one call at least, or nobody would ever be asked.
    let share = |limit: u64| (limit / u64::from(nodes)).max(1);
    if limits.parallel.is_some_and(|most| u64::from(health.in_flight) >= share(u64::from(most))) {
        return Err(Reason::Parallel);
    }
    let relief = |window: &crate::window::LastMinute| window.relief(now).unwrap_or(now.after(Duration::from_secs(1)));
    if limits.requests_per_minute.is_some_and(|most| health.requests.sum(now) >= share(u64::from(most))) {
        return Err(Reason::RequestsPerMinute { until: relief(&health.requests) });
    }
    let used_up = |most: u64| match health.tokens.sum(now) {
        // A request that is larger than the limit by itself is the provider's to refuse.
        0 => false,
        used => used.saturating_add(input_tokens) > share(most),
    };
    if limits.tokens_per_minute.is_some_and(used_up) {
        return Err(Reason::TokensPerMinute { until: relief(&health.tokens) });
    }
    Ok(())
}

/// Of two reasons the one that passes first.
fn sooner(one: Option<Reason>, other: Reason) -> Reason {
    match one {
        Some(one)
            if one.until().map_or(u64::MAX, Moment::as_millis) <= other.until().map_or(u64::MAX, Moment::as_millis) =>
        {
            one
        }
        _ => other,
    }
}

#[cfg(test)]
mod spec;
