//! What tokens cost, and the one place where tokens become money.
//!
//! Promise: a rate is an exact decimal per million tokens; a cost is computed exactly over all tiers and rounded once,
//! half to even; a hold is rounded up. Whoever has tokens and rates of a settlement computes the same cost again.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::{Nanos, money::nanos_of_decimal};

/// Tokens that a rate is for.
const PER_TOKENS: i128 = 1_000_000;
/// Currency units per million tokens, at most: far beyond any model, and sums of costs stay exact.
const MAX_UNITS: i64 = 1_000_000;

/// Nano-units per million tokens; in JSON a decimal of currency units such as `"2.50"`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(i64);

/// A text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a price is a decimal number per million tokens, from 0 to 1000000 with at most nine decimal places")]
pub struct InvalidRate;

impl Rate {
    pub const FREE: Self = Self(0);

    /// Nano-units per million tokens.
    #[must_use]
    pub const fn nanos_per_million(self) -> i64 {
        self.0
    }

    fn cost(self, tokens: u64) -> i128 {
        i128::from(self.0) * i128::from(tokens)
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let rate = nanos_of_decimal(text).ok_or(InvalidRate)?;
        if rate <= MAX_UNITS * Nanos::ONE.get() { Ok(Self(rate)) } else { Err(InvalidRate) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = Nanos::ONE.get();
        let decimals = format!("{:09}", self.0 % one);
        let significant = decimals.trim_end_matches('0');
        let shown = if significant.is_empty() { String::new() } else { format!(".{significant}") };
        write!(f, "{}{shown}", self.0 / one)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number per million tokens")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Rate, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Rate, E> {
                self.visit_str(&number.to_string())
            }

            /// The shortest decimal that reads as this number is what the client wrote.
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Rate, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A price list of one model, by tier.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
}

/// What a call consumed; every token is in exactly one tier, so none is ever paid for twice.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// Without cached ones.
    pub input: u64,
    /// Input that the provider had in its cache.
    pub cached_input: u64,
    /// Without reasoning.
    pub output: u64,
    /// What the model thought before it answered.
    pub reasoning: u64,
}

/// How the tokens of a settlement are known, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The provider said so.
    Reported,
    /// Counted with the model's own tokenizer.
    Counted,
    /// Counted with another one, or bounded by what was held.
    Estimated,
}

impl Basis {
    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Counted => "counted",
            Self::Estimated => "estimated",
        }
    }
}

impl Rates {
    /// Nothing costs anything.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.dearest_input() == Rate::FREE && self.dearest_output() == Rate::FREE
    }

    /// What `tokens` cost: exact over all tiers, rounded once, half to even. `None` if no amount is that large.
    #[must_use]
    pub fn cost(&self, tokens: &Tokens) -> Option<Nanos> {
        let exact = self.input.cost(tokens.input)
            + self.cached_input.unwrap_or(self.input).cost(tokens.cached_input)
            + self.output.cost(tokens.output)
            + self.reasoning.unwrap_or(self.output).cost(tokens.reasoning);
        i64::try_from(rounded_half_even(exact)).ok().map(Nanos::new)
    }

    /// The most that a call can cost: all input and all output at the dearest rate, rounded up. `None` if no amount is
    /// that large.
    #[must_use]
    pub fn at_most(&self, input_tokens: u64, output_tokens: u32) -> Option<Nanos> {
        let exact = self.dearest_input().cost(input_tokens) + self.dearest_output().cost(u64::from(output_tokens));
        i64::try_from((exact + PER_TOKENS - 1) / PER_TOKENS).ok().map(Nanos::new)
    }

    /// How many output tokens `credit` covers after the input, at the dearest rate; `None` if not even the input.
    #[must_use]
    pub fn output_covered_by(&self, credit: Nanos, input_tokens: u64) -> Option<u32> {
        let left = i128::from(credit.get()) * PER_TOKENS - self.dearest_input().cost(input_tokens);
        if left < 0 {
            return None;
        }
        let rate = i128::from(self.dearest_output().0);
        Some(if rate == 0 { u32::MAX } else { u32::try_from(left / rate).unwrap_or(u32::MAX) })
    }

    fn dearest_input(&self) -> Rate {
        self.input.max(self.cached_input.unwrap_or_default())
    }

    fn dearest_output(&self) -> Rate {
        self.output.max(self.reasoning.unwrap_or_default())
    }
}

/// `exact` divided by [`PER_TOKENS`]; a half goes to the even neighbour, so that many roundings favour nobody.
const fn rounded_half_even(exact: i128) -> i128 {
    let (whole, rest) = (exact.div_euclid(PER_TOKENS), exact.rem_euclid(PER_TOKENS));
    let up = rest * 2 > PER_TOKENS || (rest * 2 == PER_TOKENS && whole % 2 != 0);
    if up { whole + 1 } else { whole }
}

