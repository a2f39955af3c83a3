//! The models of a channel and what they cost, now and later.
//!
//! Promise: every price that was ever decided for a model has a version of its own, counted up for ever; which price
//! holds at an instant follows from the list alone.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ChannelRefusal,
    routing::{MAX_FALLBACKS, MAX_HEDGE_MS, ModelTraits},
};
use crate::billing::Rates;

/// Characters of a model's name, at most.
pub(super) const MAX_MODEL_CHARS: usize = 200;
/// Models of one channel, at most.
pub(super) const MAX_MODELS: usize = 500;
/// Prices of one model that begin later, at most.
pub(super) const MAX_UPCOMING: usize = 20;

/// A model as an operator describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelSpec {
    /// As users name it.
    pub name: String,
    /// As the provider names it.
    pub upstream: String,
    /// Input and output together, at most; not known where absent.
    pub context_tokens: Option<u32>,
    /// Of one answer, at most; not known where absent.
    pub max_output_tokens: Option<u32>,
    /// Strategy, fallbacks, modalities, capabilities.
    #[serde(flatten)]
    pub traits: ModelTraits,
}

/// A model as it is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferedModel {
    #[serde(flatten)]
    pub spec: ModelSpec,
    #[serde(flatten)]
    pub terms: Terms,
}

/// What a model costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// What users pay.
    pub prices: Rates,
    /// What the provider charges us.
    pub costs: Rates,
    /// Counts changes of prices and costs from 1.
    pub price_version: u32,
    /// What holds instead from an instant on, in the order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upcoming: Vec<Upcoming>,
}

/// A price with its beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upcoming {
    /// It holds from then on, until another one does.
    pub from: DateTime<Utc>,
    /// What users pay.
    pub prices: Rates,
    /// What the provider charges us.
    pub costs: Rates,
    /// Counts changes of prices and costs from 1.
    pub price_version: u32,
}

/// What a model of the channel costs from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelPrices {
    /// By its public name.
    pub model: String,
    #[serde(flatten)]
    pub terms: Terms,
}

/// A price as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPrice {
    /// By its public name.
    pub model: String,
    /// As before where absent.
    pub prices: Option<Rates>,
    /// As before where absent.
    pub costs: Option<Rates>,
    /// At once where absent. With neither prices nor costs, what was to begin then is withdrawn.
    pub from: Option<DateTime<Utc>>,
}

/// A price as it holds at some instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InForce<'t> {
    pub prices: &'t Rates,
    pub costs: &'t Rates,
    pub price_version: u32,
}

impl Terms {
    /// What holds at `at`.
    #[must_use]
    pub fn in_force(&self, at: DateTime<Utc>) -> InForce<'_> {
        let begun = self.upcoming.iter().take_while(|upcoming| upcoming.from <= at).last();
        begun.map_or(
            InForce { prices: &self.prices, costs: &self.costs, price_version: self.price_version },
            |Upcoming { prices, costs, price_version, .. }| InForce { prices, costs, price_version: *price_version },
        )
    }

    /// The same without what is over at `at`.
    fn without_the_past(&self, at: DateTime<Utc>) -> Self {
        let InForce { prices, costs, price_version } = self.in_force(at);
        let upcoming = self.upcoming.iter().filter(|upcoming| upcoming.from > at).cloned().collect();
        Self { prices: prices.clone(), costs: costs.clone(), price_version, upcoming }
    }

    /// The greatest of its versions.
    pub(super) fn last_version(&self) -> u32 {
        self.upcoming.iter().map(|upcoming| upcoming.price_version).fold(self.price_version, u32::max)
    }

    /// Whether both cost the same at any time, whatever the versions are.
    fn cost_the_same(&self, other: &Self) -> bool {
        let plain = |terms: &Self| {
            let later = terms.upcoming.iter().map(|later| (later.from, later.prices.clone(), later.costs.clone()));
            (terms.prices.clone(), terms.costs.clone(), later.collect::<Vec<_>>())
        };
        plain(self) == plain(other)
    }
}

/// The last version of every model that was ever offered: a name that returns does not begin again.
pub(super) type Versions = BTreeMap<String, u32>;

