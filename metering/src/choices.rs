//! Everybody who may answer a call: the channels of its model, and the models that may answer instead.
//!
//! Promise: a call is priced for the dearest of them before any is asked, and settled at the price of the one that
//! answered. How many there are is bounded, because each is written down with its price.

use std::{sync::Arc, time::Duration};

use domain::{
    billing::{Pieces, Quote, Rates, Terms},
    relay::{Fallbacks, ModelTraits, Strategy},
};
use routing::{Asked, Candidate, Demand, Router, Stage, Tries, When, Wish};

use crate::catalogue::Offers as Catalogued;
use crate::{Bounds, Offer};

/// Channels of the model that was asked for, at most.
const MOST_CHANNELS: usize = 8;
/// Channels of each model that may answer instead, at most.
const MOST_INSTEAD: usize = 2;
/// Models that may answer instead, at most.
const MOST_FALLBACKS: usize = 4;

/// The offers by which one call may be answered; the first is there always. What follows from them alone is made once, and
/// shared by all calls until channels change. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Choices(Arc<Prepared>);

#[derive(Debug)]
struct Prepared {
    first: Arc<Offer>,
    /// Model by model.
    offers: Vec<Offers>,
    /// The same as the router takes them.
    stages: Arc<[Stage]>,
    hedge_after: Option<Duration>,
    /// The terms of all but the first.
    alternatives: Vec<Terms>,
}

/// One model's.
#[derive(Debug, Clone)]
struct Offers {
    when: When,
    offers: Vec<Arc<Offer>>,
    /// Nobody was left away who may answer, but is less well than others now.
    is_all: bool,
}

/// What is known about a call before it is made, besides its price.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The conversation, or the client's `prompt_cache_key`.
    pub affinity: Option<String>,
    /// Of the input.
    pub tokens: u64,
    /// They were counted with the model's own vocabulary: whoever reads less is not asked.
    pub exactly: bool,
}

impl Choices {
    /// Those among `offers` whom `admits` lets pass that answer `model`, and those that may answer instead of it. `None`
    /// where nobody offers it.
    #[must_use]
    pub(crate) fn of(
        model: &str,
        offers: &Catalogued,
        admits: &dyn Fn(&Offer) -> bool,
        router: &Router,
    ) -> Option<Self> {
        let of_model = |model: &str| -> Vec<Arc<Offer>> {
            offers.of_model(model).iter().filter(|offer| admits(offer)).cloned().collect()
        };
        let own = of_model(model);
        let preferred = preferred(&own)?;
        let none = Fallbacks::default();
        let fallbacks = own.iter().map(|offer| &offer.traits.fallbacks).find(|said| **said != none).unwrap_or(&none);
        let lists = [
            (When::ContextWindow, &fallbacks.context_window),
            (When::ContentPolicy, &fallbacks.content_policy),
            (When::General, &fallbacks.general),
        ];
        let instead = lists.into_iter().flat_map(|(when, names)| names.iter().map(move |name| (when, name)));
        let instead = instead.filter(|(_, name)| name.as_str() != model).take(MOST_FALLBACKS);
        let instead = instead.map(|(when, name)| Offers::best(when, of_model(name), MOST_INSTEAD, router));
        let instead: Vec<Offers> = instead.collect();
        let own = Offers::best(When::First, own, MOST_CHANNELS, router);
        let all = [own].into_iter().chain(instead).filter(|stage| !stage.offers.is_empty()).collect();
        Some(Self::prepared(preferred, all))
    }

    fn prepared(first: Arc<Offer>, offers: Vec<Offers>) -> Self {
        let own = offers.first().map(|own| own.offers.as_slice()).unwrap_or_default();
        let hedge_after = said(own, |traits| traits.hedge_after_ms).map(|after| Duration::from_millis(after.into()));
        let stages = offers.iter().map(Offers::stage).collect();
        let others = offers.iter().flat_map(|stage| &stage.offers).filter(|offer| !Arc::ptr_eq(offer, &first));
        let mut alternatives: Vec<Terms> = vec![];
        for terms in others.map(|offer| terms(offer)) {
            if !alternatives.contains(&terms) {
                alternatives.push(terms);
            }
        }
        Self(Arc::new(Prepared { first, offers, stages, hedge_after, alternatives }))
    }

    /// Whether they are the same until channels change.
    pub(crate) fn are_lasting(&self) -> bool {
        self.0.offers.iter().all(|stage| stage.is_all)
    }

    /// Only those of the model that was asked for: for a call that can be sent once.
    #[must_use]
    pub fn without_fallbacks(self) -> Self {
        let own = self.0.offers.iter().filter(|offers| offers.when == When::First);
        Self::prepared(Arc::clone(&self.0.first), own.cloned().collect())
    }

    /// The preferred offer of the model that was asked for: what its input is counted by.
    #[must_use]
    pub fn first(&self) -> &Arc<Offer> {
        &self.0.first
    }

