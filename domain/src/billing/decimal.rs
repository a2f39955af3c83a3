//! Exact decimals of which price lists consist.
//!
//! Promise: each is a number with at most nine decimal places and never a float; in JSON it is a string such as `"2.5"`,
//! and is read from a number too, by the shortest decimal that is that number.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::{Nanos, money::nanos_of_decimal};

/// Currency units per million tokens, or per call, at most: far beyond any model, and sums of costs stay exact.
const MAX_UNITS: i64 = 1_000_000;
/// A group pays at most so many times the price.
const MAX_FACTOR: i64 = 1_000;

/// Nano-units per million tokens; in JSON a decimal of currency units such as `"2.50"`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(i64);

/// Nano-units for each call or piece; in JSON a decimal of currency units such as `"0.04"`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fee(i64);

/// What a price is multiplied by; in JSON a decimal such as `"0.8"`. One where nobody says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor(i64);

/// A text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a price is a decimal number per million tokens, from 0 to 1000000 with at most nine decimal places")]
pub struct InvalidRate;

/// A text that is no fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a price for each call or piece is a decimal number from 0 to 1000000 with at most nine decimal places")]
pub struct InvalidFee;

/// A text that is no factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a factor is a decimal number from 0 to 1000 with at most nine decimal places")]
pub struct InvalidFactor;

impl Rate {
    pub const FREE: Self = Self(0);

    /// Nano-units per million tokens.
    #[must_use]
    pub const fn nanos_per_million(self) -> i64 {
        self.0
    }

    /// So many times this one, rounded half to even; `None` out of range.
    pub(super) fn scaled(self, factor: Factor) -> Option<Self> {
        scaled(self.0, factor).map(Self)
    }

    /// In millionths of a nano-unit.
    pub(super) fn cost(self, tokens: u64) -> i128 {
        i128::from(self.0) * i128::from(tokens)
    }
}

impl Fee {
    /// Nano-units for each call or piece.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// So many times this one, rounded half to even; `None` out of range.
    pub(super) fn scaled(self, factor: Factor) -> Option<Self> {
        scaled(self.0, factor).map(Self)
    }
}

impl Factor {
    /// Changes nothing.
    pub const ONE: Self = Self(Nanos::ONE.get());

    /// In thousand-millionths: 1,000,000,000 changes nothing.
    #[must_use]
    pub const fn billionths(self) -> i64 {
        self.0
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_one(&self) -> bool {
        *self == Self::ONE
    }
}

impl Default for Factor {
    fn default() -> Self {
        Self::ONE
    }
}

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        bounded(text, MAX_UNITS).map(Self).ok_or(InvalidRate)
    }
}

impl FromStr for Fee {
    type Err = InvalidFee;

    fn from_str(text: &str) -> Result<Self, InvalidFee> {
        bounded(text, MAX_UNITS).map(Self).ok_or(InvalidFee)
    }
}

impl FromStr for Factor {
    type Err = InvalidFactor;

    fn from_str(text: &str) -> Result<Self, InvalidFactor> {
        bounded(text, MAX_FACTOR).map(Self).ok_or(InvalidFactor)
    }
}

/// The nano-units of a decimal from 0 to `most`.
fn bounded(text: &str, most: i64) -> Option<i64> {
    nanos_of_decimal(text).filter(|nanos| *nanos <= most * Nanos::ONE.get())
}

/// A decimal of currency units, so many times.
fn scaled(nanos: i64, factor: Factor) -> Option<i64> {
    let one = i128::from(Nanos::ONE.get());
    let exact = i128::from(nanos) * i128::from(factor.0);
    let (whole, rest) = (exact / one, exact % one);
    let up = rest * 2 > one || (rest * 2 == one && whole % 2 != 0);
    i64::try_from(whole + i128::from(up)).ok().filter(|nanos| *nanos <= MAX_UNITS * Nanos::ONE.get())
}

/// Without zeros that say nothing.
fn show(nanos: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let one = Nanos::ONE.get();
    let decimals = format!("{:09}", nanos % one);
    let significant = decimals.trim_end_matches('0');
    let shown = if significant.is_empty() { String::new() } else { format!(".{significant}") };
    write!(f, "{}{shown}", nanos / one)
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, f)
    }
}

impl fmt::Display for Fee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, f)
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, f)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Fee {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Factor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Decimal("a decimal number per million tokens", PhantomData))
    }
}

impl<'de> Deserialize<'de> for Fee {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Decimal("a decimal number for each call", PhantomData))
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Decimal("a decimal number", PhantomData))
    }
}

/// Reads a `T` from its text or from a number; the sentence says what is expected.
struct Decimal<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> de::Visitor<'_> for Decimal<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    /// The shortest decimal that reads as this number is what the client wrote.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod spec {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_rate_is_an_exact_decimal_whatever_form_it_came_in() {
        for (json, shown) in
            [("\"2.50\"", "2.5"), ("2.5", "2.5"), ("0.075", "0.075"), ("3", "3"), ("0", "0"), ("1e-7", "0.0000001")]
        {
            assert_eq!(serde_json::from_str::<Rate>(json).unwrap().to_string(), shown, "{json}");
        }
        assert_eq!("0.000000001".parse::<Rate>().unwrap().nanos_per_million(), 1);
    }

    #[test]
    fn negative_endless_and_huge_rates_are_refused() {
        for json in
            ["-1", "\"-1\"", "\"\"", "\".5\"", "\"5.\"", "\"0.0000000001\"", "1000000.1", "1e300", "\"NaN\"", "\"1,5\""]
        {
            assert!(serde_json::from_str::<Rate>(json).is_err(), "{json}");
            assert!(serde_json::from_str::<Fee>(json).is_err(), "{json}");
            assert!(serde_json::from_str::<Factor>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_factor_is_one_unless_something_else_is_said_and_is_at_most_a_thousand() {
        assert_eq!(Factor::default(), "1.0".parse().unwrap());
        assert!("1000".parse::<Factor>().is_ok() && "1000.000000001".parse::<Factor>().is_err());
    }

    proptest! {
        #[test]
        fn a_decimal_survives_its_text(nanos in 0_i64..=1_000_000_000_000_000) {
            prop_assert_eq!(Rate(nanos).to_string().parse::<Rate>().unwrap(), Rate(nanos));
            prop_assert_eq!(Fee(nanos).to_string().parse::<Fee>().unwrap(), Fee(nanos));
            let factor = Factor(nanos / 1000);
            prop_assert_eq!(factor.to_string().parse::<Factor>().unwrap(), factor);
        }
    }
}