#[cfg(test)]
mod spec {
    use proptest::prelude::*;

    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn a_rate_is_an_exact_decimal_whatever_form_it_came_in() {
        for (json, shown) in
            [("\"2.50\"", "2.5"), ("2.5", "2.5"), ("0.075", "0.075"), ("3", "3"), ("0", "0"), ("1e-7", "0.0000001")]
        {
            assert_eq!(serde_json::from_str::<Rate>(json).unwrap().to_string(), shown, "{json}");
        }
        assert_eq!(rate("0.000000001").nanos_per_million(), 1);
    }

    #[test]
    fn negative_endless_and_huge_rates_are_refused() {
        for json in
            ["-1", "\"-1\"", "\"\"", "\".5\"", "\"5.\"", "\"0.0000000001\"", "1000000.1", "1e300", "\"NaN\"", "\"1,5\""]
        {
            assert!(serde_json::from_str::<Rate>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_cost_is_summed_exactly_over_the_tiers_and_rounded_once() {
        let rates = Rates {
            input: rate("2.50"),
            output: rate("10"),
            cached_input: Some(rate("1.25")),
            reasoning: Some(rate("12")),
        };
        let tokens = Tokens { input: 1000, cached_input: 3, output: 7, reasoning: 11 };
        assert_eq!(rates.cost(&tokens), Some(Nanos::new(2_500_000 + 3_750 + 70_000 + 132_000)));
    }

    #[test]
    fn a_tier_without_its_own_rate_costs_what_its_kind_costs() {
        let rates = Rates { input: rate("1"), output: rate("2"), ..Rates::default() };
        let tokens = Tokens { input: 0, cached_input: 5, output: 0, reasoning: 7 };
        assert_eq!(rates.cost(&tokens), Some(Nanos::new(5_000 + 14_000)));
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        // 500 nano-units per million tokens: a thousand tokens are exactly half a nano-unit.
        let rates = Rates { input: rate("0.0000005"), ..Rates::default() };
        let cost = |input| rates.cost(&Tokens { input, ..Tokens::default() }).unwrap().get();
        assert_eq!([cost(1000), cost(3000), cost(5000), cost(1001), cost(999)], [0, 2, 2, 1, 0]);
    }

    #[test]
    fn a_cost_beyond_all_amounts_is_none() {
        let rates = Rates { input: rate("1000000"), output: rate("1000000"), ..Rates::default() };
        assert_eq!(rates.cost(&Tokens { input: u64::MAX, output: u64::MAX, ..Tokens::default() }), None);
        assert_eq!(rates.at_most(u64::MAX, u32::MAX), None);
    }

    proptest! {
        #[test]
        fn what_is_held_covers_whatever_is_charged_within_the_bound(
            input in 0_u64..10_000_000, output in 0_u32..1_000_000, cached in 0_u64..10_000_000, reasoning in 0_u32..1_000_000,
            rates in any::<[u32; 4]>(),
        ) {
            let [input_rate, output_rate, cached_rate, reasoning_rate] = rates.map(|rate| Rate(i64::from(rate)));
            let rates = Rates { input: input_rate, output: output_rate, cached_input: Some(cached_rate), reasoning: Some(reasoning_rate) };
            let held = rates.at_most(input, output).unwrap();
            let cached_input = cached.min(input);
            let reasoning = u64::from(reasoning.min(output));
            let tokens = Tokens { input: input - cached_input, cached_input, output: u64::from(output) - reasoning, reasoning };
            prop_assert!(rates.cost(&tokens).unwrap() <= held);
        }

        #[test]
        fn the_output_that_credit_covers_is_affordable_and_one_more_is_not(
            credit in 0_i64..1_000_000_000_000, input in 0_u64..1_000_000, input_rate in 0_i64..100_000_000_000, output_rate in 1_i64..100_000_000_000,
        ) {
            let rates = Rates { input: Rate(input_rate), output: Rate(output_rate), ..Rates::default() };
            match rates.output_covered_by(Nanos::new(credit), input) {
                None => prop_assert!(rates.at_most(input, 0).unwrap() > Nanos::new(credit)),
                Some(covered) => {
                    prop_assert!(rates.at_most(input, covered).unwrap() <= Nanos::new(credit));
                    if let Some(more) = covered.checked_add(1) {
                        prop_assert!(rates.at_most(input, more).unwrap() > Nanos::new(credit));
                    }
                }
            }
        }

        #[test]
        fn a_rate_survives_its_text(nanos in 0_i64..=1_000_000_000_000_000) {
            prop_assert_eq!(Rate(nanos).to_string().parse::<Rate>().unwrap(), Rate(nanos));
        }
    }
}
