//! What tokens and pieces cost, and the one place where they become money.
//!
//! Promise: a rate is an exact decimal per million tokens; a cost is computed exactly over all tiers, pieces, the
//! fee for the call and the payer's factor, and rounded once, half to even; a hold is rounded up. Whoever has tokens and rates of a
//! settlement computes the same cost again, whenever it was stored.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Factor, Fee, Nanos, Pieces, Rate, Tokens};

/// Tokens that a rate is for.
const PER_TOKENS: i128 = 1_000_000;
/// An exact cost is in this fraction of a nano-unit: a millionth for rates, a billionth of that for factors.
const EXACT: i128 = PER_TOKENS * Factor::ONE.billionths() as i128;
/// Price lists for long inputs of one model, at most.
pub const MAX_LONG: usize = 8;

/// A price list of one model, by tier.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Of input tokens.
    pub input: Rate,
    /// Of output tokens.
    pub output: Rate,
    /// As `input` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Rate>,
    /// As `output` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Rate>,
    /// Of input that is written to the provider's cache; as `input` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
    /// Of input that is written to the provider's cache for an hour; as `cache_write` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_hour: Option<Rate>,
    /// As `input` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<Rate>,
    /// As `input` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_input: Option<Rate>,
    /// As `output` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<Rate>,
    /// As `output` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_output: Option<Rate>,
    /// For the call itself, whatever it consumes; nothing where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_request: Option<Fee>,
    /// For each picture that is made; nothing where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_image: Option<Fee>,
    /// For each search of a ranking; nothing where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_search: Option<Fee>,
    /// For each character that is read aloud; nothing where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_character: Option<Fee>,
    /// For each second of sound that is heard; nothing where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<Fee>,
    /// Instead of the rates above, for calls whose whole input is longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long: Vec<LongRates>,
    /// What everything is multiplied by: that of the payer's group in a hold and what follows from it, never in what is
    /// offered. One where absent.
    #[serde(default, skip_serializing_if = "Factor::is_one")]
    pub factor: Factor,
}

/// What all tokens of a call cost whose input is longer than a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongRates {
    /// Beyond so many input tokens, cached ones included. Of several lists the one with the highest threshold counts.
    pub above_input_tokens: u64,
    /// What they cost then.
    pub rates: Tiers,
}

/// Rates by tier.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// Of input tokens.
    pub input: Rate,
    /// Of output tokens.
    pub output: Rate,
    /// As `input` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<Rate>,
    /// As `output` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Rate>,
    /// As `input` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Rate>,
    /// Of input that is written to the provider's cache for an hour; as `cache_write` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_hour: Option<Rate>,
    /// As `input` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<Rate>,
    /// As `input` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_input: Option<Rate>,
    /// As `output` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<Rate>,
    /// As `output` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_output: Option<Rate>,
}

impl Tiers {
    /// What each tier of the input costs, in the order of [`Tokens::of_input`].
    #[must_use]
    pub fn of_input(&self) -> [Rate; 6] {
        let for_an_hour = self.cache_write_hour.or(self.cache_write);
        [None, self.cached_input, self.cache_write, for_an_hour, self.audio_input, self.image_input]
            .map(|own| own.unwrap_or(self.input))
    }

    /// What each tier of the output costs, in the order of [`Tokens::of_output`].
    #[must_use]
    pub fn of_output(&self) -> [Rate; 4] {
        [None, self.reasoning, self.audio_output, self.image_output].map(|own| own.unwrap_or(self.output))
    }

    fn scaled(&self, factor: Factor) -> Option<Self> {
        let part = |rate: Option<Rate>| rate.map_or(Some(None), |rate| rate.scaled(factor).map(Some));
        Some(Self {
            input: self.input.scaled(factor)?,
            output: self.output.scaled(factor)?,
            cached_input: part(self.cached_input)?,
            reasoning: part(self.reasoning)?,
            cache_write: part(self.cache_write)?,
            cache_write_hour: part(self.cache_write_hour)?,
            audio_input: part(self.audio_input)?,
            image_input: part(self.image_input)?,
            audio_output: part(self.audio_output)?,
            image_output: part(self.image_output)?,
        })
    }

    /// In millionths of a nano-unit.
    fn cost(&self, tokens: &Tokens) -> i128 {
        let input = self.of_input().into_iter().zip(tokens.of_input());
        input.chain(self.of_output().into_iter().zip(tokens.of_output())).map(|(rate, count)| rate.cost(count)).sum()
    }

    fn dearest_input(&self) -> Rate {
        self.of_input().into_iter().fold(Rate::FREE, Rate::max)
    }

    fn dearest_output(&self) -> Rate {
        self.of_output().into_iter().fold(Rate::FREE, Rate::max)
    }
}

impl Rates {
    /// The list for inputs of ordinary length.
    #[must_use]
    pub const fn tiers(&self) -> Tiers {
        Tiers {
            input: self.input,
            output: self.output,
            cached_input: self.cached_input,
            reasoning: self.reasoning,
            cache_write: self.cache_write,
            cache_write_hour: self.cache_write_hour,
            audio_input: self.audio_input,
            image_input: self.image_input,
            audio_output: self.audio_output,
            image_output: self.image_output,
        }
    }

    /// The same for somebody who pays `factor` times the price.
    #[must_use]
    pub const fn times(mut self, factor: Factor) -> Self {
        self.factor = factor;
        self
    }