/// `specs` with their prices: what `new` says, else what they had.
///
/// # Errors
/// A model or a price that cannot be.
pub(super) fn offered(
    specs: Vec<ModelSpec>,
    new: &[NewPrice],
    old: &[OfferedModel],
    versions: &Versions,
    at: DateTime<Utc>,
) -> Result<Vec<OfferedModel>, ChannelRefusal> {
    if specs.is_empty() || specs.len() > MAX_MODELS {
        return Err(ChannelRefusal::NoModels);
    }
    let mut names = BTreeSet::new();
    for spec in &specs {
        if !is_well_formed(spec) || !names.insert(spec.name.as_str()) {
            return Err(ChannelRefusal::InvalidModel { model: spec.name.clone() });
        }
    }
    if let Some(unknown) = new.iter().find(|price| !names.contains(price.model.as_str())) {
        return Err(ChannelRefusal::InvalidModel { model: unknown.model.clone() });
    }
    let offer = |spec: ModelSpec| {
        let before = old.iter().find(|model| model.spec.name == spec.name).map(|model| &model.terms);
        let mine = new.iter().filter(|price| price.model == spec.name);
        let wanted = terms(&spec.name, before.map(|terms| terms.without_the_past(at)), mine, at)?;
        let terms = versioned(&spec.name, wanted, before, versions, at);
        Ok(OfferedModel { spec, terms })
    };
    specs.into_iter().map(offer).collect()
}

/// What a model shall cost; its versions are not right yet.
fn terms<'n>(
    model: &str,
    mut terms: Option<Terms>,
    new: impl Iterator<Item = &'n NewPrice>,
    at: DateTime<Utc>,
) -> Result<Terms, ChannelRefusal> {
    let invalid = || ChannelRefusal::InvalidPrice { model: model.to_owned() };
    for NewPrice { prices, costs, from, .. } in new {
        if ![prices, costs].into_iter().flatten().all(Rates::is_list) {
            return Err(invalid());
        }
        let from = from.filter(|from| *from > at);
        let before = terms.as_ref().map(|terms| terms.in_force(from.unwrap_or(at)));
        let wanted_prices = prices.as_ref().or(before.map(|before| before.prices)).cloned();
        let wanted_costs = costs.as_ref().or(before.map(|before| before.costs)).cloned().unwrap_or_default();
        let missing = || ChannelRefusal::PriceMissing { model: model.to_owned() };
        match (from, &mut terms) {
            (None, None) => {
                let prices = wanted_prices.ok_or_else(missing)?;
                terms = Some(Terms { prices, costs: wanted_costs, price_version: 0, upcoming: vec![] });
            }
            (None, Some(terms)) => (terms.prices, terms.costs) = (wanted_prices.ok_or_else(missing)?, wanted_costs),
            (Some(_), None) => return Err(missing()),
            (Some(from), Some(terms)) => {
                terms.upcoming.retain(|upcoming| upcoming.from != from);
                if prices.is_some() || costs.is_some() {
                    let prices = wanted_prices.ok_or_else(missing)?;
                    terms.upcoming.push(Upcoming { from, prices, costs: wanted_costs, price_version: 0 });
                    terms.upcoming.sort_by_key(|upcoming| upcoming.from);
                }
                if terms.upcoming.len() > MAX_UPCOMING {
                    return Err(invalid());
                }
            }
        }
    }
    terms.ok_or_else(|| ChannelRefusal::PriceMissing { model: model.to_owned() })
}

/// `wanted` under the versions that its prices have; what was never offered before gets versions that were never used.
pub(super) fn versioned(
    model: &str,
    mut wanted: Terms,
    before: Option<&Terms>,
    versions: &Versions,
    at: DateTime<Utc>,
) -> Terms {
    if let Some(before) = before
        && (wanted.cost_the_same(before) || wanted.cost_the_same(&before.without_the_past(at)))
    {
        // At most time has passed.
        return before.clone();
    }
    let mut last = versions.get(model).copied().unwrap_or(0);
    let mut next = || {
        last = last.saturating_add(1);
        last
    };
    let now = before.map(|before| before.in_force(at));
    let same = now.filter(|now| *now.prices == wanted.prices && *now.costs == wanted.costs);
    wanted.price_version = same.map_or_else(&mut next, |now| now.price_version);
    let later = before.map(|before| before.upcoming.as_slice()).unwrap_or_default();
    for upcoming in &mut wanted.upcoming {
        let is_same = |known: &&Upcoming| {
            (known.from, &known.prices, &known.costs) == (upcoming.from, &upcoming.prices, &upcoming.costs)
        };
        upcoming.price_version = later.iter().find(is_same).map_or_else(&mut next, |known| known.price_version);
    }
    wanted
}

fn is_well_formed(spec: &ModelSpec) -> bool {
    let fallbacks = spec.traits.fallbacks.lists();
    let others_only = fallbacks
        .iter()
        .all(|list| list.len() <= MAX_FALLBACKS && list.iter().all(|name| is_model_name(name) && *name != spec.name));
    let hedge = spec.traits.hedge_after_ms.is_none_or(|after| (1..=MAX_HEDGE_MS).contains(&after));
    others_only && hedge && is_model_name(&spec.name) && is_model_name(&spec.upstream)
}

fn is_model_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().count() <= MAX_MODEL_CHARS
        && !name.contains(|character: char| character.is_whitespace() || character.is_control())
}
