//! Durations in buckets that can be added up, so that percentiles of any hours, channels and models come from the same rows.
//!
//! Promise: a percentile is that of the values themselves, but for at most 1/64 (1.6 %) of it. Integers only: the same
//! value is in the same bucket on every machine, for ever.
//!
//! Log-linear buckets, as `HdrHistogram` has them (Gil Tene, <https://hdrhistogram.github.io/HdrHistogram/>): each power of
//! two is divided into 32 equal parts, and values below 64 have a bucket each. That sketches of this kind can be merged by
//! adding counts, without any loss, is shown for logarithmic ones in Masson, Rim and Lee, "`DDSketch`: A Fast and
//! Fully-Mergeable Quantile Sketch with Relative-Error Guarantees" (VLDB 2019).

use std::collections::BTreeMap;

/// Parts of a power of two, as a power of two.
const PART_BITS: u32 = 5;
const PARTS: u64 = 1 << PART_BITS;
/// The longest that is told apart, in milliseconds: about 24 days.
const LONGEST_MS: u64 = (1 << 31) - 1;

/// The bucket of a duration.
pub(super) fn bucket_of(duration_ms: u64) -> i16 {
    let value = duration_ms.min(LONGEST_MS);
    // How far the value must be shifted until its leading part and the five bits below are left.
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(PART_BITS + 1);
    let bucket = u64::from(shift) * PARTS + (value >> shift);
    i16::try_from(bucket).unwrap_or(i16::MAX)
}

/// The middle of a bucket, in milliseconds.
fn middle_of(bucket: i16) -> u64 {
    let bucket = u64::from(bucket.unsigned_abs());
    let shift = (bucket / PARTS).saturating_sub(1).min(u64::from(u64::BITS - PART_BITS - 2));
    let lowest = (bucket - shift * PARTS) << shift;
    lowest + (1_u64 << shift) / 2
}

/// How many values were in which bucket.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Histogram(BTreeMap<i16, u64>);

impl Histogram {
    pub(super) fn add(&mut self, bucket: i16, count: u64) {
        let sum = self.0.entry(bucket).or_default();
        *sum = sum.saturating_add(count);
    }

    /// The smallest value that so many thousandths of all values do not pass; `None` of nothing.
    pub(super) fn permille(&self, permille: u64) -> Option<u64> {
        let all: u64 = self.0.values().fold(0, |sum, count| sum.saturating_add(*count));
        let rank = u128::from(all) * u128::from(permille);
        let rank = u64::try_from(rank.div_ceil(1000)).unwrap_or(u64::MAX).max(1);
        let mut passed = 0_u64;
        self.0.iter().find_map(|(bucket, count)| {
            passed = passed.saturating_add(*count);
            (passed >= rank).then(|| middle_of(*bucket))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.add(bucket_of(*value), 1));
        histogram
    }

    /// By definition, without buckets.
    fn exactly(values: &[u64], permille: usize) -> u64 {
        let mut sorted = values.to_vec();
        sorted.sort_unstable();
        sorted[(sorted.len() * permille).div_ceil(1000).max(1) - 1]
    }

    #[test]
    fn short_durations_are_exact_and_buckets_follow_each_other_without_a_hole() {
        for value in 0..64 {
            assert_eq!(middle_of(bucket_of(value)), value);
        }
        let buckets: Vec<i16> = (0..100_000).map(bucket_of).collect();
        assert!(buckets.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1));
        // Frozen: rows of today are read by the program of tomorrow.
        assert_eq!([63, 64, 1000, 60_000, 1_800_000].map(bucket_of), [63, 64, 190, 378, 534]);
    }

    #[test]
    fn what_is_longer_than_anything_is_in_the_last_bucket() {
        assert_eq!(bucket_of(u64::MAX), bucket_of(LONGEST_MS));
        assert!(middle_of(bucket_of(u64::MAX)) <= LONGEST_MS);
        assert!(middle_of(i16::MAX) > 0 && middle_of(i16::MIN) > 0, "rows that nobody wrote stop nobody");
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(Histogram::default().permille(500), None);
    }

    proptest! {
        #[test]
        fn a_value_is_within_a_sixtyfourth_of_its_bucket(value in 0_u64..=LONGEST_MS) {
            let told = middle_of(bucket_of(value));
            prop_assert!(told.abs_diff(value) * 64 <= value, "{value} is told as {told}");
        }

        #[test]
        fn a_percentile_is_that_of_the_values_but_for_a_sixtyfourth(
            values in prop::collection::vec(0_u64..3_600_000, 1..200),
            permille in prop::sample::select(vec![500_usize, 950, 990, 1000]),
        ) {
            let exact = exactly(&values, permille);
            let told = of(&values).permille(permille as u64).unwrap();
            prop_assert!(told.abs_diff(exact) * 64 <= exact, "{exact} is told as {told}");
        }

        #[test]
        fn parts_that_are_added_up_tell_the_same_as_the_whole(
            values in prop::collection::vec(0_u64..3_600_000, 2..100), cut in 1_usize..99,
        ) {
            let (left, right) = values.split_at(cut.min(values.len() - 1));
            let mut merged = of(left);
            of(right).0.into_iter().for_each(|(bucket, count)| merged.add(bucket, count));
            prop_assert_eq!(merged, of(&values));
        }
    }
}
