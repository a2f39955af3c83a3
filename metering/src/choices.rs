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

/// The offers by which one call may be answered; the first is there always.
#[derive(Debug, Clone)]
pub struct Choices {
    first: Arc<Offer>,
    stages: Vec<Offers>,
}

/// One model's.
#[derive(Debug, Clone)]
struct Offers {
    when: When,
    offers: Vec<Arc<Offer>>,
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
        let instead = instead.map(|(when, name)| Offers { when, offers: best(of_model(name), MOST_INSTEAD, router) });
        let instead: Vec<Offers> = instead.collect();
        let own = Offers { when: When::First, offers: best(own, MOST_CHANNELS, router) };
        let stages = [own].into_iter().chain(instead).filter(|stage| !stage.offers.is_empty()).collect();
        Some(Self { first: preferred, stages })
    }

    /// Only those of the model that was asked for: for a call that can be sent once.
    #[must_use]
    pub fn without_fallbacks(mut self) -> Self {
        self.stages.retain(|stage| stage.when == When::First);
        self
    }

    /// The preferred offer of the model that was asked for: what its input is counted by.
    #[must_use]
    pub fn first(&self) -> &Arc<Offer> {
        &self.first
    }

    /// Everybody who may answer.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Offer>> {
        std::iter::once(&self.first).chain(self.stages.iter().flat_map(|stage| &stage.offers))
    }

    /// Whether a model may answer that reads more.
    #[must_use]
    pub fn has_larger_context(&self) -> bool {
        self.stages.iter().any(|stage| stage.when == When::ContextWindow)
    }

    /// The most that any channel of the model reads; `None` where that is not known of one of them.
    #[must_use]
    pub fn largest_context(&self) -> Option<u32> {
        let own = self.stages.iter().filter(|stage| stage.when == When::First);
        let mut windows = own.flat_map(|stage| &stage.offers).map(|offer| offer.context_tokens);
        windows.try_fold(0, |largest: u32, window| Some(largest.max(window?)))
    }

    /// What a call with this much input may cost at most, whoever answers; `wanted_output` is the client's own bound.
    #[must_use]
    pub fn quote(&self, input_tokens: u64, wanted_output: Option<u32>, bounds: &Bounds) -> Quote {
        let first = &self.first;
        let others = self.stages.iter().flat_map(|stage| &stage.offers).filter(|offer| !Arc::ptr_eq(offer, first));
        let mut alternatives: Vec<Terms> = vec![];
        for terms in others.map(|offer| terms(offer)) {
            if !alternatives.contains(&terms) {
                alternatives.push(terms);
            }
        }
        Quote { alternatives, ..first.quote(input_tokens, wanted_output, bounds) }
    }

    /// The call as the router takes it.
    #[must_use]
    pub fn demand(&self, known: &Known, tries: Tries) -> Demand {
        let stage = |Offers { when, offers }: &Offers| Stage {
            model: offers.first().map_or_else(|| "".into(), |offer| offer.model.as_str().into()),
            when: *when,
            wish: Wish { strategy: strategy(offers), affinity: known.affinity.clone(), input_tokens: known.tokens },
            candidates: offers.iter().map(|offer| candidate(offer, known.exactly)).collect(),
        };
        let own = self.stages.first().map(|stage| stage.offers.as_slice()).unwrap_or_default();
        let hedge_after = said(own, |traits| traits.hedge_after_ms).map(|after| Duration::from_millis(after.into()));
        Demand { stages: self.stages.iter().map(stage).collect(), tries, hedge_after }
    }

    /// The offer that the router asks for.
    #[must_use]
    pub fn offer(&self, asked: &Asked) -> &Arc<Offer> {
        let stage = self.stages.get(asked.stage);
        stage.and_then(|stage| stage.offers.get(asked.candidate)).unwrap_or(&self.first)
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

/// The `most` whom the router would ask first now; all of them where they are few.
fn best(offers: Vec<Arc<Offer>>, most: usize, router: &Router) -> Vec<Arc<Offer>> {
    if offers.len() <= most {
        return offers;
    }
    let candidates: Vec<_> = offers.iter().map(|offer| candidate(offer, false)).collect();
    let places = router.order(&candidates, &Wish { strategy: strategy(&offers), ..Wish::default() });
    places.into_iter().filter_map(|place| offers.get(place).cloned()).take(most).collect()
}

fn candidate(offer: &Offer, exactly: bool) -> Candidate {
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
        context_tokens: offer.context_tokens.map(u64::from).filter(|_| exactly),
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
