//! Amounts of money: integers of nano-units, never floats.
//!
//! Promise: an amount is exact; every calculation says when it leaves its range instead of wrapping; in JSON it is a
//! string of an integer, because amounts pass 2^53.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Nano-units (1e-9) of the ledger currency; negative where something is taken.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(i64);

/// A text that is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an amount is an integer number of nano-units (a thousand-millionth of the currency), such as \"1000000000\"")]
pub struct InvalidAmount;

impl Nanos {
    pub const ZERO: Self = Self(0);
    /// One unit of the currency.
    pub const ONE: Self = Self(1_000_000_000);

    #[must_use]
    pub const fn new(nanos: i64) -> Self {
        Self(nanos)
    }

    /// What people write: a decimal of currency units such as `1.00`, with at most nine decimal places and no sign.
    ///
    /// # Errors
    /// [`InvalidAmount`].
    pub fn from_units(text: &str) -> Result<Self, InvalidAmount> {
        nanos_of_decimal(text).map(Self).ok_or(InvalidAmount)
    }

    /// The bare number, for rows.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `None` out of range.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// `None` out of range.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// `None` out of range.
    #[must_use]
    pub fn times(self, count: u32) -> Option<Self> {
        self.0.checked_mul(i64::from(count)).map(Self)
    }

    /// The same amount the other way; `None` for the one number that has none.
    #[must_use]
    pub fn reversed(self) -> Option<Self> {
        self.0.checked_neg().map(Self)
    }
}

/// As rows hold it.
impl From<i64> for Nanos {
    fn from(nanos: i64) -> Self {
        Self(nanos)
    }
}

/// Digits after the point that a nano-unit needs.
const DECIMALS: usize = 9;

/// A decimal of whole units as a number of nano-units; `None` if it is malformed, too fine or out of range.
pub(super) fn nanos_of_decimal(text: &str) -> Option<i64> {
    let (units, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if text.ends_with('.') || units.is_empty() || decimals.len() > DECIMALS || !digits(units) || !digits(decimals) {
        return None;
    }
    let nanos: i64 = format!("{decimals:0<DECIMALS$}").parse().ok()?;
    units.parse::<i64>().ok()?.checked_mul(Nanos::ONE.get())?.checked_add(nanos)
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Nanos {
    type Err = InvalidAmount;

    fn from_str(text: &str) -> Result<Self, InvalidAmount> {
        // `parse` takes a leading plus, which JSON does not.
        text.parse().ok().filter(|_| !text.starts_with('+')).map(Self).ok_or(InvalidAmount)
    }
}

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nanos {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Nanos;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer number of nano-units, as a string or a number")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Nanos, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Nanos, E> {
                Ok(Nanos(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Nanos, E> {
                i64::try_from(number).map(Nanos).map_err(|_| E::custom(InvalidAmount))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// The currency of the ledger: three capital letters (ISO 4217).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    pub const USD: Self = Self(*b"USD");

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

/// A text that names no currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a currency is three capital letters, such as USD or CNY")]
pub struct InvalidCurrency;

impl FromStr for Currency {
    type Err = InvalidCurrency;

    fn from_str(text: &str) -> Result<Self, InvalidCurrency> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| InvalidCurrency)?;
        if letters.iter().all(u8::is_ascii_uppercase) { Ok(Self(letters)) } else { Err(InvalidCurrency) }
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidCurrency;

    fn try_from(text: String) -> Result<Self, InvalidCurrency> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn an_amount_is_written_as_a_string_and_read_from_a_string_or_an_integer() {
        assert_eq!(serde_json::to_string(&Nanos::new(i64::MAX)).unwrap(), "\"9223372036854775807\"");
        for text in ["\"-7\"", "-7"] {
            assert_eq!(serde_json::from_str::<Nanos>(text).unwrap(), Nanos::new(-7));
        }
    }

    #[test]
    fn what_is_no_integer_or_out_of_range_is_refused() {
        for text in ["1.5", "\"1.5\"", "\"\"", "\"1e9\"", "\"+1\"", "9223372036854775808", "\"9223372036854775808\""] {
            assert!(serde_json::from_str::<Nanos>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn units_are_read_exactly() {
        assert_eq!(Nanos::from_units("1.00"), Ok(Nanos::ONE));
        assert_eq!(Nanos::from_units("0.000000001"), Ok(Nanos::new(1)));
        for text in ["", ".5", "5.", "-1", "+1", "1e3", "0.0000000001", "9999999999999", "1,5"] {
            assert!(Nanos::from_units(text).is_err(), "{text}");
        }
    }

    #[test]
    fn arithmetic_at_its_limits_says_so_instead_of_wrapping() {
        assert_eq!(Nanos::new(i64::MAX).plus(Nanos::new(1)), None);
        assert_eq!(Nanos::new(i64::MIN).minus(Nanos::new(1)), None);
        assert_eq!(Nanos::new(i64::MIN).reversed(), None);
        assert_eq!(Nanos::new(i64::MAX / 2).times(3), None);
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!("CNY".parse::<Currency>().map(|currency| currency.as_str().to_owned()), Ok("CNY".to_owned()));
        for text in ["usd", "US", "EURO", "U$D"] {
            assert!(text.parse::<Currency>().is_err(), "{text}");
        }
    }
}