    /// Everybody who may answer.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Offer>> {
        std::iter::once(&self.0.first).chain(self.0.offers.iter().flat_map(|stage| &stage.offers))
    }

    /// Whether a model may answer that reads more.
    #[must_use]
    pub fn has_larger_context(&self) -> bool {
        self.0.offers.iter().any(|stage| stage.when == When::ContextWindow)
    }

    /// The most that any channel of the model reads; `None` where that is not known of one of them.
    #[must_use]
    pub fn largest_context(&self) -> Option<u32> {
        let own = self.0.offers.iter().filter(|stage| stage.when == When::First);
        let mut windows = own.flat_map(|stage| &stage.offers).map(|offer| offer.context_tokens);
        windows.try_fold(0, |largest: u32, window| Some(largest.max(window?)))
    }

    /// What a call with this much input may cost at most, whoever answers; `wanted_output` is the client's own bound.
    #[must_use]
    pub fn quote(&self, input_tokens: u64, wanted_output: Option<u32>, bounds: &Bounds) -> Quote {
        let first = self.0.first.quote(input_tokens, wanted_output, bounds);
        Quote { alternatives: self.0.alternatives.clone(), ..first }
    }

    /// The call as the router takes it.
    #[must_use]
    pub fn demand(&self, known: &Known, tries: Tries) -> Demand {
        let (affinity, input_tokens) = (known.affinity.clone(), known.tokens);
        let wish = Wish { strategy: None, affinity, input_tokens, estimated: !known.exactly };
        Demand { stages: Arc::clone(&self.0.stages), wish, tries, hedge_after: self.0.hedge_after }
    }

    /// What users are told of whom the router asks for: the channel, and the model that answers.
    #[must_use]
    pub fn told(&self, asked: &Asked) -> Option<(Arc<str>, Arc<str>)> {
        let stage = self.0.stages.get(asked.stage)?;
        let candidate = stage.candidates.get(asked.candidate)?;
        Some((Arc::clone(&candidate.told), Arc::clone(&stage.model)))
    }

    /// The offer that the router asks for.
    #[must_use]
    pub fn offer(&self, asked: &Asked) -> &Arc<Offer> {
        let stage = self.0.offers.get(asked.stage);
        stage.and_then(|stage| stage.offers.get(asked.candidate)).unwrap_or(&self.0.first)
    }
}

impl Offers {
    /// The `most` whom the router would ask first now; all of them where they are few.
    fn best(when: When, offers: Vec<Arc<Offer>>, most: usize, router: &Router) -> Self {
        if offers.len() <= most {
            return Self { when, offers, is_all: true };
        }
        let candidates: Vec<_> = offers.iter().map(|offer| candidate(offer)).collect();
        let wish = Wish { strategy: strategy(&offers), estimated: true, ..Wish::default() };
        let places = router.order(&candidates, &wish).into_iter();
        let offers = places.filter_map(|place| offers.get(place).cloned()).take(most).collect();
        Self { when, offers, is_all: false }
    }

    fn stage(&self) -> Stage {
        Stage {
            model: self.offers.first().map_or_else(|| "".into(), |offer| offer.model.as_str().into()),
            when: self.when,
            strategy: strategy(&self.offers),
            candidates: self.offers.iter().map(|offer| candidate(offer)).collect(),
        }
    }
}

/// The most preferred that says anything about it decides.
fn said<T>(offers: &[Arc<Offer>], about: impl Fn(&ModelTraits) -> Option<T>) -> Option<T> {
    let mut by_preference: Vec<_> = offers.iter().collect();
    by_preference.sort_by_key(|offer| std::cmp::Reverse(priority(offer)));
    by_preference.into_iter().find_map(|offer| about(&offer.traits))
}

fn strategy(offers: &[Arc<Offer>]) -> Option<Strategy> {
    said(offers, |traits| traits.strategy)
}

fn preferred(offers: &[Arc<Offer>]) -> Option<Arc<Offer>> {
    // Of equals the oldest.
    offers.iter().rev().max_by_key(|offer| priority(offer)).cloned()
}

/// The model that only shows that the house works answers where nobody else can.
fn priority(offer: &Offer) -> i32 {
    if offer.demonstration { i32::MIN } else { offer.routing.priority }
}

fn candidate(offer: &Offer) -> Candidate {
    Candidate {
        channel: offer.channel_id,
        name: offer.channel.as_str().into(),
        told: offer.public_channel().into(),
        model: offer.upstream.as_str().into(),
        priority: priority(offer),
        weight: offer.routing.weight,
        price: usual_cost(&offer.costs),
        keys: offer.provider.keys().to_vec(),
        limits: offer.routing.limits,
        context_tokens: offer.context_tokens.map(u64::from),
    }
}

/// What a call of a usual size costs us, for comparison: by the token and by the piece.
fn usual_cost(costs: &Rates) -> u64 {
    let pieces = Pieces { images: 1, searches: 1, characters: 1_000, sound_ms: 60_000 };
    let usual = costs.at_most(10_000, 1_000, &pieces).unwrap_or_default();
    u64::try_from(usual.get()).unwrap_or_default()
}

fn terms(offer: &Offer) -> Terms {
    Terms {
        channel_id: offer.channel_id,
        model: offer.model.clone(),
        price_version: offer.price_version,
        prices: offer.prices.clone(),
        costs: offer.costs.clone(),
    }
}