    /// A list that is `factor` times this one, each rate rounded half to even; `None` if one leaves its range.
    #[must_use]
    pub fn scaled(&self, factor: Factor) -> Option<Self> {
        let long = |long: &LongRates| {
            Some(LongRates { above_input_tokens: long.above_input_tokens, rates: long.rates.scaled(factor)? })
        };
        let fee = |fee: Option<Fee>| fee.map_or(Some(None), |fee| fee.scaled(factor).map(Some));
        let base = self.tiers().scaled(factor)?;
        Some(Self {
            input: base.input,
            output: base.output,
            cached_input: base.cached_input,
            reasoning: base.reasoning,
            cache_write: base.cache_write,
            cache_write_hour: base.cache_write_hour,
            audio_input: base.audio_input,
            image_input: base.image_input,
            audio_output: base.audio_output,
            image_output: base.image_output,
            per_request: fee(self.per_request)?,
            per_image: fee(self.per_image)?,
            per_search: fee(self.per_search)?,
            per_character: fee(self.per_character)?,
            per_second: fee(self.per_second)?,
            long: self.long.iter().map(long).collect::<Option<_>>()?,
            factor: self.factor,
        })
    }

    /// Whether it can be what a channel offers: few lists for long inputs, each threshold once, and nobody's factor.
    #[must_use]
    pub fn is_list(&self) -> bool {
        let rises = |pair: &[LongRates]| matches!(pair, [a, b] if a.above_input_tokens < b.above_input_tokens);
        self.factor.is_one() && self.long.len() <= MAX_LONG && self.long.windows(2).all(rises)
    }

    /// Nothing costs anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        let all = self
            .reachable(u64::MAX)
            .all(|list| list.dearest_input() == Rate::FREE && list.dearest_output() == Rate::FREE);
        let fees = self.fees_of_pieces().iter().all(|fee| fee.nanos() == 0);
        self.factor.billionths() == 0 || (all && fees && self.fee(&Pieces::NONE) == 0)
    }

    /// What `tokens` and their pieces cost: exact over all of it, rounded once, half to even. `None` if no amount is that large.
    #[must_use]
    pub fn cost(&self, tokens: &Tokens) -> Option<Nanos> {
        let input = tokens.all_input();
        let longer = self.long.iter().filter(|long| long.above_input_tokens < input);
        let list = longer.max_by_key(|long| long.above_input_tokens).map_or_else(|| self.tiers(), |long| long.rates);
        let exact = self.multiplied(list.cost(tokens).checked_add(self.fee(&tokens.pieces))?)?;
        i64::try_from(rounded_half_even(exact)).ok().map(Nanos::new)
    }

    /// The most that a call can cost: all input and all output at the dearest rate that it can reach, and all pieces,
    /// rounded up. `None` if no amount is that large.
    #[must_use]
    pub fn at_most(&self, input_tokens: u64, output_tokens: u32, pieces: &Pieces) -> Option<Nanos> {
        let output = self.dearest_output(input_tokens).cost(u64::from(output_tokens));
        let exact = self.multiplied(self.input_at_most(input_tokens, pieces).checked_add(output)?)?;
        i64::try_from(exact.checked_add(EXACT - 1)? / EXACT).ok().map(Nanos::new)
    }

    /// How many output tokens `credit` covers after the input and all pieces, at the dearest rate; `None` if not even
    /// those.
    #[must_use]
    pub fn output_covered_by(&self, credit: Nanos, input_tokens: u64, pieces: &Pieces) -> Option<u32> {
        let left = i128::from(credit.get()) * EXACT - self.multiplied(self.input_at_most(input_tokens, pieces))?;
        if left < 0 {
            return None;
        }
        let rate = self.multiplied(i128::from(self.dearest_output(input_tokens).nanos_per_million()))?;
        Some(if rate == 0 { u32::MAX } else { u32::try_from(left / rate).unwrap_or(u32::MAX) })
    }

    /// In the unit of [`EXACT`], from millionths of a nano-unit.
    fn multiplied(&self, cost: i128) -> Option<i128> {
        cost.checked_mul(i128::from(self.factor.billionths()))
    }

    /// In the order of [`Pieces::by_kind`].
    fn fees_of_pieces(&self) -> [Fee; 4] {
        [self.per_image, self.per_search, self.per_character, self.per_second].map(Option::unwrap_or_default)
    }

    /// For the call and its pieces, in millionths of a nano-unit.
    fn fee(&self, pieces: &Pieces) -> i128 {
        let of_call = i128::from(self.per_request.unwrap_or_default().nanos()) * PER_TOKENS;
        of_call + pieces.cost(self.fees_of_pieces()) * (PER_TOKENS / 1_000)
    }

    /// The fees and all input at its dearest, in millionths of a nano-unit.
    fn input_at_most(&self, input_tokens: u64, pieces: &Pieces) -> i128 {
        let dearest = self.reachable(input_tokens).map(|list| list.dearest_input()).fold(Rate::FREE, Rate::max);
        dearest.cost(input_tokens) + self.fee(pieces)
    }

    fn dearest_output(&self, input_tokens: u64) -> Rate {
        self.reachable(input_tokens).map(|list| list.dearest_output()).fold(Rate::FREE, Rate::max)
    }

    /// Every list by which an input of at most this length can be priced.
    fn reachable(&self, input_tokens: u64) -> impl Iterator<Item = Tiers> {
        let long = self.long.iter().filter(move |long| long.above_input_tokens < input_tokens).map(|long| long.rates);
        std::iter::once(self.tiers()).chain(long)
    }
}

/// `exact` divided by [`EXACT`]; a half goes to the even neighbour, so that many roundings favour nobody.
const fn rounded_half_even(exact: i128) -> i128 {
    let (whole, rest) = (exact.div_euclid(EXACT), exact.rem_euclid(EXACT));
    let up = rest * 2 > EXACT || (rest * 2 == EXACT && whole % 2 != 0);
    if up { whole + 1 } else { whole }
}

#[cfg(test)]
mod spec;
