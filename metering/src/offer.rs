//! One model of one channel, at its price.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{
    ChannelId,
    billing::{Basis, Pieces, Quote, Rate, Rates, Tokens},
    relay::{ModelTraits, ProviderKind, Routing},
};
use relay::{Provider, Usage};

/// More tokens than this in one tier of one call is nobody's honest report.
const MAX_TOKENS: u64 = 1_000_000_000;

/// How long answers may be where nobody says it better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// A shorter answer than this is not worth asking for, unless the client wants a shorter one.
    pub min_output_tokens: u32,
    /// Where neither client nor model names a bound.
    pub default_output_tokens: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { min_output_tokens: 64, default_output_tokens: 4096 }
    }
}

/// A model as it can be asked now.
#[derive(Clone)]
pub struct Offer {
    /// As users name it.
    pub model: String,
    /// As the provider names it.
    pub upstream: String,
    pub channel_id: ChannelId,
    /// The channel's name.
    pub channel: String,
    pub kind: ProviderKind,
    pub provider: Arc<dyn Provider>,
    /// A small model that shows that the house works.
    pub demonstration: bool,
    pub context_tokens: Option<u32>,
    pub max_output_tokens: Option<u32>,
    /// What users pay.
    pub prices: Rates,
    /// What the provider charges us.
    pub costs: Rates,
    pub price_version: u32,
    /// Priority, weight, user groups, limits and drain policy of its channel.
    pub routing: Arc<Routing>,
    /// Strategy, fallbacks, modalities and capabilities of the model, as this channel states them.
    pub traits: Arc<ModelTraits>,
    pub created_at: DateTime<Utc>,
}

impl std::fmt::Debug for Offer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offer").field("model", &self.model).field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl Offer {
    /// What users are told of the channel: its public name, else its id; what operators call it is their own business.
    #[must_use]
    pub fn public_channel(&self) -> String {
        self.routing.public_name.clone().unwrap_or_else(|| self.channel_id.to_string())
    }

    /// Whether the exact number of an input's tokens makes no difference to who may answer, and how much: they are
    /// certainly no more than `at_most`, and all of that fits.
    #[must_use]
    pub fn takes_any_up_to(&self, at_most: u64, wanted_output: Option<u32>) -> bool {
        let output = wanted_output.or(self.max_output_tokens).unwrap_or_default();
        let fits = |window: u32| at_most.saturating_add(output.into()) <= window.into();
        !self.demonstration && self.routing.limits.tokens_per_minute.is_none() && self.context_tokens.is_none_or(fits)
    }

    /// Whether anybody pays for its tokens; else it is sold by the piece alone, or costs nothing.
    #[must_use]
    pub fn is_sold_by_token(&self) -> bool {
        let tiers = self.prices.tiers();
        tiers.of_input().into_iter().chain(tiers.of_output()).any(|rate| rate != Rate::FREE)
    }

    /// What a call with this much input may cost at most; `wanted_output` is the client's own bound.
    #[must_use]
    pub fn quote(&self, input_tokens: u64, wanted_output: Option<u32>, bounds: &Bounds) -> Quote {
        let given = [wanted_output, self.max_output_tokens].into_iter().flatten().min();
        let max_output_tokens = given.unwrap_or(bounds.default_output_tokens);
        Quote {
            model: self.model.clone(),
            channel_id: self.channel_id,
            price_version: self.price_version,
            prices: self.prices.clone(),
            costs: self.costs.clone(),
            input_tokens: input_tokens.min(MAX_TOKENS),
            max_output_tokens,
            min_output_tokens: bounds.min_output_tokens,
            pieces: Pieces::NONE,
            alternatives: vec![],
        }
    }
}

/// A provider's usage as tiers in which every token counts once, and how it is known. What no call can have consumed is
/// cut to the bound and called an estimate.
#[must_use]
pub fn tokens_of(usage: &Usage) -> (Tokens, Basis) {
    let usage = usage.fitted();
    let rest = |whole: u64, parts: &[u64]| parts.iter().fold(whole, |rest, part| rest.saturating_sub(*part));
    let told = Tokens {
        input: rest(
            usage.input_tokens,
            &[
                usage.cached_input_tokens,
                usage.cache_write_input_tokens,
                usage.cache_write_hour_input_tokens,
                usage.audio_input_tokens,
                usage.image_input_tokens,
            ],
        ),
        cached_input: usage.cached_input_tokens,
        cache_write: usage.cache_write_input_tokens,
        cache_write_hour: usage.cache_write_hour_input_tokens,
        audio_input: usage.audio_input_tokens,
        image_input: usage.image_input_tokens,
        output: rest(
            usage.output_tokens,
            &[usage.reasoning_tokens, usage.audio_output_tokens, usage.image_output_tokens],
        ),
        reasoning: usage.reasoning_tokens,
        audio_output: usage.audio_output_tokens,
        image_output: usage.image_output_tokens,
        pieces: Pieces::NONE,
    };
    let bounded = told.at_most(MAX_TOKENS);
    let basis = match usage.basis {
        _ if bounded != told => Basis::Estimated,
        relay::Basis::Reported => Basis::Reported,
        relay::Basis::Counted => Basis::Counted,
        relay::Basis::Estimated => Basis::Estimated,
    };
    (bounded, basis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_in_one_tier() {
        let usage = Usage::new(100, 50, relay::Basis::Reported).with_parts(30, 20);
        let tokens = Tokens { input: 70, cached_input: 30, output: 30, reasoning: 20, ..Tokens::default() };
        assert_eq!(tokens_of(&usage), (tokens, Basis::Reported));
        let usage = Usage {
            cache_write_input_tokens: 16,
            cache_write_hour_input_tokens: 4,
            audio_input_tokens: 10,
            image_input_tokens: 5,
            audio_output_tokens: 7,
            image_output_tokens: 3,
            ..usage
        };
        let tokens = Tokens {
            input: 35,
            cached_input: 30,
            cache_write: 16,
            cache_write_hour: 4,
            audio_input: 10,
            image_input: 5,
            output: 20,
            reasoning: 20,
            audio_output: 7,
            image_output: 3,
            pieces: Pieces::NONE,
        };
        assert_eq!(tokens_of(&usage), (tokens, Basis::Reported));
    }

    #[test]
    fn parts_beyond_their_whole_and_absurd_numbers_are_cut_and_called_an_estimate() {
        let usage = Usage { cached_input_tokens: 30, ..Usage::new(10, u64::MAX, relay::Basis::Reported) };
        let tokens = Tokens { cached_input: 10, output: MAX_TOKENS, ..Tokens::default() };
        assert_eq!(tokens_of(&usage), (tokens, Basis::Estimated));
    }
}
