//! How much there was in the last minute.

use crate::Moment;

/// A minute is counted in so many parts.
const PARTS: usize = 12;
const PART_MILLIS: u64 = 60_000 / PARTS as u64;

/// A sum over the last minute. It forgets a part of five seconds at a time and never one that is younger than a minute,
/// so that a limit is kept in every minute, wherever it begins.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct LastMinute {
    /// The sums of parts, and which part each of them is of.
    parts: [(u64, u64); PARTS + 1],
}

impl LastMinute {
    /// Adds `amount` at `now`.
    pub(crate) fn add(&mut self, amount: u64, now: Moment) {
        let part = now.as_millis() / PART_MILLIS;
        if let Some((of, sum)) = self.parts.get_mut(Self::place(part)) {
            if *of != part {
                (*of, *sum) = (part, 0);
            }
            *sum = sum.saturating_add(amount);
        }
    }

    /// The sum at `now`.
    #[must_use]
    pub(crate) fn sum(&self, now: Moment) -> u64 {
        let part = now.as_millis() / PART_MILLIS;
        let young = self.parts.iter().filter(|(of, _)| of + PARTS as u64 >= part);
        young.fold(0, |total, (_, sum)| total.saturating_add(*sum))
    }

    /// When `sum` can first be smaller; `None` while it is empty.
    #[must_use]
    pub(crate) fn relief(&self, now: Moment) -> Option<Moment> {
        let part = now.as_millis() / PART_MILLIS;
        let counted = self.parts.iter().filter(|(of, sum)| of + PARTS as u64 >= part && *sum > 0);
        let oldest = counted.map(|(of, _)| *of).min()?;
        Some(Moment::from_millis((oldest + PARTS as u64 + 1) * PART_MILLIS))
    }

    const fn place(part: u64) -> usize {
        (part % (PARTS as u64 + 1)) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whoever_asks_before_adding_keeps_the_limit_in_every_minute(
            pauses in prop::collection::vec(0_u64..9_000, 1..300), limit in 1_u64..20,
        ) {
            let mut window = LastMinute::default();
            let (mut now, mut taken) = (1_000_000, vec![]);
            for pause in pauses {
                now += pause;
                let moment = Moment::from_millis(now);
                if window.sum(moment) < limit {
                    window.add(1, moment);
                    taken.push(now);
                }
            }
            for (index, start) in taken.iter().enumerate() {
                let within = taken.iter().skip(index).take_while(|at| **at < start + 60_000).count() as u64;
                prop_assert!(within <= limit, "{within} within a minute of {start}");
            }
        }

        #[test]
        fn at_its_relief_the_sum_is_smaller_and_not_before(pauses in prop::collection::vec(0_u64..9_000, 1..30)) {
            let mut window = LastMinute::default();
            let mut now = 1_000_000;
            for pause in pauses {
                now += pause;
                window.add(1, Moment::from_millis(now));
            }
            let moment = Moment::from_millis(now);
            let (sum, relief) = (window.sum(moment), window.relief(moment).unwrap());
            prop_assert!(relief > moment && relief.since(moment).as_millis() <= 65_000);
            prop_assert!(window.sum(relief) < sum);
            prop_assert_eq!(window.sum(Moment::from_millis(relief.as_millis() - 1)), sum);
        }
    }

    #[test]
    fn an_empty_minute_needs_no_relief() {
        assert_eq!(LastMinute::default().relief(Moment::from_millis(1_000_000)), None);
    }
}
