//! Averages that forget: what was seen a half-life ago weighs half as much as what is seen now.

use std::time::Duration;

use crate::Moment;

/// Below this weight an average is not known any more: its last value is too old to prefer anybody by.
const KNOWN: f64 = 0.05;

/// A decaying average of values that come now and then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Decaying {
    half_life: Duration,
    sum: f64,
    weight: f64,
    at: Moment,
}

impl Decaying {
    /// An average of nothing yet.
    #[must_use]
    pub(crate) const fn new(half_life: Duration) -> Self {
        Self { half_life, sum: 0.0, weight: 0.0, at: Moment::from_millis(0) }
    }

    /// Takes a value in. One that is no number is ignored.
    pub(crate) fn record(&mut self, value: f64, now: Moment) {
        if !value.is_finite() {
            return;
        }
        let kept = self.kept(now);
        self.sum = self.sum * kept + value;
        self.weight = self.weight * kept + 1.0;
        self.at = self.at.max(now);
    }

    /// The average; `None` while nothing recent is known.
    #[must_use]
    pub(crate) fn value(&self, now: Moment) -> Option<f64> {
        (self.weight * self.kept(now) >= KNOWN).then(|| self.sum / self.weight)
    }

    fn kept(&self, now: Moment) -> f64 {
        let half_life = self.half_life.as_secs_f64().max(0.001);
        0.5_f64.powf(now.since(self.at).as_secs_f64() / half_life)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    #[test]
    fn a_value_weighs_half_after_its_half_life() {
        let mut average = Decaying::new(Duration::from_secs(10));
        average.record(0.0, at(100));
        average.record(3.0, at(110));
        assert_eq!(average.value(at(110)), Some(2.0));
    }

    #[test]
    fn what_nobody_has_seen_for_long_is_not_known() {
        let mut average = Decaying::new(Duration::from_secs(10));
        assert_eq!(average.value(at(0)), None);
        average.record(1.0, at(100));
        assert_eq!((average.value(at(140)), average.value(at(150))), (Some(1.0), None));
    }

    proptest! {
        #[test]
        fn an_average_lies_between_the_smallest_and_the_largest_value(
            values in prop::collection::vec((0.0_f64..1e6, 0_u64..50_000), 1..50),
        ) {
            let mut average = Decaying::new(Duration::from_secs(30));
            let mut now = 0;
            for (value, pause) in &values {
                now += pause;
                average.record(*value, Moment::from_millis(now));
            }
            let (low, high) = values.iter().fold((f64::MAX, 0.0_f64), |(low, high), (v, _)| (low.min(*v), high.max(*v)));
            let value = average.value(Moment::from_millis(now)).unwrap();
            prop_assert!(value >= low - 1e-6 && value <= high + 1e-6, "{low} {value} {high}");
        }
    }
}
